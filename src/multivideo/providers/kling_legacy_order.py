"""An order in Kling's legacy protocol: the kind of task, which stands in its address, and the message.

Sources: Kling's API documents, legacy video pages, read 2026-09-20, and the official parameter lists as clients of
autumn 2026 send them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..catalog.kling import NEXT_SHOT
from ..catalog.references import ELEMENT_NUMBER, by_place
from ..errors import InvalidRequest, Problem
from ..values.plan import Segment
from ..values.words import Element, Mode
from ..wire import Order
from .common import merged
from .kling_materials import FOLLOWING, FRAMED, check_materials, clips_of, frames_of, looks_of, orientation

__all__ = ["KINDS", "body_of", "kind_of"]

KINDS = ("text2video", "image2video", "omni-video", "motion-control")
"""The kinds of tasks: each is made, looked at and listed at an address of its own."""

_TAKES = dict(zip(KINDS, ("text", "image", "omni", "motion"), strict=True))
_NEGATIVE = frozenset({"text2video", "image2video"})  # the other pages list no negative prompt
_OMNI = frozenset({"kling-v3-omni", "kling-video-o1"})
_SILENT = frozenset({"kling-video-o1", "kling-v2-5-turbo"})  # they have no switch for sound
_TIERS = {"720p": "std", "1080p": "pro", "4k": "4k"}
_PRICED = ("duration", "sound", "video_list", "voice_list")  # where they are not sent, `options` cannot add them either


def kind_of(wire_model: str, segment: Segment | None = None) -> str:
    """The kind of task that a model and a mode make."""
    mode = Mode.TEXT if segment is None else segment.mode
    if mode is Mode.MOTION:
        return "motion-control"
    if wire_model in _OMNI:
        return "omni-video"
    return "image2video" if mode in FRAMED else "text2video"


def body_of(order: Order, provider: str) -> dict[str, Any]:
    """The whole message; `multi_shot` has a good default here, and older models lack it.

    Raises: UnsupportedFeature, InvalidRequest.
    """
    kind, segment = kind_of(order.wire_model, order.segment), order.segment
    takes = frozenset({"negative_prompt"}) if kind in _NEGATIVE else frozenset()
    check_materials(order, _TAKES[kind], provider, takes=takes)
    body: dict[str, Any] = {
        "model_name": order.wire_model,  # left out, another model would be taken
        **_words(order),
        "mode": _TIERS.get(segment.resolution, segment.resolution),
        "external_task_id": order.attempt_id,
    }
    if segment.mode not in FOLLOWING:  # else the clip decides length and shape
        body["duration"] = str(segment.seconds)
        if order.first_frame is None:  # else it decides the shape
            body["aspect_ratio"] = segment.aspect_ratio
    if kind != "motion-control" and order.wire_model not in _SILENT:
        body["sound"] = "on" if segment.audio and segment.mode not in FOLLOWING else "off"
    if segment.watermark:
        body["watermark_info"] = {"enabled": True}
    if order.elements:
        body["element_list"] = [{"element_id": _number(element, provider)} for element in order.elements]
    body |= _MATERIALS[kind](order, provider)
    whole = merged({**dict.fromkeys(_PRICED), **body}, order.options, provider)
    return {name: value for name, value in whole.items() if value is not None}


def _words(order: Order) -> dict[str, Any]:
    """The prompt, or in its place the shots, the prompt repeated in each: beside them it would be passed over."""
    if order.shots:
        shots = [
            {"index": n, "prompt": _said(order, f"{order.prompt} {shot.prompt}"), "duration": f"{shot.duration:g}"}
            for n, shot in enumerate(order.shots, 1)
        ]
        words: dict[str, Any] = {"multi_shot": True, "shot_type": "customize", "multi_prompt": shots}
    else:
        opening = NEXT_SHOT if order.segment.mode is Mode.EXTEND else ""
        words = {"prompt": _said(order, opening + order.prompt)}
    return words if order.negative_prompt is None else {**words, "negative_prompt": order.negative_prompt}


def _said(order: Order, text: str) -> str:
    """A text with its mentions as this protocol writes them; motion has no lists of pictures and clips."""
    lists, names = order.segment.mode is not Mode.MOTION, [element.name for element in order.elements]
    return by_place(text, names, len(order.references) * lists, clip=lists and order.source is not None)


def _no_materials(order: Order, provider: str) -> dict[str, Any]:
    return {}


def _framed(order: Order, provider: str) -> dict[str, Any]:
    names = {"first_frame": "image", "last_frame": "image_tail"}
    return {names[place]: text for place, text in frames_of(order, provider).items()}


def _omni(order: Order, provider: str) -> dict[str, Any]:
    """Pictures and a clip in lists. The references stand first, so that "@image_1" is the first of them."""
    names = {"first_frame": "first_frame", "last_frame": "end_frame"}
    pictures = [{"image_url": text} for text in looks_of(order, provider)]
    pictures += [{"image_url": text, "type": names[place]} for place, text in frames_of(order, provider).items()]
    role = "base" if order.segment.mode is Mode.EDIT else "feature"
    clips = [
        {"video_url": url, "refer_type": role, "keep_original_sound": _kept(order)} for url in clips_of(order, provider)
    ]
    return {name: found for name, found in (("image_list", pictures), ("video_list", clips)) if found}


def _moved(order: Order, provider: str) -> dict[str, Any]:
    [look], [clip] = looks_of(order, provider)[:1], clips_of(order, provider)
    return {"image_url": look, "video_url": clip, "keep_original_sound": _kept(order), **orientation(order.options)}


def _kept(order: Order) -> str:
    return "yes" if order.segment.audio else "no"


_MATERIALS: Mapping[str, Callable[[Order, str], dict[str, Any]]] = {
    "text2video": _no_materials,
    "image2video": _framed,
    "omni-video": _omni,
    "motion-control": _moved,
}


def _number(element: Element, provider: str) -> int:
    """An element's id as this protocol writes it: a whole number of 18 digits, exact.

    Raises: InvalidRequest for an id that is none.
    """
    if not ELEMENT_NUMBER.fullmatch(element.id):
        asked = f"the element {element.name!r} with an id that is no number"
        raise InvalidRequest.of(
            [Problem("reference_images", asked, "the digits that Kling gave it")], provider=provider
        )
    return int(element.id)
