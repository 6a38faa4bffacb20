"""Pictures and clips that a request brings along."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

from ..files.sniff import HEAD_BYTES, ImageFacts, image_facts

__all__ = ["Media", "MediaSource"]

MediaSource = Any  # a path, an https URL, bytes, a PIL image, or a Video

_SCHEME = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*://")


@frozen
class Media:
    """One picture or clip: where it comes from and, where that can be seen from here, what it is.

    Exactly one of `path`, `data` and `url` says where; `facts` and `size_bytes` are None for a URL.
    """

    path: Path | None = None
    data: bytes | None = field(default=None, repr=lambda data: "None" if data is None else f"<{len(data)} bytes>")
    url: str | None = field(default=None, repr=lambda url: "None" if url is None else "<url>")
    facts: ImageFacts | None = None
    size_bytes: int | None = None

    @classmethod
    def picture(cls, source: MediaSource) -> Media:
        """The picture that a user gave in any of the accepted ways; only the head of a file is read.

        Raises: ValueError saying what it is instead of a PNG, JPEG or WebP picture.
        """
        if isinstance(source, cls):
            return source
        if isinstance(source, str) and _SCHEME.match(source):
            return cls(url=_checked_url(source))
        if isinstance(source, str | Path):
            return _picture_file(Path(source).expanduser())
        if isinstance(source, bytes | bytearray | memoryview):
            return _picture_bytes(bytes(source))
        if callable(last_frame := getattr(source, "last_frame", None)):  # a Video goes on from its last frame
            return cls.picture(last_frame())
        if hasattr(source, "save") and hasattr(source, "convert"):  # a PIL image
            return _picture_bytes(_png(source))
        raise ValueError(f"a {type(source).__name__}")

    def loaded(self) -> Media:
        """The same with its bytes in memory, where they are a file's. Reads that file: not for pure code."""
        return self if self.path is None else evolve(self, data=self.path.read_bytes())

    def __str__(self) -> str:
        where = self.path.name if self.path else "URL" if self.url else "bytes"
        facts = self.facts
        return f"{facts.width}x{facts.height} {facts.format} ({where})" if facts else where


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"https", "gs"}:
        raise ValueError(f"a {parts.scheme}:// address")
    if not parts.hostname or parts.username or parts.password or any(c <= " " or c in "\\\x7f" for c in url):
        raise ValueError("an address with credentials, blanks or no host")
    return url


def _picture_file(path: Path) -> Media:
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        size = path.stat().st_size
    except OSError as error:
        raise ValueError(f"{path.name!r}, which cannot be read ({error.strerror})") from None
    try:
        return Media(path=path, facts=image_facts(head), size_bytes=size)
    except ValueError as error:
        raise ValueError(f"{path.name!r}, which is no picture ({error})") from None


def _picture_bytes(data: bytes) -> Media:
    try:
        return Media(data=data, facts=image_facts(data[:HEAD_BYTES]), size_bytes=len(data))
    except ValueError as error:
        raise ValueError(f"{len(data)} bytes that are no picture ({error})") from None


def _png(image: Any) -> bytes:
    out = io.BytesIO()
    image.convert("RGB").save(out, format="PNG")
    return out.getvalue()
