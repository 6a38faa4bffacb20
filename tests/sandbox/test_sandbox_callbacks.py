"""What the emulator would post, and what it posts."""

from __future__ import annotations

import hashlib
import json
import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest
from sandbox_calls import Caller, caller, instant

from multivideo.sandbox import Emulator
from multivideo.sandbox.callbacks import Callback, sign
from multivideo.sandbox.poster import is_loopback
from multivideo.sandbox.server import running

pytestmark = pytest.mark.anyio

HOOK = "https://hooks.example/kling"
SECRET = "whsec_bXVsdGl2aWRlby1sb2NhbC1lbXVsYXRvci1zZWNyZXQ="


@pytest.fixture
def call() -> Iterator[Caller]:
    made = caller(webhook_secret=SECRET)
    yield made
    made.emulator.close()


def told(callbacks: tuple[Callback, ...]) -> list[Any]:
    return [json.loads(callback.body) for callback in callbacks]


def is_signed(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether one of the signatures is that of the secret."""
    made = sign(secret, headers["webhook-id"], int(headers["webhook-timestamp"]), body)
    return made in headers["webhook-signature"].split(" ")


@pytest.mark.parametrize(
    ("secret", "name", "timestamp", "body", "signature"),
    [
        (  # Kling's own example, on its callback page, read 2026-09
            "whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI=",
            "9876543210",
            1781080794,
            '{"id":"1234567890","status":"succeeded","message":"","create_time":1781080778802,'
            '"update_time":1781080794151}',
            "v1,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4=",
        ),
        (  # reckoned apart from this code
            SECRET,
            "evt-0001",
            1795000042,
            '{"id":"900000000000000001","status":"failed","message":"Failure to pass the risk control system",'
            '"create_time":1795000000000,"update_time":1795000042000,"external_id":"mv-7f3a","outputs":[],"billing":[]}',
            "v1,xE+IwWxvxpiAYX4OczCs8WpNgGIKYhRS0xv8vaeQW94=",
        ),
        (  # reckoned apart from this code, in OpenAI's form
            "whsec_bXVsdGl2aWRlby1lbXVsYXRvci10ZXN0LXNlY3JldCE=",
            "wh_0001",
            1790000000,
            '{"id":"evt_0001","object":"event","created_at":1790000000,"type":"video.completed",'
            '"data":{"id":"video_0001"}}',
            "v1,OvjkUNySyldi+fIjCLcGB51HZvVO8703Wv3yz0n1YNM=",
        ),
    ],
)
def test_a_signature_is_that_of_standard_webhooks(
    secret: str, name: str, timestamp: int, body: str, signature: str
) -> None:
    assert sign(secret, name, timestamp, body.encode()) == signature
    assert sign("a plain secret", name, timestamp, body.encode()) != signature


def test_a_secret_without_its_prefix_is_taken_by_its_bytes() -> None:
    key = "whsec_" + "cGxhaW4="  # "plain" in Base64
    assert sign("plain", "wh_1", 1, b"{}") == sign(key, "wh_1", 1, b"{}")


async def test_kling_tells_each_change_of_a_task(call: Caller) -> None:
    made = (await call.kling(options={"callback_url": HOOK, "external_task_id": "mv-1"})).json["data"]
    await call.kling()  # nobody asked to be told of this one
    seen = []
    for _ in range(3):
        seen.append([task["status"] for task in told(call.emulator.callbacks())])
        await call.clock.sleep(30)
    assert seen == [["submitted"], ["submitted", "processing"], ["submitted", "processing", "succeeded"]]
    first, second, last = call.emulator.callbacks(job=made["id"])
    assert (last.method, last.url, last.door) == ("POST", HOOK, "kling")
    assert last.headers["content-type"] == "application/json; charset=utf-8"
    created = made["create_time"] / 1000
    assert [each.at for each in (first, second, last)] == [created, created + 5, created + 60]
    task = (await call("GET", f"/kling/tasks?task_ids={made['id']}")).json["data"][0]
    assert json.loads(last.body) == task
    assert json.loads(first.body) == {**made, "outputs": [], "billing": []}
    call.key = None
    assert (await call("GET", call.link(task["outputs"][0]["url"]))).status == 200


async def test_a_legacy_task_is_told_as_the_bare_data_of_its_protocol(call: Caller) -> None:
    body = {"model_name": "kling-v3", "prompt": "risk_control", "callback_url": HOOK}
    made = (await call("POST", "/kling/v1/videos/text2video", body)).json["data"]["task_id"]
    await call.clock.sleep(60)
    last = call.emulator.callbacks()[-1]
    assert json.loads(last.body) == (await call("GET", f"/kling/v1/videos/text2video/{made}")).json["data"]
    assert [task["task_status"] for task in told(call.emulator.callbacks())] == ["submitted", "processing", "failed"]


async def test_callbacks_are_signed_once_there_is_a_secret_and_twice_while_it_is_replaced(call: Caller) -> None:
    bare, both = caller(), caller(webhook_secret=(SECRET, "whsec_b3RoZXI="))
    for each in (call, bare, both):
        await each.kling(options={"callback_url": HOOK})
    (signed,), (unsigned,), (twice,) = (each.emulator.callbacks() for each in (call, bare, both))
    assert is_signed(SECRET, signed.headers, signed.body)
    assert not is_signed("whsec_b3RoZXI=", signed.headers, signed.body)
    assert int(signed.headers["webhook-timestamp"]) == signed.at
    assert set(unsigned.headers) == {"content-type"}
    assert is_signed(SECRET, twice.headers, twice.body)
    assert is_signed("whsec_b3RoZXI=", twice.headers, twice.body)
    bare.emulator.close()
    both.emulator.close()


async def test_a_callback_is_the_same_whenever_it_is_asked_for(call: Caller) -> None:
    await call.kling(options={"callback_url": HOOK}, fault="link_expires=5")
    await call.clock.sleep(100)
    before = call.emulator.callbacks()
    await call.clock.sleep(100)
    assert call.emulator.callbacks() == before
    assert len({callback.headers["webhook-id"] for callback in before}) == 3


async def test_openai_tells_registered_addresses_which_videos_have_ended(call: Caller) -> None:
    await call.openai("an early one")
    await call.clock.sleep(61)
    call.emulator.webhook("https://hooks.example/openai", secret="own secret")
    done = (await call.openai()).json["id"]
    failed = (await call.openai("moderation_blocked")).json["id"]
    await call.clock.sleep(59)
    assert call.emulator.callbacks() == ()
    await call.clock.sleep(1)
    callbacks = call.emulator.callbacks(door="openai")
    events = {event["data"]["id"]: event for event in told(callbacks)}
    assert {name: event["type"] for name, event in events.items()} == {done: "video.completed", failed: "video.failed"}
    event = events[done]
    assert (set(event), event["object"]) == ({"id", "object", "created_at", "type", "data"}, "event")
    assert event["id"].startswith("evt_")
    assert event["created_at"] == callbacks[0].at == call.clock.wall()
    assert all(is_signed("own secret", callback.headers, callback.body) for callback in callbacks)
    assert callbacks[0].headers["webhook-id"] != callbacks[1].headers["webhook-id"]


async def test_two_webhooks_are_told_of_the_same_event_in_two_deliveries(call: Caller) -> None:
    for name in ("one", "two"):
        call.emulator.webhook(f"https://hooks.example/{name}")
    await call.openai()
    await call.clock.sleep(60)
    one, two = call.emulator.callbacks()
    assert (one.body, one.url, two.url) == (two.body, "https://hooks.example/one", "https://hooks.example/two")
    assert one.headers["webhook-id"] != two.headers["webhook-id"]
    assert is_signed(SECRET, one.headers, one.body)


async def test_webhooks_and_callbacks_are_reached_over_the_wire(call: Caller) -> None:
    hook = {"url": "https://hooks.example/openai", "secret": "own secret"}
    assert (await call("POST", "/_emu/webhooks", hook)).status == 200
    await call.kling(options={"callback_url": HOOK})
    made = (await call.openai()).json["id"]
    await call.clock.sleep(60)
    assert len((await call("GET", "/_emu/callbacks")).json["callbacks"]) == 4
    (shown,) = (await call("GET", f"/_emu/callbacks?door=openai&job={made}")).json["callbacks"]
    assert set(shown) == {"door", "job", "at", "method", "url", "headers", "body"}
    assert is_signed("own secret", shown["headers"], shown["body"].encode())
    for wrong in ({"url": 5}, {"url": "http://x", "secret": 5}, {"url": "http://x", "secret": "whsec_?"}, {}):
        assert (await call("POST", "/_emu/webhooks", wrong)).status == 400
    assert (await call("POST", "/_emu/webhooks", raw=b"[")).status == 400


def test_a_secret_that_is_none_is_told_at_once() -> None:
    with pytest.raises(ValueError, match="Base64 behind whsec_"):
        Emulator(render=instant, webhook_secret="whsec_not base64")


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("http://127.0.0.1:8000/x", True),
        ("http://127.9.9.9", True),
        ("http://localhost:1/", True),
        ("http://[::1]:80/", True),
        ("https://127.0.0.1/", False),
        ("http://192.168.0.1/", False),
        ("http://localhost.example/", False),
        ("http://127.0.0.1@evil.example/", False),
        ("http://127.0.0.1:99999/", False),
        ("file:///etc/passwd", False),
        ("http://", False),
        ("", False),
    ],
)
def test_only_this_machine_is_ever_posted_to(url: str, own: bool) -> None:
    assert is_loopback(url) is own


Post = tuple[str, dict[str, str], bytes]


@contextmanager
def receiver() -> Iterator[tuple[str, queue.Queue[Post]]]:
    """An address of this machine, and what was posted to it."""
    posts: queue.Queue[Post] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            posts.put((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", posts
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_callbacks_are_posted_to_this_machine_when_that_is_wished() -> None:
    emulator = Emulator(latency=0.1, render=instant, webhook_secret=SECRET, post_callbacks=True)
    with receiver() as (address, posts), running(emulator) as url:
        header = {"Authorization": "Bearer key-a"}
        with httpx.Client(base_url=url, headers=header, trust_env=False) as client:
            # The first cannot be reached and the second is not ours: neither harms those behind them.
            for hook in ("http://127.0.0.1:1/", HOOK, f"{address}/a?b=c"):
                body = {"prompt": "a fox", "options": {"callback_url": hook}}
                assert client.post("/kling/text-to-video/kling-3.0", json=body).status_code == 200
            got = [posts.get(timeout=10) for _ in range(3)]
        emulator.close()
    kept = [callback for callback in emulator.callbacks() if callback.url.startswith(address)]
    assert [path for path, _, _ in got] == ["/a?b=c"] * 3
    assert [data for _, _, data in got] == [callback.body for callback in kept]
    for (_, headers, data), meant in zip(got, kept, strict=True):
        assert headers.items() >= dict(meant.headers).items()
        assert is_signed(SECRET, headers, data)


def test_nothing_is_posted_unless_it_is_wished() -> None:
    before = set(threading.enumerate())  # those of other tests may end meanwhile
    emulator = Emulator(render=instant)
    assert not [thread for thread in threading.enumerate() if thread.name == "multivideo-callbacks"]
    emulator.close()
    assert not set(threading.enumerate()) - before


async def test_ids_of_jobs_do_not_depend_on_who_asks_for_callbacks() -> None:
    digests = []
    for asks in (True, False):
        call = caller(seed=5)
        for _ in range(3):
            await call.kling(options={"callback_url": HOOK})
            await call.clock.sleep(30)
            if asks:
                call.emulator.callbacks()
        ids = " ".join(job.id for job in call.emulator.jobs())
        digests.append(hashlib.sha256(ids.encode()).hexdigest())
        call.emulator.close()
    assert digests[0] == digests[1]
