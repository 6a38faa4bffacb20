"""What goes in and out of the emulator: requests, replies, refusals, and connections that die."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator, Mapping
from urllib.parse import parse_qs, unquote, urlsplit

import anyio.lowlevel
from attrs import define, frozen

__all__ = ["ConnectionLost", "Refused", "Reply", "Request", "file_reply", "json_reply"]

_CHUNK = 64 * 1024
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.IGNORECASE)


class ConnectionLost(Exception):
    """The connection died. `sent` says whether the request had left the caller by then."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__("the connection was lost " + ("after the request was sent" if sent else "before it was sent"))
        self.sent = sent


class Refused(Exception):
    """A check of a door failed; the reply is the vendor's answer to it."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


@frozen
class Request:
    """One call on a door. Header names are lower case, path segments are decoded, the door's prefix is cut off."""

    method: str
    segments: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    origin: str

    @classmethod
    def of(cls, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Request:
        """The call as a value; `path` is as on the wire, percent-encoded and with its query."""
        parts = urlsplit("//emulator" + path if path.startswith("/") else path)
        low = {name.lower(): value for name, value in headers.items()}
        # An object name of a bucket holds %2F: cut the path first, decode afterwards.
        segments = tuple(unquote(segment) for segment in parts.path.split("/")[1:])
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        scheme = low.get("x-forwarded-proto") or parts.scheme or "http"
        return cls(method.upper(), segments, query, low, body, f"{scheme}://{low.get('host') or 'localhost'}")

    def bearer(self) -> str | None:
        """The token of an Authorization header of the Bearer kind."""
        scheme, _, token = self.headers.get("authorization", "").strip().partition(" ")
        return token.strip() or None if scheme.lower() == "bearer" else None

    def content_type(self) -> str:
        """The media type of the body without its parameters, lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@define
class _Chunks:
    """A body from memory. No generator: one that nobody reads to its end needs no clean-up."""

    _data: bytes
    _cut_at: int | None = None
    _at: int = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        end = len(self._data) if self._cut_at is None else self._cut_at
        if self._at >= end:
            if self._cut_at is not None:
                raise ConnectionLost(sent=True)
            raise StopAsyncIteration
        chunk = self._data[self._at : min(self._at + _CHUNK, end)]
        self._at += len(chunk)
        return chunk


@frozen
class Reply:
    """An answer: status, header pairs, and a body to be read once."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: AsyncIterator[bytes]

    @classmethod
    def of(
        cls,
        status: int,
        data: bytes,
        content_type: str,
        headers: Mapping[str, str] | None = None,
        *,
        cut_at: int | None = None,
    ) -> Reply:
        """A reply from memory; with `cut_at` the connection dies after that many bytes of the body."""
        pairs = {"content-type": content_type, "content-length": str(len(data)), **(headers or {})}
        return cls(status, tuple(pairs.items()), _Chunks(data, cut_at))

    def header(self, name: str) -> str | None:
        """The first header of that name, whatever its case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    async def read(self) -> bytes:
        """The whole body; ConnectionLost when it is cut."""
        return b"".join([chunk async for chunk in self.body])


def json_reply(status: int, value: object, headers: Mapping[str, str] | None = None) -> Reply:
    """A reply with a JSON body."""
    # ASCII, because JSON can hold half a surrogate pair and UTF-8 cannot
    data = json.dumps(value, separators=(",", ":")).encode()
    return Reply.of(status, data, "application/json", headers)


def file_reply(request: Request, data: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> Reply:
    """A file, or the one range of it that was asked for."""
    etag = f'"{hashlib.blake2b(data, digest_size=16).hexdigest()}"'
    more = {"accept-ranges": "bytes", "etag": etag, **(headers or {})}
    asked = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    # a range of another edition of the file does not hold (RFC 9110, 13.1.5)
    of_another = request.headers.get("if-range", etag) != etag
    if asked is None or asked.group(1) == asked.group(2) == "" or of_another:
        return Reply.of(200, data, content_type, more)
    size = len(data)
    if asked.group(1):
        first, last = int(asked.group(1)), min(int(asked.group(2) or size), size - 1)
    else:
        first, last = max(0, size - int(asked.group(2))), size - 1
    if first > last:
        return Reply.of(416, b"", content_type, {**more, "content-range": f"bytes */{size}"})
    more["content-range"] = f"bytes {first}-{last}/{size}"
    return Reply.of(206, data[first : last + 1], content_type, more)
