"""Rendering beside the event loop: threads, a cache of finished files, and a clock that waits for them."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial

import anyio.to_thread
from attrs import Factory, define, evolve, field, frozen

from multivideo.clock import Clock
from multivideo.sandbox.render import STOP, Clip, render

__all__ = ["Outcome", "RenderPool", "Rendering"]

_4K_PIXELS = 3840 * 2160
_PACE = 4e-9  # seconds of a core per pixel and frame: 0.4 s for 4 s of 720p, measured on 2026-11-22
_ALWAYS = 100  # so many files may wait, however late they get: only a crowd does without its prompts
_WORKERS = min(4, os.cpu_count() or 1)


@frozen
class Outcome:
    """When a file was made, or why there is none."""

    at: float
    error: str | None = None


@define(eq=False)
class Rendering:
    """One file under way or finished. Its bytes may be dropped later; when it was finished stays known."""

    clip: Clip
    finished: float | None = None
    error: str | None = None
    data: bytes | None = field(default=None, repr=False)
    future: Future[bytes] | None = None

    @property
    def outcome(self) -> Outcome | None:
        """How it came out; None: it is under way."""
        return None if self.finished is None else Outcome(self.finished, self.error)


@define(eq=False)
class RenderPool:
    """Renders clips in threads; equal clips once, as long as the cache holds them.

    Where a thousand orders come at once, rendering takes minutes and all jobs would be late. So an order whose turn
    would come too late is given a plain file of its kind, without its prompt in the picture, which all such share.

    Args:
        pace: seconds per pixel and frame, learned as it goes; 0 for a renderer that takes no time.
    """

    _clock: Clock
    _render: Callable[[Clip], bytes]
    _cache_bytes: int = 256 * 1024 * 1024
    _pace: float = Factory(lambda self: _PACE if self._render is render else 0.0, takes_self=True)
    _queued: int = 0  # pixels of all frames to come
    _waiting: int = 0
    _cache: OrderedDict[Clip, Rendering] = field(factory=OrderedDict)
    _held_bytes: int = 0
    _lock: threading.RLock = field(factory=threading.RLock)
    _stop: threading.Event = field(factory=threading.Event)
    _threads: ThreadPoolExecutor = field(factory=lambda: ThreadPoolExecutor(_WORKERS, "multivideo-render"))
    # A plain file is what many wait for: not behind the others.
    _plain_threads: ThreadPoolExecutor = field(factory=lambda: ThreadPoolExecutor(1, "multivideo-render-plain"))
    # A 4K encode takes all cores and hundreds of megabytes: two at once, whatever the machine.
    _large_threads: ThreadPoolExecutor = field(factory=lambda: ThreadPoolExecutor(2, "multivideo-render-4k"))

    def start(self, clip: Clip, within: float = math.inf) -> Rendering:
        """The rendering of a clip: the one that is known, else a new one, begun now.

        When the queue is too long for a file within that many seconds, it is that of a plain clip.
        """
        with self._lock:
            known = self._cache.get(clip)
            if known is not None:
                self._cache.move_to_end(clip)
                return known
            late = self._waiting >= _ALWAYS and self._queued * self._pace / _WORKERS > within
            if late and clip.is_plain:
                return self.start(evolve(clip, prompt="", seed=0))
            self._queued += _pixels(clip)
            self._waiting += 1
            rendering = self._cache[clip] = Rendering(clip)
            threads = self._threads if clip.prompt else self._plain_threads
            if clip.width * clip.height >= _4K_PIXELS:
                threads = self._large_threads
            hold = self._clock.working()
            hold.__enter__()
            rendering.future = threads.submit(self._run, clip)
        rendering.future.add_done_callback(partial(self._finish, rendering, hold))
        return rendering

    def _run(self, clip: Clip) -> bytes:
        STOP.set(self._stop)
        began = time.perf_counter()
        data = self._render(clip)
        with self._lock:
            self._pace += 0.2 * ((time.perf_counter() - began) / _pixels(clip) - self._pace)
        return data

    def _finish(self, rendering: Rendering, hold: AbstractContextManager[None], future: Future[bytes]) -> None:
        """Write down the outcome, and only then let a virtual clock go on."""
        with self._lock:
            self._queued -= _pixels(rendering.clip)
            self._waiting -= 1
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
        """Give up what waits and what is under way, but for the frame at hand."""
        self._stop.set()
        for threads in (self._threads, self._plain_threads, self._large_threads):
            threads.shutdown(wait=True, cancel_futures=True)


def _pixels(clip: Clip) -> int:
    return clip.width * clip.height * clip.frames
