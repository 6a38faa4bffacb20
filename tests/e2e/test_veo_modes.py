"""Every mode of Veo on both of its access paths, from end to end: what is sent, what comes, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from PIL import Image

import multivideo as mv
from multivideo.clock import VirtualClock
from multivideo.sandbox import Emulator
from multivideo.transport.embedded import HOME
from multivideo.values.clips import Clip
from scenes import PROMPT, cached_render

pytestmark = pytest.mark.anyio

TOKEN = mv.BearerToken("t")
ACCOUNTS: Mapping[str, Any] = {
    "gemini": mv.Veo(api_key="k", base_url=f"{HOME}/gemini"),
    "vertex": mv.Veo(project="p", credentials=TOKEN, base_url=f"{HOME}/vertex"),
    "bucket": mv.Veo(
        project="p", credentials=TOKEN, base_url=f"{HOME}/vertex", output_uri="gs://demo-out/runs", name="bucket"
    ),
}
EVERY = pytest.mark.parametrize("path", ACCOUNTS)
AT_VERTEX = pytest.mark.parametrize("path", ["vertex", "bucket"])
FRAME, LAST, PORTRAIT = (
    Image.new("RGB", size, colour)
    for size, colour in (((1280, 720), "navy"), ((1280, 720), "tan"), ((720, 1280), "red"))
)
Open = Callable[[str], mv.AsyncClient]


def plain(clip: Any) -> bytes:
    """A file of that size, length and sound; what it shows is no matter here, so that one serves many orders."""
    alike = {"model": "any", "prompt": "", "seed": 0, "first_frame": None, "last_frame": None}
    return cached_render(evolve(clip, **alike, references=(), film=None))


@pytest.fixture
def emulator(clock: VirtualClock) -> Emulator:
    """One that draws plain files."""
    return Emulator(clock=clock, latency=60.0, render=plain)


@pytest.fixture
def client(emulator: Emulator, clock: VirtualClock, tmp_path: Path) -> Open:
    """Makes the client of an account at the emulator."""
    return lambda path: of(emulator, clock, tmp_path, path)


def of(emulator: Emulator, clock: VirtualClock, home: Path, path: str) -> mv.AsyncClient:
    made = mv.AsyncClient(providers=[ACCOUNTS[path]], clock=clock, home=home)
    made._emulator = emulator
    return made


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The body of every message that asked to start a job."""
    found: list[Any] = []
    answer = Emulator.__call__

    async def listening(self: Emulator, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Any:
        if path.endswith(":predictLongRunning"):
            found.append(json.loads(body))
        return await answer(self, method, path, headers, body)

    monkeypatch.setattr(Emulator, "__call__", listening)
    return found


def fixed(path: str, heard: Any, **parameters: Any) -> dict[str, Any]:
    """The parameters that a path sends beside those: Vertex says how many, with what sound, and perhaps where to."""
    if path == "gemini":
        return parameters
    said = {"sampleCount": 1, "generateAudio": True, **parameters}
    return {**said, "storageUri": heard["parameters"]["storageUri"]} if path == "bucket" else said


MODES: Mapping[str, tuple[dict[str, Any], int, list[str]]] = {
    "text": ({}, 4, ["prompt"]),
    "first_frame": ({"first_frame": FRAME}, 4, ["image", "prompt"]),
    "first_last": ({"first_frame": FRAME, "last_frame": LAST}, 8, ["image", "lastFrame", "prompt"]),
    "reference": ({"reference_images": [FRAME, PORTRAIT, LAST]}, 8, ["prompt", "referenceImages"]),
}


@EVERY
@pytest.mark.parametrize("mode", MODES)
async def test_a_mode_makes_the_file_as_ordered(
    client: Open, emulator: Emulator, heard: list[Any], path: str, mode: str
) -> None:
    brought, seconds, sent = MODES[mode]
    request = mv.VideoRequest(PROMPT, model="veo-3.1", duration=seconds, seed=7, negative_prompt="rain", **brought)
    quote = client(path).quote(request)
    video = await client(path).generate(request)
    assert video.segments[0].mode == mode
    assert video.check.ok
    assert round(video.duration) == seconds
    assert quote.amount == video.charge == mv.usd("0.40") * seconds
    assert emulator.charged() == video.charge.micro_usd
    [body] = heard
    [instance] = body["instances"]
    assert sorted(instance) == sent
    wanted = {"aspectRatio": "16:9", "durationSeconds": seconds, "resolution": "720p"}
    assert body["parameters"] == fixed(path, body, **wanted, seed=7, negativePrompt="rain")
    for item in instance.get("referenceImages", []):
        assert item["referenceType"] == "asset"
        assert item["image"]["mimeType"] == "image/png"
    assert len(instance.get("referenceImages", [])) == len(brought.get("reference_images", []))


@EVERY
async def test_an_extension_and_the_next_are_one_joined_file_each(
    client: Open, emulator: Emulator, heard: list[Any], path: str
) -> None:
    video = await client(path).generate(PROMPT, model="veo-3.1", duration=4, aspect_ratio="9:16")
    films = [video]
    for total in (11, 18):
        charged = emulator.charged()
        films.append(await client(path).extend(films[-1], seconds=7))
        assert films[-1].check.ok
        assert abs(films[-1].duration - total) < 0.1
        assert (films[-1].width, films[-1].height) == (720, 1280)
        assert films[-1].charge == mv.usd("2.80")
        assert emulator.charged() - charged == films[-1].charge.micro_usd
    for before, body in zip(films, heard[1:], strict=False):
        assert body["parameters"] == fixed(path, body, resolution="720p")
        [instance] = body["instances"]
        assert instance["prompt"] == PROMPT
        assert_goes_on_from(before, instance["video"], path)


def assert_goes_on_from(video: mv.Video, sent: dict[str, str], path: str) -> None:
    """That the message names the very video, in the one form that its path takes it in."""
    assert video.handle is not None
    kind, mime = ("uri", "encoding") if path == "gemini" else ("bytesBase64Encoded", "mimeType")
    kind = "gcsUri" if path == "bucket" else kind
    assert (sorted(sent), sent[mime]) == (sorted([kind, mime]), "video/mp4")
    if path == "gemini":
        assert sent["uri"] == video.handle.url
    elif path == "bucket":
        folder = f"gs://demo-out/runs/{video.job_id}-1/"
        assert sent["gcsUri"].startswith(folder)
    else:
        assert len(sent["bytesBase64Encoded"]) == -(-video.size_bytes // 3) * 4


@pytest.mark.parametrize("host", ["https://generativelanguage.googleapis.com", "http://localhost/gemini"])
async def test_the_gemini_api_is_told_the_address_that_it_gave_whoever_it_names(
    clock: VirtualClock, tmp_path: Path, heard: list[Any], host: str
) -> None:
    uris: Any = "self" if "localhost" in host else "upstream"
    emulator = Emulator(clock=clock, latency=60.0, render=plain, file_uris=uris)
    client = of(emulator, clock, tmp_path, "gemini")
    video = await client.generate(PROMPT, model="veo-3.1", duration=4, aspect_ratio="9:16")
    longer = await client.extend(video, seconds=7)
    assert longer.check.ok
    assert heard[1]["instances"][0]["video"]["uri"].startswith(f"{host}/v1beta/files/")
    assert longer.handle != video.handle


@EVERY
async def test_the_take_that_is_meant_is_extended(client: Open, heard: list[Any], path: str) -> None:
    video = await client(path).generate(PROMPT, model="veo-3.1", duration=4, aspect_ratio="9:16", count=2)
    [_, second] = video.takes
    plan = client(path).plan(PROMPT, model="veo-3.1", source_video=second)
    await client(path).submit(plan)
    sent = heard[-1]["instances"][0]["video"]
    assert second.handle is not None
    if path == "gemini":
        assert len(heard) == 3
        assert sent["uri"] == second.handle.url
    elif path == "bucket":
        assert sent["gcsUri"].endswith("/sample_1.mp4")
    else:
        assert len(sent["bytesBase64Encoded"]) == -(-second.size_bytes // 3) * 4


@EVERY
async def test_a_job_that_was_resumed_elsewhere_is_extended_too(client: Open, path: str) -> None:
    job = await client(path).submit(PROMPT, model="veo-3.1", duration=4, aspect_ratio="9:16")
    video = await (await client(path).resume(job.ref.to_json())).wait()
    longer = await client(path).extend(video, seconds=7, prompt=PROMPT)
    assert longer.check.ok
    assert round(longer.duration) == 11


@AT_VERTEX
async def test_several_takes_of_one_call_come_inline_or_from_the_bucket(
    client: Open, emulator: Emulator, heard: list[Any], tmp_path: Path, path: str
) -> None:
    wish: dict[str, Any] = {"model": "veo-3.1", "duration": 4, "aspect_ratio": "9:16", "audio": False}
    video = await client(path).generate(PROMPT, count=2, save_to=tmp_path / "take.mp4", **wish)
    assert [take.path.name for take in video.takes] == ["take.mp4", "take-2.mp4"]
    assert all(take.check.ok and not take.has_audio for take in video.takes)
    assert video.charge == mv.usd("1.60")
    longer = await client(path).extend(video, seconds=7, count=2, audio=False)
    assert [round(take.duration) for take in longer.takes] == [11, 11]
    assert all(take.check.ok for take in longer.takes)
    assert emulator.charged() == (video.charge + longer.charge).micro_usd
    assert [body["parameters"]["sampleCount"] for body in heard] == [2, 2]
    assert [body["parameters"]["generateAudio"] for body in heard] == [False, False]


async def test_vertex_extends_a_file_bytes_and_what_lies_in_a_bucket(
    client: Open, heard: list[Any], tmp_path: Path
) -> None:
    vertex = client("vertex")
    old = tmp_path / "old.mp4"
    await vertex.generate(PROMPT, model="veo-3.1", duration=4, aspect_ratio="9:16", save_to=old)
    for source, total in ((old, 11), (old.read_bytes(), 11), ("gs://demo-in/nobody-put-it-there.mp4", 15)):
        longer = await vertex.generate(PROMPT, model="veo-3.1", source_video=source)
        assert longer.check.ok
        assert round(longer.duration) == total
    kinds = [next(iter(body["instances"][0]["video"])) for body in heard[1:]]
    assert kinds == ["bytesBase64Encoded", "bytesBase64Encoded", "gcsUri"]


@EVERY
async def test_who_may_be_seen_is_said_only_where_options_say_it(
    client: Open, emulator: Emulator, heard: list[Any], path: str
) -> None:
    brought: dict[str, Any] = {"model": "veo-3.1", "first_frame": FRAME}
    options = {"veo": {"parameters": {"personGeneration": "allow_adult"}}}
    await client(path).submit(PROMPT, **brought)
    await client(path).submit(PROMPT, options=options, **brought)
    assert [body["parameters"].get("personGeneration") for body in heard] == [None, "allow_adult"]
    assert emulator.count() == 2


def clip_of(path: str, seconds: float = 8, size: tuple[int, int] = (1280, 720)) -> Clip:
    """A clip as a `Video` of that account would be: nothing looks into it before it is sent."""
    ref = mv.VendorRef(path, "veo-gemini", "veo-3.1", "veo-3.1-generate-preview", "models/m/operations/1")
    return Clip(mv.Media(data=b"clip"), mv.VendorHandle(ref, 0, "files/k3v9p2q8x1ab"), seconds, *size)


async def refused(client: mv.AsyncClient, emulator: Emulator, **spec: Any) -> mv.UnsupportedFeature:
    """The error of a wish that is refused before anything is sent."""
    with pytest.raises(mv.UnsupportedFeature) as caught:
        await client.generate(PROMPT, **spec)
    assert caught.value.charged == "no"
    assert emulator.count() == 0
    return caught.value


async def test_the_gemini_api_extends_only_what_it_made_and_says_so(client: Open, emulator: Emulator) -> None:
    elsewhere = clip_of("vertex")
    addresses = ("gs://demo-in/a.mp4", "https://a.example/a.mp4")
    for source in (elsewhere, evolve(elsewhere, handle=None), *addresses):
        error = await refused(client("gemini"), emulator, model="veo-3.1", source_video=source)
        assert error.field == "source_video"
        assert error.allowed.startswith("a Video that gemini made")
    assert client("gemini").plan(PROMPT, model="veo-3.1", source_video=clip_of("gemini")).candidates


@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920), (3840, 2160)])
async def test_the_gemini_api_extends_at_720p_only(client: Open, emulator: Emulator, size: tuple[int, int]) -> None:
    large = clip_of("gemini", size=size)
    error = await refused(client("gemini"), emulator, model="veo-3.1", source_video=large)
    assert (error.field, error.asked) == ("source_video", f"a clip of 8.0 s, {size[0]}x{size[1]}")
    assert error.allowed.startswith("a clip of 1280x720 or 720x1280 pixels")
    error = await refused(
        client("gemini"), emulator, model="veo-3.1", source_video=clip_of("gemini"), resolution="1080p"
    )
    assert error.field == "resolution"
    plan = client("vertex").plan(PROMPT, model="veo-3.1", source_video=evolve(large, handle=None))
    assert plan.segments[0].width == size[0]


@pytest.mark.parametrize(("path", "longest", "total"), [("gemini", 141, 148), ("vertex", 30, 37), ("bucket", 30, 37)])
async def test_no_more_than_the_longest_result_is_ordered(
    client: Open, emulator: Emulator, path: str, longest: int, total: int
) -> None:
    plan = client(path).plan(PROMPT, model="veo-3.1", source_video=clip_of(path, longest))
    assert plan.segments[0].file_seconds == total
    assert plan.segments[0].seconds == 7
    error = await refused(client(path), emulator, model="veo-3.1", source_video=clip_of(path, longest + 1))
    assert {problem.field for problem in error.problems} == {"source_video", "duration"}
    assert f"a clip of 1 to {longest} s" in str(error)
    assert f"at most {total} s in all" in str(error)


@pytest.mark.parametrize("name", ["durationSeconds", "aspectRatio", "sampleCount", "generateAudio"])
@pytest.mark.parametrize("path", ["gemini", "vertex"])
async def test_no_parameter_of_the_vendor_changes_what_an_extension_costs(
    client: Open, emulator: Emulator, path: str, name: str
) -> None:
    options = {"veo": {"parameters": {name: 4}}}
    with pytest.raises(mv.InvalidRequest, match=name) as caught:
        await client(path).generate(PROMPT, model="veo-3.1", source_video=clip_of(path), options=options)
    assert caught.value.field == "options"
    assert emulator.count() == 0


async def test_lite_has_neither_references_nor_an_extension_at_the_gemini_api(client: Open, emulator: Emulator) -> None:
    for brought in ({"reference_images": [FRAME]}, {"source_video": clip_of("gemini")}):
        error = await refused(client("gemini"), emulator, model="veo-3.1-lite", **brought)
        assert error.field == next(iter(brought))
    with_both = client("gemini").plan(PROMPT, model="veo-3.1-lite", first_frame=FRAME, last_frame=LAST)
    assert with_both.candidates


async def test_after_two_days_the_file_is_gone_and_its_extension_refused_for_nothing(
    client: Open, emulator: Emulator, clock: VirtualClock
) -> None:
    video = await client("gemini").generate(PROMPT, model="veo-3.1", duration=4, aspect_ratio="9:16")
    await clock.sleep(2 * 86_400)
    with pytest.raises(mv.InvalidRequest, match="within the last 2 days") as caught:
        await client("gemini").extend(video, seconds=7)
    assert (caught.value.charged, emulator.count()) == ("no", 1)


@EVERY
@pytest.mark.parametrize(("word", "charged"), [("safety_filtered", "no"), ("no_videos", "unknown")])
async def test_an_extension_that_ends_without_a_video_says_what_it_cost(
    client: Open, emulator: Emulator, path: str, word: str, charged: str
) -> None:
    video = await client(path).generate(PROMPT, model="veo-3.1", duration=4, aspect_ratio="9:16")
    with pytest.raises(mv.ProviderError) as caught:
        await client(path).extend(video, seconds=7, prompt=f"{PROMPT} {word}")
    assert caught.value.charged == charged
    assert emulator.count() == 2
    assert emulator.charged() == video.charge.micro_usd
