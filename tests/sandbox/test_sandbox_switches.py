"""In which form OpenAI's door takes an `input_reference`: a switch of the emulator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sandbox_calls import Answer, Caller, caller

from multivideo.sandbox import Emulator
from multivideo.sandbox.render import placeholder

pytestmark = pytest.mark.anyio

FORM = {"Content-Type": "multipart/form-data; boundary=cut"}
OBJECT = {"image_url": "https://media.example.org/a.png"}


@pytest.fixture
def call() -> Iterator[Caller]:
    made = caller()
    yield made
    made.emulator.close()


def part(name: str, value: bytes, more: str = "") -> bytes:
    return f'--cut\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"


async def as_file(call: Caller) -> Answer:
    picture = part("input_reference", placeholder(720, 1280), '; filename="a.png"\r\nContent-Type: image/png')
    raw = part("prompt", b"a fox") + picture + b"--cut--\r\n"
    return await call("POST", "/openai/v1/videos", raw=raw, headers=FORM)


async def as_bracketed_form(call: Caller) -> Answer:
    raw = part("prompt", b"a fox") + part("input_reference[image_url]", OBJECT["image_url"].encode()) + b"--cut--\r\n"
    return await call("POST", "/openai/v1/videos", raw=raw, headers=FORM)


async def as_object(call: Caller, given: object = OBJECT) -> Answer:
    return await call.openai(input_reference=given)


def refusal(answer: Answer) -> tuple[int, str, str, str]:
    error = answer.error
    return answer.status, error["code"], error["param"], error["message"]


NO_OBJECT = (400, "invalid_type", "input_reference")
TOLD = "Invalid type for 'input_reference': expected {}, but got {} instead."


async def test_both_forms_pass_unless_told_otherwise(call: Caller) -> None:
    for answer in (await as_file(call), await as_object(call), await as_bracketed_form(call)):
        assert answer.status == 200
    assert all(clip.first_frame == placeholder(720, 1280) for clip in call.clips)
    assert refusal(await as_object(call, "https://a.example/a.png")) == (
        *NO_OBJECT, TOLD.format("an object", "a string"),
    )  # fmt: skip


async def test_files_only() -> None:
    call = caller(input_reference="file_only")
    assert (await as_file(call)).status == 200
    for answer in (await as_object(call), await as_bracketed_form(call), await as_object(call, {"file_id": "file-1"})):
        assert refusal(answer) == (*NO_OBJECT, TOLD.format("a file", "an object"))
    assert refusal(await as_object(call, "a.png")) == (*NO_OBJECT, TOLD.format("a file", "a string"))
    assert call.emulator.count() == 1
    assert (await call.openai()).status == 200


async def test_objects_only() -> None:
    call = caller(input_reference="object_only")
    for good in (await as_object(call), await as_bracketed_form(call), await as_object(call, {"file_id": "file-1"})):
        assert good.status == 200
    assert refusal(await as_file(call)) == (*NO_OBJECT, TOLD.format("an object", "a file"))


async def test_the_form_is_switched_while_the_emulator_runs(call: Caller) -> None:
    async def switch(**words: Any) -> Answer:
        return await call("POST", "/_emu/switches", words)

    assert (await switch(input_reference="object_only")).json == {"input_reference": "object_only"}
    assert (await as_file(call)).status == 400
    call.emulator.switch(input_reference="file_only")
    assert [(await as_file(call)).status, (await as_object(call)).status] == [200, 400]
    for wrong in ({"input_reference": "neither"}, {"another": "both"}, {"__class__": "both"}, {"input_reference": 1}):
        assert (await switch(**wrong)).status == 400
    assert (await switch()).json == {"input_reference": "file_only"}


def test_a_form_that_is_none_is_told_at_once() -> None:
    with pytest.raises(ValueError, match="input_reference"):
        Emulator(input_reference="neither")  # type: ignore[arg-type] # what a caller may type
    with pytest.raises(ValueError, match="no switch 'speed'"):
        Emulator().switch(speed=2)
