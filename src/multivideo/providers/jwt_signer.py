"""Kling's tokens of an access key and a secret key, signed by PyJWT (extra `kling`); the legacy protocol takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import field, frozen

from ..errors import AuthenticationFailed
from ..secrets import Secret

__all__ = ["JwtSigner"]

_LIFE_S = 1800  # as in every sample of Kling's authentication page, read 2026-09-20
_EARLY_S = 60  # the samples allow 5 s, which a clock that is a little fast already passes: the token is refused then


@frozen
class JwtSigner:
    """Signs every request with a token of its own; `wall` gives seconds since 1970."""

    access_key: Secret
    secret_key: Secret
    wall: Callable[[], float] = field(repr=False, eq=False)
    early_s: int = _EARLY_S

    async def headers(self) -> Mapping[str, str]:
        """A bearer token that holds for half an hour.

        Raises: AuthenticationFailed where PyJWT is not installed.
        """
        try:
            import jwt
        except ImportError:
            raise AuthenticationFailed(
                "An access key and a secret key need PyJWT, which is not installed.",
                hint="pip install 'multivideo[kling]', or use an API key: Kling(api_key=...)",
            ) from None
        now = int(self.wall())
        claims = {"iss": self.access_key.reveal(), "exp": now + _LIFE_S, "nbf": now - self.early_s}
        token = jwt.encode(claims, self.secret_key.reveal(), algorithm="HS256")
        return {"Authorization": f"Bearer {token}"}
