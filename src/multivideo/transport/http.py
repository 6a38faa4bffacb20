"""The only module that imports the HTTP library."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any

import httpx

from ..wire import Part
from .carrier import CarrierFault, Incoming, Outgoing

__all__ = ["HttpCarrier", "fetch_blocking", "multipart"]

_TIMEOUT = httpx.Timeout(connect=5, write=30, read=60, pool=10)


class HttpCarrier:
    """HTTP/1.1 over sockets, on asyncio and trio.

    No redirect is followed, nothing is retried, no environment is read: all of that is decided above. Paid requests go
    through connections of their own that are never reused, since a connection that died while idle would look like a
    lost answer.
    """

    def __init__(self, *, proxy: str | None = None, ssl_context: ssl.SSLContext | None = None) -> None:
        self._proxy, self._ssl_context = proxy, ssl_context
        self._clients: dict[bool, httpx.AsyncClient] = {}

    @cached_property
    def _ssl(self) -> ssl.SSLContext:
        return self._ssl_context or httpx.create_ssl_context(trust_env=False)

    def _client(self, paid: bool) -> httpx.AsyncClient:
        if paid not in self._clients:
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=0 if paid else 20)
            self._clients[paid] = httpx.AsyncClient(
                verify=self._ssl, proxy=self._proxy, limits=limits, timeout=_TIMEOUT, trust_env=False
            )
        return self._clients[paid]

    @asynccontextmanager
    async def open(self, message: Outgoing) -> AsyncIterator[Incoming]:
        """Send and wait for the head of the answer."""
        boundary = _Boundary(message.method)
        client = self._client(message.paid)
        request = client.build_request(message.method, message.url, headers=message.headers, content=message.body)
        request.extensions["trace"] = boundary.trace
        try:
            response = await client.send(request, stream=True, follow_redirects=False)
        except httpx.HTTPError as error:
            raise CarrierFault(_said(error), sent=boundary.crossed) from None
        try:
            yield _Answer(response)
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            await client.aclose()


class _Boundary:
    """Watches for the moment the first byte of our own request may leave; a proxy's CONNECT is not ours."""

    def __init__(self, method: str) -> None:
        self._method, self.crossed = method.encode(), False

    async def trace(self, name: str, info: Mapping[str, Any]) -> None:
        if name.endswith("send_request_headers.started") and info["request"].method == self._method:
            self.crossed = True


class _Answer:
    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in self._response.aiter_raw(64 * 1024):
                yield chunk
        except httpx.HTTPError as error:
            raise CarrierFault(_said(error), sent=True) from None


def _said(error: httpx.HTTPError) -> str:
    """What went wrong, in words; the library's own text may hold an address with secrets, or nothing at all."""
    words = {
        httpx.ConnectTimeout: "no connection within 5 s",
        httpx.ConnectError: "no connection",
        httpx.ReadTimeout: "no byte came for 60 s",
        httpx.WriteTimeout: "no byte could be sent for 30 s",
        httpx.PoolTimeout: "no free connection within 10 s",
        httpx.RemoteProtocolError: "the connection ended in the middle of an answer",
        httpx.ReadError: "the connection broke while waiting for the answer",
        httpx.WriteError: "the connection broke while sending",
        httpx.ProxyError: "the proxy refused",
    }
    return next((text for kind, text in words.items() if type(error) is kind), type(error).__name__)


def multipart(parts: Sequence[Part]) -> tuple[str, bytes]:
    """Content type and body of a multipart form, encoded by the library, whose boundary nobody can guess."""
    files: list[tuple[str, Any]] = [(part.name, (part.filename, part.content, part.content_type)) for part in parts]
    request = httpx.Request("POST", "https://example.invalid/", files=files)
    return request.headers["content-type"], request.read()


def fetch_blocking(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: float
) -> tuple[int, dict[str, str], bytes]:
    """One request on this thread: for libraries that fetch tokens and know no event loop."""
    with httpx.Client(timeout=timeout, trust_env=False, follow_redirects=False) as client:
        response = client.request(method, url, headers=dict(headers), content=body)
        return response.status_code, dict(response.headers), response.content
