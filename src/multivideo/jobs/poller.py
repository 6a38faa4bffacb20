"""Looks at all running jobs of one provider account, with as few requests as the vendor allows.

Nothing runs in the background: whoever waits first leads, asks for everybody, and hands over when its own job is told.
"""

from __future__ import annotations

import copy
import heapq
import itertools
from collections.abc import Callable, Mapping, Sequence

import anyio
from attrs import define, field

from ..clock import Clock, Nap
from ..transport.retry import StepKind
from ..transport.sender import Channel, OnRetry, Sender
from ..values.refs import VendorRef
from ..wire import JobState, JobStatus

__all__ = ["Poller", "pace"]

BATCH = 100
AT_ONCE = 16
SLACK_S = 0.25  # jobs that are due this soon are asked for in the same request


def pace(elapsed_s: float, random: Callable[[], float], asked_s: float | None = None) -> float:
    """Seconds to the next look: what was asked for, else half of the elapsed time, 1 to 10 s, a tenth of it random."""
    if asked_s is not None:
        return asked_s
    return min(10.0, max(1.0, 0.5 * elapsed_s)) * (0.95 + 0.1 * random())


@define(eq=False)
class _Watch:
    ref: VendorRef
    due: float
    on_retry: OnRetry | None
    turn: anyio.Event = field(factory=anyio.Event)
    answer: JobStatus | Exception | None = None

    def tell(self, answer: JobStatus | Exception) -> None:
        self.answer = answer
        self.turn.set()


@define
class Poller:
    """The one that polls for all jobs of an account."""

    sender: Sender
    channel: Channel
    clock: Clock
    _heap: list[tuple[float, int, _Watch]] = field(factory=list)
    _waiting: dict[_Watch, None] = field(factory=dict)
    _order: itertools.count[int] = field(factory=itertools.count)
    _leader: Nap | None = None

    async def look(self, ref: VendorRef, wait_s: float, on_retry: OnRetry | None = None) -> JobStatus:
        """What the vendor says of the job in that many seconds, or a little sooner where somebody else asks too."""
        watch = _Watch(ref, self.clock.monotonic() + wait_s, on_retry)
        heapq.heappush(self._heap, (watch.due, next(self._order), watch))
        self._waiting[watch] = None
        if self._leader is not None and self._heap[0][2] is watch:
            self._leader.wake()
        try:
            while watch.answer is None:
                if self._leader is None:
                    await self._lead(watch)
                else:
                    await watch.turn.wait()
                    watch.turn = anyio.Event()
        finally:
            del self._waiting[watch]
            if self._leader is None and self._waiting:
                next(iter(self._waiting)).turn.set()
        if isinstance(watch.answer, Exception):
            raise copy.copy(watch.answer)
        return watch.answer

    async def _lead(self, watch: _Watch) -> None:
        due: list[_Watch] = []
        try:
            while watch.answer is None:
                while self._heap[0][2] not in self._waiting:
                    heapq.heappop(self._heap)
                self._leader = self.clock.nap(self._heap[0][0] - self.clock.monotonic())
                await self._leader.sleep()
                due = self._take_due()
                await self._ask(due)
        finally:
            self._leader = None
            for other in due:  # a leader that was cancelled while asking leaves some untold: they are due again
                if other.answer is None:
                    heapq.heappush(self._heap, (other.due, next(self._order), other))

    def _take_due(self) -> list[_Watch]:
        due = []
        while self._heap and self._heap[0][0] <= self.clock.monotonic() + SLACK_S:
            watch = heapq.heappop(self._heap)[2]
            if watch in self._waiting and watch.answer is None:
                due.append(watch)
        return due

    async def _ask(self, due: Sequence[_Watch]) -> None:
        """Tell every due watch, by one request for many where the vendor has that."""
        limit = anyio.Semaphore(AT_ONCE)
        async with anyio.create_task_group() as tasks:
            for at in range(0, len(due), BATCH):
                batch = due[at : at + BATCH]
                if self.channel.provider.poll_many([watch.ref for watch in batch]) is not None:
                    tasks.start_soon(self._ask_batch, batch, limit)
                else:
                    for watch in batch:
                        tasks.start_soon(self._ask_one, watch, limit)

    async def _ask_one(self, watch: _Watch, limit: anyio.Semaphore) -> None:
        async with limit:
            try:
                exchange = self.channel.provider.poll(watch.ref)
                status = await self.sender.run(self.channel, exchange, StepKind.POLL, watch.on_retry)
                watch.tell(status)
            except Exception as error:  # noqa: BLE001 - belongs to whoever waits for this job, not to the leader
                watch.tell(error)

    async def _ask_batch(self, batch: Sequence[_Watch], limit: anyio.Semaphore) -> None:
        exchange = self.channel.provider.poll_many([watch.ref for watch in batch])
        if exchange is None:
            return
        async with limit:
            try:
                found = await self.sender.run(self.channel, exchange, StepKind.POLL, batch[0].on_retry)
            except Exception as error:  # noqa: BLE001 - belongs to whoever waits for these jobs, not to the leader
                for watch in batch:
                    watch.tell(error)
                return
        _tell_all(batch, found)


def _tell_all(batch: Sequence[_Watch], found: Mapping[str, JobStatus]) -> None:
    for watch in batch:
        remote_id = watch.ref.remote_id
        watch.tell(found.get(remote_id) or JobStatus(remote_id, JobState.MISSING, "not in the answer"))
