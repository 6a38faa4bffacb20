"""Our client through LiteLLM's proxy, which is started here, to the emulator.

Needs `pip install "litellm[proxy]" "multivideo[sandbox]" pytest`; run with `nox -s conformance-litellm`.
"""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

import av
import httpx
import pytest
from packaging.version import Version
from PIL import Image

import multivideo as mv
from multivideo.sandbox import Emulator
from multivideo.sandbox.server import running

pytestmark = pytest.mark.anyio

KEY = "sk-proxy"
ORDER = {"model": "sora-2", "prompt": "a paper boat", "seconds": "4", "size": "1280x720"}
SIZES = ("1280x720", "720x1280")
MODELS = {
    "veo-3.1": mv.ModelSpec(sizes=SIZES, seconds=(4, 8), price_per_second="0.40"),
    "unlisted": mv.ModelSpec(sizes=SIZES, seconds=(4,), price_per_second="0.10"),
    "sora-with-bad-key": mv.ModelSpec(sizes=SIZES, seconds=(4,), price_per_second="0.10"),
}

FOLLOW_UPS_NAME_THEIR_MODEL = Version(version("litellm")) >= Version("1.108.4")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    made = Emulator(latency=0.3, file_uris="self")  # LiteLLM follows the links of Gemini as they stand
    yield made
    made.close()


def config(url: str) -> str:
    """What the proxy serves; YAML, which JSON is."""
    models = {
        "sora-2": ("openai/sora-2", "openai/v1", "key-a"),
        "sora-with-bad-key": ("openai/sora-2", "openai/v1", "bad-key"),
        "veo-3.1": ("gemini/veo-3.1-generate-preview", "gemini", "key-a"),
    }
    served = [
        {"model_name": name, "litellm_params": {"model": model, "api_base": f"{url}/{door}", "api_key": key}}
        for name, (model, door, key) in models.items()
    ]
    return json.dumps({"model_list": served, "general_settings": {"master_key": KEY}})


@pytest.fixture(scope="module")
def proxy(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a proxy of our own, which asks nobody but the emulator."""
    folder = tmp_path_factory.mktemp("proxy")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "litellm.proxy.proxy_cli", "--config", str(folder / "config.yaml")]
    own = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI", "LITELLM"))}
    with running(emulator) as url, (folder / "log").open("wb") as log:
        (folder / "config.yaml").write_text(config(url))
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"],
            env={**own, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "127.0.0.1"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until_up(process, f"http://127.0.0.1:{port}", folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def wait_until_up(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    while process.poll() is None:
        try:
            if httpx.get(f"{address}/health/liveliness", trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)  # real time: there is no other way to see another process start
    pytest.fail(f"the proxy did not start: {log.read_text()[-2000:]}")


@pytest.fixture
async def http(proxy: str) -> AsyncIterator[httpx.AsyncClient]:
    """The proxy without our client, for what it does by itself."""
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=f"{proxy}/v1", headers=headers, trust_env=False, timeout=30) as client:
        yield client


def connect(proxy: str, home: Path, *, key: str = KEY, models: dict[str, mv.ModelSpec] | None = None) -> mv.AsyncClient:
    account = mv.OpenAIVideos(base_url=f"{proxy}/v1", api_key=key, dialect="litellm", models=models)
    return mv.AsyncClient(providers=[account], home=home)


@pytest.fixture
async def client(proxy: str, tmp_path: Path) -> AsyncIterator[mv.AsyncClient]:
    async with connect(proxy, tmp_path) as client:
        yield client


@pytest.fixture
async def others(proxy: str, tmp_path: Path) -> AsyncIterator[mv.AsyncClient]:
    """A client that knows the proxy's own models too."""
    async with connect(proxy, tmp_path, models=MODELS) as client:
        yield client


def measure(path: Path) -> tuple[int, int, float, float, bool]:
    """Width, height, seconds, frame rate and whether there is sound."""
    with av.open(io.BytesIO(path.read_bytes()), "r") as container:
        video = container.streams.video[0]
        frames = sum(1 for _ in container.decode(video))
        rate = float(video.average_rate or 0)
        return video.width, video.height, frames / rate, rate, bool(container.streams.audio)


async def test_text_to_video_makes_a_measured_file(client: mv.AsyncClient, emulator: Emulator) -> None:
    before = emulator.charged()
    video = await client.generate("a paper boat", model="sora-2", duration=4)
    assert video.check.ok
    assert measure(video.path) == (1280, 720, 4.0, 30.0, True)
    assert emulator.charged() - before == video.charge.micro_usd == 400_000


async def test_a_picture_becomes_the_first_frame(client: mv.AsyncClient, emulator: Emulator) -> None:
    frame = Image.new("RGB", (720, 1280), "navy")
    video = await client.generate("she turns", model="sora-2", duration=4, aspect_ratio="9:16", first_frame=frame)
    assert measure(video.path) == (720, 1280, 4.0, 30.0, True)
    sent = emulator.jobs()[-1].draft.clips[0].first_frame
    assert sent is not None
    assert Image.open(io.BytesIO(sent)).getpixel((0, 0)) == (0, 0, 128)


async def test_another_vendor_behind_the_proxy_is_served_alike(others: mv.AsyncClient, emulator: Emulator) -> None:
    video = await others.generate("a paper boat", model="veo-3.1", duration=4)
    assert video.check.ok
    assert measure(video.path) == (1280, 720, 4.0, 24.0, True)
    assert emulator.jobs()[-1].cost == video.charge.micro_usd


async def test_a_job_is_resumed_by_another_client(proxy: str, tmp_path: Path, emulator: Emulator) -> None:
    async with connect(proxy, tmp_path) as first:
        ref = (await first.submit("a paper boat", model="sora-2", duration=4)).ref
    before = emulator.count()
    async with connect(proxy, tmp_path) as second:
        video = await (await second.resume(ref)).wait()
    assert measure(video.path) == (1280, 720, 4.0, 30.0, True)
    assert emulator.count() == before


async def test_a_video_is_remixed_edited_and_extended_by_its_id(
    client: mv.AsyncClient, http: httpx.AsyncClient, emulator: Emulator
) -> None:
    """Older proxies relay the order too, but the id of the new video names no model, and its polls go astray."""
    source = await client.generate("a paper boat", model="sora-2", duration=4)
    assert source.handle is not None
    relayed = await http.post("/videos/edits", json={"prompt": "in red", "video": {"id": source.handle.ref.remote_id}})
    told = b64decode(relayed.json()["id"].removeprefix("video_") + "==").decode()
    assert ("model_id:sora-2;" in told) is FOLLOW_UPS_NAME_THEIR_MODEL
    if FOLLOW_UPS_NAME_THEIR_MODEL:
        before = emulator.charged()
        made = [
            await client.generate("now it snows", model="sora-2", source_video=source, mode="remix"),
            await client.edit(source, "in red"),
            await client.extend(source, seconds=4, prompt="it sinks"),
        ]
        assert [measure(video.path) for video in made] == [(1280, 720, s, 30.0, True) for s in (4.0, 4.0, 8.0)]
        assert emulator.charged() - before == sum(video.charge.micro_usd for video in made)


async def test_a_character_is_kept_and_used(client: mv.AsyncClient, emulator: Emulator) -> None:
    clip = await client.generate("a paper boat", model="sora-2", duration=4)
    mossy = await client.create_character("Mossy", clip.path)
    video = await client.generate("Mossy rows", model="sora-2", duration=4, reference_images=[mossy])
    assert measure(video.path) == (1280, 720, 4.0, 30.0, True)
    assert str(emulator.jobs()[-1].request["characters"]).count("char_") == 1  # the vendor's own id


async def test_an_unknown_parameter_is_refused_by_name(client: mv.AsyncClient, emulator: Emulator) -> None:
    before = emulator.count()
    with pytest.raises(mv.InvalidRequest, match="Unknown parameter: 'quality'") as refused:
        await client.generate("x", model="sora-2", duration=4, options={"openai": {"quality": "hd"}})
    assert refused.value.charged == "no"
    assert emulator.count() == before


async def test_a_model_that_the_proxy_does_not_serve_is_refused_by_name(others: mv.AsyncClient) -> None:
    with pytest.raises(mv.InvalidRequest, match="unlisted") as refused:
        await others.generate("x", model="unlisted", duration=4)
    assert refused.value.charged == "no"


async def test_a_key_that_the_proxy_does_not_know_is_refused(proxy: str, tmp_path: Path, emulator: Emulator) -> None:
    before = emulator.count()
    async with connect(proxy, tmp_path, key="sk-wrong") as stranger:
        with pytest.raises(mv.AuthenticationFailed) as refused:
            await stranger.generate("x", model="sora-2", duration=4)
    assert refused.value.charged == "no"
    assert emulator.count() == before


async def test_a_key_that_the_vendor_refuses_is_told_as_one(others: mv.AsyncClient) -> None:
    with pytest.raises(mv.AuthenticationFailed) as refused:
        await others.generate("x", model="sora-with-bad-key", duration=4)
    assert refused.value.charged == "no"
    assert "bad-key." not in str(refused.value)


async def test_a_prompt_that_the_vendor_refuses_at_once_is_a_content_error(client: mv.AsyncClient) -> None:
    with pytest.raises(mv.ContentFiltered, match="didn't look right") as refused:
        await client.generate("a paper boat, sentinel_block", model="sora-2", duration=4)
    assert refused.value.charged == "no"


async def test_a_lost_answer_makes_one_job_and_is_told_as_unknown(client: mv.AsyncClient, emulator: Emulator) -> None:
    before = emulator.count()
    emulator.fault("openai", made=500)
    with pytest.raises(mv.OutcomeUnknown):
        await client.generate("a paper boat", model="sora-2", duration=4)
    assert emulator.count() == before + 1


async def test_a_job_that_moderation_ends_is_a_content_error(client: mv.AsyncClient) -> None:
    with pytest.raises(mv.ContentFiltered, match="moderation system"):
        await client.generate("a paper boat, moderation_blocked", model="sora-2", duration=4)


async def test_a_broken_download_is_fetched_again(client: mv.AsyncClient, emulator: Emulator) -> None:
    emulator.fault("openai", download_cut=True, download_late="@2")
    before = emulator.count()
    video = await client.generate("a paper boat", model="sora-2", duration=4)
    assert measure(video.path) == (1280, 720, 4.0, 30.0, True)
    assert emulator.count() == before + 1


async def test_a_job_that_is_not_found_at_first_is_asked_for_again(client: mv.AsyncClient, emulator: Emulator) -> None:
    emulator.fault("openai", late="*2")
    video = await client.generate("a paper boat", model="sora-2", duration=4)
    assert video.check.ok


async def test_the_proxy_sends_a_create_twice_unless_told_not_to(http: httpx.AsyncClient, emulator: Emulator) -> None:
    made = []
    for headers in ({}, {"x-litellm-num-retries": "0"}):
        before = emulator.count()
        emulator.fault("openai", made=500)
        answer = await http.post("/videos", json=ORDER, headers=headers)
        made.append((answer.status_code, answer.headers.get("x-litellm-attempted-retries"), emulator.count() - before))
    assert made == [(200, "1", 2), (500, None, 1)]


async def test_the_proxy_has_no_list_of_its_own_and_deletes_nothing(proxy: str, http: httpx.AsyncClient) -> None:
    made = (await http.post("/videos", json=ORDER)).json()["id"]
    assert (await http.get("/videos")).status_code == 400
    assert (await http.delete(f"/videos/{quote(made, safe='')}")).status_code == 405
    backend = mv.OpenAIVideos(base_url=f"{proxy}/v1", api_key=KEY, dialect="litellm").backend()
    assert backend.sweep(since=0.0) is None


async def test_the_free_look_at_the_key_is_the_list_of_models(http: httpx.AsyncClient, proxy: str) -> None:
    look = mv.OpenAIVideos(base_url=f"{proxy}/v1", api_key=KEY, dialect="litellm").backend().probe()
    assert look is not None
    url = look.request.url
    assert {row["id"] for row in (await http.get(url)).json()["data"]} == {"sora-2", "sora-with-bad-key", "veo-3.1"}
    wrong = await http.get(url, headers={"authorization": "Bearer sk-wrong"})
    # with a database for keys of its users it says 401
    assert (wrong.status_code, wrong.json()["error"]["type"]) == (400, "no_db_connection")
