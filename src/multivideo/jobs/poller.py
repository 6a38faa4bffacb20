"""Looks at all running jobs of one provider account, with as few requests as the vendor allows.

Nothing runs in the background: whoever waits first leads, asks for everybody, and hands over when its own job is told.
"""

from __future__ import annotations

import copy
import heapq
import itertools
from collections.abc import Callable, Iterable, Sequence
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
    nap: Nap | None = None
    """Its own sleep, where it asks for itself."""
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
    _news: set[VendorRef] = field(factory=set)
    """Jobs that were nudged after the last look at them had begun: a look that comes for one is due at once."""
    _order: itertools.count[int] = field(factory=itertools.count)
    _leader: Nap | None = None
    _limit: anyio.Semaphore = field(factory=lambda: anyio.Semaphore(AT_ONCE))

    async def look(self, ref: VendorRef, wait_s: float, on_retry: OnRetry | None = None) -> JobStatus:
        """What the vendor says of the job in that many seconds, or a little sooner where somebody else asks too."""
        now = self.clock.monotonic()
        watch = _Watch(ref, now if ref in self._news else now + wait_s, on_retry)
        self._waiting.add(watch)
        try:
            if self.channel.provider.poll_many([ref]) is None:
                answer = await self._look_alone(watch)
            else:
                answer = await self._look_together(watch)
        finally:
            self._waiting.remove(watch)
            if self._leader is None and (other := self._next()) is not None:
                other.turn.set()
        if answer.state.ended:
            self._news.discard(ref)  # nobody looks again
        return answer

    def nudge(self, ref: VendorRef) -> bool:
        """Have a job looked at now instead of at its next turn. Says whether a look was waited for or under way.

        One under way may not see what has changed, so another follows; of any number of nudges it is one.
        """
        now = self.clock.monotonic()
        self._news.add(ref)
        watches = [watch for watch in self._waiting if watch.ref == ref and watch.answer is None]
        for watch in watches:
            if watch.nap is not None:
                watch.nap.wake()
            elif watch.due > now:
                watch.due = now
                self._push(watch)
        return bool(watches)

    async def _look_alone(self, watch: _Watch) -> JobStatus:
        watch.nap = self.clock.nap(watch.due - self.clock.monotonic())
        await watch.nap.sleep()
        return await self._run(self.channel.provider.poll(watch.ref), [watch.ref], watch.on_retry)

    async def _look_together(self, watch: _Watch) -> JobStatus:
        self._push(watch)
        while watch.answer is None:
            if self._leader is None:
                await self._lead(watch)
            else:
                await watch.turn.wait()
                watch.turn = anyio.Event()
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
        """Put it in line, once more where it was nudged; the leader's nap ends where it has become the first."""
        heapq.heappush(self._heap, (watch.due, next(self._order), watch))
        if self._leader is not None and self._next() is watch:
            self._leader.wake()

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
            found = await self._run(exchange, refs.values(), told) if exchange is not None else {}
        except Exception as error:  # noqa: BLE001 - belongs to whoever waits for these jobs, not to the leader
            for watch in batch:
                watch.tell(error)
            return
        for watch in batch:
            remote_id = watch.ref.remote_id
            watch.tell(found.get(remote_id) or JobStatus(remote_id, JobState.MISSING, "not in the answer"))

    async def _run(self, exchange: Exchange[T], refs: Iterable[VendorRef], on_retry: OnRetry | None) -> T:
        """Ask in one of the places; one that waits to try again gives its place away, or a few could block all."""
        with ExitStack() as place:
            await self._limit.acquire()
            place.callback(self._limit.release)
            news = self._news.intersection(refs)
            self._news -= news

            async def told(retry: Retry) -> None:
                place.close()
                if on_retry is not None:
                    await on_retry(retry)

            try:
                return await self.sender.run(self.channel, exchange, StepKind.POLL, told)
            except BaseException:
                self._news |= news
                raise
