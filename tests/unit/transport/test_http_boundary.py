from __future__ import annotations

import logging
import socket
import ssl
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest

from multivideo.errors import InvalidRequest
from multivideo.transport.carrier import CarrierFault, Outgoing
from multivideo.transport.http import HttpCarrier, multipart
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
async def opened(proxy: str | None = None, ssl_context: ssl.SSLContext | None = None) -> AsyncIterator[HttpCarrier]:
    carrier = HttpCarrier(proxy=proxy, ssl_context=ssl_context or ssl.create_default_context())
    try:
        yield carrier
    finally:
        await carrier.aclose()


def post(url: str, **headers: str) -> Outgoing:
    return Outgoing("POST", url, {**HEADERS, **headers}, BODY, paid=True)


def get(url: str) -> Outgoing:
    return Outgoing("GET", url, HEADERS)


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
