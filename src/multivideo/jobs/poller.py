"""Looks at all running jobs of one provider account, with as few requests as the vendor allows.

Nothing runs in the background: whoever waits first leads, asks for everybody, and hands over when its own job is told.
"""

from __future__ import annotations

import copy
import heapq
import itertools
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TypeVar

import anyio
from attrs import define, field

from ..clock import Clock, Nap
from ..errors import MultiVideoError
from ..transport.retry import StepKind
from ..transport.sender import Channel, OnRetry, Retry, Sender
from ..values.refs import VendorRef
from ..wire import Exchange, JobState, JobStatus

__all__ = ["Poller", "pace"]

T = TypeVar("T")

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


@define(eq=False)
class Poller:
    """The one that polls for all jobs of an account.

    Where the vendor has no request for several jobs, each waiter asks for its own, at most `AT_ONCE` at a time.
    """

    sender: Sender
    channel: Channel
    clock: Clock
    _heap: list[tuple[float, int, _Watch]] = field(factory=list)
    _waiting: set[_Watch] = field(factory=set)
    _order: itertools.count[int] = field(factory=itertools.count)
    _leader: Nap | None = None
    _limit: anyio.Semaphore = field(factory=lambda: anyio.Semaphore(AT_ONCE))

    async def look(self, ref: VendorRef, wait_s: float, on_retry: OnRetry | None = None) -> JobStatus:
        """What the vendor says of the job in that many seconds, or a little sooner where somebody else asks too."""
        if self.channel.provider.poll_many([ref]) is None:
            await self.clock.sleep(wait_s)
            return await self._run(self.channel.provider.poll(ref), on_retry)
        watch = _Watch(ref, self.clock.monotonic() + wait_s, on_retry)
        self._waiting.add(watch)
        self._push(watch)
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
            self._waiting.remove(watch)
            if self._leader is None and (other := self._next()) is not None:
                other.turn.set()
        if isinstance(watch.answer, MultiVideoError):
            raise copy.copy(watch.answer)  # each waiter notes its own job in it
        if isinstance(watch.answer, Exception):
            raise watch.answer
        return watch.answer

    async def _lead(self, watch: _Watch) -> None:
        due: list[_Watch] = []
        try:
            while watch.answer is None:
                first = self._next() or watch
                self._leader = self.clock.nap(first.due - self.clock.monotonic())
                await self._leader.sleep()
                due = self._take_due()
                await self._ask(due)
        finally:
            self._leader = None
            for other in due:  # a leader that was cancelled while asking leaves some untold: they are due again
                if other.answer is None:
                    self._push(other)

    def _push(self, watch: _Watch) -> None:
        heapq.heappush(self._heap, (watch.due, next(self._order), watch))

    def _next(self) -> _Watch | None:
        """The watch that is due first and still waits for its answer."""
        while self._heap and not self._waits(self._heap[0][2]):
            heapq.heappop(self._heap)
        return self._heap[0][2] if self._heap else None

    def _waits(self, watch: _Watch) -> bool:
        return watch in self._waiting and watch.answer is None

    def _take_due(self) -> list[_Watch]:
        due = []
        while (watch := self._next()) is not None and watch.due <= self.clock.monotonic() + SLACK_S:
            heapq.heappop(self._heap)
            due.append(watch)
        return due

    async def _ask(self, due: Sequence[_Watch]) -> None:
        """Tell every due watch, by one request for many."""
        async with anyio.create_task_group() as tasks:
            for at in range(0, len(due), BATCH):
                tasks.start_soon(self._ask_batch, due[at : at + BATCH])

    async def _ask_batch(self, batch: Sequence[_Watch]) -> None:
        async def told(retry: Retry) -> None:
            for watch in batch:
                if watch.on_retry is not None:
                    await watch.on_retry(retry)

        try:
            refs = {watch.ref.remote_id: watch.ref for watch in batch}  # two may wait for one job
            exchange = self.channel.provider.poll_many(list(refs.values()))
            found = await self._run(exchange, told) if exchange is not None else {}
        except Exception as error:  # noqa: BLE001 - belongs to whoever waits for these jobs, not to the leader
            for watch in batch:
                watch.tell(error)
            return
        for watch in batch:
            remote_id = watch.ref.remote_id
            watch.tell(found.get(remote_id) or JobStatus(remote_id, JobState.MISSING, "not in the answer"))

    async def _run(self, exchange: Exchange[T], on_retry: OnRetry | None) -> T:
        """Ask in one of the places; one that waits to try again gives its place away, or a few could block all."""
        with ExitStack() as place:
            await self._limit.acquire()
            place.callback(self._limit.release)

            async def told(retry: Retry) -> None:
                place.close()
                if on_retry is not None:
                    await on_retry(retry)

            return await self.sender.run(self.channel, exchange, StepKind.POLL, told)
