"""Which fault script a create call gets: that of its header, else the next one set for its door; and other calls."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable

from attrs import define, field

from multivideo.sandbox.faults import HEADER, KINDS, Fault, Script
from multivideo.sandbox.wire import Reply, Request

__all__ = ["FaultBook"]


@define
class FaultBook:
    """Scripts that wait for a create or for other calls, and how often each header was seen."""

    _calls: dict[str, deque[tuple[Script, int]]] = field(factory=dict)
    _queued: dict[str, deque[tuple[Script, int]]] = field(factory=dict)
    _seen: Counter[tuple[str, str, str]] = field(factory=Counter)

    def queue(self, door: str, script: Script) -> None:
        """Keep a script for the next create on a door, or for its next calls that are of no job.

        Raises:
            ValueError: it has faults for both.
        """
        stages = {KINDS[fault.name].stage for fault in script.faults if fault.name not in ("retry_after", "tag")}
        if "call" in stages and len(stages) > 1:
            raise ValueError("a fault of other calls goes with none of a job")
        waiting = self._calls if "call" in stages else self._queued
        waiting.setdefault(door, deque()).append((script, 1))

    def strike(self, door: str, refuse: Callable[[Fault], Reply]) -> None:
        """Let what was set for this call happen, one that is of no job: neither create, poll nor download."""
        script, count = Script(), 1
        if waiting := self._calls.get(door):
            script, count = waiting[0]
            waiting[0] = script, count + 1
            ends = [fault.first + fault.times for fault in script.faults if KINDS[fault.name].stage == "call"]
            if count + 1 >= max(ends):
                waiting.popleft()
        script.strike("call", count, refuse)

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
