"""The emulator on a port: uvicorn in front, the same callable behind."""

from __future__ import annotations

import json as json_module
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal, cast

import uvicorn
from attrs import define
from starlette.requests import ClientDisconnect, Request
from uvicorn.protocols.http.h11_impl import H11Protocol

from multivideo.sandbox.core import DOORS, Emulator
from multivideo.sandbox.line import LineBroken
from multivideo.sandbox.wire import ConnectionLost, Reply

if TYPE_CHECKING:
    import asyncio

    from starlette.types import Message, Receive, Scope, Send

__all__ = ["run", "running", "serve"]

_MAX_BODY = 128 * 1024 * 1024  # a 50 MB picture in Base64, with room
_TRANSPORT = "multivideo.transport"
_HALF_HEADERS = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-le"


class _Protocol(H11Protocol):
    """HTTP with one thing more: the app is told its transport, so that it can hang up in the middle."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # narrower, as uvicorn's
        super().connection_made(transport)
        inner = self.app

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope[_TRANSPORT] = transport
            await inner(scope, receive, send)

        self.app = app


@define(eq=False)
class _App:
    """The ASGI door."""

    _emulator: Emulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            body = await _read(Request(scope, receive))
            reply = Reply.of(413, b"too large", "text/plain") if body is None else await self._ask(scope, body)
            await _answer(reply, send)
        except ConnectionLost as lost:
            await self._break(lost, scope[_TRANSPORT], receive)
        except ClientDisconnect:
            return

    async def _ask(self, scope: Scope, body: bytes) -> Reply:
        path = scope["raw_path"].decode("ascii") + ("?" + scope["query_string"].decode("ascii")).rstrip("?")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        return await self._emulator.answer(scope["method"], path, headers, body)

    async def _break(self, lost: ConnectionLost, transport: asyncio.Transport, receive: Receive) -> None:
        """Let the line die as it was told to: in the middle of headers, by a reset, or after a silence."""
        how = lost.how if isinstance(lost, LineBroken) else "close"
        if isinstance(lost, LineBroken) and how == "stall":
            with suppress(TimeoutError), self._emulator.clock.fail_after(lost.seconds):
                await _gone(receive)
        if how == "half_headers":
            transport.write(_HALF_HEADERS)
        if how == "reset":
            # With a linger of 0 the kernel throws away what was not sent and resets the connection.
            line = transport.get_extra_info("socket")
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        transport.close()  # what was written is still sent, then the line is dead
        await _gone(receive)


async def _read(request: Request) -> bytes | None:
    """The body, however it was chunked; None when it is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY:
            return None
    return bytes(body)


async def _answer(reply: Reply, send: Send) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    async for chunk in reply.body:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    """Wait until the server has noticed, so that it does not try to answer after all."""
    message: Message = {"type": ""}
    while message["type"] != "http.disconnect":
        message = await receive()


class _Server(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, emulator: Emulator, on_ready: Callable[[], None]) -> None:
        config = uvicorn.Config(
            _App(emulator),
            http=_Protocol,
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_keep_alive=75,  # longer than clients pause between two polls
            timeout_graceful_shutdown=1,
        )
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()


def _listen(host: str, port: int) -> tuple[socket.socket, str]:
    """A socket bound before anything else starts, and the URL it will answer at."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # named as TCP, or asyncio leaves Nagle's algorithm on and an answer's body waits 40 ms for the head to be confirmed
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    shown = f"[{host}]" if family is socket.AF_INET6 else host
    return listener, f"http://{shown}:{listener.getsockname()[1]}"


def serve(
    emulator: Emulator, *, host: str = "127.0.0.1", port: int = 0, on_ready: Callable[[str], None] | None = None
) -> None:
    """Serve until interrupted; port 0 takes a free one. `on_ready` is given the URL once it answers."""
    listener, url = _listen(host, port)
    with listener:
        _Server(emulator, lambda: on_ready(url) if on_ready else None).run(sockets=[listener])


@contextmanager
def running(emulator: Emulator, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """The URL of the emulator, served by a thread for the length of the block."""
    listener, url = _listen(host, port)
    ready = threading.Event()
    server = _Server(emulator, ready.set)
    thread = threading.Thread(target=server.run, args=([listener],), name="multivideo-sandbox", daemon=True)
    with listener:
        thread.start()
        try:
            if not ready.wait(10):
                raise RuntimeError(f"the emulator did not start at {url}")
            yield url
        finally:
            server.should_exit = True
            thread.join(10)


def run(
    port: int,
    latency: float | None,
    file_uris: str,
    json: bool,
    *,
    post_callbacks: bool = False,
    webhook_secret: str | None = None,
) -> int:
    """What `multivideo sandbox` does: serve until Ctrl-C and tell where; the exit code."""
    emulator = Emulator(
        latency=latency,
        file_uris=cast("Literal['upstream', 'self']", file_uris),
        post_callbacks=post_callbacks,
        webhook_secret=webhook_secret,
    )

    def tell(url: str) -> None:
        if json:
            line = json_module.dumps({"url": url, **{door: url + prefix for door, prefix in DOORS.items()}})
        else:
            line = "\n".join([f"emulator at {url}", *(f"  {door:8}{url}{prefix}" for door, prefix in DOORS.items())])
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    try:
        serve(emulator, port=port, on_ready=tell)
    except KeyboardInterrupt:
        pass  # the way to stop it
    except OSError as problem:
        sys.stderr.write(f"cannot serve on port {port}: {problem}\n")
        return 1
    finally:
        emulator.close()
    return 0
