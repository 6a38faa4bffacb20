"""What can happen to an answer on its way: the line is reset, falls silent, breaks off in the middle, or drips."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextvars import ContextVar

from attrs import define, evolve, field

from multivideo.clock import Clock
from multivideo.sandbox.wire import ConnectionLost, Reply

__all__ = ["BREAKS", "CALL", "SPOILS", "Call", "LineBroken", "cut"]

_STALL_S = 600.0
_DRIP_S = 30.0
_DROPS = 32  # pieces of a body that drips


class LineBroken(ConnectionLost):
    """A line that dies before an answer; `how` and `seconds` say what a socket should show of it.

    `close` ends it, `reset` ends it with a TCP reset, `half_headers` sends the beginning of an answer first, and
    `stall` keeps it open and silent for that many seconds.
    """

    def __init__(self, how: str = "close", seconds: float = 0.0) -> None:
        super().__init__(sent=how != "unsent")
        self.how = how
        self.seconds = seconds


# By the last part of a fault's name: what happens instead of an answer, and what happens to the answer.
BREAKS: Mapping[str, Callable[[str], LineBroken]] = {
    "unsent": lambda _: LineBroken("unsent"),
    "drop": lambda _: LineBroken("close"),
    "reset": lambda _: LineBroken("reset"),
    "half_headers": lambda _: LineBroken("half_headers"),
    "stall": lambda value: LineBroken("stall", float(value or _STALL_S)),
}
SPOILS: Mapping[str, Callable[[Reply, str, Clock], Reply]] = {
    "half_body": lambda reply, _, __: cut(reply),
    "drip": lambda reply, value, clock: _dripping(reply, float(value or _DRIP_S), clock),
}


@define
class Call:
    """The call that is being answered: the fault script that came with it, and what its answer shall suffer."""

    header: str | None = None
    spoils: list[tuple[str, str]] = field(factory=list)

    def spoil(self, reply: Reply, clock: Clock) -> Reply:
        """The answer as it will arrive."""
        for name, value in self.spoils:
            reply = SPOILS[name](reply, value, clock)
        return reply


# A door does not hand its request down to the job that is looked at, so the call is found here.
CALL: ContextVar[Call | None] = ContextVar("call", default=None)


def cut(reply: Reply) -> Reply:
    """The reply with all its headers and half of its body, after which the line is dead."""
    return evolve(reply, body=_Half(reply.body, _length(reply) // 2))


def _dripping(reply: Reply, seconds: float, clock: Clock) -> Reply:
    length = max(1, _length(reply))
    return evolve(reply, body=_Drops(reply.body, -(-length // _DROPS), seconds / length, clock))


def _length(reply: Reply) -> int:
    return int(reply.header("content-length") or 0)


# No generators: a body that nobody reads to its end needs no clean-up then.


@define
class _Half:
    """A body up to its middle."""

    _body: AsyncIterator[bytes]
    _left: int

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._left <= 0:
            raise LineBroken
        chunk = (await anext(self._body))[: self._left]
        self._left -= len(chunk)
        return chunk


@define
class _Drops:
    """A body in small pieces, each after a pause of its share; a large one comes in more than it was to."""

    _body: AsyncIterator[bytes]
    _size: int
    _pause: float
    _clock: Clock
    _rest: bytes = b""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self._rest = self._rest or await anext(self._body)
        drop, self._rest = self._rest[: self._size], self._rest[self._size :]
        await self._clock.sleep(self._pause * len(drop))
        return drop
