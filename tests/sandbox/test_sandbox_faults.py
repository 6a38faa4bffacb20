"""What goes wrong on demand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from sandbox_calls import Answer, Caller, caller

from multivideo.sandbox import ConnectionLost
from multivideo.sandbox.faults import KINDS, Script

pytestmark = pytest.mark.anyio


@pytest.fixture
def call() -> Iterator[Caller]:
    made = caller()
    yield made
    made.emulator.close()


async def look(call: Caller, created: Answer) -> Answer:
    return await call("GET", f"/openai/v1/videos/{created.json['id']}")


def test_words_and_json_say_the_same() -> None:
    words = Script.parse("poll=503@2*3, stuck; unknown_status=warming*2 ,download_cut")
    same = Script.parse('{"poll": "503@2*3", "stuck": true, "unknown_status": "warming*2", "download_cut": true}')
    long = Script.parse(
        '{"poll": {"value": 503, "first": 2, "times": 3}, "stuck": {}, '
        '"unknown_status": {"value": "warming", "times": 2}, "download_cut": {}}'
    )
    assert words == same == long
    poll = words.find("poll")
    assert poll is not None
    assert [poll.applies(count) for count in range(1, 6)] == [False, True, True, True, False]


@pytest.mark.parametrize(
    "text", ["nonsense", "poll", "poll=now", "submit=²", '{"poll": [[]]}', "{", "poll=503@x", "[1]"]
)
async def test_a_script_that_cannot_be_read_is_refused(call: Caller, text: str) -> None:
    answer = await call.openai(fault=text)
    assert (answer.status, call.emulator.count()) == (400, 0)
    assert "x-multivideo-fault" in answer.error["message"]


async def test_submit_refuses_before_the_job_and_made_after_it(call: Caller) -> None:
    for door, create in (("openai", call.openai), ("kling", call.kling), ("vertex", call.veo)):
        refused = await create(fault="submit=503, retry_after=7")
        assert (refused.status, refused.reply.header("retry-after")) == (503, "7")
        assert call.emulator.count(door=door) == 0
        assert (await create(fault="made=504")).status == 504
        assert call.emulator.count(door=door) == 1


async def test_a_repeated_create_meets_the_fault_as_often_as_it_says(call: Caller) -> None:
    statuses = [(await call.openai(fault="submit=500*2")).status for _ in range(4)]
    assert statuses == [500, 500, 200, 200]
    assert (await call.openai(fault="submit=500*2,tag=another")).status == 500


async def test_kling_faults_can_name_a_code_of_kling(call: Caller) -> None:
    for code, status in ((1302, 429), (1303, 429), (5000, 500), (5002, 504)):
        answer = await call.kling(fault=f"submit={code}")
        assert (answer.status, answer.json["code"]) == (status, code)
    assert call.emulator.count() == 0
    assert (await call.kling(fault="made=5002")).json["code"] == 5002
    assert call.emulator.count() == 1
    assert (await call.kling(fault="submit=502")).json["code"] == 5000


async def test_a_fault_can_bring_its_own_body(call: Caller) -> None:
    fault = '{"submit": {"value": 200, "body": "{\\"code\\": 1303}"}}'
    answer = await call.kling(fault=fault)
    assert (answer.status, answer.json) == (200, {"code": 1303})


@pytest.mark.parametrize(
    ("fault", "sent", "made"), [("submit_unsent", False, 0), ("submit_drop", True, 0), ("made_drop", True, 1)]
)
async def test_a_create_call_can_lose_its_connection(call: Caller, fault: str, sent: bool, made: int) -> None:
    with pytest.raises(ConnectionLost) as lost:
        await call.openai(fault=fault)
    assert (lost.value.sent, call.emulator.count()) == (sent, made)


async def test_polls_can_fail_drop_and_speak_unknown_words(call: Caller) -> None:
    made = await call.openai(fault="poll=429@1, poll_drop@2, poll_unsent@3, unknown_status=warming@4, retry_after=3")
    refused = await look(call, made)
    assert (refused.status, refused.error["code"], refused.reply.header("retry-after")) == (
        429, "rate_limit_exceeded", "3",
    )  # fmt: skip
    for sent in (True, False):
        with pytest.raises(ConnectionLost) as lost:
            await look(call, made)
        assert lost.value.sent is sent
    assert [(await look(call, made)).json["status"] for _ in range(2)] == ["warming", "queued"]


async def test_kling_and_google_polls_fail_too(call: Caller) -> None:
    task = await call.kling(fault="poll=503, unknown_status@2")
    path = f"/kling/tasks?task_ids={task.json['data']['id']}"
    assert (await call("GET", path)).json["code"] == 5001
    assert (await call("GET", path)).json["data"][0]["status"] == "warming_up"
    started = await call.veo(fault="poll=429, poll=503@2")
    first, second = await call.operation(started), await call.operation(started)
    assert (first.status, first.error["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert second.error["status"] == "UNAVAILABLE"


async def test_a_job_can_show_up_late_or_vanish(call: Caller) -> None:
    late, gone = await call.openai(fault="late*2"), await call.openai(fault="vanish@2")
    assert [(await look(call, late)).status for _ in range(3)] == [404, 404, 200]
    assert [(await look(call, gone)).status for _ in range(3)] == [200, 404, 404]
    task = await call.kling(fault="late, vanish@3")
    path = f"/kling/tasks?task_ids={task.json['data']['id']}"
    assert [len((await call("GET", path)).json["data"]) for _ in range(3)] == [0, 1, 0]
    started = await call.veo(fault="late")
    assert [(await call.operation(started)).status for _ in range(2)] == [404, 200]


async def test_a_stuck_job_never_ends(call: Caller) -> None:
    made = await call.openai(fault="stuck")
    await call.clock.sleep(10**6)
    found = (await look(call, made)).json
    assert (found["status"], found["progress"]) == ("in_progress", 99)


async def test_a_hint_for_the_next_poll_rides_on_running_jobs_only(call: Caller) -> None:
    made = await call.openai(fault="poll_after_ms=1500")
    assert (await look(call, made)).reply.header("openai-poll-after-ms") == "1500"
    await call.clock.sleep(60)
    assert (await look(call, made)).reply.header("openai-poll-after-ms") is None


async def test_a_download_can_be_late_html_short_cut_or_refused(call: Caller) -> None:
    words = "download_late, download_html@2, download_short@3, download_cut@4, download_drop@5, download=502@6"
    made = await call.openai(fault=words)
    await call.clock.sleep(60)
    path = f"/openai/v1/videos/{made.json['id']}/content"
    assert (await call("GET", path)).status == 404
    page = await call("GET", path)
    assert (page.status, page.reply.header("content-type")) == (200, "text/html; charset=utf-8")
    short = await call("GET", path)
    reply = await call.emulator("GET", path, {"Authorization": "Bearer key-a"}, b"")
    with pytest.raises(ConnectionLost):
        await reply.read()
    with pytest.raises(ConnectionLost):
        await call("GET", path)
    assert (await call("GET", path)).status == 502
    whole = await call("GET", path)
    assert len(short.data) == len(whole.data) // 2
    assert reply.header("content-length") == str(len(whole.data))


async def test_other_doors_spoil_their_files_too(call: Caller) -> None:
    task, started = await call.kling(fault="download_html"), await call.veo(fault="download_short")
    await call.clock.sleep(60)
    path = call.link((await call.task(task))["outputs"][0]["url"])
    half, whole = await call.operation(started), await call.operation(started)
    assert len(half.data) == len(whole.data) // 2
    call.key = None
    assert (await call("GET", path)).data.startswith(b"<!doctype html>")
    assert (await call("GET", path)).data.startswith(b"kling-3.0")


async def test_a_bucket_can_be_late_and_forget(call: Caller) -> None:
    late = await call.veo(fault="download_late", storageUri="gs://out/a")
    gone = await call.veo(fault="expired", storageUri="gs://out/b")
    await call.clock.sleep(60)
    statuses = []
    for started in (late, late, gone):
        uri = (await call.operation(started)).json["response"]["videos"][0]["gcsUri"]
        name = quote(uri.removeprefix("gs://out/"), safe="")
        statuses.append((await call("GET", f"/vertex/storage/v1/b/out/o/{name}?alt=media")).status)
    assert statuses == [404, 200, 404]


async def test_a_file_can_be_expired_from_the_start(call: Caller) -> None:
    made, task = await call.openai(fault="expired"), await call.kling(fault="expired")
    await call.clock.sleep(60)
    assert (await look(call, made)).json["status"] == "completed"
    assert (await call("GET", f"/openai/v1/videos/{made.json['id']}/content")).status == 404
    path = call.link((await call.task(task))["outputs"][0]["url"])
    call.key = None
    assert (await call("GET", path)).status == 404


async def test_a_queued_fault_strikes_the_next_create_of_its_door_only(call: Caller) -> None:
    call.emulator.fault("kling", submit=["5001*2", "1303@3"])
    assert (await call.openai()).status == 200
    assert [(await call.kling()).status for _ in range(4)] == [503, 503, 429, 200]
    with pytest.raises(ValueError, match="no door"):
        call.emulator.fault("azure", stuck=True)
    with pytest.raises(ValueError, match="unknown fault"):
        call.emulator.fault("openai", explode=True)


async def test_faults_can_be_queued_over_the_wire(call: Caller) -> None:
    for fault in ({"submit": 500}, "submit=500"):
        assert (await call("POST", "/_emu/faults", {"door": "openai", "fault": fault})).json == {"queued": 1}
        assert [(await call.openai()).status for _ in range(2)] == [500, 200]
    assert (await call("POST", "/_emu/faults", {"door": "openai", "fault": {"nonsense": 1}})).status == 400


async def test_the_counts_are_told_over_the_wire(call: Caller) -> None:
    await call.openai()
    await call.kling()
    counts: Any = (await call("GET", "/_emu/counts")).json
    assert counts == {"count": 2, "charged_micro_usd": 400_000 + 420_000}
    assert (await call("GET", "/_emu/counts?door=kling&credential=key-a")).json["count"] == 1
    assert (await call("GET", "/_emu/nothing")).status == 404
    assert (await call("GET", "/nowhere")).status == 404


def test_every_fault_is_described_for_users() -> None:
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text("utf-8")
    missing = [name for name in KINDS if f"`{name}" not in page]
    assert missing == []
