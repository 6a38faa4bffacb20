from __future__ import annotations

import datetime as dt
import logging
import os
import socket
import ssl
import traceback
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import httpx
import pytest
import trustme
from attrs import define, evolve, field

from multivideo.errors import InvalidRequest
from multivideo.transport.carrier import CarrierFault, Outgoing, Reach
from multivideo.transport.guard import BadAddress
from multivideo.transport.http import HttpCarrier, Limits, _Line, multipart
from multivideo.wire import Part
from raw_server import Authority, Line, Wire, serving, tunnel

pytestmark = pytest.mark.anyio

BODY = b'{"prompt": "a heron"}'
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
HEADERS = {"user-agent": "multivideo/0", "accept": "application/json", "accept-encoding": "identity"}


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@asynccontextmanager
async def opened(
    proxy: str | None = None, ssl_context: ssl.SSLContext | None = None, **other: Any
) -> AsyncIterator[HttpCarrier]:
    carrier = HttpCarrier(proxy=proxy, ssl_context=ssl_context or ssl.create_default_context(), **other)
    try:
        yield carrier
    finally:
        await carrier.aclose()


def post(url: str, **headers: str) -> Outgoing:
    return Outgoing("POST", url, {**HEADERS, **headers}, BODY, paid=True, reach=Reach.ANYWHERE)


def get(url: str) -> Outgoing:
    return Outgoing("GET", url, HEADERS, reach=Reach.ANYWHERE)


async def ask(carrier: HttpCarrier, message: Outgoing) -> bytes:
    async with carrier.open(message) as incoming:
        return b"".join([chunk async for chunk in incoming.chunks()])


async def fault(carrier: HttpCarrier, message: Outgoing) -> CarrierFault:
    with pytest.raises(CarrierFault) as caught:
        await ask(carrier, message)
    return caught.value


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def answer_all(line: Line) -> None:
    while True:
        await line.request()
        await line.send(OK)


async def test_a_refused_connection_sent_nothing() -> None:
    async with opened() as carrier:
        broken = await fault(carrier, post(f"http://127.0.0.1:{free_port()}/jobs"))
    assert (broken.sent, broken.what) == (False, "no connection")


@pytest.mark.parametrize("host", ["nothing.invalid", "a..b", "a" * 64 + ".invalid"])
async def test_a_name_that_does_not_resolve_sent_nothing(host: str) -> None:
    async with opened() as carrier:
        assert (await fault(carrier, post(f"https://{host}/jobs"))).sent is False


@pytest.mark.parametrize("value", ["schl\u00fcssel", "two\nlines", "nul\x00"])
async def test_a_header_that_http_cannot_carry_sent_nothing_and_is_not_repeated_in_the_fault(value: str) -> None:
    async with serving(answer_all) as wire, opened() as carrier:
        broken = await fault(carrier, post(f"http://127.0.0.1:{wire.port}/", authorization=value))
    assert broken.sent is False
    assert value not in broken.what
    assert wire.requests == []


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "//no-scheme/", "https://[::1/"])
async def test_an_address_that_cannot_be_sent_to_is_a_fault_of_ours_and_sent_nothing(url: str) -> None:
    async with opened() as carrier:
        assert (await fault(carrier, post(url))).sent is False


async def test_encryption_towards_a_plain_port_sent_nothing() -> None:
    async def plain(line: Line) -> None:
        await line.stream.receive()
        await line.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(plain) as wire, opened() as carrier:
        assert (await fault(carrier, post(f"https://127.0.0.1:{wire.port}/jobs"))).sent is False


async def test_a_certificate_that_is_not_trusted_sent_nothing(authority: Authority) -> None:
    async with serving(answer_all, authority.server()) as wire, opened() as carrier:
        assert (await fault(carrier, post(f"https://127.0.0.1:{wire.port}/jobs"))).sent is False
    assert wire.requests == []


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{",
        b"no http at all\r\n\r\n",
    ],
)
@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_a_line_that_breaks_after_the_request_may_have_sent_it(answer: bytes, ending: str) -> None:
    async def broken_off(line: Line) -> None:
        await line.request()
        await line.send(answer)
        if ending == "reset":
            await line.reset()

    async with serving(broken_off) as wire, opened() as carrier:
        broken = await fault(carrier, post(f"http://127.0.0.1:{wire.port}/jobs"))
    assert broken.sent is True
    assert broken.what


async def test_a_whole_answer_is_handed_over_raw() -> None:
    async def zipped(line: Line) -> None:
        await line.request()
        await line.send(b"HTTP/1.1 418 Teapot\r\nContent-Encoding: gzip\r\nX-Two: a\r\nX-Two: b\r\n")
        await line.send(b"Transfer-Encoding: chunked\r\n\r\n3\r\nno \r\n4\r\ngzip\r\n0\r\n\r\n")

    async with serving(zipped) as wire, opened() as carrier:
        async with carrier.open(get(f"http://127.0.0.1:{wire.port}/")) as incoming:
            assert incoming.status == 418
            assert incoming.headers["content-encoding"] == "gzip"
            assert incoming.headers["x-two"] == "a, b"
            assert b"".join([chunk async for chunk in incoming.chunks()]) == b"no gzip"


async def test_a_paid_request_never_goes_over_a_used_connection() -> None:
    async with serving(answer_all) as wire, opened() as carrier:
        url = f"http://127.0.0.1:{wire.port}/jobs"
        for _ in range(3):
            await ask(carrier, get(url))
        assert wire.connections == 1
        for _ in range(3):
            assert await ask(carrier, post(url)) == b"{}"
    assert wire.connections == 4
    assert len(wire.requests) == 6


@pytest.mark.parametrize("ending", ["close", "reset"])
@pytest.mark.parametrize("way", ["plain", "tls", "tls through a proxy", "plain through a proxy"])
async def test_no_layer_below_ours_sends_a_body_again(way: str, ending: str, authority: Authority) -> None:
    async def swallow(line: Line) -> None:
        await line.request()
        if ending == "reset":
            await line.reset()

    async def reaches(vendor: Wire, carrier: HttpCarrier, url: str) -> None:
        broken = await fault(carrier, post(url))
        assert broken.sent is True
        assert vendor.connections == 1
        assert [request.partition(b"\r\n\r\n")[2] for request in vendor.requests] == [BODY]

    if way == "plain":
        async with serving(swallow) as vendor, opened() as carrier:
            await reaches(vendor, carrier, f"http://127.0.0.1:{vendor.port}/jobs")
    elif way == "plain through a proxy":
        async with serving(swallow) as vendor, opened(f"http://127.0.0.1:{vendor.port}") as carrier:
            await reaches(vendor, carrier, "http://vendor.example/jobs")
    else:
        context = authority.client()
        async with serving(swallow, authority.server()) as vendor:
            if way == "tls":
                async with opened(ssl_context=context) as carrier:
                    await reaches(vendor, carrier, f"https://127.0.0.1:{vendor.port}/jobs")
                return
            async with serving(tunnel(lambda: vendor.port)) as proxy:
                async with opened(f"http://127.0.0.1:{proxy.port}", context) as carrier:
                    await reaches(vendor, carrier, "https://vendor.example/jobs")
            assert proxy.connections == 1
            assert not any(BODY in request for request in proxy.requests)


async def test_a_read_whose_kept_connection_died_is_told_and_not_repeated_below_us() -> None:
    async def once_then_gone(line: Line) -> None:
        await line.request()
        await line.send(OK)
        await line.request()
        await line.reset()

    async with serving(once_then_gone) as wire, opened() as carrier:
        url = f"http://127.0.0.1:{wire.port}/jobs/1"
        await ask(carrier, get(url))
        assert (await fault(carrier, get(url))).sent is True
    assert (wire.connections, len(wire.requests)) == (1, 2)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", b""])
async def test_a_proxy_that_refuses_to_connect_sent_nothing(answer: bytes) -> None:
    async def refuse(line: Line) -> None:
        await line.request()
        await line.send(answer)

    async with serving(refuse) as proxy, opened(f"http://word:secret@127.0.0.1:{proxy.port}") as carrier:
        broken = await fault(carrier, post("https://vendor.example/jobs"))
    assert broken.sent is False
    assert "secret" not in broken.what
    assert [request.split(b" ")[0] for request in proxy.requests] == [b"CONNECT"]


async def test_a_tunnel_whose_far_end_speaks_no_tls_sent_nothing(authority: Authority) -> None:
    async def hang_up(line: Line) -> None:
        await line.stream.receive()

    async with serving(hang_up) as vendor, serving(tunnel(lambda: vendor.port)) as proxy:
        async with opened(f"http://127.0.0.1:{proxy.port}", authority.client()) as carrier:
            assert (await fault(carrier, post("https://vendor.example/jobs"))).sent is False


async def test_an_answer_comes_through_a_proxy(authority: Authority) -> None:
    async with serving(answer_all, authority.server()) as vendor, serving(tunnel(lambda: vendor.port)) as proxy:
        async with opened(f"http://127.0.0.1:{proxy.port}", authority.client()) as carrier:
            assert await ask(carrier, post("https://vendor.example/jobs")) == b"{}"
    assert vendor.requests[0].startswith(b"POST /jobs HTTP/1.1\r\n")


@pytest.mark.parametrize("proxy", ["", "nonsense", "socks5://127.0.0.1:1", "http://", "http://word:secret@host:port"])
async def test_a_proxy_that_cannot_be_is_a_fault_of_the_caller_told_without_its_password(proxy: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        HttpCarrier(proxy=proxy)
    assert caught.value.field == "proxy"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_handed_up_and_not_followed(status: int) -> None:
    async def elsewhere(line: Line) -> None:
        await line.request()
        await line.send(b"HTTP/1.1 %d Gone\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n" % status)

    async with serving(elsewhere) as wire, opened() as carrier:
        async with carrier.open(get(f"http://127.0.0.1:{wire.port}/")) as incoming:
            assert (incoming.status, incoming.headers["location"]) == (status, "/other")
    assert len(wire.requests) == 1


async def test_the_environment_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, dead)
        monkeypatch.setenv(name.lower(), dead)
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login word password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    async with serving(answer_all) as wire:
        carrier = HttpCarrier()
        assert await ask(carrier, get(f"http://127.0.0.1:{wire.port}/")) == b"{}"
        await carrier.aclose()
    assert b"authorization" not in wire.requests[0].lower()


async def test_only_our_headers_are_sent_and_no_cookie_is_kept() -> None:
    async def biscuits(line: Line) -> None:
        while True:
            await line.request()
            await line.send(b"HTTP/1.1 200 OK\r\nset-cookie: who=you; Path=/\r\ncontent-length: 0\r\n\r\n")

    async with serving(biscuits) as wire, opened() as carrier:
        for message in (get, get, post):
            await ask(carrier, message(f"http://127.0.0.1:{wire.port}/"))
    names = [sorted(line.split(b":")[0].lower() for line in request.split(b"\r\n")[1:-2]) for request in wire.requests]
    ours = [b"accept", b"accept-encoding", b"host", b"user-agent"]
    assert names == [ours, ours, sorted([*ours, b"content-length"])]


async def test_a_cancelled_request_closes_its_connection() -> None:
    async def silent(line: Line) -> None:
        await line.request()
        arrived.set()
        await line.request()

    arrived = anyio.Event()
    async with serving(silent) as wire, opened() as carrier:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, carrier, get(f"http://127.0.0.1:{wire.port}/"))
            await arrived.wait()
            tasks.cancel_scope.cancel()
        await wire.ended.wait()


async def test_an_answer_that_is_left_early_closes_its_connection() -> None:
    async def endless(line: Line) -> None:
        await line.request()
        await line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        while True:
            await line.send(bytes(64 * 1024))

    async with serving(endless) as wire, opened() as carrier:
        async with carrier.open(get(f"http://127.0.0.1:{wire.port}/")) as incoming:
            chunks = incoming.chunks()
            assert await anext(chunks)
            await chunks.aclose()
        await wire.ended.wait()
        assert not carrier._reading._idle


async def test_closing_ends_every_connection_even_when_cancelled_and_a_later_request_opens_a_new_one() -> None:
    async with serving(answer_all) as wire, opened() as carrier:
        url = f"http://127.0.0.1:{wire.port}/"
        await ask(carrier, get(url))
        with anyio.CancelScope() as scope:
            scope.cancel()
            await carrier.aclose()
        await wire.ended.wait()
        assert await ask(carrier, get(url)) == b"{}"
    assert wire.connections == 2


def test_a_form_has_its_parts_in_order_and_a_boundary_of_its_own() -> None:
    parts = (Part("prompt", "a \u00e9\r\nheron"), Part("input_reference", b"\x89PNG", "frame.png", "image/png"))
    content_type, body = multipart(parts)
    boundary = content_type.removeprefix("multipart/form-data; boundary=")
    assert (
        body
        == (
            f'--{boundary}\r\nContent-Disposition: form-data; name="prompt"\r\n\r\na \u00e9\r\nheron\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="input_reference"; filename="frame.png"\r\n'
            f"Content-Type: image/png\r\n\r\n"
        ).encode()
        + b"\x89PNG\r\n"
        + f"--{boundary}--\r\n".encode()
    )
    assert multipart(parts)[0] != content_type


async def test_no_log_of_any_library_holds_what_was_sent_or_came(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    canary = "canary-5f2e"

    async def talk(line: Line) -> None:
        await line.request()
        head = (
            f"HTTP/1.1 302 {canary}\r\nlocation: /?sig={canary}\r\nset-cookie: a={canary}\r\ncontent-length: 11\r\n\r\n"
        )
        await line.send(f"{head}{canary}".encode())

    async with serving(talk) as wire, opened() as carrier:
        url = f"http://127.0.0.1:{wire.port}/?key={canary}"
        assert await ask(carrier, post(url, authorization=canary)) == canary.encode()
        for bad in (post(url, authorization=f"{canary}\n"), post(f"http://127.0.0.1:{free_port()}/?key={canary}")):
            shown = "".join(traceback.format_exception(await fault(carrier, bad)))
            assert canary not in shown
    assert canary in wire.requests[0].decode()
    assert canary not in "".join(record.getMessage() + repr(vars(record)) for record in caplog.records)


async def test_the_library_still_logs_for_others(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "httpcore")
    async with serving(answer_all) as wire, opened() as carrier:
        await ask(carrier, get(f"http://127.0.0.1:{wire.port}/"))
        ours = len([record for record in caplog.records if "response_headers" in record.getMessage()])
        async with httpx.AsyncClient(trust_env=False, verify=False) as other:
            await other.get(f"http://127.0.0.1:{wire.port}/")
    assert ours == 0
    assert [record for record in caplog.records if "receive_response_headers.complete" in record.getMessage()]


@define
class Names:
    """A directory that a test writes; it counts the questions."""

    found: Sequence[str]
    asked: list[str] = field(factory=list)

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        return self.found


async def test_a_name_is_looked_up_once_and_its_connection_is_kept() -> None:
    names = Names(["127.0.0.1"])
    async with serving(answer_all) as wire, opened(resolve=names) as carrier:
        for _ in range(3):
            assert await ask(carrier, get(f"http://vendor.example:{wire.port}/jobs/1")) == b"{}"
    assert (names.asked, wire.connections) == (["vendor.example"], 1)
    assert all(f"Host: vendor.example:{wire.port}\r\n".encode() in request for request in wire.requests)


async def test_each_paid_request_looks_its_name_up_anew() -> None:
    names = Names(["127.0.0.1"])
    async with serving(answer_all) as wire, opened(resolve=names) as carrier:
        for _ in range(2):
            await ask(carrier, post(f"http://vendor.example:{wire.port}/jobs"))
    assert (len(names.asked), wire.connections) == (2, 2)


@pytest.mark.parametrize("message", [get, post])
async def test_the_next_address_is_tried_where_one_takes_no_connection_and_the_good_one_is_first_next_time(
    message: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried, asked = list[str](), _Line.ask

    async def told(line: _Line, request: httpx.Request, address: str, connect_s: float) -> httpx.Response:
        tried.append(address)
        return await asked(line, request, address, connect_s)

    monkeypatch.setattr(_Line, "ask", told)
    names = Names(["127.0.0.3", "127.0.0.2", "127.0.0.1"])
    async with serving(answer_all) as wire, opened(resolve=names) as carrier:
        url = f"http://vendor.example:{wire.port}/jobs"
        assert await ask(carrier, message(url)) == b"{}"
        assert tried == names.found
        assert await ask(carrier, post(url)) == b"{}"
        assert tried == [*names.found, "127.0.0.1"]
    assert len(wire.requests) == 2


async def test_after_the_request_left_no_other_address_is_tried() -> None:
    async def swallow(line: Line) -> None:
        await line.request()

    names = Names(["127.0.0.1", "127.0.0.1", "127.0.0.2"])
    async with serving(swallow) as wire, opened(resolve=names) as carrier:
        assert (await fault(carrier, post(f"http://vendor.example:{wire.port}/jobs"))).sent is True
    assert (wire.connections, len(wire.requests)) == (1, 1)


async def test_a_failed_connection_of_which_the_request_is_said_to_have_begun_is_not_tried_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = list[str]()

    async def broken(line: _Line, request: httpx.Request, address: str, connect_s: float) -> httpx.Response:
        tried.append(address)
        await request.extensions["trace"]("http11.send_request_headers.started", {"request": begun})
        raise httpx.ConnectError("")

    begun = SimpleNamespace(method=b"POST")
    monkeypatch.setattr(_Line, "ask", broken)
    async with opened(resolve=Names(["127.0.0.1", "127.0.0.2"])) as carrier:
        assert (await fault(carrier, post("http://vendor.example/jobs"))).sent is True
    assert tried == ["127.0.0.1"]


async def test_where_no_address_takes_a_connection_nothing_was_sent() -> None:
    async with opened(resolve=Names(["127.0.0.1", "::1", "127.0.0.2"])) as carrier:
        broken = await fault(carrier, post(f"http://vendor.example:{free_port()}/jobs"))
    assert (broken.sent, broken.what) == (False, "no connection")


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254"])
@pytest.mark.parametrize("reach", [Reach.PUBLIC, Reach.HOME])
async def test_a_vendors_address_whose_name_leads_inside_is_refused_before_anything_is_connected(
    address: str, reach: Reach
) -> None:
    async with serving(answer_all) as wire, opened(resolve=Names([address])) as carrier:
        message = evolve(get(f"http://files.example:{wire.port}/secret"), reach=reach)
        if (address, reach) == ("127.0.0.1", Reach.HOME):  # a provider on this machine keeps its files there too
            assert await ask(carrier, message) == b"{}"
            return
        with pytest.raises(BadAddress) as caught:
            await ask(carrier, message)
    assert wire.connections == 0
    assert "example" not in str(caught.value)


async def test_a_name_that_changes_its_address_after_the_check_is_asked_at_the_checked_one() -> None:
    class Rebinding(Names):
        async def __call__(self, host: str) -> Sequence[str]:
            await super().__call__(host)
            return ["127.0.0.1"] if len(self.asked) == 1 else ["10.0.0.1"]

    names = Rebinding([])
    async with serving(answer_all) as wire, opened(resolve=names) as carrier:
        message = evolve(get(f"http://files.example:{wire.port}/clip"), reach=Reach.HOME)
        assert await ask(carrier, message) == b"{}"
        await carrier.aclose()
        with pytest.raises(BadAddress):
            await ask(carrier, message)
    assert (len(names.asked), wire.connections) == (2, 1)


async def test_the_line_to_a_users_own_host_is_not_for_an_address_that_a_vendor_names() -> None:
    async with serving(answer_all) as wire, opened() as carrier:
        message = get(f"http://127.0.0.1:{wire.port}/")
        await ask(carrier, message)
        with pytest.raises(BadAddress):
            await ask(carrier, evolve(message, reach=Reach.PUBLIC))
    assert len(wire.requests) == 1


async def test_the_certificate_must_be_that_of_the_name_and_not_of_the_address(authority: Authority) -> None:
    async with serving(answer_all, authority.server()) as wire:
        async with opened(ssl_context=authority.client(), resolve=Names(["127.0.0.1"])) as carrier:
            assert await ask(carrier, get(f"https://vendor.example:{wire.port}/")) == b"{}"
            assert await ask(carrier, post(f"https://vendor.example:{wire.port}/")) == b"{}"
            # the certificate is good for the address itself, but this name is another host
            for message in (get, post):
                broken = await fault(carrier, message(f"https://other.example:{wire.port}/"))
                assert (broken.sent, broken.what) == (False, "no connection")
    assert len(wire.requests) == 2


async def test_the_server_is_told_the_name_when_encryption_begins(authority: Authority) -> None:
    told = list[str | None]()
    context = authority.server()
    context.sni_callback = lambda _, name, __: told.append(name)
    async with serving(answer_all, context) as wire:
        async with opened(ssl_context=authority.client(), resolve=Names(["127.0.0.1"])) as carrier:
            await ask(carrier, get(f"https://vendor.example:{wire.port}/"))
    assert told == ["vendor.example"]


async def test_a_certificate_that_has_run_out_sent_nothing() -> None:
    authority = trustme.CA()
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    authority.issue_cert("127.0.0.1", not_after=yesterday).configure_cert(server)
    authority.configure_trust(client)
    async with serving(answer_all, server) as wire, opened(ssl_context=client) as carrier:
        assert (await fault(carrier, post(f"https://127.0.0.1:{wire.port}/jobs"))).sent is False
    assert wire.requests == []


async def test_names_that_lead_to_one_server_share_no_connection(authority: Authority) -> None:
    async with serving(answer_all, authority.server()) as wire:
        async with opened(ssl_context=authority.client(), resolve=Names(["127.0.0.1"])) as carrier:
            await ask(carrier, get(f"https://vendor.example:{wire.port}/"))
            await ask(carrier, get(f"https://127.0.0.1:{wire.port}/"))
            assert wire.connections == 2
            assert (await fault(carrier, get(f"https://other.example:{wire.port}/"))).sent is False
    assert len(wire.requests) == 2


async def test_behind_a_proxy_names_are_not_looked_up_here_but_written_addresses_are_checked() -> None:
    names = Names([])
    async with serving(answer_all) as proxy, opened(f"http://127.0.0.1:{proxy.port}", resolve=names) as carrier:
        assert await ask(carrier, evolve(get("http://files.example/clip"), reach=Reach.PUBLIC)) == b"{}"
        for host in ("10.0.0.1", "127.0.0.1", "[64:ff9b::7f00:1]", "metadata.google.internal"):
            with pytest.raises(BadAddress):
                await ask(carrier, evolve(get(f"http://{host}/clip"), reach=Reach.PUBLIC))
    assert names.asked == []
    assert [request.split(b" ")[1] for request in proxy.requests] == [b"http://files.example/clip"]


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"])
async def test_a_line_that_falls_silent_is_given_up_after_the_limit_for_reading(sent: bytes) -> None:
    async def silent(line: Line) -> None:
        await line.request()
        await line.send(sent)
        await line.request()

    async with serving(silent) as wire, opened(limits=Limits(read_s=0.05)) as carrier:
        broken = await fault(carrier, post(f"http://127.0.0.1:{wire.port}/jobs"))
    assert (broken.sent, broken.what) == (True, "no byte came for 0.05 s")
    assert len(wire.requests) == 1


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"])
async def test_garbage_inside_an_encrypted_answer_is_a_fault_of_the_line_and_may_have_been_sent(
    sent: bytes, authority: Authority
) -> None:
    async def garble(line: Line) -> None:
        await line.request()
        await line.send(sent)
        below = line.stream.extra(anyio.abc.SocketAttribute.raw_socket)
        os.write(below.fileno(), b"\x17\x03\x03\x00\x20" + bytes(32))
        await line.request()

    async with serving(garble, authority.server()) as wire:
        async with opened(ssl_context=authority.client()) as carrier:
            assert (await fault(carrier, post(f"https://127.0.0.1:{wire.port}/jobs"))).sent is True
            assert (await fault(carrier, get(f"https://127.0.0.1:{wire.port}/jobs"))).sent is True
    assert len(wire.requests) == 2


async def test_questions_share_a_few_lines_files_have_others_and_paid_requests_never_wait() -> None:
    crowd, gate, arrived = 100, anyio.Event(), anyio.Event()

    async def held(line: Line) -> None:
        while True:
            await line.request()
            if len(wire.requests) == 32 + 16 + 3:
                arrived.set()
            await gate.wait()
            await line.send(OK)

    async with serving(held) as wire, opened() as carrier:
        url = f"http://127.0.0.1:{wire.port}/"
        async with anyio.create_task_group() as tasks:
            for _ in range(crowd):
                tasks.start_soon(ask, carrier, get(url))
                tasks.start_soon(ask, carrier, evolve(get(url), long=True))
            for _ in range(3):
                tasks.start_soon(ask, carrier, post(url))
            await arrived.wait()
            assert wire.connections == 32 + 16 + 3
            gate.set()
    assert (wire.connections, len(wire.requests)) == (32 + 16 + 3, 2 * crowd + 3)


async def test_one_who_was_cancelled_in_the_middle_of_an_answer_keeps_no_line_from_the_others() -> None:
    async def half(line: Line) -> None:
        while True:
            await line.request()
            await line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
            halves.set()

    halves = anyio.Event()
    async with serving(half) as wire, opened() as carrier:
        url = f"http://127.0.0.1:{wire.port}/"
        for _ in range(40):  # more than there are lines
            halves = anyio.Event()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask, carrier, get(url))
                await halves.wait()
                tasks.cancel_scope.cancel()
    assert wire.connections == 40
