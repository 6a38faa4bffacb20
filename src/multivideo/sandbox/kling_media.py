"""What a Kling create call names by its address, and what Kling asks of a video: length, size, shape, rate and weight.

Sources: Kling's pages on Omni and on motion control, copies of 2026-09-20. Lengths are compared to a tenth of a second
and rates to a whole frame, so that a file of 10 s with one frame more passes where 10 s are the most.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve, frozen

from multivideo.sandbox.addresses import Opened, film_stand_in, picture_stand_in
from multivideo.sandbox.clip import Film
from multivideo.sandbox.footage import measure

__all__ = ["FILM_RULES", "FilmRule", "Media", "check_film"]

_MIB = 1024 * 1024


@frozen
class Media:
    """What lies behind addresses: files of this door, files of this machine, and stand-ins for all others.

    Args:
        opened: what was found on this machine.
        own: a finished file of this door by its signed link; None when it is none.
    """

    opened: Opened
    own: Callable[[str], Film | None]

    def film(self, url: str) -> Film:
        """A video; ValueError when it cannot be had, or is none."""
        if (found := self.own(url)) is not None:
            return found
        if self.opened.knows(url):
            return measure(self.opened.data(url))
        return film_stand_in(_on_the_web(url))

    def picture(self, url: str) -> bytes:
        """A picture; ValueError when it cannot be had."""
        return self.opened.data(url) if self.opened.knows(url) else picture_stand_in(_on_the_web(url))


def _on_the_web(url: str) -> str:
    if not url.startswith("https://"):
        raise ValueError("only https is fetched")
    return url


@frozen(kw_only=True)
class FilmRule:
    """Bounds of a video, both ends included."""

    seconds: tuple[float, float]
    sides: tuple[int, int]
    pixels: int = 2**62
    ratio: tuple[float, float] = (0, 2**62)
    fps: tuple[int, int] = (0, 2**62)
    mib: int = 200


_REFERENCE = FilmRule(seconds=(3, 15.5), sides=(700, 4553), pixels=8_294_400, ratio=(0.4, 2), fps=(24, 60))
_MOTION = FilmRule(seconds=(3, 30), sides=(340, 3850), mib=100)
# By model and, for motion control, by orientation.
FILM_RULES = {
    "kling-3.0-omni": _REFERENCE,
    "kling-o1": evolve(_REFERENCE, seconds=(3, 10), sides=(700, 2160)),
    "image": evolve(_MOTION, seconds=(3, 10)),
    "video": _MOTION,
}


def check_film(film: Film, rule: FilmRule) -> None:
    """Refuse a video that is out of bounds: ValueError, whose text says of what."""
    ratio, weight = film.width / film.height, len(film.source) if isinstance(film.source, bytes) else 0
    if not rule.seconds[0] <= round(film.seconds, 1) <= rule.seconds[1]:
        raise ValueError(f"video duration must be between {rule.seconds[0]:g}s and {rule.seconds[1]:g}s")
    if not all(rule.sides[0] <= side <= rule.sides[1] for side in (film.width, film.height)):
        raise ValueError(f"video width and height must be between {rule.sides[0]}px and {rule.sides[1]}px")
    if film.width * film.height > rule.pixels:
        raise ValueError(f"video must not have more than {rule.pixels} pixels")
    if not rule.ratio[0] <= ratio <= rule.ratio[1]:
        raise ValueError(f"video aspect ratio must be between {rule.ratio[0]:g} and {rule.ratio[1]:g}")
    if not rule.fps[0] <= round(film.fps) <= rule.fps[1]:
        raise ValueError(f"video frame rate must be between {rule.fps[0]} and {rule.fps[1]}")
    if weight > rule.mib * _MIB:
        raise ValueError(f"video size must not exceed {rule.mib}MB")
