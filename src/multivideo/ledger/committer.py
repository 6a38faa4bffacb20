"""Many tasks, one commit: whoever comes first writes for all that wait by then. Nothing runs between calls."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from attrs import define, field

from ..clock import Clock
from .store import Store, Work

__all__ = ["Committer"]

T = TypeVar("T")
MOST_AT_ONCE = 64


@define(eq=False)
class _Waiting:
    work: Work[Any]
    woken: anyio.Event = field(factory=anyio.Event)
    outcome: Any = None
    done: bool = False


@define(eq=False)
class Committer:
    """Writes to a store for the tasks of one event loop; a write that has begun is never cut off by a cancel."""

    store: Store
    clock: Clock
    _queue: deque[_Waiting] = field(factory=deque)
    _busy: bool = False
    _one: CapacityLimiter = field(factory=lambda: CapacityLimiter(1))

    async def write(self, work: Work[T]) -> T:
        """Do one piece of work durably. Raises: what it raises, and LedgerError."""
        mine = _Waiting(work)
        with anyio.CancelScope(shield=True):
            self._queue.append(mine)
            if self._busy:
                await mine.woken.wait()
            if not mine.done:
                await self._lead(mine)
        if isinstance(mine.outcome, Exception):
            raise mine.outcome
        return mine.outcome  # type: ignore[no-any-return]

    async def _lead(self, mine: _Waiting) -> None:
        """Commit for all that wait until one's own work is done, then hand over to whoever is next."""
        self._busy = True
        try:
            while not mine.done:
                batch = [self._queue.popleft() for _ in range(min(MOST_AT_ONCE, len(self._queue)))]
                outcomes = await self._commit([waiting.work for waiting in batch])
                for waiting, outcome in zip(batch, outcomes, strict=True):
                    waiting.outcome, waiting.done = outcome, True
                    waiting.woken.set()
        finally:
            self._busy = bool(self._queue)
            if self._queue:
                self._queue[0].woken.set()

    async def _commit(self, works: list[Work[Any]]) -> list[Any]:
        call: Callable[[], list[Any]] = lambda: self.store.write_all(works)  # noqa: E731
        try:
            if self.store.path is None:
                return call()
            with self.clock.working():
                return await to_thread.run_sync(call, limiter=self._one)
        except Exception as error:  # noqa: BLE001 - none of the batch was written: each of them is told
            return [error] * len(works)
