"""Video files as a vendor would give them: real H.264 and AAC, and each frame says what it is.

A clip shows model, prompt, time code and frame number on a card at the bottom, flashes and clicks on the frame of
each full second, and moves in every frame. How it looks and sounds follows from model, prompt, seed and what was sent
along: it starts from a first frame, ends with a last one, shows references small, and plays or continues a video.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from fractions import Fraction

import av
import numpy as np
from PIL import Image

from multivideo.sandbox.card import flash_box, overlay_box
from multivideo.sandbox.clip import Clip, Film
from multivideo.sandbox.flaws import FLAWS
from multivideo.sandbox.frames import planes_of
from multivideo.sandbox.overlays import inset_boxes, mark_box
from multivideo.sandbox.pictures import image_size, placeholder
from multivideo.sandbox.shots import Shot
from multivideo.sandbox.sound import SAMPLE_RATE
from multivideo.sandbox.tracks import track

__all__ = [
    "STOP",
    "Clip",
    "Film",
    "flash_box",
    "image_size",
    "inset_boxes",
    "mark_box",
    "overlay_box",
    "placeholder",
    "render",
    "spritesheet",
    "thumbnail",
]


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
        "crf": "24" if clip.is_plain else "20",
        "g": str(clip.fps),  # a key frame on each full second, so that players can seek
        "sc_threshold": "0",
        "colorspace": "bt709",
        "color_primaries": "bt709",
        "color_trc": "bt709",
        "color_range": "tv",
    }


def _sound_blocks(clip: Clip) -> Iterator[av.AudioFrame]:
    samples = track(clip)
    for name in clip.flaws:
        samples = FLAWS[name].sound(samples)
    for start in range(0, len(samples), 1024):
        block = samples[start : start + 1024]
        frame = av.AudioFrame.from_ndarray(np.stack([block, block]), "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
        yield frame


def _pictures(clip: Clip) -> Iterator[av.VideoFrame]:
    shot = Shot(clip)
    frame = av.VideoFrame(clip.width, clip.height, "yuv420p")
    stop = STOP.get()
    for index in range(clip.frames):
        if stop is not None and stop.is_set():
            raise InterruptedError("the emulator was closed")
        frame.make_writable()
        shot.draw(planes_of(frame), index)
        frame.pts = index
        yield frame


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
