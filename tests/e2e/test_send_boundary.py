"""Whether a paid request left this machine, over every kind of line, and what the user and the books get told."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
import pytest
import trustme
from attrs import frozen

import multivideo as mv
from multivideo.clock import Nap, SystemClock
from multivideo.transport.http import HttpCarrier, Limits
from raw_server import Authority, Handler, Line, Wire, serving, tunnel

pytestmark = pytest.mark.anyio

WAYS = ["plain", "tls", "plain through a proxy", "tls through a proxy"]
MODEL = mv.ModelSpec(sizes=("320x180",), seconds=(1,), fps=8, price_per_second="0.5")
PROMPT = "A heron takes off from a misty lake"
NAME = "vendor.example"


class Hurried(SystemClock):
    """Real time in which no pause between two tries takes any."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(0)

    def nap(self, seconds: float) -> Nap:
        return super().nap(0)


async def at_home(host: str) -> Sequence[str]:
    """A directory in which every name is this machine."""
    return ["127.0.0.1"]


async def nowhere(host: str) -> Sequence[str]:
    raise socket.gaierror(-2, "Name or service not known")


@frozen
class Told:
    """What the user was told of a submit that failed, and what the books hold of it."""

    kind: type[mv.MultiVideoError]
    charged: str
    held: bool


SENT_NOTHING = Told(mv.ProviderUnavailable, "no", held=False)
MAYBE_SENT = Told(mv.OutcomeUnknown, "unknown", held=True)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


async def submit(
    url: str, proxy: str | None, trusted: ssl.SSLContext | None, resolve: Callable[[str], Awaitable[Sequence[str]]]
) -> Told:
    """Order a video of a vendor at that address."""
    account = mv.OpenAIVideos(api_key="sk-test", base_url=f"{url}/v1", models={"mine": MODEL})
    async with mv.AsyncClient(providers=[account], ledger=mv.MemoryLedger(), clock=Hurried()) as client:
        limits = Limits(read_s=0.1)
        client._driver.sender.carrier = HttpCarrier(proxy=proxy, ssl_context=trusted, limits=limits, resolve=resolve)
        with pytest.raises(mv.MultiVideoError) as caught:
            await client.submit(PROMPT, model="mine", duration=1)
        client.credits.verify()
        return Told(type(caught.value), caught.value.charged, client.credits.held > mv.usd(0))


def paid(wire: Wire) -> list[bytes]:
    """The creates that arrived, each whole."""
    return [request for request in wire.requests if request.startswith(b"POST ")]


@asynccontextmanager
async def vendor(way: str, handler: Handler, authority: Authority) -> AsyncIterator[tuple[Wire, str, str | None]]:
    """A vendor that does as the handler says: what arrived there, its address, and the proxy before it."""
    async with serving(handler, authority.server() if "tls" in way else None) as wire:
        plain = f"http://127.0.0.1:{wire.port}"
        if way == "plain":
            yield wire, plain, None
        elif way == "plain through a proxy":  # the vendor itself plays it: a proxy reads the same bytes
            yield wire, "http://localhost", plain
        elif way == "tls":
            yield wire, f"https://{NAME}:{wire.port}", None
        else:
            async with serving(tunnel(lambda: wire.port)) as proxy:
                yield wire, f"https://{NAME}", f"http://127.0.0.1:{proxy.port}"
            assert not any(PROMPT.encode() in request for request in proxy.requests)


async def close(line: Line) -> None:
    """End in good order, without a word."""


async def half(line: Line, answer: bytes) -> None:
    await line.send(answer)


async def silence(line: Line) -> None:
    await line.request()


ENDINGS: dict[str, Callable[[Line], Awaitable[None]]] = {
    "close": close,
    "reset": lambda line: line.reset(),
    "half a head": lambda line: half(line, b"HTTP/1.1 200 OK\r\ncontent-le"),
    "half a body": lambda line: half(line, b'HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"id": "video_1"'),
    "half a chunk": lambda line: half(line, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n99\r\n{"),
    "no HTTP": lambda line: half(line, b"hello\r\n\r\n"),
    "silence": silence,
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("way", WAYS)
async def test_a_create_that_left_and_got_no_whole_answer_is_sent_once_and_stays_held(
    way: str, ending: str, authority: Authority
) -> None:
    async def handle(line: Line) -> None:
        request = await line.request()
        if request.startswith(b"POST "):
            await ENDINGS[ending](line)

    async with vendor(way, handle, authority) as (wire, url, proxy):
        assert await submit(url, proxy, authority.client(), at_home) == MAYBE_SENT
    [create] = paid(wire)
    assert create.count(PROMPT.encode()) == 1


async def test_a_proxy_that_dies_with_the_request_on_its_way_leaves_the_outcome_unknown(authority: Authority) -> None:
    arrived = anyio.Event()

    async def swallow(line: Line) -> None:
        await line.request()
        arrived.set()
        await line.request()

    async def join(line: Line) -> None:
        await tunnel(lambda: wire.port)(line)

    async def dying(line: Line) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(join, line)
            await arrived.wait()
            tasks.cancel_scope.cancel()
        await line.reset()

    async with serving(swallow, authority.server()) as wire, serving(dying) as proxy:
        told = await submit(f"https://{NAME}", f"http://127.0.0.1:{proxy.port}", authority.client(), at_home)
    assert told == MAYBE_SENT
    assert len(paid(wire)) == 1


async def speak_plainly(line: Line) -> None:
    """A server without encryption, which takes the greeting for a bad request."""
    await line.stream.receive()
    await line.send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")


async def never(line: Line) -> None:
    """A server that a client which does not trust it never speaks to."""
    await line.request()


def server(authority: trustme.CA, *names: str, days: float = 1) -> ssl.SSLContext:
    """A server with a certificate for these names that ends in so many days."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    until = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    authority.issue_cert(*names, not_after=until).configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.mark.parametrize("tunnelled", [False, True])
@pytest.mark.parametrize("fault", ["another authority", "another name", "run out", "no encryption"])
async def test_where_encryption_fails_nothing_was_sent_and_nothing_is_held(fault: str, tunnelled: bool) -> None:
    mine, foreign = trustme.CA(), trustme.CA()
    contexts = {
        "another authority": server(foreign, NAME),
        "another name": server(mine, "other.example", "127.0.0.1"),
        "run out": server(mine, NAME, days=-1),
        "no encryption": None,
    }
    handler = never if contexts[fault] else speak_plainly
    async with serving(handler, contexts[fault]) as wire, serving(tunnel(lambda: wire.port)) as proxy:
        through = f"http://127.0.0.1:{proxy.port}" if tunnelled else None
        told = await submit(f"https://{NAME}:{wire.port}", through, trusting(mine), at_home)
    assert told == SENT_NOTHING
    assert wire.requests == []
    assert proxy.connections == (4 if tunnelled else 0)  # nothing left, so it was tried again


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 Connection established\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
    ],
)
async def test_where_a_proxy_opens_no_way_nothing_was_sent_and_nothing_is_held(
    answer: bytes, authority: Authority
) -> None:
    async def refuse(line: Line) -> None:
        await line.request()
        await line.send(answer)

    async with serving(refuse) as proxy:
        told = await submit(f"https://{NAME}", f"http://127.0.0.1:{proxy.port}", authority.client(), at_home)
    assert told == SENT_NOTHING
    assert {request.split(b" ")[0] for request in proxy.requests} == {b"CONNECT"}


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        return int(gone.getsockname()[1])


@pytest.mark.parametrize("proxied", [False, True])
@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "https://vendor.example:{port}"])
async def test_where_nobody_listens_nothing_was_sent_and_nothing_is_held(url: str, proxied: bool) -> None:
    proxy = f"http://127.0.0.1:{closed_port()}" if proxied else None
    assert await submit(url.format(port=closed_port()), proxy, None, at_home) == SENT_NOTHING


async def test_where_the_name_is_not_known_nothing_was_sent_and_nothing_is_held() -> None:
    assert await submit(f"https://{NAME}", None, None, nowhere) == SENT_NOTHING
