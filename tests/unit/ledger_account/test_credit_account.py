"""The credit account as users see it: funds, budgets, reports and what nobody knows, in memory and in a file."""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import multivideo as mv
from multivideo.clock import VirtualClock
from multivideo.ledger import book, reports
from multivideo.ledger.account import CreditAccount
from multivideo.ledger.records import AttemptState, NewAttempt, NewJob
from multivideo.ledger.store import Db, Store

FIRST = dt.datetime(2026, 11, 1, 9, tzinfo=dt.UTC)
S = AttemptState
ZERO = mv.usd(0)


def day(number: int) -> dt.date:
    return dt.date(2026, 11, number)


class Books:
    """Books with an account, and the jobs that a driver would write into them."""

    def __init__(self, path: Path | None) -> None:
        self.store = Store(path)
        self.credits = CreditAccount(self.store, VirtualClock(FIRST.timestamp()), {"veo": "veo-3.1"})

    def write(self, work: Callable[[Db], None]) -> None:
        self.store.write(work)

    def send(
        self,
        name: str,
        held: str = "2",
        *,
        on: int = 1,
        model: str = "veo-3.1",
        provider: str = "vertex",
        brief: str | None = None,
        **tags: str,
    ) -> None:
        """A job up to the moment at which its first byte may have left."""
        job = NewJob(id=f"job-{name}", request_print="r", prompt_print="p", brief=brief, tags=tags)
        attempt = NewAttempt(id=name, job_id=job.id, provider=provider, model=model, call="{}", held=mv.usd(held))
        at = int((FIRST + dt.timedelta(days=on - 1)).timestamp() * 1000)

        def work(db: Db) -> None:
            book.prepare(db, job, attempt, now_ms=at, owner="me", lease_ms=at, live=True)
            book.sending(db, name, now_ms=at)

        self.write(work)

    def spend(self, name: str, charge: str, certainty: str = "derived", *, on: int = 1, **more: Any) -> None:
        """A job that has ended at that cost."""
        self.send(name, on=on, **more)
        at = int((FIRST + dt.timedelta(days=on - 1)).timestamp() * 1000)

        def work(db: Db) -> None:
            book.accept(db, name, f"task-{name}", now_ms=at)
            book.end(db, name, S.SUCCEEDED, mv.usd(charge), certainty, now_ms=at, live=True)

        self.write(work)

    def lose(self, name: str, said: str = "the connection was reset") -> None:
        self.write(lambda db: book.unknown(db, name, said))


@pytest.fixture(params=["memory", "file"])
def books(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Books]:
    books = Books(tmp_path / "home" / "ledger.db" if request.param == "file" else None)
    yield books
    books.store.close()


@pytest.fixture
def november(books: Books) -> Books:
    """Three vendors, two projects, two days and every certainty."""
    books.spend("a", "1.60", "derived", model="veo-3.1", provider="vertex", brief="environment", project="coast")
    books.spend("b", "0.63", "reported", model="kling-3.0", provider="kling", brief="brand_film", project="coast")
    books.spend("c", "0.80", "assumed", on=2, model="sora-2", provider="openai", project="city")
    books.spend("d", "0.40", "reported", on=2, model="kling-3.0", provider="kling")
    return books


def problems(error: pytest.ExceptionInfo[mv.InvalidRequest]) -> list[str]:
    return [problem.field for problem in error.value.problems]


# nothing yet


def test_before_the_first_write_everything_is_empty_and_nothing_is_written(tmp_path: Path) -> None:
    account = Books(tmp_path / "home" / "ledger.db").credits
    assert (account.balance, account.held, account.spent()) == (ZERO, ZERO, ZERO)
    assert (account.spent(by="model"), account.spent(by="tag:project"), account.budgets()) == ({}, {}, {})
    assert account.spent(by="certainty") == {"reported": ZERO, "derived": ZERO, "assumed": ZERO}
    assert (len(account.statement()), account.unresolved()) == (0, ())
    assert "balance 0 credits" in repr(account)
    account.verify()
    with pytest.raises(mv.InvalidRequest, match="attempt_id"):
        account.resolve("a", outcome="charged", by="ops", note="seen")
    with pytest.raises(mv.InvalidRequest, match="attempt_id"):
        account.refund("a", mv.usd("1"), note="seen")
    assert list(tmp_path.iterdir()) == []


def test_an_export_of_no_books_is_a_head_and_no_rows(tmp_path: Path) -> None:
    account = Books(tmp_path / "home" / "ledger.db").credits
    assert account.export(tmp_path / "all.csv").read_text(encoding="utf-8").startswith("number,time,kind,amount_usd,")
    assert json.loads(account.export(tmp_path / "all.json").read_text(encoding="utf-8")) == []


# funds and budgets


def test_without_funds_the_account_only_counts(books: Books) -> None:
    books.spend("a", "1.60")
    assert (books.credits.balance, books.credits.spent()) == (mv.usd("-1.60"), mv.usd("1.60"))


def test_funds_are_what_is_left_held_and_spent_together(books: Books) -> None:
    books.credits.fund(mv.usd("50"), note="November")
    books.spend("a", "1.60")
    books.send("b", "2.40")
    assert (books.credits.balance, books.credits.held) == (mv.usd("46"), mv.usd("2.40"))
    assert books.credits.balance + books.credits.held + books.credits.spent() == mv.usd("50")


def test_what_is_billed_beyond_all_funds_is_owed(books: Books) -> None:
    books.credits.fund(mv.usd("2"))
    books.spend("a", "2.25", "reported")
    assert books.credits.balance == mv.usd("-0.25")
    books.credits.fund(mv.usd("1"))
    assert books.credits.balance == mv.usd("0.75")


def test_a_job_beyond_the_funds_is_not_started(books: Books) -> None:
    books.credits.fund(mv.usd("1"))
    with pytest.raises(mv.InsufficientCredits):
        books.send("a", "2")
    assert books.credits.held == ZERO


def test_more_than_the_books_can_hold_is_refused(books: Books) -> None:
    books.credits.fund(mv.usd("9000000000000"))
    with pytest.raises(mv.InvalidRequest, match="amount"):
        books.credits.fund(mv.usd("9000000000000"))
    assert books.credits.balance == mv.usd("9000000000000")


def test_a_budget_stops_what_is_in_its_scope_and_nothing_else(books: Books) -> None:
    books.credits.budget(mv.usd("3"), tags={"project": "coast"}, model="veo-3.1", provider="vertex")
    books.send("a", project="coast", by="me")
    books.send("b", project="city")
    books.send("c", project="coast", model="kling-3.0", provider="kling")
    with pytest.raises(mv.BudgetExceeded, match="project=coast"):
        books.send("d", project="coast")


def test_a_budget_of_a_day_begins_anew_the_next_day(books: Books) -> None:
    limit = books.credits.budget(mv.usd("3"), period="day")
    books.send("a", on=1)
    assert books.credits.budgets() == {limit: mv.usd("1")}
    with pytest.raises(mv.BudgetExceeded, match="today"):
        books.send("b", on=1)
    books.send("b", on=2)


def test_the_same_scope_and_period_is_the_same_budget_with_a_new_amount(books: Books) -> None:
    one = books.credits.budget(mv.usd("3"), tags={"b": "2", "a": "1"}, period="month")
    two = books.credits.budget(mv.usd("5"), tags={"a": "1", "b": "2"}, period="month")
    assert one.id == two.id == "month, tag a=1, tag b=2"
    assert books.credits.budgets() == {two: mv.usd("5")}


def test_a_budget_is_taken_away_by_itself_or_by_its_id(books: Books) -> None:
    one, two = books.credits.budget(mv.usd("3")), books.credits.budget(mv.usd("4"), period="month")
    books.send("a")
    books.credits.remove_budget(one)
    assert books.credits.budgets() == {two: mv.usd("2")}
    with pytest.raises(mv.InvalidRequest, match="month"):
        books.credits.remove_budget(one.id)
    books.credits.remove_budget("month")
    assert (books.credits.budgets(), books.credits.held) == ({}, mv.usd("2"))
    books.send("b", "50")
    books.credits.verify()


def test_budgets_of_other_scopes_have_other_names(books: Books) -> None:
    scopes: list[dict[str, Any]] = [
        {},
        {"model": "x"},
        {"provider": "x"},
        {"tags": {"model": "x"}},
        {"tags": {"a": "1, tag b=2"}},
        {"tags": {"a": "1", "b": "2"}},
        {"tags": {"a=1, tag b": "2"}},
        {"period": "day"},
    ]
    assert len({books.credits.budget(mv.usd(1), **scope).id for scope in scopes}) == len(scopes)


def test_a_family_in_a_budget_means_its_flagship(books: Books) -> None:
    assert books.credits.budget(mv.usd("3"), model="veo").model == "veo-3.1"
    with pytest.raises(mv.BudgetExceeded):
        books.send("a", "4", model="veo-3.1")


# spent


def test_spending_is_told_in_all(november: Books) -> None:
    assert november.credits.spent() == mv.usd("3.43")


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("model", {"veo-3.1": "1.60", "kling-3.0": "1.03", "sora-2": "0.80"}),
        ("provider", {"vertex": "1.60", "kling": "1.03", "openai": "0.80"}),
        ("brief", {"environment": "1.60", "brand_film": "0.63", "": "1.20"}),
        ("day", {"2026-11-01": "2.23", "2026-11-02": "1.20"}),
        ("tag:project", {"coast": "2.23", "city": "0.80", "": "0.40"}),
        ("tag:nobody", {"": "3.43"}),
        ("certainty", {"reported": "1.03", "derived": "1.60", "assumed": "0.80"}),
    ],
)
def test_spending_is_told_by(november: Books, by: str, expected: dict[str, str]) -> None:
    found = november.credits.spent(by=by)
    assert found == {name: mv.usd(amount) for name, amount in expected.items()}
    assert sum(found.values(), ZERO) == november.credits.spent()


def test_a_time_begins_with_since_and_ends_before_until(november: Books) -> None:
    spent = november.credits.spent
    assert spent(since=day(2)) == mv.usd("1.20")
    assert spent(until=day(2)) == mv.usd("2.23")
    assert spent(since=FIRST, until=FIRST) == ZERO
    assert spent(since=FIRST, until=FIRST + dt.timedelta(milliseconds=1)) == mv.usd("2.23")
    assert spent(since=FIRST.replace(tzinfo=None)) == mv.usd("3.43")
    east = dt.timezone(dt.timedelta(hours=9))
    assert spent(until=FIRST.astimezone(east)) == ZERO
    assert spent(by="model", since=day(2)) == {"kling-3.0": mv.usd("0.40"), "sora-2": mv.usd("0.80")}


def test_what_is_billed_beyond_the_hold_and_what_is_given_back_counts(books: Books) -> None:
    books.spend("a", "2.50", "reported")
    books.credits.refund("a", mv.usd("1"), note="credit note 7")
    assert books.credits.spent() == mv.usd("1.50")
    assert books.credits.spent(by="provider") == {"vertex": mv.usd("1.50")}
    assert books.credits.spent(by="certainty")["reported"] == mv.usd("1.50")


# statement and export


def test_a_statement_has_every_line_with_all_that_is_known_of_it(november: Books) -> None:
    november.credits.fund(mv.usd("50"), note="November")
    statement = november.credits.statement()
    assert len(statement) == len(list(statement)) == 13
    hold, settle, release = list(statement)[:3]
    assert [row.kind for row in (hold, settle, release)] == ["hold", "settle", "release"]
    assert (settle.time, settle.amount, settle.certainty) == (FIRST, mv.usd("1.60"), "derived")
    assert (settle.model, settle.provider, settle.brief) == ("veo-3.1", "vertex", "environment")
    assert (settle.job, settle.segment, settle.attempt, settle.vendor_id) == ("job-a", 1, "a", "task-a")
    assert (settle.tags, settle.debit, settle.credit) == ({"project": "coast"}, "spent:vertex", "held")
    fund = list(statement)[-1]
    assert (fund.kind, fund.amount, fund.note, fund.job, fund.tags) == ("fund", mv.usd("50"), "November", None, {})
    assert (fund.segment, list(fund.plain())[9:12]) == (None, ["job", "segment", "attempt"])


def test_a_statement_prints_as_a_table(november: Books) -> None:
    head, first, *_ = str(november.credits.statement()).splitlines()
    assert head.split("  ")[0] == "time (UTC)"
    assert first.split() == [
        *("2026-11-01", "09:00:00", "hold", "2.00", "USD", "veo-3.1", "vertex", "job-a", "1", "a", "task-a"),
        "project=coast",
    ]
    assert repr(november.credits.statement()) == (
        "Statement(12 rows .. 2026-11-01T09:00:00.000Z .. 2026-11-02T09:00:00.000Z)"
    )
    assert "Nothing" in str(november.credits.statement(since=day(20)))


def test_a_statement_keeps_to_its_time(november: Books) -> None:
    rows = november.credits.statement(since=day(2), until=day(3))
    assert {row.attempt for row in rows} == {"c", "d"}


def test_a_long_vendor_id_is_short_in_the_table_and_whole_in_the_row(books: Books) -> None:
    name = "projects/p/locations/us-central1/operations/42"
    books.send("a")
    books.store.write(lambda db: book.accept(db, "a", name, now_ms=0))
    statement = books.credits.statement()
    assert [row.vendor_id for row in statement] == [name]
    assert str(statement).endswith("  1        a        42")


def test_a_note_of_two_lines_stays_one_row_of_the_table(books: Books) -> None:
    books.credits.fund(mv.usd("1"), note="one\n\ttwo")
    assert str(books.credits.statement()).splitlines()[1].endswith("one two")


def test_a_notebook_gets_a_table_of_the_newest_lines_in_which_nothing_is_html(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multivideo.ledger.statement.HTML_ROWS", 1)
    books.credits.fund(mv.usd("1"), note="first")
    books.credits.fund(mv.usd("1"), note="<script>")
    shown = books.credits.statement()._repr_html_()
    assert "&lt;script&gt;" in shown
    assert "1 earlier rows" in shown
    assert "first" not in shown


def test_a_long_statement_is_read_in_pages_without_a_gap(november: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = november.credits.statement()
    for size in (1, 5, 12):
        monkeypatch.setattr(reports, "PAGE", size)
        assert november.credits.statement() == whole


def test_lines_that_come_while_it_is_read_are_left_out(november: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "PAGE", 5)
    rows = reports.rows_between(november.store, reports.Span())
    read = [next(rows)]
    november.credits.fund(mv.usd("1"))
    assert [row.number for row in [*read, *rows]] == list(range(1, 13))


def test_an_export_is_exact_text_in_dollars(books: Books, tmp_path: Path) -> None:
    books.spend("a", "1.234567", "reported", project='Köln, "Altstadt"')
    target = books.credits.export(tmp_path / "november.csv")
    with target.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["kind"], Decimal(row["amount_usd"])) for row in rows] == [
        ("hold", Decimal(2)),
        ("settle", Decimal("1.234567")),
        ("release", Decimal("0.765433")),
    ]
    assert rows[1]["time"] == "2026-11-01T09:00:00.000Z"
    assert json.loads(rows[1]["tags"]) == {"project": 'Köln, "Altstadt"'}
    data = json.loads(books.credits.export(str(tmp_path / "november.JSON")).read_text(encoding="utf-8"))
    assert [row["amount_usd"] for row in data] == [row["amount_usd"] for row in rows]
    assert (data[1]["vendor_id"], data[1]["tags"], data[0]["note"]) == (
        "task-a",
        {"project": 'Köln, "Altstadt"'},
        None,
    )


def test_an_export_keeps_to_its_time(november: Books, tmp_path: Path) -> None:
    data = json.loads(november.credits.export(tmp_path / "two.json", day(2)).read_text(encoding="utf-8"))
    assert {row["job"] for row in data} == {"job-c", "job-d"}


def test_an_export_that_fails_leaves_the_old_file_and_no_other(
    november: Books, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "all.csv").write_text("old", encoding="utf-8")

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(mv.LedgerError, match="No space left") as error:
        november.credits.export(folder / "all.csv")
    assert error.value.field == "path"
    assert [(file.name, file.read_text(encoding="utf-8")) for file in folder.iterdir()] == [("all.csv", "old")]


def test_an_export_into_a_folder_that_is_not_there_says_so(november: Books, tmp_path: Path) -> None:
    with pytest.raises(mv.LedgerError, match="cannot be written") as error:
        november.credits.export(tmp_path / "none" / "all.csv")
    assert str(tmp_path / "none") in error.value.asked


# unresolved, resolve, refund


def test_what_is_not_known_is_listed_with_what_to_do(books: Books) -> None:
    books.spend("a", "1", "assumed", on=2, project="coast")
    books.send("b", project="city")
    books.send("c", on=3)
    books.lose("b")
    books.spend("d", "1", "reported")
    lost, sending, assumed = books.credits.unresolved()
    assert (lost.attempt_id, lost.job_id, lost.tags, lost.state) == ("b", "job-b", {"project": "city"}, "unknown")
    assert (lost.held, lost.charge, lost.since, lost.said) == (mv.usd("2"), None, FIRST, "the connection was reset")
    assert "credits.resolve" in lost.hint
    assert (sending.attempt_id, sending.state, sending.held) == ("c", "sending", mv.usd("2"))
    assert "recover" in sending.hint
    assert (assumed.attempt_id, assumed.state, assumed.vendor_id) == ("a", "succeeded", "task-a")
    assert (assumed.held, assumed.charge, assumed.provider, assumed.model) == (ZERO, mv.usd("1"), "vertex", "veo-3.1")
    assert "resolve" in assumed.hint


def test_the_word_that_nothing_was_charged_gives_the_hold_back(books: Books) -> None:
    books.send("a")
    books.lose("a")
    books.credits.resolve("a", outcome="not_charged", by="ops", note="not in the console")
    assert (books.credits.held, books.credits.spent(), books.credits.unresolved()) == (ZERO, ZERO, ())


def test_the_word_that_it_was_charged_settles_the_hold_as_reported(books: Books) -> None:
    books.send("a")
    books.lose("a")
    books.credits.resolve("a", outcome="charged", by="ops", note="on the bill")
    assert (books.credits.held, books.credits.unresolved()) == (ZERO, ())
    assert books.credits.spent(by="certainty")["reported"] == mv.usd("2")
    [settle] = [row for row in books.credits.statement() if row.kind == "settle"]
    assert (settle.by, settle.note) == ("ops", "on the bill")
    assert str(books.credits.statement()).endswith("on the bill (by ops)")


def test_the_amount_of_the_bill_counts_and_not_the_hold(books: Books) -> None:
    books.send("less")
    books.send("more")
    for name, amount in {"less": "1.25", "more": "2.50"}.items():
        books.lose(name)
        books.credits.resolve(name, outcome="charged", amount=mv.usd(amount), by="ops", note="on the bill")
    assert (books.credits.held, books.credits.spent(), books.credits.balance) == (ZERO, mv.usd("3.75"), mv.usd("-3.75"))
    told = [(row.kind, row.amount, row.by) for row in books.credits.statement() if row.note == "on the bill"]
    assert told == [
        ("settle", mv.usd("1.25"), "ops"),
        ("release", mv.usd("0.75"), "ops"),
        ("settle", mv.usd("2"), "ops"),
        ("overage", mv.usd("0.50"), "ops"),
    ]


def test_a_hold_that_was_given_back_by_hand_says_so_in_the_statement(books: Books) -> None:
    books.send("a")
    books.lose("a")
    books.credits.resolve("a", outcome="not_charged", by="ops", note="not in the console")
    assert str(books.credits.statement()).endswith("not in the console (by ops)")


@pytest.mark.parametrize(("outcome", "cost"), [("charged", "1"), ("not_charged", "0")])
def test_a_cost_that_was_assumed_can_be_confirmed_or_taken_back(books: Books, outcome: Any, cost: str) -> None:
    books.spend("a", "1", "assumed")
    books.credits.resolve("a", outcome=outcome, by="ops", note="the bill of November")
    assert (books.credits.spent(), books.credits.unresolved()) == (mv.usd(cost), ())
    assert books.credits.spent(by="certainty") == {"reported": mv.usd(cost), "derived": ZERO, "assumed": ZERO}


def test_what_is_known_is_not_resolved(books: Books) -> None:
    books.spend("a", "1", "reported")
    with pytest.raises(mv.InvalidRequest, match="attempt_id"):
        books.credits.resolve("a", outcome="charged", by="ops", note="again")
    assert books.credits.spent() == mv.usd("1")


def test_no_more_is_given_back_than_was_charged(books: Books) -> None:
    books.spend("a", "1", "reported")
    books.credits.refund("a", mv.usd("0.60"), note="credit note 7")
    with pytest.raises(mv.InvalidRequest, match="amount"):
        books.credits.refund("a", mv.usd("0.60"), note="once more")
    assert books.credits.spent() == mv.usd("0.40")


# what cannot be


def test_every_wrong_field_is_named_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    account: Any = Books(tmp_path / "ledger.db").credits
    with pytest.raises(mv.InvalidRequest) as error:
        account.fund(5.0, note=7)
    assert problems(error) == ["amount", "note"]
    with pytest.raises(mv.InvalidRequest) as error:
        account.budget(mv.usd("-1"), tags=["a"], model="veo-3.1@vertex", provider="", period="week")
    assert problems(error) == ["amount", "tags", "model", "provider", "period"]
    with pytest.raises(mv.InvalidRequest) as error:
        account.resolve(7, outcome="maybe", by=" ", note=None)
    assert problems(error) == ["attempt_id", "outcome", "by", "note"]
    with pytest.raises(mv.InvalidRequest) as error:
        account.resolve("a", outcome="charged", amount=1.5, by="ops", note="seen")
    assert problems(error) == ["attempt_id", "amount"]
    with pytest.raises(mv.InvalidRequest) as error:
        account.resolve("a", outcome="charged", amount=ZERO, by="ops", note="seen")
    assert problems(error) == ["attempt_id", "amount"]
    for amount in (mv.usd("1"), 7):
        with pytest.raises(mv.InvalidRequest, match='outcome="charged"') as error:
            account.resolve("a", outcome="not_charged", amount=amount, by="ops", note="seen")
        assert problems(error) == ["attempt_id", "amount"]
    with pytest.raises(mv.InvalidRequest, match="there is none") as error:
        account.remove_budget("month")
    assert problems(error) == ["budget"]
    with pytest.raises(mv.InvalidRequest) as error:
        account.refund("a", mv.usd("0"), note="")
    assert problems(error) == ["attempt_id", "amount", "note"]
    with pytest.raises(mv.InvalidRequest) as error:
        account.spent(by="month", since="2026-11-01", until=3)
    assert problems(error) == ["by", "since", "until"]
    with pytest.raises(mv.InvalidRequest) as error:
        account.export(tmp_path / "all.xlsx", day(2), day(1))
    assert problems(error) == ["path", "since"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("amount", [5, 5.0, "5", Decimal(5), True, None, math.inf])
def test_money_is_credits_and_nothing_else(books: Books, amount: Any) -> None:
    with pytest.raises(mv.InvalidRequest, match="amount"):
        books.credits.fund(amount)
    with pytest.raises(mv.InvalidRequest, match="amount"):
        books.credits.budget(amount)


@pytest.mark.parametrize("by", ["tag:", "tag:...", "", "Model", "certainty ", b"day", "tag:\ud800"])
def test_spending_is_told_by_known_words_only(books: Books, by: Any) -> None:
    if by == "tag:...":
        assert books.credits.spent(by=by) == {}
        return
    with pytest.raises(mv.InvalidRequest, match="by"):
        books.credits.spent(by=by)


@pytest.mark.parametrize("text", ["\0", "\ud800"])
def test_text_that_no_database_can_keep_is_refused(books: Books, text: str) -> None:
    books.send("a")
    books.lose("a")
    with pytest.raises(mv.InvalidRequest) as error:
        books.credits.resolve("a", outcome="charged", by=f"ops{text}", note=f"seen{text}")
    assert problems(error) == ["by", "note"]
    with pytest.raises(mv.InvalidRequest) as error:
        books.credits.budget(mv.usd("1"), tags={"a": text}, model=text, provider=text)
    assert problems(error) == ["tags", "model", "provider"]
    with pytest.raises(mv.InvalidRequest, match="path"):
        books.credits.export(f"a{text}.csv")


# verify and repr


def test_books_that_agree_pass(november: Books) -> None:
    november.credits.verify()


def test_a_balance_that_somebody_changed_is_named(november: Books) -> None:
    november.store.write(lambda db: db.all("UPDATE balances SET micro = micro + 1 WHERE account = 'held'"))
    with pytest.raises(mv.LedgerError, match="held"):
        november.credits.verify()


def test_a_repr_says_what_is_there_and_never_fails(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    books = Books(path)
    books.credits.fund(mv.usd("5"))
    assert repr(books.credits) == f"CreditAccount('{path}', balance 500 credits (5.00 USD), held 0 credits (0.00 USD))"
    assert repr(Books(None).credits).startswith("CreditAccount(in memory, ")
    books.store.close()
    path.write_bytes(b"no database at all, but long enough to be read as the head of one" * 9)
    assert "cannot be used" in repr(books.credits)
