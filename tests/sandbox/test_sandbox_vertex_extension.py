"""Veo on Vertex AI goes on with a video: from a bucket or from bytes, measured, and seven seconds longer."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from sandbox_calls import START, Answer, Caller, caller, picture

from multivideo.sandbox.render import Clip, Film, render

pytestmark = pytest.mark.anyio

LITE = START.replace("veo-3.1-", "veo-3.1-lite-")
IMAGE = {"bytesBase64Encoded": picture(640, 360), "mimeType": "image/png"}


@pytest.fixture
def call() -> Iterator[Caller]:
    made = caller()
    yield made
    made.emulator.close()


def film(width: int = 1280, height: int = 720, seconds: float = 1, fps: int = 24) -> bytes:
    clip = Clip(model="a", prompt="b", seed=0, width=width, height=height, seconds=seconds, fps=fps, audio=False)
    return render(clip)


def inline(data: bytes) -> dict[str, str]:
    return {"bytesBase64Encoded": base64.b64encode(data).decode(), "mimeType": "video/mp4"}


def stored(address: str) -> dict[str, str]:
    return {"gcsUri": address, "mimeType": "video/mp4"}


async def extend(call: Caller, video: object, prompt: str = "on it goes", **parameters: Any) -> Answer:
    return await call.veo(prompt, more={"video": video}, **parameters)


async def result(call: Caller, started: Answer) -> str:
    """The address of the one result of a job that writes into a bucket."""
    await call.clock.sleep(60)
    (video,) = (await call.operation(started)).json["response"]["videos"]
    return str(video["gcsUri"])


def refused(answer: Answer) -> str:
    assert (answer.status, answer.error["status"]) == (400, "INVALID_ARGUMENT"), answer.data[:300]
    return str(answer.error["message"])


async def test_a_result_in_a_bucket_grows_by_seven_seconds_up_to_37(call: Caller) -> None:
    bucket = {"storageUri": "gs://demo-out/run"}
    address = await result(call, await call.veo(aspectRatio="9:16", resolution="1080p", seed=4, **bucket))
    for _ in range(4):
        address = await result(call, await extend(call, stored(address), **bucket))
    assert [clip.seconds for clip in call.clips] == [8, 15, 22, 29, 36]
    assert {(clip.width, clip.height) for clip in call.clips} == {(1080, 1920)}
    assert [clip.film for clip in call.clips] == [None, *(Film.of(clip) for clip in call.clips[:-1])]
    assert "not between 1 and 30 seconds" in refused(await extend(call, stored(address)))
    last = call.emulator.jobs()[-1]
    assert (last.request["durationSeconds"], last.request["resolution"]) == (7, "1080p")
    assert (last.request["aspectRatio"], last.draft.prompt) == ("9:16", "on it goes")
    assert call.emulator.charged() == (8 + 4 * 7) * 400_000


async def test_a_result_can_be_extended_before_anybody_looked_at_its_operation(call: Caller) -> None:
    await call.veo(durationSeconds=4, storageUri="gs://demo-out/run")
    await call.clock.sleep(60)
    (item,) = (await call("GET", "/vertex/storage/v1/b/demo-out/o?prefix=run")).json["items"]
    assert (await extend(call, stored(f"gs://demo-out/{item['name']}"))).status == 200
    assert call.clips[1].seconds == 11


async def test_a_film_given_as_bytes_or_uploaded_begins_the_result(call: Caller) -> None:
    data = film(720, 1280, 2)
    assert (await extend(call, inline(data), "", sampleCount=2, generateAudio=False)).status == 200
    upload = "/vertex/upload/storage/v1/b/demo-in/o?uploadType=media&name=old.mp4"
    await call("POST", upload, raw=data)
    assert (await extend(call, stored("gs://demo-in/old.mp4"), durationSeconds=7)).status == 200
    assert [(clip.width, clip.height, clip.seconds, clip.audio) for clip in call.clips] == [
        (720, 1280, 9, False), (720, 1280, 9, False), (720, 1280, 9, True),
    ]  # fmt: skip
    assert [clip.film and clip.film.source for clip in call.clips] == [data] * 3
    assert call.clips[0].seed != call.clips[1].seed  # two samples go on differently
    assert call.emulator.charged() == 2 * 7 * 200_000 + 7 * 400_000


async def test_a_film_that_nobody_put_there_is_played_by_eight_seconds_of_dunes(call: Caller) -> None:
    assert (await extend(call, stored("gs://demo-in/none.mp4"))).status == 200
    assert (call.clips[0].seconds, call.clips[0].width) == (15, 1280)


async def test_a_result_that_was_delivered_wrong_is_extended_as_ordered(call: Caller) -> None:
    wrong = await call.veo(fault="deliver=size:320x240, deliver=seconds:2", storageUri="gs://demo-out/run")
    assert (await extend(call, stored(await result(call, wrong)))).status == 200
    assert [(clip.width, clip.seconds) for clip in call.clips] == [(320, 2), (1280, 15)]


async def test_a_sample_that_is_missing_was_not_filtered(call: Caller) -> None:
    started = await call.veo("filter_one", fault="deliver=missing_sample", sampleCount=3)
    await call.clock.sleep(60)
    response = (await call.operation(started)).json["response"]
    assert (len(response["videos"]), response["raiMediaFilteredCount"]) == (1, 1)
    started = await call.veo(fault="filtered=2, deliver=missing_sample", sampleCount=4)
    await call.clock.sleep(60)
    response = (await call.operation(started)).json["response"]
    assert (len(response["videos"]), response["raiMediaFilteredCount"]) == (1, 2)
    started = await call.veo("no_videos")
    await call.clock.sleep(60)
    response = (await call.operation(started)).json["response"]
    assert ("videos" in response, response["raiMediaFilteredCount"]) == (False, 0)


@pytest.mark.parametrize(
    ("shape", "fragment"),
    [
        ({"width": 640, "height": 360}, "640x360 is not supported"),
        ({"width": 960, "height": 720}, "960x720 is not supported"),
        ({"fps": 30}, "30 frames per second"),
        ({"seconds": 0.5}, "0.5 seconds are not between 1 and 30"),
        ({"seconds": 30.25}, "30.25 seconds are not between 1 and 30"),
    ],
)
async def test_a_film_of_another_kind_is_refused_by_what_was_measured(
    call: Caller, shape: dict[str, Any], fragment: str
) -> None:
    assert fragment in refused(await extend(call, inline(film(**shape))))


@pytest.mark.parametrize(
    "video",
    [
        "gs://a/b.mp4",
        {},
        {"mimeType": "video/mp4"},
        {"gcsUri": "gs://a/b.mp4"},
        {"gcsUri": "gs://a/b.mp4", "mimeType": "video/webm"},
        {"gcsUri": "https://a/b.mp4", "mimeType": "video/mp4"},
        {"bytesBase64Encoded": "!", "mimeType": "video/mp4"},
        {"bytesBase64Encoded": "aGk=", "mimeType": "video/mp4"},
        {"bytesBase64Encoded": IMAGE["bytesBase64Encoded"], "mimeType": "video/mp4"},
        {"bytesBase64Encoded": "aGk=", "gcsUri": "gs://a/b.mp4", "mimeType": "video/mp4"},
    ],
)
async def test_what_is_no_film_is_refused(call: Caller, video: object) -> None:
    refused(await extend(call, video))
    assert call.emulator.count() == 0


async def test_a_film_goes_with_no_picture_and_lite_with_no_4k(call: Caller) -> None:
    old = stored("gs://demo-in/none.mp4")
    for more, told in (
        ({"image": IMAGE}, "`image` and `video` cannot be used together."),
        ({"lastFrame": IMAGE}, "`lastFrame` requires `image`."),
        ({"referenceImages": [{"image": IMAGE}]}, "`referenceImages` cannot be used with"),
    ):
        assert refused(await call.veo(more={"video": old, **more})).startswith(told)
    body = {"instances": [{"prompt": "a", "video": inline(film(3840, 2160))}]}
    assert "use case" in refused(await call("POST", LITE, body))
    body = {"instances": [{"video": inline(film(1920, 1080))}]}
    assert (await call("POST", LITE, body)).status == 200
    assert call.emulator.charged() == 7 * 80_000
