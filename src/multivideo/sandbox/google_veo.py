"""Veo 3.1 as both of Google's doors know it: models and prices, and the job that a checked order becomes."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from fractions import Fraction

from attrs import evolve, frozen

from multivideo.sandbox.clip import Clip, Film
from multivideo.sandbox.footage import measure, pictures_of
from multivideo.sandbox.jobs import Draft, Job, State
from multivideo.sandbox.render import placeholder

__all__ = [
    "MODELS",
    "USE_CASE",
    "Asked",
    "BadArgument",
    "Sent",
    "Veo",
    "film_of",
    "film_of_job",
    "film_stand_in",
    "filtered_samples",
    "make_draft",
    "stand_in",
]

_ADDED = 7  # seconds that an extension adds
_FPS = 24
USE_CASE = "Your use case is currently not supported. Please refer to Veo documentation for current model offering."
_SHORT_SIDE = {"720p": 720, "1080p": 1080, "4k": 2160}
_SLOWER = {"720p": 1.0, "1080p": 1.6, "4k": 3.0}

# Words in a prompt that decide how its job ends, and how where it is not a matter of filters.
_REASONS = ("safety_filtered", "operation_error", "filter_one", "no_videos")
_VERDICTS = {"operation_error": State.FAILED, "no_videos": State.DONE}


class BadArgument(Exception):
    """A value that Google refuses with 400 INVALID_ARGUMENT; the text is the message."""


@frozen
class Veo:
    """A model. Prices are micro-USD per second by resolution: with sound, and without."""

    with_audio: Mapping[str, int]
    silent: Mapping[str, int]
    lite: bool = False
    share: float = 1.0


# Google's price pages, read 2026-09-02.
_FULL = Veo(
    {"720p": 400_000, "1080p": 400_000, "4k": 600_000},
    {"720p": 200_000, "1080p": 200_000, "4k": 400_000},
)
_FAST = Veo(
    {"720p": 100_000, "1080p": 120_000, "4k": 300_000},
    {"720p": 80_000, "1080p": 100_000, "4k": 250_000},
    share=0.5,
)
_LITE = Veo({"720p": 50_000, "1080p": 80_000}, {"720p": 30_000, "1080p": 50_000}, lite=True, share=0.45)
MODELS: Mapping[str, Veo] = {
    f"veo-3.1{tier}-generate-{version}": model
    for tier, model in (("", _FULL), ("-fast", _FAST), ("-lite", _LITE))
    for version in ("001", "preview")
}


@frozen(kw_only=True)
class Asked:
    """Checked parameters. `shown` has all of them, the defaults filled in; `materials` names what was sent along."""

    prompt: str
    duration: int
    resolution: str
    aspect_ratio: str
    samples: int
    audio: bool
    seed: int
    shown: Mapping[str, object]
    materials: Sequence[str]

    def extending(self, film: Film) -> Asked:
        """The same, fitted to the video that it goes on with: only the new seconds are made, in its shape."""
        short = min(film.width, film.height)
        resolution = next(name for name, side in _SHORT_SIDE.items() if side == short)
        aspect_ratio = "16:9" if film.width > film.height else "9:16"
        fitted = {"durationSeconds": _ADDED, "resolution": resolution, "aspectRatio": aspect_ratio}
        return evolve(
            self, duration=_ADDED, resolution=resolution, aspect_ratio=aspect_ratio, shown={**self.shown, **fitted}
        )


@frozen(kw_only=True)
class Sent:
    """What was sent along: the pictures to begin and to end with, those to refer to, and the video to go on with."""

    frame: bytes | None = None
    last: bytes | None = None
    references: tuple[bytes, ...] = ()
    film: Film | None = None


@functools.cache
def stand_in() -> bytes:
    """The picture of an address that nothing here can fetch."""
    return placeholder(1280, 720)


def film_stand_in() -> Film:
    """The video of an address that nothing here can fetch: 8 seconds of 720p."""
    return Film.of(
        Clip(
            model="stand-in", prompt="a video that nobody put there", seed=0, width=1280, height=720, seconds=8,
            fps=_FPS, audio=True, first_frame=stand_in(),
        )
    )  # fmt: skip


def film_of(data: bytes) -> Film:
    """A file that is to be extended; BadArgument when it is not of Veo's kind, or its pictures cannot be decoded.

    Source: Google's guide to extending Veo videos, autumn 2026: MP4, 24 frames per second, 16:9 or 9:16 at 720p,
    1080p or 4k.
    """
    try:
        film = measure(data)
        next(pictures_of(data))
    except (ValueError, StopIteration):
        raise BadArgument("Unable to process `video`: the file is no readable MP4 video.") from None
    sizes = {_size(resolution, shape) for resolution in _SHORT_SIDE for shape in ("16:9", "9:16")}
    if (film.width, film.height) not in sizes:
        raise BadArgument(
            f"Unable to process `video`: {film.width}x{film.height} is not supported. "
            "Please provide a 16:9 or 9:16 video of 720p, 1080p or 4k."
        )
    if abs(film.fps - _FPS) > 0.01:
        raise BadArgument(f"Unable to process `video`: {film.fps:g} frames per second instead of {_FPS}.")
    return film


def film_of_job(job: Job, made: Clip) -> Film:
    """A finished job as a video to be extended: its look as it was made, its size and length as ordered."""
    width, height = _size(str(job.request["resolution"]), str(job.request["aspectRatio"]))
    length = float(str(job.request["totalSeconds"]))
    return Film.of(evolve(made, width=width, height=height, seconds=length, fps=_FPS, flaws=()))


def filtered_samples(job: Job) -> int:
    """How many videos a filter took; those that are missing for no reason were taken by none."""
    if job.draft.verdict is State.FILTERED:
        return int(str(job.request["sampleCount"]))
    faults = [int(fault.value) for fault in job.script.faults if fault.name == "filtered"]
    return sum(faults) + (job.draft.reason == "filter_one")


def _size(resolution: str, aspect_ratio: str) -> tuple[int, int]:
    short = _SHORT_SIDE[resolution]
    long = int(short * Fraction(16, 9))
    return (long, short) if aspect_ratio == "16:9" else (short, long)


def make_draft(model: str, asked: Asked, sent: Sent, keeps: float | None = None) -> Draft:
    """The job of a checked order; a trigger word in the prompt decides how it ends.

    Args:
        model: one of `MODELS`.
        asked: the parameters; of an extension those that `extending` gives.
        sent: what the file shows beside; an extension is one file, the old part first.
        keeps: seconds the file can be fetched; None: for ever.
    """
    veo, low = MODELS[model], asked.prompt.lower()
    reason = next((word for word in _REASONS if word in low), "")
    made = {"": asked.samples, "filter_one": asked.samples - 1}.get(reason, 0)
    film = sent.film
    width, height = (film.width, film.height) if film else _size(asked.resolution, asked.aspect_ratio)
    clip = Clip(
        model=model, prompt=asked.prompt, seed=asked.seed, width=width, height=height,
        seconds=asked.duration + (film.seconds if film else 0), fps=_FPS, audio=asked.audio, first_frame=sent.frame,
        last_frame=sent.last, references=sent.references, film=film,
    )  # fmt: skip
    price = (veo.with_audio if asked.audio else veo.silent)[asked.resolution]
    return Draft(
        model=model,
        prompt=asked.prompt,
        request={
            "prompt": asked.prompt,
            "materials": list(asked.materials),
            **asked.shown,
            "totalSeconds": clip.seconds,
        },
        clips=tuple(evolve(clip, seed=clip.seed + sample) for sample in range(made)),
        seconds=78 * (0.4 + 0.6 * asked.duration / 8) * _SLOWER[asked.resolution] * veo.share,
        cost=price * asked.duration * made,
        verdict=_VERDICTS.get(reason, State.DONE if made else State.FILTERED),
        reason=reason,
        keeps=keeps,
    )
