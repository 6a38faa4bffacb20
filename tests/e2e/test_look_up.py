"""A submit whose answer was lost is found again at the vendors that have a way to look."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import multivideo as mv
from multivideo.clock import VirtualClock
from multivideo.providers.accounts import Account
from multivideo.sandbox import Emulator
from multivideo.transport.embedded import HOME, EmbeddedCarrier
from multivideo.transport.retry import StepKind
from multivideo.transport.sender import Channel, Sender
from multivideo.wire import JobStatus, LookUp
from scenes import PROMPT

pytestmark = pytest.mark.anyio

OPENAI = mv.OpenAIVideos(api_key="sandbox", base_url=f"{HOME}/openai/v1", vendor_dates=True)
KLING = mv.Kling(api_key="sandbox", base_url=f"{HOME}/kling", vendor_dates=True)
VERTEX = mv.Veo(
    project="p",
    credentials=mv.BearerToken("sandbox"),
    output_uri="gs://mine/runs",
    base_url=f"{HOME}/vertex",
    vendor_dates=True,
)


async def lose(emulator: Emulator, clock: VirtualClock, account: Account, home: Any) -> mv.OutcomeUnknown:
    """Send a job whose answer is lost."""
    client = mv.AsyncClient.sandbox(emulator=emulator, clock=clock, home=home)
    client.providers = (account,)
    emulator.fault({"openai": "openai", "kling": "kling", "vertex": "vertex"}[account.path], made_drop=True)
    with pytest.raises(mv.OutcomeUnknown) as caught:
        await client.generate(PROMPT, duration=4, resolution="720p")
    return caught.value


async def look(
    emulator: Emulator, clock: VirtualClock, account: Account, lost: mv.OutcomeUnknown, matches: Callable[[str], bool]
) -> tuple[JobStatus, ...]:
    """Ask the vendor for it."""
    segment = mv.AsyncClient(providers=[account]).plan(PROMPT, duration=4, resolution="720p", as_of=DAY).segments[0]
    wire_model = {"openai": "sora-2", "kling": "kling-3.0", "vertex": "veo-3.1-generate-001"}[account.path]
    question = LookUp(lost.attempt_id or "", wire_model, segment, clock.wall() - 3600, clock.wall() + 60, matches)
    channel = Channel(account.backend(), account.signer())
    exchange = channel.provider.look_up(question)
    assert exchange is not None
    return await Sender(EmbeddedCarrier(emulator), clock, lambda: 0.5).run(channel, exchange, StepKind.LOOK_UP)


DAY = mv.AsyncClient.sandbox().catalog.as_of


@pytest.mark.parametrize("account", [OPENAI, KLING, VERTEX], ids=lambda account: account.path)
async def test_a_lost_job_is_found_again(
    emulator: Emulator, clock: VirtualClock, tmp_path: Any, account: Account
) -> None:
    lost = await lose(emulator, clock, account, tmp_path)
    await clock.sleep(120)
    [found] = await look(emulator, clock, account, lost, lambda prompt: prompt == PROMPT)
    assert found.state == "succeeded"
    [job] = emulator.jobs()
    assert account.path == "vertex" or found.remote_id == job.id


async def test_another_prompt_of_the_same_minute_is_not_taken_for_it(
    emulator: Emulator, clock: VirtualClock, tmp_path: Any
) -> None:
    lost = await lose(emulator, clock, OPENAI, tmp_path)
    assert await look(emulator, clock, OPENAI, lost, lambda prompt: prompt == "something else") == ()


async def test_where_nothing_can_be_looked_up_the_provider_says_so() -> None:
    inline = mv.Veo(project="p", credentials=mv.BearerToken("t"), base_url=f"{HOME}/vertex")
    segment = mv.AsyncClient(providers=[inline]).plan(PROMPT, as_of=DAY).segments[0]
    assert inline.backend().look_up(LookUp("a", "veo-3.1-generate-001", segment, 0, 1, lambda prompt: True)) is None
