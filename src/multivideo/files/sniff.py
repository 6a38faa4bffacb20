"""What a picture is, told from its first bytes: no picture library is needed and nothing is decoded."""

from __future__ import annotations

import struct
from typing import Any, Literal

from attrs import frozen

__all__ = ["HEAD_BYTES", "ImageFacts", "NotAnImage", "image_facts", "looks_like"]

HEAD_BYTES = 256 * 1024
"""How much of a file to read. PNG and WebP need 30 bytes; a JPEG may carry up to 64 KiB of EXIF, then a colour
profile or a preview in further segments of that size, before it says how large it is."""

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"%PDF-", "a PDF document"),
    (b"PK\3\4", "a ZIP archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"\x1a\x45\xdf\xa3", "a WebM or Matroska video"),
    (b"OggS", "an Ogg file"),
    (b"ID3", "an MP3 file"),
)
_TEXT = (
    (b"<!doctype html", "HTML"),
    (b"<html", "HTML"),
    (b"<head", "HTML"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "XML"),
    (b"#extm3u", "an HLS playlist"),
    (b"{", "JSON"),
    (b"[", "JSON"),
)
_RIFF = {b"WEBP": "a WebP picture", b"AVI ": "an AVI video", b"WAVE": "a WAV file"}
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}

# JPEG (ITU-T T.81, table B.1): a frame header is SOF0..SOF15 without DHT (C4), JPG (C8) and DAC (CC);
# TEM, RST0..7 and a second SOI stand alone, without a length.
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_PIXELS_FOLLOW = frozenset({0xD9, 0xDA})  # EOI, SOS: whoever gets here has passed no frame header


class NotAnImage(ValueError):
    """These bytes are no PNG, JPEG or WebP picture; the text says what they are or where they end."""


@frozen
class ImageFacts:
    """Format and size in pixels, as the file's header states them (a camera's "turn me" note is not applied)."""

    format: Literal["png", "jpeg", "webp"]
    width: int
    height: int


def image_facts(head: bytes) -> ImageFacts:
    """Format and size of the picture that begins with these bytes.

    Args:
        head: the first `HEAD_BYTES` of the file, or all of it if it is shorter.

    Raises:
        NotAnImage: it is something else, or its header is cut off or makes no sense.
    """
    if not head:
        raise NotAnImage("it is empty")
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _facts("png", *_png(head))
    if head.startswith(b"\xff\xd8"):
        return _facts("jpeg", *_jpeg(head))
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _facts("webp", *_webp(head))
    kind = looks_like(head)
    raise NotAnImage(f"this is {kind}" if kind else f"its first bytes are {head[:8]!r}: no PNG, JPEG or WebP")


def looks_like(head: bytes) -> str:
    """The usual name of what begins with these bytes, such as "HTML" or "an AVIF picture"; "" if it is not known."""
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12], "")
    if head[4:8] == b"ftyp":
        return _by_brand(head)
    text = head[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((name for start, name in _TEXT if text.startswith(start)), "")


def _by_brand(head: bytes) -> str:
    """AVIF, HEIC and MP4 share one container; the brands in its first box tell them apart."""
    length = min(int.from_bytes(head[:4], "big"), 256)
    brands = {head[at : at + 4] for at in (8, *range(16, length, 4))}
    if brands & {b"avif", b"avis"}:
        return "an AVIF picture"
    return "a HEIC picture" if head[8:12] in _HEIC else "an MP4 or QuickTime file"


def _facts(name: Literal["png", "jpeg", "webp"], width: int, height: int) -> ImageFacts:
    if not width or not height:
        raise NotAnImage(f"its {name.upper()} header says {width}x{height} pixels")
    return ImageFacts(name, width, height)


def _read(layout: str, head: bytes, at: int) -> tuple[Any, ...]:
    try:
        return struct.unpack_from(layout, head, at)
    except struct.error:
        raise NotAnImage(f"its header is cut off: it goes on after byte {len(head):,}") from None


def _png(head: bytes) -> tuple[int, int]:
    length, kind, width, height = _read(">I4sII", head, 8)
    if (length, kind) != (13, b"IHDR"):
        raise NotAnImage("its PNG header has no IHDR chunk")
    return width, height


def _jpeg(head: bytes) -> tuple[int, int]:
    at = 2
    while True:
        (fill,) = _read(">B", head, at)
        (marker,) = _read(">B", head, at + 1)
        if fill != 0xFF:
            raise NotAnImage(f"its JPEG header has no marker at byte {at:,}")
        if marker == 0xFF:  # any number of fill bytes may stand before a marker
            at += 1
        elif marker in _ALONE:
            at += 2
        elif marker in _PIXELS_FOLLOW:
            raise NotAnImage("its JPEG header ends without a frame header")
        elif marker in _FRAME_HEADERS:
            height, width = _read(">HH", head, at + 5)
            return width, height
        else:
            (length,) = _read(">H", head, at + 2)
            if length < 2:
                raise NotAnImage(f"its JPEG header has a segment of {length} bytes at byte {at:,}")
            at += 2 + length


def _webp(head: bytes) -> tuple[int, int]:
    """The three kinds of WebP begin with three different chunks (RFC 9649, section 2)."""
    (chunk,) = _read("4s", head, 12)
    if chunk == b"VP8 ":
        first, start, width, height = _read("<B2x3sHH", head, 20)
        if first & 1 or start != b"\x9d\x01\x2a":
            raise NotAnImage("its WebP data begins without a key frame")
        return width & 0x3FFF, height & 0x3FFF
    if chunk == b"VP8L":
        signature, bits = _read("<BI", head, 20)
        if signature != 0x2F:
            raise NotAnImage("its lossless WebP data has a wrong signature")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8X":
        size = _read("6s", head, 24)[0]  # two numbers of 24 bits, each less by one than it means
        return int.from_bytes(size[:3], "little") + 1, int.from_bytes(size[3:], "little") + 1
    raise NotAnImage(f"its WebP container begins with the chunk {chunk!r}")
