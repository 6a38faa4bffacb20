"""The credit account under the client: holds, settlements, budgets and notes, from end to end on the emulator."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

import multivideo as mv
from multivideo.clock import VirtualClock
from multivideo.ledger.journal import Journal
from multivideo.ledger.records import NewJob
from multivideo.sandbox import Emulator
from scenes import PROMPT

pytestmark = pytest.mark.anyio
Sandbox = Callable[..., mv.AsyncClient]


async def test_nothing_is_written_before_the_first_paid_call(
    clock: VirtualClock, emulator: Emulator, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    async with mv.AsyncClient.sandbox(emulator=emulator, clock=clock, home=home) as client:
        client.plan(PROMPT)
        assert (client.credits.balance, client.credits.held, client.jobs()) == (mv.usd(0), mv.usd(0), ())
        assert client.credits.unresolved() == ()
        with pytest.raises(mv.InvalidRequest):
            await client.generate(PROMPT, duration=-1)
        assert not home.exists()
        await client.generate(PROMPT, model="kling-3.0", duration=3, save_to=tmp_path / "a.mp4")
    assert (home / "sandbox" / "ledger.db").stat().st_mode & 0o777 == 0o600
    assert (home / "sandbox").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("model", "certainty"), [("sora-2", "derived"), ("kling-3.0", "reported"), ("veo-3.1", "derived")]
)
async def test_a_finished_job_is_settled_at_what_it_cost(
    sandbox: Sandbox, emulator: Emulator, tmp_path: Path, model: str, certainty: str
) -> None:
    async with sandbox() as client:
        job = await client.submit(
            PROMPT, model=model, duration=4, tags={"project": "coast"}, save_to=tmp_path / "a.mp4"
        )
        quote = client.quote(PROMPT, model=model, duration=4)
        assert client.credits.held == quote.upper_bound
        video = await job.wait()
        assert client.credits.held == mv.usd(0)
        assert client.credits.spent() == video.charge
        assert client.credits.spent(by="model") == {model: video.charge}
        assert client.credits.spent(by="tag:project") == {"coast": video.charge}
        assert client.credits.balance == -video.charge, "without funds the account is postpaid and only counts"
    assert emulator.charged() == video.charge.micro_usd
    assert video.certainty == certainty


async def test_a_prepaid_account_starts_nothing_that_it_does_not_hold(sandbox: Sandbox, emulator: Emulator) -> None:
    async with sandbox() as client:
        client.credits.fund(mv.usd("1"), note="November")
        await client.generate(PROMPT, model="kling-3.0", duration=5)
        with pytest.raises(mv.InsufficientCredits) as caught:
            await client.generate(PROMPT, model="veo-3.1", duration=8)
    assert caught.value.charged == "no"
    assert emulator.count() == 1
    assert client.credits.held == mv.usd(0)


async def test_all_calls_of_a_wish_are_held_before_the_first_is_sent(sandbox: Sandbox, emulator: Emulator) -> None:
    async with sandbox() as client:
        client.credits.fund(mv.usd("1"))
        with pytest.raises(mv.InsufficientCredits):
            await client.generate(PROMPT, model="kling-3.0", duration=5, count=3)  # 0.42 USD each
        assert (emulator.count(), client.credits.held, client.credits.balance) == (0, mv.usd(0), mv.usd("1"))


async def test_a_budget_by_tag_counts_holds_and_spending(sandbox: Sandbox, emulator: Emulator) -> None:
    async with sandbox() as client:
        client.credits.budget(mv.usd("0.80"), tags={"project": "coast"}, period="month")
        await client.generate(PROMPT, model="kling-3.0", duration=5, tags={"project": "coast"})
        with pytest.raises(mv.BudgetExceeded):
            await client.generate(PROMPT, model="kling-3.0", duration=5, tags={"project": "coast"})
        await client.generate(PROMPT, model="kling-3.0", duration=5, tags={"project": "fog"})
    assert emulator.count() == 2


async def test_a_refused_job_gives_its_hold_back_and_a_lost_one_keeps_it(
    sandbox: Sandbox, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    async with sandbox() as client:
        with pytest.raises(mv.ContentFiltered):
            await client.generate(f"{PROMPT} sentinel_block", model="sora-2", duration=4)
        assert client.credits.held == mv.usd(0)
        emulator.fault("kling", made_drop=True)
        with pytest.raises(mv.OutcomeUnknown), caplog.at_level(logging.WARNING, "multivideo"):
            await client.generate(PROMPT, model="kling-3.0", duration=5)
        assert client.credits.held == mv.usd("0.42")
        [lost] = client.credits.unresolved()
        assert (lost.state, lost.held, lost.model) == ("unknown", mv.usd("0.42"), "kling-3.0")
        client.credits.resolve(lost.attempt_id, outcome="not_charged", by="ops", note="looked into the console")
        assert (client.credits.held, client.credits.spent()) == (mv.usd(0), mv.usd(0))
    assert "outcome of a paid submit is unknown" in caplog.text


async def test_the_books_hold_no_prompt_and_no_key(sandbox: Sandbox, tmp_path: Path) -> None:
    secret = "Zephyrine crosses the bridge at midnight"
    ledger = mv.Ledger(tmp_path / "books.db")
    async with sandbox(ledger=ledger) as client:
        await client.generate(secret, model="kling-3.0", duration=3)
    dump = "\n".join(sqlite3.connect(tmp_path / "books.db").iterdump())
    assert "Zephyrine" not in dump
    assert "INSERT" in dump


async def test_books_in_memory_write_nothing(clock: VirtualClock, emulator: Emulator, tmp_path: Path) -> None:
    home = tmp_path / "home"
    client = mv.AsyncClient.sandbox(emulator=emulator, clock=clock, home=home, ledger=mv.MemoryLedger())
    video = await client.generate(PROMPT, model="kling-3.0", duration=3, save_to=tmp_path / "a.mp4", sidecar=False)
    assert client.credits.spent() == video.charge
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4"]


async def test_a_folder_that_cannot_be_written_is_told_before_anything_is_sent(
    clock: VirtualClock, emulator: Emulator, tmp_path: Path
) -> None:
    (tmp_path / "home").write_text("a file where the folder should be")
    client = mv.AsyncClient.sandbox(emulator=emulator, clock=clock, home=tmp_path / "home")
    with pytest.raises(mv.LedgerError) as caught:
        await client.generate(PROMPT, model="kling-3.0", duration=3, save_to=tmp_path / "a.mp4")
    assert "MemoryLedger" in caught.value.hint
    assert caught.value.charged == "no"
    assert emulator.count() == 0


async def test_the_note_beside_a_file_says_what_made_it(sandbox: Sandbox, tmp_path: Path) -> None:
    async with sandbox() as client:
        wish = {"model": "veo-3.1", "duration": 4, "seed": 7, "tags": {"sku": "x"}, "save_to": tmp_path / "a.mp4"}
        video = await client.generate(PROMPT, **wish)  # type: ignore[arg-type]
        await client.generate(PROMPT, model="kling-3.0", duration=3, save_to=tmp_path / "b.mp4", sidecar=False)
    note = json.loads((tmp_path / "a.mp4.json").read_text(encoding="utf-8"))
    assert (note["prompt"], note["seed"], note["tags"]) == (PROMPT, 7, {"sku": "x"})
    assert (note["model"], note["provider"], note["charge_usd"]) == ("veo-3.1", "vertex", str(video.charge.usd))
    assert note["file"]["sha256"] == video.sha256
    assert note["plan"]["segments"][0]["seconds"] == 4
    assert not (tmp_path / "b.mp4.json").exists()


async def test_a_job_of_the_books_is_resumed_by_its_bare_id(sandbox: Sandbox, tmp_path: Path) -> None:
    async with sandbox() as first, sandbox() as second:
        job = await first.submit(PROMPT, model="kling-3.0", duration=3, save_to=tmp_path / "a.mp4")
        assert [known.id for known in second.jobs("open")] == [job.id]
        video = await (await second.resume(job.id)).wait()
        assert video.path == tmp_path / "a.mp4"
        assert second.credits.held == mv.usd(0)
        assert second.jobs("open") == ()


async def test_a_database_url_is_refused_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIVIDEO_DATABASE_URL", "postgresql://somewhere/books")
    with pytest.raises(mv.LedgerError, match="SQLite only"):
        mv.AsyncClient(providers=[])


async def test_an_id_that_the_books_could_not_take_is_written_as_soon_as_they_can(
    sandbox: Sandbox, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    accepted, refusals = Journal.accepted, [mv.LedgerError("The disk is full.") for _ in range(2)]

    async def short_of_room(self: Journal, attempt_id: str, remote_id: str) -> None:
        if refusals:
            raise refusals.pop()
        await accepted(self, attempt_id, remote_id)

    monkeypatch.setattr(Journal, "accepted", short_of_room)
    async with sandbox() as client:
        job = await client.submit(PROMPT, model="kling-3.0", duration=3, save_to=tmp_path / "a.mp4")
        with pytest.raises(mv.LedgerError, match="disk is full"):
            await job.wait()
        assert client.credits.held > mv.usd(0)
        video = await job.wait()
        assert (client.credits.held, client.credits.spent()) == (mv.usd(0), video.charge)
    assert emulator.count() == 1


def test_a_job_on_its_way_to_the_books_shows_no_prompt() -> None:
    shown = repr(NewJob(id="mv-1", request_print=f'{{"prompt": "{PROMPT}"}}', prompt_print=PROMPT))
    assert "boat" not in shown
    assert "mv-1" in shown
