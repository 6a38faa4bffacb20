"""What a life is lived in: one seed for every die, time that jumps, ready files, and threads that are none."""

from __future__ import annotations

import io
import os
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import anyio.lowlevel
import anyio.to_thread
import av
import numpy as np
from attrs import evolve

from multivideo.clock import Clock
from multivideo.files import boxes
from multivideo.files import inspect as inspection
from multivideo.files.boxes import NotAVideo
from multivideo.sandbox.pool import Rendering
from multivideo.sandbox.render import Clip

__all__ = ["Dice", "ReadyFiles", "film", "without_machine"]

MARK = 40  # bytes at the end of a file that tell whose it is


class Dice:
    """Draws by name: what happens at one place does not shift the draws of any other, so a replay cannot drift."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def of(self, *name: object) -> random.Random:
        """The draws of that name, the same each time it is asked for."""
        return random.Random(f"{self._seed} {' '.join(map(str, name))}")


@cache
def film(clip: Clip) -> bytes:
    """A real file of the ordered kind, told from those of other orders by a box at its end that players skip."""
    whose = f"{hash_of(clip.prompt)}{clip.seed & 0xFFFF:04x}".encode()[: MARK - 8]
    return _plain(evolve(clip, prompt="", seed=0, flaws=())) + MARK.to_bytes(4) + b"free" + whose.ljust(MARK - 8, b"-")


@cache
def hash_of(text: str) -> str:
    """A short name of a text."""
    return random.Random(text).randbytes(8).hex()


@cache
def _plain(clip: Clip) -> bytes:
    """A black and silent file of that kind, the same in every process."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        video = container.add_stream(
            "libx264", rate=clip.fps, options={"preset": "ultrafast", "g": "24", "threads": "1"}
        )
        video.width, video.height, video.pix_fmt = clip.width, clip.height, "yuv420p"
        if clip.audio:
            sound = container.add_stream("aac", rate=48_000, layout="stereo")
            samples = np.zeros((2, 48_000 * clip.frames // clip.fps), "float32")
            silence = av.AudioFrame.from_ndarray(samples, "fltp", "stereo")
            silence.sample_rate, silence.pts, silence.time_base = 48_000, 0, Fraction(1, 48_000)
            container.mux([packet for part in (silence, None) for packet in sound.encode(part)])
        frame = av.VideoFrame.from_ndarray(np.zeros((clip.height * 3 // 2, clip.width), "uint8"), "yuv420p")
        for index in range(clip.frames):
            frame.pts = index
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return out.getvalue()


class ReadyFiles:
    """In the place of the emulator's renderer: every file is there the moment it is ordered."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def start(self, clip: Clip, within: float = 0.0) -> Rendering:
        """The finished file."""
        return Rendering(clip, finished=self._clock.wall(), data=film(clip))

    async def fetch(self, clip: Clip) -> bytes:
        """Its bytes."""
        return film(clip)

    def close(self) -> None:
        """Nothing runs."""


async def _at_once(work: Callable[..., Any], *args: Any, **_: Any) -> Any:
    """What a thread would do, done here: a thread costs more than most of what is done in one."""
    await anyio.lowlevel.checkpoint()
    return work(*args)


def _once_for_each_content(look: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """Measure equal files once: what is told apart by its mark alone is measured alike."""
    known: dict[bytes, Any] = {}

    def looked(path: Path) -> Any:
        data = path.read_bytes()
        key = data[:-MARK] if data[-MARK + 4 : -MARK + 8] == b"free" else data
        if key not in known:
            if len(known) > 500:
                known.clear()
            try:
                known[key] = look(path)
            except NotAVideo as error:
                known[key] = error
        if isinstance(known[key], NotAVideo):
            raise known[key]
        return known[key]

    return looked


@contextmanager
def without_machine(folder: Path) -> Iterator[None]:
    """No threads, no waiting for the disk, and temporary files where they can be counted."""
    with (
        mock.patch.object(anyio.to_thread, "run_sync", _at_once),
        mock.patch.object(os, "fsync", return_value=None),
        mock.patch.object(tempfile, "tempdir", str(folder)),
        mock.patch.object(inspection, "measure", _once_for_each_content(boxes.measure)),
        mock.patch.object(inspection, "decode_end", _once_for_each_content(inspection.decode_end)),
    ):
        yield
