"""OpenAI's orders that start from a video (remix, edits, extensions), and its characters."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox_calls import Answer, Caller, caller

from multivideo.sandbox.footage import measure
from multivideo.sandbox.render import Clip, Film, placeholder, render

pytestmark = pytest.mark.anyio

VIDEOS = "/openai/v1/videos"
FORM = {"Content-Type": "multipart/form-data; boundary=cut"}


@pytest.fixture
def call() -> Iterator[Caller]:
    made = caller()
    yield made
    made.emulator.close()


@pytest.fixture(scope="module")
def film() -> bytes:
    """A real MP4 file of two seconds in portrait."""
    return render(Clip(model="a", prompt="b", seed=0, width=720, height=1280, seconds=2, fps=30, audio=False))


def form(*parts: tuple[str, bytes]) -> bytes:
    """A form; a value named `video` is a file."""
    body = b""
    for name, value in parts:
        more = '; filename="a.mp4"\r\nContent-Type: video/mp4' if name == "video" else ""
        body += f'--cut\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"
    return body + b"--cut--\r\n"


def wrong(answer: Answer) -> tuple[int, str | None, str | None]:
    """Status, code and param of a refusal."""
    return answer.status, answer.error["code"], answer.error["param"]


async def finished(call: Caller, **fields: object) -> str:
    """The id of a completed video."""
    video: str = (await call.openai(**fields)).json["id"]  # type: ignore[arg-type] # prompts are strings
    await call.clock.sleep(60)
    return video


async def remix(call: Caller, video: str, **body: object) -> Answer:
    return await call("POST", f"{VIDEOS}/{video}/remix", {"prompt": "at night", **body})


async def edit(call: Caller, video: object, **body: object) -> Answer:
    return await call("POST", f"{VIDEOS}/edits", {"prompt": "at night", "video": video, **body})


async def extend(call: Caller, video: object, seconds: object = "8", **body: object) -> Answer:
    asked = {"prompt": "on it goes", "video": video, "seconds": seconds, **body}
    return await call("POST", f"{VIDEOS}/extensions", asked)


async def test_a_remix_keeps_model_size_and_length_and_names_its_source(call: Caller) -> None:
    source = await finished(call, model="sora-2-pro", size="1792x1024", seconds="12")
    charged = call.emulator.charged()
    video = (await remix(call, source)).json
    assert (video["status"], video["prompt"], video["remixed_from_video_id"]) == ("queued", "at night", source)
    assert (video["model"], video["size"], video["seconds"]) == ("sora-2-pro", "1792x1024", "12")
    assert call.emulator.charged() - charged == 12 * 500_000
    assert (await call("GET", f"{VIDEOS}/{source}")).json["remixed_from_video_id"] is None
    await call.clock.sleep(60)
    again = (await remix(call, video["id"])).json
    assert again["remixed_from_video_id"] == video["id"]


async def test_an_edit_keeps_its_source_and_is_billed_for_its_whole_length(call: Caller) -> None:
    source = await finished(call, seconds="8", size="1280x720")
    charged = call.emulator.charged()
    video = (await edit(call, {"id": source})).json
    assert (video["size"], video["seconds"], video["remixed_from_video_id"]) == ("1280x720", "8", None)
    assert call.emulator.charged() - charged == 8 * 100_000
    old, edited = call.clips
    assert (edited.prompt, edited.film, edited.replayed) == ("at night", Film.of(old), True)


async def test_an_extension_is_as_long_as_both_parts_and_bills_the_new_one(call: Caller) -> None:
    source = await finished(call, seconds="8", size="1280x720")
    charged = call.emulator.charged()
    video = (await extend(call, {"id": source}, "20")).json
    assert (video["seconds"], video["prompt"], video["remixed_from_video_id"]) == ("28", "on it goes", None)
    assert call.emulator.charged() - charged == 20 * 100_000
    old, longer = call.clips
    assert (longer.seconds, longer.prompt, longer.film, longer.replayed) == (28, "on it goes", Film.of(old), False)
    await call.clock.sleep(60)
    assert (await edit(call, {"id": video["id"]})).json["seconds"] == "28"


async def test_the_seventh_extension_is_refused(call: Caller) -> None:
    video = await finished(call)
    for number in range(1, 7):
        made = (await extend(call, {"id": video}, "4")).json
        assert made["seconds"] == str(4 + 4 * number)
        await call.clock.sleep(60)
        video = made["id"]
    answer = await extend(call, {"id": video}, "4")
    assert wrong(answer) == (400, "invalid_value", "video")
    assert "at most 6 times" in answer.error["message"]


async def test_an_extended_video_ends_at_two_minutes(call: Caller) -> None:
    video = await finished(call, seconds="20")
    for _ in range(5):
        video = (await extend(call, {"id": video}, "20")).json["id"]
        await call.clock.sleep(60)
    answer = await extend(call, {"id": video}, "4")
    assert wrong(answer) == (400, "invalid_value", "video")
    assert "not 124" in answer.error["message"]


async def every(call: Caller, video: str) -> list[Answer]:
    return [await remix(call, video), await edit(call, {"id": video}), await extend(call, {"id": video})]


async def test_a_source_must_be_known_completed_kept_and_ones_own(call: Caller) -> None:
    for answer in await every(call, "video_unknown"):
        assert (answer.status, answer.error["message"]) == (404, "Video with id 'video_unknown' not found.")
    running: str = (await call.openai()).json["id"]
    for answer in await every(call, running):
        assert (answer.status, answer.error["message"]) == (400, f"Video with id '{running}' is not completed.")
    failed: str = (await call.openai("video_generation_failed")).json["id"]
    await call.clock.sleep(60)
    assert [answer.status for answer in await every(call, failed)] == [400] * 3
    assert [answer.status for answer in await every(call, running)] == [200] * 3
    call.key = "key-b"
    assert [answer.status for answer in await every(call, running)] == [404] * 3
    call.key = "key-a"
    await call.clock.sleep(86_400)
    for answer in await every(call, running):
        assert (answer.status, answer.error["message"]) == (404, f"The files of video '{running}' have expired.")
    await call("DELETE", f"{VIDEOS}/{running}")
    assert [answer.status for answer in await every(call, running)] == [404] * 3
    assert call.emulator.count() == 5


@pytest.mark.parametrize(
    ("path", "body", "code", "param"),
    [
        ("video_1/remix", {}, "missing_required_parameter", "prompt"),
        ("video_1/remix", {"prompt": "x" * 32_001}, "string_above_max_length", "prompt"),
        ("video_1/remix", {"prompt": "x", "seconds": "8"}, "unknown_parameter", "seconds"),
        ("edits", {"prompt": "x"}, "missing_required_parameter", "video"),
        ("edits", {"prompt": "x", "video": "video_1"}, "invalid_type", "video"),
        ("edits", {"prompt": "x", "video": {}}, "missing_required_parameter", "video.id"),
        ("edits", {"prompt": "x", "video": {"id": 1}}, "invalid_type", "video.id"),
        ("edits", {"prompt": "x", "video": {"id": "a", "url": "b"}}, "unknown_parameter", "video.url"),
        ("edits", {"prompt": "x", "video": {"id": "a"}, "seconds": "4"}, "unknown_parameter", "seconds"),
        ("edits", {"prompt": "x", "video": {"id": "a"}, "model": 1}, "invalid_type", "model"),
        ("edits", {"prompt": "x", "video": {"id": "a"}, "model": "sora"}, "model_not_found", "model"),
        ("extensions", {"prompt": "x", "video": {"id": "a"}}, "missing_required_parameter", "seconds"),
        ("extensions", {"prompt": "x", "video": {"id": "a"}, "seconds": 8}, "invalid_type", "seconds"),
        ("extensions", {"prompt": "x", "video": {"id": "a"}, "seconds": "5"}, "invalid_value", "seconds"),
        ("extensions", {"seconds": "8", "video": {"id": "a"}}, "missing_required_parameter", "prompt"),
        ("extensions", {"prompt": "x", "characters": []}, "unknown_parameter", "characters"),
        ("extensions", {"prompt": "x", "input_reference": {}}, "unknown_parameter", "input_reference"),
        ("extensions", {"prompt": "x", "model": "sora-2"}, "unknown_parameter", "model"),
    ],
)
async def test_a_wrong_field_is_refused_by_its_name(
    call: Caller, path: str, body: dict[str, Any], code: str, param: str
) -> None:
    answer = await call("POST", f"{VIDEOS}/{path}", body)
    assert wrong(answer) == (404 if code == "model_not_found" else 400, code, param)


async def test_brackets_of_a_form_name_the_source(call: Caller) -> None:
    source = await finished(call)
    body = form(("prompt", b"on it goes"), ("seconds", b"8"), ("video[id]", source.encode()))
    made = await call("POST", f"{VIDEOS}/extensions", raw=body, headers=FORM)
    assert (made.status, made.json["seconds"]) == (200, "12")
    body = form(("prompt", b"at night"))
    made = await call("POST", f"{VIDEOS}/{source}/remix", raw=body, headers=FORM)
    assert made.json["remixed_from_video_id"] == source


async def test_an_uploaded_film_is_edited_by_a_named_model_and_extended(call: Caller, film: bytes) -> None:
    prompt = ("prompt", b"at night")
    answer = await call("POST", f"{VIDEOS}/edits", raw=form(prompt, ("video", film)), headers=FORM)
    assert wrong(answer) == (400, "missing_required_parameter", "model")
    body = form(prompt, ("video", film), ("model", b"sora-2-pro"))
    edited = (await call("POST", f"{VIDEOS}/edits", raw=body, headers=FORM)).json
    assert (edited["model"], edited["size"], edited["seconds"]) == ("sora-2-pro", "720x1280", "2")
    body = form(prompt, ("video", film), ("seconds", b"4"))
    longer = (await call("POST", f"{VIDEOS}/extensions", raw=body, headers=FORM)).json
    assert (longer["model"], longer["seconds"]) == ("sora-2", "6")
    assert call.emulator.charged() == 2 * 300_000 + 4 * 100_000
    assert [(clip.film and clip.film.source == film, clip.replayed) for clip in call.clips] == [
        (True, True),
        (True, False),
    ]


@pytest.mark.parametrize("junk", [b"", b"no film", placeholder(64, 36)])
async def test_a_file_that_is_no_film_is_refused(call: Caller, junk: bytes) -> None:
    for path, more in (("edits", ("model", b"sora-2")), ("extensions", ("seconds", b"4"))):
        body = form(("prompt", b"x"), ("video", junk), more)
        answer = await call("POST", f"{VIDEOS}/{path}", raw=body, headers=FORM)
        assert wrong(answer) == (400, "invalid_value", "video")
    answer = await call("POST", f"{VIDEOS}/characters", raw=form(("name", b"Mossy"), ("video", junk)), headers=FORM)
    assert wrong(answer) == (400, "invalid_value", "video")


async def test_a_film_of_a_size_that_the_model_does_not_make_is_refused(call: Caller) -> None:
    clip = Clip(model="a", prompt="b", seed=0, width=320, height=240, seconds=1, fps=30, audio=False)
    body = form(("prompt", b"x"), ("video", render(clip)), ("seconds", b"4"))
    answer = await call("POST", f"{VIDEOS}/extensions", raw=body, headers=FORM)
    assert answer.error["message"] == "Invalid 'video': 320x240 is not a supported size."


async def test_trigger_words_and_faults_hold_for_every_operation(call: Caller) -> None:
    source = await finished(call)
    for answer in (
        await remix(call, source, prompt="sentinel_block"),
        await edit(call, {"id": source}, prompt="sentinel_block"),
        await extend(call, {"id": source}, prompt="sentinel_block"),
    ):
        assert wrong(answer) == (400, "sentinel_block", None)
    video = (await extend(call, {"id": source}, prompt="moderation_blocked")).json
    await call.clock.sleep(60)
    failed = (await call("GET", f"{VIDEOS}/{video['id']}")).json
    assert (failed["status"], failed["error"]["code"], failed["seconds"]) == ("failed", "moderation_blocked", "12")
    call.emulator.fault("openai", submit=503)
    assert [(await remix(call, source)).status for _ in range(2)] == [503, 200]
    assert call.emulator.charged() == 2 * 4 * 100_000


def shots(data: bytes) -> tuple[Any, Any]:
    """How bright it is above the card on the first frame and after two seconds."""
    with av.open(io.BytesIO(data), "r") as container:
        wanted = [
            frame for index, frame in enumerate(itertools.islice(container.decode(video=0), 61)) if index % 60 == 0
        ]
    first, late = (frame.to_ndarray()[:480].astype(int) for frame in wanted)  # luma
    return first, late


async def test_results_are_real_files_that_play_or_continue_their_source() -> None:
    call = caller(render=render)
    source = await finished(call, size="1280x720")
    ids = [(await remix(call, source)).json["id"], (await extend(call, {"id": source}, "4")).json["id"]]
    await call.clock.sleep(60)
    files = [(await call("GET", f"{VIDEOS}/{video}/content")).data for video in (source, *ids)]
    assert [(film.width, film.height, film.fps) for film in map(measure, files)] == [(1280, 720, 30)] * 3
    assert [round(measure(file).seconds, 3) for file in files] == [4, 4, 8]
    (first, late), (remixed, later), (extended, continued) = map(shots, files)
    for seen, made in ((remixed, first), (later, late), (extended, first), (continued, late)):
        assert np.abs(seen - made).mean() < 3  # in brightness: a remix is tinted
    call.emulator.close()


async def test_a_source_that_was_delivered_wrong_counts_as_it_was_ordered(call: Caller) -> None:
    call.emulator.fault("openai", deliver=["size:320x240", "seconds:2", "fps", "black"])
    source = await finished(call, size="1280x720", seconds="8")
    assert call.clips[0].width == 320
    assert [answer.json["seconds"] for answer in await every(call, source)] == ["8", "8", "16"]
    assert [(clip.width, clip.height, clip.fps, clip.flaws) for clip in call.clips[1:]] == [(1280, 720, 30, ())] * 3
    call.emulator.fault("openai", filtered=True)
    blocked = await finished(call)
    assert [answer.status for answer in await every(call, blocked)] == [400] * 3


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["4", "sora-2"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "x"]), inner, max_size=2),
    max_leaves=6,
)


@pytest.mark.parametrize("path", ["edits", "extensions", "characters", "video_1/remix"])
@settings(max_examples=40, deadline=None, database=None)
@given(body=st.dictionaries(st.sampled_from(["prompt", "video", "seconds", "model", "name", "y"]), VALUES))
def test_any_json_is_refused_in_openais_form(path: str, body: dict[str, object]) -> None:
    call = caller()

    async def ask() -> None:
        answer = await call("POST", f"{VIDEOS}/{path}", raw=json.dumps(body).encode())
        assert answer.status in (400, 404)
        assert set(answer.error) == {"message", "type", "param", "code"}

    asyncio.run(ask())
    call.emulator.close()


async def character(call: Caller, film: bytes, name: str = "Mossy") -> Answer:
    body = form(("name", name.encode()), ("video", film))
    return await call("POST", f"{VIDEOS}/characters", raw=body, headers=FORM)


async def test_a_character_is_made_shown_and_used_by_its_key(call: Caller, film: bytes) -> None:
    made = (await character(call, film)).json
    assert set(made) == {"id", "name", "created_at"}
    assert made["id"].startswith(f"char_{made['created_at']:08x}")
    assert (await call("GET", f"{VIDEOS}/characters/{made['id']}")).json == made
    used = [{"id": made["id"]}]
    assert (await call.openai("Mossy runs", characters=used)).status == 200
    assert call.emulator.jobs()[0].request["characters"] == [made["id"]]
    body = form(("prompt", b"Mossy runs"), ("characters[][id]", made["id"].encode()))
    assert (await call("POST", VIDEOS, raw=body, headers=FORM)).status == 200
    assert wrong(await call.openai("mossy runs", characters=used)) == (400, "invalid_value", "characters")
    assert wrong(await call.openai("Mossy runs", characters=used * 3))[1] == "array_above_max_length"
    call.key = "key-b"
    assert (await call.openai("Mossy runs", characters=used)).status == 404
    answer = await call("GET", f"{VIDEOS}/characters/{made['id']}")
    assert (answer.status, answer.error["message"]) == (404, f"Character with id '{made['id']}' not found.")
    assert call.emulator.count() == 2


async def test_a_character_needs_a_name_and_a_file_in_a_form(call: Caller, film: bytes) -> None:
    path = f"{VIDEOS}/characters"
    assert wrong(await call("POST", path, {"name": "Mossy"})) == (400, "unsupported_content_type", None)
    for parts, expected in (
        ([("video", film)], ("missing_required_parameter", "name")),
        ([("name", b"Mossy")], ("missing_required_parameter", "video")),
        ([("name", b""), ("video", film)], ("string_below_min_length", "name")),
        ([("name", b"x" * 81), ("video", film)], ("string_above_max_length", "name")),
        ([("name", b"Mossy"), ("video[id]", b"video_1")], ("invalid_type", "video")),
        ([("name", b"Mossy"), ("video", film), ("prompt", b"x")], ("unknown_parameter", "prompt")),
        ([("name", b"sentinel_block"), ("video", film)], ("sentinel_block", None)),
    ):
        assert wrong(await call("POST", path, raw=form(*parts), headers=FORM)) == (400, *expected)
    assert (await character(call, film, "x" * 80)).status == 200


async def test_making_a_character_is_no_job_but_can_be_refused_by_a_fault(call: Caller, film: bytes) -> None:
    call.emulator.fault("openai", submit=429)
    assert [(await character(call, film)).status for _ in range(2)] == [429, 200]
    assert (call.emulator.count(), call.emulator.charged()) == (0, 0)


@pytest.mark.parametrize("path", ["edits", "extensions", "characters", "characters/char_1"])
async def test_the_words_of_paths_are_no_videos(call: Caller, path: str) -> None:
    assert (await call("DELETE", f"{VIDEOS}/{path}")).status == 405
    expected = 404 if path == "characters/char_1" else 405
    assert (await call("GET", f"{VIDEOS}/{path}")).status == expected
    assert (await call("GET", "/openai/v1/models")).error["message"].startswith("Invalid URL")
