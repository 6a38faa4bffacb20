"""What a clip shows of all that was sent along: pictures to begin and end with, references, videos, a watermark."""

from __future__ import annotations

import io
from functools import cache
from itertools import pairwise

import av
import numpy as np
import pytest
from attrs import evolve, frozen
from numpy.typing import NDArray
from PIL import Image

from multivideo.sandbox.footage import measure, opening, pictures_of, samples_of
from multivideo.sandbox.frames import picture
from multivideo.sandbox.pictures import tile
from multivideo.sandbox.render import Clip, Film, flash_box, inset_boxes, mark_box, overlay_box, placeholder, render

Array = NDArray[np.float64]
W, H = 320, 180
CLIP = Clip(model="veo-3.1", prompt="a fox", seed=7, width=W, height=H, seconds=2, fps=24, audio=True)
OTHER = evolve(CLIP, model="sora-2", prompt="a river", seed=1)
PICTURE = placeholder(640, 360)
SCENE = slice(0, overlay_box(W, H)[1] - 2)  # the rows above the card


@frozen(eq=False)
class Seen:
    """Brightness and colour of every frame, and the sound."""

    luma: list[Array]
    colour: list[Array]
    sound: Array


@cache
def seen(clip: Clip) -> Seen:
    data = render(clip)
    frames = [frame.to_ndarray().astype(float) for _, frame in pictures_of(data)]
    height = clip.height
    return Seen(
        [frame[:height] for frame in frames], [frame[height:] for frame in frames], samples_of(data).astype(float)
    )


def apart(one: Array, other: Array, rows: slice = SCENE) -> float:
    """How far two pictures lie apart, in steps of brightness."""
    return float(np.abs(one[rows] - other[rows]).mean())


def shown(data: bytes, width: int = W, height: int = H) -> Array:
    return picture(data, width, height)[0].astype(float)


def loudest(sound: Array, start: float, end: float) -> float:
    """The frequency that is loudest between two times."""
    part = sound[int(start * 48_000) : int(end * 48_000)]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part))))
    return float(np.argmax(spectrum) * 48_000 / len(part))


# --- pictures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [None, tile("4")])
def test_a_clip_ends_with_the_picture_it_was_told_to_end_with(first: bytes | None) -> None:
    clip = evolve(CLIP, first_frame=first, last_frame=PICTURE)
    luma, wanted = seen(clip).luma, shown(PICTURE)
    assert apart(luma[-1], wanted) < 2
    assert apart(luma[0], wanted) > 8
    distances = [apart(frame, wanted) for frame in luma[-20:]]
    assert all(later < before for before, later in pairwise(distances))


def test_a_clip_of_one_frame_is_its_last_picture() -> None:
    assert apart(seen(evolve(CLIP, seconds=1 / 24, last_frame=PICTURE)).luma[0], shown(PICTURE)) < 2


def test_first_and_last_picture_frame_the_clip() -> None:
    black = io.BytesIO()
    Image.new("RGB", (W, H)).save(black, "PNG")
    luma = seen(evolve(CLIP, first_frame=PICTURE, last_frame=black.getvalue())).luma
    assert apart(luma[0], shown(PICTURE)) < 2
    assert luma[-1][SCENE].max() < 24


@pytest.mark.parametrize(("width", "height"), [(W, H), (H, W)])
def test_references_are_shown_small_in_their_order(width: int, height: int) -> None:
    pictures = (PICTURE, tile("829836802793406551"), tile("7"))
    clip = evolve(CLIP, width=width, height=height, seconds=0.5, references=pictures)
    frame = seen(clip).luma[5]
    boxes = inset_boxes(width, height, len(pictures))
    for data, (x0, y0, x1, y1) in zip(pictures, boxes, strict=True):
        assert np.abs(frame[y0:y1, x0:x1] - shown(data, x1 - x0, y1 - y0)).mean() < 10
    plain = seen(evolve(clip, references=())).luma[5]
    assert apart(frame, plain, slice(boxes[0][3] + 4, SCENE.stop if height == H else 60)) < 2


@pytest.mark.parametrize(("width", "height"), [(W, H), (H, W), (1280, 720), (720, 1280), (960, 960)])
def test_eight_references_lie_side_by_side_and_the_ninth_below(width: int, height: int) -> None:
    boxes = inset_boxes(width, height, 9)
    assert all(0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height for x0, y0, x1, y1 in boxes)
    assert all(left[2] < right[0] for left, right in pairwise(boxes[:8]))
    assert boxes[8][1] > boxes[0][3]
    assert all(number % 2 == 0 for box in boxes for number in box)


@pytest.mark.parametrize("field", ["last_frame", "references"])
def test_a_picture_that_cannot_be_decoded_is_refused(field: str) -> None:
    broken = PICTURE[:400]
    with pytest.raises(ValueError, match="no picture"):
        render(evolve(CLIP, **{field: broken if field == "last_frame" else (broken,)}))  # type: ignore[arg-type]


def test_a_watermark_can_be_seen_on_every_frame_and_nowhere_else() -> None:
    marked, plain = seen(evolve(CLIP, seconds=0.5, marked=True)), seen(evolve(CLIP, seconds=0.5))
    x0, y0, x1, y1 = mark_box(W, H)
    for with_mark, without in zip(marked.luma, plain.luma, strict=True):
        assert np.median(with_mark[y0:y1, x0:x1]) > 225
        assert with_mark[y0:y1, x0:x1].min() < 60  # letters
        assert np.abs(with_mark - without)[y0:y1, x0:x1].mean() > 20
        assert apart(with_mark, without, slice(0, y0 - 4)) < 1


# --- videos --------------------------------------------------------------------------------------------------


FILE = Film.of(OTHER)


@cache
def filed() -> Film:
    """The other clip as a file that somebody hands in."""
    return measure(render(OTHER))


@pytest.fixture(params=["made here", "handed in"])
def film(request: pytest.FixtureRequest) -> Film:
    return FILE if request.param == "made here" else filed()


def test_a_film_is_measured(film: Film) -> None:
    assert (film.width, film.height, film.seconds, film.fps, film.sound) == (W, H, 2, 24, True)


def test_a_continued_film_is_seen_whole_and_goes_on_from_its_last_frame(film: Film) -> None:
    long, old = seen(evolve(CLIP, seconds=4, film=film)), seen(OTHER)
    assert len(long.luma) == 96
    whole = slice(0, H)
    for before, now in zip(old.luma, long.luma, strict=False):
        assert apart(before, now, whole) < 3  # its card too
    assert apart(long.luma[48], old.luma[-1]) < 8
    assert apart(long.luma[48], old.luma[0]) > 2 * apart(long.luma[48], old.luma[-1])
    assert apart(long.luma[95], long.luma[48]) > 3  # it moves
    x0, y0, x1, y1 = flash_box(W, H)
    lit = [index for index, frame in enumerate(long.luma) if frame[y0:y1, x0:x1].mean() > 200]
    assert lit == [0, 24, 48, 72]


def test_the_sound_of_a_continued_film_goes_first(film: Film) -> None:
    long, old, own = (seen(clip).sound for clip in (evolve(CLIP, seconds=4, film=film), OTHER, evolve(CLIP, seconds=4)))
    assert len(long) == pytest.approx(4 * 48_000, abs=2048)
    for start in (0.2, 1.2):
        assert loudest(long, start, start + 0.7) == loudest(old, start, start + 0.7)
    assert loudest(long, 2.2, 2.9) == loudest(own, 2.2, 2.9) != loudest(old, 1.2, 1.9)


def test_continuing_can_be_continued() -> None:
    twice = evolve(CLIP, seconds=4, film=Film.of(evolve(OTHER, seconds=3, film=Film.of(evolve(CLIP, seconds=1)))))
    luma, first = seen(twice).luma, seen(evolve(CLIP, seconds=1)).luma
    assert len(luma) == 96
    assert all(apart(one, other, slice(0, H)) < 3 for one, other in zip(first, luma, strict=False))
    assert apart(luma[24], first[-1]) < 8


def test_a_played_film_is_seen_from_beginning_to_end_in_other_colours_under_a_label(film: Film) -> None:
    again, old = seen(evolve(CLIP, film=film, replayed=True)), seen(OTHER)
    lower = slice(30, SCENE.stop)
    for before, now in zip(old.luma, again.luma, strict=True):
        assert apart(before, now, lower) < 3
    colour = slice(10, 40)
    assert apart(again.colour[3], old.colour[3], colour) > 4
    label = again.luma[3][6:16, 8:60]
    assert label.min() < 60 < 150 < label.max()


def test_a_played_film_is_heard_where_it_has_a_sound(film: Film) -> None:
    again, old, own = (seen(clip).sound for clip in (evolve(CLIP, film=film, replayed=True), OTHER, CLIP))
    assert loudest(again, 0.2, 0.9) == loudest(old, 0.2, 0.9) != loudest(own, 0.2, 0.9)
    silent = evolve(film, source=render(evolve(OTHER, audio=False)), sound=False)
    assert np.abs(seen(evolve(CLIP, film=silent, replayed=True)).sound).max() < 0.01
    dubbed = seen(evolve(CLIP, film=silent, replayed=True, dubbed=True)).sound
    assert loudest(dubbed, 0.2, 0.9) == loudest(own, 0.2, 0.9)
    long = seen(evolve(CLIP, seconds=3, film=silent)).sound
    assert np.abs(long[: 2 * 48_000 - 2048]).max() < 0.01 < np.abs(long[2 * 48_000 :]).max()
    with av.open(io.BytesIO(render(evolve(CLIP, film=film, replayed=True, audio=False)))) as container:
        assert not container.streams.audio


def test_a_film_shorter_than_its_clip_is_played_again(film: Film) -> None:
    long, old = seen(evolve(CLIP, seconds=5, film=film, replayed=True)).luma, seen(OTHER).luma
    lower = slice(30, SCENE.stop)
    assert [apart(long[index], old[index % 48], lower) < 3 for index in (0, 47, 48, 100, 119)] == [True] * 5


@pytest.mark.parametrize("size", [(180, 320), (640, 360)])
def test_a_film_is_fitted_to_size_and_rate_of_its_clip(film: Film, size: tuple[int, int]) -> None:
    clip = evolve(CLIP, width=size[0], height=size[1], fps=30, film=film, replayed=True, audio=False)
    luma = seen(clip).luma
    assert len(luma) == 60
    assert luma[0].shape == (size[1], size[0])
    assert np.abs(luma[0] - luma[59]).mean() > 3


def test_a_played_film_begins_with_a_first_picture_and_ends_with_a_last_one(film: Film) -> None:
    clip = evolve(CLIP, film=film, replayed=True, first_frame=PICTURE, last_frame=tile("4"))
    luma, lower = seen(clip).luma, slice(30, SCENE.stop)
    assert apart(luma[0], shown(PICTURE), lower) < 2
    assert apart(luma[24], seen(OTHER).luma[24], lower) < 8
    assert apart(luma[-1], shown(tile("4")), lower) < 2


def test_flaws_spoil_what_is_made_of_a_film_too(film: Film) -> None:
    frozen = seen(evolve(CLIP, seconds=3, film=film, flaws=("frozen",))).luma
    assert apart(frozen[0], frozen[71], slice(0, H)) < 1
    black = seen(evolve(CLIP, film=film, replayed=True, flaws=("black", "silent")))
    assert black.luma[10].max() < 24
    assert np.abs(black.sound).max() < 0.01
    short = seen(evolve(CLIP, seconds=1, film=film))
    assert len(short.luma) == 24


def test_a_film_that_breaks_off_is_no_film() -> None:
    data = render(OTHER)
    with pytest.raises(ValueError, match="no MP4 file"):
        measure(data[:200])
    with pytest.raises(ValueError):
        opening(data[: data.index(b"mdat") + 8])


def test_equal_clips_are_equal_and_give_the_same_bytes(film: Film) -> None:
    one, two = (evolve(CLIP, seconds=3, film=film, references=(PICTURE,)) for _ in range(2))
    assert (one, hash(one)) == (two, hash(two))
    assert render(one) == render(two)
