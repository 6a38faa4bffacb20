"""Kling's legacy protocol, Veo on the Gemini API and LiteLLM's dialect, from end to end at addresses of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import multivideo as mv
from multivideo.clock import VirtualClock
from multivideo.sandbox import Emulator
from multivideo.transport.embedded import HOME
from scenes import PROMPT

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:The HMAC key is 7 bytes long")]

ACCOUNTS = {
    "legacy-key": mv.Kling(api_key="k", dialect="legacy", base_url=f"{HOME}/kling"),
    "gemini": mv.Veo(api_key="k", base_url=f"{HOME}/gemini"),
    "litellm": mv.OpenAIVideos(api_key="k", dialect="litellm", base_url=f"{HOME}/openai/v1"),
}
MODELS = {"legacy-key": "kling-3.0", "gemini": "veo-3.1", "litellm": "sora-2"}


def of(emulator: Emulator, clock: VirtualClock, home: Path, account: Any) -> mv.AsyncClient:
    client = mv.AsyncClient(providers=[account], clock=clock, home=home)
    client._emulator = emulator
    return client


@pytest.mark.parametrize("frame", [False, True], ids=["text", "first-frame"])
@pytest.mark.parametrize("name", ACCOUNTS)
async def test_one_call_makes_a_video(
    emulator: Emulator, clock: VirtualClock, tmp_path: Path, name: str, frame: bool
) -> None:
    wish: dict[str, Any] = {"first_frame": Image.new("RGB", (1280, 720), "navy")} if frame else {}
    client = of(emulator, clock, tmp_path, ACCOUNTS[name])
    video = await client.generate(PROMPT, model=MODELS[name], duration=4, **wish)
    assert video.check.ok
    assert (video.width, video.height) == (1280, 720)
    assert emulator.charged() == video.charge.micro_usd
    assert emulator.count() == 1


@pytest.mark.parametrize("word", ["risk_control", "safety_filtered", "moderation_blocked"])
async def test_filtered_results_are_errors_there_too(
    emulator: Emulator, clock: VirtualClock, tmp_path: Path, word: str
) -> None:
    name = {"risk_control": "legacy-key", "safety_filtered": "gemini", "moderation_blocked": "litellm"}[word]
    client = of(emulator, clock, tmp_path, ACCOUNTS[name])
    with pytest.raises(mv.ContentFiltered):
        await client.generate(f"{PROMPT} {word}", model=MODELS[name], duration=4)


async def test_a_signed_token_of_access_and_secret_key_works() -> None:
    headers = await mv.Kling(access_key="ak-test", secret_key="sk-test").signer().headers()
    token = headers["Authorization"].removeprefix("Bearer ")
    path = "/kling/v1/videos/text2video?pageNum=1&pageSize=1"
    async with Emulator(latency=1.0, render=lambda clip: b"") as real_time:
        good = await real_time("GET", path, {"authorization": f"Bearer {token}"}, b"")
        bad = await real_time("GET", path, {"authorization": f"Bearer {token[:-3]}xyz"}, b"")
    assert (good.status, bad.status) == (200, 401)
