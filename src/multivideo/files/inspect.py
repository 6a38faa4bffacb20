"""The finished file against the order."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from attrs import frozen

from .boxes import Measured, NotAVideo, measure
from .frames import NeedsMedia, opened, seek_end

__all__ = ["Check", "Expected", "Fault", "decode_end", "inspect"]

_FPS_TOLERANCE = 0.005
_SECONDS_TOLERANCE = 0.25  # vendors make 121 frames at 24 fps for 5 s


@frozen(kw_only=True)
class Expected:
    """What was ordered; None: nothing was asked. `seconds` is the length of the clip, sizes are in pixels as shown."""

    seconds: float | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    audio: bool | None = None


@frozen
class Fault:
    """One thing that is not as ordered.

    "end": the last pictures cannot be decoded; "takes": fewer came than asked; "watermark": no marked copy came.
    """

    name: Literal["width", "height", "fps", "duration", "audio", "end", "takes", "watermark"]
    asked: float | bool | str
    got: float | bool | str

    def __str__(self) -> str:
        return f"{self.name}: asked {_said(self.asked)}, got {_said(self.got)}"


@frozen
class Check:
    """The file against the order. `how`: only the headers were read, or the end was decoded too."""

    faults: tuple[Fault, ...]
    how: Literal["headers", "decoded"]

    @property
    def ok(self) -> bool:
        """The file is what was ordered."""
        return not self.faults


def inspect(path: Path, expected: Expected) -> tuple[Measured, Check]:
    """What the file is, and where it differs from the order.

    Pixels and sound must be exact, the frame rate within 0.5 %, the length within two frames or a quarter of a second,
    whichever is more. The end is decoded too where PyAV is installed.

    Raises:
        NotAVideo: the file is no complete video at all.
    """
    measured = measure(path)
    faults = [*_faults(measured, expected)]
    how: Literal["headers", "decoded"] = "decoded"
    try:
        if (problem := decode_end(path)) is not None:
            faults.append(Fault("end", "every picture", problem))
    except NeedsMedia:
        how = "headers"
    return measured, Check(tuple(faults), how)


def decode_end(path: Path) -> str | None:
    """What is wrong with the pictures from the last key frame on; None: all of them can be decoded.

    Headers may promise more than the bytes hold, and decoders paint over damage; here it is said.

    Raises:
        NeedsMedia: PyAV is not installed.
    """
    try:
        with opened(path) as (container, stream):
            return _decode_end(container, stream)
    except NotAVideo as error:
        return str(error)


def _decode_end(container: Any, stream: Any) -> str | None:
    stream.thread_type = "SLICE"  # with frame threads, libav was seen to lose the mark of a damaged picture
    seek_end(container, stream)
    began, damaged, last = False, 0, None
    for frame in container.decode(stream):
        # an open group of pictures leads with some that lean on the group before: after a seek they prove nothing
        began = began or frame.key_frame
        damaged += began and frame.is_corrupt
        last = frame
    if last is None:
        return "no picture follows the last key frame"
    if damaged:
        return f"{damaged} of its last pictures are damaged"
    if stream.duration and stream.average_rate and last.pts is not None:
        frame_ticks = float(1 / stream.average_rate / stream.time_base)
        missing = (stream.start_time or 0) + stream.duration - last.pts - frame_ticks
        if missing > frame_ticks / 2:
            return f"the pictures end {float(missing * stream.time_base):.3f} s before the headers say"
    return None


def _faults(measured: Measured, expected: Expected) -> list[Fault]:
    pairs: tuple[tuple[Literal["width", "height", "fps", "duration", "audio"], Any, Any, float], ...] = (
        ("width", expected.width, measured.width, 0),
        ("height", expected.height, measured.height, 0),
        ("fps", expected.fps, measured.fps, _FPS_TOLERANCE * (expected.fps or 0)),
        ("duration", expected.seconds, measured.duration, max(_SECONDS_TOLERANCE, 2 / measured.fps)),
        ("audio", expected.audio, measured.has_audio, 0),
    )
    return [
        Fault(name, asked, got)
        for name, asked, got, tolerance in pairs
        if asked is not None and abs(got - asked) > tolerance + 1e-9
    ]


def _said(value: float | bool | str) -> str:
    if isinstance(value, bool):
        return "sound" if value else "no sound"
    return value if isinstance(value, str) else f"{value:g}"
