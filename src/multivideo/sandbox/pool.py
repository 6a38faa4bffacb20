"""Rendering beside the event loop: threads, a cache of finished files, and a clock that waits for them."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial

import anyio.to_thread
from attrs import define, field

from multivideo.clock import Clock
from multivideo.sandbox.render import Clip

__all__ = ["RenderPool", "Rendering"]

_4K_PIXELS = 3840 * 2160


@define(eq=False)
class Rendering:
    """One file under way or finished. Its bytes may be dropped later; when it was finished stays known."""

    clip: Clip
    finished: float | None = None
    error: str | None = None
    data: bytes | None = field(default=None, repr=False)
    future: Future[bytes] | None = None


@define(eq=False)
class RenderPool:
    """Renders clips in threads; equal clips once, as long as the cache holds them."""

    _clock: Clock
    _render: Callable[[Clip], bytes]
    _cache_bytes: int = 256 * 1024 * 1024
    _cache: OrderedDict[Clip, Rendering] = field(factory=OrderedDict)
    _held_bytes: int = 0
    _lock: threading.RLock = field(factory=threading.RLock)
    _threads: ThreadPoolExecutor = field(
        factory=lambda: ThreadPoolExecutor(min(4, os.cpu_count() or 1), "multivideo-render")
    )
    # A 4K encode takes all cores and hundreds of megabytes: two at once, whatever the machine.
    _large_threads: ThreadPoolExecutor = field(factory=lambda: ThreadPoolExecutor(2, "multivideo-render-4k"))

    def start(self, clip: Clip) -> Rendering:
        """The rendering of a clip: the one that is known, else a new one, begun now."""
        with self._lock:
            known = self._cache.get(clip)
            if known is not None:
                self._cache.move_to_end(clip)
                return known
            rendering = self._cache[clip] = Rendering(clip)
            threads = self._large_threads if clip.width * clip.height >= _4K_PIXELS else self._threads
            hold = self._clock.working()
            hold.__enter__()
            rendering.future = threads.submit(self._render, clip)
        rendering.future.add_done_callback(partial(self._finish, rendering, hold))
        return rendering

    def _finish(self, rendering: Rendering, hold: AbstractContextManager[None], future: Future[bytes]) -> None:
        """Write down the outcome, and only then let a virtual clock go on."""
        with self._lock:
            if not future.cancelled():
                failure = future.exception()
                rendering.finished = self._clock.wall()
                if failure is None:
                    rendering.data = future.result()
                    self._held_bytes += len(rendering.data)
                else:
                    rendering.error = str(failure)
            rendering.future = None
            self._shrink()
        hold.__exit__(None, None, None)

    def _shrink(self) -> None:
        """Drop the bytes longest unused until the rest fits; the newest always stays."""
        for clip, rendering in list(self._cache.items())[:-1]:
            if self._held_bytes <= self._cache_bytes:
                return
            if rendering.data is not None:
                self._held_bytes -= len(rendering.data)
                rendering.data = None
                del self._cache[clip]

    async def fetch(self, clip: Clip) -> bytes:
        """The bytes of a clip, rendered again if they were dropped."""
        with self._lock:
            rendering = self.start(clip)
            data, future = rendering.data, rendering.future
        if data is not None:
            return data
        if future is None:
            raise ValueError(rendering.error or "the renderer was shut down")
        with self._clock.working():
            return await anyio.to_thread.run_sync(future.result)

    def close(self) -> None:
        """Stop after the renders under way; what waits is given up."""
        for threads in (self._threads, self._large_threads):
            threads.shutdown(wait=True, cancel_futures=True)
