"""The books as a driver uses them: the four commits of a paid submit, each durable before the next thing happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from attrs import define, evolve, field

from ..clock import Clock
from ..errors import LedgerError
from ..values.credits import Credits
from . import book, reports, sql
from .committer import Committer
from .ledger import print_of
from .owner import is_dead, owner, same_process
from .records import AttemptRow, AttemptState, JobRow, NewAttempt, NewJob
from .reports import Unresolved
from .store import Db, Store

__all__ = ["LEASE_S", "SUBMIT_LEASE_S", "Journal"]

T = TypeVar("T")
LEASE_S, RENEW_S = 60.0, 20.0
PAGE = 100  # jobs that are read at once, however many there are
SUBMIT_LEASE_S = 330.0  # a try of two minutes, the longest wait after it, and a credential for the next


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
                lease_ms=self._until(SUBMIT_LEASE_S),
                live=self.store.live,
            )

        await self._committer.write(work)
        self._leases[job.id] = self.clock.monotonic() + SUBMIT_LEASE_S

    async def sending(self, job_id: str, attempt_id: str, *, again: bool = False) -> None:
        """Commit 2: before the first byte of each try. From the last one counts how long a lost job may stay unseen.

        Raises: LedgerError where somebody else has gone on with the job; nothing may be sent then.
        """

        def work(db: Db) -> None:
            if not book.renew(db, job_id, self.owner, until_ms=self._until(SUBMIT_LEASE_S)):
                raise LedgerError(f"Job {job_id} was taken over by another process.", cost="no, nothing was sent")
            (book.sending_again if again else book.sending)(db, attempt_id, now_ms=self._now())

        await self._write(work)
        self._leases[job_id] = self.clock.monotonic() + SUBMIT_LEASE_S

    async def accepted(self, attempt_id: str, remote_id: str) -> None:
        """Commit 3: the vendor's id."""
        await self._write(lambda db: book.accept(db, attempt_id, remote_id, now_ms=self._now()))

    async def found(self, row: AttemptRow, remote_id: str, prompt_print: str | None) -> bool:
        """Commit 3 of a job that was looked up: False where it is, or may be, that of another attempt.

        Args:
            row: the attempt whose answer was lost.
            remote_id: the vendor's id of what was found.
            prompt_print: of its job, where what was found is only alike; None: it is the attempt's for certain.
        """
        known = {"id": row.id, "provider": row.provider, "remote_id": remote_id, "prompt_print": prompt_print}

        def work(db: Db) -> bool:
            if db.one(sql.PERHAPS_OF_ANOTHER, **known) is not None:
                return False
            book.accept(db, row.id, remote_id, now_ms=self._now())
            return True

        return await self._committer.write(work)

    def is_known(self, row: AttemptRow, remote_id: str) -> bool:
        """Whether a vendor's job is that of another attempt."""
        known = {"id": row.id, "provider": row.provider, "remote_id": remote_id, "prompt_print": None}
        return self.store.read(lambda db: db.one(sql.PERHAPS_OF_ANOTHER, **known) is not None, False)

    async def unknown(self, attempt_id: str, said: str) -> None:
        """Commit 3, where the answer was lost: the hold stays."""
        await self._write(lambda db: book.unknown(db, attempt_id, said))

    async def void(self, attempt_id: str, state: AttemptState, said: str) -> None:
        """Commit 3, where no job was made: the hold is given back."""
        await self._write(lambda db: book.void(db, attempt_id, state, said, now_ms=self._now(), live=self.store.live))

    async def ended(
        self,
        attempt_id: str,
        state: AttemptState,
        charge: Credits,
        certainty: str,
        said: str | None = None,
        files: Sequence[str] | None = None,
    ) -> None:
        """Commit 4: the end state and what it cost, together; with `files` the end of its job too."""

        def work(db: Db) -> None:
            row = book.attempt_row(db, attempt_id)
            if row is None:
                return  # paid by another ledger, which knows it
            book.end(db, attempt_id, state, charge, certainty, said, now_ms=self._now(), live=self.store.live)
            if files is not None:
                self._end_job(db, row.job_id, files)

        await self._write(work)

    async def job_ended(self, job_id: str, files: Sequence[str]) -> None:
        """Nothing more is to be done for a job; one with an attempt that is still open stays open, and is let go."""
        await self._write(lambda db: self._end_job(db, job_id, files))
        self.forget(job_id)

    def forget(self, job_id: str) -> None:
        """Think no more of a job whose end is written, and with it that of its lease."""
        self._leases.pop(job_id, None)

    def _end_job(self, db: Db, job_id: str, files: Sequence[str]) -> None:
        book.end_job(db, job_id, tuple(files), now_ms=self._now())
        book.release(db, job_id, self.owner)  # where it stays open, for an attempt that nobody knows of

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

    def jobs(self, state: str, since_ms: int | None = None) -> Iterator[tuple[JobRow, tuple[AttemptRow, ...]]]:
        """Jobs with their attempts, newest first, read page by page: "open", "finished", "failed" or "all".

        Open are those with something to wait for; finished those that have ended with a file, failed without one.
        """
        which = sql.WHICH_JOBS.values() if state == "all" else [sql.WHICH_JOBS[state]]
        statement = sql.NEWEST_JOBS.replace("{which}", " OR ".join(f"({each})" for each in which))
        end = {"created_ms": 2**63 - 1, "id": "", "since": -(2**63) if since_ms is None else since_ms}

        def work(db: Db) -> list[tuple[JobRow, tuple[AttemptRow, ...]]]:
            rows = map(book.job_of, db.all(statement, **end, most=PAGE))
            return [(row, tuple(map(book.attempt_of, db.all(sql.ATTEMPTS_OF, job_id=row.id)))) for row in rows]

        nothing: list[tuple[JobRow, tuple[AttemptRow, ...]]] = []
        while page := self.store.read(work, nothing):
            yield from page
            last = page[-1][0]
            end |= {"created_ms": last.created_ms, "id": last.id}

    def matches(self, prompt: str, prompt_print: str) -> bool:
        """Whether a prompt is the one of that print."""
        return self.store.read(lambda db: print_of(db, prompt) == prompt_print, False)

    async def _write(self, work: Callable[[Db], None]) -> None:
        await self._committer.write(work)

    def _now(self) -> int:
        return int(self.clock.wall() * 1000)

    def _until(self, seconds: float) -> int:
        return int((self.clock.wall() + seconds) * 1000)
