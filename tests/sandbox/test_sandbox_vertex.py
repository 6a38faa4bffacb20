"""Google's door: Veo on Vertex AI, tokens and buckets."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from sandbox_calls import POLL, START, VEO, Answer, Caller, caller, picture

from multivideo.sandbox.render import placeholder

pytestmark = pytest.mark.anyio

IMAGE = {"bytesBase64Encoded": picture(640, 360), "mimeType": "image/png"}
LITE = START.replace("veo-3.1-", "veo-3.1-lite-")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def call() -> Iterator[Caller]:
    made = caller()
    yield made
    made.emulator.close()


def refused(answer: Answer, status: int = 400, name: str = "INVALID_ARGUMENT") -> str:
    """The message of a refusal with that status."""
    assert (answer.status, answer.error["code"], answer.error["status"]) == (status, status, name), answer.data[:300]
    return str(answer.error["message"])


def not_stored(answer: Answer, status: int, reason: str) -> None:
    """A refusal in the envelope of Cloud Storage, which is another than Vertex AI's."""
    [error] = answer.error["errors"]
    assert (answer.status, answer.error["code"], error["reason"]) == (status, status, reason)
    assert "status" not in answer.error


async def test_an_operation_is_pending_without_done_and_then_carries_the_file(call: Caller) -> None:
    started = await call.veo(durationSeconds=4)
    name = started.json["name"]
    assert set(started.json) == {"name"}
    assert name.startswith(
        "projects/demo/locations/us-central1/publishers/google/models/veo-3.1-generate-001/operations/"
    )
    assert len(name.rpartition("/")[2].split("-")) == 5
    assert (await call.operation(started)).json == {"name": name}
    await call.clock.sleep(60)
    done = (await call.operation(started)).json
    assert done["done"] is True
    response = done["response"]
    assert response["@type"] == "type.googleapis.com/cloud.ai.large_models.vision.GenerateVideoResponse"
    assert response["raiMediaFilteredCount"] == 0
    (video,) = response["videos"]
    assert video["mimeType"] == "video/mp4"
    assert base64.b64decode(video["bytesBase64Encoded"]).startswith(b"veo-3.1-generate-001 1280x720 24 True")
    assert call.emulator.charged("key-a") == 1_600_000


async def test_with_a_bucket_the_result_is_a_link_that_the_bucket_serves(call: Caller) -> None:
    started = await call.veo(sampleCount=2, storageUri="gs://demo-out/run 1")
    await call.clock.sleep(60)
    videos = (await call.operation(started)).json["response"]["videos"]
    assert [set(video) for video in videos] == [{"gcsUri", "mimeType"}] * 2
    assert videos == (await call.operation(started)).json["response"]["videos"]
    bucket, _, name = videos[1]["gcsUri"].removeprefix("gs://").partition("/")
    assert name.endswith("/sample_1.mp4")
    path = f"/vertex/storage/v1/b/{bucket}/o/{quote(name, safe='')}"
    file = await call("GET", f"{path}?alt=media")
    assert (file.status, file.reply.header("content-type")) == (200, "video/mp4")
    about = (await call("GET", path)).json
    assert (about["name"], about["size"]) == (name, str(len(file.data)))
    part = await call("GET", f"{path}?alt=media", headers={"Range": "bytes=0-1"})
    assert (part.status, part.data) == (206, file.data[:2])
    not_stored(await call("GET", f"/vertex/storage/v1/b/{bucket}/o/none?alt=media"), 404, "notFound")
    call.key = None
    not_stored(await call("GET", f"{path}?alt=media"), 401, "required")


async def test_a_bucket_lists_results_once_they_are_made_though_nobody_asked(call: Caller) -> None:
    await call.veo(sampleCount=2, storageUri="gs://demo-out/mine")
    listing = "/vertex/storage/v1/b/demo-out/o?prefix=mine/"
    assert "items" not in (await call("GET", listing)).json
    await call.clock.sleep(60)
    names = [item["name"] for item in (await call("GET", listing)).json["items"]]
    assert [name.rpartition("/")[2] for name in names] == ["sample_0.mp4", "sample_1.mp4"]
    assert all(name.startswith("mine/") for name in names)
    assert "items" not in (await call("GET", "/vertex/storage/v1/b/demo-out/o?prefix=others/")).json


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
@pytest.mark.parametrize(
    "model",
    [f"veo-3.1-{tier}generate-{end}" for tier in ("", "fast-", "lite-") for end in ("001", "preview")],
)
async def test_all_models_are_served_under_both_versions(call: Caller, version: str, model: str) -> None:
    path = START.replace("/v1/", f"/{version}/").replace("veo-3.1-generate-001", model)
    body = {"instances": [{"prompt": "a fox"}]}
    started = await call("POST", path, body)
    assert f"/models/{model}/operations/" in started.json["name"]
    encoded = await call("POST", path.replace(":", "%3A"), body)
    assert encoded.status == 200


@pytest.mark.parametrize("key", [None, "bad-key"])
async def test_a_bearer_token_is_required(call: Caller, key: str | None) -> None:
    call.key = key
    refused(await call.veo(), 401, "UNAUTHENTICATED")
    refused(await call("POST", START, raw=b"{"), 401, "UNAUTHENTICATED")
    call.key = None
    refused(await call("POST", START, {}, headers={"x-goog-api-key": "k"}), 401, "UNAUTHENTICATED")


async def test_paths_regions_and_models_that_are_not_there(call: Caller) -> None:
    body = {"instances": [{"prompt": "a fox"}]}
    for path in (
        START.replace("us-central1", "global"),
        START.replace("us-central1", "europe-west4"),
        START.replace("3.1", "2.0"),
    ):
        assert "was not found or your project does not have access" in refused(
            await call("POST", path, body), 404, "NOT_FOUND"
        )
    refused(await call("POST", f"{VEO}:predict", body), 404, "NOT_FOUND")
    refused(await call("GET", f"{VEO}/operations/1"), 404, "NOT_FOUND")
    refused(await call("POST", "/vertex/v1/publishers/google/models/veo-3.1-generate-001:predictLongRunning", body))
    for raw in (b"", b"{", b"[]"):
        refused(await call("POST", START, raw=raw))


async def test_an_operation_is_asked_of_its_own_model(call: Caller) -> None:
    started = await call.veo()
    asked = {"operationName": started.json["name"]}
    refused(await call("POST", POLL.replace("veo-3.1-", "veo-3.1-fast-"), asked))
    refused(await call("POST", POLL.replace("us-central1", "us-east1"), asked), 404, "NOT_FOUND")
    refused(await call("POST", POLL, {}))
    refused(await call("POST", POLL, {"operationName": started.json["name"] + "0"}), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("parameters", "fragment"),
    [
        ({"durationSeconds": 5}, "The number value for `durationSeconds` is out of bound"),
        ({"durationSeconds": 7}, "between 4 and 8"),
        ({"durationSeconds": "8"}, "durationSeconds"),
        ({"durationSeconds": True}, "durationSeconds"),
        ({"durationSeconds": 4, "resolution": "1080p"}, "1080p is not supported for a duration of 4 seconds."),
        ({"durationSeconds": 6, "resolution": "4k"}, "4k is not supported for a duration of 6 seconds."),
        ({"resolution": "480p"}, "`resolution`"),
        ({"resolution": 720}, "`resolution`"),
        ({"aspectRatio": "1:1"}, "`aspectRatio`"),
        ({"sampleCount": 0}, "`sampleCount`"),
        ({"sampleCount": 5}, "`sampleCount`"),
        ({"sampleCount": 1.5}, "`sampleCount`"),
        ({"seed": -1}, "`seed`"),
        ({"seed": 2**32}, "`seed`"),
        ({"generateAudio": "true"}, "generateAudio"),
        ({"enhancePrompt": False}, "cannot be disabled"),
        ({"personGeneration": "anyone"}, "anyone for personGeneration is currently not supported."),
        ({"negativePrompt": 3}, "negativePrompt"),
        ({"storageUri": "s3://a/b"}, "Cloud Storage"),
        ({"storageUri": 1}, "storageUri"),
        ({"compressionQuality": "best"}, "compressionQuality"),
        ({"resizeMode": "stretch"}, "resizeMode"),
        ({"fps": 30}, "fps"),
    ],
)
async def test_a_wrong_parameter_is_refused(call: Caller, parameters: dict[str, Any], fragment: str) -> None:
    assert fragment in refused(await call.veo(**parameters))
    assert call.emulator.count() == 0


async def test_unknown_parameters_and_both_spellings_of_an_enum_pass(call: Caller) -> None:
    answer = await call.veo(
        duration_seconds=5, numberOfVideos=3, resizeMode="CROP", compressionQuality="OPTIMIZED", fps=24,
        personGeneration="dont_allow", enhancePrompt=True, durationSeconds=8.0, seed=0,
    )  # fmt: skip
    assert answer.status == 200
    assert call.emulator.jobs()[0].request["durationSeconds"] == 8


@pytest.mark.parametrize(
    "more",
    [
        {"prompt": ""},
        {"prompt": 5},
        {"lastFrame": IMAGE},
        {"image": IMAGE, "video": {"gcsUri": "gs://a/b.mp4", "mimeType": "video/mp4"}},
        {"image": "aGk="},
        {"image": {"mimeType": "image/png"}},
        {"image": {**IMAGE, "gcsUri": "gs://a/b.png"}},
        {"image": {**IMAGE, "mimeType": "image/webp"}},
        {"image": {"bytesBase64Encoded": IMAGE["bytesBase64Encoded"]}},
        {"image": {**IMAGE, "bytesBase64Encoded": "iVBORw0KGgo="}},
        {"image": {"gcsUri": "https://a/b.png", "mimeType": "image/png"}},
        {"image": IMAGE, "lastFrame": {"mimeType": "image/png"}},
        {"referenceImages": {}},
        {"referenceImages": [{"image": IMAGE}]},
        {"referenceImages": [{"referenceType": "asset"}]},
        {"referenceImages": [{"image": IMAGE, "referenceType": "style"}]},
        {"referenceImages": [{"image": IMAGE, "referenceType": "asset"}] * 4},
        {"referenceImages": [{"image": IMAGE, "referenceType": "asset"}], "image": IMAGE},
        {"referenceImages": [{"image": IMAGE, "referenceType": "asset"}], "prompt": ""},
        {"mask": {}},
        {"cameraControl": "fixed"},
    ],
)
async def test_a_wrong_instance_is_refused(call: Caller, more: dict[str, Any]) -> None:
    refused(await call.veo(more=more))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"instances": []},
        {"instances": [{"prompt": "a"}, {"prompt": "b"}]},
        {"instances": ["a"]},
        {"instances": [{"prompt": "a"}], "parameters": []},
        {"instances": [{"prompt": "a"}], "labels": []},
        {"instances": [{"prompt": "a"}], "labels": {"Team": "x"}},
        {"instances": [{"prompt": "a"}], "labels": {"team": "a b"}},
        {"instances": [{"prompt": "a"}], "labels": {"team": "x" * 64}},
        {"instances": [{"prompt": "a"}], "labels": {"team": 1}},
    ],
)
async def test_a_wrong_body_is_refused(call: Caller, body: dict[str, Any]) -> None:
    refused(await call("POST", START, body))


async def test_references_need_eight_seconds_and_are_not_for_lite(call: Caller) -> None:
    more = {"referenceImages": [{"image": IMAGE, "referenceType": "ASSET"}]}
    assert (await call.veo(more=more)).status == 200
    assert "use case" in refused(await call.veo(more=more, durationSeconds=6))
    body = {"instances": [{"prompt": "a fox", **more}]}
    assert "isn't supported by this model" in refused(await call("POST", LITE, body))
    refused(await call("POST", LITE, {"instances": [{"prompt": "a"}], "parameters": {"resolution": "4k"}}))


async def test_pictures_start_the_clip_from_bytes_bucket_or_a_stand_in(call: Caller) -> None:
    assert (await call.veo("", more={"image": IMAGE, "lastFrame": IMAGE})).status == 200
    upload = "/vertex/upload/storage/v1/b/demo-in/o?uploadType=media&name=first.png"
    assert (await call("POST", upload, raw=placeholder(320, 200))).status == 200
    for name in ("first.png", "nobody-put-it-here.png"):
        image = {"gcsUri": f"gs://demo-in/{name}", "mimeType": "image/png"}
        assert (await call.veo(name, more={"image": image})).status == 200
    assert [clip.first_frame for clip in call.clips] == [
        placeholder(640, 360), placeholder(320, 200), placeholder(1280, 720),
    ]  # fmt: skip
    not_stored(await call("POST", "/vertex/upload/storage/v1/b/demo-in/o?name=x", raw=b"x"), 400, "invalid")


@pytest.mark.parametrize(
    ("parameters", "size", "cost"),
    [
        ({}, (1280, 720), 3_200_000),
        ({"aspectRatio": "9:16", "generateAudio": False}, (720, 1280), 1_600_000),
        ({"resolution": "1080p", "sampleCount": 2}, (1920, 1080), 6_400_000),
        ({"resolution": "4k", "aspectRatio": "9:16"}, (2160, 3840), 4_800_000),
    ],
)
async def test_size_sound_and_bill_follow_the_parameters(
    call: Caller, parameters: dict[str, Any], size: tuple[int, int], cost: int
) -> None:
    await call.veo(seed=7, **parameters)
    clip = call.clips[0]
    assert (clip.width, clip.height, clip.fps, clip.seconds) == (*size, 24, 8)
    assert clip.audio is parameters.get("generateAudio", True)
    assert {clip.seed for clip in call.clips} == set(range(7, 7 + parameters.get("sampleCount", 1)))
    assert call.emulator.charged() == cost


async def test_a_filtered_job_is_done_without_error_and_without_videos(call: Caller) -> None:
    started = await call.veo("SAFETY_filtered", sampleCount=2)
    await call.clock.sleep(60)
    done = (await call.operation(started)).json
    assert "error" not in done
    assert "videos" not in done["response"]
    assert done["response"]["raiMediaFilteredCount"] == 2
    assert "Support codes: 42237218" in done["response"]["raiMediaFilteredReasons"][0]
    assert (call.emulator.count(), call.emulator.charged()) == (1, 0)


async def test_one_sample_of_several_can_be_filtered(call: Caller) -> None:
    started = await call.veo("filter_one", sampleCount=3)
    await call.clock.sleep(60)
    response = (await call.operation(started)).json["response"]
    assert (len(response["videos"]), response["raiMediaFilteredCount"]) == (2, 1)
    assert call.emulator.charged() == 2 * 8 * 400_000


async def test_refusals_of_content_come_at_submit_or_in_the_operation(call: Caller) -> None:
    assert "Support codes:" in refused(await call.veo("input_blocked"))
    started = await call.veo("operation_error")
    await call.clock.sleep(60)
    done = (await call.operation(started)).json
    assert (done["done"], done["error"]["code"]) == (True, 3)
    assert "Support codes:" in done["error"]["message"]
    assert "response" not in done


async def test_a_picture_that_cannot_be_decoded_is_an_internal_error_of_the_operation() -> None:
    def render(clip: object) -> bytes:
        raise ValueError("no picture")

    call = caller(render=render)
    started = await call.veo()
    await call.clock.sleep(60)
    assert (await call.operation(started)).json["error"]["code"] == 13
    call.emulator.close()


def jwt(head: object, claims: object) -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (head, claims)]
    return ".".join([*parts, "c2lnbmF0dXJl"])


CLAIMS = {"iss": "robot@demo", "scope": "s", "aud": "https://oauth2.googleapis.com/token", "iat": 1, "exp": 3601}


async def grant(call: Caller, **form: str) -> Answer:
    return await call("POST", "/vertex/token", raw=urlencode(form).encode(), headers=FORM)


async def test_a_service_account_grant_gives_a_token_that_works_for_an_hour(call: Caller) -> None:
    kind = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    given = (await grant(call, grant_type=kind, assertion=jwt({"alg": "RS256", "typ": "JWT"}, CLAIMS))).json
    assert (given["token_type"], given["expires_in"]) == ("Bearer", 3599)
    call.key = given["access_token"]
    assert (await call.veo()).status == 200
    assert call.emulator.count("robot@demo") == 1
    await call.clock.sleep(3600)
    refused(await call.veo(), 401, "UNAUTHENTICATED")


async def test_a_refresh_token_grant_gives_a_token(call: Caller) -> None:
    given = await grant(call, grant_type="refresh_token", client_id="c", client_secret="s", refresh_token="r")
    call.key = given.json["access_token"]
    assert (await call.veo()).status == 200
    assert call.emulator.count("r") == 1


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"grant_type": "password"},
        {"grant_type": "refresh_token", "client_id": "c"},
        {"grant_type": "refresh_token", "client_id": "c", "client_secret": "s", "refresh_token": "bad-key"},
        {"assertion": "a.b"},
        {"assertion": "a.b.c"},
        {"assertion": jwt([], [])},
        {"assertion": jwt({"alg": "HS256"}, CLAIMS)},
        {"assertion": jwt({"alg": "RS256"}, {**CLAIMS, "exp": None})},
    ],
)
async def test_a_malformed_grant_is_refused(call: Caller, form: dict[str, str]) -> None:
    kind = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}
    answer = await grant(call, **{**(kind if "assertion" in form else {}), **form})
    known = "assertion" in form or form.get("grant_type") == "refresh_token"
    assert (answer.status, answer.json["error"]) == (400, "invalid_grant" if known else "unsupported_grant_type")
