"""Two thousand jobs of two minutes each, in virtual time, over all three doors."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from multivideo.clock import VirtualClock
from multivideo.sandbox import Emulator

pytestmark = pytest.mark.anyio

JOBS = 2000
MODEL = "projects/p/locations/us-central1/publishers/google/models/veo-3.1-generate-001"
HEADERS = {"authorization": "Bearer key", "content-type": "application/json", "host": "localhost"}


async def ask(emulator: Emulator, method: str, path: str, body: Any = None) -> Any:
    data = b"" if body is None else json.dumps(body).encode()
    reply = await emulator(method, path, HEADERS, data)
    assert reply.status == 200
    return json.loads(await reply.read())


async def openai(emulator: Emulator) -> bool:
    made = await ask(emulator, "POST", "/openai/v1/videos", {"prompt": "a fox", "size": "1280x720"})
    while (await ask(emulator, "GET", f"/openai/v1/videos/{made['id']}"))["status"] != "completed":
        await emulator.clock.sleep(20)
    return True


async def kling(emulator: Emulator) -> bool:
    made = await ask(emulator, "POST", "/kling/text-to-video/kling-3.0", {"prompt": "a fox"})
    path = f"/kling/tasks?task_ids={made['data']['id']}"
    while (await ask(emulator, "GET", path))["data"][0]["status"] != "succeeded":
        await emulator.clock.sleep(20)
    return True


async def vertex(emulator: Emulator) -> bool:
    path = f"/vertex/v1/{MODEL}"
    made = await ask(emulator, "POST", f"{path}:predictLongRunning", {"instances": [{"prompt": "a fox"}]})
    look = {"operationName": made["name"]}
    while "done" not in await ask(emulator, "POST", f"{path}:fetchPredictOperation", look):
        await emulator.clock.sleep(20)
    return True


async def test_two_thousand_jobs_of_two_minutes_end_together_in_virtual_time() -> None:
    clock, done = VirtualClock(), list[bool]()

    async def one(number: int, emulator: Emulator) -> None:
        await clock.sleep(number / 1000)  # not all at one moment
        done.append(await (openai, kling, vertex)[number % 3](emulator))

    async with Emulator(clock=clock, latency=120.0, render=lambda clip: b"mp4", kling_slots=JOBS) as emulator:
        async with anyio.create_task_group() as tasks:
            for number in range(JOBS):
                tasks.start_soon(one, number, emulator)
        assert (len(done), emulator.count()) == (JOBS, JOBS)
    assert 120 <= clock.monotonic() <= 145
