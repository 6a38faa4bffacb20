from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from multivideo.files.boxes import NotAVideo
from multivideo.files.frames import NeedsMedia, contact_sheet, frames, last_frame

COUNT = 40


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pictures of one even grey each, 6 brighter from one to the next: two key frames, B-frames between."""
    path = tmp_path_factory.mktemp("frames") / "clip.mp4"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        options = {"preset": "ultrafast", "g": "32", "bf": "2", "crf": "5"}
        video = container.add_stream("libx264", rate=20, options=options)
        video.width, video.height, video.pix_fmt = 64, 36, "yuv420p"
        for number in range(COUNT):
            picture = av.VideoFrame.from_ndarray(np.full((36, 64, 3), number * 6, np.uint8), format="rgb24")
            picture.pts = number
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
    return path


def number(picture: Image.Image) -> int:
    """Which of the forty it is."""
    pixel = picture.convert("L").getpixel((picture.width // 2, picture.height // 2))
    assert isinstance(pixel, int)
    return round(pixel / 6)


def test_pictures_come_from_the_middle_of_equal_parts(clip: Path) -> None:
    assert [number(picture) for picture in frames(clip, 4)] == [5, 15, 25, 35]
    assert [number(picture) for picture in frames(clip, 1)] == [20]


def test_every_picture_can_be_had_once_or_twice(clip: Path) -> None:
    assert [number(picture) for picture in frames(clip, COUNT)] == [*range(COUNT)]
    assert [number(picture) for picture in frames(clip, 2 * COUNT)] == [n // 2 for n in range(2 * COUNT)]


def test_the_last_picture_is_exactly_the_last(clip: Path) -> None:
    picture = last_frame(clip)
    assert (number(picture), picture.size) == (COUNT - 1, (64, 36))


@pytest.mark.parametrize("shown", [8, 20, 32, 33])
def test_the_last_picture_of_a_trimmed_clip_is_the_last_that_is_shown(clip: Path, tmp_path: Path, shown: int) -> None:
    data = bytearray(clip.read_bytes())
    struct.pack_into(">I", data, data.index(b"elst") + 12, shown * 50)  # milliseconds
    path = tmp_path / "trimmed.mp4"
    path.write_bytes(data)
    assert number(last_frame(path)) == shown - 1
    assert [number(picture) for picture in frames(path, 2)] == [shown // 4, shown * 3 // 4]


def test_a_contact_sheet_shows_the_clip_in_reading_order(clip: Path) -> None:
    sheet = contact_sheet(clip, columns=2, rows=2)
    assert sheet.size == (2 * 320 + 3 * 8, 2 * 180 + 3 * 8)
    places = [(8, 8), (336, 8), (8, 196), (336, 196)]
    assert [number(sheet.crop((x, y, x + 320, y + 180))) for x, y in places] == [5, 15, 25, 35]


@pytest.mark.parametrize(("matrix", "bright"), [((0, 1, -1, 0), "right"), ((0, -1, 1, 0), "left")])
def test_pictures_of_a_turned_clip_stand_upright(tmp_path: Path, matrix: tuple[int, ...], bright: str) -> None:
    path = tmp_path / "turned.mp4"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=24)
        video.width, video.height, video.pix_fmt = 64, 36, "yuv420p"
        half = np.zeros((36, 64, 3), np.uint8)
        half[:18] = 255  # its upper half is white
        container.mux(video.encode(av.VideoFrame.from_ndarray(half, format="rgb24")))
        container.mux(video.encode(None))
    data = bytearray(path.read_bytes())
    a, b, c, d = (number << 16 for number in matrix)
    struct.pack_into(">9i", data, data.index(b"tkhd") + 44, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    picture = last_frame(path).convert("L")
    assert picture.size == (36, 64)
    left, right = picture.getpixel((4, 32)), picture.getpixel((31, 32))
    assert isinstance(left, int)
    assert isinstance(right, int)
    assert (right > 200 > 50 > left) if bright == "right" else (left > 200 > 50 > right)


@pytest.mark.parametrize("look", [lambda path: frames(path, 2), last_frame, contact_sheet])
def test_a_file_that_is_no_video_is_said_to_be_none(tmp_path: Path, look: Callable[[Path], object]) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"<html>expired</html>")
    with pytest.raises(NotAVideo, match="it is HTML"):
        look(path)


@pytest.mark.parametrize("look", [lambda path: frames(path, 2), last_frame, contact_sheet])
def test_samples_that_are_no_pictures_are_said_to_be_none(
    clip: Path, tmp_path: Path, look: Callable[[Path], object]
) -> None:
    data = clip.read_bytes()
    path = tmp_path / "clip.mp4"
    begin = data.index(b"mdat") + 4
    path.write_bytes(data[:begin] + bytes(len(data) - begin))
    with pytest.raises(NotAVideo, match=r"decoded|no picture"):
        look(path)


def test_a_number_of_pictures_below_one_is_refused(clip: Path) -> None:
    with pytest.raises(ValueError, match="n=0"):
        frames(clip, 0)
    with pytest.raises(ValueError, match="rows=0"):
        contact_sheet(clip, rows=0)


@pytest.mark.parametrize("missing", ["av", "PIL"])
@pytest.mark.parametrize("look", [lambda path: frames(path, 2), last_frame, contact_sheet])
def test_a_lean_install_says_what_to_install(
    clip: Path, monkeypatch: pytest.MonkeyPatch, look: Callable[[Path], object], missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(NeedsMedia, match=r"pip install 'multivideo\[media\]'"):
        look(clip)
