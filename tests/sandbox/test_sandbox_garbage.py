"""Whatever is thrown at a door, it answers in its vendor's form and makes no job of nonsense."""

from __future__ import annotations

import asyncio
import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox_calls import START, caller

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("1280x720"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = {
    "/openai/v1/videos": ("prompt", "model", "seconds", "size", "input_reference", "characters"),
    "/kling/text-to-video/kling-3.0": ("prompt", "settings", "options"),
    "/kling/image-to-video/kling-3.0": ("contents", "settings", "options"),
    "/kling/tasks": ("limit", "start_time", "end_time", "cursor", "filters"),
    START: ("instances", "parameters", "labels"),
    "/_emu/faults": ("door", "fault"),
}
INNER = (
    "duration", "resolution", "audio", "multi_shot", "type", "url", "text", "id", "image_url", "image", "prompt", "key",
    "durationSeconds", "sampleCount", "generateAudio", "personGeneration", "storageUri", "resizeMode", "fps", "values",
    "referenceImages", "lastFrame", "bytesBase64Encoded", "gcsUri", "mimeType", "watermark_info", "external_task_id",
)  # fmt: skip

# Right orders, of which one value at a time is replaced.
RIGHT: dict[str, dict[str, object]] = {
    "/openai/v1/videos": {
        "prompt": "a fox", "model": "sora-2", "seconds": "8", "size": "1280x720",
        "input_reference": {"image_url": "https://media.example/a.png"},
    },
    "/kling/text-to-video/kling-3.0": {
        "prompt": "a fox",
        "settings": {"multi_shot": False, "audio": "native", "resolution": "4k", "aspect_ratio": "1:1", "duration": 8},
        "options": {"external_task_id": "mv-1", "callback_url": "", "watermark_info": {"enabled": True}},
    },
    "/kling/image-to-video/kling-3.0": {
        "contents": [
            {"type": "prompt", "text": "she turns"}, {"type": "first_frame", "url": "https://media.example/a.png"},
            {"type": "element", "element_id": "829836802793406551", "id": "Mara"},
        ],
        "settings": {"audio": "off", "resolution": "720p", "duration": 5},
    },
    "/kling/tasks": {
        "start_time": "1", "end_time": 9, "limit": 5, "filters": [{"key": "status", "values": ["failed"]}],
    },
    START: {
        "instances": [
            {"prompt": "a fox", "image": {"gcsUri": "gs://demo/a.png", "mimeType": "image/png"}},
        ],
        "parameters": {
            "sampleCount": 2, "durationSeconds": 8, "aspectRatio": "9:16", "resolution": "1080p", "seed": 3, "fps": 24,
            "generateAudio": True, "personGeneration": "allow_adult", "storageUri": "gs://demo/o", "resizeMode": "pad",
            "enhancePrompt": True, "negativePrompt": "text", "compressionQuality": "optimized",
        },
        "labels": {"team": "a"},
    },
    "/_emu/faults": {"door": "openai", "fault": {"poll": {"value": 503, "first": 1, "times": 2, "body": "x"}}},
}  # fmt: skip


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place inside a JSON value, the outermost left out."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [path] if path else []
    for key, item in inner:
        found += places(item, (*path, key))
    return found


@pytest.mark.parametrize("path", sorted(RIGHT))
@settings(max_examples=80, deadline=None, database=None)
@given(data=st.data())
def test_one_wrong_value_in_a_right_order_is_answered(path: str, data: st.DataObject) -> None:
    body: Any = copy.deepcopy(RIGHT[path])
    *way, last = data.draw(st.sampled_from(places(body)))
    inner = body
    for step in way:
        inner = inner[step]
    inner[last] = data.draw(VALUES)
    call = caller()

    async def ask() -> None:
        assert (await call("POST", path, RIGHT[path])).status == 200
        call.key = "key-b"
        assert (await call("POST", path, raw=json.dumps(body).encode())).status in (200, 400, 404)
        assert (await call("GET", "/_emu/jobs")).status == 200

    asyncio.run(ask())
    call.emulator.close()


def bodies(path: str) -> st.SearchStrategy[dict[str, object]]:
    inner = VALUES | st.dictionaries(st.sampled_from(INNER), VALUES, max_size=4)
    nested = inner | st.lists(inner, max_size=2)
    return st.dictionaries(st.sampled_from(NAMES[path]), nested, max_size=4)


@pytest.mark.parametrize("path", sorted(NAMES))
@settings(max_examples=60, deadline=None, database=None)
@given(data=st.data())
def test_any_json_is_answered(path: str, data: st.DataObject) -> None:
    body = data.draw(bodies(path))
    call = caller()

    async def ask() -> None:
        answer = await call("POST", path, raw=json.dumps(body).encode())
        assert answer.status in (200, 400, 404)
        assert json.loads(answer.data)
        assert (answer.status == 200) or call.emulator.count() == 0

    asyncio.run(ask())
    call.emulator.close()


STARTS = ("/openai/v1/videos", "/kling", "/kling/tasks", "/kling/files", "/vertex", "/vertex/token", "")
KINDS = ("application/json", "multipart/form-data; boundary=x", "multipart/form-data", "", "text/html")


@settings(max_examples=80, deadline=None, database=None)
@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT", "HEAD"]),
    start=st.sampled_from(
        ["/openai/v1/videos", "/kling", "/kling/tasks", "/kling/files", "/vertex", "/vertex/token", ""]
    ),
    tail=st.text(st.characters(codec="ascii"), max_size=20),
    raw=st.binary(max_size=50),
    kind=st.sampled_from(
        ["application/json", "multipart/form-data; boundary=x", "multipart/form-data", "", "text/html"]
    ),
)
def test_any_call_is_answered(method: str, start: str, tail: str, raw: bytes, kind: str) -> None:
    call = caller()

    async def ask() -> None:
        answer = await call(method, start + "/" + tail, raw=raw, headers={"Content-Type": kind, "Range": tail})
        assert 200 <= answer.status < 500
        assert call.emulator.count() == 0

    asyncio.run(ask())
    call.emulator.close()
