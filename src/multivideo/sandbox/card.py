"""The card at the bottom of each frame: model, prompt, time code, frame number, progress, and the flash."""

from __future__ import annotations

import numpy as np
from attrs import frozen

from multivideo.sandbox.glyphs import Mask, Planes, blend, counter, fitted, text_mask, wrap

__all__ = ["Card", "flash_box", "overlay_box"]

Box = tuple[int, int, int, int]
Colour = tuple[int, int, int]

_PAPER = 32  # luma of the card, dark enough for any text
_INK = 232
_SOFT_INK = 178
_LIT = 235
_UNLIT = 64
_NEUTRAL = 128  # chroma of grey
_WIDEST = "frame 0000"


def overlay_box(width: int, height: int) -> Box:
    """Where the card lies: x0, y0, x1, y1 in pixels, the last two just outside. Nothing else covers the scene."""
    sizes = _Sizes.of(width, height)
    tall = min(sizes.card_height, height // 2)
    gap = sizes.margin
    return gap, _even(height - gap - tall), width - gap, height - gap


def flash_box(width: int, height: int) -> Box:
    """Where the square lies that is white on the frame of each full second and dark on all others."""
    _, y0, x1, y1 = overlay_box(width, height)
    side = max(_even((y1 - y0) // 3), 2)
    pad = min(_Sizes.of(width, height).pad, (y1 - y0 - side) // 2)
    return _even(x1 - pad - side), _even(y0 + pad), _even(x1 - pad - side) + side, _even(y0 + pad) + side


def _even(number: int) -> int:
    return number // 2 * 2  # a pixel of chroma covers two by two of luma


@frozen
class _Sizes:
    """Lengths in pixels, all from the shorter side, so that a card looks alike in each format."""

    margin: int
    pad: int
    title: int
    body: int
    rows: int
    bar: int

    @classmethod
    def of(cls, width: int, height: int) -> _Sizes:
        short = min(width, height)
        return cls(
            margin=max(_even(round(short * 0.035)), 2),
            pad=max(round(short * 0.024), 2),
            title=max(round(short * 0.052), 12),
            body=max(round(short * 0.034), 10),
            rows=2 if width > height else 3,
            bar=max(_even(round(short * 0.008)), 2),
        )

    @property
    def card_height(self) -> int:
        return 2 * self.pad + round(1.3 * self.title) + round(1.25 * self.rows * self.body) + 2 * self.bar


class Card:
    """A card drawn once, to be put on each frame with its own numbers."""

    def __init__(self, width: int, height: int, accent: Colour, *, model: str, prompt: str, note: str) -> None:
        self._box = overlay_box(width, height)
        self._flash = flash_box(width, height)
        self._sizes = _Sizes.of(width, height)
        self._accent = accent
        x0, y0, x1, y1 = self._box
        self._luma = np.full((y1 - y0, x1 - x0), _PAPER, np.uint8)
        self._chroma = [np.full(((y1 - y0) // 2, (x1 - x0) // 2), _NEUTRAL, np.uint8) for _ in range(2)]
        self._write_left(model, prompt, max(counter(text, self._sizes.body).shape[1] for text in (_WIDEST, note)))
        self._write_right(self._luma, 2, note, _SOFT_INK)

    def _write_left(self, model: str, prompt: str, numbers: int) -> None:
        sizes = self._sizes
        edge = _even(sizes.pad // 2)
        self._luma[:, :edge] = self._accent[0]
        for plane, value in zip(self._chroma, self._accent[1:], strict=True):
            plane[:, : edge // 2] = value
        left, top = edge + sizes.pad, sizes.pad - sizes.pad // 4
        room = self._flash[0] - self._box[0] - numbers - left - 3 * sizes.pad
        if room < 2 * sizes.title:  # a frame so small that only the numbers find a place
            return
        size = fitted(model, sizes.title, room, sizes.body)
        for line in wrap(model, size, room, 1):
            blend(self._luma, text_mask(line, size, weight=size / 40), left, top, _INK)
        top += round(1.3 * sizes.title)
        for line in wrap(prompt, sizes.body, room, sizes.rows):
            blend(self._luma, text_mask(line, sizes.body), left, top, _SOFT_INK)
            top += round(1.25 * sizes.body)

    def _write_right(self, box: Mask, row: int, text: str, ink: int) -> None:
        mask = counter(text, self._sizes.body)
        right = self._flash[0] - self._box[0] - self._sizes.pad
        top = self._flash[1] - self._box[1] + round(1.25 * row * self._sizes.body)
        blend(box, mask, right - mask.shape[1], top, ink)

    def draw(self, planes: Planes, index: int, *, frames: int, fps: int) -> None:
        """Put the card on a frame: `index` of `frames`, counted from 0."""
        x0, y0, x1, y1 = self._box
        box = planes[0][y0:y1, x0:x1]
        box[:] = self._luma
        half = [plane[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2] for plane in planes[1:]]
        for target, source in zip(half, self._chroma, strict=True):
            target[:] = source
        milliseconds = index * 1000 // fps
        clock = f"{milliseconds // 60_000:02}:{milliseconds // 1000 % 60:02}.{milliseconds % 1000:03}"
        self._write_right(box, 0, clock, _INK)
        self._write_right(box, 1, f"frame {index:03}", _SOFT_INK)
        self._draw_flash(planes[0], lit=index % fps == 0)
        self._draw_progress(box, half, (index + 1) / frames)

    def _draw_flash(self, luma: Mask, *, lit: bool) -> None:
        x0, y0, x1, y1 = self._flash
        luma[y0:y1, x0:x1] = _LIT if lit else _UNLIT

    def _draw_progress(self, box: Mask, half: list[Mask], done: float) -> None:
        bar = self._sizes.bar
        reach = _even(round(box.shape[1] * done))
        box[-bar:, :reach] = self._accent[0]
        box[-bar:, reach:] = _UNLIT
        for plane, value in zip(half, self._accent[1:], strict=True):
            plane[-bar // 2 :, : reach // 2] = value
