"""What OpenAI checks of `POST /videos`: every field, type and value, in its order and its words.

Sources: OpenAI's video guide and published specification (August 2026), and refusals recorded by public clients.
Where these disagree the wider reading is accepted: 16 and 20 seconds on every model, an `input_reference` as a file
and as an object.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from urllib.parse import parse_qsl

from attrs import frozen
from python_multipart import parse_form
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, parse_options_header

from multivideo.sandbox.fields import decode_base64, is_object, json_kind, load_object
from multivideo.sandbox.jobs import Draft, State
from multivideo.sandbox.render import Clip, image_size, placeholder
from multivideo.sandbox.wire import Refused, Request, json_reply

__all__ = ["MODELS", "Upload", "read_fields", "read_order", "refuse"]

# What it has to say about a broken form is the answer; without a handler it would go to standard error as well.
logging.getLogger("python_multipart").addHandler(logging.NullHandler())

_DAY = 86_400
_SECONDS = ("4", "8", "12", "16", "20")
_FIELDS = frozenset({"prompt", "model", "seconds", "size", "input_reference", "characters"})
_MAX_PROMPT = 32_000
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


@frozen
class Upload:
    """A file part of a form."""

    data: bytes


def refuse(
    status: int, message: str, *, code: str | None = None, param: str | None = None, kind: str = "invalid_request_error"
) -> Refused:
    """OpenAI's error envelope, to be raised."""
    return Refused(json_reply(status, {"error": {"message": message, "type": kind, "param": param, "code": code}}))


def _one_of(words: Iterable[str], last: str) -> str:
    *rest, end = [f"'{word}'" for word in words]
    return f"{', '.join(rest)}, {last} {end}" if len(rest) > 1 else f"{rest[0]} {last} {end}"


def read_fields(request: Request) -> Mapping[str, object]:
    """The fields of a JSON body or a form; brackets in form names are objects and lists."""
    kind = request.content_type()
    if kind == "application/json":
        try:
            return load_object(request.body)
        except ValueError:
            raise refuse(400, "We could not parse the JSON body of your request.") from None
    fields: dict[str, object] = {}
    if kind == "multipart/form-data":
        _read_form(request, fields)
    elif kind == "application/x-www-form-urlencoded":
        for name, value in parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True):
            _put(fields, name, value)
    else:
        message = f"Unsupported content type: '{kind}'. This API method accepts 'application/json' requests."
        raise refuse(400, message, code="unsupported_content_type")
    return fields


def _read_form(request: Request, fields: dict[str, object]) -> None:
    def on_text(part: Field) -> None:
        _put(fields, (part.field_name or b"").decode(), (part.value or b"").decode("utf-8", "replace"))

    def on_file(part: File) -> None:
        with part.file_object as file:  # on disk when it is large
            file.seek(0)
            data = file.read()
        _put(fields, (part.field_name or b"").decode(), Upload(data))

    content_type = request.headers["content-type"].encode()
    end = b"--" + parse_options_header(content_type)[1].get(b"boundary", b"") + b"--"
    try:
        if end not in request.body:  # the parser is content with half a form
            raise ValueError("the form has no end")
        parse_form({"Content-Type": content_type}, io.BytesIO(request.body), on_text, on_file)
    except (FormParserError, UnicodeDecodeError, ValueError):
        raise refuse(400, "We could not parse the multipart body of your request.") from None


def _put(fields: dict[str, object], name: str, value: object) -> None:
    """Write `a`, `a[b]` or `a[][b]` into nested objects and lists."""
    head, *path = re.findall(r"[^\[\]]+|\[\]", name) or [name]
    if not path:
        fields[head] = value
    elif path == ["[]"]:
        _list_in(fields, head).append(value)
    elif path[0] == "[]":
        _list_in(fields, head).append({path[1]: value})
    else:
        inner = fields.setdefault(head, {})
        if isinstance(inner, dict):
            inner[path[0]] = value


def _list_in(fields: dict[str, object], name: str) -> list[object]:
    found = fields.setdefault(name, [])
    return found if isinstance(found, list) else []


def read_order(fields: Mapping[str, object]) -> Draft:
    """The order, checked; Refused with OpenAI's answer to the first fault."""
    for name in fields:
        if name not in _FIELDS:
            raise refuse(400, f"Unknown parameter: '{name}'.", code="unknown_parameter", param=name)
    prompt = read_prompt(fields)
    seconds = _text(fields, "seconds", "4", f"one of {_one_of(_SECONDS, 'or')}")
    size = _text(fields, "size", "720x1280", "a string")
    model = _text(fields, "model", "sora-2", "a string")
    characters = _characters(fields)
    if not isinstance(given := fields.get("input_reference", {}), Upload | dict):
        raise _wrong_type("input_reference", "an object", given)
    sizes = MODELS.get(model)
    if sizes is None:
        message = f"The model '{model}' does not exist or you do not have access to it."
        raise refuse(404, message, code="model_not_found", param="model")
    _check_choice("seconds", seconds, _SECONDS)
    _check_choice("size", size, sizes)
    for name in characters:  # none can be made here, so none is known
        raise refuse(404, f"Character with id '{name}' not found.")
    frame = _first_frame(given, size) if "input_reference" in fields else None
    if "sentinel_block" in prompt.lower():
        message = "Hmmm something didn't look right with your request. Please try again later."
        raise refuse(400, message, code="sentinel_block")
    return make_draft(model, prompt, int(seconds), size, frame)


def make_draft(model: str, prompt: str, seconds: int, size: str, frame: bytes | None) -> Draft:
    """The draft of a checked order; a trigger word in the prompt decides how it ends."""
    words = ("moderation_blocked", "video_generation_failed")
    reason = next((word for word in words if word in prompt.lower()), "")
    width, height = (int(side) for side in size.split("x"))
    clip = Clip(
        model=model, prompt=prompt, seed=0, width=width, height=height, seconds=seconds, fps=30, audio=True,
        first_frame=frame,
    )  # fmt: skip
    share = 0.4 + 0.6 * seconds / 8
    slower = {720: 1.0, 1024: 1.3, 1080: 1.6}[min(width, height)] * (1.5 if "pro" in model else 1.0)
    return Draft(
        model=model,
        prompt=prompt,
        request={"prompt": prompt, "model": model, "seconds": str(seconds), "size": size, "first_frame": bool(frame)},
        clips=() if reason else (clip,),
        seconds=120 * share * slower,
        cost=0 if reason else MODELS[model][size] * seconds,
        verdict=State.FAILED if reason else State.DONE,
        reason=reason,
        keeps=_DAY,
    )


def read_prompt(fields: Mapping[str, object]) -> str:
    """The prompt of any of the operations."""
    if "prompt" not in fields:
        raise refuse(400, "Missing required parameter: 'prompt'.", code="missing_required_parameter", param="prompt")
    prompt = _text(fields, "prompt", "", "a string")
    if not 1 <= len(prompt) <= _MAX_PROMPT:
        bound = "too short" if not prompt else "too long"
        code = "string_below_min_length" if not prompt else "string_above_max_length"
        message = f"Invalid 'prompt': string {bound}. Expected a string of 1 to {_MAX_PROMPT} characters, but got"
        raise refuse(400, f"{message} a string with length {len(prompt)} instead.", code=code, param="prompt")
    return prompt


def _wrong_type(name: str, expected: str, value: object) -> Refused:
    message = f"Invalid type for '{name}': expected {expected}, but got {json_kind(value)} instead."
    return refuse(400, message, code="invalid_type", param=name)


def _text(fields: Mapping[str, object], name: str, default: str, expected: str) -> str:
    value = fields.get(name, default)
    if not isinstance(value, str):
        raise _wrong_type(name, expected, value)
    return value


def _check_choice(name: str, value: str, allowed: Iterable[str]) -> None:
    if value not in allowed:
        message = f"Invalid value: '{value}'. Supported values are: {_one_of(allowed, 'and')}."
        raise refuse(400, message, code="invalid_value", param=name)


def _characters(fields: Mapping[str, object]) -> Sequence[str]:
    """The ids of at most two objects."""
    given = fields.get("characters", [])
    if not isinstance(given, list):
        raise _wrong_type("characters", "an array of objects", given)
    if len(given) > 2:
        message = f"Invalid 'characters': array too long. Expected at most 2, but got {len(given)}."
        raise refuse(400, message, code="array_above_max_length", param="characters")
    for place, item in enumerate(given):
        if not is_object(item) or not isinstance(item.get("id"), str):
            raise _wrong_type(f"characters[{place}]", "an object with an id", item)
    return [item["id"] for item in given]


def _first_frame(given: Upload | Mapping[str, object], size: str) -> bytes:
    """The picture of `input_reference`, which must have exactly the size of the video."""
    data = given.data if isinstance(given, Upload) else _referenced(given, size)
    try:
        width, height, _ = image_size(data)
    except ValueError:
        message = "Invalid image file for 'input_reference'. Supported formats are: image/jpeg, image/png, image/webp."
        raise refuse(400, message, code="invalid_value", param="input_reference") from None
    if f"{width}x{height}" != size:
        raise refuse(400, "Inpaint image must match the requested width and height", param="input_reference")
    return data


def _referenced(given: Mapping[str, object], size: str) -> bytes:
    """The bytes behind an object reference. What cannot be fetched here is a placeholder of the right size."""
    for name in given:
        if name not in ("image_url", "file_id"):
            full = f"input_reference.{name}"
            raise refuse(400, f"Unknown parameter: '{full}'.", code="unknown_parameter", param=full)
    if len(given) != 1:
        message = "Invalid 'input_reference': exactly one of 'image_url' and 'file_id' is required."
        raise refuse(400, message, code="invalid_value", param="input_reference")
    ((name, value),) = given.items()
    full = f"input_reference.{name}"
    if not isinstance(value, str):
        raise _wrong_type(full, "a string", value)
    if len(value) > _MAX_IMAGE_URL:
        message = f"Invalid '{full}': string too long. Expected at most {_MAX_IMAGE_URL} characters."
        raise refuse(400, message, code="string_above_max_length", param=full)
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
