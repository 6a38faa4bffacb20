"""After a crash: finish what was paid, look for what nobody knows of, and tell of the rest. Nothing is submitted."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
from attrs import define, evolve, field, frozen

from ..errors import LedgerError, MultiVideoError, ProviderError, StillRunning
from ..ledger.records import AttemptRow, AttemptState, JobRow
from ..ledger.reports import Unresolved
from ..transport.retry import StepKind
from ..values.result import Video
from ..wire import JobStatus, LookUp
from .job import Job, elsewhere
from .stored import attempt_ref, segment_of

if TYPE_CHECKING:
    from .driver import Driver

__all__ = ["Recovery", "RecoveryReport"]

# A lost submit may still arrive until its own limit is over, and its vendor may show the job a while later.
QUARANTINE_S = 300.0
LOOKS_S = (0.0, 2.0, 10.0, 30.0, 120.0, 140.0)
FEWEST_LOOKS = 3
LOOK_LEASE_S = 180.0  # what a look may take, and some more
_TO_FINISH = {AttemptState.ACCEPTED, AttemptState.SUCCEEDED}


@frozen
class RecoveryReport:
    """What became of the jobs that were open: finished, still running, failed, or not to be known.

    Attributes:
        elsewhere: ids of open jobs that another process drives, or whose last process may still live: one on another
            host is waited for until its lease has run out (a minute, or as long as a download may take).
    """

    videos: tuple[Video, ...] = ()
    still_running: tuple[Job, ...] = ()
    failed: tuple[MultiVideoError, ...] = ()
    unresolved: tuple[Unresolved, ...] = ()
    elsewhere: tuple[str, ...] = ()

    def __str__(self) -> str:
        rows = [
            *(f"finished       {video}" for video in self.videos),
            *(f"still running  {job}" for job in self.still_running),
            *(f"failed         {error.job_id}: {error.what}" for error in self.failed),
            *(
                f"unresolved     {a.attempt_id} ({a.model}@{a.provider}, held {a.held}): {a.hint}"
                for a in self.unresolved
            ),
            *(f"elsewhere      {job_id}: another process drives it, or did a while ago" for job_id in self.elsewhere),
        ]
        return "\n".join(rows) or "nothing was open"


@define(eq=False)
class Recovery:
    """One going through the open jobs of the books, side by side; what another process drives is left alone."""

    driver: Driver
    deadline: float | None
    _videos: list[Video] = field(factory=list)
    _running: list[Job] = field(factory=list)
    _failed: list[MultiVideoError] = field(factory=list)
    _why: dict[str, str] = field(factory=dict)
    """What to say of each attempt that is left."""
    _others: list[str] = field(factory=list)
    _began: float = 0.0

    async def run(self) -> RecoveryReport:
        """Go through them all. Raises: LedgerError where the books cannot be used."""
        self._began = self.driver.sender.clock.monotonic()
        mine = self.driver.journal.left_open()
        known = {row.id for row in mine} | self.driver.jobs.keys()
        self._others += (row.id for row in self.driver.journal.open_jobs() if row.id not in known)
        async with anyio.create_task_group() as tasks:
            for row in mine:
                tasks.start_soon(self._job, row)
        rows = self.driver.journal.unresolved()
        left = tuple(evolve(row, hint=self._why[row.attempt_id]) for row in rows if row.attempt_id in self._why)
        return RecoveryReport(tuple(self._videos), tuple(self._running), tuple(self._failed), left, tuple(self._others))

    async def _job(self, row: JobRow) -> None:
        journal = self.driver.journal
        ready = False
        try:
            if not await journal.claim(row.id):
                self._others.append(row.id)
                return
            await self._attempts(row)
            ready = True
            await self._finish(row)
        except StillRunning as error:
            self._running.append(error.job)
        except MultiVideoError as error:
            error.job_id = row.id
            if not ready and error.charged == "no":  # the books could not be written, and the job is as it was
                error.charged, error.cost = "held", ""
            self._failed.append(error)
        finally:
            with anyio.CancelScope(shield=True), suppress(LedgerError):  # its lease runs out by itself
                await journal.release(row.id)

    def _rows(self, job_id: str) -> tuple[JobRow, tuple[AttemptRow, ...]]:
        found = self.driver.journal.job(job_id)
        if found is None:
            raise LedgerError(f"Job {job_id} is not in the books any more.", hint="restore a backup")
        return found

    async def _attempts(self, job: JobRow) -> None:
        """Bring every attempt to a state from which it can be ended: void, accepted, or unknown and told."""
        journal = self.driver.journal
        _, rows = self._rows(job.id)
        for row in rows:
            if row.state is AttemptState.PREPARED:
                await journal.void(row.id, AttemptState.VOID, "the process ended before")
            elif row.state is AttemptState.SENDING:
                await journal.unknown(row.id, "the process ended before the answer came")
        for row in rows:
            if row.state in {AttemptState.SENDING, AttemptState.UNKNOWN}:
                try:
                    await self._look(job, row)
                except ProviderError as error:  # the others of this job may be finished all the same
                    what = error.what.rstrip(".")
                    self._tell(row, f"{row.provider} could not be asked ({what}): recover again later")

    async def _look(self, job: JobRow, row: AttemptRow) -> None:
        """Ask the vendor for a job whose submit was never answered, as far as it can be asked."""
        site = self.driver.sites.get(row.provider)
        if site is None:
            return self._tell(row, f"configure the provider {row.provider!r} and recover again")
        provider, clock, journal = site.channel.provider, self.driver.sender.clock, self.driver.journal
        sent = (row.sent_ms or row.prepared_ms) / 1000
        exchange = provider.look_up(self._question(job, row, sent))
        if exchange is None:
            return self._tell(row, f"{provider.name} cannot be asked for it: look into its console")
        for number, pause in enumerate(LOOKS_S, 1):
            if pause > self._left():
                return self._tell(row, "it was not there yet: recover again later")
            if not await journal.claim(job.id, pause + LOOK_LEASE_S):
                raise elsewhere(job.id)
            await clock.sleep(pause)
            found = await self.driver.sender.run(site.channel, exchange, StepKind.LOOK_UP)
            if await self._found(job, row, found, named=provider.looks_up_by_id):
                return None
            if number < FEWEST_LOOKS or clock.wall() - sent < QUARANTINE_S:
                continue
            if provider.looks_up_by_id:
                return await journal.void(row.id, AttemptState.ABSENT, f"not there in {number} looks by its own id")
            return self._tell(row, f"{provider.name} lists no job like it, which proves nothing")
        return self._tell(row, "it was not there yet: recover again later")

    def _question(self, job: JobRow, row: AttemptRow, sent: float) -> LookUp:
        ref, journal = attempt_ref(row), self.driver.journal
        return LookUp(
            attempt_id=row.id,
            wire_model=ref.vendor.wire_model,
            segment=segment_of(ref),
            not_before=sent - 60,
            not_after=sent + QUARANTINE_S,
            prompt_matches=lambda prompt: journal.matches(prompt, job.prompt_print),
        )

    async def _found(self, job: JobRow, row: AttemptRow, found: Sequence[JobStatus], *, named: bool) -> bool:
        """Whether the look is over: one was found that is the attempt's, or several of which any may be."""
        journal = self.driver.journal
        mine = [status for status in found if named or not journal.is_known(row, status.remote_id)]
        if len(mine) > 1:
            ids = ", ".join(status.remote_id for status in mine)
            self._tell(row, f"any of these may be it: {ids}")
            return True
        return bool(mine) and await journal.found(row, mine[0].remote_id, None if named else job.prompt_print)

    def _tell(self, row: AttemptRow, why: str) -> None:
        end = f'client.credits.resolve("{row.id}", outcome="charged" or "not_charged", by=..., note=...)'
        self._why[row.id] = f"{why}; once you know: {end}"

    async def _finish(self, job: JobRow) -> None:
        """Wait for what was accepted, take up what was fetched before; what has nothing left is at its end."""
        row, rows = self._rows(job.id)
        states = {each.state for each in rows}
        if row.ended_ms is not None or (AttemptState.UNKNOWN in states and not states & _TO_FINISH):
            return
        known = self.driver.go_on(row, rows)
        try:
            self._videos.append(await known.wait(self._left()))
        finally:
            if known.state != "open" and self._rows(job.id)[0].ended_ms is None:
                files = [str(take.path.absolute()) for take in known.takes]
                await self.driver.journal.job_ended(job.id, files)

    def _left(self) -> float:
        if self.deadline is None:
            return 3600.0
        return max(0.0, self._began + self.deadline - self.driver.sender.clock.monotonic())
