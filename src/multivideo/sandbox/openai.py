"""OpenAI's door: all ten operations of `/openai/v1/videos` as api.openai.com served them until 2026-09-24."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

import anyio.to_thread
from attrs import define, evolve, field

from multivideo.sandbox.addresses import Opened
from multivideo.sandbox.faults import Fault, deliver
from multivideo.sandbox.jobs import Draft, Job, JobStore, State
from multivideo.sandbox.openai_characters import CharacterDesk
from multivideo.sandbox.openai_fields import Upload, read_fields, refuse
from multivideo.sandbox.openai_order import read_order
from multivideo.sandbox.openai_sequel import Sequel, Source, read_edit, read_extension, read_remix, source_of, uploaded
from multivideo.sandbox.render import Clip, spritesheet, thumbnail
from multivideo.sandbox.switches import Switches
from multivideo.sandbox.wire import Refused, Reply, Request, file_reply, json_reply

__all__ = ["OpenAIDoor"]

_NAME = "openai"
_WORDS = ("edits", "extensions", "characters")  # paths of their own, which only look like those of a video
_FAILURES = {
    "moderation_blocked": "Your request was blocked by our moderation system.",
    "video_generation_failed": "Video generation failed due to an internal error.",
}
_NOT_READY = "Video is not ready yet, use GET /v1/videos/{video_id} to check status."
# HTTP status of an injected fault: type, code, message.
_FAULTS: Mapping[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "The request was refused."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: ("invalid_request_error", None, "Your organization must be verified to use this model."),
    404: ("invalid_request_error", None, "Video not found."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for sora-2. Please try again later."),
}
_SERVER_ERROR = ("server_error", None, "The server had an error while processing your request")


@define(eq=False)
class OpenAIDoor:
    """The Videos API."""

    _store: JobStore
    _switches: Switches = field(factory=Switches)
    _characters: CharacterDesk = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._characters = CharacterDesk(self._store, _NAME, _fault_reply)

    async def handle(self, request: Request) -> Reply:
        """Any answer of this door, with the headers that every one of them has."""
        try:
            reply = await self._answer(request)
        except Refused as refusal:
            reply = refusal.reply
        more = {
            "x-request-id": f"req_{self._store.hex(32)}",
            "openai-version": "2020-10-01",
            "openai-processing-ms": "12",
        }
        if request.method == "POST":
            more |= {f"x-ratelimit-{name}-requests": value for name, value in _LIMITS.items()}
        return evolve(reply, headers=(*reply.headers, *more.items()))

    async def _answer(self, request: Request) -> Reply:
        key = _credential(request)
        match request.method, request.segments[1:]:
            case "POST", ("v1", "videos"):
                return await self._create(request, key)
            case "GET", ("v1", "videos"):
                return self._list(request, key)
            case "POST", ("v1", "videos", "edits"):
                return self._continue(request, key, read_edit(read_fields(request)))
            case "POST", ("v1", "videos", "extensions"):
                return self._continue(request, key, read_extension(read_fields(request)))
            case "POST", ("v1", "videos", "characters"):
                return self._characters.create(request, key)
            case "GET", ("v1", "videos", "characters", name) if name:
                return self._characters.show(name, key)
            case "POST", ("v1", "videos", name, "remix") if name:
                return self._continue(request, key, read_remix(read_fields(request), name))
            case "GET", ("v1", "videos", name) if name and name not in _WORDS:
                return self._get(name, key)
            case "DELETE", ("v1", "videos", name) if name and name not in _WORDS:
                return self._delete(name, key)
            case "GET", ("v1", "videos", name, "content"):
                return await self._content(request, name, key)
        raise _no_such_call(request)

    async def _create(self, request: Request, key: str) -> Reply:
        def look_up(ids: Sequence[str], prompt: str) -> Sequence[bytes]:
            return self._characters.look(ids, prompt, key)

        fields = read_fields(request)
        opened = await Opened.by(fields.get("input_reference"), self._store.clock)
        return self._accept(request, key, read_order(fields, look_up, opened, self._switches.input_reference))

    def _continue(self, request: Request, key: str, order: Sequel) -> Reply:
        """A new job from a finished one, or from a file."""
        given = order.video
        source = uploaded(order, given) if isinstance(given, Upload) else self._source(given, key)
        return self._accept(request, key, order.draft(source))

    def _source(self, name: str, key: str) -> Source:
        job = self._find(name, key)
        if job.gone:
            raise _not_found(name)
        clip = self._finished(job, refuse(400, f"Video with id '{name}' is not completed."))
        return source_of(job, clip)

    def _accept(self, request: Request, key: str, draft: Draft) -> Reply:
        created = int(self._store.clock.wall())
        job = self._store.accept(request, _NAME, key, draft, f"video_{created:08x}{self._store.hex(24)}", _fault_reply)
        return json_reply(200, _video(job, job.created, State.QUEUED))

    def _get(self, name: str, key: str) -> Reply:
        job = self._find(name, key)
        hits = job.look(_fault_reply)
        if job.hidden:
            raise _not_found(name)
        now = self._store.clock.wall()
        video = _video(job, now)
        if word := hits.get("unknown_status"):
            video["status"] = word.value or "warming_up"
        hint = job.script.find("poll_after_ms")
        return json_reply(200, video, {"openai-poll-after-ms": hint.value} if hint and not job.state(now).over else {})

    def _list(self, request: Request, key: str) -> Reply:
        self._store.faults.strike(_NAME, _fault_reply)
        limit, after, order = _page(request.query)
        jobs, last = self._store.of_account(_NAME, key), None if after is None else self._store.get(_NAME, after)
        places = range(len(jobs)) if order == "asc" else range(len(jobs) - 1, -1, -1)
        if after is not None:
            known = last is not None and last.credential == key and not last.gone
            places = places[places.index(last.place) + 1 :] if last is not None and known else range(0)
        # One more than a page holds says whether there are more; the rest of a long list is not looked at.
        found = list(islice((jobs[place] for place in places if not jobs[place].gone), limit + 1))
        now = self._store.clock.wall()
        page = [_video(job, now) for job in found[:limit]]
        ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
        return json_reply(200, {"object": "list", "data": page, **ends, "has_more": len(found) > limit})

    def _delete(self, name: str, key: str) -> Reply:
        self._store.faults.strike(_NAME, _fault_reply)
        job = self._find(name, key)
        if job.gone:
            raise _not_found(name)
        if not job.state(self._store.clock.wall()).over:
            raise refuse(400, f"Video with id '{name}' is still being processed and cannot be deleted.")
        self._store.delete(job)
        return json_reply(200, {"id": name, "object": "video.deleted", "deleted": True})

    async def _content(self, request: Request, name: str, key: str) -> Reply:
        job = self._find(name, key)
        hits = job.fetch(_fault_reply)
        if job.gone:
            raise _not_found(name)
        variant = request.query.get("variant", "video")
        if variant not in ("video", "thumbnail", "spritesheet"):
            message = f"Invalid value: '{variant}'. Supported values are: 'video', 'thumbnail', and 'spritesheet'."
            raise refuse(400, message, code="invalid_value", param="variant")
        clip = self._finished(job, refuse(404, _NOT_READY))
        if "download_late" in hits:
            raise refuse(404, _NOT_READY)
        data = await self._store.pool.fetch(clip)
        if variant == "video":
            return deliver(request, hits, data, "video/mp4", _attachment(f"{name}.mp4"))
        if variant == "thumbnail":
            still = await self._still(thumbnail, data)
            return file_reply(request, still, "image/webp", _attachment(f"{name}.webp"))
        still = await self._still(spritesheet, data)
        return file_reply(request, still, "image/jpeg", _attachment(f"{name}.jpg"))

    def _finished(self, job: Job, unfinished: Refused) -> Clip:
        """The file of a job; `unfinished` is raised where there is none yet, or will be none."""
        state = job.state(self._store.clock.wall())
        if state is State.EXPIRED:
            raise refuse(404, f"The files of video '{job.id}' have expired.")
        if state is not State.DONE:
            raise unfinished
        return job.clips[0]

    async def _still(self, draw: Callable[[bytes], bytes], data: bytes) -> bytes:
        with self._store.clock.working():
            return await anyio.to_thread.run_sync(draw, data)

    def _find(self, name: str, key: str) -> Job:
        job = self._store.get(_NAME, name)
        if job is None or job.credential != key:
            raise _not_found(name)
        return job


_LIMITS = {"limit": "375", "remaining": "374", "reset": "160ms"}


def _credential(request: Request) -> str:
    """The key: a bearer token, or the `api-key` header that Azure takes."""
    key = request.bearer() or request.headers.get("api-key")
    if not key:
        raise refuse(401, "You didn't provide an API key in the Authorization header.", code="invalid_api_key")
    if key == "bad-key":
        raise refuse(401, f"Incorrect API key provided: {key}.", code="invalid_api_key")
    return key


def _not_found(name: str) -> Refused:
    return refuse(404, f"Video with id '{name}' not found.")


def _no_such_call(request: Request) -> Refused:
    """The path is known and its methods are others, or the path is not known."""
    path = "/" + "/".join(request.segments[1:])
    match request.segments[1:]:
        case ("v1", "videos") | ("v1", "videos", "characters", _) | ("v1", "videos", _, "content" | "remix"):
            known = True
        case ("v1", "videos", name):
            known = bool(name)
        case _:
            known = False
    if not known:
        return refuse(404, f"Invalid URL ({request.method} {path})")
    hint = "(HINT: Perhaps you meant to use a different HTTP method?)"
    return refuse(405, f"Not allowed to {request.method} on {path}. {hint}")


def _attachment(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{name}"'}


def _page(query: Mapping[str, str]) -> tuple[int, str | None, str]:
    """Limit, the id after which to go on, and the order of a list."""
    text, order = query.get("limit", "20"), query.get("order", "desc")
    if not re.fullmatch("-?[0-9]{1,9}", text):
        message = f"Invalid type for 'limit': expected an integer, but got '{text}' instead."
        raise refuse(400, message, code="invalid_type", param="limit")
    if int(text) < 0:
        message = f"Invalid 'limit': integer below minimum value. Expected a value >= 0, but got {text} instead."
        raise refuse(400, message, code="integer_below_min_value", param="limit")
    if int(text) > 100:
        message = f"Invalid 'limit': integer above maximum value. Expected a value <= 100, but got {text} instead."
        raise refuse(400, message, code="integer_above_max_value", param="limit")
    if order not in ("asc", "desc"):
        message = f"Invalid value: '{order}'. Supported values are: 'asc' and 'desc'."
        raise refuse(400, message, code="invalid_value", param="order")
    return int(text), query.get("after") or None, order


def _video(job: Job, now: float, state: State | None = None) -> dict[str, object]:
    """The Video object: always all thirteen fields, null where nothing is known."""
    state = state or job.state(now)
    done = state in (State.DONE, State.EXPIRED)
    failed = state is State.FAILED
    if state is State.RUNNING and job.draft.reason == "moderation_blocked":
        state = State.QUEUED  # refused jobs were seen to go from queued straight to failed
    words = {State.QUEUED: "queued", State.RUNNING: "in_progress", State.FAILED: "failed"}
    code = job.draft.reason or "video_generation_failed"
    return {
        "id": job.id,
        "object": "video",
        "model": job.model,
        "status": words.get(state, "completed"),
        "progress": _progress(job, now, state),
        "created_at": int(job.created),
        "completed_at": int(job.ended) if done else None,
        "expires_at": int(job.expires) if done and job.expires is not None else None,
        "prompt": job.draft.prompt,
        "size": job.request["size"],
        "seconds": job.request["seconds"],
        "remixed_from_video_id": job.request["video"] if job.request.get("operation") == "remix" else None,
        "error": {"code": code, "message": _FAILURES[code]} if failed else None,
    }


def _progress(job: Job, now: float, state: State) -> int:
    """Percent: 0 in the queue, up to 99 while it runs, 100 at the end; a failure keeps what it had reached."""
    if state is State.QUEUED or job.draft.reason == "moderation_blocked":
        return 0
    if state in (State.RUNNING, State.FAILED):
        span = job.created + job.latency - job.started
        return min(99, math.floor(100 * (now - job.started) / span)) if span > 0 else 99
    return 100


def _fault_reply(fault: Fault) -> Reply:
    """What OpenAI answers with an injected status."""
    status = int(fault.value)
    kind, code, message = _FAULTS.get(status, _SERVER_ERROR)
    return json_reply(status, {"error": {"message": message, "type": kind, "param": None, "code": code}})
