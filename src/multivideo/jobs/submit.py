"""The paid call: every hold is written before the first byte leaves, every answer before anything else happens."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import anyio
import anyio.lowlevel
from anyio import to_thread
from attrs import asdict, define, evolve, frozen

from ..errors import (
    InvalidRequest,
    LedgerError,
    MultiVideoError,
    OutcomeUnknown,
    Problem,
    ProviderUnavailable,
    UnsupportedFeature,
)
from ..ledger.journal import SUBMIT_LEASE_S, Journal
from ..ledger.records import AttemptState, NewAttempt, NewJob
from ..transport.retry import StepKind
from ..transport.sender import Retry, Sender
from ..values.clips import Clip
from ..values.credits import Credits
from ..values.events import Failed, Planned, Submitted
from ..values.plan import Plan
from ..values.refs import AttemptRef, VendorRef
from ..values.words import Mode
from ..wire import Order, Provider, Step
from .brought import Brought, goes_as_bytes, wish_text
from .job import Attempt, Job
from .site import Site
from .slots import Slots
from .target import prepared, target

__all__ = ["Submitter"]

logger = logging.getLogger("multivideo")


@frozen
class _Call:
    """One paid call that is about to be made, and how it stands in the books."""

    order: Order
    ref: AttemptRef


@define(eq=False)
class Submitter:
    """Sends what a plan says. `keep` is told of a job once its first call was accepted."""

    sender: Sender
    sites: Mapping[str, Site]
    home: Path
    journal: Journal
    keep: Callable[[Job], None]

    async def submit(self, job: Job, plan: Plan) -> None:
        """Hold the credits of all calls, then send them; returns once their vendor has answered.

        Raises: InvalidRequest, InsufficientCredits and their likes before anything is sent; OutcomeUnknown where a
            paid call got no clear answer.
        """
        request, clock, provider = plan.request, self.sender.clock, plan.first.provider
        brought, wish = await self._prepare(job, plan)
        await job.tell(Planned, plan=plan)
        orders = [self._order(job, plan, number, brought) for number in range(len(plan.segments[0].samples))]
        _first_step(self.sites[provider].channel.provider, orders[0])  # what cannot be said is told before a hold
        calls = [_Call(order, self._ref(plan, order, provider)) for order in orders]
        unsent = await self._hold(job, plan, wish, calls)
        try:
            with clock.fail_after(request.deadline):
                for call in calls:
                    await self._send(job, call, unsent)
        except TimeoutError:  # a request under way is never cut off, so what is not in the job was not accepted
            if not job.attempts:
                raise _too_late(job, plan, request.deadline) from None
        finally:
            await self._give_back(job, unsent)

    async def _prepare(self, job: Job, plan: Plan) -> tuple[Brought, str]:
        """Everything that can fail before money is held: the target folder, the bytes of what is brought along."""
        first, request = plan.first, plan.request
        _still_there(request.source_video, first.provider, self.sender.clock.wall())
        facts = self.sites[first.provider].paths[first.model].mode(plan.segments[0].mode)
        whole_clip = facts is not None and goes_as_bytes(request.source_video, facts.clip, first.provider)

        def read() -> tuple[Brought, str]:
            prepared(target(job.save_to, self.home, first.model, job.id, 1))
            return Brought.of(request, whole_clip), wish_text(request, first.name)

        with self.sender.clock.working():
            return await to_thread.run_sync(read)

    def _order(self, job: Job, plan: Plan, number: int, brought: Brought) -> Order:
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

    def _ref(self, plan: Plan, order: Order, provider: str) -> AttemptRef:
        """What the call orders and may cost; its vendor's id is still to come."""
        segment, quote = order.segment, plan.first.quote
        family = self.sites[provider].channel.provider.family
        # rounded up: the holds of all calls together are never less than the quote
        held = -(-quote.upper_bound.micro_usd * order.samples // sum(segment.samples))
        return AttemptRef(
            attempt_id=order.attempt_id,
            vendor=VendorRef(provider, family, order.model, order.wire_model, ""),
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
            unit_prices=tuple((unit, price.micro_usd) for unit, price in self.sites[provider].unit_prices.items()),
            listed=quote.certainty == "documented",
            price_micro_usd=-(-quote.amount.micro_usd * order.samples // sum(segment.samples)),
        )

    async def _hold(self, job: Job, plan: Plan, wish: str, calls: Sequence[_Call]) -> list[str]:
        """Commit 1 of every call: all credits are held, or none. Returns the attempts that are to be sent."""
        request, held = plan.request, list[str]()
        new = NewJob(
            id=job.id,
            request_print=wish,
            prompt_print=request.prompt,
            brief=request.brief.value if request.brief is not None else None,
            save_to=None if job.save_to is None else os.path.join(Path.cwd(), job.save_to),  # noqa: PTH118 - keeps a "/"
            tags=request.tags,
        )
        try:
            for call in calls:
                ref = call.ref
                attempt = NewAttempt(
                    id=ref.attempt_id,
                    job_id=job.id,
                    provider=ref.vendor.provider,
                    model=ref.vendor.model,
                    call=json.dumps(asdict(ref), separators=(",", ":")),
                    held=Credits(micro_usd=ref.held_micro_usd),
                )
                await self.journal.prepare(new, attempt)
                held.append(ref.attempt_id)
        except BaseException as error:
            if isinstance(error, MultiVideoError):
                error.job_id = job.id
            await self._give_back(job, held)
            raise
        return held

    async def _give_back(self, job: Job, unsent: list[str]) -> None:
        """Void what was never sent, and end a job of which nothing was."""
        for attempt_id in unsent:
            await self._write_end(job, attempt_id, AttemptState.VOID, "never sent")

    async def _send(self, job: Job, call: _Call, unsent: list[str]) -> None:
        """Send one paid call once there is a place for it.

        The first one's error is the caller's; a later one's leaves the job with fewer takes.
        """
        order, provider, attempt_id = call.order, call.ref.vendor.provider, call.order.attempt_id
        slots = self.sites[provider].gate.of(order.model)
        try:
            await slots.take(attempt_id, lambda: self.journal.claim(job.id, SUBMIT_LEASE_S))
            await self._take(job, call, unsent, slots)
        except MultiVideoError as error:
            error.job_id, error.attempt_id, error.step = job.id, attempt_id, StepKind.SUBMIT.value
            error.provider = provider
            if not job.attempts:
                raise
            job.shortfalls.append(error)
            await job.tell(Failed, error=error, attempt_id=attempt_id)
            return
        finally:
            slots.sent(attempt_id)
        await job.tell(Submitted, model=order.model, provider=provider, ref=job.ref, segment=1, attempt_id=attempt_id)

    async def _take(self, job: Job, call: _Call, unsent: list[str], slots: Slots) -> None:
        """The paid call between its two commits."""
        attempt_id, site = call.order.attempt_id, self.sites[call.ref.vendor.provider]
        tries = 0

        async def record(vendor: VendorRef) -> None:  # from here on the paid job cannot be lost, not even by a cancel
            unsent.remove(attempt_id)
            job.attempts.append(Attempt(evolve(call.ref, vendor=vendor, submitted_at=self.sender.clock.wall())))
            slots.accepted(attempt_id, vendor)
            self.keep(job)
            await self._accepted(job, attempt_id, vendor)

        async def leaving() -> None:
            nonlocal tries
            await self.journal.sending(job.id, attempt_id, again=tries > 0)
            await anyio.lowlevel.checkpoint()  # whoever was cancelled while that was written pays nothing any more
            tries += 1

        async def told(retry: Retry) -> None:
            if retry.throttled:
                slots.throttled()
            await job.retried(attempt_id)(retry)

        step = _first_step(site.channel.provider, call.order)
        try:
            await self.sender.take(site.channel, step, StepKind.SUBMIT, told, record, leaving)
        except MultiVideoError as error:
            if attempt_id in unsent:  # else it is accepted, and only its entry could not be written
                unsent.remove(attempt_id)
                await self._refused(job, attempt_id, error, left=tries > 0)
            raise
        except anyio.get_cancelled_exc_class():  # comes before the first byte or after the last: never in between
            raise
        except BaseException as stop:  # Ctrl-C may come anywhere, and nobody knows how far this was
            if tries and attempt_id in unsent:
                unsent.remove(attempt_id)
                await self._write_end(job, attempt_id, AttemptState.UNKNOWN, type(stop).__name__)
            raise

    async def _accepted(self, job: Job, attempt_id: str, vendor: VendorRef) -> None:
        """Commit 3. Where it cannot be written, the job goes on all the same: its reference is what is left."""
        try:
            await self.journal.accepted(attempt_id, vendor.remote_id)
        except LedgerError as error:
            job.unwritten[attempt_id] = vendor.remote_id
            logger.error(
                "a paid job was accepted and the ledger could not be written (%s): store job.ref",
                error.what,
                extra={"job_id": job.id, "attempt_id": attempt_id, "remote_id": vendor.remote_id},
            )

    async def _refused(self, job: Job, attempt_id: str, error: MultiVideoError, *, left: bool) -> None:
        """Commit 3 of a call that made no job, or of one of which nobody knows."""
        lost = isinstance(error, OutcomeUnknown)
        said = " ".join(filter(None, (type(error).__name__, error.request_id)))  # its text may repeat what was sent
        no = AttemptState.REJECTED if left else AttemptState.VOID
        await self._write_end(job, attempt_id, AttemptState.UNKNOWN if lost else no, said)

    async def _write_end(self, job: Job, attempt_id: str, state: AttemptState, said: str) -> None:
        """Write how a call ended that was not accepted; a job of which nothing is left is at its end too."""
        lost = state is AttemptState.UNKNOWN
        job.unknown = job.unknown or lost
        extra = {"job_id": job.id, "attempt_id": attempt_id}
        if lost:
            logger.warning("outcome of a paid submit is unknown", extra=extra)
        try:
            with anyio.CancelScope(shield=True):
                if lost:
                    await self.journal.unknown(attempt_id, said)
                else:
                    await self.journal.void(attempt_id, state, said)
                if not job.attempts and not job.unknown:
                    await self.journal.job_ended(job.id, ())
        except LedgerError as trouble:  # the error of the call is told, and recovery finds the attempt as it was
            logger.error("the ledger could not be written: %s", trouble.what, extra=extra)


def _still_there(clip: Clip | None, provider: str, now: float) -> None:
    """Raises: InvalidRequest for a video whose vendor does not keep its file any more, where that is what is sent."""
    handle = clip.handle if clip is not None else None
    if handle is None or handle.ref.provider != provider or handle.expires_at is None or handle.expires_at > now:
        return
    ended = dt.datetime.fromtimestamp(handle.expires_at, dt.UTC)
    asked = f"a video that {provider} kept until {ended:%Y-%m-%d %H:%M} UTC"
    raise InvalidRequest.of([Problem("source_video", asked, "a video that is still kept, or its file or address")])


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


def _too_late(job: Job, plan: Plan, deadline: float | None) -> ProviderUnavailable:
    return ProviderUnavailable(
        f"{plan.provider} did not take the job within {deadline:g} s.",
        asked=f"deadline={deadline:g}",
        hint="try again, or allow more time: it may be short of slots",
        cost="no, nothing was accepted",
        provider=plan.provider,
        job_id=job.id,
        step=StepKind.SUBMIT.value,
    )
