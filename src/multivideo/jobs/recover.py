"""After a crash: finish what was paid, look for what nobody knows of, and tell of the rest. Nothing is submitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import anyio
from attrs import define, evolve, field, frozen

from ..errors import MultiVideoError, StillRunning
from ..ledger.records import AttemptRow, AttemptState, JobRow
from ..ledger.reports import Unresolved
from ..transport.retry import StepKind
from ..values.result import Video
from ..wire import JobStatus, LookUp
from .job import Job
from .stored import attempt_ref, job_ref, segment_of

if TYPE_CHECKING:
    from .driver import Driver

__all__ = ["Recovery", "RecoveryReport"]

# A lost submit may still arrive until its own limit is over, and its vendor may show the job a while later.
QUARANTINE_S = 300.0
LOOKS_S = (0.0, 2.0, 10.0, 30.0, 120.0, 140.0)
FEWEST_LOOKS = 3


@frozen
class RecoveryReport:
    """What became of the jobs that were open: finished, still running, failed, or not to be known."""

    videos: tuple[Video, ...] = ()
    still_running: tuple[Job, ...] = ()
    failed: tuple[MultiVideoError, ...] = ()
    unresolved: tuple[Unresolved, ...] = ()

    def __str__(self) -> str:
        rows = [
            *(f"finished       {video}" for video in self.videos),
            *(f"still running  {job}" for job in self.still_running),
            *(f"failed         {error.job_id}: {error.what}" for error in self.failed),
            *(
                f"unresolved     {a.attempt_id} ({a.model}@{a.provider}, held {a.held}): {a.hint}"
                for a in self.unresolved
            ),
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
    _began: float = 0.0

    async def run(self) -> RecoveryReport:
        """Go through them all. Raises: LedgerError where the books cannot be used."""
        self._began = self.driver.sender.clock.monotonic()
        async with anyio.create_task_group() as tasks:
            for row in self.driver.journal.left_open():
                tasks.start_soon(self._job, row)
        rows = self.driver.journal.unresolved()
        left = tuple(evolve(row, hint=self._why[row.attempt_id]) for row in rows if row.attempt_id in self._why)
        return RecoveryReport(tuple(self._videos), tuple(self._running), tuple(self._failed), left)

    async def _job(self, row: JobRow) -> None:
        journal = self.driver.journal
        try:
            if not await journal.claim(row.id):
                return
            await self._attempts(row, self._rows(row))
            await self._finish(row, self._rows(row))
        except StillRunning as error:
            self._running.append(error.job)
        except MultiVideoError as error:
            error.job_id = row.id
            self._failed.append(error)
        finally:
            with anyio.CancelScope(shield=True):
                await journal.release(row.id)

    def _rows(self, row: JobRow) -> tuple[AttemptRow, ...]:
        found = self.driver.journal.job(row.id)
        return found[1] if found is not None else ()

    async def _attempts(self, job: JobRow, rows: Sequence[AttemptRow]) -> None:
        """Bring every attempt to a state from which it can be ended: void, accepted, or unknown and told."""
        journal = self.driver.journal
        for row in rows:
            if row.state is AttemptState.PREPARED:
                await journal.void(row.id, AttemptState.VOID, "the process ended before it was sent")
            elif row.state in {AttemptState.SENDING, AttemptState.UNKNOWN}:
                if row.state is AttemptState.SENDING:
                    await journal.unknown(row.id, "the process ended before the answer came")
                await self._look(job, row)

    async def _look(self, job: JobRow, row: AttemptRow) -> None:
        """Ask the vendor for a job whose submit was never answered, as far as it can be asked."""
        site = self.driver.sites.get(row.provider)
        if site is None:
            return self._tell(row, f"configure the provider {row.provider!r} and recover again")
        provider, ref, clock = site.channel.provider, attempt_ref(row), self.driver.sender.clock
        sent = (row.sent_ms or row.prepared_ms) / 1000
        journal = self.driver.journal
        question = LookUp(
            attempt_id=row.id,
            wire_model=ref.vendor.wire_model,
            segment=segment_of(ref),
            not_before=sent - 60,
            not_after=sent + QUARANTINE_S,
            prompt_matches=lambda prompt: journal.matches(prompt, job.prompt_print),
        )
        exchange = provider.look_up(question)
        if exchange is None:
            return self._tell(row, f"{provider.name} cannot be asked for it: look into its console")
        for number, pause in enumerate(LOOKS_S, 1):
            if pause > self._left():
                return self._tell(row, "it was not there yet: recover again later")
            await clock.sleep(pause)
            found = await self.driver.sender.run(site.channel, exchange, StepKind.LOOK_UP)
            if found:
                return await self._found(row, found)
            proven = provider.looks_up_by_id and clock.wall() - sent >= QUARANTINE_S
            if number >= FEWEST_LOOKS and proven:
                return await journal.void(row.id, AttemptState.ABSENT, f"not there in {number} looks by its own id")
            if number >= FEWEST_LOOKS and not provider.looks_up_by_id:
                return self._tell(row, f"{provider.name} lists no job like it, which proves nothing")
        return self._tell(row, "it was not there yet: recover again later")

    async def _found(self, row: AttemptRow, found: Sequence[JobStatus]) -> None:
        if len(found) > 1:
            ids = ", ".join(status.remote_id for status in found)
            return self._tell(row, f"any of these may be it: {ids}")
        await self.driver.journal.accepted(row.id, found[0].remote_id)
        return None

    def _tell(self, row: AttemptRow, why: str) -> None:
        end = f'client.credits.resolve("{row.id}", outcome="charged" or "not_charged", by=..., note=...)'
        self._why[row.id] = f"{why}; once you know: {end}"

    async def _finish(self, job: JobRow, rows: Sequence[AttemptRow]) -> None:
        """Wait for what was accepted; a job of which nothing is left is at its end."""
        ref = job_ref(job, rows)
        if ref is None:
            if all(row.ended_ms is not None for row in rows):
                await self.driver.journal.job_ended(job.id, ())
            return
        known = self.driver.resume(ref)
        self._videos.append(await known.wait(self._left()))

    def _left(self) -> float:
        if self.deadline is None:
            return 3600.0
        return max(0.0, self._began + self.deadline - self.driver.sender.clock.monotonic())
