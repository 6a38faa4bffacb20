"""What a video file handed in is: size, length and rate by its header, and its first frame as a picture."""

from __future__ import annotations

import io

import av
from attrs import frozen
from PIL import Image

from multivideo.sandbox.render import Clip

__all__ = ["Footage", "measure", "opening", "opening_of"]


@frozen(kw_only=True)
class Footage:
    """A video file by its header; `seconds` is the length of its pictures."""

    width: int
    height: int
    seconds: float
    fps: float


def measure(data: bytes) -> Footage:
    """What the header of an MP4 file says.

    Raises:
        ValueError: it is no MP4 file, or has no pictures.
    """
    try:
        with av.open(io.BytesIO(data), "r") as container:
            if "mp4" not in container.format.name or not container.streams.video:
                raise ValueError("no MP4 file with pictures")
            stream = container.streams.video[0]
            if not stream.duration or not stream.time_base or not stream.average_rate:
                raise ValueError("a file without length or frame rate")
            seconds, fps = float(stream.duration * stream.time_base), float(stream.average_rate)
            return Footage(width=stream.width, height=stream.height, seconds=seconds, fps=fps)
    except av.FFmpegError as error:
        raise ValueError("no readable video file") from error


def opening(data: bytes) -> bytes:
    """The first frame of a video file as a JPEG of its full size; ValueError when it cannot be decoded."""
    try:
        with av.open(io.BytesIO(data), "r") as container:
            frame = next(container.decode(video=0), None)
            if frame is None:
                raise ValueError("a video without frames")
            out = io.BytesIO()
            Image.fromarray(frame.to_ndarray(format="rgb24")).save(out, "JPEG", quality=92)
            return out.getvalue()
    except (av.FFmpegError, IndexError) as error:
        raise ValueError("no readable video file") from error


def opening_of(clip: Clip, data: bytes) -> bytes | None:
    """The picture from which a rendered clip begins; None when its renderer makes no real files."""
    if clip.first_frame is not None:
        return clip.first_frame
    try:
        return opening(data)
    except ValueError:
        return None
