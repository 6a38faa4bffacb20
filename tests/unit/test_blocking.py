"""The blocking client and the portal under it, against the emulator in this process."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import shutil
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest

import multivideo as mv
from multivideo.jobs.job import Job
from multivideo.portal import Portal
from multivideo.sandbox import Emulator, Reply

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "make_blocking.py"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[mv.Client]:
    with mv.Client.sandbox(home=tmp_path, latency=0) as opened:
        yield opened


def emulator_of(client: mv.Client) -> Emulator:
    assert client.emulator is not None
    return client.emulator


def cheap(**more: Any) -> Any:
    """The smallest clip there is, looked at often."""
    return {"model": "veo-3.1-lite", "duration": 4, "audio": True, "poll_interval": 0.05, **more}


def interrupt_main() -> None:
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


# --- what it does


def test_one_blocking_call_makes_a_measured_file(client: mv.Client, tmp_path: Path) -> None:
    video = client.generate("a fox in snow", **cheap(save_to=tmp_path / "fox.mp4"))
    assert video.path == tmp_path / "fox.mp4"
    assert video.path.stat().st_size == video.size_bytes
    assert (video.duration, video.has_audio, video.check.ok) == (4.0, True, True)


def test_planning_and_looking_around_start_no_thread_and_write_nothing(tmp_path: Path) -> None:
    before = threading.active_count()
    with mv.Client.sandbox(home=tmp_path / "home", latency=0) as client:
        plan = client.plan("a fox in snow", model="veo-3.1", duration=8)
        assert client.quote("a fox in snow", model="veo-3.1", duration=8) == plan.quote
        assert client.catalog.as_of == plan.as_of
        assert client.jobs() == ()
        assert [account.name for account in client.providers] == ["openai", "kling", "vertex"]
        assert repr(client) == "Client(openai, kling, vertex)"
        assert threading.active_count() == before
    assert not (tmp_path / "home").exists()


def test_a_plan_runs_as_it_was_made(client: mv.Client) -> None:
    plan = client.plan("a fox in snow", **cheap())
    assert client.generate(plan).plan == plan


def test_a_submitted_job_tells_its_events_and_can_then_be_waited_for(client: mv.Client) -> None:
    job = client.submit("a fox in snow", **cheap())
    assert job.state == "open"
    kinds = [type(event).__name__ for event in job]
    assert kinds[:2] == ["Planned", "Submitted"]
    assert kinds[-1] == "Finished"
    assert job.state == "finished"
    assert job.wait().job_id == job.id
    assert client.jobs("finished") == (job,)
    assert client.jobs("open") == ()


def test_status_and_cancel_are_one_question_each(client: mv.Client) -> None:
    job = client.submit("a fox in snow", **cheap())
    assert isinstance(job.status(), mv.JobStatus)
    with pytest.raises(mv.UnsupportedFeature, match="no way to stop a job"):
        job.cancel()


def test_another_client_goes_on_from_the_reference_of_a_job(tmp_path: Path) -> None:
    with Portal(nothing_to_close).closing() as portal:
        emulator = Emulator(latency=0)
        with mv.Client.sandbox(emulator=emulator, home=tmp_path) as first:
            stored = first.submit("a fox in snow", **cheap()).ref.to_json()
        with mv.Client.sandbox(emulator=emulator, home=tmp_path) as second:
            video = second.resume(stored).wait()
        portal.call(emulator.aclose)
    assert video.path.is_file()
    assert emulator.count() == 1


async def nothing_to_close() -> None:
    pass


def test_errors_pass_through_as_they_are(client: mv.Client) -> None:
    with pytest.raises(mv.UnsupportedFeature) as refused:
        client.generate("a fox in snow", model="veo-3.1", duration=7)
    assert str(refused.value).startswith("veo-3.1 cannot make a 7 s clip.\n  asked:   duration=7\n")
    emulator_of(client).fault("vertex", poll="fail")
    with pytest.raises(mv.InvalidRequest, match="job reference cannot be read"):
        client.resume("{}")


def test_the_job_of_a_missed_deadline_can_be_waited_for_in_blocking_calls(tmp_path: Path) -> None:
    with mv.Client.sandbox(home=tmp_path, latency=0.3) as client:
        job = client.submit("a fox in snow", **cheap())
        with pytest.raises(mv.StillRunning) as late:
            job.wait(deadline=0)
        assert late.value.job == job
        assert late.value.job.wait().job_id == job.id
