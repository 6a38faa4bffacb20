"""Every fault on every door: lost answers, refusals, polls that fail, and files spoiled on their way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from attrs import define
from sandbox_calls import POLL, START, Answer, Caller, caller

from multivideo.sandbox import ConnectionLost, Reply
from multivideo.sandbox.faults import KINDS
from multivideo.sandbox.line import BREAKS

pytestmark = pytest.mark.anyio

GEMINI = "/gemini/v1beta/models/veo-3.1-generate-preview:predictLongRunning"
TASKS = "/kling/v1/videos/text2video"
VEO_BODY = {"instances": [{"prompt": "a fox"}]}
BUCKET_BODY = {**VEO_BODY, "parameters": {"storageUri": "gs://out/run"}}
CREATES: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/openai/v1/videos", {"prompt": "a fox"}),
    "kling": ("/kling/text-to-video/kling-3.0", {"prompt": "a fox"}),
    "legacy": (TASKS, {"model_name": "kling-v3", "prompt": "a fox"}),
    "vertex": (START, VEO_BODY),
    "bucket": (START, BUCKET_BODY),
    "gemini": (GEMINI, VEO_BODY),
}
DOORS = pytest.mark.parametrize("name", CREATES)


@define
class Desk:
    """One door, as its client walks through it."""

    call: Caller
    name: str

    async def create(self, fault: str = "") -> Reply:
        path, body = CREATES[self.name]
        return await self.raw("POST", path, body, {"x-multivideo-fault": fault} if fault else {})

    async def raw(self, method: str, path: str, body: object, headers: dict[str, str]) -> Reply:
        sent = {"host": "127.0.0.1:8090", "content-type": "application/json", "x-goog-api-key": "key-a", **headers}
        if not path.startswith("/kling/files"):
            sent["authorization"] = "Bearer key-a"
        data = b"" if body is None else json.dumps(body).encode()
        return await self.call.emulator(method, path, sent, data)

    @property
    def id(self) -> str:
        return self.call.emulator.jobs()[-1].id

    async def poll(self, **headers: str) -> Reply:
        """A look at the newest job."""
        method, path, body = {
            "openai": ("GET", f"/openai/v1/videos/{self.id}", None),
            "kling": ("GET", f"/kling/tasks?task_ids={self.id}", None),
            "legacy": ("GET", f"{TASKS}/{self.id}", None),
            "gemini": ("GET", f"/gemini/v1beta/{self.id}", None),
        }.get(self.name, ("POST", POLL, {"operationName": self.id}))
        return await self.raw(method, path, body, headers)

    async def file(self) -> str:
        """The path of the finished file; empty where the answer to a poll carries it."""
        if self.name in ("openai", "vertex"):
            return f"/openai/v1/videos/{self.id}/content" if self.name == "openai" else ""
        reply = await self.poll()
        seen = Answer(reply.status, await reply.read(), reply).json
        if self.name == "gemini":
            uri: str = seen["response"]["generateVideoResponse"]["generatedSamples"][0]["video"]["uri"]
            return "/gemini" + uri.removeprefix("https://generativelanguage.googleapis.com")
        if self.name == "bucket":
            name = seen["response"]["videos"][0]["gcsUri"].removeprefix("gs://out/")
            return f"/vertex/storage/v1/b/out/o/{quote(name, safe='')}?alt=media"
        video = seen["data"][0]["outputs"][0] if self.name == "kling" else seen["data"]["task_result"]["videos"][0]
        return self.call.link(video["url"])

    async def download(self, path: str) -> Reply:
        return await (self.raw("GET", path, None, {}) if path else self.poll())


@pytest.fixture
def desk(name: str) -> Iterator[Desk]:
    made = caller()
    yield Desk(made, name)
    made.emulator.close()


async def end_of(reply_to: Any) -> str:
    """How a call ended: its status, or how its line died, and whether half of an answer came."""
    try:
        reply = await reply_to
    except ConnectionLost as lost:
        return "line" if lost.sent else "unsent"
    try:
        data = await reply.read()
    except ConnectionLost:
        return "half"
    return f"{reply.status}" if data else f"{reply.status} bare"


ENDS = {
    "": ("=503", "503"), "_bare": ("=502", "502 bare"), "_as_200": ("=500", "200"), "_drop": ("", "line"),
    "_reset": ("", "line"), "_half_headers": ("", "line"), "_half_body": ("", "half"), "_stall": ("=9", "line"),
    "_drip": ("=9", "200"), "_unsent": ("", "unsent"),
}  # fmt: skip


def test_all_ends_are_tried() -> None:
    tried = {f"{stage}{end}" for stage in ("submit", "made", "poll", "download") for end in ENDS}
    assert {kind for kind in KINDS if kind.split("_")[0] in ("submit", "made")} <= tried
    assert {f"_{end}" for end in BREAKS} <= set(ENDS)
    assert {kind for kind in KINDS if kind.startswith("call")} == {f"call{end}" for end in ENDS}


@DOORS
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("stage", ["submit", "made"])
async def test_a_create_call_ends_so_before_and_after_its_job_was_made(desk: Desk, stage: str, end: str) -> None:
    if f"{stage}{end}" not in KINDS:
        assert (stage, end) == ("made", "_unsent")
        return
    value, ended = ENDS[end]
    began = desk.call.clock.monotonic()
    assert await end_of(desk.create(f"{stage}{end}{value}")) == ended
    passes = end in ("_half_body", "_drip")  # an answer that is spoiled on its way was given
    assert desk.call.emulator.count() == (stage == "made" or passes)
    assert (desk.call.emulator.charged() > 0) == (stage == "made" or passes)
    assert desk.call.clock.monotonic() - began == pytest.approx(9 if end in ("_stall", "_drip") else 0, abs=0.01)
    assert await end_of(desk.create()) == "200"


@DOORS
@pytest.mark.parametrize("end", ENDS)
async def test_a_poll_ends_so_and_the_next_one_is_right(desk: Desk, end: str) -> None:
    value, ended = ENDS[end]
    await desk.create(f"poll{end}{value}@2")
    assert [await end_of(desk.poll()) for _ in range(3)] == ["200", ended, "200"]
    assert await end_of(desk.poll(**{"x-multivideo-fault": f"poll{end}{value}"})) == ended


SPOILED = {
    "download_late": "404", "download_expired": "403", "download_redirect=http://127.0.0.2:9/x": "302 bare",
    "download_html": "200", "download_type=text/plain": "200", "download_short": "200", "download_corrupt": "200",
    "download_cut": "half",
}  # fmt: skip


@DOORS
@pytest.mark.parametrize("fault", [*(f"download{end}{value}" for end, (value, _) in ENDS.items()), *SPOILED])
async def test_a_download_ends_so_and_the_next_one_is_right(desk: Desk, fault: str) -> None:
    plain = fault.partition("=")[0].removeprefix("download")
    ended = ENDS[plain][1] if plain in ENDS else SPOILED[fault]
    if (desk.name, fault) == ("vertex", "download_late"):
        ended = "200"  # where the answer carries the file, it cannot be late alone
    await desk.create(fault)
    await desk.call.clock.sleep(60)
    path = await desk.file()
    assert await end_of(desk.download(path)) == ended
    assert await end_of(desk.download(path)) == "200"


@DOORS
async def test_a_job_can_be_late_vanish_or_be_stuck(desk: Desk) -> None:
    unseen = "200" if desk.name == "kling" else "404"  # an unknown task is an empty list there
    await desk.create("late*2, vanish@4")
    assert [await end_of(desk.poll()) for _ in range(5)] == [unseen, unseen, "200", unseen, unseen]
    await desk.create("stuck")
    await desk.call.clock.sleep(10**6)
    assert not desk.call.emulator.jobs()[-1].state(desk.call.clock.wall()).over


@DOORS
async def test_a_refusal_says_when_to_come_back_or_does_not(desk: Desk) -> None:
    for more, hint in ((", retry_after=7", "7"), ("", None)):
        reply = await desk.create(f"submit=429{more}")
        assert (reply.status, reply.header("retry-after")) == (429, hint)
    assert desk.call.emulator.count() == 0


@DOORS
async def test_a_filter_takes_the_video_and_its_price(desk: Desk) -> None:
    await desk.create("filtered")
    await desk.call.clock.sleep(60)
    assert await end_of(desk.poll()) == "200"
    (job,) = desk.call.emulator.jobs()
    assert (job.clips, job.cost) == ((), 0)


@pytest.mark.parametrize("name", ["openai", "kling", "legacy", "bucket", "gemini"])
async def test_a_file_can_be_gone_as_soon_as_it_is_made(desk: Desk) -> None:
    await desk.create("expired")
    await desk.call.clock.sleep(60)
    if desk.name == "gemini":  # no link is given out to a file that is gone
        assert b"generatedSamples" in await (await desk.poll()).read()
    assert await end_of(desk.download(await desk.file())) == "404"


@pytest.mark.parametrize(("name", "field"), [("openai", "status"), ("kling", "status"), ("legacy", "task_status")])
async def test_a_status_can_be_a_word_that_nobody_knows(desk: Desk, field: str) -> None:
    await desk.create("unknown_status=dreaming")
    reply = await desk.poll()
    assert f'"{field}":"dreaming"'.encode() in await reply.read()
    assert b"dreaming" not in await (await desk.poll()).read()


# --- all other calls -----------------------------------------------------------------------------------------

OTHERS: dict[str, tuple[str, str, object]] = {
    "openai": ("GET", "/openai/v1/videos", None),
    "openai delete": ("DELETE", "/openai/v1/videos/video_1", None),
    "openai character": ("GET", "/openai/v1/videos/characters/char_1", None),
    "kling": ("POST", "/kling/tasks", {}),
    "kling costs": ("GET", "/kling/account/costs?start_time=1&end_time=2", None),
    "kling billing": ("POST", "/kling/account/billing/package", {"start_time": 1, "end_time": 2}),
    "kling legacy": ("GET", TASKS, None),
    "vertex token": ("POST", "/vertex/token", {}),
    "vertex list": ("GET", "/vertex/storage/v1/b/out/o", None),
    "vertex upload": ("POST", "/vertex/upload/storage/v1/b/out/o?uploadType=media&name=a", {}),
    "gemini": ("GET", "/gemini/v1beta/models/veo-3.1-generate-preview", None),
}


@pytest.mark.parametrize("name", ["openai"])
@pytest.mark.parametrize("other", OTHERS)
async def test_every_other_call_fails_as_it_is_told(desk: Desk, other: str) -> None:
    method, path, body = OTHERS[other]
    door = other.partition(" ")[0]

    async def ask(**headers: str) -> str:
        return await end_of(desk.raw(method, path, body, headers))

    usual = await ask()
    emulator = desk.call.emulator
    emulator.fault(door, call="503@2*2", retry_after="4")
    emulator.fault(door, call_reset=True)
    assert [await ask() for _ in range(5)] == [usual, "503", "503", "line", usual]
    for end, (value, ended) in ENDS.items():
        if not (end in ("_half_body", "_drip") and usual != "200"):
            assert await ask(**{"x-multivideo-fault": f"call{end}{value}"}) == ended
    emulator.fault(door, call="429", retry_after="4")
    refused = await desk.raw(method, path, body, {})
    assert (refused.status, refused.header("retry-after")) == (429, "4")


async def test_faults_of_other_calls_touch_no_job_and_go_with_none(anyio_backend: str) -> None:
    call = caller()
    call.emulator.fault("openai", call="500*3")
    made = await call.openai()
    assert made.status == 200
    assert (await call("GET", f"/openai/v1/videos/{made.json['id']}")).status == 200
    assert (await call("GET", "/openai/v1/videos")).status == 500
    assert (await call("GET", "/kling/account/costs?start_time=1&end_time=2")).status == 200
    with pytest.raises(ValueError, match="goes with none of a job"):
        call.emulator.fault("openai", call="500", poll="500")
    with pytest.raises(ValueError, match="too late for call"):
        call.emulator.fault("openai", job=made.json["id"], call="500")
    wired = await call("POST", "/_emu/faults", {"door": "kling", "fault": "call=5001"})
    assert wired.json == {"queued": 1}
    assert (await call("POST", "/kling/tasks", {})).json["code"] == 5001
