"""The signed token of Kling's legacy protocol: an access key, signed by its secret key, good for half an hour.

Source: Kling's authentication page, read 2026-09-20: HS256, `iss` the access key, `nbf` and `exp` in seconds. That a
token is refused on the second of its end, and one without `nbf` taken, is assumed.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Mapping

from multivideo.sandbox.fields import is_number, is_object

__all__ = ["BadToken", "access_key", "is_signed"]

_SECRETS: Mapping[str, str] = {"ak-test": "sk-test"}
_FORM = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*", re.ASCII)


class BadToken(Exception):
    """A token that is refused, with Kling's code for it."""

    def __init__(self, code: int, message: str | None = None) -> None:
        super().__init__(message or code)
        self.code = code
        self.message = message


def is_signed(token: str) -> bool:
    """Whether a credential is a signed token, and not an API key."""
    return _FORM.fullmatch(token) is not None


def access_key(token: str, now: float) -> str:
    """The access key that signed a token which holds at that wall time; BadToken for any other."""
    signed, _, signature = token.rpartition(".")
    try:
        head, claims = (json.loads(_bytes(part)) for part in signed.split("."))
        given = _bytes(signature)
    except (ValueError, RecursionError):
        raise BadToken(1000) from None
    if not is_object(head) or not is_object(claims) or head.get("alg") != "HS256" or not is_number(claims.get("exp")):
        raise BadToken(1000)
    key = str(claims.get("iss"))
    if key not in _SECRETS:
        raise BadToken(1002, "access key not found")
    if not hmac.compare_digest(given, hmac.digest(_SECRETS[key].encode(), signed.encode(), "sha256")):
        raise BadToken(1002, "Authorization is invalid")
    begin, end = claims.get("nbf", 0), claims["exp"]
    if not is_number(begin) or not is_number(end):
        raise BadToken(1000)
    if now < begin:
        raise BadToken(1003)
    if now >= end:
        raise BadToken(1004)
    return key


def _bytes(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
