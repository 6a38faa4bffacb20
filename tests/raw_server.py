"""Servers on real sockets that do just what a test says: answer by the byte, close, reset, tunnel."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import cached_property

import anyio
import anyio.abc
import trustme
from anyio.streams.tls import TLSListener
from attrs import define, field

BROKEN = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


@define
class Wire:
    """What a server saw: its connections and each whole request, in order."""

    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(factory=list)
    ended: anyio.Event = field(factory=anyio.Event)
    """Set when a peer has gone."""


@define
class Line:
    """One connection, seen from the server."""

    stream: anyio.abc.ByteStream
    wire: Wire
    _rest: bytes = b""

    async def request(self) -> bytes:
        """The next request, whole. Raises: EndOfStream if the peer has gone."""
        while b"\r\n\r\n" not in self._rest:
            self._rest += await self.stream.receive()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        size = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
        while len(self._rest) < size:
            self._rest += await self.stream.receive()
        whole, self._rest = head + b"\r\n\r\n" + self._rest[:size], self._rest[size:]
        self.wire.requests.append(whole)
        return whole

    async def send(self, data: bytes) -> None:
        await self.stream.send(data)

    async def reset(self) -> None:
        """End the connection with a RST instead of a FIN."""
        raw = self.stream.extra(anyio.abc.SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await anyio.aclose_forcefully(self.stream)


Handler = Callable[[Line], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
    """A server on a free port of this machine; what it saw is in the wire."""
    wire = Wire()

    async def handle(stream: anyio.abc.ByteStream) -> None:
        wire.connections += 1
        async with stream:
            with suppress(*BROKEN):
                await handler(Line(stream, wire))
        wire.ended.set()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    wire.port = listener.extra(anyio.abc.SocketAttribute.local_port)
    served: anyio.abc.Listener[anyio.abc.ByteStream] = (
        listener if tls is None else TLSListener(listener, tls, standard_compatible=False)
    )
    async with served, anyio.create_task_group() as tasks:
        tasks.start_soon(served.serve, handle)
        with anyio.fail_after(20):  # a test that hangs is a test that fails
            yield wire
        tasks.cancel_scope.cancel()


def tunnel(line_of: Callable[[], int]) -> Handler:
    """A proxy that joins a CONNECT to that port, whatever name was asked for."""

    async def handle(line: Line) -> None:
        await line.request()
        async with await anyio.connect_tcp("127.0.0.1", line_of()) as far:
            await line.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_pump, line.stream, far, tasks.cancel_scope)
                await _pump(far, line.stream, tasks.cancel_scope)

    return handle


async def _pump(source: anyio.abc.ByteReceiveStream, sink: anyio.abc.ByteSendStream, scope: anyio.CancelScope) -> None:
    with suppress(*BROKEN):
        while True:
            await sink.send(await source.receive())
    scope.cancel()


class Authority:
    """A certificate authority of this test run, and contexts for both ends."""

    @cached_property
    def _made(self) -> trustme.CA:
        return trustme.CA()

    def server(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._made.issue_cert("127.0.0.1", "vendor.example").configure_cert(context)
        return context

    def client(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self._made.configure_trust(context)
        return context
