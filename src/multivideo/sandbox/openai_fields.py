"""How OpenAI's bodies are read: JSON and forms into fields, and the refusals that all its operations share.

Sources: OpenAI's published specification (August 2026), and refusals recorded by public clients.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl

from attrs import frozen
from python_multipart import parse_form
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, parse_options_header

from multivideo.sandbox.fields import json_kind, load_object
from multivideo.sandbox.wire import Refused, Request, json_reply

__all__ = [
    "Upload",
    "check_blocked",
    "check_choice",
    "check_known",
    "missing",
    "one_of",
    "read_fields",
    "read_prompt",
    "read_text",
    "refuse",
    "wrong_type",
]

# What it has to say about a broken form is the answer; without a handler it would go to standard error as well.
logging.getLogger("python_multipart").addHandler(logging.NullHandler())

_MAX_PROMPT = 32_000


@frozen
class Upload:
    """A file part of a form."""

    data: bytes


def refuse(
    status: int, message: str, *, code: str | None = None, param: str | None = None, kind: str = "invalid_request_error"
) -> Refused:
    """OpenAI's error envelope, to be raised."""
    return Refused(json_reply(status, {"error": {"message": message, "type": kind, "param": param, "code": code}}))


def missing(name: str) -> Refused:
    """The refusal of an order without a field that it needs."""
    return refuse(400, f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name)


def wrong_type(name: str, expected: str, value: object) -> Refused:
    """The refusal of a value of another type."""
    message = f"Invalid type for '{name}': expected {expected}, but got {json_kind(value)} instead."
    return refuse(400, message, code="invalid_type", param=name)


def one_of(words: Iterable[str], last: str) -> str:
    """A list of quoted words as a text, with `last` ("or", "and") before the last one."""
    *rest, end = [f"'{word}'" for word in words]
    return f"{', '.join(rest)}, {last} {end}" if len(rest) > 1 else f"{rest[0]} {last} {end}"


def check_known(fields: Mapping[str, object], known: Iterable[str], start: str = "") -> None:
    """Refuse the first field that is not known; `start` stands before its name."""
    for name in fields:
        if name not in known:
            full = start + name
            raise refuse(400, f"Unknown parameter: '{full}'.", code="unknown_parameter", param=full)


def check_choice(name: str, value: str, allowed: Iterable[str]) -> None:
    """Refuse a word that is not among those allowed."""
    if value not in allowed:
        message = f"Invalid value: '{value}'. Supported values are: {one_of(allowed, 'and')}."
        raise refuse(400, message, code="invalid_value", param=name)


def check_blocked(text: str) -> None:
    """Refuse a text with the word that plays a refusal of content before the queue."""
    if "sentinel_block" in text.lower():
        message = "Hmmm something didn't look right with your request. Please try again later."
        raise refuse(400, message, code="sentinel_block")


def read_text(fields: Mapping[str, object], name: str, default: str, expected: str = "a string") -> str:
    """A field that must be a string."""
    value = fields.get(name, default)
    if not isinstance(value, str):
        raise wrong_type(name, expected, value)
    return value


def read_prompt(fields: Mapping[str, object], name: str = "prompt", longest: int = _MAX_PROMPT) -> str:
    """The prompt of any operation, or another text that must be there and neither empty nor too long."""
    if name not in fields:
        raise missing(name)
    text = read_text(fields, name, "")
    if not 1 <= len(text) <= longest:
        bound = "too short" if not text else "too long"
        code = "string_below_min_length" if not text else "string_above_max_length"
        message = f"Invalid '{name}': string {bound}. Expected a string of 1 to {longest} characters, but got"
        raise refuse(400, f"{message} a string with length {len(text)} instead.", code=code, param=name)
    return text


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
