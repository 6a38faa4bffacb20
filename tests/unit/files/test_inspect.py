from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from multivideo.files.boxes import NotAVideo
from multivideo.files.inspect import Check, Expected, Fault, decode_end, inspect

ORDER = Expected(seconds=2, width=64, height=36, fps=24, audio=False)


def make(path: Path, **options: str) -> Path:
    """48 pictures of noise at 24 fps, with a key frame every twelve, no sound."""
    noise = np.random.default_rng(7)
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        video = container.add_stream(
            "libx264", rate=24, options={"preset": "ultrafast", "g": "12", "bf": "2"} | options
        )
        video.width, video.height, video.pix_fmt = 64, 36, "yuv420p"
        for number in range(48):
            picture = av.VideoFrame.from_ndarray(noise.integers(0, 255, (36, 64, 3), np.uint8), format="rgb24")
            picture.pts = number
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
    return path


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("inspect") / "clip.mp4")


def test_a_file_as_ordered_has_no_faults_and_says_how_it_was_looked_at(clip: Path) -> None:
    measured, check = inspect(clip, ORDER)
    assert (measured.duration, measured.frames) == (2.0, 48)
    assert check == Check(faults=(), how="decoded")
    assert check.ok


def test_where_nothing_was_asked_nothing_can_be_wrong(clip: Path) -> None:
    assert inspect(clip, Expected())[1].ok


@pytest.mark.parametrize(
    ("expected", "fault", "text"),
    [
        (Expected(width=66), Fault("width", 66, 64), "width: asked 66, got 64"),
        (Expected(height=35), Fault("height", 35, 36), "height: asked 35, got 36"),
        (Expected(fps=60), Fault("fps", 60, 24.0), "fps: asked 60, got 24"),
        (Expected(seconds=5), Fault("duration", 5, 2.0), "duration: asked 5, got 2"),
        (Expected(audio=True), Fault("audio", True, False), "audio: asked sound, got no sound"),
    ],
)
def test_what_differs_from_the_order_is_named(clip: Path, expected: Expected, fault: Fault, text: str) -> None:
    _, check = inspect(clip, expected)
    assert check.faults == (fault,)
    assert not check.ok
    assert str(fault) == text


def test_all_faults_are_told_at_once(clip: Path) -> None:
    wrong = Expected(seconds=9, width=1, height=1, fps=1, audio=True)
    assert [fault.name for fault in inspect(clip, wrong)[1].faults] == ["width", "height", "fps", "duration", "audio"]


def test_sound_that_was_not_wanted_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=24)
        video.width, video.height, video.pix_fmt = 64, 36, "yuv420p"
        audio = container.add_stream("aac", rate=48000, layout="mono")
        container.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((36, 64, 3), np.uint8), format="rgb24")))
        container.mux(video.encode(None))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 48000
        container.mux(audio.encode(silence))
        container.mux(audio.encode(None))
    assert inspect(path, Expected(audio=False))[1].faults == (Fault("audio", False, True),)
    assert inspect(path, Expected(audio=True))[1].ok


@pytest.mark.parametrize("seconds", [1.75, 2.25])
@pytest.mark.parametrize("fps", [23.976, 24.1])
def test_small_differences_of_length_and_frame_rate_are_no_faults(clip: Path, seconds: float, fps: float) -> None:
    assert inspect(clip, Expected(seconds=seconds, fps=fps))[1].ok


@pytest.mark.parametrize(
    "expected", [Expected(seconds=1.74), Expected(seconds=2.26), Expected(fps=23.8), Expected(fps=24.2)]
)
def test_differences_just_past_the_tolerance_are_faults(clip: Path, expected: Expected) -> None:
    assert not inspect(clip, expected)[1].ok


def test_two_frames_more_or_less_are_no_fault_even_when_frames_are_long(clip: Path, tmp_path: Path) -> None:
    data = bytearray(clip.read_bytes())
    at = data.index(b"mdhd") + 16
    (timescale,) = struct.unpack_from(">I", data, at)
    struct.pack_into(">I", data, at, timescale // 12)  # two frames a second, 24 s of them
    data = data.replace(b"edts", b"skip")
    path = tmp_path / "slow.mp4"
    path.write_bytes(data)
    assert inspect(path, Expected(seconds=25))[1].ok
    assert not inspect(path, Expected(seconds=25.1))[1].ok


def test_without_pyav_only_the_headers_are_read_and_the_check_says_so(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    assert inspect(clip, ORDER)[1] == Check(faults=(), how="headers")


def test_looking_at_a_file_imports_no_video_library_before_it_is_needed() -> None:
    code = (
        "import sys, multivideo.files.inspect; print([name for name in ('av', 'PIL', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_file_that_is_no_video_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b'{"error": "expired"}')
    with pytest.raises(NotAVideo, match="it is JSON"):
        inspect(path, ORDER)


@pytest.mark.parametrize("options", [{}, {"x264-params": "open-gop=1:bframes=3:keyint=12"}, {"g": "600"}, {"g": "1"}])
def test_the_end_of_a_whole_file_is_well_whatever_its_key_frames(tmp_path: Path, options: dict[str, str]) -> None:
    assert decode_end(make(tmp_path / "clip.mp4", **options)) is None


@pytest.mark.parametrize("shown", [500, 1000, 1250])
def test_the_end_of_a_clip_trimmed_by_its_edit_list_is_well(clip: Path, tmp_path: Path, shown: int) -> None:
    data = bytearray(clip.read_bytes())
    struct.pack_into(">I", data, data.index(b"elst") + 12, shown)
    path = tmp_path / "trimmed.mp4"
    path.write_bytes(data)
    assert decode_end(path) is None
    assert inspect(path, Expected(seconds=shown / 1000))[1].ok


@pytest.mark.parametrize(
    ("missing", "problem"),
    [
        (1, "the pictures end 0.042 s before the headers say"),
        (6, "the pictures end 0.250 s before the headers say"),
        (12, "no picture follows the last key frame"),
        (30, "no picture follows the last key frame"),
    ],
)
def test_pictures_that_are_missing_at_the_end_are_noticed(tmp_path: Path, missing: int, problem: str) -> None:
    path = make(tmp_path / "cut.mp4", bf="0")
    data = path.read_bytes()
    sizes = struct.unpack_from(">48I", data, data.index(b"stsz") + 16)
    path.write_bytes(data[: len(data) - sum(sizes[-missing:])])
    assert decode_end(path) == problem


def test_a_picture_cut_in_two_is_noticed(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    path.write_bytes(clip.read_bytes()[:-50])
    assert decode_end(path) is not None


@pytest.mark.parametrize(("begin", "end"), [(2_000, 1_500), (6_000, 2_000), (300, 1)])
def test_bytes_damaged_near_the_end_are_a_fault_that_headers_do_not_show(
    clip: Path, tmp_path: Path, begin: int, end: int
) -> None:
    data = clip.read_bytes()
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data[:-begin] + bytes(begin - end) + data[-end:])
    _, check = inspect(path, ORDER)
    assert [(fault.name, fault.asked) for fault in check.faults] == [("end", "every picture")]


def test_a_tag_that_is_no_text_does_not_stop_the_look(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "tagged.mp4"
    path.write_bytes(clip.read_bytes().replace(b"VideoHandler", b"Vid\xe9oHandler"))
    assert inspect(path, ORDER)[1] == Check(faults=(), how="decoded")


def test_a_codec_that_libav_does_not_know_is_a_fault_and_no_crash(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "unknown.mp4"
    path.write_bytes(clip.read_bytes().replace(b"avc1", b"zzzz"))
    measured, check = inspect(path, ORDER)
    assert measured.video_codec == "zzzz"
    assert [fault.name for fault in check.faults] == ["end"]


def test_decoding_the_end_of_what_is_no_video_says_so(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"no video")
    assert str(decode_end(path)).startswith("it cannot be decoded: ")
    with av.open(str(path), "w") as container:
        audio = container.add_stream("aac", rate=48000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 48000
        container.mux(audio.encode(silence))
        container.mux(audio.encode(None))
    assert decode_end(path) == "it has no video track"
