"""What a user asks for: one frozen value, all of its faults told at once."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, TypedDict

from attrs import evolve, field, fields, frozen

from ..errors import InvalidRequest, Problem
from .credits import Credits
from .media import Media, MediaSource, with_article

__all__ = ["RATIOS", "RESOLUTIONS", "Brief", "Mode", "Shot", "VideoRequest", "VideoSpec"]

RESOLUTIONS = ("720p", "1080p", "4k")  # those with a name; any other is asked for in pixels
RATIOS = ("16:9", "9:16", "1:1")


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


def _masked(text: object) -> str:
    return f"<{len(text)} characters>" if isinstance(text, str) else with_article(type(text).__name__)


@frozen
class Shot:
    """One shot of several within a clip: its own prompt and its seconds."""

    prompt: str = field(repr=_masked)
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
    source_video: Any = field(default=None, repr=lambda clip: "None" if clip is None else f"<{type(clip).__name__}>")
    mode: str | None = None
    negative_prompt: str | None = field(default=None, repr=lambda text: "None" if text is None else _masked(text))
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
        strangers = [_stranger(name, sorted(known)) for name in spec if name not in known]
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
        wrong_fields = {problem.field for problem in problems}
        for names, check in _TOGETHER.items():
            if wrong_fields.isdisjoint(names) and (found := check(self)) is not None:
                problems.append(found)
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


def _stranger(name: str, known: list[str]) -> Problem:
    near = get_close_matches(name, known, 1)
    allowed = f"the options are {', '.join(known)}"
    return Problem(name, "...", allowed, f"There is no option {name!r}.", f"{near[0]}=...?" if near else "")


class _Wrong(Exception):
    """One field that cannot be: what was asked, as text that repeats no prompt and no address, and what is allowed."""

    def __init__(self, asked: str, allowed: str) -> None:
        self.asked, self.allowed = asked, allowed


def _shown(value: object) -> str:
    """A short value as it was written, anything else by its kind."""
    if isinstance(value, str):
        short = len(value) <= 60 and value.isprintable()
        return f'"{value}"' if short else f"text of {len(value)} characters"
    short = isinstance(value, float | Decimal | None) or (isinstance(value, int) and abs(value) < 10**30)
    return f"{value}" if short else with_article(type(value).__name__)


def _text(value: Any) -> str:
    allowed = "text of at least one character"
    if not isinstance(value, str):
        raise _Wrong(_shown(value), allowed)
    if not value.strip():
        raise _Wrong("empty", allowed)
    return _unicode(value, allowed)


def _unicode(value: str, allowed: str) -> str:
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise _Wrong("text that is not Unicode (a lone surrogate)", allowed)
    return value


def _one_of(*words: str) -> Callable[[Any], str]:
    *most, last = (f'"{word}"' for word in words)

    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            raise _Wrong(_shown(value), f"{', '.join(most)} or {last}")
        return str(value)

    return read


def _brief(value: Any) -> Brief:
    return Brief(_one_of(*Brief)(value))


def _whole(low: int, high: int | None = None) -> Callable[[Any], int]:
    span = f"a whole number from {low}" + (f" to {high}" if high is not None else "")

    def read(value: Any) -> int:
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if not whole or value < low or (high is not None and value > high):
            raise _Wrong(_shown(value), span)
        return int(value)

    return read


def _seconds(value: Any) -> float:
    wrong = _Wrong(_shown(value), "seconds: a finite number above 0, without quotes")
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        raise wrong
    try:
        seconds = float(value)
    except (OverflowError, ValueError):
        raise wrong from None
    if not (math.isfinite(seconds) and seconds > 0):
        raise wrong
    return int(seconds) if seconds.is_integer() and seconds < 2**53 else seconds


_SIZE = re.compile(r"[1-9][0-9]{1,4}x[1-9][0-9]{1,4}")


def _resolution(value: Any) -> str:
    word = value.lower() if isinstance(value, str) else ""
    if word not in RESOLUTIONS and not _SIZE.fullmatch(word):
        raise _Wrong(_shown(value), '"720p", "1080p", "4k", or pixels such as "1920x1080"')
    return word


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Wrong(_shown(value), "True or False")
    return value


_PICTURE = "a PNG, JPEG or WebP picture: path, https or gs URL, bytes, PIL image or Video"


def _picture(value: Any) -> Media:
    try:
        return Media.picture(value)
    except ValueError as error:
        raise _Wrong(str(error), _PICTURE) from None


def _pictures(value: Any) -> tuple[Media, ...]:
    if isinstance(value, str | bytes | bytearray | memoryview) or not isinstance(value, Sequence):
        raise _Wrong(with_article(type(value).__name__), f"a list, each of it {_PICTURE}")
    return tuple(_picture(item) for item in value)


def _clip(value: Any) -> Any:
    try:
        return Media.clip(value)
    except ValueError as error:
        raise _Wrong(str(error), "a video: path, https or gs URL, bytes, or Video") from None


def _shots(value: Any) -> tuple[Shot, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise _Wrong(with_article(type(value).__name__), _SHOTS)
    return tuple(_shot(shot, number) for number, shot in enumerate(value, 1))


_SHOTS = "a list of multivideo.Shot(prompt, seconds)"


def _shot(shot: Any, number: int) -> Shot:
    if not isinstance(shot, Shot):
        raise _Wrong(f"a list with {with_article(type(shot).__name__)} at place {number}", _SHOTS)
    read: dict[str, Callable[[Any], Any]] = {"prompt": _text, "duration": _seconds, "brief": _optional(_brief)}
    try:
        return evolve(shot, **{name: reader(getattr(shot, name)) for name, reader in read.items()})
    except _Wrong as wrong:
        raise _Wrong(f"{wrong.asked} in shot {number}", wrong.allowed) from None


def _budget(value: Any) -> Credits:
    wrong = _Wrong(_shown(value), 'credits of 0.01 USD (a whole number or a Decimal), or multivideo.usd("5")')
    if isinstance(value, bool) or not isinstance(value, Credits | int | Decimal):
        raise wrong
    try:
        amount = value if isinstance(value, Credits) else Credits.from_usd(Decimal(value).scaleb(-2))
    except (ValueError, ArithmeticError):
        raise wrong from None
    if amount.micro_usd < 0:
        raise wrong
    return amount


def _tags(value: Any) -> dict[str, str]:
    allowed = "a mapping of str to str"
    if not isinstance(value, Mapping) or not all(isinstance(x, str) for pair in value.items() for x in pair):
        raise _Wrong(with_article(type(value).__name__), allowed)
    return {_unicode(name, allowed): _unicode(text, allowed) for name, text in value.items()}


def _path(value: Any) -> str:
    wrong = _Wrong(_shown(value), "a path of a file or a folder, as str or Path")
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise wrong
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        raise wrong from None
    return os.path.expanduser(value)  # noqa: PTH111 - a Path would drop the final slash, which says "folder"


def _policy(value: Any) -> Any:
    allowed = "a routing policy: an object with rank(), or a function"
    if isinstance(value, type):
        raise _Wrong(f"the class {value.__name__}", f"{allowed}; of a class, a value: {value.__name__}()")
    if not callable(getattr(value, "rank", value)):
        raise _Wrong(_shown(value), allowed)
    return value


def _callable(value: Any) -> Any:
    if not callable(value):
        raise _Wrong(_shown(value), "a function of one event")
    return value


def _options(value: Any) -> dict[str, dict[str, Any]]:
    allowed = 'a mapping of vendor to its parameters, all of it JSON: {"kling": {...}}'
    if not isinstance(value, Mapping) or not all(
        isinstance(k, str) and isinstance(v, Mapping) for k, v in value.items()
    ):
        raise _Wrong(with_article(type(value).__name__), allowed)
    plain = {name: dict(parameters) for name, parameters in value.items()}
    try:
        json.dumps(plain, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise _Wrong("parameters that are no JSON", allowed) from None
    return plain


def _optional(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


_READERS: dict[str, Callable[[Any], Any]] = {
    "prompt": _text,
    "model": _text,
    "duration": _optional(_seconds),
    "resolution": _optional(_resolution),
    "aspect_ratio": _optional(_one_of(*RATIOS)),
    "fps": _optional(_whole(1, 240)),
    "audio": _optional(_flag),
    "first_frame": _optional(_picture),
    "last_frame": _optional(_picture),
    "reference_images": _pictures,
    "source_video": _optional(_clip),
    "mode": _optional(_one_of("extend", "edit", "remix", "reference")),
    "negative_prompt": _optional(_text),
    "seed": _optional(_whole(0)),
    "shots": _shots,
    "count": _whole(1, 100),
    "accept_unconfirmed": _flag,
    "strict": _flag,
    "brief": _optional(_brief),
    "policy": _optional(_policy),
    "budget": _optional(_budget),
    "deadline": _optional(_seconds),
    "tags": _tags,
    "save_to": _optional(_path),
    "on_event": _optional(_callable),
    "poll_interval": _optional(_seconds),
    "options": _options,
}


def _last_alone(request: VideoRequest) -> Problem | None:
    if request.last_frame is None or request.first_frame is not None:
        return None
    return Problem("last_frame", "given without first_frame", "last_frame together with first_frame")


def _mode_of_nothing(request: VideoRequest) -> Problem | None:
    mode = request.mode
    needed = "reference_images" if mode == "reference" else "source_video"
    if mode is None or getattr(request, needed):
        return None
    return Problem("mode", f'"{mode}" without {needed}', f'mode="{mode}" together with {needed}=')


def _other_shape(request: VideoRequest) -> Problem | None:
    if request.size is None or request.aspect_ratio is None:
        return None
    (width, height), (across, down) = request.size, map(int, request.aspect_ratio.split(":"))
    if width * down == height * across:
        return None
    asked = f'"{request.aspect_ratio}" with resolution="{request.resolution}"'
    return Problem("aspect_ratio", asked, "a size and a shape that agree, or only one of the two")


def _other_length(request: VideoRequest) -> Problem | None:
    total = sum(shot.duration for shot in request.shots)
    if not request.shots or request.duration is None or math.isclose(total, request.duration):
        return None
    asked = f"{request.duration:.10g} with shots of {total:.10g} s"
    return Problem("duration", asked, "the sum of the shots, or shots alone")


_TOGETHER: dict[tuple[str, ...], Callable[[VideoRequest], Problem | None]] = {
    ("first_frame", "last_frame"): _last_alone,
    ("mode", "reference_images", "source_video"): _mode_of_nothing,
    ("resolution", "aspect_ratio"): _other_shape,
    ("shots", "duration"): _other_length,
}
"""What may be right field by field and cannot be together."""
