"""Which fault script a create call gets: that of its header, else the next one set for its door."""

from __future__ import annotations

from collections import Counter, deque

from attrs import define, field

from multivideo.sandbox.faults import HEADER, Script
from multivideo.sandbox.wire import Request

__all__ = ["FaultBook"]


@define
class FaultBook:
    """Scripts that wait for a create, and how often each header was seen."""

    _queued: dict[str, deque[tuple[Script, int]]] = field(factory=dict)
    _seen: Counter[tuple[str, str, str]] = field(factory=Counter)

    def queue(self, door: str, script: Script) -> None:
        """Keep a script for the next create on a door."""
        self._queued.setdefault(door, deque()).append((script, 1))

    def take(self, door: str, credential: str, request: Request) -> tuple[Script, int]:
        """The script of this create call, and how often a create has met it, this one included.

        A client that repeats a refused create repeats the header too, so the calls with one header text are counted:
        `submit=503*2` refuses twice and lets the third pass.
        """
        text = request.headers.get(HEADER)
        if text is not None:
            self._seen[door, credential, text] += 1
            return Script.of_header(text), self._seen[door, credential, text]
        queued = self._queued.get(door)
        if not queued:
            return Script(), 1
        script, count = queued.popleft()
        if script.hits("submit", count + 1):
            queued.appendleft((script, count + 1))
        return script, count
