"""Steps of a paid job on the books, for tests that need some."""

from __future__ import annotations

from typing import Any

from multivideo.ledger import book, sql
from multivideo.ledger.records import AttemptState, NewAttempt, NewJob
from multivideo.ledger.store import Db, Store, Work
from multivideo.values.credits import Credits

NOW_MS = 1_785_542_400_000  # 2026-08-01
AT: dict[str, Any] = {"now_ms": NOW_MS, "live": True}


def micro(amount: int) -> Credits:
    return Credits(micro_usd=amount)


def hold(db: Db, name: str, held: int = 100, **job: Any) -> None:
    """The first commit of a job of one attempt of the same name."""
    facts = {"request_print": f"print of {name}", "prompt_print": "p", **job}
    attempt = NewAttempt(id=name, job_id=name, provider="veo", model="veo-3.1", call="{}", held=micro(held))
    book.prepare(db, NewJob(id=name, **facts), attempt, owner="me", lease_ms=NOW_MS + 60_000, **AT)


def accept(db: Db, name: str, held: int = 100, **job: Any) -> None:
    """A job that the vendor has accepted."""
    hold(db, name, held, **job)
    book.sending(db, name, now_ms=NOW_MS)
    book.accept(db, name, f"vendor's {name}", now_ms=NOW_MS)


def pay(db: Db, name: str, charge: int = 100, held: int = 100, certainty: str = "reported", **job: Any) -> None:
    """A whole job with its end."""
    accept(db, name, held, **job)
    book.end(db, name, AttemptState.SUCCEEDED, micro(charge), certainty, **AT)
    book.end_job(db, name, (), now_ms=NOW_MS)


def hold_one(name: str, held: int = 100) -> Work[None]:
    """That first commit, as a piece of work."""
    return lambda db: hold(db, name, held)


def pay_one(name: str) -> Work[None]:
    """A whole job, as a piece of work."""
    return lambda db: pay(db, name)


def names(store: Store) -> list[str]:
    """The jobs that stand in the books, by name."""
    nothing: list[str] = []
    return store.read(lambda db: sorted(row[0] for row in db.all(sql.JOBS)), nothing)


def proof(store: Store) -> list[str]:
    """What the proof of the books finds; never nothing where there are no books."""
    return store.read(book.verify, ["there are no books"])
