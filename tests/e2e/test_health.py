"""An account that is full, and a vendor that is down, as a program sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import evolve

import multivideo as mv
from multivideo.clock import VirtualClock
from multivideo.sandbox import Emulator
from multivideo.transport.carrier import CarrierFault, Outgoing
from scenes import PROMPT, cached_render

pytestmark = pytest.mark.anyio
WISH: dict[str, Any] = {"model": "kling-3.0", "duration": 4, "resolution": "720p"}


def full(clock: VirtualClock, tmp_path: Path, slots: int, said: int | None) -> mv.AsyncClient:
    """A client of a pack with so many slots, of which the account says another number."""
    emulator = Emulator(clock=clock, latency=60.0, render=cached_render, kling_slots=slots)
    client = mv.AsyncClient.sandbox(emulator=emulator, clock=clock, home=tmp_path)
    client.providers = tuple(evolve(one, slots=said) if isinstance(one, mv.Kling) else one for one in client.providers)
    return client


async def test_jobs_beyond_the_slots_of_a_pack_wait_here_and_are_never_refused(
    clock: VirtualClock, tmp_path: Path
) -> None:
    async with full(clock, tmp_path, 2, 2) as client:
        jobs = [await client.submit(PROMPT, **WISH) for _ in range(5)]
        use = client.health()["kling"].slots["kling-3.0"]
        assert (use.limit, use.waiting) == (2, 0)
        videos = [await job.wait() for job in jobs]
        assert len({video.path for video in videos}) == 5
        assert client.health()["kling"].slots["kling-3.0"].used == 0
        assert client.emulator is not None
        assert client.emulator.count() == 5
        assert client.emulator.charged() == client.credits.spent().micro_usd


async def test_a_pack_that_is_smaller_than_was_said_is_found_out_and_every_job_is_made_once(
    clock: VirtualClock, tmp_path: Path
) -> None:
    async with full(clock, tmp_path, 3, 20) as client:
        done: list[mv.Video] = []

        async def one() -> None:
            done.append(await client.generate(PROMPT, **WISH))

        async with anyio.create_task_group() as tasks:
            for _ in range(12):
                tasks.start_soon(one)
        limit = client.health()["kling"].slots["kling-3.0"].limit
        assert limit is not None
        assert limit < 20
        assert len(done) == 12
        assert client.emulator is not None
        assert client.emulator.count() == 12
        client.credits.verify()


async def test_a_deadline_ends_the_wait_for_a_slot_and_nothing_is_paid(clock: VirtualClock, tmp_path: Path) -> None:
    async with full(clock, tmp_path, 1, 1) as client:
        await client.submit(PROMPT, **WISH)
        with pytest.raises(mv.ProviderUnavailable, match="did not take the job within 9 s") as caught:
            await client.submit(PROMPT, **WISH, deadline=9)
        assert caught.value.charged == "no"
        assert client.emulator is not None
        assert client.emulator.count() == 1
        assert client.credits.held.micro_usd == client.jobs()[0].ref.attempts[0].held_micro_usd


async def test_a_vendor_that_is_down_is_left_in_peace_and_the_others_go_on(
    clock: VirtualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with full(clock, tmp_path, 20, 20) as client:
        really = client._driver.sender.carrier.open

        def opened(message: Outgoing) -> Any:
            if "/openai/" in message.url:
                raise CarrierFault("no connection", sent=False)
            return really(message)

        monkeypatch.setattr(client._driver.sender.carrier, "open", opened)
        for _ in range(3):
            with pytest.raises(mv.ProviderUnavailable):
                await client.generate(PROMPT, model="sora-2", duration=4)
        health = client.health()
        assert health["openai"].breakers["submit"] == "open"
        assert not health["openai"].ok
        assert str(health["openai"]).startswith("openai: submit open for ")
        assert health["kling"].ok
        assert (await client.generate(PROMPT, **WISH)).check.ok
