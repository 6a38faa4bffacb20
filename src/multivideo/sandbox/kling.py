"""Kling's door: the new protocol (`/text-to-video/kling-3.0`, `/tasks`, ...), the way to the legacy one, and costs.

What Kling does not document is our choice: the list is newest first, and leaves out tasks of the legacy protocol,
which a query by id finds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Self, TypedDict

from attrs import define, field

from multivideo.sandbox.callbacks import Notice
from multivideo.sandbox.fields import is_int, is_object
from multivideo.sandbox.jobs import Job, JobStore, State
from multivideo.sandbox.kling_desk import NAME, Desk
from multivideo.sandbox.kling_files import FileShelf
from multivideo.sandbox.kling_legacy import LegacyDoor
from multivideo.sandbox.kling_materials import BadField
from multivideo.sandbox.kling_order import FAILURES, read_order
from multivideo.sandbox.kling_products import PRODUCTS, UNIT_MICRO_USD, Product
from multivideo.sandbox.wire import Reply, Request

__all__ = ["KlingDoor"]

_FAMILIES = frozenset(family for family, _ in PRODUCTS)
_MONTH_MS = 30 * 86_400_000
_WORDS = {State.QUEUED: "submitted", State.RUNNING: "processing", State.FAILED: "failed"}
_LEAN = ("message", "external_id", "billing", "update_time")  # what clients have seen missing


class _ListQuery(TypedDict):
    """What a page of the task list was asked for; `before` is the number of the last job already shown."""

    start: int
    end: int
    filters: list[tuple[str, list[object]]]
    before: int
    limit: int


@define(eq=False)
class KlingDoor:
    """Both protocols over one store of tasks."""

    _desk: Desk
    _shelf: FileShelf
    _legacy: LegacyDoor
    _strict: bool
    _cursors: dict[str, _ListQuery] = field(factory=dict)

    @classmethod
    def over(cls, store: JobStore, *, strict: bool, slots: int, units: int) -> Self:
        """The door to a store of jobs."""
        desk = Desk(store, slots, units)
        shelf = FileShelf(desk)
        return cls(desk, shelf, LegacyDoor(desk, shelf, strict), strict)

    async def handle(self, request: Request) -> Reply:
        """Any answer of this door."""
        match request.method, request.segments[1:]:
            case "GET", ("files", name):
                return await self._shelf.serve(request, name)
            case _, ("v1", *path):
                return self._legacy.handle(request, path)
        account = self._desk.account(request, signed=False)
        match request.method, request.segments[1:]:
            case "GET", ("tasks",):
                return self._query(request, account)
            case "POST", ("tasks",):
                return self._list(request, account)
            case "GET", ("account", "costs"):
                return self._costs(request, account)
            case method, (family, model) if family in _FAMILIES:
                product = PRODUCTS.get((family, model))
                if product is None:
                    raise self._desk.refuse(1203, f"model '{model}' does not exist")
                if method != "POST":
                    raise self._desk.refuse(1202)
                return self._create(request, product, account)
            case _, ("tasks",) | ("account", "costs"):
                raise self._desk.refuse(1202)
        raise self._desk.refuse(1203)

    def notice(self, job: Job, state: State) -> Notice | None:
        """What is posted to the callback address of a task when it comes to that state: the bare task."""
        options = job.request["options"]
        url = options["callback_url"] if is_object(options) else ""
        if not url:
            return None
        task = self._legacy.task(job, state) if self._legacy.family(job) else self._task(job, state)
        body = json.dumps(task, separators=(",", ":")).encode()
        return Notice(str(url), body, "application/json; charset=utf-8")

    def _create(self, request: Request, product: Product, account: str) -> Reply:
        body = self._desk.body(request)
        try:
            draft = read_order(product, body, strict=self._strict)
        except BadField as bad:
            raise self._desk.refuse(1201, str(bad)) from None
        job = self._desk.admit(request, account, draft, id_field="options.external_task_id")
        task = self._task(job, State.QUEUED)
        return self._desk.ok({name: task[name] for name in task if name not in ("outputs", "billing")})

    def _query(self, request: Request, account: str) -> Reply:
        given = {name: request.query.get(name, "") for name in ("task_ids", "external_task_ids")}
        if not any(given.values()):
            raise self._desk.refuse(1201, "task_ids or external_task_ids is required")
        if all(given.values()):
            raise self._desk.refuse(1201, "only one of task_ids and external_task_ids is allowed")
        by_id = given["task_ids"].split(",") if given["task_ids"] else []
        by_name = given["external_task_ids"].split(",") if given["external_task_ids"] else []
        store = self._desk.store
        found = [store.get(NAME, item.strip()) for item in by_id]
        found += [store.external(NAME, account, item.strip()) for item in by_name]
        now = store.clock.wall()
        tasks = []
        for job in dict.fromkeys(job for job in found if job is not None and job.credential == account):
            hits = job.look(self._desk.fault)
            task = self._task(job, job.state(now), request.origin)
            if word := hits.get("unknown_status"):
                task |= {"status": word.value or "warming_up", "outputs": [], "billing": []}
            if "lean" in hits:
                task = {name: value for name, value in task.items() if name not in _LEAN and value != []}
            tasks += [] if job.hidden else [task]
        return self._desk.ok(tasks)

    def _task(self, job: Job, state: State, origin: str = "") -> dict[str, object]:
        """The task object. Times are milliseconds; `update_time` is that of the change to its state."""
        task: dict[str, object] = {
            "id": job.id,
            "status": _WORDS.get(state, "succeeded"),
            "message": FAILURES[job.draft.reason or "generation_failed"] if state is State.FAILED else "",
            "create_time": int(job.created * 1000),
            "update_time": int(job.since(state) * 1000),
        }
        if job.draft.external_id:
            task["external_id"] = job.draft.external_id
        done = state in (State.DONE, State.EXPIRED)
        task["outputs"] = [{"type": "video", **self._shelf.video(job, origin or job.origin)}] if done else []
        row = {"charge_type": "unit", "amount": job.request["units"], "package_type": "video"}
        return {**task, "billing": [row] if done else []}

    def _list(self, request: Request, account: str) -> Reply:
        """Tasks by cursor, newest first. A cursor stands for its query and overrides all that comes with it."""
        asked = self._list_query(request)
        filters = asked["filters"]
        now = self._desk.store.clock.wall()
        chosen = []
        for job in reversed(self._desk.store.all(NAME, account)):
            task = self._task(job, job.state(now), request.origin)
            wanted = {"status": task["status"], "product_type": "video"}
            in_time = asked["start"] <= int(job.created * 1000) <= asked["end"] and job.number < asked["before"]
            seen = not job.gone and not self._legacy.family(job)
            if in_time and seen and all(wanted.get(key) in values for key, values in filters):
                chosen.append((job, task))
        page, more = chosen[: asked["limit"]], len(chosen) > asked["limit"]
        if not page:
            return self._desk.ok({"count": 0, "has_more": False})
        data: dict[str, object] = {"result": [task for _, task in page], "count": len(page), "has_more": more}
        if more:
            data["next_cursor"] = cursor = self._desk.store.hex(32)
            self._cursors[cursor] = {**asked, "before": page[-1][0].number}
        return self._desk.ok(data)

    def _list_query(self, request: Request) -> _ListQuery:
        body = self._desk.body(request) if request.body else {}
        limit = body.get("limit", 100)
        if not is_int(limit) or not 1 <= limit <= 500:
            raise self._desk.refuse(1201, "limit: must be between 1 and 500")
        if cursor := body.get("cursor"):
            known = self._cursors.get(str(cursor))
            if known is None:
                raise self._desk.refuse(1201, "cursor: is invalid")
            return {**known, "limit": limit}
        end = self._time(body, "end_time", int(self._desk.store.clock.wall() * 1000))
        start = self._time(body, "start_time", end - _MONTH_MS)
        filters = self._filters(body.get("filters", []))
        return {"start": start, "end": end, "filters": filters, "before": 2**62, "limit": limit}

    def _time(self, body: Mapping[str, object], name: str, default: int) -> int:
        """Milliseconds, as digits or as a number: the pages show both."""
        value = body.get(name) or default
        if is_int(value) or (isinstance(value, str) and value.isdecimal() and len(value) < 20):
            return int(value)
        raise self._desk.refuse(1201, f"{name}: must be a time in milliseconds")

    def _filters(self, given: object) -> list[tuple[str, list[object]]]:
        words = {
            "status": ("submitted", "processing", "succeeded", "failed"),
            "product_type": ("video", "image", "try_on"),
        }
        read = []
        for place, item in enumerate(given if isinstance(given, list) else [None]):
            key = item.get("key") if is_object(item) else None
            values = item.get("values") if is_object(item) else None
            allowed = words.get(str(key))
            if allowed is None or not isinstance(values, list) or any(word not in allowed for word in values):
                raise self._desk.refuse(1201, f"filters[{place}]: is invalid")
            read.append((str(key), values))
        return read

    def _costs(self, request: Request, account: str) -> Reply:
        """What is left of the one prepaid pack that every account has. Wrapped twice, as by Kling."""
        if not all(request.query.get(name, "").isdecimal() for name in ("start_time", "end_time")):
            raise self._desk.refuse(1201, "start_time and end_time are required")
        spent = self._desk.store.spent(NAME, account) / UNIT_MICRO_USD
        now = int(self._desk.store.clock.wall() * 1000)
        pack = {
            "resource_pack_name": "video-emulator",
            "resource_pack_id": hashlib.sha256(account.encode()).hexdigest()[:32],
            "resource_pack_type": "decreasing_total",
            "total_quantity": float(self._desk.units),
            "remaining_quantity": round(self._desk.units - spent, 4),
            "purchase_time": now - _MONTH_MS,
            "effective_time": now - _MONTH_MS,
            "invalid_time": now + 5 * _MONTH_MS,
            "status": "online",
        }
        wanted = request.query.get("resource_pack_name", "video-emulator") == "video-emulator"
        packs = {"resource_pack_subscribe_infos": [pack]} if wanted else {}
        return self._desk.ok({"code": 0, "msg": "success", **packs})
