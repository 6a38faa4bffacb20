"""The jobs of a client as a list: those that it holds, and those of its books, whatever became of them."""

from __future__ import annotations

import heapq
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio
from attrs import define, field

from ..errors import InvalidRequest, Problem
from ..ledger.records import AttemptRow, AttemptState, JobRow
from ..values.credits import Credits
from ..values.refs import JobRef
from ..values.result import Video
from ..wire import JobState, JobStatus
from .job import Job
from .stored import attempt_ref, stored_as, stored_job, take_up

if TYPE_CHECKING:
    from .driver import Driver

__all__ = ["EndedJob", "UnservedJob", "known_jobs"]

ZERO = Credits(micro_usd=0)
_ENDS = {AttemptState.SUCCEEDED: JobState.SUCCEEDED, AttemptState.FILTERED: JobState.FILTERED}


@define(eq=False)
class EndedJob(Job):
    """A job that had ended before this client knew of it, as the books tell it. Nothing of it is sent or paid again.

    Waiting for it measures its files anew where they lie, or raises what ended it.
    """

    rows: tuple[AttemptRow, ...] = field(default=(), repr=False)
    files: tuple[Path, ...] = ()
    charge: Credits = ZERO
    _turn: anyio.Lock = field(factory=anyio.Lock, repr=False)

    @property
    def ref(self) -> JobRef:
        """All of its attempts, those without a vendor's id too."""
        return JobRef(self.id, tuple(map(attempt_ref, self.rows)), self.save_to, self.tags)

    @property
    def state(self) -> Literal["open", "finished", "failed"]:
        """Finished with a file, failed without one, until a wait has shown what lies there."""
        known = super().state
        return known if known != "open" else "finished" if self.files else "failed"

    async def status(self) -> JobStatus:
        """How its last attempt ended, by the books."""
        last = self.rows[-1]
        return JobStatus(last.remote_id or "", _ENDS.get(last.state, JobState.FAILED), last.state.value)

    async def wait(self, deadline: float | None = None) -> Video:
        """Its video, measured anew. Raises: the error that ended it; DownloadFailed where its files are gone."""
        async with self._turn:
            if self.kept:
                await take_up(self._driver, self, self.files)
            while self.video is None and self.error is None:
                await self._driver.step(self)
        return await super().wait(deadline)


@define(eq=False)
class UnservedJob(Job):
    """An open job of the books at a provider that this client does not have: to be seen, not to be waited for."""

    async def status(self) -> JobStatus:
        """Raises: InvalidRequest naming the provider to configure."""
        raise self._unserved()

    async def cancel(self) -> None:
        """Raises: InvalidRequest naming the provider to configure."""
        raise self._unserved()

    async def _step(self, after: int | None = None) -> None:
        raise self._unserved()

    def _unserved(self) -> InvalidRequest:
        sites = self._driver.sites
        missing = sorted({repr(each.ref.vendor.provider) for each in self.attempts} - set(map(repr, sites)))
        names = " and ".join(missing)
        hint = f"open a client that has {names} too, and wait for the job there"
        problem = Problem("providers", ", ".join(map(repr, sites)) or "none", f"{names} among them", hint=hint)
        error = InvalidRequest.of([problem], what="The provider of this job is not configured.", job_id=self.id)
        error.ref, error.charged, error.cost = self.ref, "held", "held until the job ends"
        return error


def known_jobs(driver: Driver, state: str, limit: int | None, since_ms: int | None) -> tuple[Job, ...]:
    """The newest jobs in that state, or in all: those that this client holds, and those of the books, page by page."""
    held = dict(driver.jobs)
    mine = [(_sent_ms(job), job) for job in held.values() if state in {"all", job.state}]
    mine = [(at_ms, job) for at_ms, job in mine if since_ms is None or at_ms >= since_ms]
    found = driver.journal.jobs(state, since_ms)
    stored = ((row.created_ms, _listed(driver, row, rows)) for row, rows in found if row.id not in held)
    newest_first = itemgetter(0)
    mine.sort(key=newest_first, reverse=True)
    return tuple(job for _, job in islice(heapq.merge(mine, stored, key=newest_first, reverse=True), limit))


def _sent_ms(job: Job) -> float:
    return min(attempt.ref.submitted_at for attempt in job.attempts) * 1000


def _listed(driver: Driver, row: JobRow, rows: tuple[AttemptRow, ...]) -> Job:
    """A job of the books as what can be done with it."""
    if row.ended_ms is not None:
        ended = stored_as(EndedJob, driver, row, rows)
        ended.rows, ended.files = rows, tuple(map(Path, row.files))
        ended.charge = sum((each.charge or ZERO for each in rows), ZERO)
        return ended
    job = stored_job(driver, row, rows)
    served = all(attempt.ref.vendor.provider in driver.sites for attempt in job.attempts)
    return job if served else stored_as(UnservedJob, driver, row, rows)
