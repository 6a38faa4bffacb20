"""A line between a client and the emulator on which everything goes wrong that can, as the dice say.

It knows what no client does: which paid request reached the vendor, and whether its answer came back clear. What must
never happen on a line is seen here: a request that may have been accepted and is sent once more.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from enum import Enum

from attrs import define, field, frozen

from multivideo.clock import Clock
from multivideo.sandbox import ConnectionLost, Emulator, Reply
from multivideo.sandbox.faults import HEADER
from multivideo.sandbox.jobs import Job
from multivideo.transport.carrier import CarrierFault, Incoming, Outgoing
from sky import Dice

__all__ = ["KINDS", "Line", "Sea", "Sent", "wish_of"]

KINDS = ("submit", "read", "file")
LONGEST_SUBMIT_S = 120.0  # then nobody listens to its answer any more
_WISH = re.compile(rb"Boat (\d+)")
_HTML = b"<!doctype html><title>Sign in</title><p>This network wants to know who you are."
_GARBAGE = (
    b"", b" ", b"null", b"[]", b"{}", b'{"id":', b'"ok"', b"\xff\xfe{\x00}\x00", b"{'id': 1}", b'{"a":NaN}',
    b"[" * 2000, b'{"error":{"code":"' + b"x" * 5000, b'{"code":0,"data":null}', b'{"data":[{"id":{}}]}', _HTML,
)  # fmt: skip
_AMBIGUOUS = (500, 502, 504, 408, 499, 520, 529)
_CLEAR = (400, 401, 403, 404, 413, 422, 429)


class End(Enum):
    """How a paid request ended, as far as who sent it can know."""

    UNSENT = "unsent"  # nothing left
    REFUSED = "refused"  # a clear no
    PERHAPS = "perhaps"  # no clear answer, and the vendor has it or may get it
    ACCEPTED = "accepted"


@define
class Sent:
    """A paid request on its way: of which wish, and how it ended."""

    wish: int
    client: int
    end: End = End.PERHAPS


@frozen
class Weather:
    """How often something happens to a message of each kind, and to a job."""

    rates: Mapping[str, float]
    jobs: float
    bills: float


@define(eq=False)
class Sea:
    """What all lines of a life share."""

    emulator: Emulator
    clock: Clock
    dice: Dice
    weather: Weather
    calm: bool = False
    sent: list[Sent] = field(factory=list)
    trace: list[str] = field(factory=list)
    counts: Counter[str] = field(factory=Counter)
    stale: dict[tuple[str, bytes], tuple[float, int, Mapping[str, str], bytes]] = field(factory=dict)
    later: Callable[[float, Callable[[], Awaitable[None]]], object] = field(default=lambda *_: None)
    on_message: Callable[[int, str], None] = field(default=lambda *_: None)
    bills: dict[str, Decimal | None] = field(factory=dict)
    """By how much the bill of a job is other than its price; None: it is no amount at all."""
    strays: list[str] = field(factory=list)
    """What a line has seen that must never be."""

    def note(self, text: str) -> None:
        """A line of the trace."""
        self.trace.append(f"{self.clock.monotonic():9.2f}  {text}")
        if len(self.trace) > 30_000:
            raise AssertionError("this life does not come to an end")

    def jobs_of(self, wish: int) -> list[Job]:
        """What the vendors have made of the words of a wish."""
        return [job for job in self.emulator.jobs() if f"Boat {wish} " in job.draft.prompt]

    def draw(self, kind: str, what: str) -> tuple[random.Random, bool]:
        """The dice of the next message of that name, and whether something happens to it."""
        self.counts[what] += 1
        dice = self.dice.of(kind, what, self.counts[what])
        return dice, not self.calm and dice.random() < self.weather.rates[kind]


def wish_of(body: bytes) -> int:
    """The wish that a paid request is about."""
    found = _WISH.search(body)
    return int(found[1]) if found else -1


@define(eq=False)
class Line:
    """The carrier of one client."""

    sea: Sea
    client: int
    keys: Mapping[str, str]
    """The key of each door, by the beginning of its path."""
    open_now: int = 0
    is_dead: bool = False

    @asynccontextmanager
    async def open(self, message: Outgoing) -> AsyncIterator[Incoming]:
        """Carry a message, or most of it."""
        kind = "submit" if message.paid else "file" if message.long else "read"
        path = message.url.split("//", 1)[-1].partition("/")[2]
        self._check_key(message, path)
        self.sea.on_message(self.client, kind)
        if self.is_dead:  # the process has died: it hears and says nothing any more
            await self.sea.clock.sleep(10**7)
        self.open_now += 1
        try:
            async with _carried(self, message, kind, path) as incoming:
                yield incoming
        finally:
            self.open_now -= 1

    def _check_key(self, message: Outgoing, path: str) -> None:
        for door, key in self.keys.items():
            if any(key in value for value in message.headers.values()) and not path.startswith(door):
                self.sea.strays.append(f"the key of {door} went to {message.url}")

    async def aclose(self) -> None:
        """Nothing to close: the emulator is everybody's."""


@define
class _Answer:
    status: int
    headers: Mapping[str, str]
    _body: bytes
    _clock: Clock
    _cut_at: int | None = None
    _pause_s: float = 0.0

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        end = len(self._body) if self._cut_at is None else self._cut_at
        step = max(1, end // 4) if self._pause_s else 64 * 1024
        for at in range(0, end, step):
            await self._clock.sleep(self._pause_s / 4)
            yield self._body[at : min(at + step, end)]
        if self._cut_at is not None:
            raise CarrierFault("the connection ended in the middle of an answer", sent=True)


@asynccontextmanager
async def _carried(line: Line, message: Outgoing, kind: str, path: str) -> AsyncIterator[Incoming]:
    carry = {"submit": _submit, "read": _read, "file": _file}[kind]
    yield await carry(line, message, path)


async def _delivered(sea: Sea, message: Outgoing, path: str, more: Mapping[str, str] = {}) -> tuple[Reply, bytes]:
    """What the emulator answers. Raises: CarrierFault where it breaks the line itself."""
    host = message.url.split("//", 1)[-1].partition("/")[0]
    headers = {"host": host, **message.headers, **more}
    try:
        reply = await sea.emulator(message.method, f"/{path}", headers, message.body)
        return reply, await reply.read()
    except ConnectionLost as lost:
        raise CarrierFault("the connection broke", sent=lost.sent) from None


def _plain(sea: Sea, reply: Reply, body: bytes, **how: object) -> _Answer:
    return _Answer(reply.status, {name.lower(): value for name, value in reply.headers}, body, sea.clock, **how)  # type: ignore[arg-type]


def _said(sea: Sea, status: int, body: bytes, dice: random.Random, **headers: str) -> _Answer:
    names = {"content-type": dice.choice(("application/json", "text/html")), **headers}
    return _Answer(status, names, body, sea.clock)


async def _submit(line: Line, message: Outgoing, path: str) -> _Answer:
    """A paid request: unsent, lost on either way, refused in words or without, late, answered by nonsense."""
    sea, wish = line.sea, wish_of(message.body)
    dice, strikes = sea.draw("submit", f"submit of {wish}")
    sent = Sent(wish, line.client)
    how = dice.choice(_SUBMITS) if strikes else "whole"
    if how == "unsent":
        sea.note(f"client {line.client} submit of {wish}: unsent")
        raise CarrierFault("no connection", sent=False)
    sea.sent.append(sent)
    sea.note(f"client {line.client} submit of {wish}: {how}")
    match how:
        case "lost":
            raise CarrierFault("the connection broke", sent=True)
        case "arrives late":
            sea.later(dice.uniform(5, 110), lambda: _arrive_late(sea, message, path, wish, sent))
            raise CarrierFault("the connection broke", sent=True)
        case "no":
            sent.end = End.REFUSED
            return _said(sea, dice.choice(_CLEAR), dice.choice((b"", _HTML, b"{}")), dice)
        case "captive":
            return _said(
                sea, dice.choice((200, 200, 302, 204)), dice.choice(_GARBAGE), dice, location="https://x.example/"
            )
        case "fault":
            return _said(sea, dice.choice(_AMBIGUOUS), dice.choice((b"", _HTML, b"{}")), dice)
    if how == "slow to arrive":
        await sea.clock.sleep(dice.uniform(1, 200))
    reply, body = await _arrive(sea, message, path, wish, sent, dice if strikes else None, how == "refused")
    match how:
        case "unanswered":
            sent.end = End.PERHAPS
            raise CarrierFault("the connection broke while waiting for the answer", sent=True)
        case "half":
            sent.end = End.PERHAPS
            return _plain(sea, reply, body, cut_at=len(body) // 2)
        case "slow":
            pause_s = dice.choice((dice.uniform(1, 110), dice.uniform(130, 200)))
            sent.end = sent.end if pause_s < LONGEST_SUBMIT_S else End.PERHAPS
            return _plain(sea, reply, body, pause_s=pause_s)
        case "nonsense":
            sent.end = End.PERHAPS
            return _said(sea, dice.choice((200, 200, 201, 500, 503)), dice.choice(_GARBAGE), dice)
    return _plain(sea, reply, body)


_SUBMITS = (
    "unsent", "lost", "arrives late", "no", "captive", "fault", "slow to arrive", "refused", "refused", "unanswered",
    "unanswered", "half", "slow", "nonsense",
)  # fmt: skip
_REFUSALS = ("submit=429*2", "submit=503", "submit=429, retry_after=3", "submit=400", "submit=401", "submit=500")


async def _arrive(
    sea: Sea,
    message: Outgoing,
    path: str,
    wish: int,
    sent: Sent,
    dice: random.Random | None = None,
    refused: bool = False,
) -> tuple[Reply, bytes]:
    """The request is with the vendor, whatever becomes of its answer."""
    script = ""
    if dice is not None and refused:
        script = f"{dice.choice(_REFUSALS)}, tag=a{len(sea.sent)}"
    elif not sea.calm:
        script = _fate(sea, wish)
    reply, body = await _delivered(sea, message, path, {HEADER: script} if script else {})
    made = [job for job in sea.jobs_of(wish) if job.id.rpartition("/")[2].encode() in body]
    for job in made:
        sea.note(f"  {job.door} made {job.id.rpartition('/')[2]} of {wish} {script and f'({script})'}")
    sent.end = End.ACCEPTED if made else End.REFUSED if reply.status not in _AMBIGUOUS else End.PERHAPS
    return reply, body


async def _arrive_late(sea: Sea, message: Outgoing, path: str, wish: int, sent: Sent) -> None:
    await _arrive(sea, message, path, wish, sent)
    sent.end = End.PERHAPS


def _fate(sea: Sea, wish: int) -> str:
    """What is to go wrong with the job that is made now, as a script of the emulator."""
    sea.counts[f"fate of {wish}"] += 1
    dice = sea.dice.of("fate", wish, sea.counts[f"fate of {wish}"])
    if dice.random() >= sea.weather.jobs:
        return ""
    words = dice.sample(_FATES, dice.choice((1, 1, 2)))
    return ", ".join([*words, f"tag=f{len(sea.sent)}"])


_FATES = (
    "late=@1*2", "vanish=@2", "vanish=@1", "stuck", "filtered", "filtered=1", "expired", "link_expires=5",
    "deliver=size", "deliver=fps", "deliver=seconds", "deliver=missing_sample", "poll=500@1*2", "poll=404@3",
    "poll=429@2*2", "lean=@1*9", "unknown_status=@1*3", "poll_after_ms=7000", "download=500@1*2", "download_html=@1",
    "download_short=@1", "download_short=@1*4", "download_cut=@1*2", "download_corrupt=@1", "download_expired=@1",
    "download_late=@1*2", "download_type=text/plain", "download_redirect=http://169.254.169.254/x",
    "download_redirect=https://10.0.0.1/x", "download_redirect=http://127.0.0.1:9/elsewhere", "poll_half_body=@1",
    "poll_drip=90@1", "poll_bare=503@1*3",
)  # fmt: skip


async def _read(line: Line, message: Outgoing, path: str) -> _Answer:
    """A question that costs nothing: lost, refused, delayed, answered by nonsense, or by what was true before."""
    sea = line.sea
    dice, strikes = sea.draw("read", path)
    if not strikes:
        return await _true(sea, message, path)
    how = dice.choice(("unsent", "lost", "no", "fault", "slow", "half", "nonsense", "stale", "stale"))
    sea.note(f"client {line.client} read {path[-60:]}: {how}")
    match how:
        case "unsent" | "lost":
            raise CarrierFault("the connection broke", sent=how == "lost")
        case "no":
            return _said(sea, 429, b"", dice, **{"retry-after": dice.choice(("0", "5", "9999", "soon"))})
        case "fault":
            return _said(sea, dice.choice((500, 502, 503, 504, 408)), dice.choice(_GARBAGE), dice)
        case "nonsense":
            return _said(sea, 200, dice.choice(_GARBAGE), dice)
        case "stale":
            at, status, headers, body = sea.stale.get((path, message.body), (-1e9, 0, {}, b""))
            if at > sea.clock.monotonic() - 60:
                return _Answer(status, headers, body, sea.clock)
    answer = await _true(sea, message, path)
    if how == "slow":
        answer._pause_s = dice.uniform(1, 700)
    if how == "half":
        answer._cut_at = len(answer._body) // 2
    return answer


async def _true(sea: Sea, message: Outgoing, path: str) -> _Answer:
    """The vendor's own answer, its bill perhaps another than it should be."""
    reply, body = await _delivered(sea, message, path)
    answer = _plain(sea, reply, _billed(sea, body) if sea.weather.bills and _is_kling(path, body) else body)
    if len(body) < 20_000:
        sea.stale[path, message.body] = sea.clock.monotonic(), answer.status, answer.headers, answer._body
    return answer


def _is_kling(path: str, body: bytes) -> bool:
    return path.startswith("kling") and body.startswith(b'{"code"')


def _billed(sea: Sea, body: bytes) -> bytes:
    """Kling's answer with bills that are twice as high, lower, or no bills at all: of each job always the same."""
    answer = json.loads(body)
    rows = answer["data"] if isinstance(answer.get("data"), list) else [answer.get("data")]
    for row in filter(lambda row: isinstance(row, dict), rows):
        name = str(row.get("id") or row.get("task_id"))
        dice = sea.dice.of("bill", name)
        if dice.random() >= sea.weather.bills:
            continue
        sea.bills[name] = factor = dice.choice((Decimal(2), Decimal("0.5"), Decimal(0), None))
        nonsense: object = dice.choice(("NaN", "-3", "1e400", "much", {"amount": 1}, [[]]))
        for holder in row.get("billing", ()):
            holder["amount"] = nonsense if factor is None else str(Decimal(str(holder["amount"])) * factor)
        if row.get("final_unit_deduction"):
            deducted = Decimal(str(row["final_unit_deduction"]))
            row["final_unit_deduction"] = nonsense if factor is None else str(deducted * factor)
    return json.dumps(answer).encode()


async def _file(line: Line, message: Outgoing, path: str) -> _Answer:
    """A finished file: cut, slow, of another kind, another one, or in pieces where its server knows ranges."""
    sea = line.sea
    dice, strikes = sea.draw("file", path.partition("?")[0])
    how = dice.choice(_FILES) if strikes else "whole"
    if strikes:
        sea.note(f"client {line.client} file {path[-60:]}: {how}")
    match how:
        case "unsent" | "lost":
            raise CarrierFault("the connection broke", sent=how == "lost")
        case "no":
            return _said(sea, dice.choice((403, 404, 410, 416, 429, 500, 503)), b"no", dice)
        case "captive":
            return _Answer(200, {"content-type": dice.choice(("text/html", "video/mp4"))}, _HTML, sea.clock)
        case "empty":
            return _Answer(200, {"content-type": "video/mp4"}, b"", sea.clock)
        case "away":
            target = dice.choice(("file:///etc/passwd", "https://127.0.0.1/x", "https://h\\x/", "//[::1]/x", "", path))
            return _Answer(302, {"location": target}, b"", sea.clock)
    reply, body = await _delivered(sea, message, path)
    answer = _in_ranges(sea, message, reply, body, ranges=sea.dice.of("ranges").random() < 0.5)
    match how:
        case "cut":
            answer._cut_at = dice.randrange(len(answer._body) + 1)
        case "slow":
            answer._pause_s = dice.uniform(1, 400)
        case "short":
            answer._body = answer._body[: len(answer._body) * 2 // 3]
            answer.headers = {k: v for k, v in answer.headers.items() if k != "content-length"}
        case "long":
            answer._body += b"\0" * 100
    return answer


_FILES = (
    "unsent", "lost", "no", "captive", "empty", "away", "cut", "cut", "cut", "slow", "short", "long",
)  # fmt: skip


def _in_ranges(sea: Sea, message: Outgoing, reply: Reply, body: bytes, *, ranges: bool) -> _Answer:
    """The answer of a file server that knows ranges and marks its files, where this life has one."""
    answer = _plain(sea, reply, body)
    if not ranges or reply.status != 200 or "range" in answer.headers:
        return answer
    mark = f'"{sea.dice.of(body[-32:]).randbytes(4).hex()}"'
    answer.headers = {**answer.headers, "etag": mark, "accept-ranges": "bytes"}
    asked = re.fullmatch(r"bytes=(\d+)-", message.headers.get("range", ""))
    if asked is None or message.headers.get("if-range") != mark:
        return answer
    first = int(asked[1])
    if first >= len(body):
        return _Answer(416, {"content-range": f"bytes */{len(body)}"}, b"", sea.clock)
    part = {"content-range": f"bytes {first}-{len(body) - 1}/{len(body)}", "content-length": str(len(body) - first)}
    return _Answer(206, {**answer.headers, **part}, body[first:], sea.clock)
