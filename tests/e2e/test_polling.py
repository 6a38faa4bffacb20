"""Waiting for jobs, from the client to the emulator's door: how often it is asked, and what is told meanwhile."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import anyio
import pytest

import multivideo as mv
from multivideo.clock import VirtualClock
from multivideo.sandbox import Emulator
from multivideo.sandbox.faults import Script
from multivideo.sandbox.wire import Reply
from scenes import PROMPT, cached_render

pytestmark = pytest.mark.anyio
MODELS = pytest.mark.parametrize("model", ["sora-2", "kling-3.0", "veo-3.1"])
Clients = Callable[..., mv.AsyncClient]


class Door(Emulator):
    """The emulator, which notes what it is asked."""

    asked: Counter[str]

    async def __call__(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        what = "create" if method == "POST" and "fetchPredict" not in path else "file" if "/content" in path else "look"
        self.asked["page" if "limit=100" in path else what] += 1
        return await super().__call__(method, path, headers, body)


@pytest.fixture
def door(clock: VirtualClock) -> Iterator[Door]:
    opened = Door(clock=clock, latency=60.0, render=cached_render, kling_slots=1000)
    opened.asked = Counter()
    yield opened
    opened.close()


def client_of(door: Door, clock: VirtualClock, home: Path) -> mv.AsyncClient:
    return mv.AsyncClient.sandbox(emulator=door, clock=clock, home=home)


async def finished(jobs: list[mv.Job]) -> list[mv.Progress]:
    """All events of progress of jobs that are waited for to their end."""
    async with anyio.create_task_group() as tasks:
        for job in jobs:
            tasks.start_soon(job.wait)
    return [event for job in jobs for event in job._events if isinstance(event, mv.Progress)]


async def test_a_crowd_at_openai_is_seen_by_its_list(door: Door, clock: VirtualClock, tmp_path: Path) -> None:
    async with client_of(door, clock, tmp_path) as client:
        jobs = [await client.submit(PROMPT, model="sora-2", duration=4) for _ in range(60)]
        began = clock.monotonic()
        await finished(jobs)
    assert clock.monotonic() - began < 63
    assert door.asked["page"] >= 10
    assert door.asked["look"] <= 2 * 60


@MODELS
async def test_the_time_that_is_left_is_told_by_what_jobs_took(
    model: str, door: Door, clock: VirtualClock, tmp_path: Path
) -> None:
    async with client_of(door, clock, tmp_path) as client:
        for _ in range(6):
            events = await finished(
                [await client.submit(PROMPT, model=model, duration=4 if model != "kling-3.0" else 5)]
            )
        assert {event.state for event in events} <= {"running", "pending", "succeeded"}
        assert len(events) <= 6, "the looks begin when such jobs are ready"
        late = await client.submit(PROMPT, model=model, duration=4 if model != "kling-3.0" else 5, poll_interval=20)
        told = await finished([late])
    assert [event.eta_s for event in told[:2]] == pytest.approx([40, 20], abs=4)


@MODELS
async def test_a_job_that_its_vendor_forgets_is_borne_for_a_minute_and_stays_paid(
    model: str, door: Door, clock: VirtualClock, tmp_path: Path
) -> None:
    async with client_of(door, clock, tmp_path) as client:
        job = await client.submit(PROMPT, model=model)
        door.jobs()[-1].latency = 10_000.0
        with pytest.raises(mv.StillRunning):
            await job.wait(deadline=200)
        door.jobs()[-1].burden(Script.parse("vanish"))
        began = clock.monotonic()
        with pytest.raises(mv.ProviderUnavailable, match="does not know") as caught:
            await job.wait()
        assert 60 <= clock.monotonic() - began < 100
        assert caught.value.charged == "held"
        assert client.credits.held > mv.Credits.from_usd(0)


async def test_a_job_that_is_lost_for_a_moment_goes_on(door: Door, clock: VirtualClock, tmp_path: Path) -> None:
    async with client_of(door, clock, tmp_path) as client:
        job = await client.submit(PROMPT, model="veo-3.1", poll_interval=10)
        door.jobs()[-1].latency = 300.0
        door.jobs()[-1].burden(Script.parse("late=1@8*2, late=1@14*2"))
        assert (await job.wait()).path.exists()


async def test_a_job_that_takes_far_too_long_is_warned_of_once_and_waited_for(
    door: Door, clock: VirtualClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with client_of(door, clock, tmp_path) as client:
        job = await client.submit(PROMPT, model="sora-2")
        door.jobs()[-1].latency = 10**6
        with caplog.at_level(logging.WARNING, "multivideo"), pytest.raises(mv.StillRunning):
            await job.wait(deadline=8_000)
    assert [record.message for record in caplog.records if "far longer" in record.message] != []
    assert sum("far longer" in record.message for record in caplog.records) == 1


async def test_the_lease_of_a_job_lasts_until_its_learned_first_look(
    door: Door, clock: VirtualClock, tmp_path: Path
) -> None:
    async with client_of(door, clock, tmp_path / "a") as client:
        for _ in range(6):
            job = await client.submit(PROMPT, model="sora-2")
            door.jobs()[-1].latency = 400.0
            await job.wait()
        job = await client.submit(PROMPT, model="sora-2")
        door.jobs()[-1].latency = 400.0
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(job.wait)
            await clock.sleep(380)  # far more than a lease without a look
            assert [event for event in job._events if isinstance(event, mv.Progress)] == []
            assert client.jobs("open") == (job,)
            assert {row.id for row in client._driver.journal.left_open()} == set(), "another process would take it"
    assert job.state == "finished"
