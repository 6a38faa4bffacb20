"""What can go wrong on demand: fault scripts that ride on a call, and how they strike."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping

from attrs import evolve, frozen

from multivideo.sandbox.deliverables import WRONG
from multivideo.sandbox.line import BREAKS, CALL, SPOILS, cut
from multivideo.sandbox.wire import Refused, Reply, Request, file_reply, json_reply

__all__ = ["HEADER", "KINDS", "Fault", "Kind", "Script", "deliver"]

HEADER = "x-multivideo-fault"
_FOREVER = sys.maxsize
_WORD = re.compile(r"(?P<value>[^@*]*)(?:@(?P<first>\d+))?(?:\*(?P<times>\d+))?")
_HTML = b"<!doctype html><html><head><title>502 Bad Gateway</title></head><body>Bad gateway</body></html>"
_EXPIRED = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"


@frozen
class Kind:
    """A sort of fault: the stage at which it strikes, how often unless told otherwise, and which values it takes."""

    stage: str
    times: int = 1
    value: str = ".*"
    example: str = ""


_SECONDS = r"\d{1,6}(\.\d{1,6})?"

# Stages: submit = the create call, before a job exists; made = the same call once the job exists; poll and download
# = the n-th look at the job and at its file; call = the n-th call of a door that is none of these; order = what is made
# of a job; always = as long as it lives.
_STAGES = ("submit", "made", "poll", "download", "call")
_ANSWERS = ("", "_bare", "_as_200")
_LINE = ("drop", "reset", "half_headers", "half_body")
_SLOW = ("stall", "drip")
KINDS: Mapping[str, Kind] = {
    **{f"{at}{end}": Kind(at, value="[1-5][0-9]{2,3}", example="503") for at in _STAGES for end in _ANSWERS},
    **{f"{at}_{end}": Kind(at) for at in _STAGES for end in _LINE},
    **{f"{at}_{end}": Kind(at, value=f"({_SECONDS})?", example="2.5") for at in _STAGES for end in _SLOW},
    # A job that was made was asked for: its line cannot have died unsent.
    **{f"{at}_unsent": Kind(at) for at in _STAGES if at != "made"},
    "unknown_status": Kind("poll"),
    "lean": Kind("poll"),
    "late": Kind("poll"),
    "vanish": Kind("poll", _FOREVER),
    "stuck": Kind("always", _FOREVER),
    "poll_after_ms": Kind("always", _FOREVER),
    "retry_after": Kind("always", _FOREVER),
    "expired": Kind("always", _FOREVER),
    "link_expires": Kind("always", _FOREVER, _SECONDS, "30"),
    "download_late": Kind("download"),
    "download_html": Kind("download"),
    "download_short": Kind("download"),
    "download_cut": Kind("download"),
    "download_corrupt": Kind("download"),
    "download_expired": Kind("download"),
    "download_type": Kind("download", value=r"[\w.+-]+/[\w.+-]+", example="text/plain"),
    "download_redirect": Kind("download", value=r"https?://[^\s]+", example="http://127.0.0.1:9/file"),
    "filtered": Kind("order", value=r"([1-9]\d?)?", example="1"),
    "deliver": Kind("order", value=WRONG, example="black"),
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
        kind = KINDS[self.name]
        if not re.fullmatch(kind.value, self.value, re.ASCII):
            raise ValueError(f"fault {self.name!r} needs another value, such as {self.name}={kind.example}")

    def reply(self, refuse: Callable[[Fault], Reply]) -> Reply:
        """The answer that it brings along, else the vendor's; whole, without its body, or under status 200."""
        if self.body is not None:
            reply = Reply.of(int(self.value), self.body.encode(), self.content_type)
        else:
            reply = refuse(self)
        if self.name.endswith("_bare"):
            empty = Reply.of(reply.status, b"", "")
            return evolve(empty, headers=(("content-length", "0"),))
        return evolve(reply, status=200) if self.name.endswith("_as_200") else reply

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

    @classmethod
    def of_header(cls, text: str) -> Script:
        """A script from the header of a call; Refused when it cannot be read."""
        try:
            return cls.parse(text)
        except (ValueError, TypeError) as problem:
            raise Refused(json_reply(400, {"error": {"message": f"{HEADER}: {problem}"}})) from None

    def hits(self, stage: str, count: int) -> dict[str, Fault]:
        """The faults that strike at the `count`-th time of a stage."""
        if not self.faults:  # nearly always, and asked of every job of a list
            return {}
        return {fault.name: fault for fault in self.faults if KINDS[fault.name].stage == stage and fault.applies(count)}

    def strike(self, stage: str, count: int, refuse: Callable[[Fault], Reply]) -> dict[str, Fault]:
        """Let the faults of a stage happen; gives those that the door must act out itself.

        Any call but a create may bring a script of its own, which holds for that one call.

        Raises:
            ConnectionLost: the line dies.
            Refused: a status was asked for; `refuse` words it as the vendor would.
        """
        hits, call = self.hits(stage, count), CALL.get()
        if call is not None and call.header and stage in ("poll", "download", "call"):
            hits |= Script.of_header(call.header).hits(stage, 1)
        for end, broken in BREAKS.items():
            if fault := hits.get(f"{stage}_{end}"):
                raise broken(fault.value)
        if call is not None:
            call.spoils += [(end, hits[f"{stage}_{end}"].value) for end in SPOILS if f"{stage}_{end}" in hits]
        for end in _ANSWERS:
            if fault := hits.get(f"{stage}{end}"):
                reply = fault.reply(refuse)
                if wait := self.find("retry_after"):
                    reply = evolve(reply, headers=(*reply.headers, ("retry-after", wait.value)))
                raise Refused(reply)
        return hits

    def find(self, name: str) -> Fault | None:
        """The fault of that name, if the script has one."""
        return next((fault for fault in self.faults if fault.name == name), None)


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
    if "download_expired" in hits:
        return Reply.of(403, _EXPIRED, "application/xml")
    if away := hits.get("download_redirect"):
        return Reply.of(302, b"", "text/html", {"location": away.value})
    if "download_short" in hits:
        data = data[: len(data) // 2]
    if "download_corrupt" in hits:
        data = _corrupt(data)
    kind = hits["download_type"].value if "download_type" in hits else content_type
    reply = file_reply(request, data, kind, headers)
    return cut(reply) if "download_cut" in hits else reply


def _corrupt(data: bytes) -> bytes:
    """The file with every 16th byte of its second half turned over: the length and the index in front still fit."""
    spoiled = bytearray(data)
    for place in range(len(data) // 2, len(data), 16):
        spoiled[place] ^= 0xFF
    return bytes(spoiled)
