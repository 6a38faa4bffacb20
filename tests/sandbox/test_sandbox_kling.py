"""Kling's door, new protocol: what it makes, what it refuses, in whose words."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from PIL import Image
from sandbox_calls import Answer, Caller, caller, picture

pytestmark = pytest.mark.anyio

URL = "https://media.example/a.png"
FIRST = {"type": "first_frame", "url": URL}
LAST = {"type": "last_frame", "url": URL}
TEXT = {"type": "prompt", "text": "she turns"}
ELEMENT = {"type": "element", "element_id": "829836802793406551", "id": "Mara"}


def webp() -> str:
    """A picture of a kind that OpenAI takes and Kling does not."""
    file = io.BytesIO()
    Image.new("RGB", (640, 360)).save(file, "WEBP")
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture
def call() -> Iterator[Caller]:
    made = caller()
    yield made
    made.emulator.close()


async def contents(call: Caller, path: str, *items: object, **settings: object) -> Answer:
    return await call("POST", f"/kling/{path}", {"contents": list(items), "settings": settings})


def refused(answer: Answer, status: int = 400, code: int = 1201) -> str:
    """The message of a refusal with that status and code."""
    assert (answer.status, answer.json["code"]) == (status, code), answer.json
    assert set(answer.json) == {"code", "message", "request_id"}
    return str(answer.json["message"])


async def test_a_task_goes_from_submitted_to_succeeded(call: Caller) -> None:
    made = await call.kling(settings={"duration": 8, "audio": "native", "resolution": "1080p"})
    assert (made.json["code"], made.json["message"]) == (0, "SUCCEED")
    created = made.json["data"]
    assert set(created) == {"id", "status", "message", "create_time", "update_time"}
    assert (created["status"], len(created["id"])) == ("submitted", 18)
    assert int(created["id"]) > 2**53
    await call.clock.sleep(10)
    running = await call.task(made)
    assert (running["status"], running["update_time"]) == ("processing", created["create_time"] + 5000)
    await call.clock.sleep(50)
    done = await call.task(made)
    assert (done["status"], done["update_time"]) == ("succeeded", created["create_time"] + 60_000)
    assert done["billing"] == [{"charge_type": "unit", "amount": "9.6", "package_type": "video"}]
    (output,) = done["outputs"]
    assert (output["type"], output["duration"], len(output["id"])) == ("video", "8.041", 18)
    assert "watermark_url" not in output
    assert call.emulator.charged("key-a") == 1_344_000


async def test_the_request_is_kept_with_every_default(call: Caller) -> None:
    await call.kling()
    job = call.emulator.jobs()[0]
    assert job.request["settings"] == {
        "multi_shot": True, "audio": "off", "resolution": "720p", "aspect_ratio": "16:9", "duration": 5,
    }  # fmt: skip
    options = {"callback_url": "", "external_task_id": "", "watermark_info": {"enabled": False}}
    assert job.request["options"] == options
    shown = (await call("GET", "/_emu/jobs?door=kling")).json["jobs"][0]
    assert shown["request"]["settings"]["multi_shot"] is True


async def test_a_result_link_takes_no_credential_and_dies_after_thirty_days(call: Caller) -> None:
    made = await call.kling()
    await call.clock.sleep(60)
    path = call.link((await call.task(made))["outputs"][0]["url"])
    assert (await call("GET", path)).status == 403
    call.key = None
    file = await call("GET", path)
    assert (file.status, file.reply.header("content-type")) == (200, "video/mp4")
    assert file.data.startswith(b"kling-3.0 1280x720 24 False")
    assert (await call("GET", path, headers={"Range": "bytes=0-3"})).status == 206
    assert (await call("GET", path[:-1] + "x")).status == 403
    await call.clock.sleep(30 * 86_400)
    assert (await call("GET", path)).status == 404


async def test_links_name_the_host_and_scheme_that_were_asked(call: Caller) -> None:
    made = await call.kling()
    await call.clock.sleep(60)
    path = f"/kling/tasks?task_ids={made.json['data']['id']}"
    there = await call("GET", path, headers={"Host": "emu.example", "X-Forwarded-Proto": "https"})
    assert there.json["data"][0]["outputs"][0]["url"].startswith("https://emu.example/kling/files/")


async def test_a_watermarked_copy_comes_only_when_asked_for(call: Caller) -> None:
    made = await call.kling(options={"watermark_info": {"enabled": True}})
    await call.clock.sleep(60)
    output = (await call.task(made))["outputs"][0]
    call.key = None
    assert (await call("GET", call.link(output["watermark_url"]))).status == 200


@pytest.mark.parametrize(
    ("headers", "code", "message"),
    [
        ({"Authorization": ""}, 1001, "Authorization is empty"),
        ({"Authorization": "Bearer bad-key"}, 1002, "api key not found"),
        ({"Authorization": "Basic eA=="}, 1002, "Authorization is invalid"),
        (
            {"Authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJhIn0.c2ln"},
            1002,
            "The current API does not support AK/SK",
        ),
    ],
)
async def test_the_key_is_checked_before_anything_else(
    call: Caller, headers: dict[str, str], code: int, message: str
) -> None:
    for path in ("/kling/text-to-video/kling-9", "/kling/tasks"):
        assert refused(await call("POST", path, raw=b"{", headers=headers), 401, code) == message


async def test_paths_and_methods_that_are_not_there(call: Caller) -> None:
    refused(await call("POST", "/kling/text-to-video/kling-9", {}), 404, 1203)
    refused(await call("POST", "/kling/image-to-image/kling-3.0", {}), 404, 1203)
    refused(await call("GET", "/kling/text-to-video/kling-3.0"), 404, 1202)
    refused(await call("DELETE", "/kling/tasks"), 404, 1202)
    refused(await call("POST", "/kling/v1/videos/lip-sync", {}), 404, 1203)
    for raw in (b"", b"{", b"[]", b'"x"'):
        refused(await call("POST", "/kling/text-to-video/kling-3.0", raw=raw), 400, 1200)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"prompt": ""}, "prompt: must not be blank"),
        ({"prompt": 7}, "prompt: must be a string"),
        ({"prompt": "x" * 3073}, "prompt: size must be between 0 and 3072"),
        ({"settings": {"duration": 2}}, "settings.duration: must be between 3 and 15"),
        ({"settings": {"duration": 16}}, "settings.duration: must be between 3 and 15"),
        ({"settings": {"duration": "5"}}, "settings.duration: must be an integer"),
        ({"settings": {"duration": 5.0}}, "settings.duration: must be an integer"),
        ({"settings": {"duration": True}}, "settings.duration: must be an integer"),
        ({"settings": {"resolution": "2k"}}, "settings.resolution: value '2k' is invalid"),
        ({"settings": {"resolution": "4K"}}, "settings.resolution: value '4K' is invalid"),
        ({"settings": {"aspect_ratio": "4:3"}}, "settings.aspect_ratio: value '4:3' is invalid"),
        ({"settings": {"audio": "on"}}, "settings.audio: value 'on' is invalid"),
        ({"settings": {"audio": "original"}}, "settings.audio: value 'original' is invalid"),
        ({"settings": {"multi_shot": "no"}}, "settings.multi_shot: must be a boolean"),
        ({"settings": []}, "settings: must be an object"),
        ({"options": {"external_task_id": 5}}, "options.external_task_id: must be a string"),
        ({"options": {"watermark_info": {"enabled": 1}}}, "options.watermark_info.enabled: must be a boolean"),
    ],
)
async def test_a_wrong_field_is_named_by_its_path(call: Caller, body: dict[str, Any], message: str) -> None:
    assert refused(await call.kling(**{"prompt": "a fox", **body})) == message
    assert call.emulator.count() == 0


async def test_unknown_fields_are_passed_over_unless_strict(call: Caller) -> None:
    assert (await call.kling(settings={"seed": 4}, negative_prompt="x")).status == 200
    strict = caller(strict=True)
    assert refused(await strict.kling(negative_prompt="x")) == "negative_prompt: unknown field"
    assert refused(await strict.kling(settings={"seed": 4})) == "settings.seed: unknown field"
    assert refused(await strict.kling(options={"tag": "x"})) == "options.tag: unknown field"
    assert (await strict.kling(settings={"duration": 3}, options={"external_task_id": "a"})).status == 200
    strict.emulator.close()


@pytest.mark.parametrize(
    ("model", "settings", "width", "height", "audio"),
    [
        ("kling-3.0", {"aspect_ratio": "1:1"}, 960, 960, False),
        ("kling-3.0", {"aspect_ratio": "9:16", "resolution": "1080p", "audio": "native"}, 1080, 1920, True),
        ("kling-3.0", {"resolution": "4k"}, 3840, 2160, False),
        ("kling-3.0-turbo", {"audio": "off"}, 1280, 720, True),
        ("kling-2.6", {"resolution": "1080p", "audio": "native"}, 1920, 1080, True),
        ("kling-2.5-turbo", {"duration": 10}, 1280, 720, False),
    ],
)
async def test_files_have_the_size_of_the_tier_and_24_fps(
    call: Caller, model: str, settings: dict[str, Any], width: int, height: int, audio: bool
) -> None:
    assert (await call.kling(model=model, settings=settings)).status == 200
    clip = call.clips[0]
    assert (clip.width, clip.height, clip.fps, clip.audio) == (width, height, 24, audio)
    assert clip.frames == settings.get("duration", 5) * 24 + 1


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("kling-3.0-turbo", {"resolution": "4k"}),
        ("kling-2.6", {"duration": 7}),
        ("kling-2.6", {"audio": "native"}),
        ("kling-2.5-turbo", {"resolution": "4k"}),
    ],
)
async def test_older_and_lighter_models_have_their_own_limits(
    call: Caller, model: str, settings: dict[str, Any]
) -> None:
    refused(await call.kling(model=model, settings=settings))


@pytest.mark.parametrize(
    ("model", "settings", "amount"),
    [
        ("kling-3.0", {}, "3"),
        ("kling-3.0", {"audio": "native", "duration": 10}, "9"),
        ("kling-3.0", {"resolution": "4k", "duration": 15}, "45"),
        ("kling-3.0-turbo", {"resolution": "1080p"}, "5"),
        ("kling-2.6", {"resolution": "1080p", "audio": "native"}, "5"),
    ],
)
async def test_the_billing_row_is_units_per_second(
    call: Caller, model: str, settings: dict[str, Any], amount: str
) -> None:
    made = await call.kling(model=model, settings=settings)
    await call.clock.sleep(61)
    assert (await call.task(made))["billing"][0]["amount"] == amount


@pytest.mark.parametrize(
    ("width", "height", "resolution", "expected"),
    [
        (1000, 1000, "720p", (960, 960)),
        (1000, 563, "720p", (1280, 720)),
        (400, 300, "720p", (1108, 832)),
        (300, 750, "1080p", (910, 2276)),
        (720, 1280, "4k", (2160, 3840)),
    ],
)
async def test_image_to_video_takes_the_shape_of_its_first_frame(
    call: Caller, width: int, height: int, resolution: str, expected: tuple[int, int]
) -> None:
    frame = {"type": "first_frame", "url": picture(width, height)}
    assert (await contents(call, "image-to-video/kling-3.0", TEXT, frame, resolution=resolution)).status == 200
    clip = call.clips[0]
    assert (clip.width, clip.height) == expected
    assert clip.first_frame is not None
    shown = call.emulator.jobs()[0].request["contents"]
    assert shown[1]["url"].startswith(f"png {width}x{height}")  # type: ignore[index] # a list of objects


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (f"data:image/png;base64,{picture(640, 360)}", "File is not in a valid base64 format"),
        ("not base64!", "File is not in a valid base64 format"),
        ("", "contents[1].url: must not be blank"),
        ("bm8gcGljdHVyZQ==", "contents[1].url: image format is invalid, only jpg, jpeg and png are supported"),
        (webp(), "contents[1].url: image format is invalid, only jpg, jpeg and png are supported"),
        (picture(299, 500), "contents[1].url: image width and height must not be less than 300px"),
        (picture(800, 310), "contents[1].url: image aspect ratio must be between 1:2.5 and 2.5:1"),
    ],
)
async def test_a_picture_must_be_raw_base64_of_a_fitting_image(call: Caller, url: str, message: str) -> None:
    frame = {"type": "first_frame", "url": url}
    assert refused(await contents(call, "image-to-video/kling-3.0", TEXT, frame)) == message


@pytest.mark.parametrize(
    ("path", "items", "settings"),
    [
        ("image-to-video/kling-3.0", [], {}),
        ("image-to-video/kling-3.0", [TEXT], {}),
        ("image-to-video/kling-3.0", [TEXT, LAST], {}),
        ("image-to-video/kling-3.0", [TEXT, TEXT, FIRST], {}),
        ("image-to-video/kling-3.0", [TEXT, FIRST, FIRST], {}),
        ("image-to-video/kling-3.0", [TEXT, FIRST, {"type": "refer_image", "url": URL}], {}),
        ("image-to-video/kling-3.0", [TEXT, FIRST, {"type": "element", "id": "a"}], {}),
        ("image-to-video/kling-3.0", [TEXT, FIRST, ELEMENT, ELEMENT], {}),
        ("image-to-video/kling-3.0", [FIRST, *({**ELEMENT, "id": name} for name in "abcd")], {}),
        ("image-to-video/kling-3.0", [FIRST, "text"], {}),
        ("image-to-video/kling-3.0", [FIRST, {"type": "prompt", "text": "x" * 3073}], {}),
        ("image-to-video/kling-3.0-turbo", [TEXT, FIRST, LAST], {}),
        ("image-to-video/kling-2.6", [TEXT, FIRST, LAST], {}),
        ("image-to-video/kling-2.6", [TEXT, FIRST, {"type": "voice", "voice_id": "v", "id": "v"}], {}),
        ("omni-video/kling-3.0-omni", [TEXT, LAST], {}),
        ("omni-video/kling-3.0-omni", [TEXT, *[{"type": "refer_image", "url": URL}] * 7, ELEMENT], {}),
        ("omni-video/kling-3.0-omni", [TEXT, {"type": "feature_video", "url": URL}], {"audio": "native"}),
        ("omni-video/kling-3.0-omni", [TEXT, {"type": "feature_video", "url": URL}], {"audio": "original"}),
        ("omni-video/kling-3.0-omni", [TEXT, {"type": "base_video", "url": URL}], {"multi_shot": True}),
        ("omni-video/kling-3.0-omni", [TEXT, {"type": "base_video", "url": URL}, FIRST], {}),
        ("omni-video/kling-3.0-omni", [TEXT, *({"type": t, "url": URL} for t in ("base_video", "feature_video"))], {}),
        ("omni-video/kling-3.0-omni", [TEXT, {"type": "base_video", "url": picture(300, 300)}], {}),
        ("omni-video/kling-o1", [TEXT, FIRST], {"duration": 7}),
        ("motion-control/kling-3.0", [TEXT, {"type": "image", "url": URL}], {"character_orientation": "image"}),
        ("motion-control/kling-3.0", [{"type": "image", "url": URL}, {"type": "video", "url": URL}], {}),
    ],
)
async def test_materials_that_do_not_go_together_are_refused(
    call: Caller, path: str, items: list[object], settings: dict[str, object]
) -> None:
    refused(await contents(call, path, *items, **settings))


@pytest.mark.parametrize(
    ("path", "items", "settings"),
    [
        ("image-to-video/kling-3.0", [FIRST], {"multi_shot": False}),
        ("image-to-video/kling-3.0", [TEXT, FIRST, LAST, ELEMENT], {"resolution": "4k", "duration": 6}),
        ("image-to-video/kling-3.0-turbo", [TEXT, FIRST], {"resolution": "1080p"}),
        ("image-to-video/kling-2.6", [TEXT, FIRST, LAST], {"resolution": "1080p"}),
        (
            "image-to-video/kling-2.6",
            [FIRST, {"type": "voice", "voice_id": "v", "id": "v"}],
            {"audio": "native", "resolution": "1080p"},
        ),
        ("omni-video/kling-3.0-omni", [TEXT], {}),
        ("omni-video/kling-3.0-omni", [TEXT, {"type": "base_video", "url": URL}], {"audio": "original"}),
        ("omni-video/kling-o1", [TEXT, FIRST], {"duration": 10}),
        (
            "motion-control/kling-3.0",
            [{"type": "image", "url": URL}, {"type": "video", "url": URL}],
            {"character_orientation": "video"},
        ),
    ],
)
async def test_materials_that_go_together_make_a_video(
    call: Caller, path: str, items: list[object], settings: dict[str, object]
) -> None:
    made = await contents(call, path, *items, **settings)
    await call.clock.sleep(61)
    assert (await call.task(made))["status"] == "succeeded"


@pytest.mark.parametrize(
    ("prompt", "settings", "accepted"),
    [
        ("shot 1, 2, dawn; shot 2, 3, noon;", {}, True),
        ("镜头 1, 2, dawn; 镜头 2, 3, noon", {}, True),
        ("shot 1, 2, dawn; shot 2, 2, noon;", {}, False),
        ("shot 1, 2, dawn; shot 2, 2, noon;", {"multi_shot": False}, True),
        ("shot 1, 5, " + "x" * 513, {}, False),
        (";".join(f"shot {n}, 1, x" for n in range(1, 8)), {"duration": 7}, False),
        ("a shot 1, 2, like no other", {}, True),
    ],
)
async def test_a_prompt_made_of_shots_must_fill_the_clip(
    call: Caller, prompt: str, settings: dict[str, object], accepted: bool
) -> None:
    assert (await call.kling(prompt, settings=settings)).status == (200 if accepted else 400)


async def test_an_external_id_finds_its_task_and_cannot_be_used_twice(call: Caller) -> None:
    options = {"external_task_id": "mv-1"}
    made = await call.kling(options=options)
    assert made.json["data"]["external_id"] == "mv-1"
    assert "options.external_task_id" in refused(await call.kling(options=options))
    assert [(await call.kling(options={"external_task_id": ""})).status for _ in range(2)] == [200, 200]
    found = (await call("GET", "/kling/tasks?external_task_ids=mv-1,mv-2")).json["data"]
    assert [task["id"] for task in found] == [made.json["data"]["id"]]
    call.key = "key-b"
    assert (await call("GET", "/kling/tasks?external_task_ids=mv-1")).json["data"] == []
    assert (await call.kling(options=options)).status == 200


async def test_a_query_needs_exactly_one_kind_of_id(call: Caller) -> None:
    message = "task_ids or external_task_ids is required"
    assert refused(await call("GET", "/kling/tasks")) == message
    assert refused(await call("GET", "/kling/tasks?task_ids=")) == message
    refused(await call("GET", "/kling/tasks?task_ids=1&external_task_ids=2"))
    assert (await call("GET", "/kling/tasks?task_ids=123")).json["data"] == []


async def test_the_list_pages_by_cursor_newest_first(call: Caller) -> None:
    empty = (await call("POST", "/kling/tasks", {})).json["data"]
    assert empty == {"count": 0, "has_more": False}
    ids = [(await call.kling(f"clip {number}")).json["data"]["id"] for number in range(5)]
    first = (await call("POST", "/kling/tasks", {"limit": 3, "cursor": ""})).json["data"]
    assert [task["id"] for task in first["result"]] == [ids[4], ids[3], ids[2]]
    assert (first["count"], first["has_more"]) == (3, True)
    await call.kling("a later one")
    rest = (await call("POST", "/kling/tasks", {"limit": 3, "cursor": first["next_cursor"]})).json["data"]
    assert [task["id"] for task in rest["result"]] == [ids[1], ids[0]]
    assert rest["has_more"] is False
    assert "next_cursor" not in rest


async def test_the_list_filters_by_time_status_and_product(call: Caller) -> None:
    await call.kling()
    old = str(int(call.clock.wall() * 1000))
    await call.clock.sleep(100)
    new = (await call.kling()).json["data"]
    since = {"start_time": new["create_time"]}
    assert [task["id"] for task in (await call("POST", "/kling/tasks", since)).json["data"]["result"]] == [new["id"]]
    assert (await call("POST", "/kling/tasks", {"end_time": old})).json["data"]["count"] == 1
    for key, value, count in (("status", "succeeded", 1), ("product_type", "video", 2), ("product_type", "image", 0)):
        body = {"filters": [{"key": key, "values": [value]}]}
        assert (await call("POST", "/kling/tasks", body)).json["data"]["count"] == count


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 0}, {"limit": 501}, {"limit": "5"}, {"start_time": "now"}, {"cursor": "nonsense"}, {"filters": {}},
        {"filters": [{"key": "model", "values": []}]}, {"filters": [{"key": "status", "values": ["done"]}]},
    ],
)  # fmt: skip
async def test_a_wrong_list_query_is_refused(call: Caller, body: dict[str, object]) -> None:
    refused(await call("POST", "/kling/tasks", body))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("risk_control", "Failure to pass the risk control system"),
        ("generation_failed", "Video generation failed, please try again later"),
    ],
)
async def test_a_trigger_word_lets_the_task_fail_without_a_bill(call: Caller, word: str, message: str) -> None:
    made = await call.kling(f"a {word} of note")
    await call.clock.sleep(60)
    task = await call.task(made)
    assert (task["status"], task["message"], task["outputs"], task["billing"]) == ("failed", message, [], [])
    assert (call.emulator.count(), call.emulator.charged()) == (1, 0)


async def test_forbidden_content_is_refused_at_submit(call: Caller) -> None:
    refused(await call.kling("some content_policy thing"), 400, 1301)


async def test_twenty_jobs_run_at_once_per_account_and_model(call: Caller) -> None:
    for _ in range(20):
        assert (await call.kling()).status == 200
    assert refused(await call.kling(), 429, 1303) == "parallel task over resource pack limit"
    assert (await call.kling(model="kling-3.0-turbo")).status == 200
    call.key = "key-b"
    assert (await call.kling()).status == 200
    call.key = "key-a"
    await call.clock.sleep(60)
    assert (await call.kling()).status == 200


async def test_an_empty_pack_refuses_and_costs_show_what_is_left() -> None:
    call = caller(kling_units=5)
    assert (await call.kling()).status == 200
    refused(await call.kling(), 429, 1102)
    query = urlencode({"start_time": 0, "end_time": 1})
    costs = (await call("GET", f"/kling/account/costs?{query}")).json["data"]
    assert (costs["code"], costs["msg"]) == (0, "success")
    (pack,) = costs["resource_pack_subscribe_infos"]
    assert (pack["total_quantity"], pack["remaining_quantity"], pack["status"]) == (5.0, 2.0, "online")
    other = (await call("GET", f"/kling/account/costs?{query}&resource_pack_name=x")).json["data"]
    assert "resource_pack_subscribe_infos" not in other
    refused(await call("GET", "/kling/account/costs?start_time=1"))
    call.emulator.close()
