"""Pictures and clips that a request brings along."""

from __future__ import annotations

import io
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

from ..files.sniff import HEAD_BYTES, ImageFacts, image_facts

__all__ = ["Media", "MediaSource", "from_address", "regular_file", "with_article"]

MediaSource = Any  # a path, an https URL, bytes, a PIL image, or a Video

_SCHEME = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*://")


@frozen
class Media:
    """One picture or clip: where it comes from and, where that can be seen from here, what it is.

    One of `path`, `data` and `url` says where; `facts` and `size_bytes` are None for a URL.
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
            return source.checked()
        if isinstance(source, type):
            raise ValueError(f"the class {source.__name__}")
        if (url := from_address(source)) is not None:
            return cls(url=url)
        if isinstance(source, str | Path):
            return _picture_file(Path(source))
        if isinstance(source, bytes | bytearray | memoryview):
            return _picture_bytes(bytes(source))
        if callable(last_frame := getattr(source, "last_frame", None)):  # a Video goes on from its last frame
            return cls.picture(_end_of(last_frame))
        if hasattr(source, "save") and hasattr(source, "convert"):  # a PIL image
            return _picture_bytes(_png(source))
        raise ValueError(with_article(type(source).__name__))

    def checked(self) -> Media:
        """The same. Raises: ValueError where it says no place, or a bad address."""
        if self.path is None and self.data is None and self.url is None:
            raise ValueError("a Media of nothing")
        if self.url is not None:
            _checked_url(self.url)
        return self

    def loaded(self) -> Media:
        """The same with its bytes in memory, where they are a file's. Reads that file: not for pure code."""
        return self if self.path is None else evolve(self, data=self.path.read_bytes())

    def __str__(self) -> str:
        where = self.path.name if self.path else "URL" if self.url else "bytes"
        facts = self.facts
        return f"{facts.width}x{facts.height} {facts.format} ({where})" if facts else where


def with_article(noun: str) -> str:
    """The noun with its article: "a list", "an int"."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def from_address(source: MediaSource) -> str | None:
    """The address that a source is, None: it is none.

    Raises: ValueError for an address that no vendor can fetch.
    """
    return _checked_url(source) if isinstance(source, str) and _SCHEME.match(source) else None


def _checked_url(url: str) -> str:
    """The address, if a vendor can fetch it. What is wrong is said without its text, which may hold a signature."""
    if any(c <= " " or c in "\\\x7f" or "\ud800" <= c <= "\udfff" for c in url):
        raise ValueError("an address with blanks or control characters")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("no valid address") from None
    if parts.scheme not in {"https", "gs"}:
        raise ValueError(f"{with_article(parts.scheme[:20])}:// address")
    if "@" in parts.netloc:
        raise ValueError("an address with credentials")
    if not host:
        raise ValueError("an address without a host")
    return url


def regular_file(path: Path) -> Path:
    """The file, if it is one that ends: a pipe or a device would be read for ever."""
    try:
        path = path.expanduser()
        mode = path.stat().st_mode
    except OSError as error:
        raise ValueError(f"{_name(path)}, which cannot be read ({error.strerror})") from None
    except (ValueError, RuntimeError):  # not Unicode, a NUL inside, or the home of nobody
        raise ValueError(f"{_name(path)}, which is no path") from None
    if not stat.S_ISREG(mode):
        raise ValueError(f"{_name(path)}, which is {'a folder' if stat.S_ISDIR(mode) else 'no file'}")
    return path


def _name(path: Path) -> str:
    name = path.name or str(path)
    return repr(name if len(name) <= 60 else f"{name[:57]}...")


def _picture_file(given: Path) -> Media:
    path = regular_file(given)
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        size = path.stat().st_size
    except OSError as error:
        raise ValueError(f"{_name(path)}, which cannot be read ({error.strerror})") from None
    try:
        return Media(path=path, facts=image_facts(head), size_bytes=size)
    except ValueError as error:
        raise ValueError(f"{_name(path)}, which is no picture ({error})") from None


def _picture_bytes(data: bytes) -> Media:
    try:
        return Media(data=data, facts=image_facts(data[:HEAD_BYTES]), size_bytes=len(data))
    except ValueError as error:
        raise ValueError(f"{len(data)} bytes that are no picture ({error})") from None


def _end_of(last_frame: Callable[[], Any]) -> Any:
    try:
        return last_frame()
    except (OSError, ValueError, ImportError) as error:  # no file, no video, or no extra `media`
        raise ValueError(f"a Video whose last frame cannot be had ({error})") from None


def _png(image: Any) -> bytes:
    out = io.BytesIO()
    try:
        image.convert("RGB").save(out, format="PNG")
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"a PIL image that cannot be read ({error})") from None
    return out.getvalue()
