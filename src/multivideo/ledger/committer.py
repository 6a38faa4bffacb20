"""Many tasks, one commit: whoever comes first writes for all that wait by then. Nothing runs between calls."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from copy import copy
from typing import Any, TypeVar, cast

import anyio
from anyio import CapacityLimiter, to_thread
from attrs import define, field

from ..clock import Clock
from ..errors import LedgerError
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
    """Writes to a store for the tasks of one event loop; no cancel cuts off a write that was asked for."""

    store: Store
    clock: Clock
    _queue: deque[_Waiting] = field(factory=deque)
    _busy: bool = False
    _one: CapacityLimiter = field(factory=lambda: CapacityLimiter(1))

    async def write(self, work: Work[T]) -> T:
        """Do one piece of work durably. A cancel is heard at the next await after it, so that what is written is known.

        Raises: what the work raises, and LedgerError.
        """
        mine = _Waiting(work)
        self._queue.append(mine)
        cancelled = False
        with anyio.CancelScope(shield=True):
            while self._busy and not mine.woken.is_set():
                try:
                    await mine.woken.wait()
                except anyio.get_cancelled_exc_class():  # no shield stops what asyncio itself cancels (`wait_for`)
                    cancelled = True
            while not mine.done:
                cancelled = await self._lead_apart(mine) or cancelled
        if cancelled:
            _cancel_at_next_await()
        if isinstance(mine.outcome, Exception):
            raise mine.outcome
        return mine.outcome  # type: ignore[no-any-return]

    async def _lead_apart(self, mine: _Waiting) -> bool:
        """Lead in a task of its own, which asyncio's cancel of this one does not reach; whether there was a cancel."""
        self._busy = True
        if self.store.path is None:
            await self._lead(mine)
            return False
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._lead, mine)
        except anyio.get_cancelled_exc_class():
            return True
        return False

    async def _lead(self, mine: _Waiting) -> None:
        """Commit for all that wait until one's own work is done, then hand over to whoever is next."""
        try:
            with anyio.CancelScope(shield=True):
                while not mine.done:
                    batch = [self._queue.popleft() for _ in range(min(MOST_AT_ONCE, len(self._queue)))]
                    await self._commit(batch)
        finally:
            self._busy = bool(self._queue)
            if self._queue:
                self._queue[0].woken.set()

    async def _commit(self, batch: Sequence[_Waiting]) -> None:
        works = [waiting.work for waiting in batch]
        cut_off = LedgerError("The program was stopped while it wrote to the ledger.", charged="unknown")
        outcomes: list[Any] = [cut_off] * len(works)
        try:
            if self.store.path is None:
                outcomes = self.store.write_all(works)
            else:
                with self.clock.working():
                    outcomes = await to_thread.run_sync(self.store.write_all, works, limiter=self._one)
        except Exception as error:  # noqa: BLE001 - none of the batch was written: each of them is told
            outcomes = [copy(error) for _ in works]
        finally:  # also where the whole loop is torn down: who waits here must not wait for ever
            for waiting, outcome in zip(batch, outcomes, strict=True):
                waiting.outcome, waiting.done = outcome, True
                waiting.woken.set()


def _cancel_at_next_await() -> None:
    """Give back to asyncio a cancel that was caught: the task ends as it was asked to, now that the write is known."""
    task = cast("asyncio.Task[Any]", asyncio.current_task())  # only asyncio cancels what is shielded
    task.uncancel()
    task.cancel()
