"""Small readers that all doors share: typed JSON, and numbers that are not truth values."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import TypeGuard

__all__ = ["as_sent", "decode_base64", "is_int", "is_number", "is_object", "json_kind", "load_object"]


def is_object(value: object) -> TypeGuard[Mapping[str, object]]:
    """Whether it is a JSON object."""
    return isinstance(value, dict)


def is_int(value: object) -> TypeGuard[int]:
    """Whether it is a JSON integer; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is a JSON number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def json_kind(value: object) -> str:
    """The kind of a JSON value, as error texts name it."""
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "a boolean"),
        (int, "an integer"),
        (float, "a decimal"),
        (str, "a string"),
        (list, "an array"),
        (dict, "an object"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "null" if value is None else "a file")


def as_sent(value: object) -> str:
    """A value as its sender wrote it, for an error text; of lists and objects, which may be deep, only the kind."""
    if isinstance(value, str):
        return value
    return json_kind(value) if isinstance(value, list | dict) else json.dumps(value)


def load_object(body: bytes) -> Mapping[str, object]:
    """The JSON object of a body; ValueError when it is none, or holds NaN or Infinity, which JSON has not."""
    try:
        value = json.loads(body, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not is_object(value):
        raise ValueError("not a JSON object")
    return value


def _no_constant(word: str) -> object:
    raise ValueError(f"{word} is no JSON")


def decode_base64(text: str) -> bytes:
    """Strict Base64; ValueError for anything else, the empty string and a `data:` prefix included."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not Base64") from None
    if not data:
        raise ValueError("empty")
    return data
