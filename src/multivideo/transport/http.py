"""The only module that imports the HTTP library."""

from __future__ import annotations

import logging
import ssl
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from functools import cached_property
from typing import Any

import httpx
from attrs import define, frozen

from ..clock import Clock, SystemClock
from ..errors import InvalidRequest, Problem
from ..wire import Part
from .carrier import CarrierFault, Incoming, Outgoing, Reach
from .guard import BadAddress, origin, pass_host
from .lines import Lines
from .resolve import Resolve, addresses, look_up

__all__ = ["HttpCarrier", "Limits", "fetch_blocking", "multipart"]

_READING_AT_ONCE, _LONG_AT_ONCE = 32, 16
_KEEP_S = 30.0  # longer than the gap between two looks at a job, shorter than what most servers keep a line open
_FIRST_TRY_S = 2.0  # to an address that is not the last of its name
_MOST_GOOD = 256


@frozen
class Limits:
    """Seconds for each step of a request; those for sending and reading start again with each piece."""

    connect_s: float = 5
    write_s: float = 30
    read_s: float = 60


class HttpCarrier:
    """HTTP/1.1 over sockets, on asyncio and trio.

    No redirect is followed, nothing is retried, no cookie is kept, no environment is read: all of that is decided
    above. Paid requests go through connections of their own that are never reused, since a connection that died while
    idle would look like a lost answer; they never wait for one either. The others share a few lines to each origin:
    some for questions, some for files.

    Every name is looked up here, once, and the connection goes to an address that was checked; the certificate must
    be that of the name. Behind a proxy, which looks names up itself, only the host as it is written is checked.

    Raises: InvalidRequest for a proxy that cannot be.
    """

    def __init__(
        self,
        *,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        limits: Limits = Limits(),
        clock: Clock | None = None,
        resolve: Resolve = look_up,
    ) -> None:
        self._proxy = _proxy(proxy) if proxy is not None else None
        self._ssl_context = ssl_context
        self._limits, self._clock, self._resolve = limits, clock or SystemClock(), resolve
        self._good: dict[str, str] = {}  # by host, the address that answered last
        now = self._clock.monotonic
        self._paid = Lines(self._line, now, most=sys.maxsize, keep_s=0)
        self._reading = Lines(self._line, now, most=_READING_AT_ONCE, keep_s=_KEEP_S)
        self._long = Lines(self._line, now, most=_LONG_AT_ONCE, keep_s=_KEEP_S)

    @cached_property
    def _ssl(self) -> ssl.SSLContext:
        return self._ssl_context or httpx.create_ssl_context(trust_env=False)

    def _line(self) -> _Line:
        """The library's transport: its client above that would keep cookies and log whole addresses."""
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=None)
        return _Line(httpx.AsyncHTTPTransport(verify=self._ssl, proxy=self._proxy, limits=limits, trust_env=False))

    @asynccontextmanager
    async def open(self, message: Outgoing) -> AsyncIterator[Incoming]:
        """Send and wait for the head of the answer."""
        boundary = _Boundary(message.method)
        with _told(boundary, self._limits):
            request = _request(message, boundary, self._limits)
            # one provider's own host may be private: its lines are not for what another vendor names
            key = f"{message.reach.value} {origin(message.url)}"
        lines = self._paid if message.paid else self._long if message.long else self._reading
        line, whole = await lines.take(key), False
        try:
            with _told(boundary, self._limits):
                response = await self._send(line, request, message.reach, boundary)
            answer = _Answer(response, self._limits)
            try:
                yield answer
            finally:
                await answer.end()
                whole = answer.is_whole
        finally:
            await lines.give_back(key, line, whole=whole)

    async def aclose(self) -> None:
        """Close every connection; what is asked afterwards opens new ones."""
        for lines in (self._paid, self._reading, self._long):
            await lines.aclose()

    async def _send(self, line: _Line, request: httpx.Request, reach: Reach, boundary: _Boundary) -> httpx.Response:
        """Ask at the address where the line ends, or at each one of the host in turn until one takes a connection."""
        if line.address:
            return await line.ask(request, line.address, self._limits.connect_s)
        host = _host(request.url)
        *others, last = await self._addresses(host, reach)
        for address in others:
            try:
                response = await line.ask(request, address, min(_FIRST_TRY_S, self._limits.connect_s))
                break
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if boundary.crossed:
                    raise
        else:
            response = await line.ask(request, last, self._limits.connect_s)
        if len(self._good) >= _MOST_GOOD:
            self._good.clear()
        self._good[host] = line.address
        return response

    async def _addresses(self, host: str, reach: Reach) -> Sequence[str]:
        if self._proxy is not None:
            pass_host(host, reach)
            return (host,)
        found = await addresses(host, reach, resolve=self._resolve, clock=self._clock, limit_s=self._limits.connect_s)
        return sorted(found, key=lambda address: address != self._good.get(host))


@define(eq=False)
class _Line:
    """A transport of the library with room for one connection, and the address where it ends."""

    transport: httpx.AsyncHTTPTransport
    address: str = ""

    async def ask(self, request: httpx.Request, address: str, connect_s: float) -> httpx.Response:
        """Send the request to that address of its host, whose name stays in its head and in the certificate."""
        request.extensions["timeout"]["connect"] = connect_s
        if address != _host(request.url):
            request.extensions.setdefault("sni_hostname", _host(request.url).rstrip("."))
            request.url = request.url.copy_with(host=address)
        with _unlogged():
            response = await self.transport.handle_async_request(request)
        self.address = address
        return response

    async def aclose(self) -> None:
        """Close the connection."""
        await self.transport.aclose()


def _host(url: httpx.URL) -> str:
    return url.raw_host.decode("ascii")


def _request(message: Outgoing, boundary: _Boundary, limits: Limits) -> httpx.Request:
    seconds = {"connect": limits.connect_s, "write": limits.write_s, "read": limits.read_s, "pool": None}
    extensions = {"trace": boundary.trace, "timeout": seconds}
    return httpx.Request(
        message.method, message.url, headers=message.headers, content=message.body, extensions=extensions
    )


@contextmanager
def _told(boundary: _Boundary, limits: Limits) -> Iterator[None]:
    """Turn what the library raises into one fault that says whether the request may have left."""
    try:
        yield
    except httpx.HTTPError as error:
        sent = boundary.crossed and type(error) not in _OUR_OWN_FAULTS
        raise CarrierFault(_said(error, limits), sent=sent) from None
    except BadAddress:
        raise
    except OSError:  # some errors of the encryption pass the library as they are
        raise CarrierFault("the connection broke", sent=boundary.crossed) from None
    except (httpx.InvalidURL, ValueError):  # found while encoding: a header or a host that is not even ASCII
        raise CarrierFault("an address or a header that cannot be sent", sent=boundary.crossed) from None


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
    def __init__(self, response: httpx.Response, limits: Limits) -> None:
        self._response, self._limits = response, limits
        self._pieces: AsyncIterator[bytes] | None = None
        self.is_whole = False
        self.status = response.status_code
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        self._pieces = self._response.aiter_raw(64 * 1024)
        try:
            async for piece in self._pieces:
                yield piece
            self.is_whole = True
        except httpx.HTTPError as error:
            raise CarrierFault(_said(error, self._limits), sent=True) from None
        except OSError:
            raise CarrierFault("the connection broke", sent=True) from None

    async def end(self) -> None:
        """Keep the connection where the body was read to its end, else close it."""
        await self._response.aclose()
        if self._pieces is not None:  # generators that wait inside the library end by finding the line closed
            with suppress(httpx.HTTPError, OSError):
                async for _ in self._pieces:
                    pass


def _said(error: httpx.HTTPError, limits: Limits) -> str:
    """What went wrong, in words; the library's own text may hold an address with secrets, or nothing at all."""
    words: dict[type[httpx.HTTPError], str] = {
        httpx.ConnectTimeout: f"no connection within {limits.connect_s:g} s",
        httpx.ConnectError: "no connection",
        httpx.ReadTimeout: f"no byte came for {limits.read_s:g} s",
        httpx.WriteTimeout: f"no byte could be sent for {limits.write_s:g} s",
        httpx.RemoteProtocolError: "the connection ended in the middle of an answer",
        httpx.ReadError: "the connection broke while waiting for the answer",
        httpx.WriteError: "the connection broke while sending",
        httpx.ProxyError: "the proxy refused",
        httpx.LocalProtocolError: "a header that HTTP cannot carry",
        httpx.UnsupportedProtocol: "an address that is not http",
    }
    return words.get(type(error), type(error).__name__)


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
        raise CarrierFault(_said(error, Limits(timeout, timeout, timeout)), sent=True) from None
    except (httpx.InvalidURL, ValueError):
        raise CarrierFault("an address or a header that cannot be sent", sent=False) from None
