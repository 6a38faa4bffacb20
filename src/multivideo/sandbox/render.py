"""Video files as a vendor would give them: real H.264 and AAC, and each frame says what it is.

A clip shows model, prompt, time code and frame number on a card at the bottom, flashes and clicks on the frame of
each full second, and moves in every frame. How it looks and sounds follows from model, prompt and seed alone.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from fractions import Fraction

import av
import numpy as np
from attrs import frozen
from PIL import Image

from multivideo.sandbox.card import Card, flash_box, overlay_box
from multivideo.sandbox.flaws import FLAWS
from multivideo.sandbox.frames import Orb, Scene, picture, planes_of
from multivideo.sandbox.glyphs import Planes
from multivideo.sandbox.ground import Dice, Palette, paint
from multivideo.sandbox.pictures import image_size, placeholder
from multivideo.sandbox.sound import SAMPLE_RATE, soundtrack

__all__ = [
    "STOP",
    "Clip",
    "flash_box",
    "image_size",
    "overlay_box",
    "placeholder",
    "render",
    "spritesheet",
    "thumbnail",
]


@frozen(kw_only=True)
class Clip:
    """All that a rendered file depends on; equal clips give the same bytes.

    Args:
        model: name of the model, shown as title; it picks the colours.
        prompt: any text, shown wrapped and cut; it picks the kind of ground.
        seed: picks shapes, motion and the lean of the colours.
        width: pixels, even.
        height: pixels, even.
        seconds: length, rounded to whole frames.
        fps: frames per second.
        audio: False gives a file without an audio stream.
        first_frame: a PNG, JPEG or WebP file from which the clip starts, stretched to its size.
        flaws: what shall be wrong in it, names of `FLAWS`.
    """

    model: str
    prompt: str
    seed: int
    width: int
    height: int
    seconds: float
    fps: int
    audio: bool
    first_frame: bytes | None = None
    flaws: tuple[str, ...] = ()

    @property
    def frames(self) -> int:
        """How many frames the file has, at least one."""
        return max(round(self.seconds * self.fps), 1)


# Set in a thread of renderers: what ends the render under way when the emulator is closed, a 4K file takes long.
STOP: ContextVar[threading.Event | None] = ContextVar("stop", default=None)


def render(clip: Clip) -> bytes:
    """The clip as an MP4 file whose index lies in front (fast start). Blocks; safe to call from several threads."""
    out = io.BytesIO()
    # Room for the index is kept free at the head, so that no second pass over the file is needed. A frame of video
    # or sound takes at most 20 bytes of it.
    room = 8192 + 32 * (clip.frames + round(clip.frames / clip.fps * SAMPLE_RATE / 1024))
    with av.open(out, "w", format="mp4", options={"moov_size": str(room), "fflags": "+bitexact"}) as container:
        video = container.add_stream("libx264", rate=clip.fps, options=_x264(clip))
        video.width, video.height, video.pix_fmt = clip.width, clip.height, "yuv420p"
        if clip.audio:
            sound = container.add_stream("aac", rate=SAMPLE_RATE, options={"b": "96000"}, layout="stereo")
            for block in _sound_blocks(clip):
                container.mux(sound.encode(block))
            container.mux(sound.encode(None))
        for frame in _pictures(clip):
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return out.getvalue()


def _x264(clip: Clip) -> dict[str, str]:
    return {
        "preset": "ultrafast",
        "threads": "2",  # a fixed number: with "as many as there are" the bytes depend on the machine
        "crf": "24" if clip.first_frame is None else "20",
        "g": str(clip.fps),  # a key frame on each full second, so that players can seek
        "sc_threshold": "0",
        "colorspace": "bt709",
        "color_primaries": "bt709",
        "color_trc": "bt709",
        "color_range": "tv",
    }


def _sound_blocks(clip: Clip) -> Iterator[av.AudioFrame]:
    samples = soundtrack(clip.frames / clip.fps, Dice("voice", clip.model, clip.seed).roll())
    for name in clip.flaws:
        samples = FLAWS[name].sound(samples)
    for start in range(0, len(samples), 1024):
        block = samples[start : start + 1024]
        frame = av.AudioFrame.from_ndarray(np.stack([block, block]), "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
        yield frame


def _pictures(clip: Clip) -> Iterator[av.VideoFrame]:
    dice = Dice("scene", clip.model, clip.prompt, clip.seed)
    palette = Palette.of(clip.model, Dice("tint", clip.seed).roll(-1, 1), sharpness=5000 / min(clip.width, clip.height))
    if clip.first_frame is None:
        scene = _landscape(clip, palette, dice)
    else:
        scene = _still(clip, picture(clip.first_frame, clip.width, clip.height), dice)
    note = f"seed {clip.seed}"
    card = Card(clip.width, clip.height, palette.accent, model=clip.model, prompt=clip.prompt, note=note)
    frame = av.VideoFrame(clip.width, clip.height, "yuv420p")
    stop, flaws = STOP.get(), [FLAWS[name] for name in clip.flaws]
    for index in range(clip.frames):
        if stop is not None and stop.is_set():
            raise InterruptedError("the emulator was closed")
        frame.make_writable()
        planes = planes_of(frame)
        shown = index
        for flaw in flaws:
            shown = flaw.frame(shown)
        scene.draw(planes, shown, shown / clip.fps)
        card.draw(planes, shown, frames=clip.frames, fps=clip.fps)
        for flaw in flaws:
            flaw.picture(planes)
        frame.pts = index
        yield frame


def _landscape(clip: Clip, palette: Palette, dice: Dice) -> Scene:
    unit = min(clip.width, clip.height)
    across, down = _even(clip.width / 4), _even(clip.height / 4)
    size = (clip.width + across, clip.height + down)
    ground = paint(*size, unit=unit, prompt=clip.prompt, palette=palette, dice=dice)
    start = (round(dice.roll()) * across, round(dice.roll()) * down)
    return Scene(
        ground=ground,
        width=clip.width,
        height=clip.height,
        speed=_speed(clip, dice, 0.03),
        start=start,
        orbs=tuple(Orb.throw(unit, palette.accent, dice) for _ in range(int(dice.roll(2, 5)))),
    )


def _still(clip: Clip, planes: Planes, dice: Dice) -> Scene:
    """A given picture that drifts; what comes in at its edges is the picture mirrored."""
    across, down = _even(clip.width / 10), _even(clip.height / 10)
    y, u, v = (
        np.pad(plane, ((0, down // part), (0, across // part)), "symmetric")
        for plane, part in zip(planes, (1, 2, 2), strict=True)
    )
    return Scene(ground=(y, u, v), width=clip.width, height=clip.height, speed=_speed(clip, dice, 0.02))


def _speed(clip: Clip, dice: Dice, pace: float) -> tuple[int, int]:
    """Pixels a frame to the right and down; one of them is never 0, so that no frame stands still."""
    step = max(round(pace * max(clip.width, clip.height) / clip.fps), 1)
    slant = round(step * dice.roll(0, 0.7))
    return (step, slant) if clip.width >= clip.height else (slant, step)


def _even(length: float) -> int:
    return max(round(length / 2) * 2, 2)


def thumbnail(mp4: bytes) -> bytes:
    """The first frame of a video file as WebP, at most 640 pixels wide or high."""
    with av.open(io.BytesIO(mp4), "r") as container:
        return _saved(_small(next(container.decode(video=0)), 640), "WEBP")


def spritesheet(mp4: bytes) -> bytes:
    """Up to twelve frames of a video file at even distances, as one JPEG of four columns."""
    with av.open(io.BytesIO(mp4), "r") as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        wanted = {round(place) for place in np.linspace(0, stream.frames - 1, 12)}
        tiles = [_small(frame, 320) for index, frame in enumerate(container.decode(stream)) if index in wanted]
    wide, tall = tiles[0].size
    sheet = Image.new("RGB", (4 * wide, -(-len(tiles) // 4) * tall))
    for index, tile in enumerate(tiles):
        sheet.paste(tile, (index % 4 * wide, index // 4 * tall))
    return _saved(sheet, "JPEG")


def _small(frame: av.VideoFrame, longest: int) -> Image.Image:
    image = Image.fromarray(frame.to_ndarray(format="rgb24"))
    image.thumbnail((longest, longest))
    return image


def _saved(image: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, quality=85)
    return out.getvalue()
