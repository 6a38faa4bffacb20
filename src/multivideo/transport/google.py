"""Google's access tokens through its own library `google-auth` (extra `vertex`); its blocking calls run in a thread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
from anyio import to_thread

from ..errors import AuthenticationFailed
from .carrier import CarrierFault

__all__ = ["GoogleSigner"]

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class GoogleSigner:
    """Signs with credentials of google-auth; None means the application-default credentials of this machine."""

    def __init__(self, credentials: Any = None) -> None:
        self._credentials = credentials
        self._lock: anyio.Lock | None = None

    async def headers(self) -> Mapping[str, str]:
        """`Authorization`, and the quota project where the credentials name one; refreshed when stale.

        Raises: AuthenticationFailed.
        """
        if self._lock is None:
            self._lock = anyio.Lock()
        async with self._lock:
            return await to_thread.run_sync(self._fresh)

    def _fresh(self) -> dict[str, str]:
        try:
            import google.auth
        except ImportError:
            raise AuthenticationFailed(
                "Vertex AI needs Google's credentials, and google-auth is not installed.",
                hint="pip install 'multivideo[vertex]', or give Veo(credentials=BearerToken(...))",
            ) from None
        transport: Any = _call  # the library asks for its own class and calls it as a function
        try:
            if self._credentials is None:
                self._credentials, _ = google.auth.default(scopes=[_SCOPE], request=transport)
            elif getattr(self._credentials, "requires_scopes", False):
                self._credentials = self._credentials.with_scopes([_SCOPE])
            headers: dict[str, str] = {}
            self._credentials.before_request(transport, "POST", "https://aiplatform.googleapis.com/", headers)
        except Exception as error:  # noqa: BLE001 - credentials may be anybody's, and their words may hold the key
            raise AuthenticationFailed(
                f"Google gave no access token ({type(error).__name__}).",
                hint="gcloud auth application-default login, or Veo(credentials=...)",
                retryable=getattr(error, "retryable", False) is True,
            ) from None
        return {
            name: value for name, value in headers.items() if name.lower() in {"authorization", "x-goog-user-project"}
        }


class _Response:
    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.status, self.headers, self.data = status, headers, data


def _call(
    url: str, method: str = "GET", body: Any = None, headers: Any = None, timeout: float | None = None, **_: Any
) -> _Response:
    """What google-auth calls a transport. Raises: its TransportError, by which it knows that a network is not there."""
    from google.auth import exceptions

    from .http import fetch_blocking

    failed: Any = exceptions.TransportError
    content = body.encode() if isinstance(body, str) else body
    try:
        return _Response(*fetch_blocking(method, url, headers or {}, content, timeout or 30))
    except CarrierFault as fault:
        raise failed(fault.what, retryable=True) from None
