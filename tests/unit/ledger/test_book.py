"""What may be written: a step at the wrong time is refused and changes nothing; a word by hand closes what it ends."""

from __future__ import annotations

from typing import Any

import pytest

from books import AT, NOW_MS, accept, hold, micro, pay, proof
from multivideo.errors import InvalidRequest, LedgerError
from multivideo.ledger import book, sql
from multivideo.ledger.records import AttemptState, Budget, Entry, JobRow, NewAttempt, NewJob
from multivideo.ledger.store import Db, Store
from multivideo.values.credits import Credits

S = AttemptState
WORD: dict[str, Any] = {"by": "ops", "note": "the bill of November", **AT}


@pytest.fixture
def store() -> Store:
    return Store(None)


def lose(db: Db, name: str, held: int = 100, **job: Any) -> None:
    hold(db, name, held, **job)
    book.sending(db, name, now_ms=NOW_MS)
    book.unknown(db, name, "reset")


def second_attempt(db: Db, job_id: str) -> None:
    """A second call of a job, accepted."""
    name = f"{job_id}-2"
    job = NewJob(id=job_id, request_print=f"print of {job_id}", prompt_print="p")
    attempt = NewAttempt(id=name, job_id=job_id, provider="veo", model="veo-3.1", call="{}", held=micro(100))
    book.prepare(db, job, attempt, owner="me", lease_ms=NOW_MS, **AT)
    book.sending(db, name, now_ms=NOW_MS)
    book.accept(db, name, name, now_ms=NOW_MS)


def entries(store: Store, *kinds: str) -> list[Entry]:
    rows = store.write(lambda db: db.all(sql.ENTRIES_AFTER, after=0, most=100))
    return [entry for entry in map(book.entry_of, rows) if entry.kind in kinds]


def job(store: Store, name: str) -> JobRow:
    [row] = store.write(lambda db: db.all(sql.JOB, id=name))
    return book.job_of(row)


def balance(store: Store, account: str) -> Credits:
    return store.write(lambda db: book.balance(db, account))


def used(store: Store) -> list[Any]:
    return store.write(lambda db: db.all(sql.BUDGET_USES))


def test_who_comes_second_must_not_send(store: Store) -> None:
    store.write(lambda db: hold(db, "a"))
    with pytest.raises(LedgerError, match="cannot become sending"):
        store.write(lambda db: book.sending_again(db, "a", now_ms=NOW_MS))
    store.write(lambda db: book.sending(db, "a", now_ms=NOW_MS))
    store.write(lambda db: book.sending_again(db, "a", now_ms=NOW_MS + 9))
    with pytest.raises(LedgerError, match="cannot become sending") as caught:
        store.write(lambda db: book.sending(db, "a", now_ms=NOW_MS))
    assert caught.value.charged == "unknown"


def test_what_the_books_do_not_know_is_told(store: Store) -> None:
    with pytest.raises(LedgerError, match="no attempt 'a'"):
        store.write(lambda db: book.void(db, "a", S.VOID, "x", **AT))
    with pytest.raises(LedgerError, match="no job 'a'"):
        store.write(lambda db: book._job(db, "a"))
    with pytest.raises(InvalidRequest, match="attempt_id"):
        store.write(lambda db: book.resolve(db, "a", "charged", **WORD))


def test_an_end_at_another_cost_is_refused_and_the_same_changes_nothing(store: Store) -> None:
    store.write(lambda db: pay(db, "a", 80))
    before = entries(store, "settle", "release")
    store.write(lambda db: book.end(db, "a", S.SUCCEEDED, micro(80), "reported", **AT))
    with pytest.raises(LedgerError, match="other content"):
        store.write(lambda db: book.end(db, "a", S.SUCCEEDED, micro(81), "reported", **AT))
    assert entries(store, "settle", "release") == before


def test_the_same_step_once_more_changes_nothing(store: Store) -> None:
    def everything() -> list[Any]:
        tables = ("jobs", "attempts", "entries", "balances")
        return [store.write(lambda db: db.all(f"SELECT * FROM {table}")) for table in tables]  # noqa: B023 - at once

    steps = [
        lambda db: hold(db, "a"),
        lambda db: book.sending(db, "a", now_ms=NOW_MS),
        lambda db: book.unknown(db, "a", "reset"),
        lambda db: book.accept(db, "a", "task-a", now_ms=NOW_MS),
    ]
    for number, step in enumerate(steps):
        store.write(step)
        before = everything()
        if number != 1:
            store.write(step)
        assert everything() == before
    store.write(lambda db: hold(db, "b"))
    for _ in range(2):
        store.write(lambda db: book.void(db, "b", S.VOID, "never sent", **AT))
    assert len(entries(store, "void")) == 1
    with pytest.raises(LedgerError, match="cannot become accepted"):
        store.write(lambda db: book.accept(db, "a", "another task", now_ms=NOW_MS))
    with pytest.raises(LedgerError, match="cannot become unknown"):
        store.write(lambda db: book.unknown(db, "b", "reset"))


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"request_print": "another"}, "job a"),
        ({"tags": {"project": "city"}}, "job a"),
        ({"segment": 2}, "attempt a"),
        ({"held": micro(1)}, "attempt a"),
    ],
)
def test_a_known_id_with_other_content_is_refused(store: Store, other: dict[str, Any], what: str) -> None:
    store.write(lambda db: hold(db, "a", tags={"project": "coast"}))
    facts = {"request_print": "print of a", "prompt_print": "p", "tags": {"project": "coast"}}
    made = {"segment": 1, "held": micro(100)}
    job = NewJob(id="a", **{name: other.get(name, value) for name, value in facts.items()})
    more = {name: other.get(name, value) for name, value in made.items()}
    attempt = NewAttempt(id="a", job_id="a", provider="veo", model="veo-3.1", call="{}", **more)
    with pytest.raises(LedgerError, match=f"know {what} already"):
        store.write(lambda db: book.prepare(db, job, attempt, owner="me", lease_ms=NOW_MS, **AT))


def test_a_state_that_may_not_follow_is_refused(store: Store) -> None:
    store.write(lambda db: hold(db, "a"))
    with pytest.raises(LedgerError, match="cannot become succeeded"):
        store.write(lambda db: book.end(db, "a", S.SUCCEEDED, micro(1), "reported", **AT))
    with pytest.raises(LedgerError, match="cannot become absent"):
        store.write(lambda db: book.void(db, "a", S.ABSENT, "not there", **AT))
    with pytest.raises(InvalidRequest, match="amount"):
        store.write(lambda db: book.fund(db, micro(0), "nothing", **AT))


def test_what_is_billed_beyond_funds_is_owed_and_paid_back_by_what_comes_in(store: Store) -> None:
    store.write(lambda db: book.fund(db, micro(120), "November", **AT))
    store.write(lambda db: pay(db, "a", 150))
    assert (balance(store, book.WALLET), balance(store, book.OVERDRAFT)) == (micro(0), micro(-30))
    for amount in (0, 151):
        with pytest.raises(InvalidRequest, match="amount"):
            store.write(lambda db: book.refund(db, "a", micro(amount), note="half", **AT))  # noqa: B023 - at once
    store.write(lambda db: book.refund(db, "a", micro(50), note="half", **AT))
    assert balance(store, book.OVERDRAFT) == micro(0)
    assert proof(store) == []


def test_a_job_that_has_ended_is_opened_again_by_a_new_attempt(store: Store) -> None:
    store.write(lambda db: pay(db, "a"))
    assert job(store, "a").ended_ms == NOW_MS
    store.write(lambda db: second_attempt(db, "a"))
    assert (job(store, "a").ended_ms, job(store, "a").owner) == (None, "me")


# by somebody's word


@pytest.mark.parametrize(
    ("amount", "lines"),
    [
        (None, [("settle", 100)]),
        (100, [("settle", 100)]),
        (60, [("settle", 60), ("release", 40)]),
        (130, [("settle", 100), ("overage", 30)]),
    ],
)
def test_an_amount_is_settled_within_the_hold_and_the_rest_released_or_booked_as_overage(
    store: Store, amount: int | None, lines: list[tuple[str, int]]
) -> None:
    store.write(lambda db: book.add_budget(db, Budget(id="all", amount=micro(1_000)), now_ms=0))
    store.write(lambda db: lose(db, "a"))
    said = None if amount is None else micro(amount)
    store.write(lambda db: book.resolve(db, "a", "charged", said, **WORD))
    made = entries(store, "settle", "release", "overage")
    assert [(entry.kind, entry.amount.micro_usd) for entry in made] == lines
    assert {(entry.by, entry.note) for entry in made} == {("ops", "the bill of November")}
    assert used(store) == [("all", "ever", amount or 100)]
    assert (job(store, "a").ended_ms, proof(store)) == (NOW_MS, [])


def test_a_hold_that_is_given_back_by_hand_says_who_said_so_and_why(store: Store) -> None:
    store.write(lambda db: lose(db, "a"))
    store.write(lambda db: book.resolve(db, "a", "not_charged", **WORD))
    [void] = entries(store, "void")
    assert (void.by, void.note, void.amount) == ("ops", "the bill of November", micro(100))
    row = store.write(lambda db: book.attempt_row(db, "a"))
    assert row is not None
    assert (row.state, row.said) == (S.ABSENT, "by ops: the bill of November")
    assert (job(store, "a").ended_ms, proof(store)) == (NOW_MS, [])


@pytest.mark.parametrize(
    ("assumed", "amount", "line"),
    [
        (70, 70, ("refund", 0)),
        (70, 90, ("overage", 20)),
        (70, 30, ("refund", 40)),
        (0, None, ("overage", 100)),
        (0, 25, ("overage", 25)),
    ],
)
def test_what_was_assumed_is_put_right_by_an_amount(
    store: Store, assumed: int, amount: int | None, line: tuple[str, int]
) -> None:
    store.write(lambda db: book.add_budget(db, Budget(id="all", amount=micro(1_000)), now_ms=0))
    store.write(lambda db: pay(db, "a", assumed, certainty="assumed"))
    said = None if amount is None else micro(amount)
    store.write(lambda db: book.resolve(db, "a", "charged", said, **WORD))
    [made] = entries(store, "refund", "overage")
    assert (made.kind, made.amount.micro_usd, made.by, made.note) == (*line, "ops", "the bill of November")
    charge = 100 if amount is None else amount
    row = store.write(lambda db: book.attempt_row(db, "a"))
    assert row is not None
    assert (row.charge, row.certainty) == (micro(charge), "reported")
    assert (used(store), proof(store)) == ([("all", "ever", charge)], [])


@pytest.mark.parametrize(
    ("outcome", "amount", "field"),
    [("not_charged", 1, "amount"), ("charged", 0, "amount"), ("charged", -1, "amount"), ("perhaps", None, "outcome")],
)
def test_a_word_that_contradicts_itself_is_refused(store: Store, outcome: str, amount: int | None, field: str) -> None:
    store.write(lambda db: lose(db, "a"))
    said = None if amount is None else micro(amount)
    with pytest.raises(InvalidRequest) as caught:
        store.write(lambda db: book.resolve(db, "a", outcome, said, **WORD))
    assert (caught.value.field, job(store, "a").ended_ms) == (field, None)


@pytest.mark.parametrize("outcome", ["charged", "not_charged"])
def test_a_job_of_which_something_else_is_open_stays_open(store: Store, outcome: str) -> None:
    store.write(lambda db: lose(db, "a"))
    store.write(lambda db: second_attempt(db, "a"))
    store.write(lambda db: book.resolve(db, "a", outcome, **WORD))
    assert (job(store, "a").ended_ms, job(store, "a").owner) == (None, "me")


def test_a_job_that_is_closed_by_hand_keeps_its_files_and_loses_its_lease(store: Store) -> None:
    def work(db: Db) -> None:
        lose(db, "a")
        second_attempt(db, "a")
        book.end(db, "a-2", S.SUCCEEDED, micro(100), "derived", **AT)
        book.end_job(db, "a", ("boat.mp4",), now_ms=NOW_MS)
        book.end_job(db, "a", (), now_ms=NOW_MS)

    store.write(work)
    assert (job(store, "a").ended_ms, job(store, "a").owner, job(store, "a").files) == (None, "me", ("boat.mp4",))
    store.write(lambda db: book.resolve(db, "a", "charged", **WORD))
    closed = job(store, "a")
    assert (closed.ended_ms, closed.owner, closed.lease_ms, closed.files) == (NOW_MS, None, 0, ("boat.mp4",))


# budgets


def test_a_budget_that_is_taken_away_lets_what_was_held_there_end_without_harm(store: Store) -> None:
    def work(db: Db) -> None:
        book.add_budget(db, Budget(id="all", amount=micro(300)), now_ms=0)
        book.add_budget(db, Budget(id="day", amount=micro(300), period="day"), now_ms=0)
        accept(db, "held")
        lose(db, "lost")
        pay(db, "paid", certainty="assumed")
        book.remove_budget(db, "all")

    store.write(work)
    assert [name for name, _, _ in used(store)] == ["day"]
    store.write(lambda db: hold(db, "more", 0))
    store.write(lambda db: book.end(db, "held", S.SUCCEEDED, micro(40), "reported", **AT))
    store.write(lambda db: book.resolve(db, "lost", "not_charged", **WORD))
    store.write(lambda db: book.resolve(db, "paid", "charged", micro(120), **WORD))
    store.write(lambda db: book.refund(db, "paid", micro(20), note="half", **AT))
    assert [micros for _, _, micros in used(store)] == [140]
    assert proof(store) == []


def test_a_budget_that_comes_back_counts_from_then_on(store: Store) -> None:
    limit = Budget(id="all", amount=micro(100))
    store.write(lambda db: book.add_budget(db, limit, now_ms=0))
    store.write(lambda db: accept(db, "a"))
    store.write(lambda db: book.remove_budget(db, "all"))
    store.write(lambda db: book.add_budget(db, limit, now_ms=0))
    store.write(lambda db: accept(db, "b"))
    store.write(lambda db: book.end(db, "a", S.SUCCEEDED, micro(100), "reported", **AT))
    assert (used(store), proof(store)) == ([("all", "ever", 100)], [])


@pytest.mark.parametrize("known", [[], ["all"]])
def test_a_budget_that_is_not_there_is_told_with_those_that_are(store: Store, known: list[str]) -> None:
    for name in known:
        store.write(lambda db: book.add_budget(db, Budget(id=name, amount=micro(1)), now_ms=0))  # noqa: B023 - at once
    with pytest.raises(InvalidRequest, match="budget") as caught:
        store.write(lambda db: book.remove_budget(db, "other"))
    assert ("'all'" in caught.value.allowed) == bool(known)
