"""What a user asks for: one frozen value, all of its faults told at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, TypedDict

from attrs import evolve, field, fields, frozen

from ..errors import InvalidRequest, Problem
from .clips import Clip
from .credits import Credits
from .fields import READERS, Wrong
from .media import Media, MediaSource
from .words import Brief, Element, Mode, Shot, masked

__all__ = ["VideoRequest", "VideoSpec"]


class VideoSpec(TypedDict, total=False):
    """Every option of `generate`, `submit`, `plan` and `quote`. What is left out, the routed model decides.

    Attributes:
        model: "auto", a model, a family (its flagship), or either with its path: "veo-3.1@vertex".
        duration: seconds of the finished video; of an extension, those that are added.
        resolution: "720p", "1080p", "4k", or pixels such as "1920x1080".
        aspect_ratio: "16:9", "9:16" or "1:1"; left out: that of the first frame, else 16:9.
        fps: frames per second, 1 to 240; a hard need.
        audio: True: with sound; False: without; None: as the model does by itself.
        first_frame: the picture to begin with: path, https or gs URL, bytes, PIL image, or a Video's last frame.
        last_frame: the picture to end with, beside a first frame.
        reference_images: pictures of who or what shall be seen, named in the prompt "@image_1" and so on; or Elements.
        source_video: the clip to extend, to change or to move by: path, https or gs URL, bytes, or Video.
        mode: what to do with what was brought along; left out: told from what it is, a clip is extended.
            "motion": who is in the one reference image moves as the clip does; the prompt mentions elements alone.
        negative_prompt: what shall not be seen.
        seed: from 0, for models that take one.
        shots: several shots within the clip, each with its own prompt and seconds.
        watermark: True: deliver the copy with the vendor's visible mark; False: without one.
        region: where the video is ordered from and shown: "us", "eu", "uk", "ch", "mena", "cn" or "other".
        count: takes of the same wish, 1 to 100; price and budget cover all.
        accept_unconfirmed: go on where no source confirms that the model can do it.
        strict: raise DeliverableMismatch where the file is not what was ordered.
        brief: what the video is for, told to the policy.
        policy: who is asked first, for this call.
        budget: credits of 0.01 USD as a whole number or Decimal, or `usd("5")`; what may cost more is out.
        deadline: seconds of the whole call; a submit under way is not cut off, which may take two minutes more.
        tags: words of your own, kept in the result and in the job's reference.
        save_to: a folder if it ends with "/", is one, or has no suffix, else a file; what is there is replaced.
        sidecar: write what made the file beside it, as "clip.mp4.json", prompt included; with save_to only.
        on_event: a function, sync or async, that is told every event of the job.
        poll_interval: seconds between two looks at the vendor; left out: half of the time gone by, 1 to 10.
        options: parameters that one vendor alone has: {"kling": {...}}.
    """

    model: str
    duration: float
    resolution: str
    aspect_ratio: str
    fps: int
    audio: bool | None
    first_frame: MediaSource
    last_frame: MediaSource
    reference_images: Sequence[MediaSource | Element]
    source_video: MediaSource
    mode: Literal["extend", "edit", "remix", "reference", "motion"] | None
    negative_prompt: str
    seed: int
    shots: Sequence[Shot]
    watermark: bool | None
    region: Literal["us", "eu", "uk", "ch", "mena", "cn", "other"] | None
    count: int
    accept_unconfirmed: bool
    strict: bool
    brief: Brief | str | None
    policy: Any
    budget: Credits | int | Decimal
    deadline: float
    tags: Mapping[str, str]
    save_to: str | Path
    sidecar: bool
    on_event: Callable[[Any], Any]
    poll_interval: float
    options: Mapping[str, Mapping[str, Any]]


def _given(value: Any) -> Any:
    """Any accepted form of a field; all of them are read together, once every one is there."""
    return value


@frozen(kw_only=True)
class VideoRequest:
    """One wish for a video. Options as in `VideoSpec`; the prompt is never shown in a repr or a log.

    Raises: InvalidRequest naming every field that is wrong.
    """

    prompt: str = field(kw_only=False, repr=masked)
    model: str = "auto"
    duration: float | None = field(default=None, converter=_given)
    resolution: str | None = None
    aspect_ratio: str | None = None
    fps: int | None = None
    audio: bool | None = None
    first_frame: Media | None = field(default=None, converter=_given)
    last_frame: Media | None = field(default=None, converter=_given)
    reference_images: tuple[Media | Element, ...] = field(default=(), converter=_given)
    source_video: Clip | None = field(default=None, converter=_given)
    mode: str | None = None
    negative_prompt: str | None = field(default=None, repr=lambda text: "None" if text is None else masked(text))
    seed: int | None = None
    shots: tuple[Shot, ...] = field(default=(), converter=_given)
    watermark: bool | None = None
    region: str | None = None
    count: int = 1
    accept_unconfirmed: bool = False
    strict: bool = False
    brief: Brief | None = field(default=None, converter=_given)
    policy: Any = field(default=None, eq=False, repr=False)
    budget: Credits | None = field(default=None, converter=_given)
    deadline: float | None = field(default=None, converter=_given)
    tags: Mapping[str, str] = field(factory=dict, hash=False)
    save_to: str | None = field(default=None, converter=_given)
    sidecar: bool = True
    on_event: Callable[[Any], Any] | None = field(default=None, eq=False, repr=False)
    poll_interval: float | None = field(default=None, converter=_given)
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
        for name, read in READERS.items():
            try:
                object.__setattr__(self, name, read(getattr(self, name)))
            except Wrong as wrong:
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
        if self.first_frame is not None:
            return Mode.FIRST_FRAME if self.last_frame is None else Mode.FIRST_LAST
        if self.reference_images:
            return Mode.REFERENCE
        return Mode.SHOTS if self.shots else Mode.TEXT

    @property
    def pictures(self) -> tuple[Media, ...]:
        """The reference images that are pictures."""
        return tuple(item for item in self.reference_images if isinstance(item, Media))

    @property
    def elements(self) -> tuple[Element, ...]:
        """The reference images that a vendor keeps."""
        return tuple(item for item in self.reference_images if isinstance(item, Element))

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


def _last_alone(request: VideoRequest) -> Problem | None:
    if request.last_frame is None or request.first_frame is not None:
        return None
    return Problem("last_frame", "given without first_frame", "last_frame together with first_frame")


def _mode_of_nothing(request: VideoRequest) -> Problem | None:
    mode = request.mode
    needed = {None: (), "reference": ("reference_images",), "motion": ("source_video", "reference_images")}
    missing = [name for name in needed.get(mode, ("source_video",)) if not getattr(request, name)]
    if not missing:
        return None
    asked = f'"{mode}" without {" and ".join(missing)}'
    return Problem("mode", asked, f'mode="{mode}" together with {" and ".join(f"{name}=" for name in missing)}')


def _like_names(request: VideoRequest) -> Problem | None:
    """A mention is read by its beginning, so that "@Mara" would mean "Mar" too, and "@image_1" an element "image"."""
    names = sorted(element.name for element in request.elements)
    given = [f"image_{number}" for number in range(1, len(request.pictures) + 1)]
    given += ["video_1"] if request.source_video is not None else []
    pairs = [*pairwise(names), *((name, other) for name in names for other in given)]
    if (pair := next((pair for pair in pairs if pair[1].startswith(pair[0])), None)) is None:
        return None
    beside = pair[1] in given
    asked = f"an element named {pair[0]!r} beside" if beside else f"elements named {pair[0]!r} and"
    return Problem("reference_images", f"{asked} {pair[1]!r}", "names that do not begin alike")


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
    ("reference_images", "source_video"): _like_names,
}
"""What may be right field by field and cannot be together."""
