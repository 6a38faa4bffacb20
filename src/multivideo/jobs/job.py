"""A handle on one job: its state, its events, and the way to wait for it."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import anyio
from attrs import define, field

from ..errors import LedgerError, MultiVideoError, StillRunning, UnsupportedFeature
from ..ledger.records import AttemptRow
from ..transport.retry import StepKind
from ..transport.sender import OnRetry, Retry
from ..values.credits import Credits
from ..values.events import Event, Failed, Finished, Retried
from ..values.plan import Plan
from ..values.refs import AttemptRef, JobRef
from ..values.request import VideoRequest
from ..values.result import Video
from ..wire import JobStatus
from .settle import Settlement

if TYPE_CHECKING:
    from .driver import Driver

__all__ = ["Attempt", "Job", "cannot_cancel", "elsewhere"]

logger = logging.getLogger("multivideo")

LONGEST_WAIT_S = 3600.0
REPLAYED = 256  # events that a late listener still gets
E = TypeVar("E", bound=Event)


@define
class Attempt:
    """One accepted submit, and how far it has come: running, made, or ended with an error."""

    ref: AttemptRef
    status: JobStatus | None = None
    looks_missing: int = 0
    next_look: float = 0.0
    """Monotonic time of the next look: a wait that ends before it does not put it off."""
    is_made: bool = False
    """Its vendor has made it; the files are still to come."""
    fetched: int = 0
    error: MultiVideoError | None = None
    settled: bool = False


@define(eq=False)
class Job:
    """A job at a vendor, accepted and perhaps paid. Waiting for it is what drives it; nothing runs in between.

    `id` is ours; `ref` (and `ref.to_json()`) is what to store: `client.resume()` goes on from it, in any process.
    """

    id: str
    _driver: Driver = field(repr=False)
    request: VideoRequest | None = field(default=None, repr=False)
    plan: Plan | None = field(default=None, repr=False)
    save_to: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    attempts: list[Attempt] = field(factory=list, repr=False)
    began: float = field(default=0.0, repr=False)
    video: Video | None = field(default=None, repr=False)
    error: Exception | None = None
    takes: list[Video] = field(factory=list, repr=False)
    settlements: list[Settlement] = field(factory=list, repr=False)
    shortfalls: list[MultiVideoError] = field(factory=list, repr=False)
    unknown: bool = field(default=False, repr=False)
    """A paid call of it left, and nobody knows what became of it."""
    unwritten: dict[str, str] = field(factory=dict, repr=False)
    """Ids of accepted calls that the ledger could not take yet, by attempt."""
    kept: list[AttemptRow] = field(factory=list, repr=False)
    """Of a job of earlier: calls that were fetched and settled then, whose files are taken up again first."""
    wanted: int | None = field(default=None, repr=False)
    """Of a job of earlier: how many takes were ordered."""
    _events: list[Event] = field(factory=list, repr=False)
    _sequence: int = field(default=0, repr=False)
    _on_event: Callable[[Event], Any] | None = field(default=None, repr=False)
    _told_trouble: bool = field(default=False, repr=False)
    _waited_out: bool = field(default=False, repr=False)
    _is_stepping: bool = field(default=False, repr=False)
    _stepped: anyio.Event | None = field(default=None, repr=False)
    """Of the step under way, where anybody else waits for its end."""

    @property
    def ref(self) -> JobRef:
        """What to store; it holds no prompt and no key."""
        return JobRef(self.id, tuple(attempt.ref for attempt in self.attempts), self.save_to, self.tags)

    @property
    def state(self) -> Literal["open", "finished", "failed"]:
        """Open until there is a video or a final error."""
        return "finished" if self.video is not None else "failed" if self.error is not None else "open"

    @property
    def files(self) -> tuple[Path, ...]:
        """Where its takes lie, as far as they are fetched."""
        return tuple(take.path for take in self.takes)

    @property
    def charge(self) -> Credits:
        """What it has cost so far; what is held for it is not part of it."""
        return sum((settled.amount for settled in self.settlements), Credits(micro_usd=0))

    async def status(self) -> JobStatus:
        """Look at the vendor now, once. Free."""
        return await self._driver.look_now(self)

    async def wait(self, deadline: float | None = None) -> Video:
        """The finished video, on disk and measured.

        Args:
            deadline: seconds to wait at most; left out: what is left of the request's, and an hour once that is over.
        Raises: StillRunning at the deadline, with the job to wait for again; else the error that ended the job.
        """
        seconds = deadline if deadline is not None else self._left()
        try:
            with self._driver.sender.clock.fail_after(seconds):
                while self.state == "open":
                    await self._step()
        except TimeoutError:
            raise self._still_running() from None
        finally:
            if self.state == "open":
                await self._driver.let_go(self)
        if self.video is None:
            raise self.error or AssertionError("a job that is not open has a video or an error")
        return self.video

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Every event so far (the last 256), then each as it comes, until the job has ended."""
        seen = 0
        while True:
            fresh = [event for event in self._events if event.sequence > seen]
            for event in fresh:
                seen = event.sequence
                yield event
                if isinstance(event, Finished | Failed) and self.state != "open":
                    return
            if not fresh:
                if self.state != "open":
                    return
                await self._step(after=seen)

    async def cancel(self) -> None:
        """Stop the job at the vendor, where the vendor has a way to.

        Raises: UnsupportedFeature where it has none: the job goes on there and will be charged.
        """
        for attempt in self.attempts:
            if attempt.status is None and attempt.error is None:
                await self._driver.cancel(self, attempt)

    async def tell(self, kind: type[E], **facts: Any) -> None:
        """Record an event and hand it to the listener, whose own errors never stop a paid job."""
        self._sequence += 1
        event = kind(sequence=self._sequence, job_id=self.id, at=self._driver.sender.clock.wall(), **facts)
        self._events.append(event)
        del self._events[:-REPLAYED]
        logger.debug("%s", kind.__name__.lower(), extra={"job_id": self.id, "sequence": self._sequence})
        if self._on_event is None:
            return
        try:
            answer = self._on_event(event)
            if inspect.isawaitable(answer):
                await answer
        except Exception as error:  # noqa: BLE001 - the listener is somebody else's code
            if not self._told_trouble:
                self._told_trouble = True
                logger.warning("on_event raised %s; the job goes on", type(error).__name__, extra={"job_id": self.id})

    def retried(self, attempt_id: str) -> OnRetry:
        """What tells that a step of an attempt failed at no cost and is tried again."""

        async def tell(retry: Retry) -> None:
            await self.tell(
                Retried,
                step=retry.step.value,
                tries=retry.tries,
                wait_s=retry.wait_s,
                why=retry.why,
                attempt_id=attempt_id,
            )

        return tell

    def __str__(self) -> str:
        where = ", ".join(f"{a.ref.vendor.model}@{a.ref.vendor.provider}" for a in self.attempts)
        return f"job {self.id} at {where}, {self.state}"

    def listen(self, on_event: Callable[[Event], Any] | None) -> None:
        """Name the listener of the events to come."""
        self._on_event = on_event

    async def _step(self, after: int | None = None) -> None:
        """One step of the job by whoever comes first; the others wait for its end."""
        if self._is_stepping:
            self._stepped = self._stepped or anyio.Event()
            await self._stepped.wait()
        elif self.state == "open" and after in {None, self._sequence}:
            self._is_stepping = True
            try:
                await self._driver.step(self)
            finally:
                stepped, self._stepped, self._is_stepping = self._stepped, None, False
                if stepped is not None:
                    stepped.set()

    def _left(self) -> float:
        if self._waited_out or self.request is None or self.request.deadline is None:
            return LONGEST_WAIT_S
        return max(0.0, self.began + self.request.deadline - self._driver.sender.clock.monotonic())

    def _still_running(self) -> StillRunning:
        self._waited_out = True
        where = ", ".join(attempt.ref.vendor.provider for attempt in self.attempts)
        made = all(attempt.is_made or attempt.settled for attempt in self.attempts)
        how = "is made, and its file is still to be fetched from" if made else "still runs at"
        error = StillRunning(
            f"Job {self.id} {how} {where}.",
            hint="wait for error.job again, or store error.ref.to_json() and resume it later",
            cost="held until the job ends; nothing is paid twice",
            job_id=self.id,
            step=(StepKind.DOWNLOAD if made else StepKind.POLL).value,
            job=self,
        )
        error.ref = self.ref
        return error


def cannot_cancel(job: Job, attempt: Attempt) -> UnsupportedFeature:
    """The honest answer where a vendor has no way to stop a job."""
    provider = attempt.ref.vendor.provider
    return UnsupportedFeature(
        f"{provider} has no way to stop a job: it goes on and will be charged.",
        asked="cancel",
        hint="wait for it, or leave it: nothing else is sent",
        cost="yes, when it ends",
        charged="held",
        job_id=job.id,
        provider=provider,
        field="cancel",
    )


def elsewhere(job_id: str) -> LedgerError:
    """The error of whoever wants to drive a job that another process drives."""
    return LedgerError(
        f"Job {job_id} is driven by another process just now.",
        hint="wait for it there, or wait here again once that process has ended",
        charged="held",
        retryable=True,
        job_id=job_id,
    )
