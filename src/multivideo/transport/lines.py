"""A free list of lines: one connection each, for one request at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import anyio
from attrs import define, field

__all__ = ["Line", "Lines"]


class Line(Protocol):
    """Whatever carries one request at a time, and has to be closed in the end."""

    async def aclose(self) -> None:
        """Close the connection, whatever state it is in; harmless a second time."""
        ...


L = TypeVar("L", bound=Line)


@define(eq=False)
class _Door(Generic[L]):
    """What belongs to one origin: the places that are left, in order of asking, and the lines that wait there."""

    places: anyio.Semaphore
    idle: deque[L] = field(factory=deque)  # on the right the one that came back last


class Lines(Generic[L]):
    """Lends lines, the one that came back last first; whoever finds all in use waits for a turn, in order.

    Each origin has `most` lines at most, and lines of its own. They are kept for `keep_s` seconds after their last
    use, `most_idle` of them in all; what is older is closed when the next one comes back, so that no task runs for it.

    A turn has no limit of its own: waiting here says nothing about the network, and whoever asks has a limit for the
    whole try. No step looks through the lines or those who wait, so that a thousand requests at once cost a thousand
    times one; a pool of the HTTP library looks through both at every start and end of a request.
    """

    def __init__(
        self,
        make: Callable[[], L],
        monotonic: Callable[[], float],
        *,
        most: int,
        keep_s: float,
        most_idle: int = 64,
    ) -> None:
        self._make, self._monotonic = make, monotonic
        self._most, self._keep_s, self._most_idle = most, keep_s, most_idle
        self._doors: dict[str, _Door[L]] = {}
        self._idle: dict[L, tuple[str, float]] = {}  # of all doors, in the order in which they came back
        self._lent: set[L] = set()

    async def take(self, origin: str) -> L:
        """A line to that origin, as soon as it is this caller's turn; it has to be given back."""
        door = self._doors.get(origin)
        if door is None:
            places = anyio.Semaphore(self._most, fast_acquire=True)
            door = self._doors[origin] = _Door(places)
        await door.places.acquire()
        if door.idle and not self._is_old(door.idle[-1]):
            line = door.idle.pop()
            del self._idle[line]
        else:
            line = self._make()
        self._lent.add(line)
        return line

    async def give_back(self, origin: str, line: L, *, whole: bool) -> None:
        """End the use of a line; it is used again where the answer was read `whole`, else it is closed."""
        door = self._doors[origin]
        kept = whole and line in self._lent and self._keep_s > 0  # one that is not lent any more was closed meanwhile
        self._lent.discard(line)
        if kept:
            door.idle.append(line)
            self._idle[line] = (origin, self._monotonic())
        door.places.release()
        self._forget(origin)
        if not kept:
            await _closed(line)
        while self._idle and (len(self._idle) > self._most_idle or self._is_old(next(iter(self._idle)))):
            await _closed(self._oldest())

    async def aclose(self) -> None:
        """Close every line, those in use too; what is asked afterwards opens new ones."""
        while self._idle:
            await _closed(self._oldest())
        while self._lent:
            await _closed(self._lent.pop())

    def _is_old(self, line: L) -> bool:
        return self._monotonic() - self._idle[line][1] >= self._keep_s

    def _oldest(self) -> L:
        """Take the line out that has waited longest of all: of its own door too."""
        line, (origin, _) = next(iter(self._idle.items()))
        del self._idle[line]
        self._doors[origin].idle.popleft()
        self._forget(origin)
        return line

    def _forget(self, origin: str) -> None:
        """Drop a door that nobody uses, waits at or has a line behind: addresses of files name ever new hosts."""
        door = self._doors[origin]
        if not door.idle and door.places.value == self._most:
            del self._doors[origin]


async def _closed(line: Line) -> None:
    with anyio.CancelScope(shield=True):  # a cancelled caller closes its socket too
        await line.aclose()
