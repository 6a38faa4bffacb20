"""Videos that are shown again: any frame of a film by its time, in the size of the clip that shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import av
from attrs import define, field

from multivideo.sandbox.clip import Clip, Film
from multivideo.sandbox.footage import pictures_of
from multivideo.sandbox.frames import planes_of
from multivideo.sandbox.glyphs import Planes

__all__ = ["Painter", "Reel", "reel_of"]


class Painter(Protocol):
    """Draws the frames of a clip."""

    def draw(self, planes: Planes, index: int) -> None:
        """Fill a frame of the clip's size."""
        ...


class Reel(Protocol):
    """Shows a film. Going forward is cheap, going back starts it anew."""

    def draw(self, planes: Planes, time: float) -> None:
        """Fill a frame with what the film shows at that time in seconds; after its end, with its last picture."""
        ...


def reel_of(film: Film, width: int, height: int, painter_of: Callable[[Clip], Painter]) -> Reel:
    """The film in frames of that size."""
    if isinstance(film.source, bytes):
        return _FileReel(film.source, width, height)
    return _ClipReel(film.source, painter_of(film.source), width, height)


def _fill(planes: Planes, frame: av.VideoFrame) -> None:
    height, width = planes[0].shape
    fitted = frame.reformat(width=width, height=height, format="yuv420p")
    for target, source in zip(planes, planes_of(fitted), strict=True):
        target[:] = source


@define(eq=False)
class _FileReel:
    """A file, decoded as it goes."""

    _data: bytes
    _width: int
    _height: int
    _coming: Iterator[tuple[float, av.VideoFrame]] = field(init=False)
    _shown: tuple[float, av.VideoFrame] | None = field(init=False, default=None)
    _next: tuple[float, av.VideoFrame] | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self._rewind()

    def _rewind(self) -> None:
        self._coming = pictures_of(self._data)
        self._shown = next(self._coming, None)
        self._next = next(self._coming, None)

    def draw(self, planes: Planes, time: float) -> None:
        """The last picture that is not later."""
        if self._shown is not None and time < self._shown[0] - 1e-6:
            self._rewind()
        while self._next is not None and self._next[0] <= time + 1e-6:
            self._shown, self._next = self._next, next(self._coming, None)
        if self._shown is None:
            raise ValueError("a video without frames")
        _fill(planes, self._shown[1])


@define(eq=False)
class _ClipReel:
    """A clip that was made here: drawn again, so that nothing is lost by coding it twice."""

    _clip: Clip
    _painter: Painter
    _width: int
    _height: int
    _canvas: av.VideoFrame | None = None

    def draw(self, planes: Planes, time: float) -> None:
        """The frame of that time."""
        index = min(int(time * self._clip.fps + 1e-6), self._clip.frames - 1)
        if (self._clip.width, self._clip.height) == (self._width, self._height):
            self._painter.draw(planes, index)
            return
        if self._canvas is None:
            self._canvas = av.VideoFrame(self._clip.width, self._clip.height, "yuv420p")
        self._painter.draw(planes_of(self._canvas), index)
        _fill(planes, self._canvas)
