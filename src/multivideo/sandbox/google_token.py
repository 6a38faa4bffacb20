"""Google's token endpoint: any well-formed grant is given a token."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from urllib.parse import parse_qs

from attrs import define, field

from multivideo.sandbox.fields import is_object
from multivideo.sandbox.jobs import JobStore
from multivideo.sandbox.wire import Reply, Request, json_reply

__all__ = ["TokenDesk"]

_LIFE_S = 3599
_JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class _BadGrantError(Exception):
    """The description of a refusal; `code` is its name in RFC 6749."""

    def __init__(self, description: str, code: str = "invalid_grant") -> None:
        super().__init__(description)
        self.code = code


@define(eq=False)
class TokenDesk:
    """Gives tokens out and knows whose they are. A signature is not checked: no key is known here."""

    _store: JobStore
    _known: dict[str, tuple[str, float]] = field(factory=dict)

    def grant(self, request: Request) -> Reply:
        """The answer to a service-account (RFC 7523) or refresh-token grant."""
        form = {name: values[-1] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
        try:
            principal = _principal(form)
            if principal == "bad-key":
                raise _BadGrantError("Invalid grant: account not found")
        except _BadGrantError as bad:
            return json_reply(400, {"error": bad.code, "error_description": str(bad)})
        token = f"ya29.emulator-{self._store.hex(40)}"
        self._known[token] = principal, self._store.clock.wall() + _LIFE_S
        return json_reply(200, {"access_token": token, "expires_in": _LIFE_S, "token_type": "Bearer"})

    def owner(self, token: str) -> str | None:
        """Whose token it is: of one given out, its account, until it expires; any other speaks for itself."""
        known = self._known.get(token)
        if known is None:
            return None if token == "bad-key" else token  # noqa: S105 - the word by which a wrong key is played
        return known[0] if self._store.clock.wall() < known[1] else None


def _principal(form: Mapping[str, str]) -> str:
    """The account that asks. `aud` is not compared: google-auth writes Google's address whatever the token_uri."""
    match form.get("grant_type"):
        case "refresh_token":
            if not all(form.get(name) for name in ("client_id", "client_secret", "refresh_token")):
                raise _BadGrantError("Missing required parameter")
            return form["refresh_token"]
        case grant if grant == _JWT_GRANT:
            head, claims = _decode(form.get("assertion", ""))
            if head.get("alg") != "RS256" or not all(
                claims.get(name) for name in ("iss", "scope", "aud", "iat", "exp")
            ):
                raise _BadGrantError("Invalid JWT: RS256 and the claims iss, scope, aud, iat and exp are required")
            return str(claims["iss"])
    raise _BadGrantError(f"Invalid grant_type: {form.get('grant_type', '')}", "unsupported_grant_type")


def _decode(assertion: str) -> tuple[Mapping[str, object], Mapping[str, object]]:
    parts = assertion.split(".")
    if len(parts) != 3 or not parts[2]:
        raise _BadGrantError("Invalid JWT: three parts are required")
    try:
        head, claims = (json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts[:2])
    except ValueError:
        raise _BadGrantError("Invalid JWT: not decodable") from None
    if not is_object(head) or not is_object(claims):
        raise _BadGrantError("Invalid JWT: not objects")
    return head, claims
