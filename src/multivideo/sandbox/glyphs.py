"""Letters as masks: lines of text broken to fit, and digits kept so that a running counter costs next to nothing."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = ["Mask", "Planes", "blend", "counter", "fitted", "font", "text_mask", "wrap"]

Mask = NDArray[np.uint8]
Planes = tuple[Mask, Mask, Mask]  # Y at full size, U and V at half
_LONGEST = 600  # characters of a prompt that are measured; no box holds more


@lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont:
    """The face that Pillow brings along, so that a clip looks the same on every machine."""
    face = ImageFont.load_default(size)
    if not isinstance(face, ImageFont.FreeTypeFont):
        raise RuntimeError("this build of Pillow has no FreeType, so no text of a given size")
    return face


def fitted(text: str, size: int, width: int, smallest: int) -> int:
    """The largest size from `size` down to `smallest` at which the text is no wider than `width`."""
    while size > smallest and font(size).getlength(text) > width:
        size -= 1
    return size


def wrap(text: str, size: int, width: int, rows: int) -> list[str]:
    """The text in at most `rows` lines no wider than `width`; what does not fit ends in an ellipsis.

    Lines break between words, and within a word only when it is wider than a line (also how scripts that have no
    spaces are broken).
    """
    rest = " ".join(_printable(text).split())
    lines: list[str] = []
    while rest and len(lines) < rows:
        count = _fitting(rest, size, width)
        if count < len(rest) and len(lines) == rows - 1:
            lines.append(rest[: max(_fitting(rest, size, width - font(size).getlength("…")), 0)].rstrip() + "…")
            break
        if count < len(rest) and (space := rest.rfind(" ", 0, count + 1)) > 0:
            count = space
        lines.append(rest[:count].rstrip())
        rest = rest[count:].lstrip()
    return lines


def _printable(text: str) -> str:
    # Lone surrogates cannot be drawn or encoded; control characters have no shape.
    return "".join(c if c.isprintable() else " " for c in text[:_LONGEST])


def _fitting(text: str, size: int, width: float) -> int:
    """How many leading characters fit, at least one so that breaking goes on."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if font(size).getlength(text[:middle]) <= width:
            low = middle
        else:
            high = middle - 1
    return low


def text_mask(text: str, size: int, weight: float = 0) -> Mask:
    """Coverage, 0 to 255, of one line of text; `weight` thickens the strokes by so many pixels."""
    face = font(size)
    ascent, descent = face.getmetrics()
    image = Image.new("L", (int(face.getlength(text) + 2 * weight) + 1, ascent + descent), 0)
    ImageDraw.Draw(image).text((weight, 0), text, fill=255, font=face, stroke_width=weight)
    return np.asarray(image)


@lru_cache(maxsize=1024)
def _cell(char: str, size: int) -> Mask:
    # All digits get the same width, or a running number would tremble.
    own = text_mask(char, size)
    if not char.isdigit():
        return own
    width = int(max(font(size).getlength(digit) for digit in "0123456789")) + 1
    cell = np.zeros((own.shape[0], width), np.uint8)
    start = max((width - own.shape[1]) // 2, 0)
    cell[:, start : start + own.shape[1]] = own[:, : width - start]
    return cell


def counter(text: str, size: int) -> Mask:
    """Coverage of a number that changes from frame to frame, put together from kept glyphs."""
    return np.hstack([_cell(char, size) for char in text])


def blend(target: Mask, mask: Mask, left: int, top: int, ink: int) -> None:
    """Lay ink on the target where the mask covers it; what lies outside is cut."""
    left_cut, top_cut = max(-left, 0), max(-top, 0)
    left, top = max(left, 0), max(top, 0)
    mask = mask[top_cut:, left_cut:][: max(target.shape[0] - top, 0), : max(target.shape[1] - left, 0)]
    under = target[top : top + mask.shape[0], left : left + mask.shape[1]]
    under[:] = under + (ink - under.astype(np.int32)) * mask // 255
