"""Real sockets in front of the emulator, of which one breaks as it is told; and a clock that waits for nobody."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

import anyio
import anyio.lowlevel
import trustme
from anyio.streams.tls import TLSStream
from attrs import define, field, frozen

from multivideo.clock import Nap
from multivideo.sandbox import Emulator
from raw_server import BROKEN, Line, Wire

HOST = "localhost"
NOWHERE = "127.0.0.2"  # of this machine too, and nobody listens there
BEFORE_THE_BOUNDARY = ("no name", "refused", "untrusted", "no handshake")
AFTER_THE_BOUNDARY = ("reset unread", "close", "reset", "half head", "half body", "stall", "drip", "garbage")
DRIP_S = 30.0  # between two pieces, which is less than any read limit
PIECES = 64


@define(eq=False)
class HastyClock:
    """Time that passes at once when somebody sleeps, and never while bytes travel: for real sockets.

    One task may sleep at a time, as when one job is driven; deadlines that pass meanwhile ring as they should.
    """

    now: float = 0.0
    start: float = 1785542400.0
    _alarms: list[tuple[float, anyio.CancelScope]] = field(factory=list)
    _working: int = 0

    def wall(self) -> float:
        return self.start + self.now

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        while self._working:  # noqa: ASYNC110 - a thread cannot set an event of this loop
            await anyio.sleep(0.001)  # real time, while it does real work
        end = self.now + max(0.0, seconds)
        due = [alarm for alarm in self._alarms if alarm[0] <= end]
        self.now = min([end, *(at for at, _ in due)])
        for at, scope in due:
            if at <= self.now:
                scope.cancel()
        await anyio.lowlevel.checkpoint()
        self.now = max(self.now, end)

    def nap(self, seconds: float) -> Nap:
        return _HastyNap(self, seconds)

    @contextmanager
    def fail_after(self, seconds: float | None) -> Iterator[object]:
        if seconds is None:
            yield None
            return
        with anyio.CancelScope() as scope:
            alarm = (self.now + max(0.0, seconds), scope)
            self._alarms.append(alarm)
            try:
                yield scope
            finally:
                self._alarms.remove(alarm)
        if scope.cancelled_caught:
            raise TimeoutError

    @contextmanager
    def working(self) -> Iterator[None]:
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1


@define(eq=False)
class _HastyNap:
    _clock: HastyClock
    _seconds: float
    _over: bool = False

    async def sleep(self) -> None:
        await self._clock.sleep(0 if self._over else self._seconds)

    def wake(self) -> None:
        self._over = True


@frozen
class Papers:
    """Both ends of an encrypted connection: a server that the client trusts, and that client."""

    server: ssl.SSLContext
    client: ssl.SSLContext


@cache
def papers() -> Papers:
    """Made once, since keys take time."""
    authority = trustme.CA()
    papers = Papers(
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    )
    authority.issue_cert(HOST).configure_cert(papers.server)
    authority.configure_trust(papers.client)
    return papers


@cache
def stranger() -> ssl.SSLContext:
    """A server whose authority nobody knows."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert(HOST).configure_cert(context)
    return context


@define(eq=False)
class Front:
    """The emulator behind real sockets. `armed` is what happens to the next connection, once.

    Every answer ends its connection, so that a fault always strikes a fresh one.
    """

    emulator: Emulator
    clock: HastyClock
    encrypted: bool = False
    armed: str | None = None
    struck: int = 0
    lines: int = 0
    wire: Wire = field(factory=Wire)

    @property
    def url(self) -> str:
        return f"{'https' if self.encrypted else 'http'}://{HOST}:{self.wire.port}"

    async def resolve(self, host: str) -> list[str]:
        """Where the name of the server leads: not asked of the system, whose answer depends on the machine."""
        assert host == HOST
        if self._takes("no name"):
            raise OSError("no such name")
        return [NOWHERE if self._takes("refused") else "127.0.0.1"]

    def _takes(self, *faults: str) -> str | None:
        """The fault that is armed, if it is one of these: it strikes now."""
        how = self.armed if self.armed in faults else None
        if how is not None:
            self.armed, self.struck = None, self.struck + 1
        return how

    async def __call__(self, line: Line) -> None:
        self.lines += 1
        try:
            if self._takes("no handshake"):
                return
            if self._takes("reset unread"):
                await line.reset()
                return
            await self._serve(await self._encrypted(line))
        except ssl.SSLError:
            pass  # the client left in the middle of the handshake
        finally:
            self.lines -= 1

    async def _encrypted(self, line: Line) -> Line:
        if not self.encrypted:
            return line
        context = stranger() if self._takes("untrusted") else papers().server
        return Line(await TLSStream.wrap(line.stream, ssl_context=context, standard_compatible=False), line.wire)

    async def _serve(self, line: Line) -> None:
        whole = await line.request()
        how = self._takes(*AFTER_THE_BOUNDARY)
        head, body = await self._answer(whole)
        match how:
            case None:
                await line.send(head + body)
            case "close":
                pass
            case "reset":
                await line.reset()
            case "half head":
                await line.send(head[: len(head) // 2])
            case "half body":
                await line.send(head + body[: len(body) // 2])
            case "stall":
                with suppress(*BROKEN):
                    await line.stream.receive()  # nothing comes until the client has gone
            case "drip":
                await line.send(head)
                step = -(-len(body) // PIECES)
                for at in range(0, len(body), step):
                    await self.clock.sleep(DRIP_S)
                    await line.send(body[at : at + step])
            case "garbage":
                await line.send(b"220 no http at all\r\n\r\n")

    async def _answer(self, whole: bytes) -> tuple[bytes, bytes]:
        """Head and body of what the vendor says to a request."""
        head, _, body = whole.partition(b"\r\n\r\n")
        first, *rows = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rows)}
        headers["x-forwarded-proto"] = self.url.partition(":")[0]
        reply = await self.emulator(method, path, headers, body)
        said = await reply.read()
        kept = [(name, value) for name, value in reply.headers if name.lower() not in {"content-length", "connection"}]
        kept += [("content-length", str(len(said))), ("connection", "close")]
        lines = "".join(f"{name}: {value}\r\n" for name, value in kept)
        return f"HTTP/1.1 {reply.status} Said\r\n{lines}\r\n".encode("latin-1"), said
