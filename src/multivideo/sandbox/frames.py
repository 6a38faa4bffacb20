"""What moves behind the card: a ground larger than the frame that drifts, and orbs that float over it."""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import av
import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from PIL import Image

from multivideo.sandbox.glyphs import Mask, Planes
from multivideo.sandbox.ground import Dice

__all__ = ["Orb", "Scene", "picture", "planes_of"]

# Red, green, blue to Y, U, V in limited range (ITU-R BT.709), with the offset last in each row.
# fmt: off
_BT709 = (
    0.1826, 0.6142, 0.0620, 16.0,
    -0.1006, -0.3386, 0.4392, 128.0,
    0.4392, -0.3989, -0.0403, 128.0,
)
# fmt: on


def picture(data: bytes, width: int, height: int) -> Planes:
    """A PNG, JPEG or WebP file as planes of Y, U, V, scaled to exactly the given even width and height.

    Raises:
        ValueError: it cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            scaled = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError("the first frame is no picture that can be read") from error
    y, u, v = scaled.convert("RGB", _BT709).split()
    half = (width // 2, height // 2)
    return (
        np.asarray(y),
        np.asarray(u.resize(half, Image.Resampling.BOX)),
        np.asarray(v.resize(half, Image.Resampling.BOX)),
    )


def planes_of(frame: av.VideoFrame) -> Planes:
    """The three planes of a yuv420p frame as arrays that write into it, without the padding of their lines."""
    y, u, v = (
        np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        for plane in frame.planes
    )
    return y, u, v


@frozen(eq=False)
class Orb:
    """A disc that floats over the ground."""

    cover: NDArray[np.int16]
    colour: tuple[int, int, int]
    path: Callable[[float], tuple[float, float]]

    @classmethod
    def throw(cls, unit: int, colour: tuple[int, int, int], dice: Dice) -> Orb:
        """An orb with a size and a path of its own."""
        radius = max(round(unit * dice.roll(0.045, 0.11)), 2)
        y, x = np.mgrid[-radius:radius, -radius:radius] + 0.5
        cover = np.clip(radius - np.hypot(x, y), 0, 1) * (0.84 + 0.16 * np.clip((-x - y) / radius, -1, 1))
        phase, second = dice.roll(0, 6.28), dice.roll(0, 6.28)
        pace, slow = dice.roll(0.5, 1.0), dice.roll(0.3, 0.6)
        middle, swing = dice.roll(0.35, 0.65), dice.roll(0.2, 0.34)

        def path(time: float) -> tuple[float, float]:
            return middle + swing * math.sin(pace * time + phase), 0.37 + 0.24 * math.sin(slow * time + second)

        return cls((cover * 256).astype(np.int16), colour, path)

    def draw(self, planes: Planes, time: float) -> None:
        """Put the orb where it is at a time in seconds."""
        across, down = self.path(time)
        height, width = planes[0].shape
        left = round(across * width - self.cover.shape[1] / 2) // 2 * 2
        top = round(down * height - self.cover.shape[0] / 2) // 2 * 2
        _mix(planes[0], self.cover, left, top, self.colour[0])
        for plane, value in zip(planes[1:], self.colour[1:], strict=True):
            _mix(plane, self.cover[::2, ::2], left // 2, top // 2, value)


def _mix(plane: Mask, cover: NDArray[np.int16], left: int, top: int, value: int) -> None:
    left_cut, top_cut = max(-left, 0), max(-top, 0)
    left, top = max(left, 0), max(top, 0)
    under = plane[top : top + cover.shape[0] - top_cut, left : left + cover.shape[1] - left_cut]
    cover = cover[top_cut:, left_cut:][: under.shape[0], : under.shape[1]]
    # 219 steps of luma by 256 of cover do not fit 16 bits with a sign; halves do.
    under[:] = under + (((value - under.astype(np.int16)) * (cover >> 1)) >> 7)


@frozen(eq=False)
class Scene:
    """A ground larger than the frame, over which the frame moves, and what floats above."""

    ground: Planes
    width: int
    height: int
    speed: tuple[int, int]
    start: tuple[int, int] = (0, 0)
    orbs: tuple[Orb, ...] = ()

    def draw(self, planes: Planes, index: int, time: float) -> None:
        """Fill a frame with what is to be seen at its index and time."""
        # Whole pixels at an even pace: the encoder finds such a motion at once, and the file stays small.
        x = _fold(self.start[0] + index * self.speed[0], self.ground[0].shape[1] - self.width)
        y = _fold(self.start[1] + index * self.speed[1], self.ground[0].shape[0] - self.height)
        planes[0][:] = self.ground[0][y : y + self.height, x : x + self.width]
        for plane, source in zip(planes[1:], self.ground[1:], strict=True):
            plane[:] = source[y // 2 : (y + self.height) // 2, x // 2 : (x + self.width) // 2]
        for orb in self.orbs:
            orb.draw(planes, time)


def _fold(way: int, reach: int) -> int:
    """A way walked to and fro between 0 and `reach`."""
    return reach - abs(way % (2 * reach) - reach) if reach else 0
