"""What can be wrong inside a rendered file that looks right from outside: its pictures and its sound."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from PIL import Image

from multivideo.sandbox.glyphs import Planes
from multivideo.sandbox.sound import SAMPLE_RATE

__all__ = ["FLAWS", "Flaw"]

_LATE = SAMPLE_RATE // 2
_ENLARGED = 3  # a 720p picture blown up from 240 lines: soft enough to be told from a sharp one

Samples = NDArray[np.float32]


def _nothing(planes: Planes) -> None:
    """Leave a picture as it is."""


@frozen
class Flaw:
    """A way in which a file is wrong.

    Args:
        frame: which frame is shown in the place of the one with that index.
        picture: changes a frame that was drawn.
        sound: changes the samples.
    """

    frame: Callable[[int], int] = lambda index: index
    picture: Callable[[Planes], None] = _nothing
    sound: Callable[[Samples], Samples] = lambda samples: samples


def _blacken(planes: Planes) -> None:
    for plane, value in zip(planes, (16, 128, 128), strict=True):  # black in limited range
        plane[:] = value


def _enlarge(planes: Planes) -> None:
    for plane in planes:
        height, width = plane.shape
        whole = Image.fromarray(plane)
        small = whole.resize((max(1, width // _ENLARGED), max(1, height // _ENLARGED)), Image.Resampling.BOX)
        plane[:] = np.asarray(small.resize((width, height), Image.Resampling.BILINEAR))


def _delay(samples: Samples) -> Samples:
    return np.concatenate([np.zeros(_LATE, np.float32), samples])[: len(samples)]


FLAWS: Mapping[str, Flaw] = {
    "frozen": Flaw(frame=lambda _: 0),
    "duplicated": Flaw(frame=lambda index: index - index % 2),
    "black": Flaw(picture=_blacken),
    "upscaled": Flaw(picture=_enlarge),
    "silent": Flaw(sound=np.zeros_like),
    "late_sound": Flaw(sound=_delay),
}
