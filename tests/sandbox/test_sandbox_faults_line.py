"""Lines that die, answers that are lost, and faults given to one job or one call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sandbox_calls import Answer, Caller, caller

from multivideo.sandbox import ConnectionLost
from multivideo.sandbox.faults import Script
from multivideo.sandbox.line import LineBroken

pytestmark = pytest.mark.anyio

CODES = {
    1000: 401, 1001: 401, 1002: 401, 1003: 401, 1004: 401, 1100: 429, 1101: 429, 1102: 429, 1103: 403, 1200: 400,
    1201: 400, 1202: 404, 1203: 404, 1300: 400, 1301: 400, 1302: 429, 1303: 429, 1304: 429, 5000: 500, 5001: 503,
    5002: 504,
}  # fmt: skip


@pytest.fixture
def call() -> Iterator[Caller]:
    made = caller()
    yield made
    made.emulator.close()


async def look(call: Caller, created: Answer, fault: str = "") -> Answer:
    headers = {"x-multivideo-fault": fault} if fault else {}
    return await call("GET", f"/openai/v1/videos/{created.json['id']}", headers=headers)


async def lost(call: Caller, method: str, path: str, body: bytes, fault: str) -> tuple[LineBroken, bytes]:
    """How a call was lost, and what came of its answer before."""
    headers = {"Authorization": "Bearer key-a", "Content-Type": "application/json", "x-multivideo-fault": fault}
    got = b""
    try:
        reply = await call.emulator(method, path, headers, body)
        async for chunk in reply.body:
            got += chunk
    except LineBroken as broken:
        return broken, got
    raise AssertionError("the line did not die")


# --- lines ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["drop", "reset", "half_headers", "half_body", "stall=9", "unsent"])
@pytest.mark.parametrize("stage", ["submit", "made"])
async def test_an_answer_to_a_create_is_lost_with_and_without_a_job(call: Caller, stage: str, end: str) -> None:
    if (stage, end) == ("made", "unsent"):
        with pytest.raises(ValueError, match="unknown fault"):
            Script.parse("made_unsent")
        return
    began = call.clock.monotonic()
    death, got = await lost(call, "POST", "/openai/v1/videos", b'{"prompt": "a fox"}', f"{stage}_{end}")
    assert death.sent is (end != "unsent")
    # half of an answer means that there was one, and so a job
    assert call.emulator.count() == (stage == "made" or end == "half_body")
    assert bool(got) is (end == "half_body")
    assert call.clock.monotonic() - began == (9 if end == "stall=9" else 0)


async def test_half_an_answer_is_half_of_the_real_one(call: Caller) -> None:
    _, got = await lost(call, "POST", "/openai/v1/videos", b'{"prompt": "a fox"}', "made_half_body")
    (job,) = call.emulator.jobs()
    assert got.decode().startswith('{"id":"' + job.id)
    assert not got.decode().endswith("}")


@pytest.mark.parametrize("door", ["openai", "kling", "vertex"])
async def test_polls_and_downloads_lose_their_lines_on_every_door(call: Caller, door: str) -> None:
    fault = "poll_reset, poll_half_headers@2, poll_stall=3@3, poll_half_body@4"
    if door == "openai":
        made = await call.openai(fault=fault)
    else:
        made = await call.kling(fault=fault) if door == "kling" else await call.veo(fault=fault)

    async def poll() -> Answer:
        if door == "openai":
            return await look(call, made)
        if door == "kling":
            return await call("GET", f"/kling/tasks?task_ids={made.json['data']['id']}")
        return await call.operation(made)

    ends = []
    for _ in range(4):
        with pytest.raises(LineBroken) as death:
            await poll()
        ends.append(death.value.how)
    assert ends == ["reset", "half_headers", "stall", "close"]
    assert (await poll()).status == 200


async def test_a_refusal_can_lose_half_of_its_body_too(call: Caller) -> None:
    made = await call.openai(fault="poll=503, poll_half_body")
    with pytest.raises(ConnectionLost):
        await look(call, made)
    assert (await look(call, made)).status == 200


async def test_an_answer_can_drip(call: Caller) -> None:
    made = await call.openai(fault="poll_drip=16")
    began = call.clock.monotonic()
    assert (await look(call, made)).json["status"] == "queued"
    assert 14 < call.clock.monotonic() - began <= 16


# --- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "status"), CODES.items())
async def test_every_code_of_kling_can_be_had_before_and_after_the_job(call: Caller, code: int, status: int) -> None:
    for stage, retry, made in (("submit", "", 0), ("made", ", retry_after=4", 1)):
        answer = await call.kling(fault=f"{stage}={code}{retry}")
        assert (answer.status, answer.json["code"], call.emulator.count()) == (status, code, made)
        assert answer.reply.header("retry-after") == ("4" if retry else None)


async def test_a_status_can_come_without_a_body(call: Caller) -> None:
    for stage, made in (("submit", 0), ("made", 1)):
        answer = await call.openai(fault=f"{stage}_bare=502, retry_after=2")
        assert (answer.status, answer.data, answer.reply.header("retry-after")) == (502, b"", "2")
        assert call.emulator.count() == made
    assert (await call.kling(fault="submit_bare=1303")).status == 429


async def test_a_refusal_can_come_under_status_200(call: Caller) -> None:
    answer = await call.kling(fault="submit_as_200=1303")
    assert (answer.status, answer.json["code"], call.emulator.count(door="kling")) == (200, 1303, 0)
    made = await call.openai(fault="poll_as_200=500")
    found = await look(call, made)
    assert (found.status, set(found.json)) == (200, {"error"})


async def test_a_task_of_kling_can_leave_out_what_is_not_needed(call: Caller) -> None:
    made = await call.kling(fault="lean*9", options={"external_task_id": "mv-1"})
    assert set(await call.task(made)) == {"id", "status", "create_time"}
    await call.clock.sleep(60)
    assert set(await call.task(made)) == {"id", "status", "create_time", "outputs"}


# --- one call, one job ---------------------------------------------------------------------------------------


async def test_a_poll_or_a_download_may_bring_its_own_fault(call: Caller) -> None:
    made = await call.openai()
    assert [(await look(call, made, "poll=503")).status for _ in range(2)] == [503, 503]
    assert (await look(call, made, "unknown_status=warming")).json["status"] == "warming"
    assert (await look(call, made, "poll=503@2, download=500")).status == 200
    assert (await look(call, made, "nonsense")).status == 400
    await call.clock.sleep(60)
    path = f"/openai/v1/videos/{made.json['id']}/content"
    page = await call("GET", path, headers={"x-multivideo-fault": "download_html"})
    assert page.data.startswith(b"<!doctype html>")
    assert (await call("GET", path)).reply.header("content-type") == "video/mp4"


async def test_the_header_of_a_create_call_strikes_no_other_call(call: Caller) -> None:
    made = await call.openai(fault="poll=503@2")
    assert [(await look(call, made)).status for _ in range(3)] == [200, 503, 200]


async def test_a_job_under_way_can_be_given_faults_for_its_next_steps(call: Caller) -> None:
    made = await call.openai()
    for _ in range(3):
        await look(call, made)
    call.emulator.fault("openai", job=made.json["id"], poll="503@2", download="502")
    assert [(await look(call, made)).status for _ in range(3)] == [200, 503, 200]
    await call.clock.sleep(60)
    path = f"/openai/v1/videos/{made.json['id']}/content"
    assert [(await call("GET", path)).status for _ in range(2)] == [502, 200]
    call.emulator.fault("openai", job=made.json["id"], vanish=True)
    assert (await look(call, made)).status == 404


async def test_a_job_is_given_faults_over_the_wire_and_not_too_late(call: Caller) -> None:
    name = (await call.kling()).json["data"]["id"]
    given = {"door": "kling", "job": name, "fault": "stuck"}
    assert (await call("POST", "/_emu/faults", given)).json == {"queued": 1}
    await call.clock.sleep(1000)
    assert (await call("GET", f"/kling/tasks?task_ids={name}")).json["data"][0]["status"] == "processing"
    for wrong in ({"fault": "submit=503"}, {"fault": "deliver=black"}, {"fault": "filtered"}, {"job": "none"}):
        answer = await call("POST", "/_emu/faults", {**given, **wrong})
        assert answer.status == 400
    with pytest.raises(ValueError, match="too late for made_drop"):
        call.emulator.fault("kling", job=name, made_drop=True)


@pytest.mark.parametrize(
    "text",
    [
        "submit_bare", "poll_stall=soon", "download_type=mp4", "download_redirect=/elsewhere", "link_expires",
        "filtered=all", "made=9", "poll_drip=-1", '{"submit": {"value": 503, "times": []}}', '{"stuck": "a\\nb"}',
    ],
)  # fmt: skip
async def test_a_value_that_a_fault_does_not_take_is_refused(call: Caller, text: str) -> None:
    answer = await call.openai(fault=text)
    assert (answer.status, call.emulator.count()) == (400, 0)
