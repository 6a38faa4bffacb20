"""What lies over the scene beside the card: pictures that were sent along, a label, and a watermark."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen

from multivideo.sandbox.card import overlay_box
from multivideo.sandbox.frames import picture
from multivideo.sandbox.glyphs import Planes, blend, fitted, text_mask

__all__ = ["Patch", "inset_boxes", "insets", "label", "mark_box", "watermark"]

Box = tuple[int, int, int, int]

_MOST = 8  # insets beside one another
_MARK = "EMULATOR"
_LABEL_PAPER, _LABEL_INK = 40, 225
_MARK_PAPER, _MARK_INK = 235, 16


@frozen(eq=False)
class Patch:
    """A small picture that is laid over a frame."""

    planes: Planes
    left: int
    top: int

    def draw(self, planes: Planes) -> None:
        """Lay it over; what lies outside of the frame is cut."""
        for target, source, part in zip(planes, self.planes, (1, 2, 2), strict=True):
            top, left = self.top // part, self.left // part
            under = target[top : top + source.shape[0], left : left + source.shape[1]]
            under[:] = source[: under.shape[0], : under.shape[1]]


def _even(length: float) -> int:
    return max(int(length) // 2 * 2, 2)


def _margin(width: int, height: int) -> int:
    return overlay_box(width, height)[0]


def inset_boxes(width: int, height: int, count: int) -> list[Box]:
    """Where the pictures that were sent along lie: x0, y0, x1, y1, the last two just outside."""
    margin = _margin(width, height)
    gap = _even(margin / 2)
    side = min(_even(min(width, height) * 0.15), _even((width - 2 * margin) / _MOST - gap))
    lefts = [margin + place % _MOST * (side + gap) for place in range(count)]
    tops = [margin + place // _MOST * (side + gap) for place in range(count)]
    return [(left, top, left + side, top + side) for left, top in zip(lefts, tops, strict=True)]


def insets(pictures: Sequence[bytes], width: int, height: int) -> list[Patch]:
    """The pictures, each in its box; ValueError for one that cannot be decoded."""
    boxes = inset_boxes(width, height, len(pictures))
    return [
        Patch(picture(data, right - left, bottom - top), left, top)
        for data, (left, top, right, bottom) in zip(pictures, boxes, strict=True)
    ]


def label(text: str, width: int, height: int, below: int) -> Patch:
    """A line of text at the upper left, under that many insets."""
    margin = _margin(width, height)
    top = max([margin, *(box[3] + _even(margin / 2) for box in inset_boxes(width, height, below))])
    size = fitted(text, max(round(min(width, height) * 0.034), 10), width - 4 * margin, 6)
    mask = text_mask(text, size)
    tall, wide = _even(mask.shape[0] * 1.4), _even(mask.shape[1] + 1.2 * size)
    return Patch(_written(text, size, wide, tall, _LABEL_PAPER, _LABEL_INK), margin, top)


def mark_box(width: int, height: int) -> Box:
    """Where a watermark lies: at the right, above the card."""
    _, top, right, _ = overlay_box(width, height)
    wide, tall = _even(min(width, height) * 0.3), _even(min(width, height) * 0.07)
    left, upper = (right - wide) // 2 * 2, max((top - tall - _margin(width, height) // 2) // 2 * 2, 0)
    return left, upper, left + wide, upper + tall


def watermark(width: int, height: int) -> Patch:
    """The mark of the emulator, bright enough for any ground."""
    left, top, right, bottom = mark_box(width, height)
    wide, tall = right - left, bottom - top
    size = fitted(_MARK, max(round(tall * 0.7), 6), wide - 4, 6)
    return Patch(_written(_MARK, size, wide, tall, _MARK_PAPER, _MARK_INK), left, top)


def _written(text: str, size: int, width: int, height: int, paper: int, ink: int) -> Planes:
    luma = np.full((height, width), paper, np.uint8)
    mask = text_mask(text, size)
    blend(luma, mask, (width - mask.shape[1]) // 2, (height - mask.shape[0]) // 2, ink)
    grey = np.full((height // 2, width // 2), 128, np.uint8)
    return luma, grey, grey
