"""An order in Kling's current protocol: the kind of call, which stands in its address, and the message.

Sources: Kling's API documents, create pages of every kind and model, read 2026-09-20.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..catalog.kling import NEXT_SHOT
from ..values.words import Mode
from ..wire import Order
from .common import merged
from .kling_materials import FOLLOWING, FRAMED, check_materials, clips_of, frames_of, looks_of, orientation

__all__ = ["body_of", "kind_of"]

_KINDS = {"text-to-video": "text", "image-to-video": "image", "omni-video": "omni", "motion-control": "motion"}

# Settings that a model has beside resolution and duration; the docs ask not to send what is not listed.
_SETTINGS: Mapping[str, frozenset[str]] = {
    "kling-3.0-turbo": frozenset(),
    "kling-o1": frozenset(),  # it has sound to keep or to drop beside a clip alone
    "kling-2.6": frozenset({"audio"}),
    "kling-2.5-turbo": frozenset(),
}
_ALL_SETTINGS = frozenset({"audio", "multi_shot"})


def kind_of(order: Order) -> str:
    """The kind of call that a model and a mode make; the Omni models have one for all but motion."""
    if order.segment.mode is Mode.MOTION:
        return "motion-control"
    if order.wire_model.endswith("-omni") or order.wire_model == "kling-o1":
        return "omni-video"
    return "image-to-video" if order.segment.mode in FRAMED else "text-to-video"


def body_of(order: Order, provider: str) -> dict[str, Any]:
    """The whole message. Our attempt id goes along: it is what a lost answer is looked up by.

    An extension has no call of its own: the clip goes along as a reference named "video_1", and words of ours that ask
    for the shot after it, `NEXT_SHOT`, stand before the prompt. The result is that shot alone.

    Raises: UnsupportedFeature, InvalidRequest.
    """
    kind = kind_of(order)
    check_materials(order, _KINDS[kind], provider)
    marks = {"watermark_info": {"enabled": True}} if order.segment.watermark else {}
    body: dict[str, Any] = {
        "settings": _settings(order),
        "options": {"external_task_id": order.attempt_id, **marks},
    }
    if kind == "text-to-video":
        body["prompt"] = _words(order)
    else:
        body["contents"] = [{"type": "prompt", "text": _words(order)}, *_contents(order, provider)]
    whole = merged(body, order.options, provider)
    return {**whole, "settings": {name: value for name, value in whole["settings"].items() if value is not None}}


def _words(order: Order) -> str:
    """The prompt; of several shots each with its number and seconds, the prompt repeated in each (Kling docs, 3.0)."""
    if order.segment.mode is Mode.EXTEND:
        return NEXT_SHOT + order.prompt
    shots = enumerate(order.shots, 1)
    return " ".join(f"shot {n}, {shot.duration:g}, {order.prompt} {shot.prompt};" for n, shot in shots) or order.prompt


def _settings(order: Order) -> dict[str, Any]:
    """Every setting that the model has. None: the clip decides it; it is not sent, and `options` cannot add it.

    Left out, `multi_shot` would be true and cut the clip as it likes.
    """
    segment, has = order.segment, _SETTINGS.get(order.wire_model, _ALL_SETTINGS)
    follows = segment.mode in FOLLOWING
    settings: dict[str, Any] = {"resolution": segment.resolution, "duration": None if follows else segment.seconds}
    if order.first_frame is None and not follows:  # else the picture or the clip decides the shape
        settings["aspect_ratio"] = segment.aspect_ratio
    if "audio" in has or follows:
        sound = "original" if follows else "native"
        settings["audio"] = sound if segment.audio else "off"
    if segment.mode is Mode.MOTION:
        settings |= orientation(order.options.get("settings"))
    elif "multi_shot" in has:
        settings["multi_shot"] = bool(order.shots)
    return settings


def _contents(order: Order, provider: str) -> list[dict[str, str]]:
    """What goes along with the prompt, each by the id that the prompt mentions: "@image_1", "@Mara", "@video_1"."""
    found = [{"type": place, "url": url} for place, url in frames_of(order, provider).items()]
    looks, clips = looks_of(order, provider), clips_of(order, provider)
    if order.segment.mode is Mode.MOTION:  # its page lists no ids but an element's
        found += [{"type": "image", "url": url} for url in looks] + [{"type": "video", "url": url} for url in clips]
    else:
        role = "base_video" if order.segment.mode is Mode.EDIT else "feature_video"
        found += [{"type": "refer_image", "url": url, "id": f"image_{n}"} for n, url in enumerate(looks, 1)]
        found += [{"type": role, "url": url, "id": "video_1"} for url in clips]
    return found + [{"type": "element", "element_id": item.id, "id": item.name} for item in order.elements]
