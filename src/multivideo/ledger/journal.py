"""The books as a driver uses them: the four commits of a paid submit, each durable before the next thing happens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from attrs import define, evolve, field

from ..clock import Clock
from ..values.credits import Credits
from . import book, reports, sql
from .committer import Committer
from .ledger import print_of
from .owner import is_dead, owner, same_process
from .records import AttemptRow, AttemptState, JobRow, NewAttempt, NewJob
from .reports import Unresolved
from .store import Db, Store

__all__ = ["LEASE_S", "Journal"]

T = TypeVar("T")
LEASE_S, RENEW_S = 60.0, 20.0


@define(eq=False)
class Journal:
    """Writes what a client does with money, and leases its jobs so that no other process drives them."""

    store: Store
    clock: Clock
    owner: str = field(factory=owner)
    _committer: Committer = field(init=False)
    _leases: dict[str, float] = field(factory=dict)
    """Until when, by the monotonic clock, a job is this client's."""

    def __attrs_post_init__(self) -> None:
        self._committer = Committer(self.store, self.clock)

    async def prepare(self, job: NewJob, attempt: NewAttempt) -> None:
        """Commit 1: job, hold and attempt. `job` brings texts where the books keep prints.

        Raises: InsufficientCredits, BudgetExceeded, LedgerError; nothing was sent then.
        """

        def work(db: Db) -> None:
            hidden = evolve(
                job, request_print=print_of(db, job.request_print), prompt_print=print_of(db, job.prompt_print)
            )
            book.prepare(
                db,
                hidden,
                attempt,
                now_ms=self._now(),
                owner=self.owner,
                lease_ms=self._until(LEASE_S),
                live=self.store.live,
            )

        await self._committer.write(work)
        self._leases[job.id] = self.clock.monotonic() + LEASE_S

    async def sending(self, attempt_id: str) -> None:
        """Commit 2: before the first byte."""
        await self._write(lambda db: book.sending(db, attempt_id, now_ms=self._now()))

    async def accepted(self, attempt_id: str, remote_id: str) -> None:
        """Commit 3: the vendor's id."""
        await self._write(lambda db: book.accept(db, attempt_id, remote_id, now_ms=self._now()))

    async def unknown(self, attempt_id: str, said: str) -> None:
        """Commit 3, where the answer was lost: the hold stays."""
        await self._write(lambda db: book.unknown(db, attempt_id, said))

    async def void(self, attempt_id: str, state: AttemptState, said: str) -> None:
        """Commit 3, where no job was made: the hold is given back."""
        await self._write(lambda db: book.void(db, attempt_id, state, said, now_ms=self._now(), live=self.store.live))

    async def ended(
        self, attempt_id: str, state: AttemptState, charge: Credits, certainty: str, said: str | None = None
    ) -> None:
        """Commit 4: the end state and what it cost, together."""

        def work(db: Db) -> None:
            if book.attempt_row(db, attempt_id) is None:
                return  # paid by another ledger, which knows it
            book.end(db, attempt_id, state, charge, certainty, said, now_ms=self._now(), live=self.store.live)

        await self._write(work)

    async def job_ended(self, job_id: str, files: Sequence[str]) -> None:
        """Nothing more is to be done for a job."""
        await self._write(lambda db: book.end_job(db, job_id, tuple(files), now_ms=self._now()))
        self._leases.pop(job_id, None)

    async def claim(self, job_id: str, seconds: float = LEASE_S) -> bool:
        """Take a job over, or keep it, for that long: False where another process drives it.

        The books are asked only where what is left of the lease is too short.
        """
        left = self._leases.get(job_id, float("-inf")) - self.clock.monotonic()
        if left > seconds - RENEW_S:
            return True

        def work(db: Db) -> bool:
            row = db.one(sql.JOB, id=job_id)
            if row is None or (job := book.job_of(row)).ended_ms is not None:
                return True  # not of these books, or nothing left to drive
            dead = job.owner if is_dead(job.owner) or same_process(job.owner, self.owner) else None
            return book.claim(db, job_id, self.owner, dead=dead, now_ms=self._now(), until_ms=self._until(seconds))

        mine = await self._committer.write(work)
        if mine:
            self._leases[job_id] = self.clock.monotonic() + seconds
        return mine

    async def release(self, job_id: str) -> None:
        """Let go of a job, so that any process may drive it on."""
        if self._leases.pop(job_id, None) is not None:
            await self._write(lambda db: book.release(db, job_id, self.owner))

    def job(self, job_id: str) -> tuple[JobRow, tuple[AttemptRow, ...]] | None:
        """A job of the books with its attempts, None: they know none of that id."""

        def work(db: Db) -> tuple[JobRow, tuple[AttemptRow, ...]] | None:
            row = db.one(sql.JOB, id=job_id)
            if row is None:
                return None
            attempts = tuple(map(book.attempt_of, db.all(sql.ATTEMPTS_OF, job_id=job_id)))
            return book.job_of(row), attempts

        return self.store.read(work, None)

    def left_open(self) -> tuple[JobRow, ...]:
        """Open jobs that no living process drives."""
        now = self._now()
        return tuple(job for job in self.open_jobs() if job.owner is None or job.lease_ms <= now or is_dead(job.owner))

    def unresolved(self) -> tuple[Unresolved, ...]:
        """Every attempt whose outcome or cost is not known for certain."""
        return self.store.read(reports.unresolved, ())

    def open_jobs(self) -> tuple[JobRow, ...]:
        """Every job that is not at its end, oldest first."""
        return self.store.read(lambda db: tuple(map(book.job_of, db.all(sql.OPEN_JOBS))), ())

    def matches(self, prompt: str, prompt_print: str) -> bool:
        """Whether a prompt is the one of that print."""
        return self.store.read(lambda db: print_of(db, prompt) == prompt_print, False)

    async def _write(self, work: Callable[[Db], None]) -> None:
        await self._committer.write(work)

    def _now(self) -> int:
        return int(self.clock.wall() * 1000)

    def _until(self, seconds: float) -> int:
        return int((self.clock.wall() + seconds) * 1000)
