"""What Kling checks of a create call in the legacy protocol, and what it means in the words of the new one.

Sources: Kling's API pages and a copy of its parameter lists, read 2026-09-20; probes of May 2026 for the order of
checks of motion control. Where they disagree the wider reading stands: a voice goes with 3.0 as well as with 2.6.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen

from multivideo.sandbox.fields import as_sent, is_int, is_number
from multivideo.sandbox.jobs import Draft
from multivideo.sandbox.kling_draft import Order, make_draft, open_film
from multivideo.sandbox.kling_legacy_fields import Body, camel
from multivideo.sandbox.kling_materials import BadField, read_prompt
from multivideo.sandbox.kling_media import Media
from multivideo.sandbox.kling_order import RATIOS, check_counts, check_length, read_options
from multivideo.sandbox.kling_products import PRODUCTS

__all__ = ["FAMILIES", "MEDIA", "read_legacy"]

MEDIA = ("image", "image_tail", "image_url", "image_list", "video_url", "video_list")  # fields with addresses

_TIERS = {"std": "720p", "pro": "1080p", "4k": "4k"}
_SHOT_LIMIT = 512
_MOST_SHOTS = 6
_VOICED = ("kling-2.6", "kling-3.0")
_V1_ONLY = ("camera_control", "static_mask", "dynamic_masks")  # of models that were retired on 2026-09-15
_SHARED = {"callback_url", "external_task_id", "watermark_info", "shot_type", "multi_prompt"}


def read_legacy(name: str, given: Mapping[str, object], media: Media, *, strict: bool) -> Draft:
    """The order of a body sent to that family; BadField for the first thing that is wrong."""
    family, body = FAMILIES[name], Body(given, media)
    model = given.get("model_name", family.default)
    if not isinstance(model, str) or model not in family.models:
        raise BadField(f"model_name value '{as_sent(model)}' is invalid")
    body.read |= {"family": name, "model_name": model}
    product = PRODUCTS[family.family, family.models[model]]
    order = Order(product, "", [], {}, read_options(given, ""), legacy=body.read)
    family.read(body, order)
    if strict and (others := set(given) - set(body.read) - _SHARED):
        raise BadField(f"{camel(min(others))}: unknown field")
    open_film(order, media)
    return make_draft(order)


def _read_text(body: Body, order: Order) -> None:
    _read_tier(body, order, "std")
    order.settings["aspect_ratio"] = body.word("aspect_ratio", RATIOS, "16:9")
    _read_sound(body, order)
    _read_shots(body, order, prompt_needed=True)
    _read_length(body, order)


def _read_image(body: Body, order: Order) -> None:
    product = order.product
    _read_tier(body, order, "std")
    voices = 2 if product.model in _VOICED else 0
    order.materials = [
        *body.picture("image", "first_frame"),
        *body.picture("image_tail", "last_frame"),
        *body.elements(product.materials.get("element", 0)),
        *body.voices(voices),
    ]
    if not order.of("first_frame", "last_frame") or (product.multi_shot and not order.of("first_frame")):
        raise BadField("image: must not be blank")
    if order.of("last_frame") and order.settings["resolution"] not in product.last_frame_at:
        raise BadField("imageTail: needs mode 'pro'")
    _read_sound(body, order)
    if order.of("voice") and (order.settings.get("audio") != "native" or order.of("element")):
        raise BadField("voiceList: needs sound 'on' and no elementList")
    _read_shots(body, order, prompt_needed=False)
    _read_length(body, order)


def _read_omni(body: Body, order: Order) -> None:
    _read_tier(body, order, "pro")
    order.materials = [*body.references(), *body.elements(order.product.materials["element"]), *body.videos()]
    check_counts(order, "materials")
    base, first = order.of("base_video"), order.of("first_frame")
    if base and first:
        raise BadField("videoList: a base video goes with no frames")
    order.settings["aspect_ratio"] = body.word("aspect_ratio", RATIOS, "16:9" if base or first else None)
    _read_sound(body, order)
    if order.of("base_video", "feature_video") and body.read["sound"] == "on":
        raise BadField("sound: must be 'off' with a video")
    if any(item.shown["keep_original_sound"] == "yes" for item in order.of("base_video", "feature_video")):
        order.settings["audio"] = "original"
    _read_shots(body, order, prompt_needed=True)
    if order.settings.get("multi_shot") and base:
        raise BadField("multiShot: goes with no base video")
    if order.settings.get("multi_shot") and order.of("feature_video") and body.read["shot_type"] != "intelligence":
        raise BadField("shotType: must be 'intelligence' with a feature video")
    if not base:  # a video that is edited keeps its length, whatever was sent
        _read_length(body, order)
        check_length(order, "duration")


def _read_motion(body: Body, order: Order) -> None:
    order.materials = [*body.picture("image_url", "image", needed=True), *body.video("video_url")]
    _read_tier(body, order, None)
    missing = "character orientation must be specified"
    order.settings["character_orientation"] = body.word("character_orientation", ("image", "video"), None, missing)
    order.materials = [*order.materials, *body.elements(order.product.materials.get("element", 0))]
    kept = body.word("keep_original_sound", ("yes", "no"), "yes")
    order.settings["audio"] = "original" if kept == "yes" else "off"
    order.prompt = body.text("prompt")


def _read_tier(body: Body, order: Order, default: str | None) -> None:
    """The mode as a resolution; what only retired models had is refused on the way."""
    for name in _V1_ONLY:
        if name in body.given:
            raise BadField(f"{camel(name)}: is not supported by this model")
    allowed = [mode for mode, tier in _TIERS.items() if tier in order.product.resolutions]
    order.settings["resolution"] = _TIERS[body.word("mode", allowed, default, "video mode must be specified")]


def _read_sound(body: Body, order: Order) -> None:
    wanted = body.word("sound", ("on", "off"), "off") == "on"
    if wanted and ("native" not in order.product.audio or order.settings["resolution"] not in order.product.native_at):
        raise BadField("sound: 'on' is not supported by this model in this mode")
    if order.product.audio:
        order.settings["audio"] = "native" if wanted else "off"


def _read_length(body: Body, order: Order) -> None:
    """The length, which is a text here; shots that were given one by one must fill it."""
    lengths = [str(seconds) for seconds in order.product.durations]
    order.settings["duration"] = int(body.word("duration", lengths, "5"))
    shots = body.read.get("multi_prompt")
    if isinstance(shots, list) and sum(int(shot["duration"]) for shot in shots) != order.settings["duration"]:
        raise BadField("multiPrompt: durations must add up to duration")


def _read_shots(body: Body, order: Order, *, prompt_needed: bool) -> None:
    """Prompt, what it must not show, and the shots, which stand in the prompt of the new protocol."""
    scale = body.given.get("cfg_scale", 0.5)
    if not is_number(scale) or not 0 <= scale <= 1:
        raise BadField("cfgScale: must be between 0 and 1")
    body.read["cfg_scale"] = scale
    body.text("negative_prompt")
    order.prompt = body.text("prompt")
    several = body.read["multi_shot"] = body.given.get("multi_shot", False)
    if not isinstance(several, bool):
        raise BadField("multiShot: must be a boolean")
    if several and not order.product.multi_shot:
        raise BadField("multiShot: is not supported by this model")
    if order.product.multi_shot:
        order.settings["multi_shot"] = several
    if several and body.word("shot_type", ("customize", "intelligence"), None) == "customize":
        order.prompt = _shots(body)
    elif prompt_needed and not order.prompt:
        raise BadField("prompt: must not be blank")


def _shots(body: Body) -> str:
    """The shots of a `multi_prompt`, in the syntax of the new protocol."""
    rows = body.rows("multi_prompt", _MOST_SHOTS)
    if not rows:
        raise BadField("multiPrompt: must not be empty")
    told = []
    for place, row in enumerate(rows):
        path, seconds = f"multiPrompt[{place}]", row.get("duration")
        if not is_int(row.get("index")):
            raise BadField(f"{path}.index: must be an integer")
        if not isinstance(seconds, str) or seconds not in map(str, range(1, 16)):
            raise BadField(f"{path}.duration value '{as_sent(seconds)}' is invalid")
        words = read_prompt(row.get("prompt"), f"{path}.prompt", _SHOT_LIMIT)
        told.append(f"shot {row['index']}, {seconds}, {words};")
    return " ".join(told)


@frozen
class _Family:
    """One path: the family of the new protocol, its models under their old names, the default, and its reader."""

    family: str
    models: Mapping[str, str]
    default: str
    read: Callable[[Body, Order], None]


_MODELS = {"kling-v3": "kling-3.0", "kling-v2-6": "kling-2.6", "kling-v2-5-turbo": "kling-2.5-turbo"}
_OMNI_MODELS = {"kling-v3-omni": "kling-3.0-omni", "kling-video-o1": "kling-o1"}
_MOTION_MODELS = {"kling-v3": "kling-3.0", "kling-v2-6": "kling-2.6"}
# The documented default of the first two was retired, so a call that names no model is refused there.
FAMILIES: Mapping[str, _Family] = {
    "text2video": _Family("text-to-video", _MODELS, "kling-v1", _read_text),
    "image2video": _Family("image-to-video", _MODELS, "kling-v1", _read_image),
    "omni-video": _Family("omni-video", _OMNI_MODELS, "kling-video-o1", _read_omni),
    "motion-control": _Family("motion-control", _MOTION_MODELS, "kling-v2-6", _read_motion),
}
