from __future__ import annotations

import io
import struct
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from multivideo.files.sniff import HEAD_BYTES, ImageFacts, NotAnImage, image_facts, looks_like


def picture(kind: str, size: tuple[int, int] = (301, 47), mode: str = "RGB", **options: object) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, 120 if mode == "L" else None).save(out, format=kind, **options)
    return out.getvalue()


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


PNG, JPEG, WEBP = picture("PNG"), picture("JPEG"), picture("WEBP")
FACTS = {
    PNG: ImageFacts("png", 301, 47),
    JPEG: ImageFacts("jpeg", 301, 47),
    WEBP: ImageFacts("webp", 301, 47),
}


@pytest.mark.parametrize(
    ("data", "facts"),
    [
        *FACTS.items(),
        (picture("PNG", (1, 70_000), "L"), ImageFacts("png", 1, 70_000)),
        (picture("JPEG", progressive=True), ImageFacts("jpeg", 301, 47)),
        (picture("JPEG", mode="L"), ImageFacts("jpeg", 301, 47)),
        (picture("JPEG", mode="CMYK"), ImageFacts("jpeg", 301, 47)),
        (picture("JPEG", exif=b"Exif\0\0" + bytes(60_000)), ImageFacts("jpeg", 301, 47)),
        (picture("JPEG", icc_profile=bytes(150_000)), ImageFacts("jpeg", 301, 47)),
        (picture("WEBP", (16_383, 1)), ImageFacts("webp", 16_383, 1)),
        (picture("WEBP", lossless=True), ImageFacts("webp", 301, 47)),
        (picture("WEBP", (16_383, 2), lossless=True), ImageFacts("webp", 16_383, 2)),
        (picture("WEBP", icc_profile=bytes(200)), ImageFacts("webp", 301, 47)),
        (picture("WEBP", mode="RGBA", exif=b"Exif\0\0" + bytes(90)), ImageFacts("webp", 301, 47)),
    ],
)
def test_format_and_size_of_a_real_picture_are_read_from_its_head(data: bytes, facts: ImageFacts) -> None:
    assert image_facts(data[:HEAD_BYTES]) == facts


def test_the_kinds_of_webp_above_are_all_three_there_are() -> None:
    assert picture("WEBP")[12:16] == b"VP8 "
    assert picture("WEBP", lossless=True)[12:16] == b"VP8L"
    assert picture("WEBP", icc_profile=bytes(200))[12:16] == b"VP8X"


def test_a_jpeg_may_have_fill_bytes_and_markers_without_a_length() -> None:
    frame = segment(0xC2, struct.pack(">BHH", 8, 47, 301) + bytes(10))
    assert image_facts(b"\xff\xd8" + b"\xff\x01" + b"\xff\xff\xff" + segment(0xE1, bytes(9))[1:] + frame).width == 301


def test_tables_that_look_like_frame_headers_are_passed_over() -> None:
    frame = segment(0xC9, struct.pack(">BHH", 8, 47, 301) + bytes(10))
    tables = b"".join(segment(marker, bytes(17)) for marker in (0xC4, 0xC8, 0xCC))
    assert image_facts(b"\xff\xd8" + tables + frame) == ImageFacts("jpeg", 301, 47)


def ftyp(*brands: bytes) -> bytes:
    return struct.pack(">I4s", 12 + 4 * len(brands), b"ftyp") + brands[0] + bytes(4) + b"".join(brands[1:])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "this is HTML"),
        (b"\xef\xbb\xbf \r\n<HTML lang=en>", "this is HTML"),
        (b'{"error": "expired"}', "this is JSON"),
        (b"<?xml version='1.0'?><Error/>", "this is XML"),
        (b"<svg xmlns=", "this is an SVG drawing"),
        (picture("GIF"), "this is a GIF picture"),
        (picture("TIFF"), "this is a TIFF picture"),
        (ftyp(b"avif", b"mif1"), "this is an AVIF picture"),
        (ftyp(b"mif1", b"mif1", b"avif"), "this is an AVIF picture"),
        (ftyp(b"heic", b"mif1"), "this is a HEIC picture"),
        (ftyp(b"mif1", b"heic"), "this is a HEIC picture"),
        (ftyp(b"isom", b"avc1"), "this is an MP4 or QuickTime file"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "this is a WAV file"),
        (b"BM\x36\0\0\0", r"its first bytes are b'BM6\x00\x00\x00': no PNG, JPEG or WebP"),
        (b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s", 13, b"IEND") + bytes(13), "its PNG header has no IHDR chunk"),
        (PNG[:16] + bytes(8), "its PNG header says 0x0 pixels"),
        (PNG[:23], "its header is cut off: it goes on after byte 23"),
        (JPEG[:20], "its header is cut off: it goes on after byte 20"),
        (b"\xff\xd8\xff\xe0\0\x01", "its JPEG header has a segment of 1 bytes at byte 2"),
        (b"\xff\xd8\xff\xe0\0\x02\0\0", "its JPEG header has no marker at byte 6"),
        (b"\xff\xd8\xff\xda\0\x02", "its JPEG header ends without a frame header"),
        (b"\xff\xd8\xff\xd9", "its JPEG header ends without a frame header"),
        (b"\xff\xd8" + segment(0xC0, struct.pack(">BHH", 8, 0, 9)), "its JPEG header says 9x0 pixels"),
        (WEBP[:14], "its header is cut off: it goes on after byte 14"),
        (WEBP[:29], "its header is cut off: it goes on after byte 29"),
        (WEBP[:12] + b"VP9 " + WEBP[16:], "its WebP container begins with the chunk b'VP9 '"),
        (WEBP[:20] + b"\x01" + WEBP[21:], "its WebP data begins without a key frame"),
        (WEBP[:12] + b"VP8L\0\0\0\0\0\0\0\0\0", "its lossless WebP data has a wrong signature"),
    ],
)
def test_what_is_no_picture_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(NotAnImage) as caught:
        image_facts(data)
    assert str(caught.value) == reason


def test_what_nobody_knows_has_no_name() -> None:
    assert looks_like(b"") == looks_like(bytes(64)) == looks_like(b"RIFF1234????") == ""


@given(data=st.sampled_from([*FACTS]), length=st.integers(0, 700))
@settings(deadline=None)
def test_a_head_is_read_wholly_or_refused_wherever_it_ends(data: bytes, length: int) -> None:
    with suppress(NotAnImage):
        assert image_facts(data[:length]) == FACTS[data]


@given(
    st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff\xe1", PNG[:8], PNG[:16], WEBP[:12], WEBP[:16]]),
    st.binary(max_size=300),
)
@example(b"\xff\xd8", b"\xff" * 300)
@settings(deadline=None, max_examples=300)
def test_random_bytes_are_refused_or_have_a_size(start: bytes, rest: bytes) -> None:
    with suppress(NotAnImage):
        facts = image_facts(start + rest)
        assert min(facts.width, facts.height) > 0
