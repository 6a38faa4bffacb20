"""What OpenAI checks of `POST /videos`: every field, type and value, in its order and its words; and its prices.

Sources: OpenAI's video guide and published specification (August 2026), and refusals recorded by public clients.
Where these disagree the wider reading is accepted: 16 and 20 seconds on every model, an `input_reference` as a file
and as an object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from multivideo.sandbox.addresses import Opened
from multivideo.sandbox.fields import decode_base64, is_object
from multivideo.sandbox.jobs import Draft, State
from multivideo.sandbox.openai_fields import (
    Upload,
    check_blocked,
    check_choice,
    check_known,
    one_of,
    read_prompt,
    read_text,
    refuse,
    wrong_type,
)
from multivideo.sandbox.render import Clip, image_size, placeholder

__all__ = [
    "FPS",
    "MODELS",
    "SECONDS",
    "ReferenceMode",
    "check_model",
    "make_clip",
    "make_draft",
    "read_order",
    "read_seconds",
]

ReferenceMode = Literal["both", "file_only", "object_only"]
FPS = 30  # as measured, OpenAI does not say
SECONDS = ("4", "8", "12", "16", "20")
_DAY = 86_400
_FIELDS = frozenset({"prompt", "model", "seconds", "size", "input_reference", "characters"})
_MAX_IMAGE_URL = 20_971_520

# Micro-USD per second of video by size. OpenAI pricing page, as quoted on 2026-09-19.
_SMALL = {"720x1280": 100_000, "1280x720": 100_000}
_PRO = {
    "720x1280": 300_000,
    "1280x720": 300_000,
    "1024x1792": 500_000,
    "1792x1024": 500_000,
    "1080x1920": 700_000,
    "1920x1080": 700_000,
}
MODELS: Mapping[str, Mapping[str, int]] = {
    "sora-2": _SMALL,
    "sora-2-2025-10-06": _SMALL,
    "sora-2-2025-12-08": _SMALL,
    "sora-2-pro": _PRO,
    "sora-2-pro-2025-10-06": _PRO,
}


def read_order(
    fields: Mapping[str, object],
    look_up: Callable[[Sequence[str], str], Sequence[bytes]],
    opened: Opened,
    reference_mode: ReferenceMode = "both",
) -> Draft:
    """The order, checked; Refused with OpenAI's answer to the first fault.

    Args:
        fields: of the body.
        look_up: pictures of characters; refuses ids that are not known, or that the prompt does not name.
        opened: what lies behind addresses of this machine.
        reference_mode: in which form an `input_reference` is taken.
    """
    check_known(fields, _FIELDS)
    prompt = read_prompt(fields)
    seconds = read_seconds(fields, "4")
    size = read_text(fields, "size", "720x1280")
    model = read_text(fields, "model", "sora-2")
    characters = _characters(fields)
    _check_form(given := fields.get("input_reference"), reference_mode, sent="input_reference" in fields)
    check_model(model)
    check_choice("seconds", seconds, SECONDS)
    check_choice("size", size, MODELS[model])
    pictures = look_up(characters, prompt)
    frame = _first_frame(given, size, opened) if isinstance(given, Upload | dict) else None
    check_blocked(prompt)
    clip = make_clip(model, prompt, int(seconds), size, frame=frame, references=pictures)
    return make_draft(clip, int(seconds), {"first_frame": bool(frame), "characters": list(characters)})


def read_seconds(fields: Mapping[str, object], default: str) -> str:
    """The field `seconds`, which must be a string; whether it is one of the choices is checked later."""
    return read_text(fields, "seconds", default, f"one of {one_of(SECONDS, 'or')}")


def check_model(model: str) -> None:
    """Refuse a model that was never there."""
    if model not in MODELS:
        message = f"The model '{model}' does not exist or you do not have access to it."
        raise refuse(404, message, code="model_not_found", param="model")


def make_clip(
    model: str, prompt: str, seconds: int, size: str, *, frame: bytes | None = None, references: Sequence[bytes] = ()
) -> Clip:
    """A file as Sora makes it: 30 frames per second, with sound."""
    width, height = (int(side) for side in size.split("x"))
    return Clip(
        model=model, prompt=prompt, seed=0, width=width, height=height, seconds=seconds, fps=FPS, audio=True,
        first_frame=frame, references=tuple(references),
    )  # fmt: skip


def make_draft(clip: Clip, billed: int, shown: Mapping[str, object]) -> Draft:
    """The draft of a checked order; a trigger word in the prompt decides how it ends.

    Args:
        clip: the file to make.
        billed: seconds that are made newly: they take time and are charged.
        shown: what else is known of the order.
    """
    words = ("moderation_blocked", "video_generation_failed")
    reason = next((word for word in words if word in clip.prompt.lower()), "")
    size = f"{clip.width}x{clip.height}"
    share = 0.4 + 0.6 * billed / 8
    slower = {720: 1.0, 1024: 1.3, 1080: 1.6}[min(clip.width, clip.height)] * (1.5 if "pro" in clip.model else 1.0)
    return Draft(
        model=clip.model,
        prompt=clip.prompt,
        request={
            "prompt": clip.prompt,
            "model": clip.model,
            "seconds": str(round(clip.seconds)),
            "size": size,
            **shown,
        },
        clips=() if reason else (clip,),
        seconds=120 * share * slower,
        cost=0 if reason else MODELS[clip.model][size] * billed,
        verdict=State.FAILED if reason else State.DONE,
        reason=reason,
        keeps=_DAY,
    )


def _characters(fields: Mapping[str, object]) -> Sequence[str]:
    """The ids of at most two objects."""
    given = fields.get("characters", [])
    if not isinstance(given, list):
        raise wrong_type("characters", "an array of objects", given)
    if len(given) > 2:
        message = f"Invalid 'characters': array too long. Expected at most 2, but got {len(given)}."
        raise refuse(400, message, code="array_above_max_length", param="characters")
    for place, item in enumerate(given):
        if not is_object(item) or not isinstance(item.get("id"), str):
            raise wrong_type(f"characters[{place}]", "an object with an id", item)
    return [item["id"] for item in given]


def _check_form(given: object, mode: ReferenceMode, *, sent: bool) -> None:
    """Refuse an `input_reference` in a form that is not taken: of that, time and account decided at OpenAI."""
    taken: tuple[type, ...] = {"both": (Upload, dict), "file_only": (Upload,), "object_only": (dict,)}[mode]
    if sent and not isinstance(given, taken):
        raise wrong_type("input_reference", "a file" if mode == "file_only" else "an object", given)


def _first_frame(given: Upload | Mapping[str, object], size: str, opened: Opened) -> bytes:
    """The picture of `input_reference`, which must have exactly the size of the video."""
    data = given.data if isinstance(given, Upload) else _referenced(given, size, opened)
    try:
        width, height, _ = image_size(data)
    except ValueError:
        message = "Invalid image file for 'input_reference'. Supported formats are: image/jpeg, image/png, image/webp."
        raise refuse(400, message, code="invalid_value", param="input_reference") from None
    if f"{width}x{height}" != size:
        raise refuse(400, "Inpaint image must match the requested width and height", param="input_reference")
    return data


def _referenced(given: Mapping[str, object], size: str, opened: Opened) -> bytes:
    """The bytes behind an object reference. What cannot be fetched here is a placeholder of the right size."""
    check_known(given, ("image_url", "file_id"), "input_reference.")
    if len(given) != 1:
        message = "Invalid 'input_reference': exactly one of 'image_url' and 'file_id' is required."
        raise refuse(400, message, code="invalid_value", param="input_reference")
    ((name, value),) = given.items()
    full = f"input_reference.{name}"
    if not isinstance(value, str):
        raise wrong_type(full, "a string", value)
    if len(value) > _MAX_IMAGE_URL:
        message = f"Invalid '{full}': string too long. Expected at most {_MAX_IMAGE_URL} characters."
        raise refuse(400, message, code="string_above_max_length", param=full)
    if name == "image_url" and opened.knows(value):
        try:
            return opened.data(value)
        except ValueError:
            raise refuse(400, f"Error while downloading '{full}'.", code="invalid_value", param=full) from None
    accepted: Mapping[str, Callable[[str], bool]] = {
        "image_url": lambda text: text.startswith(("https://", "http://")),
        "file_id": lambda text: text.startswith("file-"),
    }
    if accepted[name](value):
        width, height = (int(side) for side in size.split("x"))
        return placeholder(width, height)
    head, _, encoded = value.partition(";base64,")
    if name == "image_url" and head.startswith("data:image/"):
        try:
            return decode_base64(encoded)
        except ValueError:
            pass
    raise refuse(400, f"Invalid '{full}'.", code="invalid_value", param=full)
