"""Kling's legacy protocol: `/v1/videos/{family}` to create, `/{id}` to ask for one task, and its lists by page.

Sources: Kling's API pages, read 2026-09-20. An id of another family, and a family tied to models that were retired on
2026-09-15, answer 404/1203; both are assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from attrs import define

from multivideo.sandbox.fields import is_object
from multivideo.sandbox.jobs import Job, State
from multivideo.sandbox.kling_desk import NAME, Desk
from multivideo.sandbox.kling_draft import FAILURES
from multivideo.sandbox.kling_files import FileShelf
from multivideo.sandbox.kling_legacy_order import FAMILIES, MEDIA, read_legacy
from multivideo.sandbox.kling_materials import BadField
from multivideo.sandbox.wire import Reply, Request

__all__ = ["LegacyDoor"]

_RETIRED = ("multi-image2video", "video-extend")
_WORDS = {State.QUEUED: "submitted", State.RUNNING: "processing", State.FAILED: "failed"}
_LEAN = ("task_status_msg", "task_info", "watermark_info", "final_unit_deduction")


@define(eq=False)
class LegacyDoor:
    """The legacy protocol, over the store of the new one."""

    _desk: Desk
    _shelf: FileShelf
    _strict: bool

    async def handle(self, request: Request, path: Sequence[str]) -> Reply:
        """Any answer behind `/v1`."""
        account = self._desk.account(request, signed=True)
        match request.method, path:
            case _, ("videos", family, *_) if family in _RETIRED:
                raise self._desk.refuse(1203)
            case "POST", ("videos", family) if family in FAMILIES:
                return await self._create(request, family, account)
            case "GET", ("videos", family) if family in FAMILIES:
                return self._page(request, family, account)
            case "GET", ("videos", family, name) if family in FAMILIES:
                return self._single(request, family, name, account)
            case _, ("videos", family) | ("videos", family, _) if family in FAMILIES:
                raise self._desk.refuse(1202)
        raise self._desk.refuse(1203, f"this emulator does not serve /v1/{'/'.join(path)}")

    def family(self, job: Job) -> str:
        """In which family of this protocol a task was made; empty for one of the new protocol."""
        legacy = job.request.get("legacy")
        return str(legacy["family"]) if is_object(legacy) else ""

    def task(self, job: Job, state: State, origin: str = "") -> dict[str, object]:
        """The task object. A result and its price are there once it has succeeded."""
        task = {
            **self._opening(job, state),
            "task_status_msg": FAILURES[job.draft.reason or "generation_failed"] if state is State.FAILED else "",
        }
        options = job.request["options"]
        if is_object(options):
            task["watermark_info"] = options["watermark_info"]
        if state in (State.DONE, State.EXPIRED):
            task["task_result"] = {"videos": [self._shelf.video(job, origin or job.origin)]}
            task["final_unit_deduction"] = job.request["units"]
        return task

    def _opening(self, job: Job, state: State) -> dict[str, object]:
        """What an answer says of every task, a new one included. Times are milliseconds."""
        return {
            "task_id": job.id,
            "task_status": _WORDS.get(state, "succeed"),
            "task_info": {"external_task_id": job.draft.external_id} if job.draft.external_id else {},
            "created_at": int(job.created * 1000),
            "updated_at": int(job.since(state) * 1000),
        }

    async def _create(self, request: Request, family: str, account: str) -> Reply:
        body = self._desk.body(request)
        try:
            media = await self._shelf.media(request, [body.get(name) for name in MEDIA])
            draft = read_legacy(family, body, media, strict=self._strict)
        except BadField as bad:
            raise self._desk.refuse(1201, str(bad)) from None
        job = self._desk.admit(request, account, draft, id_field="externalTaskId")
        return self._desk.ok(self._opening(job, State.QUEUED))

    def _single(self, request: Request, family: str, name: str, account: str) -> Reply:
        """One task by its id, or by the id that its caller gave it."""
        store = self._desk.store
        job = store.get(NAME, name) or store.external(NAME, account, name)
        if job is None or job.credential != account or self.family(job) != family:
            raise self._desk.refuse(1203)
        hits = job.look(self._desk.fault)
        if job.hidden:
            raise self._desk.refuse(1203)
        state = job.state(store.clock.wall())
        task = self.task(job, state, request.origin)
        if word := hits.get("unknown_status"):
            task = {**self._opening(job, state), "task_status": word.value or "warming_up"}
        if "lean" in hits:
            task = {name: value for name, value in task.items() if name not in _LEAN}
        return self._desk.ok(task)

    def _page(self, request: Request, family: str, account: str) -> Reply:
        """The tasks of a family, newest first."""
        self._desk.strike()
        number, size = (self._count(request, *asked) for asked in (("pageNum", 1, 1000), ("pageSize", 30, 500)))
        store = self._desk.store
        now = store.clock.wall()
        jobs = reversed(store.of_account(NAME, account))
        found = (job for job in jobs if self.family(job) == family and not job.gone)
        page = islice(found, (number - 1) * size, number * size)
        return self._desk.ok([self.task(job, job.state(now), request.origin) for job in page])

    def _count(self, request: Request, name: str, default: int, most: int) -> int:
        text = request.query.get(name) or str(default)
        if not (text.isascii() and text.isdecimal() and len(text) < 5 and 1 <= int(text) <= most):
            raise self._desk.refuse(1201, f"{name}: must be between 1 and {most}")
        return int(text)
