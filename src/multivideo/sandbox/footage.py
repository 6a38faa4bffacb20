"""What a video file handed in is: size, length, rate and sound by its header, its pictures and its samples."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multivideo.sandbox.clip import Film
from multivideo.sandbox.sound import SAMPLE_RATE

__all__ = ["measure", "opening", "pictures_of", "samples_of"]


@contextmanager
def _opened(data: bytes) -> Iterator[av.container.InputContainer]:
    try:
        with av.open(io.BytesIO(data), "r") as container:
            yield container
    except (av.FFmpegError, IndexError) as error:
        raise ValueError("no readable video file") from error


def measure(data: bytes) -> Film:
    """What the header of an MP4 or MOV file says.

    Raises:
        ValueError: it is no such file, or has no pictures.
    """
    with _opened(data) as container:
        if "mp4" not in container.format.name or not container.streams.video:
            raise ValueError("no MP4 file with pictures")
        stream = container.streams.video[0]
        if not stream.duration or not stream.time_base or not stream.average_rate:
            raise ValueError("a file without length or frame rate")
        return Film(
            source=data,
            width=stream.width,
            height=stream.height,
            seconds=float(stream.duration * stream.time_base),
            fps=float(stream.average_rate),
            sound=bool(container.streams.audio),
        )


def pictures_of(data: bytes) -> Iterator[tuple[float, av.VideoFrame]]:
    """The frames of a video file, each with its time in seconds after the first; ValueError when they end badly."""
    with _opened(data) as container:
        first: float | None = None
        for frame in container.decode(video=0):
            time = frame.time or 0.0
            first = time if first is None else first
            yield time - first, frame


def samples_of(data: bytes) -> NDArray[np.float32]:
    """The sound of a video file in mono, at the rate of ours; none for a file without sound."""
    with _opened(data) as container:
        if not container.streams.audio:
            return np.zeros(0, np.float32)
        resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)
        blocks = [block for frame in container.decode(audio=0) for block in resampler.resample(frame)]
        blocks += resampler.resample(None)
    return np.concatenate([np.zeros(0, np.float32), *(block.to_ndarray()[0] for block in blocks)])


def opening(data: bytes) -> bytes:
    """The first frame of a video file as a JPEG of its full size; ValueError when it cannot be decoded."""
    for _, frame in pictures_of(data):
        out = io.BytesIO()
        Image.fromarray(frame.to_ndarray(format="rgb24")).save(out, "JPEG", quality=92)
        return out.getvalue()
    raise ValueError("a video without frames")
