"""The emulator's clips, looked at the way a player looks at them: decoded."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import cache

import av
import numpy as np
import pytest
from attrs import evolve, frozen
from numpy.typing import NDArray
from PIL import Image

from multivideo.sandbox.glyphs import counter, text_mask
from multivideo.sandbox.render import (
    Clip,
    flash_box,
    image_size,
    overlay_box,
    placeholder,
    render,
    spritesheet,
    thumbnail,
)

Array = NDArray[np.float64]
SMALL = Clip(
    model="veo-3.1", prompt="a red fox in snow", seed=7, width=320, height=180, seconds=2.5, fps=24, audio=True
)
SILENT = evolve(SMALL, audio=False, seconds=0.5)


@frozen(eq=False)
class Film:
    """What a decoder makes of a file."""

    luma: list[Array]
    width: int
    height: int
    rate: Fraction | None
    seconds: float
    starts: list[float]
    sound: Array | None
    sound_start: float


@cache
def film(clip: Clip) -> Film:
    with av.open(io.BytesIO(render(clip)), "r") as container:
        frames: list[av.VideoFrame] = []
        blocks: list[av.AudioFrame] = []
        for frame in container.decode():
            if isinstance(frame, av.VideoFrame):
                frames.append(frame)
            elif isinstance(frame, av.AudioFrame):
                blocks.append(frame)
        video = container.streams.video[0]
        return Film(
            luma=[frame.to_ndarray()[: video.height].astype(float) for frame in frames],
            width=video.width,
            height=video.height,
            rate=video.average_rate,
            seconds=(container.duration or 0) / 1_000_000,
            starts=[frame.time or 0.0 for frame in frames],
            sound=np.concatenate([block.to_ndarray()[0] for block in blocks]) if blocks else None,
            sound_start=(blocks[0].time or 0.0) if blocks else 0.0,
        )


def boxes(data: bytes) -> Iterator[str]:
    at = 0
    while at < len(data):
        yield data[at + 4 : at + 8].decode()
        at += int.from_bytes(data[at : at + 4], "big")


def scene(clip: Clip, index: int = 0) -> Array:
    """A frame without its card: what is left is the picture alone."""
    return film(clip).luma[index][: overlay_box(clip.width, clip.height)[1]]


def difference(one: Array, other: Array) -> float:
    return float(np.abs(one - other).mean())


def ssim(one: Array, other: Array, size: int = 8) -> float:
    """Structural similarity over windows that do not overlap (Wang et al., 2004, constants for 8 bits)."""

    def windows(image: Array) -> Array:
        rows, columns = image.shape[0] // size, image.shape[1] // size
        cut = image[: rows * size, : columns * size].reshape(rows, size, columns, size)
        return cut.swapaxes(1, 2).reshape(rows * columns, size * size)

    a, b = windows(one), windows(other)
    mean_a, mean_b = a.mean(1), b.mean(1)
    joint = (a * b).mean(1) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean_a * mean_b + c1) * (2 * joint + c2)
    return float((top / ((mean_a**2 + mean_b**2 + c1) * (a.var(1) + b.var(1) + c2))).mean())


def photo(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    image = np.stack([255 * x, 120 + 100 * np.sin(9 * x * y + 8 * y), 255 - 255 * y], -1)
    image[(x - 0.5) ** 2 + (y - 0.25) ** 2 < 0.02] = (240, 60, 40)
    grain = np.random.default_rng(3).normal(0, 5, image.shape)
    return Image.fromarray((image + grain).clip(0, 255).astype(np.uint8))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


# --- the file ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "clip",
    [
        SMALL,
        evolve(SMALL, width=1280, height=720, seconds=1),
        evolve(SILENT, width=180, height=320, fps=30),
        evolve(SILENT, width=242, height=98, fps=25, seconds=0.61),
        evolve(SILENT, width=64, height=36, fps=60),
    ],
    ids=lambda clip: f"{clip.width}x{clip.height}@{clip.fps}",
)
def test_size_rate_and_length_are_exactly_those_asked_for(clip: Clip) -> None:
    got = film(clip)
    assert (got.width, got.height) == (clip.width, clip.height)
    assert got.rate == clip.fps
    assert len(got.luma) == round(clip.seconds * clip.fps)
    assert got.seconds == pytest.approx(len(got.luma) / clip.fps, abs=1e-3)
    assert got.starts == pytest.approx([index / clip.fps for index in range(len(got.luma))], abs=1e-4)


def test_video_is_h264_in_420_and_sound_is_aac() -> None:
    with av.open(io.BytesIO(render(SMALL)), "r") as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert sound.codec_context.name == "aac"


def test_a_silent_clip_has_no_sound_stream() -> None:
    with av.open(io.BytesIO(render(SILENT)), "r") as container:
        assert [stream.type for stream in container.streams] == ["video"]


@pytest.mark.parametrize("clip", [SMALL, SILENT, evolve(SMALL, width=64, height=36, seconds=20, fps=60)])
def test_the_index_lies_before_the_data(clip: Clip) -> None:
    order = list(boxes(render(clip)))
    assert order[0] == "ftyp"
    assert order.index("moov") < order.index("mdat")


def test_a_key_frame_stands_on_each_full_second() -> None:
    with av.open(io.BytesIO(render(SMALL)), "r") as container:
        keys = [packet.pts for packet in container.demux(video=0) if packet.is_keyframe and packet.pts is not None]
        base = container.streams.video[0].time_base
    assert base is not None
    assert [float(key * base) for key in keys] == [0, 1, 2]


def test_the_same_clip_gives_the_same_bytes_also_from_several_threads() -> None:
    with ThreadPoolExecutor(3) as threads:
        files = list(threads.map(render, [evolve(SMALL, seconds=1)] * 3))
    assert files[0] == files[1] == files[2]


# --- the picture ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clip", [SMALL, evolve(SILENT, width=64, height=36, fps=60)])
def test_every_frame_differs_from_the_one_before_it(clip: Clip) -> None:
    frames = film(clip).luma
    moved = [difference(scene(clip, index), scene(clip, index - 1)) for index in range(1, len(frames))]
    assert min(moved) > 0.1


@pytest.mark.parametrize(
    "other",
    [
        evolve(SILENT, model="kling-3.0"),
        evolve(SILENT, model="veo-3.1-fast"),
        evolve(SILENT, prompt="paper boats"),
        evolve(SILENT, seed=8),
    ],
)
def test_another_model_prompt_or_seed_looks_different(other: Clip) -> None:
    assert difference(scene(SILENT), scene(other)) > 8


def test_the_card_carries_text_in_good_contrast() -> None:
    x0, y0, x1, y1 = overlay_box(320, 180)
    card = film(SILENT).luma[1][y0:y1, x0:x1]
    assert np.median(card) < 50
    assert card.max() > 200


def likeness(image: Array, mask: Array) -> float:
    """Correlation of a mask with the place in the image where it fits best."""
    places = np.lib.stride_tricks.sliding_window_view(image, mask.shape).reshape(-1, mask.size)
    places, wanted = places - places.mean(1, keepdims=True), (mask - mask.mean()).ravel()
    return float((places @ wanted / (np.linalg.norm(places, axis=1) * np.linalg.norm(wanted) + 1e-9)).max())


def test_time_code_frame_number_model_and_prompt_can_be_read_on_the_card() -> None:
    clip = evolve(SILENT, width=640, height=360, seconds=2, fps=8, prompt="Snow")
    x0, y0, x1, y1 = overlay_box(640, 360)
    card = film(clip).luma[13][y0:y1, x0:x1]
    right, left = card[:60, -120:], card[:60, :120]
    for place, shown, hidden in (
        (right, counter("00:01.625", 12), counter("00:01.500", 12)),
        (right, counter("frame 013", 12), counter("frame 012", 12)),
        (left, text_mask("Snow", 12), text_mask("Boat", 12)),
        (left, text_mask("veo-3.1", 19, 19 / 40), text_mask("sora-2", 19, 19 / 40)),
    ):
        match = likeness(place, shown.astype(float))
        assert match > 0.93
        assert likeness(place, hidden.astype(float)) < match - 0.01


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "🦊" * 50,
        "雪の中の狐" * 80,
        "a\nb\r\n\tc\x00\x07",
        "x" * 5000,
        "\ud83d lone",
        "שלום عالم",
        "e\u0301\u200d" * 20,
    ],
)
@pytest.mark.parametrize("size", [(320, 180), (64, 36), (36, 64), (16, 16)])
def test_any_prompt_can_be_shown_at_any_size(prompt: str, size: tuple[int, int]) -> None:
    clip = evolve(SILENT, prompt=prompt, model=prompt[:40], width=size[0], height=size[1], seconds=0.05)
    assert next(boxes(render(clip))) == "ftyp"


@pytest.mark.parametrize("size", [(1280, 720), (720, 1280), (3840, 2160), (960, 960), (64, 36), (16, 16), (2000, 100)])
def test_the_boxes_lie_within_the_frame_and_one_in_the_other(size: tuple[int, int]) -> None:
    x0, y0, x1, y1 = overlay_box(*size)
    a0, b0, a1, b1 = flash_box(*size)
    assert 0 <= x0 <= a0 < a1 <= x1 <= size[0]
    assert size[1] // 3 <= y0 <= b0 < b1 <= y1 <= size[1]
    assert all(edge % 2 == 0 for edge in (x0, y0, x1, y1, a0, b0, a1, b1))


# --- flash and click -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fps", [24, 30, 60])
def test_flash_and_click_fall_on_the_frame_of_each_full_second(fps: int) -> None:
    got = film(evolve(SMALL, fps=fps))
    x0, y0, x1, y1 = flash_box(320, 180)
    light = np.array([luma[y0:y1, x0:x1].mean() for luma in got.luma])
    assert list(np.flatnonzero(light > 180)) == [0, fps, 2 * fps]
    assert light[np.arange(len(light)) % fps != 0].max() < 100

    assert got.sound is not None
    loud = np.flatnonzero(np.abs(got.sound) > 0.3) / 48_000 + got.sound_start
    struck = sorted({round(float(moment)) for moment in loud})
    assert struck == [0, 1, 2]
    for second in struck:
        first = loud[np.abs(loud - second) < 0.5].min()
        assert abs(first - second) < 0.5 / fps


def test_between_clicks_a_quiet_tone_is_heard_whose_pitch_follows_model_and_seed() -> None:
    def pitch(clip: Clip) -> int:
        sound = film(clip).sound
        assert sound is not None
        between = sound[14_400:43_200]
        assert 0.005 < np.abs(between).max() < 0.1
        return int(np.argmax(np.abs(np.fft.rfft(between))))

    voices = [evolve(SMALL, seconds=1, seed=seed) for seed in range(4)] + [evolve(SMALL, seconds=1, model="sora-2")]
    assert len({pitch(clip) for clip in voices}) >= 3


# --- a given first frame -------------------------------------------------------------------------------------


def luma_of(image: Image.Image) -> Array:
    """What a small clip should show of a picture above its card."""
    scaled = image.convert("RGB").resize((320, 180), Image.Resampling.BICUBIC)
    red, green, blue = np.moveaxis(np.asarray(scaled, float), -1, 0)
    luma: Array = 16 + 219 / 255 * (0.2126 * red + 0.7152 * green + 0.0722 * blue)
    return luma[: overlay_box(320, 180)[1]]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("size", [(320, 180), (500, 333)])
def test_a_clip_starts_from_the_given_picture_and_then_moves(kind: str, size: tuple[int, int]) -> None:
    image = photo(*size)
    clip = evolve(SILENT, first_frame=saved(image, kind, quality=90))
    assert ssim(scene(clip), luma_of(image)) >= 0.9
    assert difference(scene(clip, 1), scene(clip)) > 1
    assert difference(scene(clip, 11), scene(clip)) > 2


def test_a_first_frame_keeps_its_colours() -> None:
    colours = Image.new("RGB", (320, 180), (200, 40, 90))
    file = render(evolve(SILENT, first_frame=saved(colours, "PNG")))
    with av.open(io.BytesIO(file), "r") as container:
        frame = next(container.decode(video=0))
        assert frame.colorspace == 1  # marked as BT.709, so that players need not guess
        planes = frame.to_ndarray().astype(float)
    y, u, v = planes[:90].mean(), planes[180:200].mean(), planes[225:245].mean()
    red, blue = 1.1644 * (y - 16) + 1.7927 * (v - 128), 1.1644 * (y - 16) + 2.1124 * (u - 128)
    green = 1.1644 * (y - 16) - 0.2132 * (u - 128) - 0.5329 * (v - 128)
    assert (red, green, blue) == pytest.approx((200, 40, 90), abs=4)


def test_a_transparent_or_grey_picture_serves_as_first_frame() -> None:
    for mode in ("RGBA", "L", "P", "CMYK"):
        data = saved(photo(320, 180).convert(mode), "JPEG" if mode == "CMYK" else "PNG")
        with Image.open(io.BytesIO(data)) as image:
            assert ssim(scene(evolve(SILENT, first_frame=data)), luma_of(image)) >= 0.9


def test_a_broken_first_frame_is_refused() -> None:
    whole = saved(photo(64, 64), "PNG")
    for data in (b"", b"<html>", whole[: len(whole) // 2]):
        with pytest.raises(ValueError, match="first frame"):
            render(evolve(SILENT, first_frame=data))


# --- still pictures ------------------------------------------------------------------------------------------


def _with_exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter when shown
    exif[0x010E] = saved(photo(40, 30), "JPEG").decode("latin-1")  # a whole JPEG with a size of its own inside
    return saved(photo(301, 203), "JPEG", exif=exif)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (saved(photo(301, 203), "PNG"), "png"),
        (saved(photo(301, 203), "JPEG"), "jpeg"),
        (saved(photo(301, 203), "JPEG", progressive=True, comment=b"\xff\xc0 not a frame header"), "jpeg"),
        (_with_exif(), "jpeg"),
        (b"\xff\xd8\xff\xc4\x00\x09tables!" + saved(photo(301, 203), "JPEG")[2:], "jpeg"),
        (saved(photo(301, 203), "WEBP"), "webp"),
        (saved(photo(301, 203), "WEBP", lossless=True), "webp"),
        (saved(photo(301, 203), "WEBP", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"), "webp"),
    ],
    ids=["png", "jpeg", "progressive", "exif", "tables", "lossy", "lossless", "extended"],
)
def test_a_picture_is_measured_by_its_header(data: bytes, kind: str) -> None:
    assert image_size(data) == (301, 203, kind)
    assert image_size(data[: -len(data) // 4]) == (301, 203, kind)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_cut_within_its_header_is_refused_at_each_byte(kind: str) -> None:
    data = saved(Image.new("RGB", (3, 5)), kind)
    measured = []
    for end in range(len(data)):
        try:
            measured.append(image_size(data[:end])[:2])
        except ValueError:
            assert not measured, "longer, and yet refused"
    assert set(measured) == {(3, 5)}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a\x01\x00\x01\x00",
        b"<html>",
        b"\xff\xd8\xff\xd9\x00\x00",
        b"\xff\xd8\xff\xe0\x00\x00",
        b"\xff\xd8" + b"\xff" * 50,
        b"RIFF\x00\x00\x00\x00WEBPVP9 " + bytes(30),
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(8),
        b"\x89PNG\r\n\x1a\n" + bytes(30),
    ],
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"picture|PNG|JPEG|WebP"):
        image_size(data)


def test_a_placeholder_is_a_picture_of_the_asked_size_and_always_the_same() -> None:
    data = placeholder(302, 170)
    assert image_size(data) == (302, 170, "png")
    assert np.asarray(Image.open(io.BytesIO(data))).std() > 20
    assert placeholder(302, 170) == data


def test_a_thumbnail_is_the_first_frame_made_smaller() -> None:
    clip = evolve(SILENT, width=1280, height=720, seconds=0.1)
    data = thumbnail(render(clip))
    assert image_size(data) == (640, 360, "webp")
    small = np.asarray(Image.open(io.BytesIO(data)).convert("L"), float)
    first = film(clip).luma[0].reshape(360, 2, 640, 2).mean((1, 3))
    assert np.corrcoef(small.ravel(), first.ravel())[0, 1] > 0.98


@pytest.mark.parametrize(("seconds", "rows"), [(2.5, 3), (0.2, 2)])
def test_a_sprite_sheet_shows_the_clip_from_beginning_to_end(seconds: float, rows: int) -> None:
    clip = evolve(SMALL, seconds=seconds)
    data = spritesheet(render(clip))
    assert image_size(data) == (1280, 180 * rows, "jpeg")
    sheet = np.asarray(Image.open(io.BytesIO(data)).convert("L"), float)
    first, last = sheet[:100, :320], sheet[(rows - 1) * 180 :][:100]
    assert np.corrcoef(first.ravel(), film(clip).luma[0][:100].ravel())[0, 1] > 0.95
    assert last[:, :320].std() > 5
