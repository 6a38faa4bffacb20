"""What foreign clients send and expect beyond the ordinary: methods, forms, numbers, ranges, many jobs at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from sandbox_calls import START, Answer, Caller, caller

from multivideo.clock import SystemClock
from multivideo.sandbox.pool import RenderPool
from multivideo.sandbox.render import STOP, Clip, placeholder, render

pytestmark = pytest.mark.anyio

VIDEOS = "/openai/v1/videos"
DEEP = "[" * 500 + "]" * 500


@pytest.fixture
def call() -> Iterator[Caller]:
    made = caller()
    yield made
    made.emulator.close()


def wrong(answer: Answer) -> tuple[int, str | None, str | None]:
    """Status, code and param of an OpenAI refusal."""
    return answer.status, answer.error["code"], answer.error["param"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", ""), ("DELETE", ""), ("OPTIONS", ""), ("POST", "/video_1"), ("PATCH", "/video_1/content")],
)
async def test_a_method_that_a_path_has_not_is_405_and_named(call: Caller, method: str, path: str) -> None:
    answer = await call(method, VIDEOS + path)
    assert answer.status == 405
    assert answer.error["message"].startswith(f"Not allowed to {method} on /v1/videos{path}. (HINT:")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_trailing_slash_is_another_path(call: Caller, method: str) -> None:
    answer = await call(method, f"{VIDEOS}/", {"prompt": "a fox"})
    assert (answer.status, answer.error["message"]) == (404, f"Invalid URL ({method} /v1/videos/)")


async def test_a_limit_below_zero_and_above_a_hundred_are_told_apart(call: Caller) -> None:
    assert wrong(await call("GET", f"{VIDEOS}?limit=-1")) == (400, "integer_below_min_value", "limit")
    assert wrong(await call("GET", f"{VIDEOS}?limit=101")) == (400, "integer_above_max_value", "limit")
    assert wrong(await call("GET", f"{VIDEOS}?limit=1.5")) == (400, "invalid_type", "limit")


async def test_an_empty_after_is_the_first_page(call: Caller) -> None:
    made = (await call.openai()).json["id"]
    assert (await call("GET", f"{VIDEOS}?after=")).json["first_id"] == made


async def test_a_urlencoded_form_is_decoded(call: Caller) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    made = await call("POST", VIDEOS, raw=b"prompt=a+f%C3%BCchs%21&seconds=8", headers=kind)
    assert (made.json["prompt"], made.json["seconds"]) == ("a füchs!", "8")


async def test_half_a_form_makes_no_job(call: Caller) -> None:
    form = b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\na fox\r\n--b--\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    assert (await call("POST", VIDEOS, raw=form[:-6], headers=kind)).status == 400
    assert (await call("POST", VIDEOS, raw=b"", headers=kind)).status == 400
    assert call.emulator.count() == 0
    assert (await call("POST", VIDEOS, raw=form, headers=kind)).status == 200


async def test_another_content_type_is_refused_by_its_code(call: Caller) -> None:
    answer = await call("POST", VIDEOS, {"prompt": "a fox"}, headers={"Content-Type": "text/plain"})
    assert wrong(answer) == (400, "unsupported_content_type", None)


async def test_types_are_checked_before_the_model_and_references_after_it(call: Caller) -> None:
    assert wrong(await call.openai(model="sora", input_reference="x"))[2] == "input_reference"
    assert wrong(await call.openai(model="sora", characters=[1]))[2] == "characters[0]"
    assert wrong(await call.openai(model="sora", characters=[{"id": "char_1"}])) == (404, "model_not_found", "model")
    assert wrong(await call.openai(seconds="5", characters=[{"id": "char_1"}]))[2] == "seconds"


async def test_a_range_holds_without_a_validator_and_with_that_of_the_file(call: Caller) -> None:
    path = f"{VIDEOS}/{(await call.openai()).json['id']}/content"
    await call.clock.sleep(60)
    part = await call("GET", path, headers={"Range": "Bytes=0-4"})
    assert (part.status, len(part.data)) == (206, 5)
    whole = await call("GET", path, headers={"Range": "bytes=0-4", "If-Range": '"of-another-day"'})
    etag = part.reply.header("etag") or ""
    same = await call("GET", path, headers={"Range": "bytes=0-4", "If-Range": etag})
    assert (same.status, same.data, same.reply.header("etag")) == (206, part.data, etag)
    assert (whole.status, len(whole.data)) == (200, int(part.reply.header("content-range").rpartition("/")[2]))  # type: ignore[union-attr]


async def test_whole_numbers_of_google_may_be_written_as_decimals(call: Caller) -> None:
    assert (await call.veo(sampleCount=2.0, seed=7.0, durationSeconds=8.0)).status == 200
    assert [clip.seed for clip in call.clips] == [7, 8]
    assert call.emulator.jobs()[0].request["seed"] == 7
    assert (await call.veo(durationSeconds=4.0, resolution="4k")).error["message"].endswith("duration of 4 seconds.")


async def test_a_trigger_word_in_the_negative_prompt_triggers_nothing(call: Caller) -> None:
    started = await call.veo(negativePrompt="input_blocked, operation_error, safety_filtered")
    await call.clock.sleep(60)
    assert len((await call.operation(started)).json["response"]["videos"]) == 1


async def test_wrong_values_are_told_as_they_were_sent(call: Caller) -> None:
    for value, told in ((None, "null"), (True, "true"), (720, "720"), (json.loads(DEEP), "an array")):
        assert f"'{told}'" in (await call.veo(resolution=value)).error["message"]
    assert "'true'" in (await call.kling(settings={"audio": True})).json["message"]


async def test_what_is_kept_of_an_order_can_be_shown_however_deep_it_was(call: Caller) -> None:
    body = b'{"contents":[{"type":"prompt","text":"a fox","note":%s}]}' % DEEP.encode()
    assert (await call("POST", "/kling/omni-video/kling-3.0-omni", raw=body)).status == 200
    (job,) = (await call("GET", "/_emu/jobs")).json["jobs"]
    assert job["request"]["contents"] == [{"type": "prompt", "text": "a fox"}]


async def test_an_api_key_gets_no_further_than_the_resource_on_the_express_path(call: Caller) -> None:
    path = "/vertex/v1beta1/publishers/google/models/veo-3.1-generate-001:predictLongRunning"
    call.key = None
    refused = await call("POST", path, {}, headers={"x-goog-api-key": "k"})
    assert (refused.status, refused.error["message"]) == (400, "Invalid resource field value in the request.")
    assert (await call("POST", path, {})).status == 401


async def test_the_paths_of_googles_own_storage_client_are_served(call: Caller) -> None:
    png = placeholder(640, 360)
    about = b'--==b==\r\ncontent-type: application/json\r\n\r\n{"name": "in/a b.png"}\r\n'
    body = about + b"--==b==\r\ncontent-type: image/png\r\n\r\n" + png + b"\r\n--==b==--"
    kind = {"Content-Type": 'multipart/related; boundary="==b=="'}
    upload = "/vertex/upload/storage/v1/b/demo/o?uploadType=multipart"
    made = await call("POST", upload, raw=body, headers=kind)
    assert (made.json["name"], made.json["size"]) == ("in/a b.png", str(len(png)))
    stored = f"/storage/v1/b/demo/o/{quote('in/a b.png', safe='')}?alt=media"
    for path in (f"/vertex{stored}", f"/vertex/download{stored}"):
        assert (await call("GET", path)).data == png
    await call("POST", START, {"instances": [{"image": {"gcsUri": "gs://demo/in/a b.png", "mimeType": "image/png"}}]})
    assert call.clips[0].first_frame == png
    for raw in (b"", body[:80], body.replace(b'"name"', b'"none"')):
        assert (await call("POST", upload, raw=raw, headers=kind)).status == 400


def clip(prompt: str, first_frame: bytes | None = None) -> Clip:
    return Clip(
        model="sora-2", prompt=prompt, seed=3, width=1280, height=720, seconds=4, fps=30, audio=True,
        first_frame=first_frame,
    )  # fmt: skip


def test_orders_that_would_be_late_share_a_plain_file() -> None:
    go = threading.Event()

    def slow(clip: Clip) -> bytes:
        go.wait(10)
        return clip.prompt.encode()

    pool = RenderPool(SystemClock(), slow, pace=1e-6)
    started = [pool.start(clip(f"fox {number}"), within=1) for number in range(140)]
    assert [item.clip.prompt for item in started[:100]] == [f"fox {number}" for number in range(100)]
    assert {(item.clip.prompt, item.clip.seed) for item in started[100:]} == {("", 0)}
    assert len({id(item) for item in started}) == 101
    assert pool.start(clip("she turns", placeholder(64, 36)), within=1).clip.prompt == "she turns"
    assert pool.start(clip("in no hurry"), within=1e9).clip.prompt == "in no hurry"
    go.set()
    pool.close()


def test_closing_gives_up_the_file_under_way() -> None:
    begun = threading.Event()

    def patient(clip: Clip) -> bytes:
        begun.set()
        stop = STOP.get()
        assert stop is not None
        assert stop.wait(10)
        raise InterruptedError("closed")

    pool = RenderPool(SystemClock(), patient)
    rendering = pool.start(clip("a fox"))
    assert begun.wait(10)
    pool.close()
    assert rendering.error == "closed"


def test_the_renderer_stops_when_it_is_told() -> None:
    stop = threading.Event()
    stop.set()
    token = STOP.set(stop)
    try:
        with pytest.raises(InterruptedError):
            render(clip("a fox"))
    finally:
        STOP.reset(token)
