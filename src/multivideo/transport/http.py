"""The only module that imports the HTTP library."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from functools import cached_property
from typing import Any

import anyio
import httpx

from ..errors import InvalidRequest, Problem
from ..wire import Part
from .carrier import CarrierFault, Incoming, Outgoing

__all__ = ["HttpCarrier", "fetch_blocking", "multipart"]

_TIMEOUT = httpx.Timeout(connect=5, write=30, read=60, pool=10)


class HttpCarrier:
    """HTTP/1.1 over sockets, on asyncio and trio.

    No redirect is followed, nothing is retried, no cookie is kept, no environment is read: all of that is decided
    above. Paid requests go through connections of their own that are never reused, since a connection that died while
    idle would look like a lost answer.

    Raises: InvalidRequest for a proxy that cannot be.
    """

    def __init__(self, *, proxy: str | None = None, ssl_context: ssl.SSLContext | None = None) -> None:
        self._proxy = _proxy(proxy) if proxy is not None else None
        self._ssl_context = ssl_context
        self._lines: dict[bool, httpx.AsyncHTTPTransport] = {}

    @cached_property
    def _ssl(self) -> ssl.SSLContext:
        return self._ssl_context or httpx.create_ssl_context(trust_env=False)

    def _line(self, paid: bool) -> httpx.AsyncHTTPTransport:
        """The library's transport: its client above that would keep cookies and log whole addresses."""
        if paid not in self._lines:
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=0 if paid else 20)
            self._lines[paid] = httpx.AsyncHTTPTransport(
                verify=self._ssl, proxy=self._proxy, limits=limits, trust_env=False
            )
        return self._lines[paid]

    @asynccontextmanager
    async def open(self, message: Outgoing) -> AsyncIterator[Incoming]:
        """Send and wait for the head of the answer."""
        boundary = _Boundary(message.method)
        extensions = {"trace": boundary.trace, "timeout": _TIMEOUT.as_dict()}
        try:
            request = httpx.Request(
                message.method, message.url, headers=message.headers, content=message.body, extensions=extensions
            )
            with _unlogged():
                response = await self._line(message.paid).handle_async_request(request)
        except httpx.HTTPError as error:
            raise CarrierFault(_said(error), sent=boundary.crossed and type(error) not in _OUR_OWN_FAULTS) from None
        except (httpx.InvalidURL, ValueError):  # found while encoding: a header or a host that is not even ASCII
            raise CarrierFault("an address or a header that cannot be sent", sent=boundary.crossed) from None
        answer = _Answer(response)
        try:
            yield answer
        finally:
            await answer.end()

    async def aclose(self) -> None:
        """Close every connection; what is asked afterwards opens new ones."""
        lines, self._lines = self._lines, {}
        with anyio.CancelScope(shield=True):  # a cancelled program closes its sockets too
            for line in lines.values():
                await line.aclose()


def _proxy(address: str) -> httpx.Proxy:
    try:
        proxy = httpx.Proxy(address)
    except (httpx.InvalidURL, ValueError):
        proxy = None
    if proxy is None or proxy.url.scheme not in {"http", "https"} or not proxy.url.host:
        problem = Problem("proxy", "an address that is none", '"http://host:port", with "user:password@" if it asks')
        raise InvalidRequest.of([problem])
    return proxy


_asking: ContextVar[bool] = ContextVar("_asking", default=False)


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep the library's own records of this request out of every log: they quote headers, keys in them too."""
    token = _asking.set(True)
    try:
        yield
    finally:
        _asking.reset(token)


for _name in ("connection", "http11", "proxy"):
    logging.getLogger(f"httpcore.{_name}").addFilter(lambda record: not _asking.get())


class _Boundary:
    """Watches for the moment the first byte of our own request may leave; a proxy's CONNECT is not ours."""

    def __init__(self, method: str) -> None:
        self._method, self.crossed = method.encode(), False

    async def trace(self, name: str, info: Mapping[str, Any]) -> None:
        if name.endswith("send_request_headers.started") and info["request"].method == self._method:
            self.crossed = True


# found by the library before it hands out a byte, though after it has said that it begins
_OUR_OWN_FAULTS = {httpx.LocalProtocolError, httpx.UnsupportedProtocol}


class _Answer:
    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._pieces: AsyncIterator[bytes] | None = None
        self.status = response.status_code
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        self._pieces = self._response.aiter_raw(64 * 1024)
        try:
            async for piece in self._pieces:
                yield piece
        except httpx.HTTPError as error:
            raise CarrierFault(_said(error), sent=True) from None

    async def end(self) -> None:
        """Give the connection back where the body was read to its end, else close it."""
        await self._response.aclose()
        if self._pieces is not None:  # generators that wait inside the library end by finding the line closed
            with suppress(httpx.HTTPError):
                async for _ in self._pieces:
                    pass


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
        httpx.LocalProtocolError: "a header that HTTP cannot carry",
        httpx.UnsupportedProtocol: "an address that is not http",
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
    """One request on this thread: for libraries that fetch tokens and know no event loop.

    Raises: CarrierFault.
    """
    extensions = {"timeout": httpx.Timeout(timeout).as_dict()}
    try:
        request = httpx.Request(method, url, headers=headers, content=body, extensions=extensions)
        with httpx.HTTPTransport(trust_env=False) as line, _unlogged():
            response = line.handle_request(request)
            return response.status_code, dict(response.headers), response.read()
    except httpx.HTTPError as error:
        raise CarrierFault(_said(error), sent=True) from None
    except (httpx.InvalidURL, ValueError):
        raise CarrierFault("an address or a header that cannot be sent", sent=False) from None
