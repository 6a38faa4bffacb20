"""Google's other door: Veo on the Gemini API, its strictness, its files and its extensions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox_calls import Answer, Caller, caller, picture

from multivideo.sandbox.render import Film, placeholder

pytestmark = pytest.mark.anyio

MODEL = "veo-3.1-generate-preview"
BASE = "/gemini/v1beta"
IMAGE = {"bytesBase64Encoded": picture(640, 360), "mimeType": "image/png"}
REFERENCE = {"image": IMAGE, "referenceType": "asset"}
KEY = {"x-goog-api-key": "key-a"}
UPSTREAM = "https://generativelanguage.googleapis.com/v1beta/files/"


@pytest.fixture
def call() -> Iterator[Caller]:
    made = caller()
    made.key = None  # the key goes into a header of its own
    yield made
    made.emulator.close()


async def send(call: Caller, body: object, model: str = MODEL, **headers: str) -> Answer:
    return await call("POST", f"{BASE}/models/{model}:predictLongRunning", body, headers={**KEY, **headers})


async def start(
    call: Caller, prompt: str = "a fox", *, model: str = MODEL, more: Any = None, fault: str = "", **parameters: object
) -> Answer:
    body = {"instances": [{"prompt": prompt, **(more or {})}], "parameters": parameters}
    return await send(call, body, model, **({"x-multivideo-fault": fault} if fault else {}))


async def poll(call: Caller, started: Answer) -> Any:
    return (await call("GET", f"{BASE}/{started.json['name']}", headers=KEY)).json


async def finished(call: Caller, started: Answer) -> str:
    """The address of the file of a job, once it is done."""
    await call.clock.sleep(60)
    (sample,) = (await poll(call, started))["response"]["generateVideoResponse"]["generatedSamples"]
    return str(sample["video"]["uri"])


async def extend(call: Caller, uri: str, **parameters: Any) -> Answer:
    return await start(call, "on it goes", more={"video": {"uri": uri, "encoding": "video/mp4"}}, **parameters)


def refused(answer: Answer, status: int = 400, name: str = "INVALID_ARGUMENT") -> str:
    """The message of a refusal with that status."""
    assert (answer.status, answer.error["code"], answer.error["status"]) == (status, status, name), answer.data[:300]
    return str(answer.error["message"])


def path_of(uri: str) -> str:
    return f"{BASE}/files/{uri.partition('files/')[2]}"


async def test_an_operation_is_pending_without_done_and_then_names_a_file(call: Caller) -> None:
    started = await start(call, durationSeconds=4)
    name = started.json["name"]
    assert set(started.json) == {"name"}
    head, _, operation = name.rpartition("/")
    assert head == f"models/{MODEL}/operations"
    assert len(operation) == 12
    assert await poll(call, started) == {"name": name}
    await call.clock.sleep(60)
    done = await poll(call, started)
    assert done["done"] is True
    response = done["response"]
    assert response["@type"] == ("type.googleapis.com/google.ai.generativelanguage.v1beta.PredictLongRunningResponse")
    assert set(response["generateVideoResponse"]) == {"generatedSamples"}
    uri = response["generateVideoResponse"]["generatedSamples"][0]["video"]["uri"]
    assert uri.startswith(UPSTREAM)
    assert uri.endswith(":download?alt=media")
    assert await poll(call, started) == done
    assert call.emulator.charged("key-a", door="gemini") == 1_600_000


async def test_a_file_is_served_under_both_paths_to_its_own_key_for_two_days(call: Caller) -> None:
    uri = await finished(call, await start(call))
    path = path_of(uri)
    file = await call("GET", path, headers=KEY)
    assert (file.status, file.reply.header("content-type")) == (200, "video/mp4")
    assert file.data.startswith(b"veo-3.1-generate-preview 1280x720 24 True")
    assert (await call("GET", path.replace("/gemini/", "/gemini/download/"), headers=KEY)).data == file.data
    assert (await call("GET", f"{path}&key=key-a")).data == file.data
    part = await call("GET", path, headers={**KEY, "Range": "bytes=2-5"})
    assert (part.status, part.data) == (206, file.data[2:6])
    refused(await call("GET", path, headers={"x-goog-api-key": "key-b"}), 403, "PERMISSION_DENIED")
    refused(await call("GET", path), 403, "PERMISSION_DENIED")
    refused(await call("GET", f"{BASE}/files/none:download", headers=KEY), 404, "NOT_FOUND")
    await call.clock.sleep(2 * 86_400)
    refused(await call("GET", path, headers=KEY), 404, "NOT_FOUND")


async def test_links_may_name_the_emulator_itself() -> None:
    call = caller(file_uris="self")
    uri = await finished(call, await start(call))
    assert (await call("GET", call.link(uri), headers=KEY)).status == 200
    call.emulator.close()


async def test_without_a_key_and_with_a_bad_one_nothing_is_answered(call: Caller) -> None:
    path = f"{BASE}/models/{MODEL}"
    assert "unregistered callers" in refused(
        await call("POST", f"{path}:predictLongRunning", {}), 403, "PERMISSION_DENIED"
    )
    bad = {"x-goog-api-key": "bad-key"}
    for answer in (await send(call, {}, **bad), await call("GET", f"{path}?key=bad-key")):
        refused(answer)
        assert answer.error["details"][0]["reason"] == "API_KEY_INVALID"
    assert call.emulator.count() == 0


async def test_an_operation_belongs_to_its_key(call: Caller) -> None:
    name = (await start(call)).json["name"]
    refused(await call("GET", f"{BASE}/{name}", headers={"x-goog-api-key": "key-b"}), 404, "NOT_FOUND")
    refused(await call("GET", f"{BASE}/{name}0", headers=KEY), 404, "NOT_FOUND")


async def test_a_model_tells_what_it_can_do(call: Caller) -> None:
    about = (await call("GET", f"{BASE}/models/veo-3.1-fast-generate-preview", headers=KEY)).json
    assert about["supportedGenerationMethods"] == ["predictLongRunning"]
    assert about["name"] == "models/veo-3.1-fast-generate-preview"
    for model in ("veo-3.1-generate-001", "veo-2.0-generate-001"):
        assert "is not found for API version v1beta" in refused(await start(call, model=model), 404, "NOT_FOUND")
        refused(await call("GET", f"{BASE}/models/{model}", headers=KEY), 404, "NOT_FOUND")


async def test_models_are_gone_when_the_lifecycle_is_strict() -> None:
    call = caller(strict_lifecycle=True)
    assert "no longer available" in refused(await start(call), 404, "NOT_FOUND")
    refused(await call("GET", f"{BASE}/models/{MODEL}", headers=KEY), 404, "NOT_FOUND")
    assert (await call.veo()).status == 200  # Vertex AI goes on
    call.emulator.close()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/gemini/v1/models/veo-3.1-generate-preview"),
        ("POST", f"{BASE}/models/{MODEL}:generateContent"),
        ("GET", f"{BASE}/models/{MODEL}/operations"),
        ("GET", f"/gemini/download{BASE.removeprefix('/gemini')}/models/{MODEL}"),
        ("DELETE", f"{BASE}/files/abc"),
        ("GET", "/gemini"),
    ],
)
async def test_paths_that_are_not_there(call: Caller, method: str, path: str) -> None:
    assert "Method not found" in refused(await call(method, path, headers=KEY), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    "name",
    ["generateAudio", "storageUri", "fps", "numberOfVideos", "duration_seconds", "compressionQuality", "resizeMode",
     "pubsubTopic", "prompt"],
)  # fmt: skip
async def test_a_parameter_of_vertex_or_of_nobody_is_refused_by_its_name(call: Caller, name: str) -> None:
    body = {"instances": [{"prompt": "a fox"}], "parameters": {name: True}}
    assert refused(await send(call, body)) == f"`{name}` isn't supported by this model."
    assert call.emulator.count() == 0


@pytest.mark.parametrize(
    ("parameters", "fragment"),
    [
        ({"durationSeconds": 5}, "The number value for `durationSeconds` is out of bound"),
        ({"durationSeconds": "7"}, "between 4 and 8"),
        ({"durationSeconds": "8.0"}, "durationSeconds"),
        ({"durationSeconds": None}, "durationSeconds"),
        ({"durationSeconds": "6", "resolution": "1080p"}, "1080p is not supported for a duration of 6 seconds."),
        ({"durationSeconds": 4, "resolution": "4k"}, "4k is not supported for a duration of 4 seconds."),
        ({"resolution": "4K"}, "`resolution`"),
        ({"aspectRatio": "1:1"}, "`aspectRatio`"),
        ({"sampleCount": 2}, "`sampleCount`"),
        ({"seed": 2**32}, "`seed`"),
        ({"negativePrompt": 1}, "negativePrompt"),
        ({"enhancePrompt": "yes"}, "enhancePrompt"),
        ({"personGeneration": 1}, "personGeneration"),
    ],
)
async def test_a_wrong_parameter_is_refused(call: Caller, parameters: dict[str, Any], fragment: str) -> None:
    assert fragment in refused(await start(call, **parameters))
    assert call.emulator.count() == 0


@pytest.mark.parametrize(
    ("more", "right"),
    [
        ({}, "allow_all"),
        ({"image": IMAGE}, "allow_adult"),
        ({"image": IMAGE, "lastFrame": IMAGE}, "allow_adult"),
        ({"referenceImages": [REFERENCE]}, "allow_adult"),
    ],
)
async def test_people_depend_on_whether_a_picture_is_sent(call: Caller, more: dict[str, Any], right: str) -> None:
    assert (await start(call, more=more)).status == 200
    assert (await start(call, more=more, personGeneration=right)).status == 200
    for wrong in {"allow_all", "allow_adult", "dont_allow"} - {right}:
        told = refused(await start(call, more=more, personGeneration=wrong))
        assert told == f"{wrong} for personGeneration is currently not supported."


@pytest.mark.parametrize(
    ("more", "fragment"),
    [
        ({"prompt": ""}, "text prompt is missing"),
        ({"prompt": 5}, "prompt"),
        ({"mask": {}}, "`mask` isn't supported by this model."),
        ({"image": {"inlineData": {"data": "", "mimeType": "image/png"}}}, "`inlineData` isn't supported"),
        ({"image": {"gcsUri": "gs://a/b.png", "mimeType": "image/png"}}, "`gcsUri` isn't supported"),
        ({"image": {**IMAGE, "mimeType": "image/webp"}}, "mime type"),
        ({"image": {"mimeType": "image/png"}}, "cannot be decoded"),
        ({"image": "aGk="}, "must be an object"),
        ({"lastFrame": IMAGE}, "`lastFrame` requires `image`."),
        ({"image": IMAGE, "lastFrame": {**IMAGE, "bytesBase64Encoded": "aGk="}}, "`lastFrame`"),
        ({"referenceImages": [REFERENCE] * 4}, "1 to 3"),
        ({"referenceImages": [{**REFERENCE, "referenceType": "STYLE"}]}, "'STYLE' isn't supported"),
        ({"referenceImages": [REFERENCE], "image": IMAGE}, "cannot be used with"),
        ({"referenceImages": [REFERENCE], "prompt": ""}, "text prompt is missing"),
        ({"video": {"uri": f"{UPSTREAM}unknown:download"}}, "generated within the last 2 days"),
        ({"video": {}}, "generated within the last 2 days"),
        ({"video": {"encodedVideo": "AAAA", "encoding": "video/mp4"}}, "`encodedVideo` isn't supported"),
        ({"video": {"uri": "files/a", "encoding": "video/webm"}}, "encoding"),
        ({"video": {"uri": "files/a"}, "image": IMAGE}, "cannot be used together"),
    ],
)
async def test_a_wrong_instance_is_refused(call: Caller, more: dict[str, Any], fragment: str) -> None:
    assert fragment in refused(await start(call, more=more))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"instances": [{"prompt": "a"}, {"prompt": "b"}]},
        {"instances": [{"prompt": "a"}], "parameters": []},
        {"instances": [{"prompt": "a"}], "labels": {}},
        {"instances": [{"prompt": "a"}], "webhookConfig": []},
        {"instances": [{"prompt": "a"}], "webhookConfig": {"uris": "https://a"}},
        {"instances": [{"prompt": "a"}], "webhookConfig": {"url": "https://a"}},
    ],
)
async def test_a_wrong_body_is_refused(call: Caller, body: dict[str, Any]) -> None:
    refused(await send(call, body))


async def test_the_body_is_read_before_the_model_is_looked_up(call: Caller) -> None:
    path = f"{BASE}/models/veo-9:predictLongRunning"
    refused(await call("POST", path, raw=b"{", headers=KEY))
    refused(await call("POST", path, {}, headers=KEY), 404, "NOT_FOUND")


async def test_everything_documented_passes_and_is_shown_with_its_defaults(call: Caller) -> None:
    hooks = {"uris": ["https://a.example/hook"], "user_metadata": {"run": "7"}}
    body = {
        "instances": [{"prompt": "a fox"}],
        "parameters": {
            "aspectRatio": "9:16", "durationSeconds": "8", "resolution": "1080p", "negativePrompt": "text",
            "personGeneration": "allow_all", "sampleCount": 1, "seed": 7, "enhancePrompt": True,
        },
        "webhookConfig": hooks,
    }  # fmt: skip
    assert (await send(call, body)).status == 200
    assert (await send(call, {"instances": [{"prompt": "a fox"}]})).status == 200
    first, second = call.emulator.jobs()
    assert (first.request["durationSeconds"], first.request["seed"]) == (8, 7)
    assert (second.request["resolution"], second.request["generateAudio"], second.request["seed"]) == (
        "720p",
        True,
        None,
    )
    assert [(clip.width, clip.height, clip.seconds, clip.audio) for clip in call.clips] == [
        (1080, 1920, 8, True), (1280, 720, 8, True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "resolution", "seconds", "cost"),
    [
        ("veo-3.1-generate-preview", "4k", 8, 4_800_000),
        ("veo-3.1-fast-generate-preview", "1080p", 8, 960_000),
        ("veo-3.1-lite-generate-preview", "720p", 6, 300_000),
    ],
)
async def test_the_bill_is_that_of_a_video_with_sound(
    call: Caller, model: str, resolution: str, seconds: int, cost: int
) -> None:
    await start(call, model=model, resolution=resolution, durationSeconds=seconds)
    assert call.emulator.charged("key-a", door="gemini") == cost


async def test_lite_has_neither_references_nor_extension_nor_4k(call: Caller) -> None:
    lite = "veo-3.1-lite-generate-preview"
    told = refused(await start(call, model=lite, more={"referenceImages": [REFERENCE]}))
    assert told == "`referenceImages` isn't supported by this model."
    told = refused(await start(call, model=lite, more={"video": {"uri": "files/a"}}))
    assert told == "`video` isn't supported by this model."
    refused(await start(call, model=lite, resolution="4k"))
    assert (await start(call, model=lite, more={"image": IMAGE, "lastFrame": IMAGE})).status == 200


async def test_references_need_eight_seconds_below_4k(call: Caller) -> None:
    more = {"referenceImages": [REFERENCE] * 3}
    assert (await start(call, more=more, resolution="1080p", aspectRatio="9:16")).status == 200
    for parameters in ({"durationSeconds": 6}, {"resolution": "4k"}):
        assert "use case" in refused(await start(call, more=more, **parameters))


async def test_a_first_frame_starts_the_clip_with_or_without_a_prompt(call: Caller) -> None:
    assert (await start(call, "", more={"image": IMAGE}, durationSeconds=4)).status == 200
    assert call.clips[0].first_frame == placeholder(640, 360)
    assert call.emulator.jobs()[0].request["materials"] == ["image"]


async def test_an_extension_adds_seven_seconds_to_one_file_and_bills_those(call: Caller) -> None:
    source = await finished(call, await start(call, aspectRatio="9:16", durationSeconds=4, seed=5))
    charged = call.emulator.charged()
    extended = await finished(call, await extend(call, source, resolution="720p"))
    await finished(call, await extend(call, extended.partition("v1beta/")[2], durationSeconds=8))
    old, longer, longest = call.clips
    assert [clip.seconds for clip in call.clips] == [4, 11, 18]
    assert {(clip.width, clip.height, clip.model) for clip in call.clips} == {(720, 1280, MODEL)}
    assert longer.film == Film.of(old)  # the old part is seen again
    assert longest.film == Film.of(longer)
    assert (longer.prompt, longer.replayed) == ("on it goes", False)
    assert call.emulator.jobs()[1].request["durationSeconds"] == 7
    assert call.emulator.jobs()[1].request["aspectRatio"] == "9:16"
    assert call.emulator.charged() - charged == 2 * 7 * 400_000


async def test_an_extension_asks_for_a_kept_file_of_its_own_key_at_720p(call: Caller) -> None:
    large = await finished(call, await start(call, resolution="1080p"))
    assert "use case" in refused(await extend(call, large))
    small = await finished(call, await start(call))
    for parameters in ({"durationSeconds": 4}, {"resolution": "1080p"}):
        assert "use case" in refused(await extend(call, small, **parameters))
    assert "allow_adult" in refused(await extend(call, small, personGeneration="allow_adult"))
    body = {"instances": [{"video": {"uri": small}}]}
    assert "last 2 days" in refused(await send(call, body, **{"x-goog-api-key": "key-b"}))
    assert (await send(call, body)).status == 200
    await call.clock.sleep(2 * 86_400)
    assert "last 2 days" in refused(await send(call, body))


async def test_a_video_is_extended_up_to_148_seconds(call: Caller) -> None:
    uri = await finished(call, await start(call))
    for _ in range(20):
        uri = await finished(call, await extend(call, uri))
    assert call.clips[-1].seconds == 148
    assert "141 seconds" in refused(await extend(call, uri))


async def test_a_filtered_job_is_done_with_a_count_and_no_samples(call: Caller) -> None:
    for word, fault in (("safety_filtered", ""), ("filter_one", ""), ("a fox", "filtered")):
        started = await start(call, word, fault=fault)
        await call.clock.sleep(60)
        done = await poll(call, started)
        made = done["response"]["generateVideoResponse"]
        assert set(made) == {"raiMediaFilteredCount", "raiMediaFilteredReasons"}
        assert made["raiMediaFilteredCount"] == 1
        assert "error" not in done
    assert (call.emulator.count(), call.emulator.charged()) == (3, 0)


async def test_refusals_of_content_come_at_submit_or_in_the_operation(call: Caller) -> None:
    assert "Support codes:" in refused(await start(call, "input_blocked"))
    started = await start(call, "operation_error")
    await call.clock.sleep(60)
    done = await poll(call, started)
    assert (done["done"], done["error"]["code"]) == (True, 3)
    assert "response" not in done


async def test_faults_strike_start_poll_and_download(call: Caller) -> None:
    limited = await start(call, fault="submit=429")
    refused(limited, 429, "RESOURCE_EXHAUSTED")
    kinds = [detail["@type"].rpartition(".")[2] for detail in limited.error["details"]]
    assert kinds == ["QuotaFailure", "RetryInfo"]
    assert (await start(call, fault="submit=503*2")).status == 503
    call.emulator.fault("gemini", poll="503@2", download=500)
    started = await start(call)
    assert set(await poll(call, started)) == {"name"}
    assert (await call("GET", f"{BASE}/{started.json['name']}", headers=KEY)).status == 503
    uri = await finished(call, started)
    assert [(await call("GET", path_of(uri), headers=KEY)).status for _ in range(2)] == [500, 200]


async def test_a_job_whose_start_was_lost_runs_and_is_charged(call: Caller) -> None:
    assert (await start(call, fault="made=500")).status == 500
    await call.clock.sleep(60)
    (job,) = call.emulator.jobs(door="gemini")
    done = (await call("GET", f"{BASE}/{job.id}", headers=KEY)).json
    assert len(done["response"]["generateVideoResponse"]["generatedSamples"]) == 1
    assert call.emulator.charged() == 3_200_000


async def test_a_video_that_was_delivered_wrong_is_extended_as_ordered(call: Caller) -> None:
    wrong = await start(call, fault="deliver=size:320x240, deliver=seconds:2, deliver=frozen")
    assert (await extend(call, await finished(call, wrong))).status == 200
    assert call.clips[0].width == 320
    assert [(clip.width, clip.height, clip.seconds, clip.flaws) for clip in call.clips[1:]] == [(1280, 720, 15, ())]


async def test_a_job_may_end_without_video_and_without_reason(call: Caller) -> None:
    nothing = await start(call, "no_videos")
    await call.clock.sleep(60)
    assert (await poll(call, nothing))["response"]["generateVideoResponse"] == {}
    assert call.emulator.charged() == 0


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("720p"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = (
    "prompt", "image", "lastFrame", "video", "referenceImages", "bytesBase64Encoded", "mimeType", "uri", "encoding",
    "durationSeconds", "resolution", "sampleCount", "seed", "personGeneration", "referenceType", "uris",
)  # fmt: skip


@settings(max_examples=80, deadline=None, database=None)
@given(data=st.data())
def test_any_json_is_answered_in_googles_form(data: st.DataObject) -> None:
    inner = VALUES | st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4)
    nested = inner | st.lists(inner | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3), max_size=1)
    body = data.draw(st.dictionaries(st.sampled_from(["instances", "parameters", "webhookConfig"]), nested, max_size=3))
    call = caller()

    async def ask() -> None:
        answer = await call(
            "POST", f"{BASE}/models/{MODEL}:predictLongRunning", raw=json.dumps(body).encode(), headers=KEY
        )
        if answer.status != 200:
            refused(answer)
        assert call.emulator.count() == (answer.status == 200)

    asyncio.run(ask())
    call.emulator.close()
