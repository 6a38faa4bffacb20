"""Every mode of Kling in both of its protocols: what arrives there, and that the file is as ordered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import multivideo as mv
from multivideo.clock import VirtualClock
from multivideo.sandbox import Emulator
from multivideo.sandbox.render import Clip
from multivideo.transport.embedded import HOME
from orders import picture, plain_render

pytestmark = pytest.mark.anyio

ACCOUNTS = {
    "current": mv.Kling(api_key="k", base_url=f"{HOME}/kling"),
    "legacy": mv.Kling(api_key="k", base_url=f"{HOME}/kling", dialect="legacy"),
}
BOTH = pytest.mark.parametrize("protocol", ACCOUNTS)
WIDE = picture(1280, 720)
RIDE = "https://media.example.org/ride.mp4?seconds=4"
MARA = mv.Element("829836802793406551", "Mara")
CROWD = [mv.Element(f"82983680279340655{n}", name) for n, name in enumerate(("Ada", "Ben", "Cleo", "Dora"))]
SHOTS = [mv.Shot("at dawn", 2), mv.Shot("at noon", 3)]
PROMPT = "@Mara waves at @image_1, write to ask@Mara.example"

Clients = Callable[[str], mv.AsyncClient]


@pytest.fixture
def drawn() -> list[Clip]:
    """What the emulator rendered, oldest first."""
    return []


@pytest.fixture
def emulator(clock: VirtualClock, drawn: list[Clip]) -> Emulator:
    """One that refuses every field which the documents do not list."""

    def draw(clip: Clip) -> bytes:
        drawn.append(clip)
        return bytes(plain_render(clip))

    return Emulator(clock=clock, latency=60.0, render=draw, strict=True)


@pytest.fixture
def client(emulator: Emulator, clock: VirtualClock, tmp_path: Path) -> Clients:
    """A client that speaks one of the protocols."""

    def make(protocol: str) -> mv.AsyncClient:
        made = mv.AsyncClient(providers=[ACCOUNTS[protocol]], clock=clock, home=tmp_path)
        made._emulator = emulator
        return made

    return make


def received(emulator: Emulator) -> dict[str, Any]:
    """The last order in the words of the current protocol, as the emulator understood it."""
    return dict(emulator.jobs()[-1].request)


def materials(emulator: Emulator) -> list[tuple[str, str]]:
    """Kind of everything that came along with the prompt, and the id by which it is mentioned, "" for none."""
    contents: list[dict[str, str]] = received(emulator)["contents"]
    return [(item["type"], item.get("id", "")) for item in contents if item["type"] != "prompt"]


def words(emulator: Emulator) -> str:
    """The prompt as it arrived."""
    asked = received(emulator)
    if "legacy" in asked:
        return str(asked["legacy"].get("prompt", ""))
    texts = [item["text"] for item in asked.get("contents", ()) if item["type"] == "prompt"]
    return str(asked.get("prompt") or texts[0])


STARTS: dict[str, tuple[str, str, dict[str, Any], set[tuple[str, str]]]] = {
    "text": ("kling-3.0", "text-to-video", {"duration": 3}, set()),
    "shots": ("kling-3.0", "text-to-video", {"shots": SHOTS}, set()),
    "first_frame": (
        "kling-3.0",
        "image-to-video",
        {"duration": 3, "first_frame": WIDE, "reference_images": [MARA]},
        {("first_frame", ""), ("element", "Mara")},
    ),
    "first_frame-in-shots": (
        "kling-3.0",
        "image-to-video",
        {"first_frame": WIDE, "shots": SHOTS, "reference_images": [MARA]},
        {("first_frame", ""), ("element", "Mara")},
    ),
    "first_last": (
        "kling-3.0-omni",
        "omni-video",
        {"duration": 3, "first_frame": WIDE, "last_frame": WIDE, "reference_images": [WIDE, MARA]},
        {("first_frame", ""), ("last_frame", ""), ("refer_image", "image_1"), ("element", "Mara")},
    ),
    "reference": (
        "kling-o1",
        "omni-video",
        {"duration": 3, "reference_images": [WIDE, WIDE, MARA]},
        {("refer_image", "image_1"), ("refer_image", "image_2"), ("element", "Mara")},
    ),
    "reference-in-shots": (
        "kling-3.0-omni",
        "omni-video",
        {"shots": SHOTS, "reference_images": [WIDE, MARA]},
        {("refer_image", "image_1"), ("element", "Mara")},
    ),
    "elements-alone": ("kling-o1", "omni-video", {"duration": 3, "reference_images": [MARA]}, {("element", "Mara")}),
}


@BOTH
@pytest.mark.parametrize("start", STARTS)
async def test_a_clip_is_made_of_words_pictures_elements_and_shots(
    client: Clients, emulator: Emulator, protocol: str, start: str
) -> None:
    model, kind, wish, brought = STARTS[start]
    video = await client(protocol).generate(PROMPT, model=model, **wish)
    assert video.check.ok, str(video.check)
    asked = received(emulator)
    assert asked["family"] == kind
    assert asked["settings"]["duration"] == (5 if "shots" in wish else 3)
    assert asked["settings"].get("multi_shot", False) is ("shots" in wish)
    if brought:
        named = {(kind, "" if protocol == "legacy" else name) for kind, name in brought}
        assert set(materials(emulator)) == named
        assert len(materials(emulator)) == len(brought)
    assert emulator.charged() == video.charge.micro_usd


@BOTH
async def test_mentions_reach_kling_in_the_words_of_the_protocol_and_ids_exactly(
    client: Clients, emulator: Emulator, protocol: str
) -> None:
    made = client(protocol)
    await made.generate(PROMPT, model="kling-3.0-omni", duration=3, first_frame=WIDE, reference_images=[WIDE, MARA])
    said = {"current": PROMPT, "legacy": "<<<element_1>>> waves at <<<image_1>>>, write to ask@Mara.example"}
    assert words(emulator) == said[protocol]
    [element] = [item for item in received(emulator)["contents"] if item["type"] == "element"]
    assert element["element_id"] == "829836802793406551"


async def test_the_legacy_protocol_is_told_of_each_shot_by_itself(client: Clients, emulator: Emulator) -> None:
    await client("legacy").generate("@Mara waves", model="kling-3.0", first_frame=WIDE, shots=SHOTS,
                                    reference_images=[MARA])  # fmt: skip
    legacy = received(emulator)["legacy"]
    assert (legacy["shot_type"], legacy["prompt"], legacy["duration"]) == ("customize", "", "5")
    assert legacy["multi_prompt"] == [
        {"index": 1, "prompt": "<<<element_1>>> waves at dawn", "duration": "2"},
        {"index": 2, "prompt": "<<<element_1>>> waves at noon", "duration": "3"},
    ]


@BOTH
@pytest.mark.parametrize("model", ["kling-3.0-omni", "kling-o1"])
@pytest.mark.parametrize("audio", [True, False], ids=["with-sound", "silent"])
async def test_a_clip_by_its_address_is_edited_with_its_own_sound_or_without(
    client: Clients, emulator: Emulator, protocol: str, model: str, audio: bool
) -> None:
    video = await client(protocol).generate(
        "Put the hat of @image_1 on @Mara in @video_1",
        model=model,
        mode="edit",
        source_video=RIDE,
        duration=4,
        audio=audio,
        reference_images=[WIDE, MARA],
    )
    assert video.check.ok, str(video.check)
    assert (video.has_audio, round(video.duration)) == (audio, 4)
    asked = received(emulator)
    assert asked["settings"]["audio"] == ("original" if audio else "off")
    assert not asked["settings"].get("multi_shot")
    assert "duration" not in asked["settings"]
    assert [kind for kind, _ in materials(emulator)].count("base_video") == 1
    assert ("<<<video_1>>>" if protocol == "legacy" else "@video_1") in words(emulator)
    assert emulator.charged() == video.charge.micro_usd


@BOTH
async def test_a_video_that_kling_made_is_edited_where_it_lies(
    client: Clients, emulator: Emulator, drawn: list[Clip], protocol: str
) -> None:
    made = client(protocol)
    first = await made.generate("A rider", model="kling-3.0", duration=4, audio=True, aspect_ratio="9:16")
    video = await made.edit(first, "the same in snow", model="kling-3.0-omni")
    assert video.check.ok, str(video.check)
    assert (video.width, video.height, video.has_audio) == (720, 1280, True)
    film = drawn[-1].film
    assert film is not None
    assert film.source == drawn[0]


@BOTH
@pytest.mark.parametrize("own", [True, False], ids=["own", "https"])
async def test_an_extension_is_the_next_shot_alone(
    client: Clients, emulator: Emulator, protocol: str, own: bool
) -> None:
    made = client(protocol)
    source: Any = RIDE
    if own:
        source = await made.generate("A rider", model="kling-3.0-omni", duration=3, aspect_ratio="9:16")
    paid = emulator.charged()
    if own:
        video = await made.extend(source, seconds=5, prompt="She stops at the gate")
    else:
        wish = mv.VideoRequest("She stops at the gate", model="kling-3.0-omni", duration=5, source_video=source)
        video = await made.generate(wish)
    assert video.check.ok, str(video.check)
    assert (round(video.duration), video.has_audio) == (5, False)
    assert (video.width, video.height) == ((720, 1280) if own else (1280, 720)), (
        "shaped like the clip, where it is known"
    )
    asked = received(emulator)
    assert materials(emulator) == [("feature_video", "" if protocol == "legacy" else "video_1")]
    clip = {"current": "@video_1", "legacy": "<<<video_1>>>"}[protocol]
    assert words(emulator) == f"The next shot of {clip}: She stops at the gate"
    assert (asked["settings"]["audio"], asked["settings"]["aspect_ratio"]) == ("off", "9:16" if own else "16:9")
    assert emulator.charged() - paid == video.charge.micro_usd


@BOTH
@pytest.mark.parametrize(("model", "elements"), [("kling-3.0", [MARA]), ("kling-2.6", [])])
@pytest.mark.parametrize("own", [True, False], ids=["own", "https"])
async def test_a_picture_moves_as_a_clip_does(
    client: Clients, emulator: Emulator, protocol: str, model: str, elements: list[mv.Element], own: bool
) -> None:
    made = client(protocol)
    source: Any = "https://media.example.org/dance.mp4?seconds=20"
    if own:
        source = await made.generate("A dancer", model="kling-3.0", duration=4, audio=True)
    length: dict[str, Any] = {} if own else {"duration": 20}  # of an address it has to be said
    video = await made.generate(
        "Stage lights",
        model=model,
        mode="motion",
        source_video=source,
        **length,
        reference_images=[WIDE, *elements],
    )
    assert video.check.ok, str(video.check)
    assert (round(video.duration), video.has_audio) == (4 if own else 20, True)
    asked = received(emulator)
    assert asked["family"] == "motion-control"
    assert asked["settings"] == {"resolution": "720p", "audio": "original", "character_orientation": "video"}
    assert {kind for kind, _ in materials(emulator)} == {"image", "video", *(["element"] if elements else [])}


@BOTH
async def test_the_posture_of_the_picture_is_had_on_request_for_ten_seconds_at_most(
    client: Clients, emulator: Emulator, protocol: str
) -> None:
    choice: dict[str, Any] = {"character_orientation": "image"}
    options = {"kling": choice if protocol == "legacy" else {"settings": choice}}
    made = client(protocol)
    wish: dict[str, Any] = {"model": "kling-2.6", "mode": "motion", "reference_images": [WIDE], "options": options}
    video = await made.generate("Stage lights", source_video=RIDE, duration=4, audio=False, **wish)
    assert video.check.ok, str(video.check)
    assert received(emulator)["settings"]["character_orientation"] == "image"
    with pytest.raises(mv.InvalidRequest, match="between 3s and 10s") as refused:
        await made.generate("Stage lights", source_video=f"{RIDE}0", duration=30, **wish)
    assert refused.value.charged == "no"
    assert emulator.count() == 1


@BOTH
@pytest.mark.parametrize("marked", [True, False, None])
async def test_the_copy_with_the_mark_comes_where_it_is_wanted_and_only_there(
    client: Clients, emulator: Emulator, drawn: list[Clip], protocol: str, marked: bool | None
) -> None:
    made = client(protocol)
    video = await made.generate("A rider", model="kling-3.0", duration=3, watermark=marked)
    assert video.check.ok, str(video.check)
    assert received(emulator)["options"]["watermark_info"] == {"enabled": bool(marked)}
    assert drawn[-1].marked is bool(marked)
    changed = await made.edit(video, "in snow", model="kling-3.0-omni", audio=False)
    assert changed.check.ok, str(changed.check)
    film = drawn[-1].film
    assert film is not None
    assert not getattr(film.source, "marked", True), "it is the clean one that is gone on from"


@BOTH
async def test_a_video_that_kling_keeps_no_longer_is_refused_at_no_cost(
    client: Clients, emulator: Emulator, clock: VirtualClock, protocol: str
) -> None:
    made = client(protocol)
    video = await made.generate("A rider", model="kling-3.0-omni", duration=3)
    await clock.sleep(31 * 86_400)
    with pytest.raises(mv.InvalidRequest, match="kling kept until") as refused:
        await made.extend(video, seconds=5)
    assert refused.value.charged == "no"
    assert emulator.count() == 1


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "file": ({"model": "kling-3.0-omni", "mode": "edit", "source_video": "FILE"}, "source_video", "https address"),
    "storage": ({"model": "kling-o1", "mode": "edit", "source_video": "gs://b/a.mp4"}, "source_video", "https address"),
    "many-elements": (
        {"model": "kling-3.0", "first_frame": WIDE, "reference_images": CROWD},
        "reference_images",
        "at most 3",
    ),
    "elements-of-2.6": (
        {"model": "kling-2.6", "first_frame": WIDE, "reference_images": [MARA]},
        "reference_images",
        "one of the two",
    ),
    "sound-of-an-extension": (
        {"model": "kling-3.0-omni", "source_video": RIDE, "duration": 5, "audio": True},
        "audio",
        "never with sound",
    ),
    "shots-of-o1": ({"model": "kling-o1", "reference_images": [WIDE], "shots": SHOTS}, "shots", "one of the two"),
    "4k-of-motion": (
        {"model": "kling-3.0", "mode": "motion", "source_video": RIDE, "duration": 4, "reference_images": [WIDE],
         "resolution": "4k"},
        "resolution",
        "720p or 1080p",
    ),
}  # fmt: skip


@BOTH
@pytest.mark.parametrize("name", REFUSED)
async def test_what_cannot_be_made_is_refused_unsent_naming_the_ways_out(
    client: Clients, emulator: Emulator, tmp_path: Path, protocol: str, name: str
) -> None:
    wish, field, way = REFUSED[name]
    if wish.get("source_video") == "FILE":
        clip = Clip(model="m", prompt="", seed=0, width=1280, height=720, seconds=4, fps=24, audio=True)
        (tmp_path / "ride.mp4").write_bytes(plain_render(clip))
        wish = {**wish, "source_video": tmp_path / "ride.mp4"}
    with pytest.raises(mv.UnsupportedFeature) as refused:
        await client(protocol).generate("A rider", **wish)
    assert field in str(refused.value.field)
    assert way in refused.value.allowed, refused.value.allowed
    assert refused.value.charged == "no"
    assert emulator.count() == 0


async def test_turbo_has_no_legacy_name(client: Clients, emulator: Emulator) -> None:
    with pytest.raises(mv.MultiVideoError):
        await client("legacy").generate("A rider", model="kling-3.0-turbo", duration=3)
    assert emulator.count() == 0


@BOTH
async def test_a_running_job_of_motion_is_resumed_from_its_reference_alone(
    client: Clients, emulator: Emulator, protocol: str
) -> None:
    made = client(protocol)
    wish: dict[str, Any] = {"model": "kling-3.0", "mode": "motion", "source_video": RIDE, "duration": 4}
    job = await made.submit("Stage lights", reference_images=[WIDE], **wish)
    stored = job.ref.to_json()
    video = await (await client(protocol).resume(stored)).wait()
    assert video.check.ok, str(video.check)
    assert emulator.count() == 1


@BOTH
async def test_a_clip_that_is_longer_than_was_said_never_costs_more_than_is_held(
    client: Clients, emulator: Emulator, protocol: str
) -> None:
    made, source = client(protocol), "https://media.example.org/ride.mp4?seconds=15"
    wish: dict[str, Any] = {"source_video": source, "mode": "edit", "duration": 3, "model": "kling-3.0-omni"}
    with pytest.raises(mv.BudgetExceeded):
        await made.generate("in snow", budget=mv.usd("0.50"), **wish)
    plan = made.plan("in snow", **wish)
    assert "up to 16 s" in str(plan)
    assert plan.quote is not None
    video = await made.generate("in snow", **wish)
    assert plan.quote.amount < video.charge <= plan.quote.upper_bound
    assert video.charge.micro_usd == emulator.charged()


@BOTH
@pytest.mark.parametrize("seconds", [4.5, 6.5])
async def test_half_a_second_costs_what_was_quoted(client: Clients, protocol: str, seconds: float) -> None:
    made, source = client(protocol), f"https://media.example.org/ride.mp4?seconds={seconds}"
    wish: dict[str, Any] = {"source_video": source, "mode": "edit", "duration": seconds, "model": "kling-3.0-omni"}
    assert (await made.generate("in snow", **wish)).charge == made.quote("in snow", **wish).amount
