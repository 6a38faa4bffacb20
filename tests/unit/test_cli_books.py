"""The commands about money and open jobs: `credits`, `jobs` and `recover`, on the emulator's own books."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import asdict, frozen

import multivideo as mv
from multivideo import cli
from multivideo.ledger import book
from multivideo.ledger.records import AttemptState, NewAttempt, NewJob
from multivideo.ledger.store import Db, Store
from multivideo.values.refs import AttemptRef

Said = Callable[..., tuple[int, str, str]]
AT = 1_793_527_200_000  # 2026-11-01 10:00 UTC


@pytest.fixture(autouse=True)
def no_keys_and_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if re.match("KLING|GOOGLE_|GEMINI_|VERTEX_|OPENAI_|MULTIVIDEO_", name):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MULTIVIDEO_HOME", str(tmp_path / "home"))


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    def run(*words: str) -> tuple[int, str, str]:
        code = cli.main(words)
        out, err = capsys.readouterr()
        return code, out, err

    return run


@frozen
class Books:
    """What earlier commands have written into the emulator's books."""

    store: Store

    def send(self, name: str, held: str = "2", **tags: str) -> None:
        """A job up to the moment at which its first byte may have left."""
        vendor = mv.VendorRef("kling", "kling", "kling-3.0", "kling-v3", "")
        call = AttemptRef(name, vendor, "text", "720p", 5, 1280, 720, 24, False, 1, 2_000_000, AT / 1000)
        job = NewJob(id=f"mv-{name}", request_print="r", prompt_print="p", save_to="fox.mp4", tags=tags)
        attempt = NewAttempt(
            id=name,
            job_id=job.id,
            provider="kling",
            model="kling-3.0",
            call=json.dumps(asdict(call)),
            held=mv.usd(held),
        )

        def work(db: Db) -> None:
            book.prepare(db, job, attempt, now_ms=AT, owner="gone", lease_ms=AT, live=False)
            book.sending(db, name, now_ms=AT)

        self.store.write(work)

    def accept(self, name: str, **tags: str) -> None:
        self.send(name, **tags)
        self.store.write(lambda db: book.accept(db, name, f"task-{name}", now_ms=AT))

    def lose(self, name: str, **tags: str) -> None:
        self.send(name, **tags)
        self.store.write(lambda db: book.unknown(db, name, "reset"))

    def spend(self, name: str, charge: str, certainty: str, **tags: str) -> None:
        self.accept(name, **tags)
        state = AttemptState.SUCCEEDED
        self.store.write(lambda db: book.end(db, name, state, mv.usd(charge), certainty, now_ms=AT, live=False))
        self.store.write(lambda db: book.end_job(db, f"mv-{name}", ("fox.mp4",), now_ms=AT))


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    store = Store(tmp_path / "home" / "sandbox" / "ledger.db", live=False)
    yield Books(store)
    store.close()


def cells(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


# credits


def test_credits_of_nobody_are_zero_and_write_nothing(said: Said, tmp_path: Path) -> None:
    code, out, err = said("credits")
    assert (code, err) == (0, "")
    assert cells(out.splitlines()[0]) == ["balance", "0 credits (0.00 USD)"]
    assert said("credits", "verify")[0] == said("credits", "statement")[0] == said("jobs")[0] == 0
    assert list(tmp_path.iterdir()) == []


def test_what_is_left_held_and_spent_is_told_with_how_sure_it_is(said: Said, books: Books) -> None:
    books.spend("a", "1.50", "reported")
    books.spend("b", "0.50", "assumed")
    books.lose("c")
    code, out, _ = said("credits", "--sandbox")
    assert code == 0
    assert [cells(line) for line in out.splitlines()] == [
        ["balance", "-400 credits (-4.00 USD)"],
        ["held", "200 credits (2.00 USD)"],
        ["spent", "200 credits (2.00 USD): 1.50 USD reported, 0.00 USD derived, 0.50 USD assumed"],
        ["unsure", "2, listed by `multivideo credits unresolved`"],
    ]
    told = json.loads(said("credits", "balance", "--sandbox", "--json")[1])
    assert (told["held"], told["unresolved"]) == ({"usd": "2", "micro_usd": 2_000_000}, 2)
    assert told["by_certainty"]["assumed"] == {"usd": "0.5", "micro_usd": 500_000}


@pytest.mark.parametrize("words", [("--json", "--sandbox", "credits", "balance"), ("credits", "--sandbox", "balance")])
def test_the_emulators_books_are_not_the_live_ones(said: Said, books: Books, words: tuple[str, ...]) -> None:
    books.spend("a", "1.50", "reported")
    if words[0] == "--json":  # options stand after the command
        assert said(*words)[0] == 2
        return
    assert "spent    150 credits" in said(*words)[1]
    assert "spent    0 credits" in said("credits")[1]


def test_spending_by_a_tag_has_a_line_for_each_value_and_a_sum(said: Said, books: Books) -> None:
    books.spend("a", "1.50", "reported", project="coast")
    books.spend("b", "0.50", "reported")
    code, out, _ = said("credits", "spent", "--by", "tag:project", "--sandbox")
    assert code == 0
    assert [cells(line) for line in out.splitlines()] == [
        ["tag:project", "spent"],
        ["(none)", "0.50 USD"],
        ["coast", "1.50 USD"],
        ["in all", "2.00 USD"],
    ]
    told = json.loads(said("credits", "spent", "--by", "model", "--since", "2026-11-01", "--sandbox", "--json")[1])
    assert told == {"by": "model", "spent": {"kling-3.0": {"usd": "2", "micro_usd": 2_000_000}}}
    assert said("credits", "spent", "--until", "2026-11-01", "--sandbox")[1] == "0 credits (0.00 USD)\n"


def test_the_statement_is_a_table_or_rows(said: Said, books: Books) -> None:
    books.spend("a", "1.50", "reported", project="coast")
    _, out, _ = said("credits", "statement", "--sandbox")
    assert [cells(line)[1] for line in out.splitlines()] == ["kind", "hold", "settle", "release"]
    rows = json.loads(said("credits", "statement", "--sandbox", "--json")[1])["rows"]
    assert [(row["kind"], row["amount_usd"]) for row in rows] == [
        ("hold", "2.000000"),
        ("settle", "1.500000"),
        ("release", "0.500000"),
    ]
    assert json.loads(said("credits", "statement", "--until", "2026-11-01", "--sandbox", "--json")[1]) == {"rows": []}


def test_an_export_writes_the_file_and_says_where(said: Said, books: Books, tmp_path: Path) -> None:
    books.spend("a", "1.50", "reported")
    target = tmp_path / "november.csv"
    assert said("credits", "export", str(target), "--sandbox") == (0, f"{target}\n", "")
    assert len(target.read_text(encoding="utf-8").splitlines()) == 4


def test_funds_and_budgets_are_set_and_shown(said: Said, tmp_path: Path) -> None:
    code, out, _ = said("credits", "fund", "50", "--note", "November", "--sandbox")
    assert (code, cells(out.splitlines()[0])) == (0, ["balance", "5000 credits (50.00 USD)"])
    words = ("--tag", "project=coast", "--model", "veo", "--provider", "vertex", "--period", "month")
    code, out, _ = said("credits", "budget", "20", *words, "--sandbox")
    name = "month, model=veo-3.1, provider=vertex, tag project=coast"
    assert [cells(line) for line in out.splitlines()] == [["budget", "of", "left"], [name, "20.00 USD", "20.00 USD"]]
    [told] = json.loads(said("credits", "budgets", "--sandbox", "--json")[1])["budgets"]
    assert (told["id"], told["tags"], told["left"]["usd"]) == (name, {"project": "coast"}, "20")
    assert said("credits", "budgets")[1] == "There are no budgets.\n"


def test_what_is_not_known_is_listed_resolved_and_refunded(said: Said, books: Books) -> None:
    books.lose("a", project="coast")
    _, out, _ = said("credits", "unresolved", "--sandbox")
    _, row, hint = out.splitlines()
    assert cells(row) == [
        "a",
        "unknown",
        "2026-11-01 10:00",
        "2.00 USD",
        "?",
        "kling-3.0@kling",
        "mv-a",
        "1",
        "project=coast",
    ]
    assert hint.startswith("next: client.recover() looks it up")
    words = ("--outcome", "charged", "--by", "ops", "--note", "on the bill", "--sandbox")
    assert said("credits", "resolve", "a", *words)[0] == 0
    assert said("credits", "refund", "a", "0.50", "--note", "credit note 7", "--sandbox")[0] == 0
    assert said("credits", "spent", "--sandbox")[1] == "150 credits (1.50 USD)\n"
    assert said("credits", "unresolved", "--sandbox")[1] == "Nothing is unresolved.\n"
    assert json.loads(said("credits", "unresolved", "--sandbox", "--json")[1]) == {"unresolved": []}


def test_what_the_bill_says_is_resolved_at_that_amount(said: Said, books: Books) -> None:
    books.lose("a")
    words = ("--outcome", "charged", "--amount", "1.25", "--by", "ops", "--note", "on the bill", "--sandbox")
    assert said("credits", "resolve", "a", *words)[0] == 0
    assert said("credits", "spent", "--sandbox")[1] == "125 credits (1.25 USD)\n"
    rows = json.loads(said("credits", "statement", "--sandbox", "--json")[1])["rows"]
    assert [(row["kind"], row["segment"], row["attempt"], row["by"]) for row in rows] == [
        ("hold", 1, "a", None),
        ("settle", 1, "a", "ops"),
        ("release", 1, "a", "ops"),
    ]
    [told] = json.loads(said("jobs", "--state", "failed", "--sandbox", "--json")[1])["jobs"]
    assert (told["id"], told["state"]) == ("mv-a", "failed")


def test_a_budget_is_taken_away(said: Said, books: Books) -> None:
    assert said("credits", "budget", "20", "--period", "month", "--sandbox")[0] == 0
    assert said("credits", "remove-budget", "month", "--sandbox") == (0, "There are no budgets.\n", "")
    code, _, err = said("credits", "remove-budget", "month", "--sandbox")
    assert (code, err.splitlines()[0]) == (2, 'InvalidRequest: budget cannot be "month".')


def test_books_that_do_not_agree_fail_the_command(said: Said, books: Books) -> None:
    books.spend("a", "1.50", "reported")
    assert said("credits", "verify", "--sandbox") == (0, "The books agree with themselves.\n", "")
    books.store.write(lambda db: db.all("UPDATE balances SET micro = micro + 1 WHERE account = 'held'"))
    code, out, err = said("credits", "verify", "--sandbox")
    assert (code, out) == (2, "")
    assert err.startswith("LedgerError: The books do not agree")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("fund", "much"), "Argument USD: 'much' is no amount of US dollars such as 2.50."),
        (("fund", "-5"), "amount cannot be -5.00 USD."),
        (("resolve", "a", "--by", "me"), "The following arguments are required: --outcome, --note."),
        (("resolve", "a", "--by", "", "--note", "", "--outcome", "charged"), "3 things in this request cannot be: "),
        (("export", "all.xlsx"), 'path cannot be "all.xlsx".'),
        (("spent", "--by", "month"), 'by cannot be "month".'),
        (("spent", "--since", "November"), "Argument --since: 'November' is no day such as 2026-08-01."),
        (("statement", "--since", "2026-11-02", "--until", "2026-11-01"), "since cannot be 2026-11-02."),
        (("money",), "Argument WHAT: invalid choice: 'money'"),
    ],
)
def test_what_cannot_be_is_told_like_every_other_error(said: Said, words: tuple[str, ...], what: str) -> None:
    code, out, err = said("credits", *words, "--sandbox")
    assert (code, out) == (2, "")
    assert err.startswith(f"InvalidRequest: {what}")
    assert json.loads(said("credits", *words, "--sandbox", "--json")[2])["error"] == "InvalidRequest"


# jobs and recover


def test_jobs_lists_what_is_open_with_vendor_ids_and_tags(said: Said, books: Books) -> None:
    books.accept("a", project="coast")
    books.lose("b")
    books.spend("c", "1", "reported")
    code, out, _ = said("jobs", "--state", "open", "--sandbox")
    assert code == 0
    assert [cells(line) for line in out.splitlines()] == [
        ["job", "state", "segment", "attempt", "model@path", "vendor id", "charged", "file", "tags"],
        ["mv-a", "open", "1", "a", "kling-3.0@kling", "task-a", "?", "fox.mp4", "project=coast"],
        ["mv-b", "unknown", "1", "b", "kling-3.0@kling", "?"],
    ]
    told = json.loads(said("jobs", "--sandbox", "--json")[1])
    [job], [lost] = told["jobs"], told["unresolved"]
    assert (job["id"], job["tags"], job["attempts"][0]["vendor"]["remote_id"]) == (
        "mv-a",
        {"project": "coast"},
        "task-a",
    )
    assert mv.JobRef.from_json(job["ref"]).job_id == "mv-a"
    assert (job["attempts"][0]["segment"], job["attempts"][0]["attempt_id"]) == (1, "a")
    assert (lost["job_id"], lost["segment"], lost["held"]["usd"]) == ("mv-b", 1, "2")
    assert said("jobs", "--state", "failed", "--sandbox")[1] == "No jobs are known.\n"


def test_jobs_lists_what_earlier_commands_have_finished(said: Said, books: Books) -> None:
    books.spend("c", "1", "reported", project="coast")
    books.accept("a")
    _, row = said("jobs", "--state", "finished", "--sandbox")[1].splitlines()
    made = ["mv-c", "finished", "1", "c", "kling-3.0@kling", "task-c"]
    assert cells(row) == [*made, "1.00 USD", "fox.mp4", "project=coast"]
    told = json.loads(said("jobs", "--state", "finished", "--sandbox", "--json")[1])
    [job] = told["jobs"]
    assert (job["id"], job["state"], job["files"], job["charge"]["usd"]) == ("mv-c", "finished", ["fox.mp4"], "1")
    assert told["unresolved"] == []
    every = json.loads(said("jobs", "--state", "all", "--limit", "1", "--sandbox", "--json")[1])["jobs"]
    assert len(every) == 1
    assert json.loads(said("jobs", "--state", "all", "--sandbox", "--since", "2030-01-01", "--json")[1])["jobs"] == []
    assert said("jobs", "--limit", "0", "--sandbox")[0] == 2


def test_recover_with_nothing_open_says_so(said: Said) -> None:
    assert said("recover", "--sandbox") == (0, "nothing was open\n", "")
    told = json.loads(said("recover", "--sandbox", "--json")[1])
    assert told == {"videos": [], "still_running": [], "failed": [], "unresolved": []}


def test_recover_fails_while_something_is_left(said: Said, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    from multivideo.jobs.recover import RecoveryReport

    books.accept("a")
    books.lose("b")
    asked = []

    def recover(self: mv.Client, *, deadline: float | None = None) -> Any:
        asked.append(deadline)
        [lost] = self.credits.unresolved()
        error = mv.GenerationFailed("It failed.", job_id="mv-c")
        return RecoveryReport((), self._client.jobs("open"), (error,), (lost,))

    monkeypatch.setattr(mv.Client, "recover", recover)
    code, out, _ = said("recover", "--deadline", "30", "--sandbox")
    assert (code, asked) == (1, [30.0])
    assert [line.split()[0] for line in out.splitlines()] == ["still", "failed", "unresolved"]
    told = json.loads(said("recover", "--sandbox", "--json")[1])
    assert [job["id"] for job in told["still_running"]] == ["mv-a"]
    assert (told["failed"][0]["error"], told["failed"][0]["job_id"]) == ("GenerationFailed", "mv-c")
    assert told["unresolved"][0]["attempt_id"] == "b"


@pytest.mark.usefixtures("deadline_after_the_submit")
def test_a_command_that_fails_names_its_own_jobs_alone(said: Said, books: Books) -> None:
    books.accept("a")
    words = ("--model", "veo-3.1-lite", "--duration", "4", "--deadline", "0.0001", "--sandbox", "--json")
    code, _, err = said("generate", "a fox", *words)
    told = json.loads(err)
    assert (code, told["error"]) == (1, "StillRunning")
    assert [job["job_id"] for job in told["jobs"]] == [told["job_id"]]


def test_what_generate_spends_stands_in_the_books(said: Said, tmp_path: Path) -> None:
    words = ("--model", "veo-3.1-lite", "--duration", "4", "--tag", "project=coast", "--sandbox")
    assert said("generate", "a fox in snow", *words, "--save-to", str(tmp_path / "fox.mp4"))[0] == 0
    told = json.loads(said("credits", "spent", "--by", "tag:project", "--sandbox", "--json")[1])
    assert told["spent"] == {"coast": {"usd": "0.2", "micro_usd": 200_000}}
    assert "snow" not in said("credits", "statement", "--sandbox", "--json")[1]
    assert said("credits", "verify", "--sandbox")[0] == 0
