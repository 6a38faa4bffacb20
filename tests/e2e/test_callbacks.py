"""From the vendor's callback to a video that is there sooner, against the emulator."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import evolve

import multivideo as mv
from multivideo.clock import VirtualClock
from multivideo.providers.accounts import Account
from multivideo.sandbox import Emulator
from multivideo.transport.embedded import HOME
from scenes import PROMPT, cached_render

SECRET = "whsec_bXVsdGl2aWRlby1sb2NhbC1lbXVsYXRvci1zZWNyZXQ="
HOOK = "https://hooks.example/video"
ACCOUNTS: Mapping[str, Account] = {
    "kling": mv.Kling(api_key="k", base_url=f"{HOME}/kling"),
    "kling-legacy": mv.Kling(api_key="k", dialect="legacy", base_url=f"{HOME}/kling"),
    "openai": mv.OpenAIVideos(api_key="k", base_url=f"{HOME}/openai/v1"),
}
WISHES: Mapping[str, dict[str, Any]] = {
    "kling": {"model": "kling-3.0", "options": {"kling": {"options": {"callback_url": HOOK}}}},
    "kling-legacy": {"model": "kling-3.0", "options": {"kling": {"callback_url": HOOK}}},
    "openai": {"model": "sora-2"},  # its console keeps the address
}
VERIFY = {"kling": mv.verify_kling, "kling-legacy": mv.verify_kling, "openai": mv.verify_openai}
every_kind = pytest.mark.parametrize("kind", ACCOUNTS)


@pytest.fixture
def emulator(clock: VirtualClock) -> Iterator[Emulator]:
    opened = Emulator(clock=clock, latency=60.0, render=cached_render, webhook_secret=SECRET)
    opened.webhook(HOOK)
    yield opened
    opened.close()


Clients = Callable[[str], mv.AsyncClient]


@pytest.fixture
def clients(emulator: Emulator, clock: VirtualClock, tmp_path: Path) -> Clients:
    """Makes clients of one account of that kind, all of one emulator."""

    def make(kind: str) -> mv.AsyncClient:
        client = mv.AsyncClient(providers=[ACCOUNTS[kind]], clock=clock, home=tmp_path)
        client._emulator = emulator
        return client

    return make


async def serve(kind: str, client: mv.AsyncClient, emulator: Emulator, waited: list[int]) -> None:
    """What a web server does: each callback, as it comes, goes through the verifier to the client."""
    known = 0
    while True:
        for callback in emulator.callbacks()[known:]:
            known += 1
            assert callback.url == HOOK
            event = VERIFY[kind](SECRET, callback.headers, callback.body, now=emulator.clock.wall())
            waited.append(await client.nudge(event))
        await emulator.clock.sleep(0.5)


async def follow(job: mv.Job, clock: VirtualClock) -> tuple[float, list[str]]:
    """The age of the job when its file is there, and what each look said."""
    looks = [event.state async for event in job if isinstance(event, mv.Progress)]
    video = await job.wait()
    assert video.check.ok
    return clock.wall() - job.ref.attempts[0].submitted_at, looks


@pytest.mark.anyio
@every_kind
async def test_with_callbacks_the_video_comes_sooner_and_after_fewer_looks(
    clients: Clients, emulator: Emulator, clock: VirtualClock, kind: str
) -> None:
    wish = {"duration": 4, "resolution": "720p", **WISHES[kind]}
    late, looks = await follow(await clients(kind).submit(PROMPT, poll_interval=7, **wish), clock)
    assert (late, len(looks)) == (63, 9)

    client, waited = clients(kind), list[int]()
    job = await client.submit(PROMPT, poll_interval=600, **wish)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve, kind, client, emulator, waited)
        in_time, fewer = await follow(job, clock)
        tasks.cancel_scope.cancel()
    assert in_time == 60, "the moment at which the vendor had made it"
    assert fewer[-1] == "succeeded"
    assert waited[-1] == 1
    assert len(fewer) <= 3 < len(looks)


@pytest.mark.anyio
@every_kind
async def test_a_resumed_job_is_nudged_as_any_other(
    clients: Clients, emulator: Emulator, clock: VirtualClock, kind: str
) -> None:
    ref = (await clients(kind).submit(PROMPT, duration=4, resolution="720p", **WISHES[kind])).ref.to_json()
    client = clients(kind)
    job = await client.resume(ref)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve, kind, client, emulator, [])
        in_time, _ = await follow(job, clock)
        tasks.cancel_scope.cancel()
    assert in_time == 60


@pytest.mark.anyio
async def test_what_a_callback_says_of_a_job_is_not_believed(clients: Clients, clock: VirtualClock) -> None:
    client = clients("kling")
    job = await client.submit(PROMPT, duration=4, poll_interval=50, model="kling-3.0")
    lie = mv.WebhookEvent("d-1", job.ref.attempts[0].vendor.remote_id, "failed", "kling")
    async with anyio.create_task_group() as tasks:

        async def tell_lies() -> None:
            await clock.sleep(20)
            assert await client.nudge(lie) == 1

        tasks.start_soon(tell_lies)
        ended, looks = await follow(job, clock)
    assert (ended, looks) == (70, ["running", "succeeded"]), "looked at 20 s, and 50 s later"


@pytest.mark.anyio
async def test_a_callback_that_nobody_here_waits_for_is_no_error(clients: Clients, clock: VirtualClock) -> None:
    client = clients("kling")
    assert await client.nudge(mv.WebhookEvent("d-1", "1234567890", "succeeded", "kling")) == 0
    job = await client.submit(PROMPT, duration=4, poll_interval=600, model="kling-3.0")
    mine = mv.WebhookEvent("d-2", job.ref.attempts[0].vendor.remote_id, "succeeded", "kling")
    assert await client.nudge(evolve(mine, remote_id="1234567890")) == 0
    await clock.sleep(100)
    assert await client.nudge(mine) == 0
    assert await follow(job, clock) == (100, ["succeeded"]), "who comes to wait looks at once"
    assert await client.nudge(mine) == 0, "it has ended"


@pytest.mark.anyio
@pytest.mark.parametrize("kind", [mv.Planned, mv.Submitted])
async def test_a_callback_that_comes_before_submit_has_returned_does_no_harm(
    clients: Clients, emulator: Emulator, clock: VirtualClock, kind: type[mv.Event]
) -> None:
    client = clients("kling")

    async def early(event: mv.Event) -> None:
        if isinstance(event, kind):
            remote_id = next((made.id for made in emulator.jobs()), "1234567890")
            assert await client.nudge(mv.WebhookEvent("d-1", remote_id, "submitted", "kling")) == 0

    job = await client.submit(PROMPT, duration=4, model="kling-3.0", poll_interval=61, on_event=early)
    age, _ = await follow(job, clock)
    assert age == 61


@pytest.mark.anyio
async def test_a_callback_during_a_slow_look_is_one_more_look_however_often_it_comes(
    clients: Clients, emulator: Emulator, clock: VirtualClock
) -> None:
    client = clients("kling")
    job = await client.submit(PROMPT, duration=4, model="kling-3.0", poll_interval=20)
    remote_id = job.ref.attempts[0].vendor.remote_id
    emulator.fault("kling", job=remote_id, poll_drip=6)
    async with anyio.create_task_group() as tasks:

        async def flood() -> None:
            await clock.sleep(22)
            for number in range(500):
                assert await client.nudge(mv.WebhookEvent(f"d-{number}", remote_id, "succeeded", "kling")) == 1

        tasks.start_soon(flood)
        ended, looks = await follow(job, clock)
    assert looks == ["running"] * 3 + ["succeeded"], "from 20 to 26 s, at 26 s once more, then at 46 and 66 s"
    assert round(ended) == 66


@contextmanager
def receiver(hear: Callable[[Mapping[str, str], bytes], int]) -> Iterator[str]:
    """A web server of this machine, which answers a callback with the status that `hear` gives."""

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(hear(dict(self.headers), body))
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/kling"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_web_server_in_other_threads_nudges_the_blocking_client(tmp_path: Path) -> None:
    emulator = Emulator(latency=0.2, render=cached_render, webhook_secret=SECRET, post_callbacks=True)
    client = mv.Client.sandbox(emulator=emulator, home=tmp_path)
    submitted, heard = threading.Event(), list[str]()

    def hear(headers: Mapping[str, str], body: bytes) -> int:
        submitted.wait(60)
        event = mv.verify_kling(SECRET, headers, body, now=time.time())
        heard.append(event.word)
        client.nudge(event)
        return 204

    with client, receiver(hear) as url:
        options = {"kling": {"options": {"callback_url": url}}}
        job = client.submit(PROMPT, model="kling-3.0", duration=4, poll_interval=3600, options=options)
        submitted.set()
        assert job.wait(deadline=60).check.ok
    emulator.close()
    assert heard[0] == "submitted"
