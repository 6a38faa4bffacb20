"""Still pictures: what size one has, by its header alone, and one to stand in for a picture that cannot be had."""

from __future__ import annotations

import functools
import hashlib
import io
import struct

import numpy as np
from PIL import Image, ImageDraw

__all__ = ["image_size", "placeholder", "tile"]

# SOF0..SOF15 carry the size; C4, C8 and CC lie in the same range but are tables (ITU-T T.81, table B.1).
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset(range(0xD0, 0xD9)) | {0x01}  # markers that have no length: RST0..7, SOI, TEM


def image_size(data: bytes) -> tuple[int, int, str]:
    """Width, height and kind ("png", "jpeg" or "webp") of a picture, read from its header.

    Only as much as the header is looked at, so the first kilobytes of a PNG or WebP file are enough. A JPEG is
    measured as stored: an EXIF orientation does not swap the two.

    Raises:
        ValueError: the bytes are no such picture, or end within the header.
    """
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
            width, height = struct.unpack_from(">II", data, 16)
            kind = "png"
        elif data.startswith(b"\xff\xd8\xff"):
            width, height = _jpeg_size(data)
            kind = "jpeg"
        elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            width, height = _webp_size(data)
            kind = "webp"
        else:
            raise ValueError("neither PNG nor JPEG nor WebP")
    except (struct.error, IndexError):
        raise ValueError("the picture ends within its header") from None
    if not width or not height:
        raise ValueError("the picture has no width or no height")
    return width, height, kind


def _jpeg_size(data: bytes) -> tuple[int, int]:
    # Segments are skipped by their length: a thumbnail inside EXIF has a frame header of its own.
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in _JPEG_BARE:
            at += 2
        else:
            at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    raise ValueError("a JPEG without a frame header")


def _webp_size(data: bytes) -> tuple[int, int]:
    form = data[12:16]
    if form == b"VP8X":  # extended: canvas size less one, 24 bits each
        return 1 + int.from_bytes(_part(data, 24, 27), "little"), 1 + int.from_bytes(_part(data, 27, 30), "little")
    if form == b"VP8L" and data[20] == 0x2F:  # lossless: 14 bits each, less one
        bits = struct.unpack_from("<I", data, 21)[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if form == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":  # lossy: 14 bits of size, 2 of scale
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError("a WebP without a picture header")


def _part(data: bytes, start: int, stop: int) -> bytes:
    if len(data) < stop:
        raise IndexError(stop)
    return data[start:stop]


def placeholder(width: int, height: int) -> bytes:
    """A PNG of soft dunes under a pale sky, for a picture given by an address that nothing here can fetch."""
    y, x = np.mgrid[0:90, 0:160].astype(np.float32)
    sky = np.array([252.0, 226.0, 200.0]) - (y[..., None] / 90) * np.array([10.0, 50.0, 40.0])
    for depth, (level, tone) in enumerate([(48, (214, 150, 128)), (60, (160, 104, 118)), (74, (92, 72, 104))]):
        ridge = level + 6 * np.sin(x / (17 - 3 * depth) + 2.1 * depth)
        cover = np.clip(y - ridge, 0, 1)[..., None]
        sky = sky * (1 - cover) + np.array(tone) * cover
    small = Image.fromarray(sky.astype(np.uint8))
    out = io.BytesIO()
    small.resize((width, height), Image.Resampling.BICUBIC).save(out, "PNG", compress_level=1)
    return out.getvalue()


@functools.lru_cache(maxsize=256)
def tile(name: str) -> bytes:
    """A PNG in a colour that belongs to a name, with its last letters: for what is known by its name alone."""
    hue = int.from_bytes(hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=2).digest()) % 256
    image = Image.new("HSV", (96, 96), (hue, 170, 200)).convert("RGB")
    ImageDraw.Draw(image).text((48, 48), name[-6:].encode("ascii", "replace").decode(), anchor="mm", font_size=22)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
