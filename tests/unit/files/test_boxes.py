from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multivideo.files.boxes import Measured, NotAVideo, measure

FAST = {"movflags": "faststart"}
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov"}
Write = Callable[[bytes], Path]


def made(
    frames: int = 48, rate: Fraction | int = 24, sound: bool = True, options: dict[str, str] | None = None
) -> bytes:
    """A real clip of 160x90, with B-frames, a key frame every twelve and perhaps two seconds of silence."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "clip.mp4")
        with av.open(str(path), "w", options=options or {}) as container:
            video = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "g": "12", "bf": "2"})
            video.width, video.height, video.pix_fmt = 160, 90, "yuv420p"
            audio = container.add_stream("aac", rate=48000, layout="mono") if sound else None
            for number in range(frames):
                picture = av.VideoFrame.from_ndarray(np.full((90, 160, 3), number * 5, np.uint8), format="rgb24")
                picture.pts = number
                container.mux(video.encode(picture))
            container.mux(video.encode(None))
            if audio:
                for number in range(90):
                    silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
                    silence.sample_rate, silence.pts = 48000, number * 1024
                    container.mux(audio.encode(silence))
                container.mux(audio.encode(None))
        return path.read_bytes()


@pytest.fixture(scope="session")
def fast() -> bytes:
    return made(options=FAST)


@pytest.fixture(scope="session")
def late() -> bytes:
    return made()


@pytest.fixture(scope="session")
def write(tmp_path_factory: pytest.TempPathFactory) -> Write:
    path = tmp_path_factory.mktemp("boxes") / "clip.mp4"

    def written(data: bytes) -> Path:
        path.write_bytes(data)
        return path

    return written


def box(kind: str, *body: bytes, wide: bool = False) -> bytes:
    data = b"".join(body)
    head = (1, kind.encode(), len(data) + 16) if wide else (len(data) + 8, kind.encode())
    return struct.pack(">I4sQ" if wide else ">I4s", *head) + data


def words(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}I", *numbers)


FTYP = box("ftyp", b"isom", words(512), b"isommp42")
MDAT = box("mdat", bytes(400))
UPRIGHT = (1, 0, 0, 0, 1, 0, 0, 0, 1)


def trak(
    handler: str = "vide",
    *,
    number: int = 1,
    enabled: bool = True,
    matrix: tuple[int, ...] = UPRIGHT,
    timescale: int = 24,
    size: tuple[int, int] = (64, 36),
    edits: bytes = b"",
    version: int = 0,
    stsd: bytes | None = None,
    stts: bytes = words(0, 1, 4, 1),
    stsz: bytes = box("stsz", words(0, 100, 4)),
    stsc: bytes = words(0, 1, 1, 4, 1),
    stco: bytes = box("stco", words(0, 1, len(FTYP) + 8)),
) -> bytes:
    """Four samples of 100 bytes in one chunk that fills MDAT, right behind FTYP."""
    entry = box("avc1", bytes(24), struct.pack(">HH", *size)) if stsd is None else stsd
    times = bytes(16) if version else bytes(8)
    head = words(version << 24 | enabled)
    tkhd = box("tkhd", head, times, words(number), bytes(28 if version else 24), words(*matrix), words(0, 0))
    mdhd = box("mdhd", head, times, words(timescale), bytes(12))
    stbl = box("stbl", box("stsd", words(0, 1), entry), box("stts", stts), stsz, box("stsc", stsc), stco)
    return box("trak", tkhd, edits, box("mdia", mdhd, box("hdlr", bytes(8), handler.encode()), box("minf", stbl)))


def moov(*tracks: bytes) -> bytes:
    return box("moov", box("mvhd", bytes(12), words(1000), bytes(80)), *tracks)


def mp4(*tracks: bytes) -> bytes:
    return FTYP + MDAT + moov(*tracks)


def elst(*rows: tuple[int, int], version: int = 0) -> bytes:
    layout = ">QqI" if version else ">IiI"
    return box(
        "edts", box("elst", words(version << 24, len(rows)), *(struct.pack(layout, *row, 1 << 16) for row in rows))
    )


@pytest.mark.parametrize(
    "options", [None, FAST, FRAGMENTED, {"movflags": "frag_keyframe+default_base_moof+delay_moov"}]
)
def test_a_real_clip_is_measured_however_it_is_laid_out(write: Write, options: dict[str, str] | None) -> None:
    data = made(options=options)
    assert measure(write(data)) == Measured(
        duration=2.0,
        width=160,
        height=90,
        fps=24.0,
        has_audio=True,
        size_bytes=len(data),
        video_codec="avc1",
        frames=48,
    )


@pytest.mark.parametrize("options", [None, FAST, FRAGMENTED])
def test_bytes_are_measured_as_the_file_that_holds_them(write: Write, options: dict[str, str] | None) -> None:
    data = made(options=options)
    assert measure(data) == measure(write(data))
    for damaged in (data[: len(data) // 3], data[100:], b""):
        with pytest.raises(NotAVideo) as of_bytes:
            measure(damaged)
        with pytest.raises(NotAVideo) as of_file:
            measure(write(damaged))
        assert str(of_bytes.value) == str(of_file.value)


@pytest.mark.parametrize(
    ("rate", "fps"), [(Fraction(24000, 1001), 23.976), (Fraction(30000, 1001), 29.97), (25, 25.0), (60, 60.0)]
)
def test_the_usual_frame_rates_get_their_usual_names(write: Write, rate: Fraction | int, fps: float) -> None:
    measured = measure(write(made(6, rate, sound=False)))
    assert (measured.fps, measured.has_audio) == (fps, False)
    assert measured.duration == pytest.approx(float(6 / rate), abs=1e-3)


def test_milliseconds_that_do_not_fit_24_fps_still_mean_24_fps(write: Write) -> None:
    steps = words(0, 2, 80, 42, 40, 41)  # 120 frames in 5,000 ms
    data = mp4(trak(timescale=1000, stts=steps, stsz=box("stsz", words(0, 1, 120)), stsc=words(0, 1, 1, 120, 1)))
    assert (measure(write(data)).fps, measure(write(data)).duration) == (24.0, 5.0)


def test_a_frame_rate_that_is_not_usual_is_told_to_three_places(write: Write) -> None:
    assert measure(write(mp4(trak(timescale=25123, stts=words(0, 1, 4, 1000))))).fps == 25.123


@pytest.mark.parametrize("version", [0, 1])
def test_headers_of_both_versions_are_read(write: Write, version: int) -> None:
    measured = measure(write(mp4(trak(version=version, edits=elst((125, 0), version=version)))))
    assert (measured.width, measured.height, measured.duration, measured.frames) == (64, 36, 0.125, 4)


@pytest.mark.parametrize(
    ("edits", "seconds"),
    [
        (elst((125, 1)), 0.125),
        (elst((500, -1), (125, 0)), 0.125),  # half a second of nothing first
        (elst((50, 0), (25, 2)), 0.075),
        (elst((0, 1)), 4 / 24),  # 0: all of it
        (box("edts"), 4 / 24),
        (elst((3_600_000, 0)), 4 / 24),  # an hour of four frames
    ],
)
def test_an_edit_list_says_how_long_the_pictures_are_shown(write: Write, edits: bytes, seconds: float) -> None:
    assert measure(write(mp4(trak(edits=edits)))).duration == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("turn", "size"), [((0, 1, -1, 0), (36, 64)), ((0, -1, 1, 0), (36, 64)), ((-1, 0, 0, -1), (64, 36))]
)
def test_a_turned_clip_has_the_size_it_is_shown_in(write: Write, turn: tuple[int, ...], size: tuple[int, int]) -> None:
    a, b, c, d = (number << 16 & 0xFFFFFFFF for number in turn)
    measured = measure(write(mp4(trak(matrix=(a, b, 0, c, d, 0, 0, 0, 1 << 30)))))
    assert (measured.width, measured.height) == size


def test_a_preview_track_that_is_not_enabled_is_passed_over(write: Write) -> None:
    measured = measure(write(mp4(trak(enabled=False, size=(8, 8)), trak(number=2), trak("text", number=3, stts=b""))))
    assert (measured.width, measured.height) == (64, 36)


def test_a_file_whose_only_video_track_is_not_enabled_is_still_measured(write: Write) -> None:
    assert measure(write(mp4(trak(enabled=False)))).frames == 4


def test_a_sound_track_without_samples_is_no_sound(write: Write) -> None:
    empty = trak("soun", number=2, stts=words(0, 0), stsz=box("stsz", words(0, 0, 0)), stco=box("stco", words(0, 0)))
    assert not measure(write(mp4(trak(), empty))).has_audio
    assert measure(write(mp4(trak(), trak("soun", number=2)))).has_audio


@pytest.mark.parametrize(
    "stsz",
    [
        box("stsz", words(0, 0, 4, 10, 20, 30, 40)),
        box("stz2", words(0, 4, 4), b"\x12\x34"),
        box("stz2", words(0, 8, 4), b"\x64\x64\x64\x64"),
        box("stz2", words(0, 16, 4), b"\0\x64\0\x64\0\x64\0\x64"),
    ],
)
def test_sample_sizes_are_read_in_all_their_forms(write: Write, stsz: bytes) -> None:
    assert measure(write(mp4(trak(stsz=stsz)))).frames == 4


def test_samples_are_counted_to_the_last_byte(write: Write) -> None:
    assert measure(write(mp4(trak(stsz=box("stsz", words(0, 0, 4, 100, 100, 100, 100)))))).frames == 4
    with pytest.raises(NotAVideo, match="samples at bytes 32 to 433 are not there"):
        measure(write(mp4(trak(stsz=box("stsz", words(0, 0, 4, 100, 100, 100, 101))))))
    assert measure(write(mp4(trak(stsz=box("stz2", words(0, 4, 4), b"\xff\xff"))))).frames == 4


def test_several_chunks_are_each_looked_up(write: Write) -> None:
    start = len(FTYP) + 8
    runs = words(0, 2, 1, 1, 1, 3, 2, 1)  # one sample in each of two chunks, then two in one
    good = trak(stsc=runs, stco=box("stco", words(0, 3, start + 300, start + 200, start)))
    assert measure(write(mp4(good))).frames == 4
    for place in (0, 31, start + 201, 2**32 - 1):
        bad = trak(stsc=runs, stco=box("stco", words(0, 3, start + 300, start + 200, place)))
        with pytest.raises(NotAVideo, match="are not there"):
            measure(write(mp4(bad)))


def test_four_gigabytes_of_samples_are_passed_over_and_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.mp4"
    length = 4 * 2**30
    place = len(FTYP) + 16 + length - 400
    with path.open("wb") as file:
        file.write(FTYP + struct.pack(">I4sQ", 1, b"mdat", length + 16))
        file.seek(length, 1)  # a hole: it takes no room on the disk
        file.write(moov(trak(stco=box("co64", words(0, 1), struct.pack(">Q", place)))))
    tracemalloc.start()
    try:
        assert measure(path).frames == 4
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


def test_boxes_with_wide_sizes_or_none_are_read(write: Write) -> None:
    place = box("stco", words(0, 1, len(FTYP) + 16))
    assert measure(write(FTYP + box("mdat", bytes(400), wide=True) + moov(trak(stco=place)))).frames == 4
    before = moov(trak(stco=box("stco", words(0, 1, len(FTYP) + len(moov(trak())) + 8))))
    assert measure(write(FTYP + before + words(0) + b"mdat" + bytes(400))).frames == 4


def test_a_whole_moov_does_not_hide_that_samples_are_missing(write: Write) -> None:
    before = moov(trak(stco=box("stco", words(0, 1, len(FTYP) + len(moov(trak())) + 8))))
    with pytest.raises(NotAVideo, match=r"video samples .* are not there: it is cut off or damaged"):
        measure(write(FTYP + before + words(0) + b"mdat" + bytes(399)))


def test_missing_samples_of_the_sound_are_noticed_too(write: Write) -> None:
    with pytest.raises(NotAVideo, match="audio samples"):
        measure(write(mp4(trak(), trak("soun", number=2, stco=box("stco", words(0, 1, 100))))))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"\n<!DOCTYPE html><html>", "it is HTML"),
        (b'{"error": {"code": 404}}', "it is JSON"),
        (b"\x1a\x45\xdf\xa3\x01\0\0\0", "it is a WebM or Matroska video"),
        (b"\0\0\0\x08moov", "no ftyp box"),
        (b"\0\0\0", "no ftyp box"),
        (FTYP, "no moov box among 'ftyp'"),
        (FTYP + MDAT, "no moov box among 'ftyp', 'mdat'"),
        (FTYP + MDAT + moov(trak())[:-1], "'moov' at byte 432 says .* are there: it is cut off"),
        (FTYP + MDAT + b"\0\0\0", "in the middle of a box header"),
        (FTYP + words(7) + b"free", "says it is 7 bytes"),
        (FTYP + struct.pack(">I4sQ", 1, b"mdat", 2**63), "'mdat' at byte 24 says 9,223,372,036,854,775,808"),
        (FTYP + struct.pack(">I4sQ", 1, b"mdat", 15), "says it is 15 bytes"),
        (FTYP + words(1) + b"mdat", "says it is 1 bytes"),
        (FTYP + box("free") * 20_000, "more than 16,384 boxes"),
        (mp4(), "no video track"),
        (mp4(trak("soun")), "no video track"),
        (FTYP + MDAT + box("moov"), "its moov box has no mvhd"),
        (FTYP + MDAT + box("moov", box("free") * 300), "more than 256 parts"),
        (FTYP + MDAT + box("moov", box("mvhd", bytes(5))), "its mvhd box is too short"),
        (FTYP + MDAT + box("moov", box("mvhd", words(0x07000000), bytes(90))), "unknown version 7"),
        (mp4(box("trak")), "its trak box has no tkhd"),
        (mp4(trak(timescale=0)), "has no time"),
        (mp4(trak(stts=words(0, 1, 4, 0))), "has no time"),
        (mp4(trak(timescale=1, stts=words(0, 1, 4, 2**31))), "which cannot be"),
        (mp4(trak(timescale=2**32 - 1)), "which cannot be"),
        (mp4(trak(timescale=1, stts=words(0, 1, 4, 20_000))), "4 frames in 80,000.000 s, which cannot be"),
        (mp4(trak(timescale=1, stts=words(0, 1, 4, 90), edits=elst(*[(10**9, 0)] * 256))), "which cannot be"),
        (mp4(trak(size=(0, 36))), "0x36 pixels"),
        (mp4(trak(stsd=b"")), "does not say how it is coded"),
        (mp4(trak(stts=words(0, 0), stsz=box("stsz", words(0, 0, 0)))), "no frames"),
        (mp4(trak(stsz=box("stsz", words(0, 0, 4, 0, 0, 0, 0)))), "no frames"),
        (mp4(trak(stsz=box("stsz", words(0, 100, 5)))), "times 4 samples, but sizes 5"),
        (mp4(trak(stsz=box("stsz", words(0, 0, 2**32 - 1)))), "4,294,967,295 entries, which cannot be"),
        (mp4(trak(stsz=box("stz2", words(0, 7, 4), bytes(9)))), "sizes of 7 bits"),
        (mp4(trak(stsz=b"")), "no stsz or stz2"),
        (mp4(trak(stts=words(0, 2**32 - 1, 4, 1))), "entries, which cannot be"),
        (mp4(trak(stco=box("stco", words(0, 2**31)))), "entries, which cannot be"),
        (mp4(trak(stco=b"")), "no stco or co64"),
        (mp4(trak(stsc=words(0, 0))), "places 0 samples, but sizes 4"),
        (mp4(trak(stsc=words(0, 1, 1, 3, 1))), "places 3 samples, but sizes 4"),
        (mp4(trak(stsc=words(0, 1, 0, 4, 1))), "makes no sense"),
        (mp4(trak(stsc=words(0, 2, 1, 4, 1, 1, 4, 1))), "makes no sense"),
        (mp4(trak(stsc=words(0, 2, 1, 4, 1, 3, 4, 1))), "makes no sense"),
        (mp4(trak(edits=box("edts", box("elst", words(0, 2**32 - 1))))), "elst box says it has 4,294,967,295"),
    ],
)
def test_what_is_no_whole_video_is_refused_with_the_reason(write: Write, data: bytes, reason: str) -> None:
    with pytest.raises(NotAVideo, match=reason):
        measure(write(data))


def test_four_thousand_million_equal_samples_take_no_time_and_no_memory(write: Write) -> None:
    many = 2**32 - 1
    with pytest.raises(NotAVideo, match="are not there"):
        measure(
            write(
                mp4(trak(stts=words(0, 1, many, 1), stsz=box("stsz", words(0, 1, many)), stsc=words(0, 1, 1, many, 1)))
            )
        )


def test_a_moov_of_more_than_64_mib_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.mp4"
    with path.open("wb") as file:
        file.write(FTYP + words(2**30) + b"moov")
        file.truncate(len(FTYP) + 2**30)
    with pytest.raises(NotAVideo, match="too large"):
        measure(path)


def fragment(*, tfhd: bytes, trun: bytes) -> bytes:
    """A movie with nothing in its moov, one fragment and 400 bytes of samples behind it."""
    none = trak(stts=words(0, 0), stsz=box("stsz", words(0, 0, 0)), stsc=words(0, 0), stco=box("stco", words(0, 0)))
    trex = box("mvex", box("trex", words(0, 1, 1, 1, 100, 0)))
    return FTYP + moov(none, trex) + box("moof", box("traf", box("tfhd", tfhd), box("trun", trun))) + MDAT


@pytest.mark.parametrize(
    ("tfhd", "trun", "seconds"),
    [
        (words(0x20000, 1), words(0x1, 4, 0), 4 / 24),
        (words(0x20008, 1, 12), words(0x1, 4, 0), 2.0),
        (words(0x20010, 1, 50), words(0x1, 4, 0), 4 / 24),
        (words(0x20000, 1), words(0x301, 2, 0, 6, 100, 6, 300), 0.5),
        (words(0x20000, 1), words(0xF05, 1, 0, 0, 24, 400, 0, 0), 1.0),
    ],
)
def test_the_samples_of_a_fragment_are_counted(write: Write, tfhd: bytes, trun: bytes, seconds: float) -> None:
    data = fragment(tfhd=tfhd, trun=trun)
    moof_length = data.index(b"mdat") + 4 - data.index(b"moof") + 4
    whole = trun[:8] + words(moof_length) + trun[12:]
    assert measure(write(fragment(tfhd=tfhd, trun=whole))).duration == pytest.approx(seconds)
    with pytest.raises(NotAVideo, match="are not there"):
        measure(write(fragment(tfhd=tfhd, trun=trun[:8] + words(moof_length + 201) + trun[12:])))


def test_a_fragment_may_say_itself_where_its_samples_begin(write: Write) -> None:
    trun = words(0x0, 4)
    data = fragment(tfhd=words(0x3, 1, 0, 0, 1), trun=trun)
    begin = data.rindex(b"mdat") + 4
    assert measure(write(fragment(tfhd=words(0x3, 1, 0, begin, 1), trun=trun))).frames == 4
    with pytest.raises(NotAVideo, match="are not there"):
        measure(write(fragment(tfhd=words(0x3, 1, 0, begin + 1, 1), trun=trun)))


def test_a_fragment_of_an_unknown_track_is_passed_over(write: Write) -> None:
    with pytest.raises(NotAVideo, match="no frames"):
        measure(write(fragment(tfhd=words(0x20000, 9), trun=words(0x0, 4))))


def test_a_fragment_that_claims_a_thousand_million_samples_is_refused(write: Write) -> None:
    with pytest.raises(NotAVideo, match="1,073,741,824 entries, which cannot be"):
        measure(write(fragment(tfhd=words(0x20000, 1), trun=words(0x201, 2**30, 0))))


def test_a_fragmented_file_cut_between_two_fragments_is_measured_as_shorter(write: Write) -> None:
    data = made(options=FRAGMENTED, sound=False)
    cut = data.rindex(b"moof") - 4
    end = data.rindex(b"mfra") - 4
    assert measure(write(data[:end])).duration == 2.0
    assert measure(write(data[:cut])).duration == 1.5
    with pytest.raises(NotAVideo, match="it is cut off"):
        measure(write(data[: cut - 1]))


@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_no_real_file_survives_being_cut_off(write: Write, fast: bytes, late: bytes, data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([fast, late]))
    with pytest.raises(NotAVideo):
        measure(write(whole[: data.draw(st.integers(0, len(whole) - 1))]))


def measured_or_refused(path: Path) -> None:
    with suppress(NotAVideo):
        measured = measure(path)
        assert 0 < measured.duration <= 86_400
        assert 0 < measured.fps <= 1_000
        assert min(measured.width, measured.height, measured.frames) > 0
        assert measured.size_bytes == path.stat().st_size


@given(data=st.data())
@settings(deadline=None, max_examples=300)
def test_damaged_headers_are_refused_or_still_make_sense(write: Write, fast: bytes, data: st.DataObject) -> None:
    headers = fast.index(b"mdat") + 4
    damaged = bytearray(fast)
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(0, headers), st.integers(0, 255)), min_size=1, max_size=8)
    ):
        damaged[place] = value
    measured_or_refused(write(bytes(damaged)))


@given(
    start=st.sampled_from([b"", FTYP, FTYP + words(200) + b"moov", FTYP + words(0) + b"moov"]),
    rest=st.binary(max_size=400),
)
@settings(deadline=None, max_examples=200)
def test_random_bytes_are_refused(write: Write, start: bytes, rest: bytes) -> None:
    with pytest.raises(NotAVideo):
        measure(write(start + rest))
