"""Videos that a request brings along, to be extended or changed."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve, frozen

from ..files.boxes import NotAVideo, measure
from .media import Media, MediaSource, from_address, regular_file, with_article
from .refs import VendorHandle

__all__ = ["Clip"]


@frozen
class Clip:
    """A video to go on from: where it is, who made it, and what it is, as far as that can be seen from here.

    `handle` is there for a finished `Video` of this library; `duration` (seconds), `width`, `height`, `has_audio`
    and `fps` are None for an address, into which nobody looks.
    """

    media: Media
    handle: VendorHandle | None = None
    duration: float | None = None
    width: int | None = None
    height: int | None = None
    has_audio: bool | None = None
    fps: float | None = None

    @classmethod
    def of(cls, source: MediaSource) -> Clip:
        """The clip that a user gave in any of the accepted ways; only its headers are read.

        Raises: ValueError saying what it is instead.
        """
        if isinstance(source, cls):
            return source
        if isinstance(source, Media):
            return cls(source.checked())
        if (url := from_address(source)) is not None:
            return cls(Media(url=url))
        if isinstance(source, str | Path):
            return cls._file(Path(source))
        if isinstance(source, bytes | bytearray | memoryview):
            return cls._bytes(bytes(source))
        if hasattr(source, "handle") and hasattr(source, "sha256") and not isinstance(source, type):  # a Video
            return evolve(cls._file(source.path), handle=source.handle)
        raise ValueError(with_article(type(source).__name__))

    @classmethod
    def _file(cls, given: Path) -> Clip:
        path = regular_file(given)
        try:
            facts = measure(path)
        except NotAVideo as error:
            raise ValueError(f"{path.name[:57]!r}, which is no video ({error})") from None
        media = Media(path=path, size_bytes=facts.size_bytes)
        return cls(media, None, facts.duration, facts.width, facts.height, facts.has_audio, facts.fps)

    @classmethod
    def _bytes(cls, data: bytes) -> Clip:
        try:
            facts = measure(data)
        except NotAVideo as error:
            raise ValueError(f"{len(data):,} bytes that are no video ({error})") from None
        media = Media(data=data, size_bytes=facts.size_bytes)
        return cls(media, None, facts.duration, facts.width, facts.height, facts.has_audio, facts.fps)

    def loaded(self) -> Clip:
        """The same with its bytes in memory, where they are a file's. Reads that file: not for pure code."""
        return evolve(self, media=self.media.loaded())

    def __str__(self) -> str:
        size = f"{self.width}x{self.height}" if self.width else "of unknown size"
        return f"a clip {size}" if self.duration is None else f"a clip of {self.duration:.1f} s, {size}"
