"""How refusals speak: what was asked and what rows offer instead, in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ..values.plan import Refusal
from ..values.words import RATIOS, RESOLUTIONS
from .facts import Format

__all__ = [
    "alike",
    "any_of",
    "audio_text",
    "fps_text",
    "ratio_text",
    "refused",
    "resolution_text",
    "seconds_text",
    "size_text",
]


def refused(field: str, asked: str, allowed: str, source: str) -> Refusal:
    """The refusal of something that was brought along."""
    what = f"cannot take this {field.replace('_', ' ')}"
    return Refusal(field, asked, allowed, source, what=what, reason=f"{field}: {allowed}, asked {asked}")


def any_of(words: Iterable[object]) -> str:
    """The words as they are said: "a", "a or b", "a, b or c"."""
    *most, last = dict.fromkeys(str(word) for word in words)
    return f"{', '.join(most)} or {last}" if most else last


def alike(one: float, other: float) -> bool:
    """Whether two shapes, as width by height, look the same."""
    return math.isclose(one, other, rel_tol=0.02)


def _span(seconds: Sequence[int]) -> str:
    first, last = seconds[0], seconds[-1]
    whole = len(seconds) > 3 and list(seconds) == list(range(first, last + 1))
    return f"{first} to {last} s in whole seconds" if whole else f"{any_of(seconds)} s"


def seconds_text(rows: Sequence[Format]) -> str:
    """Which seconds go with which resolution: "4, 6 or 8 s at 720p; 8 s at 1080p and 4k"."""
    by_seconds: dict[tuple[int, ...], list[str]] = {}
    for row in rows:
        at = by_seconds.setdefault(row.seconds, [])
        at += [row.resolution] if row.resolution not in at else []
    if len(by_seconds) == 1:
        return _span(next(iter(by_seconds)))
    return "; ".join(f"{_span(seconds)} at {' and '.join(names)}" for seconds, names in by_seconds.items())


def audio_text(rows: Sequence[Format]) -> str:
    """Which sound goes with which resolution."""
    words = {(True,): "always with sound", (False,): "never with sound", (True, False): "with or without sound"}
    groups: dict[str, list[str]] = {}
    for row in rows:
        groups.setdefault(words.get(row.audio, "with or without sound"), []).append(row.resolution)
    if len(groups) == 1:
        return next(iter(groups))
    return "; ".join(f"{word} at {' and '.join(dict.fromkeys(names))}" for word, names in groups.items())


def fps_text(rows: Sequence[Format]) -> str:
    """Which frame rates there are."""
    return f"{any_of(sorted({row.fps for row in rows}))} fps"


def ratio_text(rows: Sequence[Format]) -> str:
    """Which shapes can be asked for by name."""
    named = [ratio for row in rows for ratio in row.sizes if ratio in RATIOS]
    return any_of(named) if named else f"no named shape, but resolution={size_text(rows)}"


def size_text(rows: Sequence[Format]) -> str:
    """Which sizes there are, in pixels."""
    return any_of(_pixels(rows))


def _pixels(rows: Sequence[Format]) -> list[str]:
    return [f"{width}x{height}" for row in rows for width, height in row.sizes.values()]


def resolution_text(rows: Sequence[Format]) -> str:
    """The names that can be asked for; a size that has none is given in pixels."""
    sizes = {row.resolution: [row.resolution] if row.resolution in RESOLUTIONS else _pixels([row]) for row in rows}
    return any_of(text for texts in sizes.values() for text in texts)
