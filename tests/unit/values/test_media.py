"""Pictures and clips in every way that a user may give them, and junk in every way too."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve, frozen
from PIL import Image

from multivideo.files.sniff import ImageFacts
from multivideo.sandbox.render import Clip as Rendered
from multivideo.sandbox.render import render
from multivideo.values.clips import Clip as Brought
from multivideo.values.media import Media, with_article
from multivideo.values.refs import VendorHandle, VendorRef

SIGNED = "https://cdn.example/frame.png?signature=canary"


def encoded(kind: str, size: tuple[int, int] = (64, 36)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "teal").save(out, kind)
    return out.getvalue()


PNG = encoded("PNG")


@frozen
class Clip:
    """As much of a Video as a picture is made of."""

    end: Any
    sha256: str = "0" * 64

    def last_frame(self) -> Any:
        if isinstance(self.end, Exception):
            raise self.end
        return self.end


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_a_file_is_told_by_its_content_and_only_its_head_is_kept(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "frame.dat"
    file.write_bytes(encoded(kind))
    for given in (file, str(file)):
        media = Media.picture(given)
        assert media == Media(path=file, facts=ImageFacts(kind, 64, 36), size_bytes=file.stat().st_size)  # type: ignore[arg-type]
    assert media.loaded().data == file.read_bytes()
    assert str(media) == f"64x36 {kind} (frame.dat)"


@pytest.mark.parametrize("given", [PNG, bytearray(PNG), memoryview(PNG)], ids=["bytes", "bytearray", "memoryview"])
def test_bytes_are_taken_as_they_are(given: Any) -> None:
    media = Media.picture(given)
    assert media == Media(data=PNG, facts=ImageFacts("png", 64, 36), size_bytes=len(PNG))
    assert media.loaded() is media


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "CMYK", "1"])
def test_a_pil_image_of_any_mode_becomes_a_png(mode: str) -> None:
    assert Media.picture(Image.new(mode, (30, 20))).facts == ImageFacts("png", 30, 20)


@pytest.mark.parametrize("url", [SIGNED, "HTTPS://EXAMPLE.com:8443/a", "gs://bucket/folder/frame.png"])
def test_an_address_is_carried_and_nothing_is_known_of_its_picture(url: str) -> None:
    media = Media.picture(url)
    assert (media.url, media.facts, media.size_bytes, str(media)) == (url, None, None, "URL")


def test_a_video_goes_on_from_its_last_frame() -> None:
    assert Media.picture(Clip(Image.new("RGB", (20, 10)))).facts == ImageFacts("png", 20, 10)


def test_ready_media_is_itself() -> None:
    media = Media.picture(PNG)
    assert Media.picture(media) is media


def test_no_repr_shows_an_address_or_bytes() -> None:
    assert "canary" not in f"{Media.picture(SIGNED)!r} {Media.picture(SIGNED)}"
    assert repr(PNG)[2:12] not in repr(Media.picture(PNG))
    assert f"<{len(PNG)} bytes>" in repr(Media.picture(PNG))


HTML = b"<!DOCTYPE html><html><title>Not found</title></html>"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (HTML, "this is HTML"),
        (b"", "it is empty"),
        (b"GIF89a", "this is a GIF picture"),
        (PNG[:20], "cut off"),
        (b"no picture", "its first bytes are"),
    ],
)
def test_a_file_that_only_calls_itself_a_picture_is_told_what_it_is(tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "frame.png"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=why) as caught:
        Media.picture(file)
    assert str(caught.value).startswith("'frame.png', which is no picture")
    with pytest.raises(ValueError, match=why):
        Media.picture(content)


def test_a_path_that_leads_to_no_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'gone\.png', which cannot be read \(No such file or directory\)"):
        Media.picture(tmp_path / "gone.png")
    with pytest.raises(ValueError, match="which is a folder"):
        Media.picture(tmp_path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ValueError, match="which is no file"):
        Media.picture(tmp_path / "pipe.png")


@pytest.mark.parametrize("path", ["a\0b.png", "\ud800.png", "~nobody-of-this-name/frame.png", "", "x" * 5000])
def test_what_no_path_can_be_is_refused_shortly(path: str) -> None:
    with pytest.raises(ValueError) as caught:
        Media.picture(path)
    assert len(str(caught.value)) < 150


def test_a_data_address_is_not_repeated_at_length() -> None:
    with pytest.raises(ValueError) as caught:
        Media.picture("data:image/png;base64," + "A" * 5000)
    assert len(str(caught.value)) < 150


BAD_URLS = {
    "http://example.com/canary.png": "a http:// address",
    "file:///etc/canary": "a file:// address",
    "ftp://example.com/canary.png": "a ftp:// address",
    "s3://bucket/canary": "a s3:// address",
    "https://user:canary@example.com/a.png": "with credentials",
    "https://canary@example.com/a.png": "with credentials",
    "https://:@example.com/canary.png": "with credentials",
    "https:///canary.png": "without a host",
    "https://example.com/can ary.png": "blanks",
    "https://example.com/canary\n.png": "blanks",
    "https://example.com/canary\x7f.png": "control characters",
    "https://example.com\\canary": "control characters",
    "https://example.com/canary\ud800": "control characters",
    "https://[::1/canary": "no valid address",
    "https://example.com:99999/canary": "no valid address",
    "https://example.com:port/canary": "no valid address",
}


@pytest.mark.parametrize(("url", "why"), BAD_URLS.items(), ids=range(len(BAD_URLS)))
def test_a_bad_address_is_refused_without_being_repeated(url: str, why: str) -> None:
    for source in (url, Media(url=url)):
        with pytest.raises(ValueError, match=why) as caught:
            Media.picture(source)
        assert "canary" not in str(caught.value)
        with pytest.raises(ValueError, match=why):
            Brought.of(source)


@pytest.mark.parametrize(
    ("junk", "why"),
    [
        (5, "an int"),
        (None, "a NoneType"),
        ([PNG], "a list"),
        ({"url": SIGNED}, "a dict"),
        (object(), "an object"),
        (Clip, "the class Clip"),
        (Image.Image, "the class Image"),
        (Media(), "a Media of nothing"),
        (Clip(OSError("gone")), r"a Video whose last frame cannot be had \(gone\)"),
        (Clip(ImportError("pip install 'multivideo\\[media\\]'")), "pip install"),
        (Clip(5), "an int"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_junk_is_called_what_it_is(junk: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Media.picture(junk)


def test_a_damaged_pil_image_is_refused() -> None:
    image = Image.open(io.BytesIO(encoded("PNG", (600, 600))[:200]))
    with pytest.raises(ValueError, match="a PIL image that cannot be read"):
        Media.picture(image)


@pytest.fixture(scope="module")
def mp4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real video of 1 s, 64x36."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    path.write_bytes(
        render(Rendered(model="m", prompt="", seed=0, width=64, height=36, seconds=1, fps=24, audio=False))
    )
    return path


def test_a_clip_is_known_by_its_headers_or_only_by_its_place(mp4: Path) -> None:
    found = Brought.of(str(mp4))
    assert (found.media.path, found.duration, found.width, found.height) == (mp4, 1.0, 64, 36)
    assert str(found) == "a clip of 1.0 s, 64x36"
    assert Brought.of(found) is found
    assert Brought.of("https://example.com/clip.mp4").media.url == "https://example.com/clip.mp4"
    assert str(Brought.of(Media(data=b"anything"))) == "a clip of unknown size"
    assert len(found.loaded().media.data or b"") == mp4.stat().st_size


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_clip_in_memory_is_looked_into_as_a_file_is(mp4: Path, kind: Callable[[bytes], Any]) -> None:
    data = mp4.read_bytes()
    found, as_file = Brought.of(kind(data)), Brought.of(mp4)
    assert found == evolve(as_file, media=Media(data=data, size_bytes=len(data)))
    for damaged in (data[: len(data) // 2], b"<!doctype html>", b""):
        with pytest.raises(ValueError, match=f"{len(damaged):,} bytes that are no video"):
            Brought.of(kind(damaged))


def test_a_finished_video_brings_its_handle_along(mp4: Path) -> None:
    handle = VendorHandle(VendorRef("kling", "kling", "kling-3.0", "kling-3.0", "9"), 0, "https://cdn.example/9.mp4")
    found = Brought.of(SimpleNamespace(path=mp4, handle=handle, sha256="0" * 64))
    assert (found.handle, found.duration) == (handle, 1.0)
    assert "cdn.example" not in repr(found)


@pytest.mark.parametrize("junk", [5, b"", [], Clip, object(), "gone.mp4", Media()], ids=repr)
def test_what_is_no_clip_is_refused(junk: Any) -> None:
    with pytest.raises(ValueError):
        Brought.of(junk)


def test_a_file_that_is_no_video_is_no_clip(tmp_path: Path) -> None:
    (tmp_path / "page.mp4").write_text("<!doctype html>")
    with pytest.raises(ValueError, match=r"'page\.mp4', which is no video"):
        Brought.of(tmp_path / "page.mp4")


def test_nouns_get_their_article() -> None:
    assert [with_article("int"), with_article("NoneType")] == ["an int", "a NoneType"]
