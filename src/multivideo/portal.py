"""What the blocking client stands on: an event loop on a thread of its own, and calls into it that Ctrl-C can end."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Generic, TypeVar

import anyio
from anyio.from_thread import BlockingPortal
from attrs import define, field, frozen

from .errors import InvalidRequest, Problem

__all__ = ["Portal"]

T = TypeVar("T")

EXIT_GRACE_S = 5.0  # for closing connections of a client that was left open when the interpreter ends


class Portal:
    """Runs coroutines for threads that wait for them, all on one loop that begins with the first call.

    `closing` is awaited on the loop when it ends, if it ever began. A portal that is dropped without `close()` ends by
    itself, at the latest with the interpreter.
    """

    def __init__(self, closing: Callable[[], Awaitable[None]]) -> None:
        self._closing = closing
        self._begun: _Loop | None = None
        self._closed = False
        self._lock = threading.Lock()

    def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """What `work()` gives, awaited on the loop; for any thread but the loop's own.

        An interrupt of the waiting thread cancels the work, waits until what is shielded has ended, and goes on then;
        a second one does not wait.

        Raises: InvalidRequest where it would wait for ever: on the loop's own thread, after a fork, after `close()`.
        """
        portal, call = self._loop().portal, _Call(work)
        try:
            portal.start_task_soon(call.run)
            call.wait()
        except RuntimeError:  # somebody closed it between the two lines
            raise _closed() from None
        except BaseException:
            if not call.outcome.cancel():  # it runs: a paid submit in it must still write down what it got
                with suppress(RuntimeError):  # a portal that ends cancels by itself
                    portal.start_task_soon(call.stop)
                call.wait()
            raise
        return call.outcome.result()

    def iterate(self, items: Callable[[], AsyncIterator[T]]) -> Iterator[T]:
        """Each item when it is asked for. Every step is a call of its own: no task group may stay open between two."""
        iterator = items()

        async def step() -> tuple[T, ...]:
            try:
                return (await anext(iterator),)
            except StopAsyncIteration:
                return ()

        while found := self.call(step):
            yield from found

    def close(self) -> None:
        """End the loop; calls under way are cancelled. Harmless the second time, and in a fork, which has no loop."""
        self._check_thread()
        with self._lock:
            self._closed = True
        if self._begun is not None and self._begun.pid == os.getpid():
            self._begun.end()
            self._begun.thread.join()

    def _loop(self) -> _Loop:
        if self._begun is not None and self._begun.pid != os.getpid():  # its thread stayed behind in the parent
            what = "This client was used before the process forked."
            raise _misused(what, "used in a forked process", "a client of its own for each process")
        self._check_thread()
        with self._lock:
            if self._closed:
                raise _closed()
            if self._begun is None:
                self._begun = _Loop.begin(self._closing)
                weakref.finalize(self, self._begun.end).atexit = False  # at exit, _end_all() waits a little too
            return self._begun

    def _check_thread(self) -> None:
        if self._begun is not None and self._begun.thread is threading.current_thread():
            what = "A blocking client cannot be called from its own on_event: it would wait for itself."
            raise _misused(what, "called on its own thread", "hand it to another thread, or use AsyncClient")


@frozen(eq=False)
class _Loop:
    """A running event loop, its thread and the process that has it."""

    pid: int
    thread: threading.Thread
    portal: BlockingPortal
    _loop: asyncio.AbstractEventLoop
    _over: anyio.Event

    @classmethod
    def begin(cls, closing: Callable[[], Awaitable[None]]) -> _Loop:
        """Start one and wait until it takes calls."""
        ready: Future[_Loop] = Future()

        async def live() -> None:
            async with BlockingPortal() as portal:
                me, over = threading.current_thread(), anyio.Event()
                ready.set_result(cls(os.getpid(), me, portal, asyncio.get_running_loop(), over))
                await over.wait()
                await portal.stop(cancel_remaining=True)
            await closing()

        # asyncio, since a listener of asyncio's world may be called on it; a daemon, so that it never holds up an exit
        threading.Thread(target=anyio.run, args=(live,), name="multivideo", daemon=True).start()
        begun = ready.result()
        _begun.add(begun)
        return begun

    def end(self) -> None:
        """Ask it to end; for any thread, its own included, since a garbage collection may happen anywhere."""
        if self.pid == os.getpid():
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._over.set)


_begun: weakref.WeakSet[_Loop] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    for loop in list(_begun):
        loop.end()
        if loop.pid == os.getpid():
            loop.thread.join(EXIT_GRACE_S)


@define(eq=False)
class _Call(Generic[T]):
    """One call: made by a thread that waits, run on the loop."""

    _work: Callable[[], Awaitable[T]]
    outcome: Future[T] = field(factory=Future)
    _scope: anyio.CancelScope | None = None

    async def run(self) -> None:
        if not self.outcome.set_running_or_notify_cancel():
            return  # interrupted before it began
        try:
            with anyio.CancelScope() as self._scope:
                self.outcome.set_result(await self._work())
        except anyio.get_cancelled_exc_class():
            self.outcome.set_exception(_cut())
            raise
        except BaseException as error:  # noqa: BLE001 - also a listener's sys.exit(), which must not end the loop
            self.outcome.set_exception(error)
        if not self.outcome.done():
            self.outcome.set_exception(_cut())  # stopped by an interrupt, which is what its thread raises

    def stop(self) -> None:
        if self._scope is not None:
            self._scope.cancel()

    def wait(self) -> None:
        while not self.outcome.done():
            wait([self.outcome], 1.0)  # on Windows, Ctrl-C gets through only where a wait has an end


def _closed() -> InvalidRequest:
    return _misused("This client is closed.", "used after close()", "a client that is open")


def _cut() -> InvalidRequest:
    return InvalidRequest(
        "This client was closed while the call ran.",
        hint="a job that was accepted goes on at its vendor: client.jobs() has it and its reference",
        cost="as the job says, if one was accepted",
        charged="unknown",
    )


def _misused(what: str, asked: str, allowed: str) -> InvalidRequest:
    return InvalidRequest.of([Problem("client", asked, allowed)], what=what)
