"""What can go wrong on demand: fault scripts that ride on a create call, and how they strike."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter, deque
from collections.abc import Callable, Mapping

from attrs import define, evolve, field, frozen

from multivideo.sandbox.wire import ConnectionLost, Refused, Reply, Request, file_reply, json_reply

__all__ = ["HEADER", "KINDS", "Fault", "FaultBook", "Kind", "Script", "deliver"]

HEADER = "x-multivideo-fault"
_FOREVER = sys.maxsize
_WORD = re.compile(r"(?P<value>[^@*]*)(?:@(?P<first>\d+))?(?:\*(?P<times>\d+))?")
_HTML = b"<!doctype html><html><head><title>502 Bad Gateway</title></head><body>Bad gateway</body></html>"


@frozen
class Kind:
    """A sort of fault: the step at which it strikes, and how often unless told otherwise."""

    stage: str
    times: int = 1


# Stages: submit = the create call, before a job exists; made = the same call once the job exists; poll and download
# = the n-th look at the job and at its file; always = in force as long as the job lives.
KINDS: Mapping[str, Kind] = {
    "submit": Kind("submit"),
    "submit_drop": Kind("submit"),
    "submit_unsent": Kind("submit"),
    "made": Kind("made"),
    "made_drop": Kind("made"),
    "poll": Kind("poll"),
    "poll_drop": Kind("poll"),
    "poll_unsent": Kind("poll"),
    "unknown_status": Kind("poll"),
    "late": Kind("poll"),
    "vanish": Kind("poll", _FOREVER),
    "stuck": Kind("always", _FOREVER),
    "poll_after_ms": Kind("always", _FOREVER),
    "retry_after": Kind("always", _FOREVER),
    "expired": Kind("always", _FOREVER),
    "download": Kind("download"),
    "download_drop": Kind("download"),
    "download_late": Kind("download"),
    "download_html": Kind("download"),
    "download_short": Kind("download"),
    "download_cut": Kind("download"),
    "tag": Kind("none"),
}


@frozen
class Fault:
    """One fault: what, with which value, from the n-th time on, how many times."""

    name: str
    value: str = ""
    first: int = 1
    times: int = 1
    body: str | None = None
    content_type: str = "application/json"

    @classmethod
    def of(cls, name: str, given: object) -> Fault:
        """A fault from `503@2*3` (value, first, times) or from a mapping with these keys and `body`."""
        kind = KINDS.get(name)
        if kind is None:
            raise ValueError(f"unknown fault {name!r}; known: {', '.join(sorted(KINDS))}")
        if isinstance(given, Mapping):
            body = given.get("body")
            return cls(
                name,
                str(given.get("value", "")),
                int(given.get("first", 1)),
                int(given.get("times", kind.times)),
                None if body is None else str(body),
                str(given.get("content_type", "application/json")),
            )
        found = _WORD.fullmatch("" if given is True else str(given))
        if found is None:
            raise ValueError(f"fault {name!r} has no readable value: {given!r}")
        return cls(name, found["value"], int(found["first"] or 1), int(found["times"] or kind.times))

    def __attrs_post_init__(self) -> None:
        if self.name in ("submit", "made", "poll", "download") and not re.fullmatch("[1-5][0-9]{2,3}", self.value):
            raise ValueError(f"fault {self.name!r} needs a status, such as {self.name}=503")

    def reply(self) -> Reply:
        """The answer that the fault brings along."""
        return Reply.of(int(self.value), (self.body or "").encode(), self.content_type)

    def applies(self, count: int) -> bool:
        """Whether it strikes at the `count`-th time, counted from 1."""
        return self.first <= count < self.first + self.times


@frozen
class Script:
    """All faults of one job."""

    faults: tuple[Fault, ...] = ()

    @classmethod
    def of(cls, words: Mapping[str, object]) -> Script:
        """A script from fault names and their values; a list of values is several faults of one name."""
        listed = ((name, given if isinstance(given, list | tuple) else [given]) for name, given in words.items())
        return cls(tuple(Fault.of(name, one) for name, many in listed for one in many if one is not False))

    @classmethod
    def parse(cls, text: str) -> Script:
        """A script from a header: a JSON object, or words such as `poll=503@2*3, stuck`."""
        if text.lstrip().startswith("{"):
            words = json.loads(text)
            return cls.of(words)
        faults = []
        for word in filter(None, (part.strip() for part in re.split("[,;]", text))):
            name = re.split("[=@*]", word, maxsplit=1)[0].strip()
            faults.append(Fault.of(name, word[len(name) :].strip().removeprefix("=")))
        return cls(tuple(faults))

    def hits(self, stage: str, count: int) -> dict[str, Fault]:
        """The faults that strike at the `count`-th time of a stage."""
        return {fault.name: fault for fault in self.faults if KINDS[fault.name].stage == stage and fault.applies(count)}

    def strike(self, stage: str, count: int, refuse: Callable[[Fault], Reply]) -> dict[str, Fault]:
        """Let the faults of a stage happen; gives those that the door must act out itself.

        Raises:
            ConnectionLost: the connection dies.
            Refused: a status was asked for; `refuse` words it as the vendor would.
        """
        hits = self.hits(stage, count)
        if f"{stage}_unsent" in hits:
            raise ConnectionLost(sent=False)
        if f"{stage}_drop" in hits:
            raise ConnectionLost(sent=True)
        if fault := hits.get(stage):
            reply = refuse(fault) if fault.body is None else fault.reply()
            if wait := self.find("retry_after"):
                reply = evolve(reply, headers=(*reply.headers, ("retry-after", wait.value)))
            raise Refused(reply)
        return hits

    def find(self, name: str) -> Fault | None:
        """The fault of that name, if the script has one."""
        return next((fault for fault in self.faults if fault.name == name), None)


@define
class FaultBook:
    """Which script the next create gets."""

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
            try:
                return Script.parse(text), self._seen[door, credential, text]
            except (ValueError, TypeError) as problem:
                raise Refused(json_reply(400, {"error": {"message": f"{HEADER}: {problem}"}})) from None
        queued = self._queued.get(door)
        if not queued:
            return Script(), 1
        script, count = queued.popleft()
        if script.hits("submit", count + 1):
            queued.appendleft((script, count + 1))
        return script, count


def deliver(
    request: Request,
    hits: Mapping[str, Fault],
    data: bytes,
    content_type: str,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """A finished file, or what the faults of this download leave of it."""
    if "download_html" in hits:
        return Reply.of(200, _HTML, "text/html; charset=utf-8")
    half = len(data) // 2
    if "download_short" in hits:
        return file_reply(request, data[:half], content_type, headers)
    reply = file_reply(request, data, content_type, headers)
    if "download_cut" in hits:
        return evolve(reply, body=Reply.of(200, data, content_type, cut_at=half).body)
    return reply
