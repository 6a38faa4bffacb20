"""The fields of a request, each with its reader: what may be given, and what is kept of it."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from attrs import evolve

from .clips import Clip
from .credits import Credits
from .media import Media, with_article
from .words import RATIOS, REGIONS, RESOLUTIONS, Brief, Element, Shot

__all__ = ["READERS", "Wrong"]


class Wrong(Exception):
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
        raise Wrong(_shown(value), allowed)
    if not value.strip():
        raise Wrong("empty", allowed)
    return _unicode(value, allowed)


def _unicode(value: str, allowed: str) -> str:
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise Wrong("text that is not Unicode (a lone surrogate)", allowed)
    return value


def _one_of(*words: str) -> Callable[[Any], str]:
    *most, last = (f'"{word}"' for word in words)

    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            raise Wrong(_shown(value), f"{', '.join(most)} or {last}")
        return str(value)

    return read


def _brief(value: Any) -> Brief:
    return Brief(_one_of(*Brief)(value))


def _whole(low: int, high: int | None = None) -> Callable[[Any], int]:
    span = f"a whole number from {low}" + (f" to {high}" if high is not None else "")

    def read(value: Any) -> int:
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if not whole or value < low or (high is not None and value > high):
            raise Wrong(_shown(value), span)
        return int(value)

    return read


def _seconds(value: Any) -> float:
    wrong = Wrong(_shown(value), "seconds: a finite number above 0, without quotes")
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
        raise Wrong(_shown(value), '"720p", "1080p", "4k", or pixels such as "1920x1080"')
    return word


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong(_shown(value), "True or False")
    return value


_PICTURE = "a PNG, JPEG or WebP picture: path, https or gs URL, bytes, PIL image or Video"


def _picture(value: Any) -> Media:
    try:
        return Media.picture(value)
    except ValueError as error:
        raise Wrong(str(error), _PICTURE) from None


def _references(value: Any) -> tuple[Media | Element, ...]:
    if isinstance(value, str | bytes | bytearray | memoryview) or not isinstance(value, Sequence):
        raise Wrong(with_article(type(value).__name__), f"a list, each of it {_PICTURE}, or a multivideo.Element")
    return tuple(_element(item) if isinstance(item, Element) else _picture(item) for item in value)


def _element(value: Element) -> Element:
    said = f"an Element named {_shown(value.name)}"
    if not (isinstance(value.id, str) and _ELEMENT_ID.fullmatch(value.id)):
        raise Wrong(f"{said} with {_shown(value.id)} as its id", "the id that the vendor gave it, as text")
    if not (isinstance(value.name, str) and _ELEMENT_NAME.fullmatch(value.name)) or _NUMBERED.fullmatch(value.name):
        raise Wrong(said, 'a name of 1 to 80 letters, digits and "_"; image_1, video_1 and so on are taken')
    if value.vendor not in ("kling", "openai") or not isinstance(value.of_video, bool):
        raise Wrong(f"{said} of {_shown(value.vendor)}", 'vendor="kling" or "openai", of_video=True or False')
    return value


_ELEMENT_ID = re.compile(r"[A-Za-z0-9_=-]{1,512}")  # gateways make long ones
_ELEMENT_NAME = re.compile(r"\w{1,80}")
_NUMBERED = re.compile(r"(image|video|element)_[0-9]+")


def _clip(value: Any) -> Clip:
    try:
        return Clip.of(value)
    except ValueError as error:
        raise Wrong(str(error), "a video: path, https or gs URL, bytes, or Video") from None


def _shots(value: Any) -> tuple[Shot, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise Wrong(with_article(type(value).__name__), _SHOTS)
    return tuple(_shot(shot, number) for number, shot in enumerate(value, 1))


_SHOTS = "a list of multivideo.Shot(prompt, seconds)"


def _shot(shot: Any, number: int) -> Shot:
    if not isinstance(shot, Shot):
        raise Wrong(f"a list with {with_article(type(shot).__name__)} at place {number}", _SHOTS)
    read: dict[str, Callable[[Any], Any]] = {"prompt": _text, "duration": _seconds, "brief": _optional(_brief)}
    try:
        return evolve(shot, **{name: reader(getattr(shot, name)) for name, reader in read.items()})
    except Wrong as wrong:
        raise Wrong(f"{wrong.asked} in shot {number}", wrong.allowed) from None


def _budget(value: Any) -> Credits:
    wrong = Wrong(_shown(value), 'credits of 0.01 USD (a whole number or a Decimal), or multivideo.usd("5")')
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
        raise Wrong(with_article(type(value).__name__), allowed)
    return {_unicode(name, allowed): _unicode(text, allowed) for name, text in value.items()}


def _path(value: Any) -> str:
    wrong = Wrong(_shown(value), "a path of a file or a folder, as str or Path")
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
        raise Wrong(f"the class {value.__name__}", f"{allowed}; of a class, a value: {value.__name__}()")
    if not callable(getattr(value, "rank", value)):
        raise Wrong(_shown(value), allowed)
    return value


def _callable(value: Any) -> Any:
    if not callable(value):
        raise Wrong(_shown(value), "a function of one event")
    return value


def _options(value: Any) -> dict[str, dict[str, Any]]:
    allowed = 'a mapping of vendor to its parameters, all of it JSON: {"kling": {...}}'
    if not isinstance(value, Mapping) or not all(
        isinstance(k, str) and isinstance(v, Mapping) for k, v in value.items()
    ):
        raise Wrong(with_article(type(value).__name__), allowed)
    plain = {name: dict(parameters) for name, parameters in value.items()}
    try:
        json.dumps(plain, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise Wrong("parameters that are no JSON", allowed) from None
    return plain


def _optional(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


READERS: dict[str, Callable[[Any], Any]] = {
    "prompt": _text,
    "model": _text,
    "duration": _optional(_seconds),
    "resolution": _optional(_resolution),
    "aspect_ratio": _optional(_one_of(*RATIOS)),
    "fps": _optional(_whole(1, 240)),
    "audio": _optional(_flag),
    "first_frame": _optional(_picture),
    "last_frame": _optional(_picture),
    "reference_images": _references,
    "source_video": _optional(_clip),
    "mode": _optional(_one_of("extend", "edit", "remix", "reference", "motion")),
    "negative_prompt": _optional(_text),
    "seed": _optional(_whole(0)),
    "shots": _shots,
    "watermark": _optional(_flag),
    "region": _optional(_one_of(*REGIONS)),
    "count": _whole(1, 100),
    "accept_unconfirmed": _flag,
    "strict": _flag,
    "brief": _optional(_brief),
    "policy": _optional(_policy),
    "budget": _optional(_budget),
    "deadline": _optional(_seconds),
    "tags": _tags,
    "save_to": _optional(_path),
    "sidecar": _flag,
    "on_event": _optional(_callable),
    "poll_interval": _optional(_seconds),
    "options": _options,
}
