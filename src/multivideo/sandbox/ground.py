"""Paper-cut landscapes out of a few numbers: the ground over which the frames of a clip move."""

from __future__ import annotations

import math
import string
from collections.abc import Callable
from hashlib import blake2b

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from PIL import Image

from multivideo.sandbox.glyphs import Mask, Planes

__all__ = ["Dice", "Palette", "paint"]

Field = NDArray[np.float64]
_LEVELS = 4096  # steps of a field that have a colour of their own
_BANDS = 8
_COARSE = 480  # longer side of the grid on which a field is computed; it is smooth, so enlarging loses nothing


class Dice:
    """Numbers from 0 to 1 that depend on the given words alone."""

    def __init__(self, *words: object) -> None:
        self._seed = repr(words).encode("utf-8", "backslashreplace")
        self._throws = 0

    def roll(self, low: float = 0.0, high: float = 1.0) -> float:
        """The next number between two bounds."""
        self._throws += 1
        digest = blake2b(self._seed, digest_size=7, salt=self._throws.to_bytes(2, "big")).digest()
        return low + (high - low) * int.from_bytes(digest, "big") / 2**56


@frozen
class Palette:
    """Colours of one scene as Y, U, V: a table from low to high ground, and one that stands out."""

    table: tuple[Mask, Mask, Mask]
    accent: tuple[int, int, int]

    @classmethod
    def of(cls, model: str, tint: float, sharpness: float) -> Palette:
        """Colours whose hue belongs to the model and leans a little by `tint` (-1 to 1).

        Args:
            model: its name picks the hue.
            tint: lean of the hue and direction of its sweep.
            sharpness: levels of the field across which one band turns into the next.
        """
        hue = _hue(model) + 18 * tint
        sweep = math.copysign(75, tint)
        level = np.arange(_LEVELS, dtype=np.float64) / _LEVELS * _BANDS
        within = level % 1.0
        step = np.floor(level) + np.clip((within - 1) / (sharpness * _BANDS / _LEVELS) + 1, 0, 1)
        height = np.minimum(step, _BANDS - 1) / _BANDS
        # Each sheet of paper is darkest where the next one lies above it.
        shadow = 0.07 * np.exp(-(1 - within) / 0.16) * (1 - (step - np.floor(level))) * (level < _BANDS - 1)
        light = 0.30 + 0.58 * height - shadow
        chroma = 0.05 + 0.09 * np.sin(np.pi * np.clip(height + 0.08, 0, 1))
        table = _yuv(_oklch(light, chroma, hue + sweep * height))
        accent = _yuv(_oklch(np.array(0.82), np.array(0.12), np.array(hue + 180)))
        y, u, v = (int(part) for part in accent)
        return cls((table[0], table[1], table[2]), (y, u, v))


def _hue(model: str) -> float:
    # One hue for a family ("veo"), with its members ("veo-3.1", "veo-3.1-fast") beside one another.
    family = model[: len(model) - len(model.lstrip(string.ascii_letters))].lower()
    return 360 * Dice("dye", family).roll() + 25 * Dice("shade", model).roll(-1, 1)


def _oklch(light: NDArray[np.float64], chroma: NDArray[np.float64], hue: NDArray[np.float64]) -> NDArray[np.float64]:
    """Red, green, blue from 0 to 1 of even steps of lightness, colourfulness and hue (B. Ottosson's Oklab, 2020)."""
    a, b = chroma * np.cos(np.radians(hue)), chroma * np.sin(np.radians(hue))
    long = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (light - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = np.stack(
        [
            4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
        ]
    ).clip(0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _yuv(rgb: NDArray[np.float64]) -> tuple[Mask, Mask, Mask]:
    """Limited-range BT.709, the colours of HD video."""
    red, green, blue = rgb
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    parts = (16 + 219 * luma, 128 + 224 * (blue - luma) / 1.8556, 128 + 224 * (red - luma) / 1.5748)
    y, u, v = (np.rint(part).astype(np.uint8) for part in parts)
    return y, u, v


def _sin(angle: Field) -> Field:
    wave: Field = np.sin(angle)
    return wave


def _dunes(x: Field, y: Field, dice: Dice) -> Field:
    bend = 0.16 * _sin(3.1 * x + 5 * dice.roll()) + 0.07 * _sin(7.3 * x + 2.1 * y + 6 * dice.roll())
    return 0.5 * (y + bend) + 0.10 * _sin(2.6 * x - 3.3 * y + 6 * dice.roll())


def _rings(x: Field, y: Field, dice: Dice) -> Field:
    across, down = x - dice.roll(0.2, 1.2), y - dice.roll(0.1, 0.9)
    far: Field = np.sqrt(across**2 + down**2 + 0.01)
    around: Field = np.arctan2(down, across)
    petals = _sin(int(dice.roll(3, 7)) * around + 4 * far + 6 * dice.roll())
    return far + 0.12 * far / (far + 0.5) * petals


def _marble(x: Field, y: Field, dice: Dice) -> Field:
    turn = dice.roll(0, math.pi)
    along = x * math.cos(turn) + y * math.sin(turn)
    fold = _sin(4.2 * y + 1.7 * _sin(3.1 * x + 6 * dice.roll()) + 6 * dice.roll())
    return 0.5 + 0.5 * _sin(2.4 * along + 0.9 * fold + 6 * dice.roll())


def _islands(x: Field, y: Field, dice: Dice) -> Field:
    ground = np.zeros_like(x)
    for _ in range(9):
        near = (x - dice.roll(-0.2, 2.2)) ** 2 + (y - dice.roll(-0.2, 1.6)) ** 2
        ground += dice.roll(0.5, 1.0) * np.exp(-near / dice.roll(0.03, 0.16))
    return ground


def _canyon(x: Field, y: Field, dice: Dice) -> Field:
    turn = dice.roll(-0.7, 0.7)
    side = x * math.cos(turn) + y * math.sin(turn) - dice.roll(0.5, 1.1)
    river = side + 0.17 * _sin(3.4 * y - 1.2 * x + 6 * dice.roll()) + 0.06 * _sin(8.2 * y + 6 * dice.roll())
    apart: Field = np.abs(river)
    return apart**0.8


def _quilt(x: Field, y: Field, dice: Dice) -> Field:
    pace = dice.roll(4.2, 6.4)
    warp = 0.35 * _sin(2.1 * (x + y) + 6 * dice.roll())
    return _sin(pace * x + warp + 6 * dice.roll()) * _sin(pace * y - warp + 6 * dice.roll())


_GROUNDS: tuple[Callable[[Field, Field, Dice], Field], ...] = (_dunes, _rings, _marble, _islands, _canyon, _quilt)


def paint(width: int, height: int, *, unit: int, prompt: str, palette: Palette, dice: Dice) -> Planes:
    """A landscape as planes of Y, U, V, in even width and height.

    The prompt picks the kind of ground, the dice its shape.

    Args:
        width: pixels of the whole landscape.
        height: likewise.
        unit: pixels that count as 1 in the formulas: the shorter side of a frame.
        prompt: what was asked for.
        palette: the colours.
        dice: the numbers of this scene.
    """
    ground = _GROUNDS[int(Dice("ground", prompt).roll(0, len(_GROUNDS) - 1e-9))]
    scale = min(_COARSE / max(width, height), 1.0)
    columns, rows = max(round(width * scale), 2), max(round(height * scale), 2)
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float64)
    field = ground(x * (width / columns / unit), y * (height / rows / unit), dice)
    low, high = float(field.min()), float(field.max())
    small = Image.fromarray(((field - low) / max(high - low, 1e-6)).astype(np.float32))
    return _coloured(np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)), palette)


def _coloured(field: NDArray[np.float32], palette: Palette) -> Planes:
    height, width = field.shape
    out = (
        np.empty((height, width), np.uint8),
        np.empty((height // 2, width // 2), np.uint8),
        np.empty((height // 2, width // 2), np.uint8),
    )
    for top in range(0, height, 128):  # by strips: an index of a whole 4K plane would take 100 MB
        level = (field[top : top + 128] * (_LEVELS - 1)).clip(0, _LEVELS - 1).astype(np.intp)
        out[0][top : top + 128] = palette.table[0][level]
        for plane, table in zip(out[1:], palette.table[1:], strict=True):
            plane[top // 2 : top // 2 + 64] = table[level[::2, ::2]]
    return out
