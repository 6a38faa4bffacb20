"""Kling's account: what is left of the pack, and what each task took from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sandbox_calls import Answer, Caller, caller

pytestmark = pytest.mark.anyio

BILLING = "/kling/account/billing"
START = 1785542400  # where a virtual clock begins
ALWAYS = {"start_time": str(START * 1000), "end_time": (START + 86_400) * 1000}


@pytest.fixture
def call() -> Iterator[Caller]:
    made = caller(kling_units=100)
    yield made
    made.emulator.close()


async def billing(call: Caller, purse: str = "package", **body: object) -> Answer:
    return await call("POST", f"{BILLING}/{purse}", {**ALWAYS, **body})


async def rows(call: Caller, **body: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await billing(call, **body)).json["data"]["result"]["detail"]
    return found


async def three_tasks(call: Caller) -> list[str]:
    """Ids of two that succeeded, an hour apart, and of one that failed."""
    base = {"type": "base_video", "url": "https://media.example.org/a.mp4?seconds=4"}
    body = {"contents": [{"type": "prompt", "text": "x"}, base], "settings": {"audio": "original"}}
    first = await call("POST", "/kling/omni-video/kling-3.0-omni", body)
    await call.clock.sleep(3600)
    legacy = {"model_name": "kling-v3", "prompt": "a fox", "mode": "pro", "sound": "on"}
    second = await call("POST", "/kling/v1/videos/text2video", legacy)
    third = await call.kling("risk_control")
    await call.clock.sleep(61)
    return [first.json["data"]["id"], second.json["data"]["task_id"], third.json["data"]["id"]]


async def test_each_deduction_has_a_row_newest_first(call: Caller) -> None:
    edited, spoken, _ = await three_tasks(call)
    newest, oldest = await rows(call)
    assert (newest["task_id"], oldest["task_id"]) == (spoken, edited)
    assert oldest == {
        "task_id": edited, "api_key_name": "emulator", "product_function": "omni-video",
        "model_name": "kling-3.0-omni", "resolution": "720p", "duration": "4.041", "refer_video_input": True,
        "video_sound": "original", "voice_control": False, "deduction_time": str((START + 60) * 1000),
        "unit_before_deduction": "100", "deduction_amount": "3.6", "unit_after_deduction": "96.4",
        "package_id": oldest["package_id"], "product_type": "video",
    }  # fmt: skip
    assert (newest["unit_before_deduction"], newest["deduction_amount"]) == ("96.4", "6")
    assert (newest["video_sound"], newest["refer_video_input"]) == ("native", False)
    pack = await call("GET", "/kling/account/costs?start_time=1&end_time=2")
    (info,) = pack.json["data"]["resource_pack_subscribe_infos"]
    assert (info["remaining_quantity"], info["resource_pack_id"]) == (90.4, oldest["package_id"])


async def test_rows_are_chosen_by_time_key_and_pack(call: Caller) -> None:
    edited, spoken, _ = await three_tasks(call)
    hour = (START + 3600) * 1000
    assert [row["task_id"] for row in await rows(call, end_time=hour)] == [edited]
    assert [row["task_id"] for row in await rows(call, start_time=hour)] == [spoken]
    for key, good in (("api_key_name", "emulator"), ("product_type", "video"), ("package_name", "video-emulator")):
        assert len(await rows(call, filters=[{"key": key, "values": [good, "other"]}])) == 2
        assert await rows(call, filters=[{"key": key, "values": ["other"]}]) == []


async def test_rows_come_by_cursor_which_overrides_all_else(call: Caller) -> None:
    ids = await three_tasks(call)
    first = (await billing(call, limit=1)).json["data"]
    assert (first["result"]["count"], first["has_more"]) == (1, True)
    body = {"cursor": first["next_cursor"], "limit": 1, "end_time": 1}
    second = (await call("POST", f"{BILLING}/package", body)).json["data"]
    assert (second["result"]["detail"][0]["task_id"], second["has_more"]) == (ids[0], False)
    assert "next_cursor" not in second


async def test_there_is_no_cash_here(call: Caller) -> None:
    await three_tasks(call)
    data = (await billing(call, "balance")).json["data"]
    assert data == {"result": {"detail": [], "count": 0}, "has_more": False}


@pytest.mark.parametrize(
    "body",
    [
        {"start_time": None}, {"end_time": ""}, {"start_time": "soon"}, {"limit": 0}, {"limit": 501}, {"cursor": "x"},
        {"filters": 7}, {"filters": [{"key": "colour", "values": ["red"]}]}, {"filters": [{"key": "product_type"}]},
        {"filters": [{"key": "package_name", "values": ["a"]}, {"key": "package_id", "values": ["b"]}]},
    ],
)  # fmt: skip
async def test_a_wrong_question_is_refused(call: Caller, body: dict[str, Any]) -> None:
    answer = await billing(call, **body)
    assert (answer.status, answer.json["code"]) == (400, 1201)


async def test_cash_knows_no_packs_and_the_wrong_method_no_answer(call: Caller) -> None:
    answer = await billing(call, "balance", filters=[{"key": "package_name", "values": ["a"]}])
    assert answer.json["code"] == 1201
    assert (await call("GET", f"{BILLING}/package")).json["code"] == 1202
    assert (await call("POST", f"{BILLING}/gold", {})).json["code"] == 1203


async def test_an_account_sees_its_own_rows_only(call: Caller) -> None:
    await three_tasks(call)
    call.key = "key-b"
    assert await rows(call) == []
