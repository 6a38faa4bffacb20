"""After a crash: what was paid is finished, what is not known is looked for, the rest is told, and nothing is sent."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

import multivideo as mv
from multivideo.clock import VirtualClock
from multivideo.ledger.journal import Journal
from multivideo.ledger.records import AttemptRow
from multivideo.providers.accounts import Account
from multivideo.sandbox import Emulator
from multivideo.transport.embedded import HOME
from multivideo.wire import JobStatus
from scenes import PROMPT

pytestmark = pytest.mark.anyio

ACCOUNTS: dict[str, Account] = {
    "kling": mv.Kling(api_key="sandbox", base_url=f"{HOME}/kling", vendor_dates=True),
    "kling-legacy": mv.Kling(api_key="sandbox", base_url=f"{HOME}/kling", vendor_dates=True, dialect="legacy"),
    "openai": mv.OpenAIVideos(api_key="sandbox", base_url=f"{HOME}/openai/v1", vendor_dates=True),
    "vertex": mv.Veo(
        project="p",
        credentials=mv.BearerToken("sandbox"),
        output_uri="gs://mine/runs",
        base_url=f"{HOME}/vertex",
        vendor_dates=True,
    ),
    "vertex-inline": mv.Veo(
        project="p", credentials=mv.BearerToken("sandbox"), base_url=f"{HOME}/vertex", vendor_dates=True
    ),
    "gemini": mv.Veo(api_key="sandbox", base_url=f"{HOME}/gemini", vendor_dates=True),
}
Opened = Callable[..., mv.AsyncClient]
WISH: dict[str, Any] = {"duration": 4, "resolution": "720p", "sidecar": False}


@pytest.fixture
def opened(clock: VirtualClock, emulator: Emulator, tmp_path: Path) -> Opened:
    """Makes clients of one account that share their books."""

    def make(account: str, home: str = "home") -> mv.AsyncClient:
        client = mv.AsyncClient.sandbox(emulator=emulator, clock=clock, home=tmp_path / home)
        client.providers = (ACCOUNTS[account],)
        return client

    return make


def of_another_process(client: mv.AsyncClient) -> mv.AsyncClient:
    """The client, as if it lived in the process that started ours."""
    journal = client._driver.journal
    host, _, _, number = journal.owner.split("|")
    began = Path(f"/proc/{os.getppid()}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19]
    journal.owner = f"{host}|{os.getppid()}|{began}|{number}"
    return client


def rows(client: mv.AsyncClient) -> list[AttemptRow]:
    """Every attempt of the books."""
    journal = client._driver.journal
    with sqlite3.connect(journal.store.path or "") as books:
        jobs = [row[0] for row in books.execute("SELECT id FROM jobs ORDER BY created_ms, id")]
    found = [journal.job(job_id) for job_id in jobs]
    return [row for each in found if each is not None for row in each[1]]


async def lose(client: mv.AsyncClient, emulator: Emulator, save_to: Path, *, made: bool = True) -> mv.OutcomeUnknown:
    """Send a job whose answer is lost; not `made`: it never arrived either."""
    door = {"kling": "kling", "openai": "openai", "vertex": "vertex", "gemini": "gemini"}[client.providers[0].path]
    words: dict[str, Any] = {"made_drop" if made else "submit_drop": True}
    emulator.fault(door, **words)
    with pytest.raises(mv.OutcomeUnknown) as caught:
        await client.generate(PROMPT, **WISH, save_to=save_to)
    await client.aclose()
    return caught.value


@pytest.mark.parametrize(
    ("account", "certainty"),
    [("kling", "reported"), ("kling-legacy", "reported"), ("openai", "derived"), ("vertex", "derived")],
)
async def test_a_job_whose_answer_was_lost_is_found_again_and_finished(
    opened: Opened, emulator: Emulator, tmp_path: Path, account: str, certainty: str
) -> None:
    lost = await lose(opened(account), emulator, tmp_path / "boat.mp4")
    client = opened(account)
    assert client.credits.held > mv.usd(0)
    report = await client.recover()
    [video] = report.videos
    assert (report.still_running, report.failed, report.unresolved) == ((), (), ())
    assert (video.path, video.job_id, video.prompt) == (tmp_path / "boat.mp4", lost.job_id, None)
    assert video.check.ok
    assert (video.charge.micro_usd, video.certainty) == (emulator.charged(), certainty)
    assert (client.credits.held, client.credits.spent()) == (mv.usd(0), video.charge)
    assert client.credits.unresolved() == ()
    assert emulator.count() == 1, "nothing is submitted"
    client.credits.verify()
    assert str(await client.recover()) == "nothing was open"


@pytest.mark.parametrize("account", ["vertex-inline", "gemini"])
@pytest.mark.parametrize("outcome", ["charged", "not_charged"])
async def test_what_no_vendor_can_be_asked_for_stays_held_until_somebody_says(
    opened: Opened, emulator: Emulator, tmp_path: Path, account: str, outcome: Any
) -> None:
    lost = await lose(opened(account), emulator, tmp_path / "boat.mp4")
    client = opened(account)
    [told] = (await client.recover()).unresolved
    assert told.attempt_id == lost.attempt_id
    assert "cannot be asked" in told.hint
    assert client.credits.held == told.held > mv.usd(0)
    client.credits.resolve(told.attempt_id, outcome=outcome, by="ops", note="looked into the console")
    assert client.credits.held == mv.usd(0)
    assert client.credits.spent() == (told.held if outcome == "charged" else mv.usd(0))
    [over] = client.jobs("failed")
    assert over.id == lost.job_id, "the job is closed with its last open attempt"
    assert str(await client.recover()) == "nothing was open"
    assert emulator.count() == 1
    client.credits.verify()


@pytest.mark.parametrize("account", ["kling", "kling-legacy"])
async def test_what_never_arrived_is_proven_absent_after_the_quarantine(
    opened: Opened, emulator: Emulator, clock: VirtualClock, tmp_path: Path, account: str
) -> None:
    sent = clock.wall()
    await lose(opened(account), emulator, tmp_path / "boat.mp4", made=False)
    client = opened(account)
    report = await client.recover()
    assert clock.wall() - sent >= 300
    [error] = report.failed
    assert (error.charged, report.unresolved, emulator.count()) == ("no", (), 0)
    assert "never reached" in error.what
    assert [row.state for row in rows(client)] == ["absent"]
    assert (client.credits.held, client.credits.spent()) == (mv.usd(0), mv.usd(0))
    assert await client.recover() == type(report)()


@pytest.mark.parametrize("account", ["openai", "vertex"])
async def test_a_list_without_the_job_proves_nothing(
    opened: Opened, emulator: Emulator, tmp_path: Path, account: str
) -> None:
    await lose(opened(account), emulator, tmp_path / "boat.mp4", made=False)
    client = opened(account)
    [told] = (await client.recover()).unresolved
    assert "proves nothing" in told.hint
    assert [row.state for row in rows(client)] == ["unknown"]
    assert client.credits.held == told.held


async def test_a_recovery_that_may_not_wait_says_that_it_is_not_over(
    opened: Opened, emulator: Emulator, clock: VirtualClock, tmp_path: Path
) -> None:
    await lose(opened("kling"), emulator, tmp_path / "boat.mp4", made=False)
    client, began = opened("kling"), clock.wall()
    [told] = (await client.recover(deadline=20)).unresolved
    assert clock.wall() - began <= 20
    assert "recover again later" in told.hint
    assert [row.state for row in rows(client)] == ["unknown"]


async def test_of_two_that_are_alike_neither_is_taken(opened: Opened, emulator: Emulator, tmp_path: Path) -> None:
    await opened("openai", "another home").submit(PROMPT, **WISH, save_to=tmp_path / "theirs.mp4")
    await lose(opened("openai"), emulator, tmp_path / "boat.mp4")
    client = opened("openai")
    report = await client.recover()
    [told] = report.unresolved
    assert all(job.id in told.hint for job in emulator.jobs())
    assert (report.videos, client.credits.held) == ((), told.held)


async def test_a_job_that_the_books_know_is_not_taken_for_another_one(
    opened: Opened, emulator: Emulator, tmp_path: Path
) -> None:
    first = await opened("openai").submit(PROMPT, **WISH, save_to=tmp_path / "first.mp4")
    await lose(opened("openai"), emulator, tmp_path / "second.mp4", made=False)
    client = opened("openai")
    report = await client.recover()
    [told] = report.unresolved
    assert told.job_id != first.id
    await lose(opened("openai"), emulator, tmp_path / "third.mp4")
    report = await client.recover()  # two are lost, one of them was made
    assert (len(report.videos), len(report.unresolved)) == (1, 1)
    await first.wait()
    known = [row.remote_id for row in rows(client) if row.remote_id is not None]
    assert sorted(known) == sorted(job.id for job in emulator.jobs())
    assert client.credits.spent().micro_usd == emulator.charged()
    client.credits.verify()


@pytest.mark.parametrize(
    ("word", "kind", "charged"),
    [("generation_failed", mv.GenerationFailed, "no"), ("risk_control", mv.ContentFiltered, "no")],
)
async def test_a_job_that_failed_after_the_crash_is_told_and_settled(
    opened: Opened, emulator: Emulator, tmp_path: Path, word: str, kind: type[mv.MultiVideoError], charged: str
) -> None:
    async with opened("kling") as gone:
        job = await gone.submit(f"{PROMPT} {word}", **WISH, save_to=tmp_path / "boat.mp4")
    client = opened("kling")
    report = await client.recover()
    [error] = report.failed
    assert (type(error), error.charged, error.job_id) == (kind, charged, job.id)
    assert PROMPT not in str(error)
    assert (client.credits.held, client.credits.spent().micro_usd) == (mv.usd(0), emulator.charged())
    assert client.jobs("open") == ()


async def test_a_job_that_runs_longer_than_the_recovery_may_is_handed_back(
    opened: Opened, emulator: Emulator, tmp_path: Path
) -> None:
    async with opened("kling") as gone:
        await gone.submit(PROMPT, **WISH, save_to=tmp_path / "boat.mp4")
    client = opened("kling")
    [job] = (await client.recover(deadline=10)).still_running
    assert client.credits.held > mv.usd(0)
    assert (await job.wait()).path == tmp_path / "boat.mp4"
    assert (client.credits.held, emulator.count()) == (mv.usd(0), 1)


async def test_a_job_whose_provider_is_not_configured_waits_for_one_where_it_is(
    opened: Opened, emulator: Emulator, tmp_path: Path
) -> None:
    await lose(opened("openai"), emulator, tmp_path / "lost.mp4")
    async with opened("openai") as gone:
        await gone.submit(f"{PROMPT}.", **WISH, save_to=tmp_path / "boat.mp4")
    report = await opened("kling").recover()
    assert (report.videos, len(report.failed)) == ((), 1)
    assert "not configured" in report.failed[0].what
    assert "configure the provider 'openai'" in report.unresolved[0].hint
    client = opened("openai")
    videos = (await client.recover()).videos
    assert sorted(video.path.name for video in videos) == ["boat.mp4", "lost.mp4"]
    assert (client.credits.held, emulator.count()) == (mv.usd(0), 2)


async def test_of_two_that_recover_at_once_one_does_the_job(opened: Opened, emulator: Emulator, tmp_path: Path) -> None:
    async with opened("kling") as gone:
        await gone.submit(PROMPT, **WISH, save_to=tmp_path / "boat.mp4")
    await lose(opened("kling"), emulator, tmp_path / "lost.mp4")
    videos: list[mv.Video] = []
    others = opened("kling"), of_another_process(opened("kling"))

    async def recover(client: mv.AsyncClient) -> None:
        report = await client.recover()
        videos.extend(report.videos)
        assert (report.failed, report.unresolved, report.still_running) == ((), (), ())

    async with anyio.create_task_group() as tasks:
        for client in others:
            tasks.start_soon(recover, client)
    assert sorted(video.path.name for video in videos) == ["boat.mp4", "lost.mp4"]
    assert [job.downloads for job in emulator.jobs()] == [1, 1]
    others[0].credits.verify()


async def test_what_another_process_drives_is_left_alone(opened: Opened, emulator: Emulator, tmp_path: Path) -> None:
    living = of_another_process(opened("kling"))
    job = await living.submit(PROMPT, **WISH, save_to=tmp_path / "boat.mp4")
    client = opened("kling")
    report = await client.recover(deadline=5)
    assert (report.videos, report.still_running, report.unresolved) == ((), (), ())
    assert report.elsewhere == (job.id,)
    assert f"{job.id}: another process drives it" in str(report)
    assert (await living.recover(deadline=0.1)).elsewhere == ()
    assert [row.state for row in rows(client)] == ["accepted"]


async def test_the_first_paid_call_tells_of_what_was_left_open(
    opened: Opened, emulator: Emulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened("kling") as gone:
        left = await gone.submit(PROMPT, **WISH, save_to=tmp_path / "boat.mp4")
    told: list[mv.Event] = []
    client = opened("kling")
    with caplog.at_level(logging.WARNING, "multivideo"):
        await client.generate(PROMPT, **WISH, save_to=tmp_path / "a.mp4", on_event=told.append)
        await client.generate(PROMPT, **WISH, save_to=tmp_path / "b.mp4", on_event=told.append)
    assert [event.job_ids for event in told if isinstance(event, mv.LeftOpen)] == [(left.id,)]
    assert caplog.text.count("still open") == 1
    assert [video.job_id for video in (await client.recover()).videos] == [left.id]


async def test_takes_that_were_fetched_before_the_crash_stay_as_they_are(
    opened: Opened, emulator: Emulator, tmp_path: Path
) -> None:
    with anyio.CancelScope() as crash:

        def stop(event: mv.Event) -> None:
            if isinstance(event, mv.Settled):
                crash.cancel()

        async with opened("kling") as gone:
            await gone.generate(PROMPT, **WISH, count=2, save_to=tmp_path / "boat.mp4", on_event=stop)
    before = (tmp_path / "boat.mp4").stat()
    assert not (tmp_path / "boat-2.mp4").exists()
    client = opened("kling")
    [open_job] = client.jobs("open")
    video = await (await client.resume(open_job.id)).wait()
    assert [take.path.name for take in video.takes] == ["boat.mp4", "boat-2.mp4"]
    after = (tmp_path / "boat.mp4").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert video.check.ok
    assert (video.charge.micro_usd, client.credits.spent()) == (emulator.charged(), video.charge)
    assert [job.downloads for job in emulator.jobs()] == [1, 1]
    assert str(await client.recover()) == "nothing was open"


async def test_a_take_that_was_moved_away_is_not_fetched_again(
    opened: Opened, emulator: Emulator, tmp_path: Path
) -> None:
    with anyio.CancelScope() as crash:
        async with opened("kling") as gone:
            await gone.generate(
                PROMPT,
                **WISH,
                count=2,
                save_to=tmp_path / "boat.mp4",
                on_event=lambda event: crash.cancel() if isinstance(event, mv.Settled) else None,
            )
    (tmp_path / "boat.mp4").rename(tmp_path / "mine.mp4")
    [video] = (await opened("kling").recover()).videos
    assert len(video.takes) == 1
    assert [fault.name for fault in video.check.faults] == ["takes"]
    assert video.charge.micro_usd == emulator.charged()


async def test_a_second_call_whose_answer_was_lost_joins_the_first(
    opened: Opened, emulator: Emulator, tmp_path: Path
) -> None:
    told: list[mv.Event] = []

    def lose_the_next(event: mv.Event) -> None:
        told.append(event)
        if isinstance(event, mv.Submitted):
            emulator.fault("kling", made_drop=True)

    async with opened("kling") as gone:
        video = await gone.generate(PROMPT, **WISH, count=2, save_to=tmp_path / "boat.mp4", on_event=lose_the_next)
        assert len(video.takes) == 1
        assert gone.credits.held == video.charge
        assert gone._driver.journal._leases == {}
    client = opened("kling")
    [whole] = (await client.recover()).videos
    assert [take.path.name for take in whole.takes] == ["boat.mp4", "boat-2.mp4"]
    assert client.credits.spent() == whole.charge == video.charge + video.charge
    assert (client.credits.held, emulator.count()) == (mv.usd(0), 2)
    assert str(await client.recover()) == "nothing was open"


async def test_the_quarantine_counts_from_the_last_try(
    opened: Opened, emulator: Emulator, clock: VirtualClock, tmp_path: Path
) -> None:
    emulator.fault("kling", submit={"value": 429, "times": 6}, submit_drop="@7")
    client = opened("kling")
    began = clock.wall()
    with pytest.raises(mv.OutcomeUnknown):
        await client.generate(PROMPT, **WISH, save_to=tmp_path / "boat.mp4")
    last = clock.wall()
    [row] = rows(client)
    assert last - began > 5
    assert row.sent_ms == int(last * 1000)
    await client.recover()
    assert clock.wall() - last >= 300


async def test_a_job_that_somebody_took_over_is_not_sent_again(
    opened: Opened, emulator: Emulator, tmp_path: Path
) -> None:
    emulator.fault("kling", submit={"value": 429, "times": 1})

    def take_over(event: mv.Event) -> None:
        if isinstance(event, mv.Retried):
            with sqlite3.connect(client._driver.journal.store.path or "") as books:
                books.execute("UPDATE jobs SET owner = 'somebody'")

    client = opened("kling")
    with pytest.raises(mv.LedgerError, match="taken over"):
        await client.generate(PROMPT, **WISH, save_to=tmp_path / "boat.mp4", on_event=take_over)
    assert emulator.count() == 0


async def test_a_submit_that_takes_long_is_not_taken_for_dead(
    opened: Opened, emulator: Emulator, clock: VirtualClock, tmp_path: Path
) -> None:
    emulator.fault("kling", submit={"value": 429, "times": 12})
    slow = of_another_process(opened("kling"))
    made: list[mv.Video] = []

    async def generate() -> None:
        made.append(await slow.generate(PROMPT, **WISH, save_to=tmp_path / "boat.mp4"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(generate)
        while not made:
            await clock.sleep(45)
            report = await opened("kling").recover(deadline=1)
            assert (report.failed, report.unresolved) == ((), ())
    assert clock.monotonic() > 120
    assert (emulator.count(), slow.credits.spent()) == (1, made[0].charge)


async def test_a_relative_target_is_where_it_was_when_it_was_asked_for(
    opened: Opened, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    async with opened("kling") as gone:
        await gone.submit(PROMPT, **WISH, save_to="clips/")
    monkeypatch.chdir(tmp_path / "there")
    [video] = (await opened("kling").recover()).videos
    assert video.path.parent == tmp_path / "here" / "clips"
    assert os.listdir(tmp_path / "there") == []


async def test_an_unknown_outcome_holds_and_blocks_a_budget(opened: Opened, emulator: Emulator, tmp_path: Path) -> None:
    client = opened("gemini")
    client.credits.budget(mv.usd("2"))  # one take of four seconds is 1.60 USD
    lost = await lose(client, emulator, tmp_path / "boat.mp4")
    await client.recover()
    with pytest.raises(mv.BudgetExceeded):
        await client.generate(PROMPT, **WISH, save_to=tmp_path / "next.mp4")
    client.credits.resolve(str(lost.attempt_id), outcome="not_charged", by="ops", note="looked into the console")
    await client.generate(PROMPT, **WISH, save_to=tmp_path / "next.mp4")
    assert emulator.count() == 2


@pytest.mark.parametrize("late", [True, False], ids=["late", "never"])
async def test_takes_that_lie_in_a_bucket_one_by_one_are_waited_for(
    opened: Opened, emulator: Emulator, clock: VirtualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    client = opened("vertex")
    emulator.fault("vertex", made_drop=True)
    with pytest.raises(mv.OutcomeUnknown):
        await client.generate(PROMPT, duration=4, resolution="720p", count=2, save_to=tmp_path / "boat.mp4")
    await clock.sleep(120)
    shown, until = JobStatus.__init__, clock.wall() + (300 if late else 9e9)

    def one_by_one(self: JobStatus, *facts: Any, **more: Any) -> None:
        hidden = more.get("may_grow") and clock.wall() < until
        shown(self, *facts, **(more | {"assets": more["assets"][:1]} if hidden else more))

    monkeypatch.setattr(JobStatus, "__init__", one_by_one)
    [video] = (await opened("vertex").recover()).videos
    assert len(video.takes) == (2 if late else 1)
    assert video.charge == mv.usd("3.20" if late else "1.60")
    assert video.check.ok is late, "a take that never came is told"


async def test_an_id_that_could_not_be_written_comes_to_the_books_with_the_reference(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise mv.LedgerError("The disk is full.")

    gone, client = opened("kling"), opened("kling")
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "accepted", full)
        job = await gone.submit(PROMPT, **WISH, save_to=tmp_path / "boat.mp4")
    await gone.aclose()
    assert [row.state for row in rows(client)] == ["sending"]
    video = await (await client.resume(job.ref.to_json())).wait()
    assert video.check.ok
    [row] = rows(client)
    assert (row.state, row.remote_id) == ("succeeded", job.ref.attempts[0].vendor.remote_id)
    assert client.credits.spent() == video.charge
    assert not client.credits.held
    client.credits.verify()
