"""How a fault is played: by the emulator's own script, by a socket that breaks, or by an answer put in its place."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from attrs import define, field, frozen

from multivideo.sandbox import Emulator
from multivideo.transport.carrier import Carrier, CarrierFault, Incoming, Outgoing

__all__ = ["Answered", "Broken", "Play", "Rewritten", "Scripted", "Sent", "Watch"]


@frozen
class Scripted:
    """The emulator does it, to the next job of the door."""

    words: Mapping[str, Any]


@frozen
class Broken:
    """A line breaks at that step, the first `times` that it comes to it."""

    how: str
    step: str
    times: int = 1


@frozen
class Answered:
    """This is the answer at that step, the first `times`, and the vendor never hears of the request."""

    step: str
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(factory=dict)
    times: int = 1


@frozen
class Rewritten:
    """The vendor's answers at that step say something else, the first `times`."""

    step: str
    pattern: bytes
    by: bytes
    times: int = 1_000_000


Play = Scripted | Broken | Answered | Rewritten


@define
class Sent:
    """What became of a paid request: "unsent", "lost", or the status of its answer."""

    fate: str = "lost"
    jobs: int = 0
    """How many jobs the vendor had when it was over."""


@define(eq=False)
class Watch:
    """A carrier that plays faults, and notes every paid request and every key that goes where it does not belong."""

    below: Carrier
    impatient: Carrier
    """Takes what will be left without an answer: it gives up soon."""
    emulator: Emulator
    home: str
    key: str
    plays: list[Play]
    arm: Callable[[str], None]
    at: Mapping[str, Callable[[], Any]]
    looking_up: bool = False
    over: bool = False
    paid: list[Sent] = field(factory=list)
    astray: list[str] = field(factory=list)
    asked: set[str] = field(factory=set)
    """Hosts that a request really went to."""
    open_now: int = 0
    played: dict[int, int] = field(factory=dict)
    """How often each fault has struck, by its place."""

    def _step(self, message: Outgoing) -> str:
        if message.paid:
            return "submit"
        return "download" if message.long else "look up" if self.looking_up else "poll"

    def _plays_at(self, step: str) -> list[Play]:
        """The faults that strike now."""
        found: list[Play] = []
        for number, play in enumerate(() if self.over else self.plays):
            if isinstance(play, Scripted) or play.step != step or self.played.get(number, 0) >= play.times:
                continue
            self.played[number] = self.played.get(number, 0) + 1
            found.append(play)
        return found

    @asynccontextmanager
    async def open(self, message: Outgoing) -> AsyncIterator[Incoming]:
        if self.key in str(message.headers) and not message.url.startswith(self.home):
            self.astray.append(message.url)
        step, sent = self._step(message), Sent()
        plays = self._plays_at(step) if message.url.startswith(self.home) else []
        if message.paid:
            self.paid.append(sent)
        if step in self.at:
            self.at[step]()
        self.open_now += 1
        try:
            async with self._answer(message, plays) as incoming:
                sent.fate = str(incoming.status)
                self.asked.add(urlsplit(message.url).hostname or "")
                yield incoming
        except CarrierFault as fault:
            sent.fate = "lost" if fault.sent else "unsent"
            self.asked.add(urlsplit(message.url).hostname or "")
            raise
        finally:
            self.open_now -= 1
            sent.jobs = self.emulator.count()

    @asynccontextmanager
    async def _answer(self, message: Outgoing, plays: list[Play]) -> AsyncIterator[Incoming]:
        carrier = self.below
        for play in plays:
            if isinstance(play, Answered):
                yield _Canned(play.status, {"content-length": str(len(play.body)), **play.headers}, play.body)
                return
            if isinstance(play, Broken):
                self.arm(play.how)
                carrier = self.impatient if play.how == "stall" else carrier
        async with carrier.open(message) as incoming:
            yield _rewritten(incoming, [play for play in plays if isinstance(play, Rewritten)])

    async def aclose(self) -> None:
        await self.below.aclose()
        await self.impatient.aclose()


@define
class _Canned:
    status: int
    headers: Mapping[str, str]
    body: bytes

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        yield self.body


def _rewritten(incoming: Incoming, plays: list[Rewritten]) -> Incoming:
    return _Rewriting(incoming, plays) if plays else incoming


@define
class _Rewriting:
    """An answer in which something is put in the place of something else."""

    _true: Incoming
    _plays: list[Rewritten]

    @property
    def status(self) -> int:
        return self._true.status

    @property
    def headers(self) -> Mapping[str, str]:
        return {name: value for name, value in self._true.headers.items() if name != "content-length"}

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        body = b"".join([chunk async for chunk in self._true.chunks()])
        for play in self._plays:
            body = re.sub(play.pattern, play.by, body, flags=re.DOTALL)
        yield body
