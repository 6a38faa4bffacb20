"""One call of each kind at the emulator's doors, with what was answered: every operation, good and bad."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from multivideo.sandbox.render import Clip, placeholder, render

sys.path.append(str(Path(__file__).parent / "sandbox"))
from sandbox_calls import Answer, Caller, caller, picture

__all__ = ["CALLS", "Told", "tell"]

FORM = {"Content-Type": "multipart/form-data; boundary=cut"}
GOOGLE_KEY = {"x-goog-api-key": "key-a"}
OPENAI, VERTEX, GEMINI = "/openai/v1/videos", "/vertex/v1/projects/demo/locations/us-central1", "/gemini/v1beta"
VEO, PREVIEW = f"{VERTEX}/publishers/google/models/veo-3.1-generate-001", f"{GEMINI}/models/veo-3.1-generate-preview"
BUCKET = "/vertex/storage/v1/b/demo-out/o"
IMAGE = {"bytesBase64Encoded": picture(1280, 720), "mimeType": "image/png"}


@frozen
class Told:
    """A call at the emulator and what was answered; `path` has no query."""

    method: str
    path: str
    answer: Answer


@define
class Teller:
    """Calls the emulator and keeps what was said."""

    call: Caller
    headers: Mapping[str, str] = field(factory=dict)
    told: list[Told] = field(factory=list)

    async def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """The body of the answer, where that is JSON; `fault` is a script, further words are headers."""
        headers = {**self.headers, **more.pop("headers", {})}
        if fault := more.pop("fault", ""):
            headers["x-multivideo-fault"] = fault
        answer = await self.call(method, path, body, headers=headers, **more)
        self.told.append(Told(method, path.partition("?")[0], answer))
        return answer.json if answer.reply.header("content-type") == "application/json" else None

    async def as_strangers(self, *calls: tuple[Any, ...]) -> None:
        """The same calls without a key, and with one that is known to be bad."""
        kept, self.headers = self.headers, {}
        for key in (None, "bad-key"):
            self.call.key = key
            for made in calls:
                await self(*made, headers={"x-goog-api-key": key} if key and kept else {})
        self.call.key, self.headers = "key-a", kept


def form(*parts: tuple[str, bytes]) -> bytes:
    """A form; what is called `video` or `input_reference` is a file."""
    body = b""
    for name, value in parts:
        more = '; filename="a"' if name in {"video", "input_reference"} else ""
        body += f'--cut\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"
    return body + b"--cut--\r\n"


async def openai_jobs(ask: Teller) -> None:
    """Jobs from the order to the file."""
    await ask("GET", OPENAI)
    sizes = ("1280x720", "720x1280", "1792x1024", "1024x1792", "1920x1080", "1080x1920")
    orders = [{"prompt": "a fox", "model": "sora-2-pro", "size": size} for size in sizes]
    made = [await ask("POST", OPENAI, order) for order in orders]
    parts = [("prompt", b"a fox"), ("size", b"1280x720"), ("input_reference", placeholder(1280, 720))]
    made.append(await ask("POST", OPENAI, raw=form(*parts), headers=FORM))
    for word in ("moderation_blocked", "video_generation_failed"):
        made.append(await ask("POST", OPENAI, {"prompt": word, "seconds": "12"}))
    made.append(await ask("POST", OPENAI, {"prompt": "lost"}, fault="poll=503@9, download=500"))
    for wait in (6, 30, 30):
        await ask.call.clock.sleep(wait)
        for video in made:
            await ask("GET", f"{OPENAI}/{video['id']}")
    for variant in ("video", "thumbnail", "spritesheet", "gif"):
        await ask("GET", f"{OPENAI}/{made[0]['id']}/content?variant={variant}")
    await ask("GET", f"{OPENAI}/{made[-1]['id']}/content")
    await openai_sequels(ask, made[0]["id"])
    for query in ("?limit=2&order=asc", f"?after={made[1]['id']}", "?limit=101", "?order=up"):
        await ask("GET", f"{OPENAI}{query}")
    for _ in range(2):
        await ask("DELETE", f"{OPENAI}/{made[0]['id']}")


async def openai_sequels(ask: Teller, video: str) -> None:
    """What goes on from a finished video, and characters."""
    film = render(Clip(model="a", prompt="b", seed=0, width=720, height=1280, seconds=2, fps=30, audio=False))
    new = [
        await ask("POST", f"{OPENAI}/{video}/remix", {"prompt": "at night"}),
        await ask("POST", f"{OPENAI}/edits", {"prompt": "at night", "video": {"id": video}}),
        await ask("POST", f"{OPENAI}/extensions", {"prompt": "on", "video": {"id": video}, "seconds": "8"}),
    ]
    await ask.call.clock.sleep(61)
    for job in new:
        await ask("GET", f"{OPENAI}/{job['id']}")
    character = await ask("POST", f"{OPENAI}/characters", raw=form(("name", b"Mara"), ("video", film)), headers=FORM)
    await ask("GET", f"{OPENAI}/characters/{character['id']}")
    await ask("POST", OPENAI, {"prompt": "Mara waves", "characters": [{"id": character["id"]}]})


async def openai_refusals(ask: Teller) -> None:
    """Every operation refused: for the key, the id, the fields, and by chance."""
    running = (await ask("POST", OPENAI, {"prompt": "a fox"}))["id"]
    posts = (OPENAI, f"{OPENAI}/edits", f"{OPENAI}/extensions", f"{OPENAI}/{running}/remix", f"{OPENAI}/characters")
    gets = (OPENAI, f"{OPENAI}/video_x", f"{OPENAI}/video_x/content", f"{OPENAI}/characters/char_x")
    calls: list[tuple[Any, ...]] = [
        *(("POST", path, {}) for path in posts),
        *(("GET", path) for path in gets),
        ("DELETE", f"{OPENAI}/video_x"),
    ]
    for made in calls:
        await ask(*made)
    await ask.as_strangers(*calls)
    await ask("DELETE", f"{OPENAI}/{running}")
    await ask("GET", f"{OPENAI}/{running}/content")
    for status in (400, 401, 403, 429, 500, 503):
        await ask("POST", OPENAI, {"prompt": "a fox"}, fault=f"submit={status}")
    wrong: list[dict[str, Any]] = [
        {"seconds": "5"},
        {"seconds": 8},
        {"size": "1x1"},
        {"model": "sora"},
        {"duration": 8},
        {"prompt": ""},
    ]
    for fields in [*wrong, {"prompt": "sentinel_block"}, {"input_reference": {}}]:
        await ask("POST", OPENAI, {"prompt": "a fox", **fields})


async def openai(ask: Teller) -> None:
    """The Videos API."""
    await openai_jobs(ask)
    await openai_refusals(ask)


def veo(prompt: str, more: Any = None, **parameters: Any) -> dict[str, Any]:
    """The body of a start call."""
    return {"instances": [{"prompt": prompt, **(more or {})}], "parameters": parameters}


ENDS = ("a fox", "safety_filtered", "operation_error", "filter_one", "no_videos")
WRONG: tuple[Any, ...] = ({}, {"instances": []}, veo("a fox", resolution="2k"), veo("a fox", durationSeconds=5))


async def vertex(ask: Teller) -> None:
    """Veo on Vertex AI, and its buckets."""
    start, poll = f"{VEO}:predictLongRunning", f"{VEO}:fetchPredictOperation"
    asked = [veo(prompt, storageUri="gs://demo-out/runs/", sampleCount=2) for prompt in ENDS]
    asked += [veo("inside"), veo("from a picture", {"image": IMAGE}), veo("late", sampleCount=4)]
    names = [(await ask("POST", start, body))["name"] for body in asked]
    for _ in range(2):
        for name in names:
            await ask("POST", poll, {"operationName": name})
        await ask.call.clock.sleep(61)
    upload = "/vertex/upload/storage/v1/b/demo-out/o"
    await ask("POST", f"{upload}?uploadType=media&name=a.png", raw=placeholder(64, 36))
    await ask("POST", f"{upload}?name=a.png", raw=b"x")
    for item in (await ask("GET", f"{BUCKET}?prefix=runs/"))["items"]:
        path = f"{BUCKET}/{item['name'].replace('/', '%2F')}"
        await ask("GET", path)
        await ask("GET", f"{path}?alt=media")
    await ask("GET", f"{BUCKET}?prefix=nothing/")
    await ask("GET", f"{BUCKET}/nothing.mp4?alt=media")
    wrong = [("POST", start, body) for body in WRONG]
    wrong += [("POST", poll, {}), ("POST", poll, {"operationName": f"{names[0]}0"})]
    wrong += [("POST", start.replace("001", "999"), veo("a fox"))]
    for made in wrong:
        await ask(*made)
    await ask.as_strangers(("POST", start, veo("a fox")), ("POST", poll, {}), ("GET", BUCKET))
    for status in (401, 403, 429, 500, 503):
        await ask("POST", start, veo("a fox"), fault=f"submit={status}")


async def gemini(ask: Teller) -> None:
    """Veo on the Gemini API."""
    start = f"{PREVIEW}:predictLongRunning"
    names = [(await ask("POST", start, veo(prompt)))["name"] for prompt in (*ENDS, "again")]
    for _ in range(2):
        found = [await ask("GET", f"{GEMINI}/{name}") for name in names]
        await ask.call.clock.sleep(61)
    assert found[0]["done"]
    await ask("GET", PREVIEW)
    wrong: list[tuple[Any, ...]] = [("POST", start, body) for body in WRONG]
    wrong += [("POST", start, {"instance": []}), ("POST", start, veo("a fox", generateAudio=True))]
    wrong += [("GET", f"{GEMINI}/{names[0]}0"), ("GET", f"{GEMINI}/models/veo-9")]
    for made in wrong:
        await ask(*made)
    await ask.as_strangers(("POST", start, veo("a fox")), ("GET", f"{GEMINI}/{names[0]}"), ("GET", PREVIEW))
    for status in (400, 403, 429, 500, 503):
        await ask("POST", start, veo("a fox"), fault=f"submit={status}")


CALLS: Mapping[str, Callable[[Teller], Awaitable[None]]] = {"openai": openai, "vertex": vertex, "gemini": gemini}


async def tell(door: str) -> list[Told]:
    """Everything that was said at a door of a new emulator, whose videos are real where they are looked into."""
    ask = Teller(caller(render=_small), GOOGLE_KEY if door == "gemini" else {})
    try:
        await CALLS[door](ask)
    finally:
        ask.call.emulator.close()
    return ask.told


def _small(clip: Clip) -> bytes:
    """A short file in place of every other: what is in it does not count here."""
    return _FILM


_FILM = render(Clip(model="a", prompt="b", seed=0, width=320, height=180, seconds=1, fps=30, audio=False))
