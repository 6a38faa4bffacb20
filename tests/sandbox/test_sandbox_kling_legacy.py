"""Kling's door, legacy protocol: its envelope, its tokens, what it makes and what it refuses."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox_calls import Answer, Caller, caller, instant, picture

from multivideo.clock import VirtualClock
from multivideo.sandbox import Emulator

pytestmark = pytest.mark.anyio

VIDEOS = "/kling/v1/videos"
URL = "https://media.example/a.png"
CLIP = "https://media.example/a.mp4"
TEXT = {"model_name": "kling-v3", "prompt": "a fox"}
IMAGE = {"model_name": "kling-v3", "image": URL}
OMNI = {"model_name": "kling-v3-omni", "prompt": "a fox", "aspect_ratio": "16:9"}
MOTION = {"image_url": URL, "video_url": CLIP, "mode": "std", "character_orientation": "image"}
SHOTS = [{"index": 1, "prompt": "a door", "duration": "2"}, {"index": 2, "prompt": "a garden", "duration": "3"}]
ELEMENT = {"element_id": 829836802793406551}
START = 1785542400  # where a virtual clock begins


@pytest.fixture
def call() -> Iterator[Caller]:
    made = caller()
    yield made
    made.emulator.close()


async def create(call: Caller, family: str, *bodies: dict[str, Any], fault: str = "") -> Answer:
    body = {name: value for each in bodies for name, value in each.items()}
    return await call("POST", f"{VIDEOS}/{family}", body, headers={"x-multivideo-fault": fault} if fault else {})


async def look(call: Caller, family: str, name: str) -> Answer:
    return await call("GET", f"{VIDEOS}/{family}/{name}")


def refused(answer: Answer, status: int = 400, code: int = 1201) -> str:
    """The message of a refusal with that status and code."""
    assert (answer.status, answer.json["code"]) == (status, code), answer.json
    assert set(answer.json) == {"code", "message", "request_id"}
    return str(answer.json["message"])


def token(secret: str = "sk-test", head: object = None, **claims: object) -> str:
    """A signed token of the key `ak-test`, good for half an hour."""
    whole = {"iss": "ak-test", "exp": START + 1800, "nbf": START - 5, **claims}
    parts = [json.dumps(part).encode() for part in (head or {"alg": "HS256", "typ": "JWT"}, whole)]
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


# --- tokens --------------------------------------------------------------------------------------------------


async def test_a_token_made_by_the_rules_of_the_page_is_taken() -> None:
    """Made apart from this code: access key ak-test, secret sk-test, good from 1799999995 to 1800001800."""
    made = (
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJhay10ZXN0IiwiZXhwIjoxODAwMDAxODAwLCJuYmYiOjE3OTk5OTk5OTV9"
        ".PX1Q3Fi5gWJvVbdzAptA5b_XcQQGe-izvFUr0pDqPHg"
    )
    for now, code in ((1799999994, 1003), (1799999995, 0), (1800001799, 0), (1800001800, 1004)):
        clock = VirtualClock(now)
        call = Caller(Emulator(clock=clock, latency=60, render=instant), clock, made)
        answer = await create(call, "text2video", TEXT)
        assert (answer.json["code"], answer.status) == (code, 401 if code else 200)
        assert [job.credential for job in call.emulator.jobs()] == ([] if code else ["ak-test"])
        call.emulator.close()


@pytest.mark.parametrize(
    ("key", "code", "message"),
    [
        (None, 1001, "Authorization is empty"),
        ("bad-key", 1002, "api key not found"),
        (token("sk-other"), 1002, "Authorization is invalid"),
        (token(iss="ak-other"), 1002, "access key not found"),
        (token(nbf=START + 1), 1003, "Authorization is not yet valid"),
        (token(exp=START), 1004, "Authorization has expired"),
        (token(exp="soon"), 1000, "Authentication failed"),
        (token(nbf="now"), 1000, "Authentication failed"),
        (token(head={"alg": "none"}), 1000, "Authentication failed"),
        ("eyJub3Q.anything.x", 1000, "Authentication failed"),
    ],
)
async def test_a_credential_is_checked_before_anything_else(
    call: Caller, key: str | None, code: int, message: str
) -> None:
    call.key = key
    assert refused(await call("POST", f"{VIDEOS}/text2video", raw=b"{"), 401, code) == message
    assert refused(await call("GET", f"{VIDEOS}/nothing"), 401, code) == message


async def test_the_new_protocol_takes_no_token_and_the_legacy_one_takes_keys_too(call: Caller) -> None:
    assert (await create(call, "text2video", TEXT)).status == 200
    call.key = token()
    assert (await create(call, "text2video", TEXT)).status == 200
    assert refused(await call.kling(), 401, 1002) == "The current API does not support AK/SK"


# --- envelope and life ---------------------------------------------------------------------------------------


async def test_a_task_goes_from_submitted_to_succeed(call: Caller) -> None:
    body = {"mode": "pro", "sound": "on", "duration": "7", "external_task_id": "mv-1"}
    made = await create(call, "text2video", TEXT, body)
    assert (made.json["code"], made.json["message"]) == (0, "SUCCEED")
    created = made.json["data"]
    assert set(created) == {"task_id", "task_status", "task_info", "created_at", "updated_at"}
    assert (created["task_status"], created["task_info"]) == ("submitted", {"external_task_id": "mv-1"})
    await call.clock.sleep(10)
    running = (await look(call, "text2video", created["task_id"])).json["data"]
    assert (running["task_status"], running["updated_at"]) == ("processing", created["created_at"] + 5000)
    assert {"task_result", "final_unit_deduction"} & set(running) == set()
    await call.clock.sleep(50)
    done = (await look(call, "text2video", "mv-1")).json["data"]
    assert (done["task_status"], done["task_status_msg"]) == ("succeed", "")
    assert (done["final_unit_deduction"], done["watermark_info"]) == ("8.4", {"enabled": False})
    (video,) = done["task_result"]["videos"]
    assert set(video) == {"id", "url", "duration"}
    assert (video["duration"], call.emulator.charged()) == ("7.041", 8_400 * 140)
    call.key = None
    assert (await call("GET", call.link(video["url"]))).data.startswith(b"kling-3.0 1920x1080 24 True")


async def test_a_watermarked_copy_comes_only_when_asked_for(call: Caller) -> None:
    made = await create(call, "text2video", TEXT, {"watermark_info": {"enabled": True}})
    await call.clock.sleep(60)
    done = (await look(call, "text2video", made.json["data"]["task_id"])).json["data"]
    assert done["watermark_info"] == {"enabled": True}
    call.key = None
    assert (await call("GET", call.link(done["task_result"]["videos"][0]["watermark_url"]))).status == 200


async def test_a_failed_task_says_why_and_costs_nothing(call: Caller) -> None:
    made = await create(call, "text2video", TEXT, {"prompt": "risk_control"})
    await call.clock.sleep(60)
    task = (await look(call, "text2video", made.json["data"]["task_id"])).json["data"]
    assert (task["task_status"], task["task_status_msg"]) == ("failed", "Failure to pass the risk control system")
    assert {"task_result", "final_unit_deduction"} & set(task) == set()
    assert call.emulator.charged() == 0
    assert refused(await create(call, "text2video", TEXT, {"prompt": "content_policy"}), 400, 1301)


async def test_a_task_is_found_in_its_own_family_and_by_its_own_account_only(call: Caller) -> None:
    made = (await create(call, "text2video", TEXT, {"external_task_id": "mv-1"})).json["data"]["task_id"]
    for family, name in (("image2video", made), ("omni-video", "mv-1"), ("text2video", "123")):
        refused(await look(call, family, name), 404, 1203)
    call.key = "key-b"
    for name in (made, "mv-1"):
        refused(await look(call, "text2video", name), 404, 1203)


async def test_the_list_pages_by_number_newest_first(call: Caller) -> None:
    assert (await call("GET", f"{VIDEOS}/text2video")).json["data"] == []
    ids = [(await create(call, "text2video", TEXT)).json["data"]["task_id"] for _ in range(5)]
    await create(call, "image2video", IMAGE)
    await call.kling()
    pages = [(await call("GET", f"{VIDEOS}/text2video?pageNum={n}&pageSize=2")).json["data"] for n in (1, 2, 3, 4)]
    assert [[task["task_id"] for task in page] for page in pages] == [ids[:2:-1], ids[2:0:-1], ids[:1], []]
    for query in ("pageNum=0", "pageNum=1001", "pageSize=501", "pageSize=0", "pageSize=x", "pageNum=-1"):
        refused(await call("GET", f"{VIDEOS}/text2video?{query}"))


async def test_a_legacy_task_is_seen_in_the_new_protocol_by_its_id_and_not_the_other_way_round(call: Caller) -> None:
    old = (await create(call, "text2video", TEXT, {"external_task_id": "mv-1"})).json["data"]["task_id"]
    new = (await call.kling(options={"external_task_id": "mv-2"})).json["data"]["id"]
    await call.clock.sleep(60)
    for query in (f"task_ids={old}", "external_task_ids=mv-1"):
        (task,) = (await call("GET", f"/kling/tasks?{query}")).json["data"]
        assert (task["id"], task["status"], task["external_id"]) == (old, "succeeded", "mv-1")
    assert [task["id"] for task in (await call("POST", "/kling/tasks", {})).json["data"]["result"]] == [new]
    refused(await look(call, "text2video", new), 404, 1203)
    assert "mv-2" in refused(await create(call, "text2video", TEXT, {"external_task_id": "mv-2"}))


async def test_slots_and_units_are_those_of_the_account_whatever_the_protocol() -> None:
    call = caller(kling_slots=2, kling_units=10)
    assert (await create(call, "text2video", TEXT)).status == 200
    assert (await call.kling()).status == 200
    assert refused(await create(call, "text2video", TEXT), 429, 1303) == "parallel task over resource pack limit"
    await call.clock.sleep(60)
    assert (await create(call, "text2video", TEXT)).status == 200
    refused(await create(call, "text2video", TEXT), 429, 1102)
    call.emulator.close()


async def test_dead_and_unknown_paths_and_wrong_methods(call: Caller) -> None:
    for path in ("multi-image2video", "video-extend", "video-extend/1", "effects", "lip-sync", "text3video", ""):
        refused(await call("POST", f"{VIDEOS}/{path}", {"model_name": "kling-v1-6"}), 404, 1203)
    refused(await call("DELETE", f"{VIDEOS}/text2video/1"), 404, 1202)
    refused(await call("PUT", f"{VIDEOS}/text2video"), 404, 1202)
    for raw in (b"", b"{", b"[]"):
        refused(await call("POST", f"{VIDEOS}/text2video", raw=raw), 400, 1200)


async def test_faults_strike_legacy_calls(call: Caller) -> None:
    made = await create(call, "text2video", TEXT, fault="poll=1302, unknown_status=warming@2, late@3, lean@4")
    name = made.json["data"]["task_id"]
    refused(await look(call, "text2video", name), 429, 1302)
    assert (await look(call, "text2video", name)).json["data"]["task_status"] == "warming"
    refused(await look(call, "text2video", name), 404, 1203)
    lean = (await look(call, "text2video", name)).json["data"]
    assert set(lean) == {"task_id", "task_status", "created_at", "updated_at"}


# --- orders --------------------------------------------------------------------------------------------------


async def test_the_order_is_kept_with_every_default_in_both_tongues(call: Caller) -> None:
    await create(call, "text2video", TEXT)
    request = call.emulator.jobs()[0].request
    assert request["legacy"] == {
        "family": "text2video", "model_name": "kling-v3", "mode": "std", "aspect_ratio": "16:9", "sound": "off",
        "cfg_scale": 0.5, "negative_prompt": "", "prompt": "a fox", "multi_shot": False, "duration": "5",
    }  # fmt: skip
    assert request["settings"] == {
        "resolution": "720p", "aspect_ratio": "16:9", "audio": "off", "multi_shot": False, "duration": 5,
    }  # fmt: skip
    await create(call, "omni-video", OMNI)
    assert call.emulator.jobs()[1].request["settings"]["resolution"] == "1080p"  # type: ignore[index] # an object


@pytest.mark.parametrize(
    ("family", "body", "width", "height", "seconds", "audio", "units"),
    [
        ("text2video", {**TEXT, "mode": "4k", "duration": "3", "aspect_ratio": "1:1"}, 2880, 2880, 3, False, "9"),
        ("text2video", {**TEXT, "sound": "on", "duration": "10"}, 1280, 720, 10, True, "9"),
        ("text2video", {**TEXT, "model_name": "kling-v2-6", "mode": "pro", "sound": "on"}, 1920, 1080, 5, True, "5"),
        ("text2video", {**TEXT, "model_name": "kling-v2-5-turbo"}, 1280, 720, 5, False, "1.5"),
        ("image2video", {**IMAGE, "image": picture(400, 400)}, 960, 960, 5, False, "3"),
        ("image2video", {**IMAGE, "image_tail": URL, "mode": "pro"}, 1920, 1080, 5, False, "4"),
        (
            "image2video",
            {"model_name": "kling-v2-6", "image_tail": picture(400, 400), "mode": "pro"},
            1440, 1440, 5, False, "2.5",
        ),
        ("image2video", {**IMAGE, "element_list": [ELEMENT] * 3}, 1280, 720, 5, False, "3"),
        ("image2video", {**IMAGE, "voice_list": [{"voice_id": "v"}], "sound": "on"}, 1280, 720, 5, True, "4.5"),
        (
            "image2video",
            {**IMAGE, "model_name": "kling-v2-6", "voice_list": [{"voice_id": "v"}], "sound": "on", "mode": "pro"},
            1920, 1080, 5, True, "6",
        ),
        ("omni-video", {**OMNI, "mode": "std", "sound": "on", "duration": "6"}, 1280, 720, 6, True, "4.8"),
        ("omni-video", {"prompt": "a fox", "aspect_ratio": "9:16", "duration": "10"}, 1080, 1920, 10, False, "8"),
        (
            "omni-video",
            {"prompt": "x", "image_list": [{"image_url": picture(400, 400), "type": "first_frame"}]},
            1440, 1440, 5, False, "4",
        ),
        ("omni-video", {**OMNI, "video_list": [{"video_url": CLIP}]}, 1920, 1080, 5, True, "6"),
        (
            "omni-video",
            {**OMNI, "video_list": [{"video_url": CLIP, "refer_type": "feature"}], "duration": "8"},
            1920, 1080, 8, False, "9.6",
        ),
        ("motion-control", MOTION, 1280, 720, 5, True, "2.5"),
        (
            "motion-control",
            {**MOTION, "model_name": "kling-v3", "mode": "pro", "keep_original_sound": "no", "element_list": [ELEMENT]},
            1920, 1080, 5, False, "6",
        ),
    ],
)  # fmt: skip
async def test_every_family_makes_files_of_its_tier_at_its_price(
    call: Caller, family: str, body: dict[str, Any], width: int, height: int, seconds: int, audio: bool, units: str
) -> None:
    made = await create(call, family, body)
    assert made.status == 200, made.json
    clip = call.clips[0]
    assert (clip.width, clip.height, clip.fps, clip.audio) == (width, height, 24, audio)
    assert clip.frames == seconds * 24 + 1
    await call.clock.sleep(61)
    task = (await look(call, family, made.json["data"]["task_id"])).json["data"]
    assert task["final_unit_deduction"] == units


async def test_shots_become_the_prompt(call: Caller) -> None:
    body = {"multi_shot": True, "shot_type": "customize", "multi_prompt": SHOTS, "prompt": "not this"}
    assert (await create(call, "text2video", TEXT, body)).status == 200
    assert call.clips[0].prompt == "shot 1, 2, a door; shot 2, 3, a garden;"
    without = {"multi_shot": False, "shot_type": "nonsense", "multi_prompt": 7}
    assert (await create(call, "text2video", TEXT, without)).status == 200
    assert (await create(call, "text2video", TEXT, {"multi_shot": True, "shot_type": "intelligence"})).status == 200
    assert call.clips[2].prompt == "a fox"


@pytest.mark.parametrize(
    ("family", "body", "message"),
    [
        ("text2video", {"prompt": "a fox"}, "model_name value 'kling-v1' is invalid"),
        ("text2video", {**TEXT, "model_name": "kling-video-o3"}, "model_name value 'kling-video-o3' is invalid"),
        ("text2video", {**TEXT, "model_name": "kling-v3-omni"}, "model_name value 'kling-v3-omni' is invalid"),
        ("text2video", {"model_name": "kling-v3"}, "prompt: must not be blank"),
        ("text2video", {**TEXT, "prompt": "x" * 2501}, "prompt: size must be between 0 and 2500"),
        ("text2video", {**TEXT, "negative_prompt": "x" * 2501}, "negativePrompt: size must be between 0 and 2500"),
        ("text2video", {**TEXT, "duration": 5}, "duration value '5' is invalid"),
        ("text2video", {**TEXT, "duration": "16"}, "duration value '16' is invalid"),
        ("text2video", {**TEXT, "model_name": "kling-v2-6", "duration": "7"}, "duration value '7' is invalid"),
        ("text2video", {**TEXT, "mode": "hd"}, "mode value 'hd' is invalid"),
        ("text2video", {**TEXT, "mode": None}, "mode value 'null' is invalid"),
        ("text2video", {**TEXT, "model_name": "kling-v2-6", "mode": "4k"}, "mode value '4k' is invalid"),
        ("text2video", {**TEXT, "sound": True}, "sound value 'true' is invalid"),
        ("text2video", {**TEXT, "model_name": "kling-v2-6", "sound": "on"}, "sound: 'on' is not supported"),
        ("text2video", {**TEXT, "model_name": "kling-v2-5-turbo", "sound": "on"}, "sound: 'on' is not supported"),
        ("text2video", {**TEXT, "aspect_ratio": "4:3"}, "aspectRatio value '4:3' is invalid"),
        ("text2video", {**TEXT, "cfg_scale": 1.5}, "cfgScale: must be between 0 and 1"),
        ("text2video", {**TEXT, "cfg_scale": "0.5"}, "cfgScale: must be between 0 and 1"),
        ("text2video", {**TEXT, "camera_control": {}}, "cameraControl: is not supported by this model"),
        ("text2video", {**TEXT, "external_task_id": 5}, "external_task_id: must be a string"),
        ("text2video", {**TEXT, "multi_shot": "yes"}, "multiShot: must be a boolean"),
        ("text2video", {**TEXT, "multi_shot": True}, "shotType: must be specified"),
        ("text2video", {**TEXT, "multi_shot": True, "shot_type": "x"}, "shotType value 'x' is invalid"),
        ("text2video", {**TEXT, "multi_shot": True, "shot_type": "customize"}, "multiPrompt: must not be empty"),
        ("text2video", {**TEXT, "model_name": "kling-v2-6", "multi_shot": True}, "multiShot: is not supported"),
        ("image2video", {"model_name": "kling-v3"}, "image: must not be blank"),
        ("image2video", {"model_name": "kling-v3", "image_tail": URL}, "image: must not be blank"),
        ("image2video", {**IMAGE, "image": "bm8="}, "image: image format is invalid"),
        ("image2video", {**IMAGE, "image": "data:image/png;base64,AAAA"}, "File is not in a valid base64 format"),
        ("image2video", {**IMAGE, "image_tail": picture(299, 400)}, "imageTail: image width and height"),
        ("image2video", {**IMAGE, "model_name": "kling-v2-6", "image_tail": URL}, "imageTail: needs mode 'pro'"),
        ("image2video", {**IMAGE, "element_list": [ELEMENT] * 4}, "elementList: size must be between 0 and 3"),
        ("image2video", {**IMAGE, "element_list": [{"element_id": "8"}]}, "elementList[0].elementId: must be an int"),
        ("image2video", {**IMAGE, "model_name": "kling-v2-6", "element_list": [ELEMENT]}, "elementList: size must be"),
        ("image2video", {**IMAGE, "voice_list": [{"voice_id": "v"}]}, "voiceList: needs sound 'on'"),
        ("image2video", {**IMAGE, "voice_list": [{}], "sound": "on"}, "voiceList[0].voiceId: must not be blank"),
        (
            "image2video",
            {**IMAGE, "voice_list": [{"voice_id": "v"}], "sound": "on", "element_list": [ELEMENT]},
            "voiceList: needs sound 'on' and no elementList",
        ),
        ("image2video", {**IMAGE, "dynamic_masks": []}, "dynamicMasks: is not supported by this model"),
        ("omni-video", {**OMNI, "model_name": "kling-v3"}, "model_name value 'kling-v3' is invalid"),
        ("omni-video", {"prompt": "a fox"}, "aspectRatio: must be specified"),
        ("omni-video", {**OMNI, "prompt": ""}, "prompt: must not be blank"),
        ("omni-video", {**OMNI, "model_name": "kling-video-o1", "sound": "on"}, "sound: 'on' is not supported"),
        ("omni-video", {**OMNI, "model_name": "kling-video-o1", "mode": "4k"}, "mode value '4k' is invalid"),
        ("omni-video", {**OMNI, "video_list": [{"video_url": CLIP}], "sound": "on"}, "sound: must be 'off' with a"),
        ("omni-video", {**OMNI, "video_list": [{"video_url": "AAAA"}]}, "videoList[0].videoUrl: a video must be given"),
        ("omni-video", {**OMNI, "video_list": [{"video_url": CLIP}] * 2}, "videoList: size must be between 0 and 1"),
        ("omni-video", {**OMNI, "image_list": [{"image_url": URL, "type": "end_frame"}]}, "materials: a last frame"),
        ("omni-video", {**OMNI, "image_list": [{"image_url": URL, "type": "last_frame"}]}, "imageList[0].type value"),
        ("omni-video", {**OMNI, "image_list": [{"image_url": URL}] * 8}, "materials: at most 7"),
        (
            "omni-video",
            {**OMNI, "image_list": [{"image_url": URL}] * 3, "element_list": [ELEMENT] * 5},
            "materials: at most 7",
        ),
        (
            "omni-video",
            {**OMNI, "image_list": [{"image_url": URL, "type": "first_frame"}], "element_list": [ELEMENT] * 4},
            "materials: at most 3 elements",
        ),
        (
            "omni-video",
            {**OMNI, "image_list": [{"image_url": URL, "type": "first_frame"}], "video_list": [{"video_url": CLIP}]},
            "videoList: a base video goes with no frames",
        ),
        (
            "omni-video",
            {**OMNI, "video_list": [{"video_url": CLIP}], "multi_shot": True, "shot_type": "intelligence"},
            "multiShot: goes with no base video",
        ),
        (
            "omni-video",
            {
                **OMNI, "video_list": [{"video_url": CLIP, "refer_type": "feature"}], "multi_shot": True,
                "shot_type": "customize", "multi_prompt": SHOTS,
            },
            "shotType: must be 'intelligence'",
        ),
        (
            "omni-video",
            {"prompt": "x", "image_list": [{"image_url": URL, "type": "first_frame"}], "duration": "7"},
            "duration: must be 5 or 10",
        ),
        ("motion-control", {}, "imageUrl: must not be blank"),
        ("motion-control", {"image_url": URL}, "videoUrl: must not be blank"),
        ("motion-control", {"image_url": URL, "video_url": CLIP}, "video mode must be specified"),
        (
            "motion-control",
            {"image_url": URL, "video_url": CLIP, "mode": "pro"},
            "character orientation must be specified",
        ),
        ("motion-control", {**MOTION, "mode": "4k"}, "mode value '4k' is invalid"),
        ("motion-control", {**MOTION, "element_list": [ELEMENT]}, "elementList: size must be between 0 and 0"),
        ("motion-control", {**MOTION, "model_name": "kling-v1-6"}, "model_name value 'kling-v1-6' is invalid"),
    ],
)  # fmt: skip
async def test_a_wrong_field_is_named(call: Caller, family: str, body: dict[str, Any], message: str) -> None:
    assert refused(await create(call, family, body)).startswith(message)
    assert call.emulator.count() == 0


@pytest.mark.parametrize(
    ("shots", "message"),
    [
        ([{**SHOTS[0], "duration": "5"}], ""),
        (SHOTS, ""),
        ([*SHOTS, SHOTS[0]], "multiPrompt: durations must add up to duration"),
        ([{**SHOTS[0], "duration": 5}], "multiPrompt[0].duration value '5' is invalid"),
        ([{**SHOTS[0], "duration": "0"}], "multiPrompt[0].duration value '0' is invalid"),
        ([{**SHOTS[0], "index": "1"}], "multiPrompt[0].index: must be an integer"),
        ([{**SHOTS[0], "prompt": "x" * 513}], "multiPrompt[0].prompt: size must be between 0 and 512"),
        ([SHOTS[0]] * 7, "multiPrompt: size must be between 0 and 6"),
        (["a door"], "multiPrompt: must be an array of objects"),
    ],
)
async def test_shots_given_one_by_one_must_fill_the_clip(call: Caller, shots: list[Any], message: str) -> None:
    body = {"model_name": "kling-v3", "multi_shot": True, "shot_type": "customize", "multi_prompt": shots}
    answer = await create(call, "text2video", body)
    assert (answer.status == 200) if not message else refused(answer) == message


async def test_pictures_of_more_than_ten_megabytes_are_refused(call: Caller) -> None:
    heavy = base64.b64encode(base64.b64decode(picture(640, 360)) + bytes(10 * 1024 * 1024)).decode()
    answer = await create(call, "image2video", IMAGE, {"image": heavy})
    assert refused(answer) == "image: image size must not exceed 10MB"
    frame = {"type": "first_frame", "url": heavy}
    assert (await call("POST", "/kling/image-to-video/kling-3.0", {"contents": [frame]})).status == 200


async def test_unknown_fields_are_passed_over_unless_strict(call: Caller) -> None:
    assert (await create(call, "image2video", IMAGE, {"aspect_ratio": "9:16", "seed": 4})).status == 200
    strict = caller(strict=True)
    assert refused(await create(strict, "image2video", IMAGE, {"aspect_ratio": "9:16"})) == "aspectRatio: unknown field"
    known = {"image_tail": "", "shot_type": "x", "callback_url": "", "watermark_info": {}, "element_list": []}
    assert (await create(strict, "image2video", IMAGE, known)).status == 200
    strict.emulator.close()


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.just("5") | st.just(URL)
ROWS = st.lists(
    st.dictionaries(st.sampled_from(["image_url", "type", "element_id", "video_url", "voice_id", "duration"]), VALUES)
)
NAMES = (
    "model_name", "prompt", "negative_prompt", "multi_shot", "shot_type", "multi_prompt", "sound", "cfg_scale", "mode",
    "aspect_ratio", "duration", "image", "image_tail", "element_list", "voice_list", "image_list", "video_list",
    "image_url", "video_url", "character_orientation", "keep_original_sound", "watermark_info", "callback_url",
)  # fmt: skip


@pytest.mark.parametrize("family", ["text2video", "image2video", "omni-video", "motion-control"])
@settings(max_examples=60, deadline=None, database=None)
@given(changed=st.dictionaries(st.sampled_from(NAMES), VALUES | ROWS, max_size=3))
def test_any_order_is_answered_in_kling_s_form(family: str, changed: dict[str, object]) -> None:
    right = {"text2video": TEXT, "image2video": IMAGE, "omni-video": OMNI, "motion-control": MOTION}[family]
    call = caller()

    async def ask() -> None:
        answer = await create(call, family, {**right, **changed})
        assert (answer.status, answer.json["code"]) in ((200, 0), (400, 1200), (400, 1201))
        assert call.emulator.count() == (answer.status == 200)
        assert (await call("GET", f"{VIDEOS}/{family}")).status == 200

    asyncio.run(ask())
    call.emulator.close()
