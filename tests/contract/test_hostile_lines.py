"""Answers that somebody made to do harm, at every step of a whole job: submit, look, look up, download.

Each is swallowed or becomes one error of ours that says its money truly; the job is neither lost nor paid twice, no
key leaves its origin, and what the vendor really made is had in the end. What single readers make of absurd fields is
tested beside them; here the bytes are hostile, and the lengths, the encodings, the headers and the ways they point.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest
from attrs import define, field, frozen
from standardwebhooks import Webhook

import multivideo as mv
from multivideo.clock import VirtualClock
from multivideo.providers.accounts import Account
from multivideo.sandbox import Emulator
from multivideo.transport import download
from multivideo.transport.carrier import Incoming, Outgoing
from multivideo.transport.embedded import HOME, EmbeddedCarrier
from multivideo.transport.guard import pass_host
from sky import ReadyFiles, without_machine

KEY = "sk-canary-4e1f9a7c2b"
SECRET = "whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI="
PROMPT = "canary prompt: a heron walks on the moon"
ACCOUNTS: Mapping[str, Account] = {
    "openai": mv.OpenAIVideos(api_key=KEY, base_url=f"{HOME}/openai/v1"),
    "litellm": mv.OpenAIVideos(api_key=KEY, base_url=f"{HOME}/openai/v1", dialect="litellm"),
    "kling": mv.Kling(api_key=KEY, base_url=f"{HOME}/kling"),
    "kling-legacy": mv.Kling(api_key=KEY, base_url=f"{HOME}/kling", dialect="legacy"),
    "vertex": mv.Veo(project="p", credentials=mv.BearerToken(KEY), base_url=f"{HOME}/vertex"),
    "bucket": mv.Veo(
        project="p", credentials=mv.BearerToken(KEY), base_url=f"{HOME}/vertex", output_uri="gs://mine/runs"
    ),
    "gemini": mv.Veo(api_key=KEY, base_url=f"{HOME}/gemini"),
}
DOORS = tuple(ACCOUNTS)
STEPS = ("submit", "look", "look up", "download")
# what only whoever has made nothing says
CLEAR = {400, 401, 402, 403, 404, 405, 406, 410, 411, 413, 414, 415, 417, 422, 429, 431, 451}
GZIP = {"content-encoding": "gzip"}
BOMB = gzip.compress(b"\0" * 10_000_000)


@frozen
class Evil:
    """An answer. `endless`: its body begins again whenever it ends; `drip_s`: seconds before each piece of it.

    With `places` it is the vendor's own answer, but for the values of the fields that are called so.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(factory=dict)
    endless: bool = False
    drip_s: float = 0.0
    places: str = ""

    def spoilt(self, answer: bytes) -> bytes:
        """The vendor's answer with this body in the place of some values."""
        field = rf'("(?:{self.places})":\s*)("[^"]*"|[\d.]+)'.encode()
        return re.sub(field, lambda found: found[1] + self.body, answer)

    @property
    def is_clear(self) -> bool:
        """Whether it says by its status that no job was made."""
        return self.status in CLEAR


BODIES: dict[str, bytes] = {
    "nothing": b"", "a blank": b" ", "null": b"null", "true": b"true", "zero": b"0", "text": b'"ok"', "a list": b"[]",
    "an object": b"{}", "a hundred thousand brackets": b"[" * 100_000, "closed brackets": b"[" * 50_000 + b"]" * 50_000,
    "deep objects": b'{"a":' * 30_000 + b"1" + b"}" * 30_000, "deep data": b'{"data":' * 5_000 + b"}" * 5_000,
    "not a number": b'{"id":"a","amount":NaN}', "infinity": b'{"id":"a","n":Infinity}', "below it": b'{"n":-Infinity}',
    "1e999": b'{"n":1e999}', "1e99999999": b'{"n":1e99999999999999999999}', "longer digits": b"9" * 1_000_000,
    "long digits": b'{"n":' + b"9" * 5000 + b"}", "twice an id": b'{"id":"a","id":"b","id":"c"}',
    "twice the money": b'{"code":0,"data":[{"id":"1","status":"succeeded","billing":[{"amount":"1","amount":"9"}]}]}',
    "utf-16": '{"id":"a"}'.encode("utf-16"), "utf-16 backwards": '{"id":"a"}'.encode("utf-16-be"),
    "utf-32": '{"id":"a"}'.encode("utf-32"), "latin-1": '{"id":"ü"}'.encode("latin-1"),
    "two marks": b"\xef\xbb\xbf" * 2,
    "a mark": b"\xef\xbb\xbf{}", "half a letter": b'{"id":"\xc3"}', "overlong": b'{"id":"\xc0\xaf"}',
    "half a pair": b'{"id":"\\ud800"}', "a zero byte": b'{"id":"a\\u0000b"}', "raw zeros": b"\0" * 1000,
    "cut": b'{"id":"vid', "more behind": b'{"id":"a"}{"id":"b"}', "called": b'cb({"id":"a"})', "quotes": b"{'id':'a'}",
    "remarks": b'/* x */{"id":"a"} // y', "html": b"<!doctype html><title>Sign in</title>",
    "xml": b"<?xml version='1.0'?>",
    "an entity": b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "yaml": b"id: !!python/object",
    "random": bytes(range(256)) * 40, "the key": json.dumps({"error": {"message": f"bad key {KEY}"}}).encode(),
    "the prompt": json.dumps({"error": {"message": PROMPT, "code": PROMPT}}).encode(), "a mebibyte": b"x" * 2**20,
    "a long message": json.dumps({"error": {"message": "m" * 500_000}}).encode(), "too much": b" " * (9 * 2**20),
    "an error inside": b'{"error":{"code":"server_error","message":"no"}}',
    "a code inside": b'{"code":5000,"data":null}', "prototype": b'{"__proto__":{"id":1}}',
    "errors of odd kinds": b'{"error":[[[]]],"code":{},"message":[],"data":"x"}',
    "10,000 keys": json.dumps({f"k{n}": n for n in range(10_000)}).encode(),
    "100,000 rows": b"[" + b"{}," * 10**5 + b"{}]",
}  # fmt: skip
ENCODED: dict[str, Evil] = {
    "gzip that is none": Evil(b'{"id":"a"}', headers=GZIP),
    "gzip of nothing": Evil(b"", headers=GZIP),
    "half a gzip": Evil(gzip.compress(b'{"id":"a"}')[:12], headers=GZIP),
    "gzip and more": Evil(gzip.compress(b"{}") + b"more", headers=GZIP),
    "two gzips": Evil(gzip.compress(b"{}") * 2, headers=GZIP),
    "gzip in gzip": Evil(gzip.compress(gzip.compress(b"{}")), headers=GZIP),
    "a bomb": Evil(BOMB, headers=GZIP),
    "a bomb with an error": Evil(BOMB, 500, GZIP),
    "brackets in gzip": Evil(gzip.compress(b"[" * 5_000_000), headers=GZIP),
    "brotli": Evil(b"\x0b\x02\x80{}\x03", headers={"content-encoding": "br"}),
    "zstd": Evil(b"(\xb5/\xfd", headers={"content-encoding": "zstd"}),
    "an encoding of its own": Evil(b"{}", headers={"content-encoding": "x-evil, gzip, gzip"}),
    "endless": Evil(b" " * 65536, endless=True),
    "endless brackets": Evil(b"[" * 65536, endless=True),
    "endless gzip": Evil(BOMB, headers=GZIP, endless=True),
    "a drip": Evil(b"{", endless=True, drip_s=20.0),
    "a drip of letters": Evil(b'{"a":"', endless=True, drip_s=0.5),
    "shorter than it says": Evil(b"{}", headers={"content-length": "1000000"}),
    "longer than it says": Evil(b"{}" * 100, headers={"content-length": "2"}),
    "a length below nothing": Evil(b"{}", headers={"content-length": "-1"}),
    "a length in words": Evil(b"{}", headers={"content-length": "many"}),
    "a length beyond all": Evil(b"{}", headers={"content-length": "9" * 400}),
    "a picture": Evil(b"\x89PNG", headers={"content-type": "image/png"}),
    "a type of a megabyte": Evil(b"{}", headers={"content-type": "a/" + "b" * 2**20}),
    "ten thousand headers": Evil(b"{}", headers={f"x-{n}": "y" for n in range(10_000)}),
    "a request id of 100 KB": Evil(b"{}", 500, {"x-request-id": "r" * 100_000}),
    "a request id of two lines": Evil(b"{}", 500, {"x-request-id": "a\nb\x00"}),
    "the key for a request id": Evil(b"{}", 500, {"x-request-id": KEY}),
}
WAITS = ("-5", "0", "1e9", "999999999", "NaN", "soon", "9" * 5000, "Fri, 31 Dec 9999 23:59:59 GMT", "\x00", "٣")
STATUSES = (
    0, 100, 101, 103, 199, 201, 202, 203, 204, 205, 206, 207, 226, 300, 304, 305, 306, 400, 401, 402, 403, 404, 405,
    408, 409, 410, 411, 412, 413, 415, 416, 418, 421, 422, 423, 425, 426, 429, 451, 499, 500, 501, 502, 503, 504, 507,
    511, 520, 525, 529, 530, 598, 599, 600, 999, 1000,
)  # fmt: skip
AWAY = (
    "http://169.254.169.254/latest/meta-data/", "http://127.0.0.1:22/", "http://[::1]/", "https://10.0.0.1/", "file:///etc/passwd",
    "gopher://x/", "data:application/json,{}", "javascript:1", "https://evil.example/", "//evil.example/", "http://evil.example/",
    "https://user:pw@evil.example/", "https://localhost@evil.example/", "http://localhost:81/", "http://localhost.evil.example/",
    "https://evil.example\\@localhost/", "http://ⅼocalhost/", "https://evil。example/", "http://2130706433/", "http://0x7f.1/",
    "https://evil.example/\r\nauthorization: x", "", " ", "https://", "https://[::1", "https://h:99999/", "x" * 100_000,
    "http://metadata.google.internal/", "https://224.0.0.1/", "http://[::ffff:169.254.169.254]/",
    "https://evil.example/a b",
)  # fmt: skip
HOSTILE: dict[str, Evil] = {
    **{f"body: {name}": Evil(body) for name, body in BODIES.items()},
    **{f"error: {name}": Evil(body, 500) for name, body in BODIES.items()},
    **{f"line: {name}": evil for name, evil in ENCODED.items()},
    **{f"wait {wait[:12]!r}": Evil(b"", 503, {"retry-after": wait, "retry-after-ms": wait}) for wait in WAITS},
    **{f"status {status}": Evil(b"{}", status) for status in STATUSES},
    **{f"away {number}": Evil(b"", 302, {"location": url}) for number, url in enumerate(AWAY)},
    **{f"away, still posting {number}": Evil(b"", 307, {"location": url}) for number, url in enumerate(AWAY)},
}


IDS: tuple[Any, ...] = (
    "a/../b", "../../etc/passwd", "..", ".", "", " ", "a\nb", "a\r\nx: y", "\x00", "\ud800", "ünï", "?x=1#y",
    "%2e%2e%2f", "a" * 100_000, "a b", "//evil.example/", "https://evil.example/", "a\\b", 5, -1, None, True, [], {},
    1e308,
)  # fmt: skip
AMOUNTS: tuple[Any, ...] = (
    "-1", "-0.01", "NaN", "Infinity", "1e400", "1e30", "9" * 400, "", " ", "one", "1,5", "0x10", "١", None, True, [],
    {}, -5, 10**40, "1_000", "+1", "1e-400",
)  # fmt: skip


@define
class _Answer:
    evil: Evil
    clock: VirtualClock

    @property
    def status(self) -> int:
        return self.evil.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self.evil.headers

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        for _ in range(10**9 if self.evil.endless else 1):
            await self.clock.sleep(self.evil.drip_s)
            for at in range(0, len(self.evil.body), 65536):
                yield self.evil.body[at : at + 65536]


@define
class HostileCarrier:
    """The emulator, but for one step that is answered by somebody else, once or always."""

    emulator: Emulator
    step: str
    evil: Evil
    clock: VirtualClock
    left: int = 2
    sent: list[Outgoing] = field(factory=list)
    open_now: int = 0

    @asynccontextmanager
    async def open(self, message: Outgoing) -> AsyncIterator[Incoming]:
        if not message.url.startswith(f"{HOME}/"):  # as where there are sockets
            pass_host(urlsplit(message.url).hostname or "", message.reach)
        self.sent.append(message)
        step = "submit" if message.paid else "download" if message.long else "look"
        self.open_now += 1
        try:
            if not message.url.startswith(f"{HOME}/"):
                yield _Answer(Evil(b"nobody is here", 404), self.clock)
            elif step != self.step or not self.left or (step == "submit" and self.evil.is_clear):
                if step == self.step and self.left:
                    self.left -= 1
                    yield _Answer(self.evil, self.clock)
                    return
                async with EmbeddedCarrier(self.emulator).open(message) as incoming:
                    yield incoming
            else:
                self.left -= not self.evil.places or step == "submit"
                evil = self.evil
                if step == "submit" or evil.places:  # it is accepted, whatever is said of it
                    async with EmbeddedCarrier(self.emulator).open(message) as incoming:
                        body = b"".join([chunk async for chunk in incoming.chunks()])
                    if evil.places:
                        evil = Evil(evil.spoilt(body), incoming.status)
                yield _Answer(evil, self.clock)
        finally:
            self.open_now -= 1

    async def aclose(self) -> None: ...


@define
class Scene:
    """One emulator, and clients of one account on one ledger, each over a line of its own."""

    account: Account
    home: Path
    clock: VirtualClock = field(factory=VirtualClock)
    ledger: mv.MemoryLedger = field(factory=mv.MemoryLedger)
    emulator: Emulator = field(init=False)
    lines: list[HostileCarrier] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.emulator = Emulator(clock=self.clock, latency=5.0)
        self.emulator._store.pool = ReadyFiles(self.clock)  # type: ignore[assignment]

    def client(self, step: str = "", evil: Evil = Evil()) -> mv.AsyncClient:
        client = mv.AsyncClient(providers=[self.account], clock=self.clock, home=self.home, ledger=self.ledger)
        client._emulator, client._emulator_is_shared = self.emulator, True
        line = HostileCarrier(self.emulator, step, evil, self.clock)
        client._carrier = lambda: line  # type: ignore[method-assign]
        client._driver.sender.random = lambda: 0.5
        self.lines.append(line)
        return client


async def lives_through(scene: Scene, step: str, evil: Evil) -> mv.MultiVideoError | None:
    """A job whose step is answered by that, and a recovery in peace; the error that the user was told."""
    lost = step == "look up"
    client = scene.client("submit" if lost else step, Evil(b"", 500) if lost else evil)
    plan = PLANS.setdefault(
        scene.account.name + str(scene.account), client.plan(PROMPT, **WISHES[scene.account.vendor])
    )
    told: mv.MultiVideoError | None = None
    try:
        await client.generate(plan, save_to=f"{scene.home}/{step}.mp4", sidecar=False)
    except mv.MultiVideoError as error:
        told = error
    await client.aclose()
    await scene.clock.sleep(400)
    for patient in (scene.client("look", evil) if lost else scene.client(), scene.client()):
        await patient.recover(deadline=3000)
        await patient.aclose()
    return told


WISHES: Mapping[str, dict[str, Any]] = {
    "openai": {"model": "sora-2", "duration": 4, "resolution": "720p"},
    "kling": {"model": "kling-3.0", "duration": 5, "resolution": "720p"},
    "veo": {"model": "veo-3.1", "duration": 4, "resolution": "720p"},
}
PLANS: dict[str, mv.Plan] = {}
CANNOT_BE_ASKED = {"litellm", "vertex", "gemini"}


def faults_of(scene: Scene, door: str, step: str, evil: Evil, told: mv.MultiVideoError | None) -> Iterator[str]:
    """What must not be."""
    books = scene.client().credits
    books.verify()
    made, open_ones = scene.emulator.jobs(), books.unresolved()
    paid = sum(message.paid for line in scene.lines for message in line.sent)
    perhaps = paid if not evil.is_clear or step == "look up" else 1
    if len(made) > 1 or perhaps > 1:
        yield f"{len(made)} jobs of {paid} requests"
    if told is not None:
        text = f"{told}{told!r}{vars(told)}"
        if KEY in text or PROMPT in text:
            yield "a secret is told"
        if len(str(told)) > 4000 or not str(told).replace("\n", "").isprintable():
            yield f"it says too much: {str(told)[:200]!r}"
        if told.charged == "no" and made and step in {"submit", "look up"} and not (evil.is_clear and step == "submit"):
            yield "it says that nothing is charged"
        if told.charged == "yes" and not made:
            yield "it says that something is charged"
    could = step not in {"submit", "look up"} or door not in CANNOT_BE_ASKED
    if made and could and (books.held.micro_usd or books.spent().micro_usd != made[0].cost):
        yield f"held {books.held}, spent {books.spent()}, the vendor took {made[0].cost}"
    if made and not could and len(open_ones) != 1 and not books.spent():
        yield "it is neither found nor told"
    if not made and (books.held.micro_usd or books.spent().micro_usd):
        yield "money is held or spent for nothing"
    for line in scene.lines:
        if line.open_now:
            yield "an answer is still open"
        for message in line.sent:
            away = not message.url.startswith(f"{HOME}/")
            if away and any(KEY in value for value in message.headers.values()):
                yield f"the key went to {message.url}"
            if away and message.paid:
                yield f"a paid request went to {message.url}"
    if [path for path in scene.home.rglob("*") if path.name.startswith(".") or path.suffix not in {"", ".mp4"}]:
        yield "a file is left"


def _told_in(values: tuple[Any, ...], places: str) -> dict[str, Evil]:
    return {
        f"{places} {number}": Evil(json.dumps(value).encode(), places=places) for number, value in enumerate(values)
    }


@pytest.mark.parametrize("door", ["kling", "kling-legacy", "bucket", "gemini"])
def test_no_address_or_name_in_an_answer_leads_a_client_or_its_key_astray(door: str, tmp_path: Path) -> None:
    wrong: list[str] = []
    names = (
        *AWAY,
        "runs/../../../etc/x.mp4",
        "..\\..\\x.mp4",
        "runs/a\nb.mp4",
        "a" * 5000 + ".mp4",
        "\x00.mp4",
        "CON.mp4",
    )
    with without_machine(tmp_path):
        for scene, name, evil, told in _scenes(tmp_path, door, "look", _told_in(names, "url|uri|gcsUri|name"), wrong):
            made, books = scene.emulator.jobs(), scene.client().credits
            wrong += [f"{name}: {fault}" for fault in faults_of(scene, door, "", evil, told) if "spent" not in fault]
            if len(made) != 1 or books.spent() + books.held < mv.Credits(micro_usd=made[0].cost):
                wrong.append(f"{name}: {len(made)} jobs, spent {books.spent()}, held {books.held}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("door", DOORS)
def test_no_id_in_an_answer_loses_a_paid_job_or_is_asked_for_elsewhere(door: str, tmp_path: Path) -> None:
    wrong: list[str] = []
    with without_machine(tmp_path):
        for scene, name, _, told in _scenes(tmp_path, door, "submit", _told_in(IDS, "id|task_id|name"), wrong):
            books = scene.client().credits
            if told is not None and (
                told.charged not in {"unknown", "held"} or KEY in str(told) or PROMPT in str(told)
            ):
                wrong.append(f"{name}: {told!r} ({told.charged})")
            if scene.emulator.count() != 1 or not (books.held.micro_usd or books.spent().micro_usd):
                wrong.append(f"{name}: {scene.emulator.count()} jobs, held {books.held}, spent {books.spent()}")
            if sum(message.paid for line in scene.lines for message in line.sent) != 1:
                wrong.append(f"{name}: sent again")
            for message in scene.lines[0].sent:
                path = message.url.removeprefix(HOME)
                if ".." in path.split("/") or not message.url.isprintable() or not path.startswith("/"):
                    wrong.append(f"{name}: {message.url[:100]!r} was asked")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("door", ["kling", "kling-legacy"])
def test_no_bill_brings_money_in_or_breaks_the_books(door: str, tmp_path: Path) -> None:
    wrong: list[str] = []
    evils = _told_in(AMOUNTS, "amount|final_unit_deduction")
    with without_machine(tmp_path):
        for scene, name, _, told in _scenes(tmp_path, door, "look", evils, wrong):
            books, [job] = scene.client().credits, scene.emulator.jobs()
            spent = books.spent(by="certainty")
            if told is not None or books.held.micro_usd:
                wrong.append(f"{name}: {told!r}, held {books.held}")
            if spent["reported"].micro_usd < 0 or spent["derived"].micro_usd not in {0, job.cost}:
                wrong.append(f"{name}: {spent}")
    assert not wrong, "\n".join(wrong)


def _scenes(
    folder: Path, door: str, step: str, evils: Mapping[str, Evil], wrong: list[str]
) -> Iterator[tuple[Scene, str, Evil, mv.MultiVideoError | None]]:
    """Each of these answers lived through at a door; whatever foreign comes out of it goes to `wrong`."""
    for number, (name, evil) in enumerate(evils.items()):
        home = folder / str(number)
        home.mkdir()
        scene = Scene(ACCOUNTS[door], home)
        try:
            told = anyio.run(lives_through, scene, step, evil, backend="asyncio" if number % 2 else "trio")
        except Exception as foreign:  # noqa: BLE001 - that none comes out is what is tested
            wrong.append(f"{name}: {foreign!r}"[:300])
            continue
        scene.client().credits.verify()
        yield scene, name, evil, told


@pytest.mark.parametrize("verify", [mv.verify_kling, mv.verify_openai])
def test_no_callback_however_well_signed_breaks_whoever_reads_it(verify: Any) -> None:
    signer = Webhook(SECRET)
    seen = 0
    for body in [*BODIES.values(), *(json.dumps({"id": value, "status": value}).encode() for value in IDS)]:
        for stamp in ("1781080794", "0", "-1", "9" * 30, "soon", ""):
            try:
                signature = signer.sign("msg_1", dt.datetime.fromtimestamp(1781080794, dt.UTC), body.decode())
            except UnicodeDecodeError:
                signature = "v1,none"
            headers = {"Webhook-Id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": signature}
            seen += 1
            found = _outcome(lambda: verify(SECRET, headers, body, now=1781080794.0))  # noqa: B023 - called at once
            if isinstance(found, mv.WebhookEvent):
                assert found.remote_id.isprintable()
                assert 0 < len(found.remote_id) <= 1000
            else:
                assert SECRET not in f"{found}{vars(found)}"
                assert PROMPT not in str(found)
                assert len(str(found)) < 1500
    assert seen > 300


def _outcome(call: Callable[[], mv.WebhookEvent]) -> mv.WebhookEvent | mv.MultiVideoError:
    try:
        return call()
    except mv.MultiVideoError as error:
        return error


class _Credentials:
    """Somebody else's code that is to give a token."""

    def __init__(self, token: object) -> None:
        self.token = token

    def before_request(self, request: Any, method: str, url: str, headers: dict[str, Any]) -> None:
        if isinstance(self.token, Exception):
            raise self.token
        headers["authorization"] = self.token if isinstance(self.token, str | None) else f"Bearer {self.token!r}"


TOKENS: tuple[Any, ...] = (
    RuntimeError(KEY), ValueError(KEY), OSError(5, KEY), KeyError(KEY), UnicodeDecodeError("utf-8", b"x", 0, 1, KEY),
    None, "", 5, [],
    "a\nb: c", "a\x00b", "ünï", "\ud800", "t" * 1_000_000, b"bytes",
)  # fmt: skip


def test_no_token_and_no_error_of_who_gives_it_leaves_this_machine(tmp_path: Path) -> None:
    for number, token in enumerate(TOKENS):
        account = mv.Veo(project="p", credentials=_Credentials(token), base_url=f"{HOME}/vertex")
        scene = Scene(account, tmp_path)
        told = anyio.run(lives_through, scene, "", Evil(), backend="asyncio" if number % 2 else "trio")
        text = f"{told}{told!r}{told and vars(told)}"
        assert KEY not in text
        if told is None or told.charged != "no":
            assert scene.emulator.count() == 1
        else:
            assert scene.emulator.count() == 0
        assert not scene.client().credits.held


def test_there_are_more_than_a_hundred_hostile_answers() -> None:
    assert len({repr(evil) + str(len(evil.body)) + evil.body[:80].hex() for evil in HOSTILE.values()}) > 200


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("door", DOORS)
def test_no_hostile_answer_loses_a_job_costs_twice_or_carries_a_key_away(
    door: str, step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MOST_VIDEO_BYTES", 2**20)  # of an endless file no more is to be written here
    wrong: list[str] = []
    with without_machine(tmp_path):
        for number, (name, evil) in enumerate(HOSTILE.items()):
            if (number + DOORS.index(door)) % len(DOORS):  # each at some door: the readers of all are tested elsewhere
                continue
            home = tmp_path / str(number)
            home.mkdir()
            scene = Scene(ACCOUNTS[door], home)
            try:
                backend = "asyncio" if number % 2 else "trio"
                told = anyio.run(lives_through, scene, step, evil, backend=backend)
            except Exception as foreign:  # noqa: BLE001 - that none comes out is what is tested
                wrong.append(f"{name}: {foreign!r}"[:300])
                continue
            wrong += [
                f"{name}: {fault} ({told and told.what})"[:400] for fault in faults_of(scene, door, step, evil, told)
            ]
    assert not wrong, "\n".join(wrong)
