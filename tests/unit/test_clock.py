from __future__ import annotations

import threading
import time

import anyio
import pytest
from anyio import to_thread

from multivideo.clock import Clock, SystemClock, VirtualClock

pytestmark = pytest.mark.anyio


async def test_virtual_time_jumps_to_the_next_sleeper() -> None:
    clock, seen = VirtualClock(), list[tuple[str, float]]()

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        seen.append((name, clock.monotonic()))

    async with anyio.create_task_group() as tasks:
        for name, seconds in (("slow", 3600.0), ("quick", 0.5), ("middle", 60.0)):
            tasks.start_soon(sleeper, name, seconds)
    assert seen == [("quick", 0.5), ("middle", 60.0), ("slow", 3600.0)]
    assert clock.wall() == 1785542400.0 + 3600.0


async def test_two_thousand_sleepers_of_two_minutes_cost_no_real_time() -> None:
    clock, done = VirtualClock(), list[float]()

    async def job(number: int) -> None:
        for _ in range(5):
            await clock.sleep(24 + number / 1000)
        done.append(clock.monotonic())

    async with anyio.create_task_group() as tasks:
        for number in range(2000):
            tasks.start_soon(job, number)
    assert len(done) == 2000
    assert max(done) == pytest.approx(120 + 5 * 1.999)


async def test_a_cancelled_leader_hands_time_over() -> None:
    clock = VirtualClock()

    async def long() -> None:
        await clock.sleep(1000)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(long)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as inner:
                inner.start_soon(clock.sleep, 500)
                await anyio.lowlevel.checkpoint()
                scope.cancel()
    assert clock.monotonic() == 1000


async def test_virtual_time_stands_still_while_a_thread_works() -> None:
    clock, gate = VirtualClock(), threading.Event()
    seen: list[float] = []

    def work() -> None:
        gate.wait(10)

    async def worker() -> None:
        with clock.working():
            await to_thread.run_sync(work)
            seen.append(clock.monotonic())

    async def release() -> None:
        await anyio.sleep(0.05)
        gate.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker)
        tasks.start_soon(release)
        tasks.start_soon(clock.sleep, 100)
    assert seen == [0.0]
    assert clock.monotonic() == 100


@pytest.mark.parametrize("clock", [SystemClock(), VirtualClock()], ids=["system", "virtual"])
async def test_a_nap_can_be_cut_short(clock: Clock) -> None:
    nap = clock.nap(3600)

    async def wake() -> None:
        await anyio.lowlevel.checkpoint()
        nap.wake()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(nap.sleep)
        tasks.start_soon(wake)
    assert clock.monotonic() < 3600 or isinstance(clock, SystemClock)


async def test_a_nap_woken_before_it_began_returns_at_once() -> None:
    clock = VirtualClock()
    nap = clock.nap(3600)
    nap.wake()
    await nap.sleep()
    assert clock.monotonic() == 0


@pytest.mark.parametrize("seconds", [0.0, 2.0])
async def test_a_virtual_deadline_ends_the_block(seconds: float) -> None:
    clock = VirtualClock()
    with pytest.raises(TimeoutError):
        with clock.fail_after(seconds):
            await clock.sleep(10)
    assert clock.monotonic() == seconds
    await clock.sleep(1)
    assert clock.monotonic() == seconds + 1


async def test_a_deadline_that_is_not_reached_does_nothing() -> None:
    clock = VirtualClock()
    with clock.fail_after(10):
        await clock.sleep(1)
    with clock.fail_after(None):
        await clock.sleep(100)
    assert clock.monotonic() == 101


async def test_the_system_clock_is_real_time() -> None:
    clock = SystemClock()
    assert abs(clock.wall() - time.time()) < 60
    before = clock.monotonic()
    await clock.sleep(0)
    assert clock.monotonic() >= before
    with pytest.raises(TimeoutError), clock.fail_after(0):
        await clock.sleep(60)
    with clock.working():
        pass
