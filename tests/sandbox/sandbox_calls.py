"""How the tests talk to the emulator: short calls, a renderer that takes no time, pictures of any size."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from attrs import define, frozen

from multivideo.clock import VirtualClock
from multivideo.sandbox import Emulator, Reply
from multivideo.sandbox.render import Clip, placeholder

VEO = "/vertex/v1/projects/demo/locations/us-central1/publishers/google/models/veo-3.1-generate-001"
START, POLL = f"{VEO}:predictLongRunning", f"{VEO}:fetchPredictOperation"


def instant(clip: Clip) -> bytes:
    """A file that says which clip it would be."""
    return f"{clip.model} {clip.width}x{clip.height} {clip.fps} {clip.audio} {clip.seed} ".encode() * 40


def picture(width: int, height: int) -> str:
    """A PNG in Base64."""
    return base64.b64encode(placeholder(width, height)).decode()


@frozen
class Answer:
    """A reply that was read."""

    status: int
    data: bytes
    reply: Reply

    @property
    def json(self) -> Any:
        return json.loads(self.data)

    @property
    def error(self) -> dict[str, Any]:
        """The error of an OpenAI or Google envelope."""
        found: dict[str, Any] = self.json["error"]
        return found


@define(eq=False)
class Caller:
    """An emulator on a virtual clock, and one account that uses it."""

    emulator: Emulator
    clock: VirtualClock
    key: str | None = "key-a"

    @property
    def clips(self) -> list[Clip]:
        """All that was ordered from the renderer, oldest first."""
        return [clip for job in self.emulator.jobs() for clip in job.draft.clips]

    async def __call__(
        self, method: str, path: str, body: object = None, *, headers: Mapping[str, str] | None = None, raw: bytes = b""
    ) -> Answer:
        sent = {"Host": "127.0.0.1:8090", "Content-Type": "application/json"}
        if self.key is not None:
            sent["Authorization"] = f"Bearer {self.key}"
        data = json.dumps(body).encode() if body is not None else raw
        reply = await self.emulator(method, path, {**sent, **(headers or {})}, data)
        return Answer(reply.status, await reply.read(), reply)

    async def openai(self, prompt: str = "a fox", *, fault: str = "", **fields: object) -> Answer:
        return await self("POST", "/openai/v1/videos", {"prompt": prompt, **fields}, headers=_fault(fault))

    async def kling(
        self, prompt: str = "a fox", *, fault: str = "", model: str = "kling-3.0", **body: object
    ) -> Answer:
        path = f"/kling/text-to-video/{model}"
        return await self("POST", path, {"prompt": prompt, **body}, headers=_fault(fault))

    async def veo(self, prompt: str = "a fox", *, fault: str = "", more: object = None, **parameters: object) -> Answer:
        instance = {"prompt": prompt, **(more if isinstance(more, dict) else {})}
        return await self("POST", START, {"instances": [instance], "parameters": parameters}, headers=_fault(fault))

    async def task(self, created: Answer) -> Any:
        """The one task that a create call made, as the query endpoint shows it."""
        found = await self("GET", f"/kling/tasks?task_ids={created.json['data']['id']}")
        return found.json["data"][0]

    async def operation(self, started: Answer) -> Answer:
        return await self("POST", POLL, {"operationName": started.json["name"]})

    def link(self, url: str) -> str:
        """The path of a link that the emulator gave out."""
        assert url.startswith("http://127.0.0.1:8090/")
        return url.removeprefix("http://127.0.0.1:8090")


def _fault(words: str) -> dict[str, str]:
    return {"x-multivideo-fault": words} if words else {}


def caller(**options: Any) -> Caller:
    """A caller of a new emulator whose jobs take 60 s and whose files take no time."""
    clock = VirtualClock()
    return Caller(Emulator(clock=clock, **{"latency": 60.0, "render": instant, **options}), clock)
