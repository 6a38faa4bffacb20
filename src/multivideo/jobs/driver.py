"""The one loop: submit, look until it is done, fetch, measure, settle. Nobody else asks the transport for anything."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from anyio import to_thread
from attrs import define, evolve, field, frozen

from ..catalog.facts import ClipRule, ModelPath
from ..errors import (
    DeliverableMismatch,
    DownloadFailed,
    InvalidRequest,
    MultiVideoError,
    OutcomeUnknown,
    Problem,
    ProviderError,
    ProviderUnavailable,
    UnsupportedFeature,
)
from ..files.boxes import Measured, NotAVideo
from ..files.inspect import Check, Expected, Fault, inspect
from ..secrets import repeats
from ..transport.download import Fetched, fetch, keep
from ..transport.retry import StepKind
from ..transport.sender import Channel, OnRetry, Retry, Sender
from ..values.clips import Clip
from ..values.credits import Credits
from ..values.events import Downloaded, Failed, Finished, Planned, Progress, Retried, Settled, Submitted
from ..values.media import Media
from ..values.plan import Plan
from ..values.refs import AttemptRef, JobRef, VendorHandle, VendorRef
from ..values.request import VideoRequest
from ..values.result import Video
from ..values.words import Mode
from ..wire import Asset, JobState, JobStatus, Order, Provider, Step
from .job import Attempt, Job, cannot_cancel
from .poller import Poller, pace
from .settle import Settlement, settle_failure, settle_success
from .target import prepared, target

__all__ = ["Driver", "Site"]

logger = logging.getLogger("multivideo")

MISSING_GRACE_S = 60.0  # a fresh job may be invisible for a while
MISSING_LOOKS = 3
FETCHES = 3


@frozen
class Site:
    """One configured provider as the driver sees it."""

    channel: Channel
    poller: Poller
    vendor: str
    paths: Mapping[str, ModelPath] = field(repr=False)
    unit_prices: Mapping[str, Credits] = field(repr=False)


L = TypeVar("L", Media, Clip)


@frozen
class _Brought:
    """What a request brings along, its bytes in memory where they are sent."""

    first: Media | None = None
    last: Media | None = None
    references: tuple[Media, ...] = ()
    source: Clip | None = None

    @classmethod
    def of(cls, request: VideoRequest, whole_clip: bool) -> _Brought:
        """Read them. Raises: InvalidRequest for one that cannot be read any more."""

        def loaded(name: str, brought: L) -> L:
            try:
                return brought.loaded()
            except OSError as error:
                asked = f"a file that cannot be read any more ({error.strerror})"
                raise InvalidRequest.of([Problem(name, asked, "a readable file")]) from None

        clip = request.source_video

        return cls(
            loaded("first_frame", request.first_frame) if request.first_frame else None,
            loaded("last_frame", request.last_frame) if request.last_frame else None,
            tuple(loaded("reference_images", picture) for picture in request.pictures),
            loaded("source_video", clip) if clip is not None and whole_clip else clip,
        )


@define(eq=False)
class Driver:
    """Drives all jobs of a client. Keeps each in `jobs`, from the moment its vendor has accepted it."""

    sender: Sender
    sites: Mapping[str, Site]
    home: Path
    new_id: Callable[[], str]
    jobs: dict[str, Job] = field(factory=dict)

    async def submit(self, plan: Plan) -> Job:
        """Send the first candidate of a plan; returns once its vendor has accepted it.

        Raises: InvalidRequest before anything is sent; OutcomeUnknown where a paid submit got no clear answer.
        """
        request, clock = plan.request, self.sender.clock
        tags = tuple(request.tags.items())
        job = Job(self.new_id(), self, request, plan, request.save_to, tags, began=clock.monotonic())
        job.listen(request.on_event)
        brought = await self._prepare(job, plan)
        await job.tell(Planned, plan=plan)
        try:
            with clock.fail_after(request.deadline):
                for number in range(len(plan.segments[0].samples)):
                    await self._send(job, self._order(job, plan, number, brought), plan.first.provider)
        except TimeoutError:  # a request under way is never cut off, so what is not in the job was not accepted
            if not job.attempts:
                raise _too_late(plan, request.deadline) from None
        return job

    def _order(self, job: Job, plan: Plan, number: int, brought: _Brought) -> Order:
        """The paid call of that number, with nothing left open."""
        candidate, [segment], request = plan.first, plan.segments, plan.request
        site = self.sites[candidate.provider]
        return Order(
            attempt_id=f"{job.id}-{number + 1}",
            model=candidate.model,
            wire_model=site.paths[candidate.model].wire_model,
            prompt=request.prompt,
            segment=segment,
            samples=segment.samples[number],
            first_frame=brought.first,
            last_frame=brought.last,
            references=brought.references,
            elements=request.elements,
            shots=request.shots,
            source=brought.source,
            negative_prompt=request.negative_prompt,
            seed=request.seed,
            options=request.options.get(site.vendor, {}),
        )

    def resume(self, ref: JobRef) -> Job:
        """The job of a reference: the one that is known here, or one made from what the reference says.

        Raises: InvalidRequest where a provider of the job is not configured.
        """
        if ref.job_id in self.jobs:
            return self.jobs[ref.job_id]
        for attempt in ref.attempts:
            if attempt.vendor.provider not in self.sites:
                known = ", ".join(self.sites) or "none"
                problem = Problem("ref", f"a job at {attempt.vendor.provider!r}", f"a configured provider: {known}")
                raise InvalidRequest.of([problem], what="The provider of this job is not configured.")
        attempts = [Attempt(attempt) for attempt in ref.attempts]
        began = self.sender.clock.monotonic()
        job = Job(ref.job_id, self, None, None, ref.save_to, ref.tags, attempts, began)
        self.jobs[job.id] = job
        return job

    async def step(self, job: Job) -> None:
        """One look, or one fetch, or the end: whatever the job needs next. Does nothing to a job that has ended."""
        try:
            await self._step(job)
        except MultiVideoError as error:
            error.ref = job.ref
            raise

    async def _step(self, job: Job) -> None:
        for attempt in job.attempts:
            if attempt.settled:
                continue
            if attempt.status is None:
                await self._look(job, attempt)
            elif attempt.status.state is JobState.SUCCEEDED:
                await self._collect(job, attempt, attempt.status)
            else:
                await self._give_up(job, attempt, attempt.status)
            return
        await self._finish(job)

    async def look_now(self, job: Job) -> JobStatus:
        """The state of the job's first unfinished attempt, asked now."""
        attempt = next((a for a in job.attempts if not a.settled), job.attempts[-1])
        if attempt.status is None:
            status = await self._site(attempt).poller.look(attempt.ref.vendor, 0)
            if not status.state.ended:
                return status
            attempt.status = status
        return attempt.status

    async def cancel(self, job: Job, attempt: Attempt) -> None:
        """Ask the vendor to stop an attempt. Raises: UnsupportedFeature where it cannot."""
        site = self._site(attempt)
        exchange = site.channel.provider.cancel(attempt.ref.vendor)
        if exchange is None:
            raise cannot_cancel(job, attempt)
        await self.sender.run(site.channel, exchange, StepKind.LOOK_UP)

    def _site(self, attempt: Attempt) -> Site:
        return self.sites[attempt.ref.vendor.provider]

    async def _prepare(self, job: Job, plan: Plan) -> _Brought:
        """Everything that can fail before money is spent: the target folder, the bytes of what is brought along."""
        first = plan.first
        facts = self.sites[first.provider].paths[first.model].mode(plan.segments[0].mode)
        whole_clip = facts is not None and _goes_as_bytes(plan.request.source_video, facts.clip, first.provider)
        with self.sender.clock.working():
            await to_thread.run_sync(prepared, target(job.save_to, self.home, first.model, job.id, 1))
            return await to_thread.run_sync(_Brought.of, plan.request, whole_clip)

    async def _send(self, job: Job, order: Order, provider: str) -> None:
        """Send one paid call. The first one's error is the caller's; a later one's leaves the job with fewer takes."""
        site = self.sites[provider]

        async def record(vendor: VendorRef) -> None:  # from here on the paid job cannot be lost, not even by a cancel
            job.attempts.append(Attempt(self._attempt_ref(job, order, vendor)))
            self.jobs[job.id] = job

        try:
            step = _first_step(site.channel.provider, order)
            await self.sender.take(site.channel, step, StepKind.SUBMIT, self._told(job, order.attempt_id), record)
        except MultiVideoError as error:
            error.job_id, error.attempt_id, error.step = job.id, order.attempt_id, StepKind.SUBMIT.value
            error.provider = provider
            if isinstance(error, OutcomeUnknown):
                logger.warning("outcome of a paid submit is unknown", extra={"job_id": job.id, "provider": provider})
            if not job.attempts:
                raise
            job.shortfalls.append(error)
            await job.tell(Failed, error=error, attempt_id=order.attempt_id)
            return
        await job.tell(
            Submitted, model=order.model, provider=provider, ref=job.ref, segment=1, attempt_id=order.attempt_id
        )

    def _attempt_ref(self, job: Job, order: Order, vendor: VendorRef) -> AttemptRef:
        segment = order.segment
        quote = job.plan.quote if job.plan is not None else None
        # rounded up: the holds of all calls together are never less than the quote
        held = -(-quote.upper_bound.micro_usd * order.samples // sum(segment.samples)) if quote else 0
        return AttemptRef(
            attempt_id=order.attempt_id,
            vendor=vendor,
            mode=segment.mode.value,
            resolution=segment.resolution,
            seconds=segment.seconds,
            width=segment.width,
            height=segment.height,
            fps=segment.fps,
            audio=segment.audio,
            samples=order.samples,
            held_micro_usd=held,
            submitted_at=self.sender.clock.wall(),
            file_seconds=segment.file_seconds,
            file_audio=segment.file_audio,
            watermark=segment.watermark,
        )

    async def _look(self, job: Job, attempt: Attempt) -> None:
        """Wait for the time of the next look, take it, and tell what was seen."""
        clock, site = self.sender.clock, self._site(attempt)
        if not attempt.next_look:
            attempt.next_look = clock.monotonic() + self._pace(job, attempt, None)
        wait_s = attempt.next_look - clock.monotonic()
        try:
            status = await site.poller.look(attempt.ref.vendor, wait_s, self._told(job, attempt.ref.attempt_id))
        except ProviderError as error:  # the look failed, the job did not
            error.job_id, error.charged, error.step = job.id, "held", StepKind.POLL.value
            raise
        attempt.next_look = clock.monotonic() + self._pace(job, attempt, status.poll_after_s)
        elapsed = max(0.0, clock.wall() - attempt.ref.submitted_at)
        if status.state is JobState.MISSING:
            self._missed(job, attempt, elapsed)
        elif status.state.ended:
            attempt.status = status
        await job.tell(
            Progress,
            state=status.state.value,
            word=status.word,
            elapsed_s=elapsed,
            percent=status.percent,
            eta_s=max(0.0, job.plan.first.expected.typical_s - elapsed) if job.plan is not None else None,
            segment=1,
            attempt_id=attempt.ref.attempt_id,
        )

    def _pace(self, job: Job, attempt: Attempt, hint_s: float | None) -> float:
        """Seconds to the next look: what the user asked for, else what the vendor did, else by the job's age."""
        asked = job.request.poll_interval if job.request is not None else None
        elapsed = max(0.0, self.sender.clock.wall() - attempt.ref.submitted_at)
        return pace(elapsed, self.sender.random, asked or hint_s)

    def _missed(self, job: Job, attempt: Attempt, elapsed_s: float) -> None:
        """The vendor does not know the job: bear it for a while, then say that it vanished; its money stays held."""
        attempt.looks_missing += 1
        if elapsed_s >= MISSING_GRACE_S and attempt.looks_missing >= MISSING_LOOKS:
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
            self._listed(job),
        )
        shares = _shares(settled.amount, len(status.assets))
        try:
            for number in range(attempt.fetched, len(status.assets)):  # after a failed fetch only the rest is fetched
                video = await self._take(job, attempt, status, number, evolve(settled, amount=shares[number]))
                job.takes.append(video)
                attempt.fetched += 1
                await job.tell(
                    Downloaded, path=str(video.path), size_bytes=video.size_bytes, sha256=video.sha256, segment=1
                )
        except BaseException:
            attempt.status = None  # look again before the next fetch: for fresh addresses, or for the files once more
            raise
        finally:
            for asset in status.assets:
                if asset.file is not None:
                    asset.file.unlink(missing_ok=True)
        await self._settle(job, attempt, settled)

    async def _take(self, job: Job, attempt: Attempt, status: JobStatus, number: int, settled: Settlement) -> Video:
        ref = attempt.ref
        path = target(job.save_to, self.home, ref.vendor.model, job.id, len(job.takes) + 1)
        asset = status.assets[number]
        fetched, measured, check = await self._fetch(job, attempt, _ordered(asset, ref), path)
        if ref.watermark and asset.marked_url is None:
            check = evolve(check, faults=(*check.faults, Fault("watermark", "a visible mark", "the copy without one")))
        await keep(self.sender, fetched, path)
        return Video(
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

    async def _fetch(self, job: Job, attempt: Attempt, asset: Asset, path: Path) -> tuple[Fetched, Measured, Check]:
        """A take that is on disk and is a whole video; one that is none is fetched again, a few times."""
        ref, site = attempt.ref, self._site(attempt)
        expected = Expected(
            seconds=ref.file_seconds, width=ref.width, height=ref.height, fps=ref.fps, audio=ref.file_audio
        )
        why = ""
        for _ in range(FETCHES if asset.file is None else 1):
            try:
                fetched = await fetch(self.sender, site.channel, asset, path.parent, self._told(job, ref.attempt_id))
            except MultiVideoError as error:
                error.job_id, error.attempt_id, error.step = job.id, ref.attempt_id, StepKind.DOWNLOAD.value
                raise
            try:
                with self.sender.clock.working():
                    return fetched, *await to_thread.run_sync(inspect, fetched.part, expected)
            except NotAVideo as bad:
                fetched.discard()
                why = str(bad)
            except BaseException:
                fetched.discard()
                raise
        raise DownloadFailed(
            f"What {ref.vendor.provider} delivered is no whole video: {why}.",
            hint="the job is made and paid: resume error.ref to fetch the file again, at no further cost",
            provider=ref.vendor.provider,
            job_id=job.id,
            attempt_id=ref.attempt_id,
        )

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
        error.charge = settled.amount
        error.charged = "no" if not settled.amount else "yes" if settled.certainty != "assumed" else "unknown"
        error.cost = f"{error.charged}, {settled.certainty}: {settled.amount}"
        attempt.error = error
        job.shortfalls.append(error)
        await self._settle(job, attempt, settled)

    async def _settle(self, job: Job, attempt: Attempt, settled: Settlement) -> None:
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
            job.error = job.shortfalls[0]
            await job.tell(Failed, error=job.error)
            return
        segments = job.plan.segments if job.plan is not None else ()
        wanted = sum(segments[0].samples) if segments else sum(attempt.ref.samples for attempt in job.attempts)
        first = job.takes[0]
        if len(job.takes) < wanted:
            short = Fault("takes", wanted, len(job.takes))
            first = evolve(first, check=evolve(first.check, faults=(*first.check.faults, short)))
        total = sum((settled.amount for settled in job.settlements), Credits(micro_usd=0))
        video = evolve(first, charge=total, takes=(first, *job.takes[1:]))
        if (mismatch := _mismatch(job, video)) is not None:
            job.error = mismatch
            await job.tell(Failed, error=mismatch)
            return
        job.video = video
        await job.tell(Finished, path=str(video.path))

    def _listed(self, job: Job) -> bool:
        return job.plan is not None and job.plan.quote is not None and job.plan.quote.certainty == "documented"

    def _told(self, job: Job, attempt_id: str) -> OnRetry:
        async def tell(retry: Retry) -> None:
            await job.tell(
                Retried,
                step=retry.step.value,
                tries=retry.tries,
                wait_s=retry.wait_s,
                why=retry.why,
                attempt_id=attempt_id,
            )

        return tell


def _goes_as_bytes(clip: Clip | None, rule: ClipRule | None, provider: str) -> bool:
    """Whether a clip is sent itself: not where the vendor takes none, and not one that it made and finds by its id."""
    if clip is None or rule is None or not rule.files:
        return False
    return not (rule.own and clip.handle is not None and clip.handle.ref.provider == provider)


def _first_step(provider: Provider, order: Order) -> Step[VendorRef]:
    """How that provider starts such an order. Raises: UnsupportedFeature where it cannot."""
    mode = order.segment.mode
    if mode is Mode.EXTEND:
        step = provider.extend(order)
    elif mode in {Mode.EDIT, Mode.REMIX, Mode.MOTION}:
        step = provider.edit(order)
    else:
        return provider.submit(order)
    if step is None:
        problem = Problem(
            "source_video", f"mode {mode}", f"what {provider.name} can do", f"{provider.name} has no {mode}."
        )
        raise UnsupportedFeature.of([problem], provider=provider.name)
    return step


def _ordered(asset: Asset, ref: AttemptRef) -> Asset:
    """The copy of a take that was ordered: with the vendor's visible mark, or without."""
    return evolve(asset, url=asset.marked_url) if ref.watermark and asset.marked_url is not None else asset


def _shares(amount: Credits, takes: int) -> list[Credits]:
    """An amount divided among takes, to the last micro-USD."""
    each, rest = divmod(amount.micro_usd, max(1, takes))
    return [Credits(micro_usd=each + (number < rest)) for number in range(takes)]


def _too_late(plan: Plan, deadline: float | None) -> ProviderUnavailable:
    return ProviderUnavailable(
        f"{plan.provider} did not take the job within {deadline:g} s.",
        asked=f"deadline={deadline:g}",
        hint="try again, or allow more time: it may be short of slots",
        cost="no, nothing was accepted",
        provider=plan.provider,
    )


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
        video=video,
    )
