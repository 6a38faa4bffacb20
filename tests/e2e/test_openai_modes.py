"""Every mode of the OpenAI Videos protocol, through every floor, and what LiteLLM relays of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email import message_from_bytes
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from PIL import Image

import multivideo as mv
from multivideo.clock import VirtualClock
from multivideo.sandbox import Emulator, Reply
from multivideo.transport.embedded import HOME
from scenes import PROMPT

pytestmark = pytest.mark.anyio
Sandbox = Callable[..., mv.AsyncClient]

SEQUELS: dict[str, dict[str, Any]] = {"extend": {"duration": 4}, "edit": {}, "remix": {}}
FOUR_SECONDS = mv.usd("0.40")


@define(eq=False)
class Line:
    """Stands before an emulator and keeps what was sent to it."""

    emulator: Emulator
    sent: list[tuple[str, str, Mapping[str, str], bytes]] = field(factory=list)

    async def __call__(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        self.sent.append((method, path, headers, body))
        return await self.emulator(method, path, headers, body)

    def posted(self) -> list[tuple[str, dict[str, bytes]]]:
        """Every form or body that was posted, by its path: a form as its parts."""
        return [(path, _parts(headers, body)) for method, path, headers, body in self.sent if method == "POST"]


def _parts(headers: Mapping[str, str], body: bytes) -> dict[str, bytes]:
    kind = headers["content-type"]
    if not kind.startswith("multipart/"):
        return {"": body}
    form = message_from_bytes(b"content-type: " + kind.encode() + b"\r\n\r\n" + body)
    parts: Any = form.get_payload()
    return {str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True) for part in parts}


def listened(client: mv.AsyncClient, emulator: Emulator) -> Line:
    line = Line(emulator)
    client._emulator = line  # type: ignore[assignment] # the emulator itself hides what it was sent
    return line


@pytest.fixture
async def video(sandbox: Sandbox) -> mv.Video:
    """Four seconds that the pretend OpenAI made."""
    return await sandbox().generate(PROMPT, model="sora-2", duration=4)


@pytest.fixture
def frame() -> bytes:
    data = BytesIO()
    Image.new("RGB", (1280, 720), "navy").save(data, "PNG")
    return data.getvalue()


@pytest.fixture
def stranger(video: mv.Video, tmp_path: Path) -> Path:
    """The same clip as a file of nobody's."""
    return video.path.rename(tmp_path / "stranger.mp4")


def of_litellm(emulator: Emulator, clock: VirtualClock, home: Path) -> mv.AsyncClient:
    account = mv.OpenAIVideos(api_key="sandbox", dialect="litellm", base_url=f"{HOME}/openai/v1", name="proxy")
    client = mv.AsyncClient(providers=[account], clock=clock, home=home)
    client._emulator = emulator
    return client


@pytest.mark.parametrize("given", ["video", "path", "bytes"])
async def test_a_character_is_made_from_a_clip_and_seen_in_a_video(
    sandbox: Sandbox, emulator: Emulator, video: mv.Video, given: str
) -> None:
    clip = {"video": video, "path": video.path, "bytes": video.path.read_bytes()}[given]
    client = sandbox()
    mossy = await client.create_character("Mossy", clip)
    assert (mossy.name, mossy.vendor, mossy.of_video) == ("Mossy", "openai", False)
    wish: dict[str, Any] = {"model": "sora-2", "duration": 4, "reference_images": [mossy]}
    plan = client.plan("Mossy rows a paper boat", **wish)
    made = await client.generate("Mossy rows a paper boat", **wish)
    assert plan.quote is not None
    assert made.charge == plan.quote.amount == FOUR_SECONDS
    assert made.check.ok
    job = emulator.jobs()[-1]
    assert (job.request["characters"], emulator.count()) == ([mossy.id], 2)


async def test_two_characters_stand_beside_a_first_frame(
    sandbox: Sandbox, emulator: Emulator, video: mv.Video, frame: bytes
) -> None:
    client = sandbox()
    line = listened(client, emulator)
    pair = [await client.create_character(name, video) for name in ("Mossy", "Fern")]
    made = await client.generate(
        "Mossy meets Fern", model="sora-2", duration=4, first_frame=frame, reference_images=pair
    )
    path, form = line.posted()[-1]
    assert (path, form["input_reference"]) == ("/openai/v1/videos", frame)
    job = emulator.jobs()[-1]
    assert (job.request["characters"], job.request["first_frame"]) == ([element.id for element in pair], True)
    assert made.check.ok


@pytest.mark.parametrize(
    ("prompt", "elements", "fault"),
    [
        ("a boat", [mv.Element("char_1", "Mossy", vendor="openai")], "without the name 'Mossy'"),
        ("Mossy", [mv.Element("1", "Mossy")], "an element that kling keeps"),
        ("A B C", [mv.Element(f"char_{name}", name, vendor="openai") for name in "ABC"], "3 elements"),
    ],
    ids=["unspoken", "of-another-vendor", "three"],
)
async def test_characters_that_cannot_be_are_refused_before_anything_is_sent(
    sandbox: Sandbox, emulator: Emulator, prompt: str, elements: list[mv.Element], fault: str
) -> None:
    client = sandbox()
    line = listened(client, emulator)
    with pytest.raises(mv.UnsupportedFeature, match=fault):
        await client.generate(prompt, model="sora-2", duration=4, reference_images=elements)
    assert line.sent == []


@pytest.mark.parametrize(
    ("name", "clip", "fields"),
    [
        ("", ..., {"name"}),
        ("x" * 81, ..., {"name"}),
        ("two words", ..., {"name"}),
        ("Mossy", None, {"video"}),
        ("Mossy", b"no video at all", {"video"}),
        ("Mossy", "nowhere.mp4", {"video"}),
        ("Mossy", "https://media.example/clip.mp4", {"video"}),
        (7, 8, {"name", "video"}),
    ],
)
async def test_what_is_no_name_or_no_clip_makes_no_character(
    sandbox: Sandbox, emulator: Emulator, video: mv.Video, name: Any, clip: Any, fields: set[str]
) -> None:
    client = sandbox()
    line = listened(client, emulator)
    with pytest.raises(mv.InvalidRequest) as refused:
        await client.create_character(name, video if clip is ... else clip)
    assert {problem.field for problem in refused.value.problems} == fields
    assert "nothing was sent" in str(refused.value)
    assert "not read yet" not in str(refused.value)  # an address will never be
    assert "an Element" not in str(refused.value)
    assert line.sent == []


async def test_a_character_needs_exactly_one_provider_that_keeps_them(
    sandbox: Sandbox, video: mv.Video, tmp_path: Path, clock: VirtualClock
) -> None:
    pair = [mv.OpenAIVideos(api_key="k", base_url=f"{HOME}/openai/v1", name=name) for name in ("one", "two")]
    clients = {
        mv.NoProviderConfigured: (mv.AsyncClient(providers=[], home=tmp_path), None),
        mv.UnsupportedFeature: (sandbox(), "kling"),
        mv.InvalidRequest: (mv.AsyncClient(providers=pair, clock=clock, home=tmp_path), None),
    }
    for kind, (client, provider) in clients.items():
        with pytest.raises(kind) as refused:
            await client.create_character("Mossy", video, provider=provider)
        assert type(refused.value) is kind
    assert "one, two" in str(refused.value)
    assert refused.value.what == "More than one provider could keep this character."
    with pytest.raises(mv.InvalidRequest, match="provider cannot be"):
        await sandbox().create_character("Mossy", video, provider="nobody")


async def test_a_clip_that_vanished_meanwhile_makes_no_character(
    sandbox: Sandbox, video: mv.Video, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(path: Path) -> bytes:
        raise FileNotFoundError(2, "No such file", str(path))

    monkeypatch.setattr(Path, "read_bytes", gone)
    with pytest.raises(mv.InvalidRequest, match="cannot be read any more"):
        await sandbox().create_character("Mossy", video)


@pytest.mark.parametrize("fault", [{"made_drop": True}, {"submit": 500}, {"submit": 503}])
async def test_a_character_whose_answer_was_lost_is_not_asked_for_again(
    sandbox: Sandbox, emulator: Emulator, video: mv.Video, fault: dict[str, Any]
) -> None:
    client = sandbox()
    line = listened(client, emulator)
    emulator.fault("openai", **fault)
    with pytest.raises(mv.OutcomeUnknown, match="made the character 'Mossy' is not known") as lost:
        await client.create_character("Mossy", video)
    assert isinstance(lost.value.__cause__, mv.OutcomeUnknown)
    assert (lost.value.charged, lost.value.provider, len(line.sent)) == ("unknown", "openai", 1)


@pytest.mark.parametrize("fault", [{"submit_unsent": "@1*2"}, {"submit": "429@1*2"}])
async def test_a_character_that_was_surely_not_made_is_asked_for_again(
    sandbox: Sandbox, emulator: Emulator, video: mv.Video, fault: dict[str, Any]
) -> None:
    client = sandbox()
    line = listened(client, emulator)
    emulator.fault("openai", **fault)
    assert (await client.create_character("Mossy", video)).name == "Mossy"
    assert len(line.sent) == 3


async def test_what_the_vendor_refuses_to_keep_is_said_with_its_reason(sandbox: Sandbox, video: mv.Video) -> None:
    with pytest.raises(mv.ContentFiltered, match="refuses this content"):
        await sandbox().create_character("sentinel_block", video)


@pytest.mark.parametrize("mode", SEQUELS)
async def test_a_video_of_its_own_is_named_and_not_sent(
    sandbox: Sandbox, emulator: Emulator, video: mv.Video, mode: Any
) -> None:
    client = sandbox()
    line = listened(client, emulator)
    plan = client.plan("in snow", model="sora-2", source_video=video, mode=mode, **SEQUELS[mode])
    video.path.unlink()  # whoever read the file now would fail
    made = await client.generate(plan)
    [(path, form)] = line.posted()
    assert video.handle is not None
    assert video.handle.ref.remote_id.encode() in path.encode() + form[""]
    assert len(form[""]) < 200
    assert plan.quote is not None
    assert made.charge == plan.quote.amount == FOUR_SECONDS
    assert made.check.ok
    assert round(made.duration) == (8 if mode == "extend" else 4)


@pytest.mark.parametrize("as_bytes", [False, True], ids=["path", "bytes"])
@pytest.mark.parametrize("mode", ["extend", "edit"])
async def test_a_video_of_nobodys_is_sent_as_a_file(
    sandbox: Sandbox, emulator: Emulator, stranger: Path, mode: Any, as_bytes: bool
) -> None:
    client = sandbox()
    line, data = listened(client, emulator), stranger.read_bytes()
    wish: dict[str, Any] = {"model": "sora-2", "source_video": data if as_bytes else stranger, "mode": mode}
    plan = client.plan("in snow", **wish, **SEQUELS[mode])
    made = await client.generate(plan)
    [(path, form)] = line.posted()
    named = {"seconds": b"4"} if mode == "extend" else {"model": b"sora-2"}
    assert path == ("/openai/v1/videos/extensions" if mode == "extend" else "/openai/v1/videos/edits")
    assert form == {"prompt": b"in snow", "video": data, **named}
    assert plan.quote is not None
    assert made.charge == plan.quote.amount == FOUR_SECONDS
    assert made.check.ok
    assert round(made.duration) == (8 if mode == "extend" else 4)
    assert emulator.charged() == 2 * FOUR_SECONDS.micro_usd


async def test_a_file_is_edited_by_the_model_that_was_asked_for(
    sandbox: Sandbox, emulator: Emulator, stranger: Path
) -> None:
    made = await sandbox().generate("in snow", model="sora-2-pro", source_video=stranger, mode="edit")
    assert (emulator.jobs()[-1].model, made.charge) == ("sora-2-pro", mv.usd("1.20"))


@pytest.mark.parametrize(
    ("wish", "fault"),
    [
        ({"mode": "remix"}, "source_video"),
        ({"mode": "extend", "duration": 5}, "duration"),
        ({"mode": "edit", "duration": 8}, "duration"),
        ({"mode": "edit", "first_frame": "https://media.example/a.png"}, "first_frame"),
        ({"mode": "edit", "reference_images": [mv.Element("char_1", "Mossy", vendor="openai")]}, "reference_images"),
        ({"mode": "edit", "options": {"openai": {"model": "sora-2-pro"}}}, "options"),
    ],
)
async def test_what_a_file_cannot_become_is_refused_before_anything_is_sent(
    sandbox: Sandbox, emulator: Emulator, stranger: Path, wish: dict[str, Any], fault: str
) -> None:
    client = sandbox()
    line = listened(client, emulator)
    with pytest.raises(mv.InvalidRequest) as refused:
        await client.generate("Mossy in snow", model="sora-2", source_video=stranger, **wish)
    assert refused.value.field == fault
    assert line.sent == []


async def test_extensions_of_extensions_add_up(sandbox: Sandbox, video: mv.Video) -> None:
    client = sandbox()
    for total in (8, 12):
        video = await client.extend(video, seconds=4)
        assert round(video.duration) == total
        assert video.charge == FOUR_SECONDS


@pytest.mark.parametrize(("mode", "tries"), [("both", 1), ("file_only", 1), ("object_only", 2)])
async def test_a_first_frame_is_taken_in_whichever_form_the_vendor_wants_it(
    sandbox: Sandbox, emulator: Emulator, frame: bytes, mode: Any, tries: int
) -> None:
    emulator.switch(input_reference=mode)
    client = sandbox()
    line = listened(client, emulator)
    made = await client.generate(PROMPT, model="sora-2", duration=4, first_frame=frame)
    assert made.check.ok
    assert (len(line.posted()), emulator.count()) == (tries, 1)
    assert emulator.jobs()[0].request["first_frame"] is True


async def test_an_address_has_no_other_form_and_is_refused_at_no_cost(sandbox: Sandbox, emulator: Emulator) -> None:
    emulator.switch(input_reference="file_only")
    with pytest.raises(mv.InvalidRequest, match="expected a file") as refused:
        await sandbox().generate(
            PROMPT, model="sora-2", duration=4, aspect_ratio="16:9", first_frame="https://media.example/a.png"
        )
    assert (refused.value.charged, emulator.count()) == ("no", 0)


async def test_an_uploaded_picture_of_the_files_api_goes_through_the_vendors_door(
    sandbox: Sandbox, emulator: Emulator
) -> None:
    by_id = {"openai": {"input_reference": {"file_id": "file-abc123"}}}
    await sandbox().generate(PROMPT, model="sora-2", duration=4, options=by_id)
    assert emulator.jobs()[0].request["first_frame"] is True


@pytest.mark.parametrize("mode", SEQUELS)
async def test_litellm_goes_on_from_its_own_videos(
    emulator: Emulator, clock: VirtualClock, tmp_path: Path, mode: Any
) -> None:
    client = of_litellm(emulator, clock, tmp_path)
    video = await client.generate(PROMPT, model="sora-2", duration=4)
    made = await client.generate("in snow", model="sora-2@proxy", source_video=video, mode=mode, **SEQUELS[mode])
    assert made.check.ok
    assert (made.charge, emulator.count()) == (FOUR_SECONDS, 2)


async def test_litellm_is_not_asked_for_what_it_would_lose_on_the_way(
    emulator: Emulator, clock: VirtualClock, tmp_path: Path, stranger: Path, frame: bytes
) -> None:
    pair = [mv.Element(f"char_{name}", name, vendor="openai") for name in ("Mossy", "Fern")]
    wishes: list[dict[str, Any]] = [
        {"source_video": stranger, "mode": "edit"},
        {"source_video": stranger, "mode": "extend"},
        {"first_frame": frame, "reference_images": pair},
    ]
    client = of_litellm(emulator, clock, tmp_path)
    for wish in wishes:
        with pytest.raises(mv.UnsupportedFeature, match="LiteLLM"):
            await client.generate("Mossy and Fern", model="sora-2", **wish)
    assert emulator.count() == 1
    fits = [client.plan("Mossy and Fern", reference_images=pair), client.plan("Mossy", first_frame=frame)]
    assert [plan.provider for plan in fits] == ["proxy", "proxy"]


@pytest.mark.parametrize("mode", ["edit", "remix", "extend"])
async def test_a_video_of_pro_goes_on_at_the_price_of_pro(sandbox: Sandbox, emulator: Emulator, mode: Any) -> None:
    client = sandbox()
    pro = await client.generate(PROMPT, model="sora-2-pro", duration=4, resolution="720p")
    paid = emulator.charged()
    length: Any = {"duration": 4} if mode == "extend" else {}
    made = await client.generate("in snow", source_video=pro, mode=mode, **length)
    assert (made.model, made.charge) == ("sora-2-pro", mv.usd("1.20"))
    assert emulator.charged() - paid == made.charge.micro_usd
    with pytest.raises(mv.UnsupportedFeature, match="sora-2 cannot go on from a video of sora-2-pro") as refused:
        await client.generate("in snow", source_video=pro, mode=mode, model="sora-2")
    assert refused.value.field == "model"
    assert refused.value.allowed.startswith("a video that sora-2-pro made is changed by sora-2-pro")
    assert 'model="sora-2-pro"' in refused.value.hint
