"""What Kling checks of a create call in the new protocol: fields, values, materials, and what goes with what.

A refusal is 400/1201 with a `path: reason` text. Texts were recorded for a few cases only; the rest follow their form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from multivideo.sandbox.fields import as_sent, is_int, is_object
from multivideo.sandbox.jobs import Draft
from multivideo.sandbox.kling_draft import Order, make_draft, open_film
from multivideo.sandbox.kling_materials import BadField, read_contents, read_prompt
from multivideo.sandbox.kling_media import Media
from multivideo.sandbox.kling_products import Product

__all__ = ["RATIOS", "check_counts", "check_length", "read_options", "read_order"]

RATIOS = ("16:9", "9:16", "1:1")
_SHOT = re.compile(r"\s*(?:shot|镜头)\s*(\d{1,4})\s*,\s*(\d{1,4})\s*,([^;]*)(?:;|$)", re.IGNORECASE)


def read_order(product: Product, body: Mapping[str, object], media: Media, *, strict: bool) -> Draft:
    """The order of a body; BadField for the first thing that is wrong."""
    options = read_options(_object(body, "options"), "options.")
    given = _object(body, "settings")
    if product.materials:
        materials = read_contents(product, body, media)
        prompt = next((item.text for item in materials if item.kind == "prompt"), "")
    else:
        materials, prompt = [], read_prompt(body.get("prompt"), "prompt", product.prompt_limit)
        if not prompt:
            raise BadField("prompt: must not be blank")
    order = Order(
        product, prompt, materials, _settings(product, given, strict=strict), options, shaped="aspect_ratio" in given
    )
    if strict:
        _no_others(_object(body, "options"), tuple(options), "options.")
        _no_others(body, ("contents" if product.materials else "prompt", "settings", "options"), "")
    _check_together(order, given)
    open_film(order, media)
    return make_draft(order)


def _no_others(given: Mapping[str, object], known: Sequence[str], path: str) -> None:
    for name in given:
        if name not in known:
            raise BadField(f"{path}{name}: unknown field")


def _object(body: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = body.get(name, {})
    if not is_object(value):
        raise BadField(f"{name}: must be an object")
    return value


def read_options(given: Mapping[str, object], path: str) -> Mapping[str, object]:
    """Callback address, the caller's own id and the wish for a watermark; none of them is needed."""
    read: dict[str, object] = {}
    for name in ("callback_url", "external_task_id"):
        value = given.get(name, "")
        if not isinstance(value, str):
            raise BadField(f"{path}{name}: must be a string")
        read[name] = value
    mark = given.get("watermark_info", {})
    if not is_object(mark) or not isinstance(mark.get("enabled", False), bool):
        raise BadField(f"{path}watermark_info.enabled: must be a boolean")
    return {**read, "watermark_info": {"enabled": mark.get("enabled", False)}}


def _settings(product: Product, given: Mapping[str, object], *, strict: bool) -> dict[str, object]:
    """The settings that the product has, with its defaults; those that it has not are passed over."""
    read: dict[str, object] = {"resolution": _word(given, "resolution", product.resolutions, "720p")}
    motion = product.family == "motion-control"
    if product.multi_shot:
        read["multi_shot"] = given.get("multi_shot", True)
        if not isinstance(read["multi_shot"], bool):
            raise BadField("settings.multi_shot: must be a boolean")
    if product.audio:
        read["audio"] = _word(given, "audio", product.audio, product.audio[0])
    if product.family in ("text-to-video", "omni-video"):
        read["aspect_ratio"] = _word(given, "aspect_ratio", RATIOS, "16:9")
    if motion:
        read["character_orientation"] = _word(given, "character_orientation", ("image", "video"), None)
    else:
        read["duration"] = _duration(given.get("duration", 5), product.durations)
    if strict:
        _no_others(given, tuple(read), "settings.")
    return read


def _word(given: Mapping[str, object], name: str, allowed: Sequence[str], default: str | None) -> str:
    value = given.get(name, default)
    if value is None:
        raise BadField(f"settings.{name}: must not be null")
    if not isinstance(value, str) or value not in allowed:
        raise BadField(f"settings.{name}: value '{as_sent(value)}' is invalid")
    return value


def _duration(value: object, allowed: Sequence[int]) -> int:
    if not is_int(value):
        raise BadField("settings.duration: must be an integer")
    if value not in allowed:
        if isinstance(allowed, range):
            raise BadField(f"settings.duration: must be between {allowed[0]} and {allowed[-1]}")
        raise BadField(f"settings.duration: value '{value}' is invalid")
    return value


def _check_together(order: Order, given: Mapping[str, object]) -> None:
    """What each family allows side by side."""
    product, settings = order.product, order.settings
    if settings.get("audio") == "native" and settings["resolution"] not in product.native_at:
        raise BadField(f"settings.audio: value 'native' is invalid at resolution '{settings['resolution']}'")
    if order.of("last_frame") and settings["resolution"] not in product.last_frame_at:
        raise BadField(f"contents: a last_frame is not supported at resolution '{settings['resolution']}'")
    if product.family == "image-to-video" and not order.of("first_frame"):
        raise BadField("contents: a first_frame is required")
    if order.of("voice") and settings.get("audio") == "off":
        raise BadField("settings.audio: must not be 'off' with a voice")
    if product.family == "omni-video":
        _check_omni(order, given)
    if product.family == "motion-control" and not (order.of("image", "element") and order.of("video")):
        raise BadField("contents: an image and a video are required")
    if settings.get("multi_shot") or (product.always_audio and product.family == "text-to-video"):
        _check_shots(order.prompt, settings["duration"])


def check_counts(order: Order, path: str) -> None:
    """How many materials of Omni go together. Elements count as multi-image ones: none is known here."""
    video = order.of("feature_video", "base_video")
    if order.of("last_frame") and not order.of("first_frame"):
        raise BadField(f"{path}: a last frame needs a first frame")
    if len(video) > 1:
        raise BadField(f"{path}: at most 1 video")
    if order.of("first_frame") and len(order.of("element")) > 3:
        raise BadField(f"{path}: at most 3 elements with a first frame")
    limit = 4 if video else 7
    if len(order.of("refer_image", "element")) > limit:
        raise BadField(f"{path}: at most {limit} reference images and elements together")


def check_length(order: Order, path: str) -> None:
    """O1 makes 5 or 10 s of a first frame alone."""
    only_frame = len(order.materials) - len(order.of("prompt")) == 1 and bool(order.of("first_frame"))
    if order.product.model == "kling-o1" and only_frame and order.settings["duration"] not in (5, 10):
        raise BadField(f"{path}: must be 5 or 10 with a first frame alone")


def _check_omni(order: Order, given: Mapping[str, object]) -> None:
    """Counts and exclusions of the Omni page."""
    check_counts(order, "contents")
    settings = order.settings
    video, frames = order.of("feature_video", "base_video"), order.of("first_frame", "last_frame")
    if video and settings["audio"] == "native":
        raise BadField("settings.audio: value 'native' is invalid with a video")
    if order.of("feature_video") and settings["audio"] != "off":
        raise BadField("settings.audio: must be 'off' with a feature_video")
    if order.of("base_video") and (frames or given.get("multi_shot") is True):
        raise BadField("contents: a base_video goes with neither frames nor multi_shot")
    check_length(order, "settings.duration")


def _check_shots(prompt: str, duration: object) -> None:
    """A prompt that is shots and nothing else must be 1 to 6 of them, and fill the clip exactly."""
    shots = list(_SHOT.finditer(prompt))
    if not shots or "".join(shot.group() for shot in shots).strip() != prompt.strip():
        return
    lengths = [int(shot[2]) for shot in shots]
    if len(shots) > 6 or min(lengths) < 1 or sum(lengths) != duration:
        raise BadField("prompt: 1 to 6 shots of at least 1 second must add up to settings.duration")
    if any(len(shot[3].strip()) > 512 for shot in shots):
        raise BadField("prompt: size of a shot must be between 0 and 512")
