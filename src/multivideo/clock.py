"""Time as an argument: the one clock that everything which waits is given.

`SystemClock` is real time. `VirtualClock` stands still until everybody sleeps on it and then jumps to the next
moment anybody waits for, so that a test lives through hours in milliseconds.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from typing import Protocol

import anyio
import anyio.lowlevel
from attrs import define, field

__all__ = ["Clock", "Nap", "SystemClock", "VirtualClock"]


class Nap(Protocol):
    """A sleep that another task may cut short."""

    async def sleep(self) -> None:
        """Return at the end of the nap, or as soon as it is cut short."""
        ...

    def wake(self) -> None:
        """End the nap now; harmless before it began and after it ended."""
        ...


class Clock(Protocol):
    """Wall time to show, monotonic time to measure, and the ways to wait."""

    def wall(self) -> float:
        """Seconds since 1970, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from some fixed moment; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that long; zero or less only yields."""
        ...

    def nap(self, seconds: float) -> Nap:
        """A sleep of that length, to be started by its `sleep()`."""
        ...

    def fail_after(self, seconds: float | None) -> AbstractContextManager[object]:
        """Raise TimeoutError inside the block once that many seconds passed; None: never."""
        ...

    def working(self) -> AbstractContextManager[None]:
        """Mark work that goes on in a thread: virtual time stands still until it is done."""
        ...


@define
class _SystemNap:
    _seconds: float
    _woken: anyio.Event = field(factory=anyio.Event)

    async def sleep(self) -> None:
        with anyio.move_on_after(max(0.0, self._seconds)):
            await self._woken.wait()

    def wake(self) -> None:
        self._woken.set()


class SystemClock:
    """Real time."""

    def wall(self) -> float:
        """Seconds since 1970, UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds from some fixed moment; never goes back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait that long."""
        await anyio.sleep(max(0.0, seconds))

    def nap(self, seconds: float) -> Nap:
        """A sleep that can be cut short."""
        return _SystemNap(seconds)

    def fail_after(self, seconds: float | None) -> AbstractContextManager[object]:
        """Raise TimeoutError inside the block once that many seconds passed; None: never."""
        return anyio.fail_after(seconds)

    def working(self) -> AbstractContextManager[None]:
        """Nothing to do: real time never stands still."""
        return nullcontext()


@define(eq=False)
class _Alarm:
    """One moment that somebody waits for; `ring` is told when it has come."""

    at: float
    ring: Callable[[], None]
    off: bool = False


@define(eq=False)
class _VirtualNap:
    """A sleeper. Whichever sleeper finds no leader becomes it and moves time for all of them."""

    _clock: VirtualClock
    _seconds: float
    _turn: anyio.Event = field(factory=anyio.Event)
    _over: bool = False

    async def sleep(self) -> None:
        if self._over or self._seconds <= 0:
            await anyio.lowlevel.checkpoint()
            return
        alarm = self._clock._set_alarm(self._seconds, self.wake)
        self._clock._sleepers[self] = None
        try:
            while not self._over:
                if self._clock._leader is None:
                    await self._lead()
                else:
                    await self._turn.wait()
                    self._turn = anyio.Event()
        finally:
            alarm.off = True
            del self._clock._sleepers[self]
            self._clock._hand_over()

    async def _lead(self) -> None:
        self._clock._leader = self
        try:
            while not self._over:
                await self._clock._until_all_wait()
                if not self._over:
                    self._clock._jump()
        finally:
            self._clock._leader = None

    def wake(self) -> None:
        self._over = True
        self._turn.set()

    def nudge(self) -> None:
        self._turn.set()


class VirtualClock:
    """Time that passes only while everybody waits for it.

    Everything on one event loop that sleeps must sleep here, and work handed to a thread must be marked by
    `working()`; then 2,000 jobs of two minutes pass as fast as they can be computed. Not for real sockets.
    """

    def __init__(self, start: float = 1785542400.0) -> None:
        """Begin at `start`, Unix seconds; left out: 2026-08-01, 00:00 UTC."""
        self._start = start
        self._now = 0.0
        self._alarms: list[tuple[float, int, _Alarm]] = []
        self._order = itertools.count()
        self._sleepers: dict[_VirtualNap, None] = {}
        self._leader: _VirtualNap | None = None
        self._working = 0
        self._lock = threading.Lock()

    def wall(self) -> float:
        """Seconds since 1970, UTC."""
        return self._start + self._now

    def monotonic(self) -> float:
        """Virtual seconds since this clock was made."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait that long, in virtual time."""
        await self.nap(seconds).sleep()

    def nap(self, seconds: float) -> Nap:
        """A sleep that can be cut short."""
        return _VirtualNap(self, seconds)

    @contextmanager
    def fail_after(self, seconds: float | None) -> Iterator[object]:
        """Raise TimeoutError inside the block once that many virtual seconds passed; None: never."""
        if seconds is None:
            yield None
            return
        with anyio.CancelScope() as scope:
            alarm = self._set_alarm(seconds, scope.cancel)
            try:
                yield scope
            finally:
                alarm.off = True
        if scope.cancelled_caught:
            raise TimeoutError

    @contextmanager
    def working(self) -> Iterator[None]:
        """Hold time still while work goes on in a thread; may be entered and left from any thread."""
        with self._lock:
            self._working += 1
        try:
            yield
        finally:
            with self._lock:
                self._working -= 1

    def _set_alarm(self, seconds: float, ring: Callable[[], None]) -> _Alarm:
        alarm = _Alarm(self._now + max(0.0, seconds), ring)
        heapq.heappush(self._alarms, (alarm.at, next(self._order), alarm))
        return alarm

    def _jump(self) -> None:
        """Go to the next moment that anybody waits for, and tell all who wait for it."""
        while self._alarms and self._alarms[0][2].off:
            heapq.heappop(self._alarms)
        if not self._alarms:
            return
        self._now = max(self._now, self._alarms[0][0])
        while self._alarms and self._alarms[0][0] <= self._now:
            alarm = heapq.heappop(self._alarms)[2]
            if not alarm.off:
                alarm.ring()

    def _hand_over(self) -> None:
        if self._leader is None and self._sleepers:
            next(iter(self._sleepers)).nudge()

    async def _until_all_wait(self) -> None:
        """Return once no other task of this loop can run and no marked thread works."""
        while True:
            await _let_others_run()
            if not self._working:
                return
            await anyio.sleep(0.001)  # real time, while a thread does real work


async def _let_others_run() -> None:
    """Yield until every other task of this event loop waits for something."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        await import_module("trio.testing").wait_all_tasks_blocked()
        return
    # asyncio keeps what can still run in a private queue; a loop without one gets a fixed number of turns instead
    ready = getattr(asyncio.get_running_loop(), "_ready", None)
    for _ in itertools.count() if ready is not None else range(50):
        await anyio.lowlevel.checkpoint()
        if ready is not None and not ready:
            return
