"""Jobs and files: time, threads, the cache, and standing alone."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import anyio
import pytest
from sandbox_calls import Caller, caller, instant

import multivideo.sandbox
from multivideo.clock import SystemClock, VirtualClock
from multivideo.sandbox import Emulator, State
from multivideo.sandbox.pool import RenderPool
from multivideo.sandbox.render import Clip

pytestmark = pytest.mark.anyio


def clip(seed: int = 0, width: int = 1280, height: int = 720) -> Clip:
    return Clip(model="m", prompt="p", seed=seed, width=width, height=height, seconds=1, fps=24, audio=False)


async def test_hundreds_of_jobs_pass_on_a_virtual_clock() -> None:
    call = caller(latency=120.0, kling_slots=1000)
    ended: list[float] = []

    async def live(number: int) -> None:
        await call.clock.sleep(number)
        made = await call.openai(f"clip {number % 7}")
        while (await call("GET", f"/openai/v1/videos/{made.json['id']}")).json["status"] != "completed":
            await call.clock.sleep(10)
        ended.append(call.clock.monotonic() - number)

    async with anyio.create_task_group() as group:
        for number in range(300):
            group.start_soon(live, number)
    assert ended == [120.0] * 300
    assert call.emulator.count() == 300
    call.emulator.close()


async def test_equal_clips_are_rendered_once() -> None:
    made: list[Clip] = []
    lock = threading.Lock()

    def render(clip: Clip) -> bytes:
        with lock:
            made.append(clip)
        return instant(clip)

    call = caller(render=render)
    for prompt in ("a", "b", "a", "a"):
        await call.openai(prompt)
    await call.clock.sleep(61)
    assert sorted(clip.prompt for clip in made) == ["a", "b"]
    call.emulator.close()


async def test_virtual_time_stands_still_while_a_file_is_rendered() -> None:
    release = threading.Event()

    def render(clip: Clip) -> bytes:
        release.wait(10)
        return b"file"

    call = caller(render=render, latency=5.0)
    made = await call.openai()
    threading.Timer(0.05, release.set).start()
    await call.clock.sleep(5)
    assert release.is_set()
    assert (await call("GET", f"/openai/v1/videos/{made.json['id']}")).json["status"] == "completed"
    call.emulator.close()


async def test_on_real_time_a_job_runs_until_its_file_is_there() -> None:
    release = threading.Event()

    def render(clip: Clip) -> bytes:
        release.wait(10)
        return b"file"

    call = Caller(Emulator(latency=0, render=render), VirtualClock())
    made = await call.openai()
    path = f"/openai/v1/videos/{made.json['id']}"
    assert (await call("GET", path)).json["status"] == "in_progress"
    release.set()
    call.emulator.close()  # waits for the file
    assert (await call("GET", path)).json["status"] == "completed"


async def test_the_cache_drops_what_was_longest_unused_and_renders_it_again() -> None:
    made: list[int] = []

    def render(clip: Clip) -> bytes:
        made.append(clip.seed)
        return bytes(100)

    clock = VirtualClock()
    pool = RenderPool(clock, render, 250)
    for seed in range(4):
        assert len(await pool.fetch(clip(seed))) == 100
    assert made == [0, 1, 2, 3]
    await pool.fetch(clip(3))
    assert made == [0, 1, 2, 3]
    await pool.fetch(clip(0))
    assert made == [0, 1, 2, 3, 0]
    pool.close()


async def test_at_most_two_4k_files_are_rendered_at_once() -> None:
    busy, most, lock = 0, 0, threading.Lock()
    pair = threading.Barrier(2)  # each waits for a second one: fewer than two at once would end in an error

    def render(clip: Clip) -> bytes:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        pair.wait(10)
        with lock:
            busy -= 1
        return b"file"

    pool = RenderPool(SystemClock(), render)
    clips = [clip(seed, 3840, 2160) for seed in range(6)]
    for item in clips:
        pool.start(item)
    assert [await pool.fetch(item) for item in clips] == [b"file"] * 6
    pool.close()
    assert most == 2


async def test_left_alone_the_vendors_take_their_usual_time_in_their_usual_order() -> None:
    call = caller(latency=None)
    await call.openai(seconds="8", size="1280x720")
    await call.kling(settings={"duration": 8})
    await call.veo(durationSeconds=8)
    sora, kling, veo = (job.latency for job in call.emulator.jobs())
    assert (sora, kling / sora, veo / sora) == (120, 0.6, 0.65)
    await call.openai(seconds="8", size="1280x720", model="sora-2-pro")
    await call.kling(settings={"duration": 8}, model="kling-3.0-turbo")
    await call.kling(settings={"duration": 15, "resolution": "4k"})
    pro, turbo, large = (job.latency for job in call.emulator.jobs()[3:])
    assert turbo < kling < large
    assert pro > sora
    call.emulator.close()


async def test_a_job_is_seen_through_all_its_states() -> None:
    call = caller()
    await call.openai()
    await call.veo("safety_filtered")
    job, filtered = call.emulator.jobs()
    begin = job.created
    await call.clock.sleep(0.1)
    states = [job.state(begin + after) for after in (0, 4.9, 5, 59, 60, 86_459, 86_460)]
    assert states == [
        State.QUEUED, State.QUEUED, State.RUNNING, State.RUNNING, State.DONE, State.DONE, State.EXPIRED,
    ]  # fmt: skip
    assert filtered.state(begin + 60) is State.FILTERED
    assert State.FILTERED.over
    call.emulator.close()


async def test_two_emulators_of_one_seed_give_the_same_ids() -> None:
    one, two, other = caller(seed=1), caller(seed=1), caller(seed=2)
    ids = [(await call.openai()).json["id"] for call in (one, two, other)]
    assert ids[0] == ids[1] != ids[2]
    for call in (one, two, other):
        call.emulator.close()


async def test_an_emulator_closes_itself() -> None:
    async with Emulator(clock=VirtualClock(), render=instant) as emulator:
        call = Caller(emulator, VirtualClock())
        assert (await call.openai()).status == 200
    with pytest.raises(RuntimeError):
        await call.openai("another")


def test_the_emulator_imports_nothing_of_ours_but_the_clock() -> None:
    folder = Path(multivideo.sandbox.__file__).parent
    lines = [
        line.split()[1]
        for file in folder.glob("*.py")
        for line in file.read_text("utf-8").splitlines()
        if line.strip().startswith(("from multivideo", "import multivideo"))
    ]
    assert [name for name in lines if not name.startswith(("multivideo.sandbox", "multivideo.clock"))] == []
    code = (
        "import sys, multivideo; old = set(sys.modules); import multivideo.sandbox; new = set(sys.modules) - old; "
        "print([n for n in sorted(new) if n.startswith('multivideo.') and not n.startswith('multivideo.sandbox')]); "
        "print([n for n in ('starlette', 'uvicorn', 'httpx') if n in new])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == ["['multivideo.clock']", "[]"]
