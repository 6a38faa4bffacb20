"""Wrong deliverables on demand: files of another size, length or rate, flawed inside, or one too few."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from attrs import evolve

from multivideo.sandbox.flaws import FLAWS
from multivideo.sandbox.render import Clip

__all__ = ["WRONG", "spoiled"]


def _sized(clip: Clip, value: str) -> Clip:
    """Another size, half of each side unless said; even, as H.264 wants it."""
    width, height = (int(side) for side in (value or f"{clip.width // 2}x{clip.height // 2}").split("x"))
    return evolve(clip, width=width // 2 * 2, height=height // 2 * 2)


def _shortened(clip: Clip, value: str) -> Clip:
    return evolve(clip, seconds=float(value) if value else max(clip.seconds - 1, clip.seconds / 2))


def _paced(clip: Clip, value: str) -> Clip:
    return evolve(clip, fps=int(value) if value else 24 if clip.fps == 30 else 30)


_BENT: Mapping[str, Callable[[Clip, str], Clip]] = {"size": _sized, "seconds": _shortened, "fps": _paced}

# What may stand behind `deliver=`, as a pattern.
WRONG = "|".join(
    [
        r"size(:[1-9]\d{1,3}x[1-9]\d{1,3})?",
        r"seconds(:\d{1,2}(\.\d{1,3})?)?",
        r"fps(:[1-9]\d{0,2})?",
        *FLAWS,
        "missing_sample",
    ]
)


def spoiled(clips: Sequence[Clip], word: str) -> tuple[Clip, ...]:
    """The clips as they will be delivered instead."""
    name, _, value = word.partition(":")
    if name == "missing_sample":
        return tuple(clips[:-1] or clips)  # of several: a lone video that is missing is a filtered one
    if name in FLAWS:
        return tuple(evolve(clip, flaws=(*clip.flaws, name)) for clip in clips)
    return tuple(_BENT[name](clip, value) for clip in clips)
