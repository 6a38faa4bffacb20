"""OpenAI's door: what it makes, what it refuses, in whose words."""

from __future__ import annotations

import base64
import io
import random
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image
from sandbox_calls import Caller, caller, picture

from multivideo.sandbox.render import placeholder

pytestmark = pytest.mark.anyio

IMAGE_URL = "input_reference.image_url"
FIELDS = {
    "id", "object", "model", "status", "progress", "created_at", "completed_at", "expires_at", "prompt", "size",
    "seconds", "remixed_from_video_id", "error",
}  # fmt: skip


@pytest.fixture
def call() -> Iterator[Caller]:
    made = caller()
    yield made
    made.emulator.close()


async def look(call: Caller, video_id: str) -> Any:
    return (await call("GET", f"/openai/v1/videos/{video_id}")).json


async def test_a_job_goes_from_queued_to_completed_and_always_has_thirteen_fields(call: Caller) -> None:
    video = (await call.openai("a fox", model="sora-2-pro", seconds="8", size="1792x1024")).json
    assert set(video) == FIELDS
    assert (video["status"], video["progress"], video["completed_at"]) == ("queued", 0, None)
    assert video["id"].startswith(f"video_{video['created_at']:08x}")
    assert len(video["id"]) == len("video_") + 32
    await call.clock.sleep(6)
    running = await look(call, video["id"])
    assert running["status"] == "in_progress"
    await call.clock.sleep(30)
    assert running["progress"] < (await look(call, video["id"]))["progress"] < 100
    await call.clock.sleep(24)
    done = await look(call, video["id"])
    assert (done["status"], done["progress"]) == ("completed", 100)
    assert done["completed_at"] == video["created_at"] + 60
    assert done["expires_at"] == done["completed_at"] + 86_400
    assert set(done) == FIELDS
    assert (done["size"], done["seconds"], done["error"]) == ("1792x1024", "8", None)


async def test_the_defaults_are_portrait_and_four_seconds(call: Caller) -> None:
    video = (await call.openai()).json
    assert (video["model"], video["size"], video["seconds"]) == ("sora-2", "720x1280", "4")
    assert [(c.width, c.height, c.seconds, c.fps, c.audio) for c in call.clips] == [(720, 1280, 4, 30, True)]


async def test_every_answer_has_the_headers_of_the_platform(call: Caller) -> None:
    made = await call.openai()
    refused = await call("GET", "/openai/v1/videos/video_x")
    for answer in (made, refused):
        assert (answer.reply.header("x-request-id") or "").startswith("req_")
        assert answer.reply.header("openai-version") == "2020-10-01"
    assert made.reply.header("x-ratelimit-remaining-requests") is not None
    assert refused.reply.header("x-ratelimit-remaining-requests") is None


async def test_content_is_served_after_completion_until_it_expires(call: Caller) -> None:
    video_id = (await call.openai()).json["id"]
    path = f"/openai/v1/videos/{video_id}/content"
    early = await call("GET", path)
    assert early.status == 404
    assert early.error["message"].startswith("Video is not ready yet, use GET /v1/videos/{video_id}")
    await call.clock.sleep(60)
    file = await call("GET", path)
    assert file.status == 200
    assert file.data.startswith(b"sora-2 720x1280 30 True")
    assert file.reply.header("content-type") == "video/mp4"
    assert file.reply.header("content-length") == str(len(file.data))
    part = await call("GET", path, headers={"Range": "bytes=5-9"})
    assert (part.status, part.data) == (206, file.data[5:10])
    assert part.reply.header("content-range") == f"bytes 5-9/{len(file.data)}"
    tail = await call("GET", path, headers={"Range": "bytes=-4"})
    assert tail.data == file.data[-4:]
    beyond = await call("GET", path, headers={"Range": f"bytes={len(file.data)}-"})
    assert beyond.status == 416
    await call.clock.sleep(86_400)
    assert (await call("GET", path)).status == 404


async def test_head_gives_the_headers_without_the_body(call: Caller) -> None:
    video_id = (await call.openai()).json["id"]
    await call.clock.sleep(60)
    head = await call("HEAD", f"/openai/v1/videos/{video_id}/content")
    assert (head.status, head.data) == (200, b"")
    assert int(head.reply.header("content-length") or 0) > 0


async def test_the_stills_are_webp_and_jpeg() -> None:
    from multivideo.sandbox.render import render

    call = caller(render=render)
    video_id = (await call.openai(size="720x1280")).json["id"]
    await call.clock.sleep(61)
    base = f"/openai/v1/videos/{video_id}/content?variant="
    thumbnail, sheet = await call("GET", base + "thumbnail"), await call("GET", base + "spritesheet")
    assert (thumbnail.data[8:12], thumbnail.reply.header("content-type")) == (b"WEBP", "image/webp")
    assert (sheet.data[:3], sheet.reply.header("content-type")) == (b"\xff\xd8\xff", "image/jpeg")
    assert (await call("GET", base + "gif")).error["param"] == "variant"
    call.emulator.close()


async def test_the_list_is_newest_first_and_pages_by_id(call: Caller) -> None:
    ids = [(await call.openai(f"clip {number}")).json["id"] for number in range(5)]
    first = (await call("GET", "/openai/v1/videos?limit=2")).json
    assert [video["id"] for video in first["data"]] == [ids[4], ids[3]]
    assert (first["object"], first["first_id"], first["last_id"], first["has_more"]) == ("list", ids[4], ids[3], True)
    rest = (await call("GET", f"/openai/v1/videos?limit=3&after={first['last_id']}")).json
    assert [video["id"] for video in rest["data"]] == [ids[2], ids[1], ids[0]]
    assert rest["has_more"] is False
    oldest = (await call("GET", "/openai/v1/videos?order=asc&limit=1")).json
    assert oldest["data"][0]["id"] == ids[0]
    nothing = (await call("GET", "/openai/v1/videos?after=video_unknown")).json
    assert nothing == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


@pytest.mark.parametrize("query", ["limit=101", "limit=x", "limit=-1", "order=up"])
async def test_a_wrong_list_query_is_refused(call: Caller, query: str) -> None:
    answer = await call("GET", f"/openai/v1/videos?{query}")
    assert (answer.status, answer.error["param"]) == (400, query.partition("=")[0])


async def test_only_a_finished_video_can_be_deleted_and_then_is_gone(call: Caller) -> None:
    video_id = (await call.openai()).json["id"]
    path = f"/openai/v1/videos/{video_id}"
    assert (await call("DELETE", path)).status == 400
    await call.clock.sleep(60)
    assert (await call("DELETE", path)).json == {"id": video_id, "object": "video.deleted", "deleted": True}
    gone = await call("GET", path)
    assert (gone.status, gone.error["message"]) == (404, f"Video with id '{video_id}' not found.")
    assert (await call("DELETE", path)).status == 404
    assert (await call("GET", f"{path}/content")).status == 404
    assert (await call("GET", "/openai/v1/videos")).json["data"] == []


@pytest.mark.parametrize("key", [None, "bad-key"])
async def test_without_a_good_key_nothing_is_answered(call: Caller, key: str | None) -> None:
    call.key = key
    answer = await call.openai()
    assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
    assert call.emulator.count() == 0


async def test_a_video_belongs_to_the_key_that_made_it(call: Caller) -> None:
    video_id = (await call.openai()).json["id"]
    call.key = "key-b"
    assert (await call("GET", f"/openai/v1/videos/{video_id}")).status == 404
    assert (await call("GET", "/openai/v1/videos")).json["data"] == []


@pytest.mark.parametrize(
    ("fields", "status", "code", "param"),
    [
        ({"seconds": 8}, 400, "invalid_type", "seconds"),
        ({"seconds": "5"}, 400, "invalid_value", "seconds"),
        ({"seconds": None}, 400, "invalid_type", "seconds"),
        ({"size": "1920x1080"}, 400, "invalid_value", "size"),
        ({"size": "1792x1024"}, 400, "invalid_value", "size"),
        ({"size": "1280x721", "model": "sora-2-pro"}, 400, "invalid_value", "size"),
        ({"model": "sora"}, 404, "model_not_found", "model"),
        ({"model": 2}, 400, "invalid_type", "model"),
        ({"duration": 8}, 400, "unknown_parameter", "duration"),
        ({"prompt": ""}, 400, "string_below_min_length", "prompt"),
        ({"prompt": "x" * 32_001}, 400, "string_above_max_length", "prompt"),
        ({"prompt": ["a"]}, 400, "invalid_type", "prompt"),
        ({"input_reference": "file"}, 400, "invalid_type", "input_reference"),
        ({"input_reference": {}}, 400, "invalid_value", "input_reference"),
        ({"input_reference": {"image_url": "ftp://x"}}, 400, "invalid_value", "input_reference.image_url"),
        ({"input_reference": {"file_id": "video_1"}}, 400, "invalid_value", "input_reference.file_id"),
        ({"input_reference": {"image_url": 5}}, 400, "invalid_type", IMAGE_URL),
        (
            {"input_reference": {"image_url": "data:image/png;base64,!"}},
            400,
            "invalid_value",
            "input_reference.image_url",
        ),
        ({"input_reference": {"image_url": "data:image/png;base64,aGk="}}, 400, "invalid_value", "input_reference"),
        (
            {"input_reference": {"image_url": "https://" + "x" * 20_971_520}},
            400,
            "string_above_max_length",
            "input_reference.image_url",
        ),
        ({"input_reference": {"url": "x"}}, 400, "unknown_parameter", "input_reference.url"),
        (
            {"input_reference": {"image_url": "https://a", "file_id": "file-1"}},
            400,
            "invalid_value",
            "input_reference",
        ),
        ({"characters": "char_1"}, 400, "invalid_type", "characters"),
        ({"characters": [{"id": "a"}] * 3}, 400, "array_above_max_length", "characters"),
        ({"characters": [{"id": "char_1"}]}, 404, None, None),
        ({"prompt": "a sentinel_block of text"}, 400, "sentinel_block", None),
    ],
)
async def test_a_wrong_field_is_refused_by_its_name(
    call: Caller, fields: dict[str, object], status: int, code: str | None, param: str | None
) -> None:
    answer = await call.openai(**{"prompt": "a fox", **fields})  # type: ignore[arg-type] # wrong types are the point
    assert (answer.status, answer.error["code"], answer.error["param"]) == (status, code, param)
    assert set(answer.error) == {"message", "type", "param", "code"}
    assert call.emulator.count() == 0


async def test_a_missing_prompt_and_an_unreadable_body_are_told_apart(call: Caller) -> None:
    missing = await call("POST", "/openai/v1/videos", {"seconds": "4"})
    assert missing.error["code"] == "missing_required_parameter"
    for raw in (b"{", b"[1]", b'{"prompt": NaN}', b"\xff", b"[" * 100_000):
        assert (await call("POST", "/openai/v1/videos", raw=raw)).status == 400
    text = await call("POST", "/openai/v1/videos", raw=b"x", headers={"Content-Type": "text/plain"})
    assert "Unsupported content type" in text.error["message"]


async def test_integer_seconds_are_refused_in_words_that_name_the_choices(call: Caller) -> None:
    message = (await call.openai(seconds=8)).error["message"]
    assert message == (
        "Invalid type for 'seconds': expected one of '4', '8', '12', '16', or '20', but got an integer instead."
    )
    message = (await call.openai(seconds="5")).error["message"]
    assert message == "Invalid value: '5'. Supported values are: '4', '8', '12', '16', and '20'."


@pytest.mark.parametrize("model", ["sora-2-2025-10-06", "sora-2-2025-12-08", "sora-2-pro-2025-10-06"])
async def test_dated_models_are_served_under_their_own_name(call: Caller, model: str) -> None:
    assert (await call.openai(model=model)).json["model"] == model


def form(*parts: tuple[str, bytes, str | None]) -> bytes:
    body = b""
    for name, value, filename in parts:
        more = f'; filename="{filename}"\r\nContent-Type: image/png' if filename else ""
        body += f'--cut\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"
    return body + b"--cut--\r\n"


def noise(width: int, height: int) -> bytes:
    """A PNG that does not compress."""
    file = io.BytesIO()
    Image.frombytes("RGB", (width, height), random.Random(1).randbytes(width * height * 3)).save(file, "PNG")
    return file.getvalue()


FORM = {"Content-Type": "multipart/form-data; boundary=cut"}


async def test_a_form_with_a_file_starts_from_that_picture(call: Caller) -> None:
    png = placeholder(1280, 720)
    body = form(
        ("prompt", "Füchse".encode(), None), ("seconds", b"8", None), ("size", b"1280x720", None),
        ("input_reference", png, "a.png"),
    )  # fmt: skip
    answer = await call("POST", "/openai/v1/videos", raw=body, headers=FORM)
    assert (answer.status, answer.json["prompt"], answer.json["seconds"]) == (200, "Füchse", "8")
    assert call.clips[0].first_frame == png


async def test_large_pictures_pass_as_file_and_as_text(call: Caller) -> None:
    png = noise(1024, 1792)
    assert len(png) > 3_000_000  # more than the form parser keeps in memory
    head = (("prompt", b"a fox", None), ("size", b"1024x1792", None), ("model", b"sora-2-pro", None))
    text = b"data:image/png;base64," + base64.b64encode(png)
    for part in (("input_reference", png, "a.png"), ("input_reference[image_url]", text, None)):
        answer = await call("POST", "/openai/v1/videos", raw=form(*head, part), headers=FORM)
        assert answer.status == 200
    assert [clip.first_frame for clip in call.clips] == [png, png]


async def test_brackets_in_a_form_are_objects(call: Caller) -> None:
    url = f"data:image/png;base64,{picture(720, 1280)}".encode()
    body = form(("prompt", b"a fox", None), ("input_reference[image_url]", url, None))
    assert (await call("POST", "/openai/v1/videos", raw=body, headers=FORM)).status == 200
    assert call.clips[0].first_frame == placeholder(720, 1280)
    body = form(("prompt", b"a fox", None), ("characters[][id]", b"char_7", None))
    assert "char_7" in (await call("POST", "/openai/v1/videos", raw=body, headers=FORM)).error["message"]


async def test_a_broken_form_is_refused(call: Caller) -> None:
    for raw, kind in ((b"junk", FORM), (form(("prompt", b"x", None)), {"Content-Type": "multipart/form-data"})):
        assert (await call("POST", "/openai/v1/videos", raw=raw, headers=kind)).status == 400


@pytest.mark.parametrize("given", ["data", "https", "file_id"])
async def test_a_first_frame_may_come_as_data_link_or_file_id(call: Caller, given: str) -> None:
    reference = {
        "data": {"image_url": f"data:image/png;base64,{picture(720, 1280)}"},
        "https": {"image_url": "https://pictures.example/fox.png"},
        "file_id": {"file_id": "file-123"},
    }[given]
    assert (await call.openai(input_reference=reference)).status == 200
    assert call.clips[0].first_frame is not None


async def test_the_first_frame_must_have_the_size_of_the_video(call: Caller) -> None:
    reference = {"image_url": f"data:image/png;base64,{picture(1280, 720)}"}
    answer = await call.openai(input_reference=reference)
    assert (answer.status, answer.error["message"]) == (400, "Inpaint image must match the requested width and height")


@pytest.mark.parametrize("word", ["moderation_blocked", "video_generation_failed"])
async def test_a_trigger_word_lets_the_job_fail_after_it_was_accepted(call: Caller, word: str) -> None:
    video = (await call.openai(f"please {word.upper()} now")).json
    await call.clock.sleep(59)
    before = await look(call, video["id"])
    assert before["status"] == {"moderation_blocked": "queued"}.get(word, "in_progress")
    await call.clock.sleep(1)
    failed = await look(call, video["id"])
    assert (failed["status"], failed["error"]["code"]) == ("failed", word)
    assert failed["progress"] == {"moderation_blocked": 0}.get(word, 99)
    assert (failed["completed_at"], failed["expires_at"]) == (None, None)
    assert (call.emulator.count(), call.emulator.charged()) == (1, 0)
    assert call.clips == []


async def test_a_picture_that_cannot_be_decoded_fails_the_job_and_costs_nothing(call: Caller) -> None:
    def refuse(clip: object) -> bytes:
        raise ValueError("no picture")

    broken = caller(render=refuse)
    video = (await broken.openai()).json
    await broken.clock.sleep(61)
    assert (await look(broken, video["id"]))["error"]["code"] == "video_generation_failed"
    assert broken.emulator.charged() == 0
    broken.emulator.close()


@pytest.mark.parametrize(
    ("model", "size", "seconds", "cost"),
    [
        ("sora-2", "1280x720", "8", 800_000),
        ("sora-2-pro", "720x1280", "4", 1_200_000),
        ("sora-2-pro", "1024x1792", "12", 6_000_000),
        ("sora-2-pro", "1920x1080", "20", 14_000_000),
    ],
)
async def test_the_bill_is_seconds_times_the_rate_of_the_size(
    call: Caller, model: str, size: str, seconds: str, cost: int
) -> None:
    await call.openai(model=model, size=size, seconds=seconds)
    assert call.emulator.charged("key-a", door="openai") == cost
    assert call.emulator.charged("key-b") == 0
