"""JSON whose big Base64 strings go to files while it streams in: a video inside an answer is never held whole."""

from __future__ import annotations

import binascii
import json
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

__all__ = ["Spiller"]

MOST_SPILLED_BYTES = 4 * 1024**3
_STRUCTURE = re.compile(rb'["{}\[\],:]')
_STRING_END = re.compile(rb'["\\]')
_ESCAPES = {b"/": b"/", b"n": b"", b"r": b""}


class Spiller:
    """Takes the bytes of a JSON text and keeps all but the content of the strings at the named places.

    `places` are tuples of keys, with "*" for any index of a list. A spilled string is left as "" in what is kept.
    `most_bytes` is what all files together may hold.
    """

    def __init__(
        self, places: tuple[tuple[str, ...], ...], folder: Path | None = None, *, most_bytes: int = MOST_SPILLED_BYTES
    ) -> None:
        self._places = {tuple(None if key == "*" else key for key in place) for place in places}
        self._depths = {len(place) for place in places}  # a text nested a million deep must not cost that per string
        self._folder, self._room = folder, most_bytes
        self._kept = bytearray()
        self._path: list[str | None] = []  # a key for each open object, None for each open list
        self._key: bytearray | None = None  # the string being read, where it is a key
        self._in_string = self._wants_key = False
        self._escape = b""
        self._file: _Base64File | None = None
        self._files: list[Path] = []

    @property
    def kept_bytes(self) -> int:
        """How much is held in memory so far."""
        return len(self._kept)

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes. Raises: ValueError where a spilled string is no Base64 or too large, OSError."""
        at = 0
        while at < len(chunk):
            at = self._string(chunk, at) if self._in_string else self._structure(chunk, at)

    def finish(self) -> tuple[bytes, tuple[Path, ...]]:
        """What was kept, and the files in the order in which their strings came. Raises: ValueError if cut short."""
        if self._in_string or self._path:
            raise ValueError("the JSON ends too early")
        return bytes(self._kept), tuple(self._files)

    def discard(self) -> None:
        """Remove every file that was written."""
        if self._file is not None:
            self._file.drop()
            self._file = None
        for path in self._files:
            path.unlink(missing_ok=True)

    def _structure(self, chunk: bytes, at: int) -> int:
        """From `at` to behind the next sign that matters."""
        found = _STRUCTURE.search(chunk, at)
        end = found.end() if found else len(chunk)
        self._kept += chunk[at:end]
        sign = found.group() if found else b""
        if sign == b'"':
            self._in_string = True
            if self._wants_key:
                self._key = bytearray()
            elif len(self._path) in self._depths and tuple(self._path) in self._places:
                self._file = _Base64File(self._folder)
                self._files.append(self._file.path)
        elif sign in (b"{", b"["):
            self._path.append("" if sign == b"{" else None)
            self._wants_key = sign == b"{"
        elif sign in (b"}", b"]"):
            if not self._path:
                raise ValueError("the JSON closes what was never opened")
            self._path.pop()
            self._wants_key = False
        elif sign:
            self._wants_key = sign == b"," and bool(self._path) and self._path[-1] is not None
        return end

    def _string(self, chunk: bytes, at: int) -> int:
        """From `at`, inside a string, to its end or to the end of the chunk."""
        if self._escape:
            return self._escaped(chunk, at)
        found = _STRING_END.search(chunk, at)
        end = found.start() if found else len(chunk)
        self._take(chunk[at:end])
        if found is None:
            return end
        if found.group() == b"\\":
            self._escape = b"\\"
        else:
            self._kept += b'"'
            self._end_string()
        return end + 1

    def _escaped(self, chunk: bytes, at: int) -> int:
        self._escape += chunk[at : at + 1]
        is_code = self._escape[1:2] == b"u"
        if not is_code or len(self._escape) == 6:
            raw, self._escape = self._escape, b""
            self._take(_plain(raw) if self._file is not None else raw)
        return at + 1

    def _take(self, piece: bytes) -> None:
        if self._file is not None:
            self._room -= self._file.write(piece)
            if self._room < 0:
                raise ValueError("a file inside the answer that is too large")
            return
        self._kept += piece
        if self._key is not None:
            self._key += piece

    def _end_string(self) -> None:
        self._in_string = False
        if self._file is not None:
            self._file.finish()
            self._file = None
        elif self._key is not None:
            self._path[-1], self._key = str(json.loads(b'"%b"' % bytes(self._key))), None


def _plain(escape: bytes) -> bytes:
    """What a JSON escape inside Base64 stands for."""
    if escape[1:2] == b"u":
        code = int(escape[2:], 16) if escape[2:].isalnum() else 128
        if code < 128:
            return bytes([code])
    elif escape[1:] in _ESCAPES:
        return _ESCAPES[escape[1:]]
    raise ValueError("a spilled string is no Base64")


class _Base64File:
    def __init__(self, folder: Path | None) -> None:
        handle, name = tempfile.mkstemp(prefix="multivideo-", suffix=".part", dir=folder)
        self.path, self._out = Path(name), os.fdopen(handle, "wb")
        self._rest, self._padded = b"", False

    def write(self, text: bytes) -> int:
        """Decode what is whole by now; returns how many bytes that were."""
        text = self._rest + text
        whole = len(text) // 4 * 4
        self._rest = text[whole:]
        return self._decode(text[:whole])

    def finish(self) -> None:
        """Decode the rest, whose padding some encoders leave out, and close."""
        self._decode(self._rest + b"=" * (-len(self._rest) % 4))
        self._out.close()

    def drop(self) -> None:
        """Close, whatever state it is in."""
        with suppress(OSError):  # a full disk says so once more
            self._out.close()

    def _decode(self, text: bytes) -> int:
        if not text:
            return 0
        if self._padded or text.endswith(b"==="):
            raise ValueError("a spilled string goes on behind its end")
        self._padded = text.endswith(b"=")
        return self._out.write(binascii.a2b_base64(text, strict_mode=True))
