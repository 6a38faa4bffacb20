"""The one loop: submit, look until it is done, fetch, measure, settle. Nobody else asks the transport for anything."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio
from anyio import to_thread
from attrs import define, evolve, field

from ..errors import (
    DeliverableMismatch,
    InvalidRequest,
    LedgerError,
    MultiVideoError,
    Problem,
    ProviderError,
    ProviderUnavailable,
)
from ..files.inspect import Fault
from ..ledger.journal import LEASE_S, Journal
from ..ledger.records import AttemptRow, AttemptState, JobRow
from ..secrets import repeats
from ..transport.download import keep
from ..transport.retry import StepKind
from ..transport.sender import Sender
from ..values.credits import Credits
from ..values.events import Downloaded, Failed, Finished, LeftOpen, Progress, Settled
from ..values.plan import Plan
from ..values.refs import JobRef, VendorHandle
from ..values.result import Video
from ..wire import JobState, JobStatus
from .delivery import FETCH_LEASE_S, delivered, drop_files
from .job import Attempt, Job, cannot_cancel, elsewhere
from .schedule import Kind
from .settle import Settlement, settle_failure, settle_success, shared
from .sidecar import write_sidecar
from .site import Site
from .stored import stored_job, take_up
from .submit import Submitter
from .target import target

__all__ = ["Driver"]

logger = logging.getLogger("multivideo")

MISSING_GRACE_S = 60.0  # a fresh job may be invisible for a while
MISSING_LOOKS = 3
MISSING_GAP_S = 30.0  # three such looks are a minute apart
GROWING_S = 900.0  # takes of one call that lie where they are found one by one


@define(eq=False)
class Driver:
    """Drives all jobs of a client. Keeps each in `jobs`, from the moment its vendor has accepted it."""

    sender: Sender
    sites: Mapping[str, Site]
    home: Path
    new_id: Callable[[], str]
    journal: Journal
    jobs: dict[str, Job] = field(factory=dict)
    _looked_back: bool = False

    async def submit(self, plan: Plan) -> Job:
        """Send the first candidate of a plan; returns once its vendor has accepted it.

        Raises: InvalidRequest, InsufficientCredits and their likes before anything is sent; OutcomeUnknown where a
            paid submit got no clear answer.
        """
        request = plan.request
        tags = tuple(request.tags.items())
        began = self.sender.clock.monotonic()
        job = Job(self.new_id(), self, request, plan, request.save_to, tags, began=began)
        job.listen(request.on_event)
        submitter = Submitter(self.sender, self.sites, self.home, self.journal, self._keep)
        try:
            await self._look_back(job)
            await submitter.submit(job, plan)
        except BaseException as error:
            if isinstance(error, MultiVideoError) and not isinstance(error, InvalidRequest):
                error.step = error.step or "reserve"
            await self.let_go(job)
            raise
        return job

    def _keep(self, job: Job) -> None:
        self.jobs[job.id] = job

    def known(self, job_id: str) -> Job | None:
        """The job of that id, from memory or from the books; None: there is nothing to wait for under that name."""
        if job_id in self.jobs:
            return self.jobs[job_id]
        job = self._stored(job_id)
        if job is None or not job.attempts:
            return None
        self._stop_unless_configured(job.ref)
        self.jobs[job_id] = job
        return job

    def go_on(self, row: JobRow, rows: Sequence[AttemptRow]) -> Job:
        """The job of the books, to be waited for: the one that is driven here already, if it lacks nothing.

        Raises: InvalidRequest where a provider of the job is not configured.
        """
        here = self.jobs.get(row.id)
        job = stored_job(self, row, rows)
        if here is not None and here.state == "open":
            have = {attempt.ref.attempt_id for attempt in here.attempts}
            if {attempt.ref.attempt_id for attempt in job.attempts} <= have:
                return here
        self._stop_unless_configured(job.ref)
        self.jobs[job.id] = job
        return job

    def _stored(self, job_id: str) -> Job | None:
        found = self.journal.job(job_id)
        return stored_job(self, *found) if found is not None else None

    async def _look_back(self, job: Job) -> None:
        """Tell, at the first paid call, of jobs that an earlier process left open."""
        if self._looked_back:
            return
        self._looked_back = True
        left = tuple(row.id for row in self.journal.left_open())
        if left:
            logger.warning("%d jobs of earlier are still open: client.recover() goes on with them", len(left))
            await job.tell(LeftOpen, job_ids=left)

    def resume(self, ref: JobRef) -> Job:
        """The job of a reference: the one that is known here, or one made from what the reference says.

        Raises: InvalidRequest where a provider of the job is not configured.
        """
        if ref.job_id in self.jobs:
            return self.jobs[ref.job_id]
        self._stop_unless_configured(ref)
        attempts = [Attempt(attempt) for attempt in ref.attempts]
        began = self.sender.clock.monotonic()
        job = Job(ref.job_id, self, None, None, ref.save_to, ref.tags, attempts, began)
        job.unwritten = self._unwritten(ref)
        self.jobs[job.id] = job
        return job

    def _unwritten(self, ref: JobRef) -> dict[str, str]:
        """Vendor ids of a reference that the books lack: they could not be written when the job was accepted."""
        _, rows = self.journal.job(ref.job_id) or (None, ())
        lacking = {row.id for row in rows if row.state in {AttemptState.SENDING, AttemptState.UNKNOWN}}
        return {one.attempt_id: one.vendor.remote_id for one in ref.attempts if one.attempt_id in lacking}

    def _stop_unless_configured(self, ref: JobRef) -> None:
        for attempt in ref.attempts:
            if attempt.vendor.provider not in self.sites:
                known = ", ".join(self.sites) or "none"
                problem = Problem("ref", f"a job at {attempt.vendor.provider!r}", f"a configured provider: {known}")
                raise InvalidRequest.of([problem], what="The provider of this job is not configured.")

    async def let_go(self, job: Job) -> None:
        """Leave a job that nobody waits for to whoever comes next, in this process or another."""
        with anyio.CancelScope(shield=True), suppress(LedgerError):
            await self.journal.release(job.id)

    async def let_go_of_all(self) -> None:
        """The same for every job that is still leased."""
        for job in list(self.jobs.values()):
            if job.state == "open":
                await self.let_go(job)

    async def step(self, job: Job) -> None:
        """One look, or one fetch, or the end: whatever the job needs next. Does nothing to a job that has ended.

        Raises: LedgerError where another process drives it.
        """
        with _of_an_accepted(job):
            if not await self.journal.claim(job.id, self._longest(job)):
                raise elsewhere(job.id)
            await self._step(job)
            if job.state != "open":
                self.journal.forget(job.id)

    async def _step(self, job: Job) -> None:
        if job.kept:
            return await take_up(self, job)
        for attempt in job.attempts:
            if attempt.settled:
                continue
            self._count(attempt)
            if attempt.status is None:
                await self._look(job, attempt)
            elif attempt.status.state is JobState.SUCCEEDED:
                await self._collect(job, attempt, attempt.status)
            else:
                await self._give_up(job, attempt, attempt.status)
            return None
        return await self._finish(job)

    def _count(self, attempt: Attempt) -> None:
        """See that a running job takes a place at its vendor, and an ended one none."""
        vendor = attempt.ref.vendor
        slots = self.sites[vendor.provider].gate.of(vendor.model)
        if attempt.status is None:
            slots.joined(attempt.ref.attempt_id, vendor)
        else:
            slots.leave(attempt.ref.attempt_id)

    def _longest(self, job: Job) -> float:
        """For how long the next step may need the job: a fetch takes longer than a look."""
        if any(a.status is not None and not a.settled for a in job.attempts):
            return FETCH_LEASE_S
        now, open_ones = self.sender.clock.monotonic(), [a for a in job.attempts if not a.settled]
        return LEASE_S + max(
            (max(0.0, self._due(job, a) - now) + self._site(a).poller.backlog_s for a in open_ones), default=0.0
        )

    async def look_now(self, job: Job) -> JobStatus:
        """The state of the job's first unfinished attempt, asked now."""
        attempt = next((a for a in job.attempts if not a.settled), job.attempts[-1])
        if attempt.status is None:
            with _of_an_accepted(job):
                status = await self._site(attempt).poller.look(attempt.ref.vendor, 0)
            status = self._whole(attempt, status)
            if not status.state.ended:
                return status
            attempt.status = status
        return attempt.status

    def _whole(self, attempt: Attempt, status: JobStatus) -> JobStatus:
        """What was seen; as still running where takes that are paid may yet come."""
        elapsed = self.sender.clock.wall() - attempt.ref.submitted_at
        waits = status.may_grow and len(status.assets) < attempt.ref.samples and elapsed < GROWING_S
        return evolve(status, state=JobState.RUNNING, assets=()) if waits else status

    async def cancel(self, job: Job, attempt: Attempt) -> None:
        """Ask the vendor to stop an attempt. Raises: UnsupportedFeature where it cannot."""
        site = self._site(attempt)
        exchange = site.channel.provider.cancel(attempt.ref.vendor)
        if exchange is None:
            raise cannot_cancel(job, attempt)
        with _of_an_accepted(job):
            await self.sender.run(site.channel, exchange, StepKind.LOOK_UP)

    def _site(self, attempt: Attempt) -> Site:
        return self.sites[attempt.ref.vendor.provider]

    async def _look(self, job: Job, attempt: Attempt) -> None:
        """Wait for the time of the next look, take it, and tell what was seen."""
        clock, site, kind = self.sender.clock, self._site(attempt), _kind(attempt)
        wait_s = self._due(job, attempt) - clock.monotonic()
        elapsed = max(0.0, clock.wall() - attempt.ref.submitted_at)
        told = job.retried(attempt.ref.attempt_id)
        early = self._asked(job) is None
        try:
            status = await site.poller.look(attempt.ref.vendor, wait_s, told, kind=kind, age_s=elapsed, early=early)
        except ProviderError as error:  # the look failed, the job did not
            error.job_id, error.charged, error.step = job.id, "held", StepKind.POLL.value
            raise
        status = self._whole(attempt, status)
        elapsed = max(0.0, clock.wall() - attempt.ref.submitted_at)
        attempt.next_look = clock.monotonic() + self._pace(job, attempt, status)
        expected = job.plan.first.expected if job.plan is not None else None
        if status.state is JobState.MISSING:
            self._missed(job, attempt, elapsed)
        else:
            attempt.looks_missing = 0
        if status.state.ended:
            attempt.status = status
        elif site.poller.is_newly_stuck(attempt.ref.vendor, expected.high_s if expected is not None else None):
            logger.warning(
                "a job takes far longer than others at %s: %d s so far; it is looked at until the deadline",
                attempt.ref.vendor.provider,
                elapsed,
                extra={"job_id": job.id},
            )
        await job.tell(
            Progress,
            state=status.state.value,
            word=status.word,
            elapsed_s=elapsed,
            percent=status.percent,
            eta_s=site.poller.schedule.left_s(kind, elapsed, expected.typical_s if expected is not None else None),
            segment=1,
            attempt_id=attempt.ref.attempt_id,
        )

    def _due(self, job: Job, attempt: Attempt) -> float:
        """Monotonic time of the next look."""
        if not attempt.next_look:
            attempt.next_look = self.sender.clock.monotonic() + self._pace(job, attempt, None)
        return attempt.next_look

    def _asked(self, job: Job) -> float | None:
        """How often the user wants a look."""
        return job.request.poll_interval if job.request is not None else None

    def _pace(self, job: Job, attempt: Attempt, status: JobStatus | None) -> float:
        """Seconds to the next look: what the user asked for, else what the vendor did, else by the job's age."""
        hint_s = status.poll_after_s if status is not None else None
        if (asked := self._asked(job) or hint_s) is not None:
            return asked
        elapsed = max(0.0, self.sender.clock.wall() - attempt.ref.submitted_at)
        if status is not None and status.state is JobState.MISSING and elapsed >= MISSING_GRACE_S:
            return MISSING_GAP_S
        return self._site(attempt).poller.schedule.wait_s(_kind(attempt), elapsed, self.sender.random)

    def _missed(self, job: Job, attempt: Attempt, elapsed_s: float) -> None:
        """The vendor does not know the job: bear it for a while, then say that it vanished; its money stays held."""
        if elapsed_s < MISSING_GRACE_S:
            return
        attempt.looks_missing += 1
        missing_s = self._site(attempt).poller.missing_s(attempt.ref.vendor)
        if attempt.looks_missing >= MISSING_LOOKS and missing_s >= MISSING_GRACE_S:
            attempt.looks_missing = 0
            raise ProviderUnavailable(
                f"{attempt.ref.vendor.provider} does not know job {attempt.ref.vendor.remote_id} any more.",
                hint="look for it in the vendor's console; wait for the job again to look again",
                charged="held",
                job_id=job.id,
                attempt_id=attempt.ref.attempt_id,
                provider=attempt.ref.vendor.provider,
            )

    async def _collect(self, job: Job, attempt: Attempt, status: JobStatus) -> None:
        """Fetch and measure every take of a finished attempt, then settle it."""
        site = self._site(attempt)
        settled = settle_success(
            attempt.ref,
            len(status.assets),
            site.channel.provider.charge(status),
            site.unit_prices,
            attempt.ref.listed,
        )
        shares = shared(settled.amount, len(status.assets))
        attempt.is_made = True
        try:
            for number in range(attempt.fetched, len(status.assets)):  # after a failed fetch only the rest is fetched
                video = await self._take(job, attempt, status, number, evolve(settled, amount=shares[number]))
                job.takes.append(video)
                attempt.fetched += 1
                await job.tell(
                    Downloaded, path=str(video.path), size_bytes=video.size_bytes, sha256=video.sha256, segment=1
                )
        except BaseException as error:
            if isinstance(error, MultiVideoError):
                error.step = error.step or StepKind.DOWNLOAD.value
            drop_files(attempt.status)
            attempt.status = None  # look again before the next fetch: for fresh addresses, or for the files once more
            raise
        drop_files(attempt.status)
        await self._settle(job, attempt, settled, AttemptState.SUCCEEDED)

    async def _take(self, job: Job, attempt: Attempt, status: JobStatus, number: int, settled: Settlement) -> Video:
        ref = attempt.ref
        path = target(job.save_to, self.home, ref.vendor.model, job.id, len(job.takes) + 1)
        fetched, measured, check = await delivered(self, job, attempt, attempt.status or status, number, path)
        status = attempt.status or status  # its vendor may have been asked for fresh addresses
        asset = status.assets[number]
        if ref.watermark and asset.marked_url is None:
            check = evolve(check, faults=(*check.faults, Fault("watermark", "a visible mark", "the copy without one")))
        await keep(self.sender, fetched, path)
        video = Video(
            path=path,
            model=ref.vendor.model,
            provider=ref.vendor.provider,
            job_id=job.id,
            prompt=job.request.prompt if job.request is not None else None,
            duration=measured.duration,
            width=measured.width,
            height=measured.height,
            fps=measured.fps,
            has_audio=measured.has_audio,
            size_bytes=fetched.size_bytes,
            sha256=fetched.sha256,
            check=check,
            charge=settled.amount,
            certainty=settled.certainty,
            plan=job.plan,
            segments=job.plan.segments if job.plan is not None else (),
            created_at=dt.datetime.fromtimestamp(self.sender.clock.wall(), dt.UTC),
            tags=dict(job.tags),
            handle=VendorHandle(ref.vendor, number, asset.url, asset.expires_at),
            raw=status.raw,
        )
        if job.request is not None and job.request.save_to is not None and job.request.sidecar:
            with self.sender.clock.working():
                await to_thread.run_sync(write_sidecar, video, job.request)
        return video

    async def _give_up(self, job: Job, attempt: Attempt, status: JobStatus) -> None:
        """The vendor ended an attempt without a video: say why and what it cost."""
        site, ref = self._site(attempt), attempt.ref
        path = site.paths.get(ref.vendor.model)
        kind = "filtered" if status.state is JobState.FILTERED else "failed"
        settled = settle_failure(
            ref, kind, site.channel.provider.charge(status), site.unit_prices, path.failures if path else ()
        )
        error = status.error or ProviderError(f"{ref.vendor.provider} ended the job: {status.word}.")
        if job.request is not None and repeats(error.what, job.request.prompt):  # the reader of a look knows no prompt
            error.reword(f"{ref.vendor.provider} ended the job ({kind}); what it said repeats the prompt.")
        error.job_id, error.attempt_id, error.provider = job.id, ref.attempt_id, ref.vendor.provider
        error.charge, error.step = settled.amount, StepKind.POLL.value
        error.charged = "no" if not settled.amount else "yes" if settled.certainty != "assumed" else "unknown"
        error.cost = f"{error.charged}, {settled.certainty}: {settled.amount}"
        await self._write_end(job, attempt, settled, AttemptState(kind))
        attempt.error = error
        job.shortfalls.append(error)
        await self._settled(job, attempt, settled)

    async def _settle(self, job: Job, attempt: Attempt, settled: Settlement, state: AttemptState) -> None:
        await self._write_end(job, attempt, settled, state)
        await self._settled(job, attempt, settled)

    async def _write_end(self, job: Job, attempt: Attempt, settled: Settlement, state: AttemptState) -> None:
        """Commit 4. What could not be written when it was accepted is written first."""
        attempt_id = attempt.ref.attempt_id
        try:
            if attempt_id in job.unwritten:
                await self.journal.accepted(attempt_id, job.unwritten[attempt_id])
                del job.unwritten[attempt_id]
            last = all(other.settled for other in job.attempts if other is not attempt)
            files = tuple(str(take.path.absolute()) for take in job.takes) if last else None
            await self.journal.ended(attempt_id, state, settled.amount, settled.certainty, settled.said, files)
        except LedgerError as error:
            error.job_id, error.attempt_id, error.charged = job.id, attempt_id, "yes"
            raise

    async def _settled(self, job: Job, attempt: Attempt, settled: Settlement) -> None:
        attempt.settled = True
        job.settlements.append(settled)
        await job.tell(
            Settled,
            charge=settled.amount,
            certainty=settled.certainty,
            segment=1,
            attempt_id=attempt.ref.attempt_id,
        )

    async def _finish(self, job: Job) -> None:
        """Every attempt has ended: one video with all its takes, or the first error."""
        if not job.takes:
            return await self._fail(job, job.shortfalls[0])
        segments = job.plan.segments if job.plan is not None else ()
        ordered = job.wanted or sum(attempt.ref.samples for attempt in job.attempts)
        wanted = sum(segments[0].samples) if segments else ordered
        first = job.takes[0]
        if len(job.takes) < wanted:
            short = Fault("takes", wanted, len(job.takes))
            first = evolve(first, check=evolve(first.check, faults=(*first.check.faults, short)))
        total = sum((settled.amount for settled in job.settlements), Credits(micro_usd=0))
        video = evolve(first, charge=total, takes=(first, *job.takes[1:]))
        if (mismatch := _mismatch(job, video)) is not None:
            return await self._fail(job, mismatch)
        job.video = video
        await job.tell(Finished, path=str(video.path))
        return None

    async def _fail(self, job: Job, error: MultiVideoError) -> None:
        job.error = error
        await job.tell(Failed, error=error)


@contextmanager
def _of_an_accepted(job: Job) -> Iterator[None]:
    """Have an error say which job it is about, and that its money is bound: what failed is not the job."""
    try:
        yield
    except MultiVideoError as error:
        error.ref, error.job_id = job.ref, error.job_id or job.id
        error.step = error.step or StepKind.POLL.value
        if error.charged == "no" and not all(attempt.settled for attempt in job.attempts):
            error.charged, error.cost = "held", ""
        raise


def _kind(attempt: Attempt) -> Kind:
    """What its time depends on."""
    return Kind(attempt.ref.vendor.wire_model, attempt.ref.seconds, attempt.ref.resolution)


def _mismatch(job: Job, video: Video) -> DeliverableMismatch | None:
    """The error of a file that is not what was ordered, where the request makes that an error."""
    unproven = {refusal.field for refusal in job.plan.first.unconfirmed} if job.plan is not None else set()
    strict = job.request is not None and job.request.strict
    faults = [fault for fault in video.check.faults if strict or fault.name in unproven]
    if not faults:
        return None
    return DeliverableMismatch(
        f"{video.model} delivered another video than was ordered: {'; '.join(map(str, faults))}.",
        asked=", ".join(f"{fault.name}={fault.asked}" for fault in faults),
        hint=f"the file is kept at {video.path}, and error.video has it",
        charge=video.charge,
        job_id=job.id,
        provider=video.provider,
        step=StepKind.DOWNLOAD.value,
        video=video,
    )
