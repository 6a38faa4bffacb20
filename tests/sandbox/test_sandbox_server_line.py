"""How lines die on a real port, seen from a bare socket."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from sandbox_calls import instant

from multivideo.sandbox import Emulator
from multivideo.sandbox.server import running

BODY = b'{"prompt": "a fox"}'
Address = tuple[str, int]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    made = Emulator(latency=0, render=instant)
    yield made
    made.close()


@pytest.fixture(scope="module")
def address(emulator: Emulator) -> Iterator[Address]:
    with running(emulator) as url:
        parts = httpx.URL(url)
        yield parts.host, parts.port or 80


def opened(address: Address, fault: str) -> socket.socket:
    """A line on which a create call was sent."""
    line = socket.create_connection(address, timeout=10)
    head = (
        f"POST /openai/v1/videos HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer key-a\r\nContent-Type: application/json"
        f"\r\nContent-Length: {len(BODY)}\r\nx-multivideo-fault: {fault}\r\n\r\n"
    )
    line.sendall(head.encode() + BODY)
    return line


def heard(line: socket.socket) -> bytes:
    """All that comes until the line is closed."""
    got = b""
    while chunk := line.recv(65536):
        got += chunk
    return got


@pytest.mark.parametrize("stage", ["submit", "made"])
def test_a_reset_is_a_reset(address: Address, emulator: Emulator, stage: str) -> None:
    before = emulator.count()
    with opened(address, f"{stage}_reset") as line, pytest.raises(ConnectionResetError):
        heard(line)
    assert emulator.count() - before == (stage == "made")


def test_a_dropped_line_is_closed_in_good_order(address: Address) -> None:
    with opened(address, "made_drop") as line:
        assert heard(line) == b""


def test_half_headers_are_a_beginning_without_an_end(address: Address, emulator: Emulator) -> None:
    before = emulator.count()
    with opened(address, "made_half_headers") as line:
        got = heard(line)
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\n\r\n" not in got
    assert emulator.count() == before + 1


def test_half_a_body_has_all_its_headers(address: Address, emulator: Emulator) -> None:
    with opened(address, "made_half_body") as line:
        head, _, body = heard(line).partition(b"\r\n\r\n")
    promised = next(int(row.split(b":")[1]) for row in head.split(b"\r\n") if row.startswith(b"content-length"))
    assert len(body) == promised // 2
    assert body.startswith(b'{"id":"' + emulator.jobs()[-1].id.encode())


def test_a_stalled_line_stays_open_and_silent_for_its_time(address: Address, emulator: Emulator) -> None:
    before = emulator.count()
    with opened(address, "made_stall=0.2") as line:
        began = time.monotonic()
        assert heard(line) == b""
        assert time.monotonic() - began >= 0.19
    assert emulator.count() == before + 1


def test_a_client_that_gives_up_a_stalled_line_harms_nobody(address: Address) -> None:
    lines = [opened(address, "made_stall") for _ in range(3)]
    for line in lines:
        line.close()
    with opened(address, "submit_drop, tag=after") as line:
        assert heard(line) == b""


def test_a_server_stops_though_a_line_is_stalled() -> None:
    before = set(threading.enumerate())
    emulator = Emulator(latency=0, render=instant)
    with running(emulator) as url:
        parts = httpx.URL(url)
        line = opened((parts.host, parts.port or 80), "made_stall")
        while not emulator.count():
            pass
    with line:
        heard(line)  # comes to an end
    emulator.close()
    assert [thread for thread in set(threading.enumerate()) - before if thread.name == "multivideo-sandbox"] == []


def test_a_dripping_answer_comes_in_pieces_and_whole(address: Address) -> None:
    pieces: list[bytes] = []
    with opened(address, "made_drip=0.2") as line:
        while not (pieces and pieces[-1].endswith(b"}")):
            pieces.append(line.recv(65536))
    assert len(pieces) > 4
    assert json.loads(b"".join(pieces).partition(b"\r\n\r\n")[2])["status"] == "queued"


def test_a_redirect_leads_to_another_host(address: Address) -> None:
    url = f"http://{address[0]}:{address[1]}/openai/v1/videos"
    with httpx.Client(trust_env=False, headers={"Authorization": "Bearer key-a"}) as client:
        away = {"x-multivideo-fault": f"download_redirect=http://localhost:{address[1]}/_emu/counts"}
        made = client.post(url, json={"prompt": "a fox"}, headers=away).json()["id"]
        while client.get(f"{url}/{made}").json()["status"] != "completed":
            pass
        answer = client.get(f"{url}/{made}/content", follow_redirects=True)
    assert answer.url.host == "localhost"
    assert "count" in answer.json()
