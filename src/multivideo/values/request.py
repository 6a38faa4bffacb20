"""What a user asks for: one frozen value, all of its faults told at once."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, TypedDict

from attrs import evolve, field, fields, frozen

from ..errors import InvalidRequest, Problem
from .credits import Credits
from .media import Media, MediaSource

__all__ = ["Brief", "Mode", "Shot", "VideoRequest", "VideoSpec"]


class Brief(StrEnum):
    """What the video is for; the kinds a buyer tells apart."""

    BRAND_FILM = "brand_film"
    PRODUCT = "product"
    ENVIRONMENT = "environment"
    PRODUCT_AUDIO = "product_audio"
    SOCIAL = "social"


class Mode(StrEnum):
    """What a model starts from."""

    TEXT = "text"
    FIRST_FRAME = "first_frame"
    FIRST_LAST = "first_last"
    REFERENCE = "reference"
    EXTEND = "extend"
    EDIT = "edit"
    REMIX = "remix"
    SHOTS = "shots"
    MOTION = "motion"


@frozen
class Shot:
    """One shot of several within a clip: its own prompt and its seconds."""

    prompt: str = field(repr=lambda text: f"<{len(text)} characters>")
    duration: float
    brief: Brief | str | None = None


class VideoSpec(TypedDict, total=False):
    """Every option of `generate`, `submit`, `plan` and `quote`. What is left out, the routed model decides."""

    model: str
    duration: float
    resolution: str
    aspect_ratio: str
    fps: int
    audio: bool | None
    first_frame: MediaSource
    last_frame: MediaSource
    reference_images: Sequence[MediaSource]
    source_video: MediaSource
    mode: Literal["extend", "edit", "remix", "reference"] | None
    negative_prompt: str
    seed: int
    shots: Sequence[Shot]
    count: int
    accept_unconfirmed: bool
    strict: bool
    brief: Brief | str | None
    policy: Any
    budget: Credits | int | Decimal
    deadline: float
    tags: Mapping[str, str]
    save_to: str | Path
    on_event: Callable[[Any], Any]
    poll_interval: float
    options: Mapping[str, Mapping[str, Any]]


def _masked(text: str | None) -> str:
    return "None" if text is None else f"<{len(text)} characters>"


@frozen(kw_only=True)
class VideoRequest:
    """One wish for a video. Options as in `VideoSpec`; the prompt is never shown in a repr or a log.

    Raises: InvalidRequest naming every field that is wrong.
    """

    prompt: str = field(kw_only=False, repr=_masked)
    model: str = "auto"
    duration: float | None = None
    resolution: str | None = None
    aspect_ratio: str | None = None
    fps: int | None = None
    audio: bool | None = None
    first_frame: Media | None = None
    last_frame: Media | None = None
    reference_images: tuple[Media, ...] = ()
    source_video: Any = None
    mode: str | None = None
    negative_prompt: str | None = field(default=None, repr=_masked)
    seed: int | None = None
    shots: tuple[Shot, ...] = ()
    count: int = 1
    accept_unconfirmed: bool = False
    strict: bool = False
    brief: Brief | None = None
    policy: Any = field(default=None, eq=False, repr=False)
    budget: Credits | None = None
    deadline: float | None = None
    tags: Mapping[str, str] = field(factory=dict, hash=False)
    save_to: str | None = None
    on_event: Callable[[Any], Any] | None = field(default=None, eq=False, repr=False)
    poll_interval: float | None = None
    options: Mapping[str, Mapping[str, Any]] = field(factory=dict, repr=False, hash=False)

    @classmethod
    def of(cls, prompt: str | VideoRequest, spec: Mapping[str, Any]) -> VideoRequest:
        """The request for a prompt and options; a ready request with options gets those changed."""
        known = {f.name for f in fields(cls)} - {"prompt"}
        strangers = [
            Problem(name, "given", f"the options are {', '.join(sorted(known))}", f"There is no option {name!r}.")
            for name in spec
            if name not in known
        ]
        rest = {name: value for name, value in spec.items() if name in known}
        try:
            request = evolve(prompt, **rest) if isinstance(prompt, cls) else cls(prompt, **rest)  # type: ignore[arg-type]
        except InvalidRequest as error:
            raise InvalidRequest.of([*strangers, *error.problems]) from None
        if strangers:
            raise InvalidRequest.of(strangers)
        return request

    def __attrs_post_init__(self) -> None:
        problems = []
        for name, read in _READERS.items():
            try:
                object.__setattr__(self, name, read(getattr(self, name)))
            except _Wrong as wrong:
                problems.append(Problem(name, wrong.asked, wrong.allowed))
        problems += [] if problems else _contradictions(self)
        if problems:
            raise InvalidRequest.of(problems)

    @property
    def wanted_mode(self) -> Mode:
        """What the model starts from, from `mode` and from what was brought along."""
        if self.mode is not None:
            return Mode(self.mode)
        if self.source_video is not None:
            return Mode.EXTEND
        if self.reference_images:
            return Mode.REFERENCE
        if self.last_frame is not None:
            return Mode.FIRST_LAST
        if self.shots:
            return Mode.SHOTS
        return Mode.TEXT if self.first_frame is None else Mode.FIRST_FRAME

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height in pixels, where `resolution` gives them so."""
        if self.resolution is None or "x" not in self.resolution:
            return None
        width, height = self.resolution.split("x")
        return int(width), int(height)


class _Wrong(Exception):
    def __init__(self, asked: object, allowed: str) -> None:
        self.asked, self.allowed = asked if isinstance(asked, str) else _shown(asked), allowed


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"a {type(value).__name__}"


def _text(value: Any) -> str:
    allowed = "text of at least one character"
    if not isinstance(value, str):
        raise _Wrong(f"a {type(value).__name__}", allowed)
    if not value.strip():
        raise _Wrong('""', allowed)
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise _Wrong("text that is not Unicode (a lone surrogate)", allowed)
    return value


def _one_of(*words: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if value not in words:
            raise _Wrong(value, ", ".join(words))
        return value

    return read


def _whole(low: int, high: int | None = None) -> Callable[[Any], int]:
    span = f"a whole number from {low}" + (f" to {high}" if high is not None else "")

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < low or (high is not None and value > high):
            raise _Wrong(value, span)
        return value

    return read


def _seconds(value: Any) -> float:
    allowed = "seconds, a finite number above 0"
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise _Wrong(value, allowed)
    try:
        seconds = float(value)
    except (OverflowError, ValueError):
        raise _Wrong(value, allowed) from None
    if not (math.isfinite(seconds) and seconds > 0):
        raise _Wrong(value, allowed)
    return int(seconds) if seconds.is_integer() else seconds


_SIZE = re.compile(r"[1-9]\d{1,4}x[1-9]\d{1,4}")


def _resolution(value: Any) -> str:
    word = value.lower() if isinstance(value, str) else ""
    if word not in {"720p", "1080p", "4k"} and not _SIZE.fullmatch(word):
        raise _Wrong(value, '"720p", "1080p", "4k", or pixels such as "1920x1080"')
    return word


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Wrong(value, "True or False")
    return value


def _picture(value: Any) -> Media:
    try:
        return Media.picture(value)
    except ValueError as error:
        raise _Wrong(
            str(error), "a PNG, JPEG or WebP picture: path, https or gs URL, bytes, PIL image or Video"
        ) from None


def _pictures(value: Any) -> tuple[Media, ...]:
    if isinstance(value, str | bytes | Path) or not isinstance(value, Sequence):
        raise _Wrong(f"a {type(value).__name__}", "a list of pictures")
    return tuple(_picture(item) for item in value)


def _shots(value: Any) -> tuple[Shot, ...]:
    if not isinstance(value, Sequence) or not all(isinstance(shot, Shot) for shot in value):
        raise _Wrong(f"a {type(value).__name__}", "a list of multivideo.Shot")
    for shot in value:
        _text(shot.prompt)
        _seconds(shot.duration)
    return tuple(value)


def _budget(value: Any) -> Credits:
    if isinstance(value, Credits) and value.micro_usd >= 0:
        return value
    if isinstance(value, int | Decimal) and not isinstance(value, bool) and Decimal(value).is_finite() and value >= 0:
        return Credits.from_usd(Decimal(value) / 100)
    raise _Wrong(value, 'credits (0.01 USD each; whole number or Decimal) or multivideo.usd("5")')


def _tags(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(x, str) for pair in value.items() for x in pair):
        raise _Wrong(f"a {type(value).__name__}", "a mapping of str to str")
    return dict(value)


def _path(value: Any) -> str:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise _Wrong(value, "a path of a file or a folder")
    return os.path.expanduser(value)  # noqa: PTH111 - a Path would drop the final slash, which says "folder"


def _policy(value: Any) -> Any:
    if not callable(getattr(value, "rank", value)):
        raise _Wrong(value, "a routing policy: an object with rank(), or a function")
    return value


def _callable(value: Any) -> Any:
    if not callable(value):
        raise _Wrong(value, "a function of one event")
    return value


def _options(value: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(value, Mapping) or not all(
        isinstance(k, str) and isinstance(v, Mapping) for k, v in value.items()
    ):
        raise _Wrong(f"a {type(value).__name__}", 'a mapping of provider to its parameters: {"kling": {...}}')
    return {name: dict(parameters) for name, parameters in value.items()}


def _optional(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


_READERS: dict[str, Callable[[Any], Any]] = {
    "prompt": _text,
    "model": _text,
    "duration": _optional(_seconds),
    "resolution": _optional(_resolution),
    "aspect_ratio": _optional(_one_of("16:9", "9:16", "1:1")),
    "fps": _optional(_whole(1, 240)),
    "audio": _optional(_flag),
    "first_frame": _optional(_picture),
    "last_frame": _optional(_picture),
    "reference_images": _pictures,
    "mode": _optional(_one_of("extend", "edit", "remix", "reference")),
    "negative_prompt": _optional(_text),
    "seed": _optional(_whole(0)),
    "shots": _shots,
    "count": _whole(1, 100),
    "accept_unconfirmed": _flag,
    "strict": _flag,
    "brief": _optional(lambda value: Brief(_one_of(*Brief)(value))),
    "policy": _optional(_policy),
    "budget": _optional(_budget),
    "deadline": _optional(_seconds),
    "tags": _tags,
    "save_to": _optional(_path),
    "on_event": _optional(_callable),
    "poll_interval": _optional(_seconds),
    "options": _options,
}


def _contradictions(request: VideoRequest) -> list[Problem]:
    """What is right field by field and cannot be together."""
    found = []
    if request.last_frame is not None and request.first_frame is None:
        found.append(Problem("last_frame", "given without first_frame", "last_frame together with first_frame"))
    if request.mode in {"extend", "edit", "remix"} and request.source_video is None:
        found.append(Problem("mode", f'"{request.mode}" without source_video', f"{request.mode} with source_video="))
    if request.mode == "reference" and not request.reference_images:
        found.append(Problem("mode", '"reference" without reference_images', "reference with reference_images="))
    if request.size is not None and request.aspect_ratio is not None:
        (width, height), (across, down) = request.size, map(int, request.aspect_ratio.split(":"))
        if width * down != height * across:
            asked = f'"{request.aspect_ratio}" with resolution="{request.resolution}"'
            found.append(Problem("aspect_ratio", asked, "a size and a shape that agree, or only one of the two"))
    if request.shots and request.duration is not None:
        total = sum(shot.duration for shot in request.shots)
        if not math.isclose(total, request.duration):
            found.append(Problem("duration", f"{request.duration:g} with shots of {total:g} s", "the sum of the shots"))
    return found
