"""Kling's door: the new protocol (`/text-to-video/kling-3.0`, `/tasks`), and ways to the legacy one and the account.

What Kling does not document is our choice: the list is newest first, and leaves out tasks of the legacy protocol,
which a query by id finds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Self, TypedDict

from attrs import define, field

from multivideo.sandbox.callbacks import Notice
from multivideo.sandbox.fields import is_object
from multivideo.sandbox.jobs import Job, JobStore, State
from multivideo.sandbox.kling_account import AccountDesk
from multivideo.sandbox.kling_desk import MONTH_MS, NAME, Desk, Filters
from multivideo.sandbox.kling_draft import FAILURES
from multivideo.sandbox.kling_files import FileShelf
from multivideo.sandbox.kling_legacy import LegacyDoor
from multivideo.sandbox.kling_materials import BadField
from multivideo.sandbox.kling_order import read_order
from multivideo.sandbox.kling_products import PRODUCTS, Product
from multivideo.sandbox.wire import Reply, Request

__all__ = ["KlingDoor"]

_FAMILIES = frozenset(family for family, _ in PRODUCTS)
_FILTERS = {
    "status": ("submitted", "processing", "succeeded", "failed"),
    "product_type": ("video", "image", "try_on"),
}
_WORDS = {State.QUEUED: "submitted", State.RUNNING: "processing", State.FAILED: "failed"}
_LEAN = ("message", "external_id", "billing", "update_time")  # what clients have seen missing


class _ListQuery(TypedDict):
    """What a page of the task list was asked for; `before` is the place of the last job already shown."""

    start: int
    end: int
    filters: Filters
    before: int
    limit: int


@define(eq=False)
class KlingDoor:
    """Both protocols over one store of tasks."""

    _desk: Desk
    _shelf: FileShelf
    _legacy: LegacyDoor
    _account: AccountDesk
    _strict: bool
    _cursors: dict[str, _ListQuery] = field(factory=dict)

    @classmethod
    def over(cls, store: JobStore, *, strict: bool, slots: int, units: int) -> Self:
        """The door to a store of jobs."""
        desk = Desk(store, slots, units)
        shelf = FileShelf(desk)
        return cls(desk, shelf, LegacyDoor(desk, shelf, strict), AccountDesk(desk), strict)

    async def handle(self, request: Request) -> Reply:
        """Any answer of this door."""
        match request.method, request.segments[1:]:
            case "GET", ("files", name):
                return await self._shelf.serve(request, name)
            case _, ("v1", *path):
                return await self._legacy.handle(request, path)
        # older than API keys: clients with access and secret key read what is left by their token too
        costs = request.segments[1:] == ("account", "costs")
        account = self._desk.account(request, signed=costs)
        match request.method, request.segments[1:]:
            case "GET", ("tasks",):
                return self._query(request, account)
            case "POST", ("tasks",):
                return self._list(request, account)
            case "GET", ("account", "costs"):
                return self._account.costs(request, account)
            case "POST", ("account", "billing", ("package" | "balance") as purse):
                return self._account.billing(request, account, purse)
            case method, (family, model) if family in _FAMILIES:
                product = PRODUCTS.get((family, model))
                if product is None:
                    raise self._desk.refuse(1203, f"model '{model}' does not exist")
                if method != "POST":
                    raise self._desk.refuse(1202)
                return await self._create(request, product, account)
            case _, ("tasks",) | ("account", "costs") | ("account", "billing", "package" | "balance"):
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

    async def _create(self, request: Request, product: Product, account: str) -> Reply:
        body = self._desk.body(request)
        try:
            media = await self._shelf.media(request, body.get("contents"))
            draft = read_order(product, body, media, strict=self._strict)
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
        self._desk.strike()
        asked = self._list_query(request)
        now = self._desk.store.clock.wall()
        # One more than a page holds says whether there are more; the rest of a long list is not looked at.
        chosen = list(islice(self._listed(account, asked, now), asked["limit"] + 1))
        page, more = chosen[: asked["limit"]], len(chosen) > asked["limit"]
        if not page:
            return self._desk.ok({"count": 0, "has_more": False})
        result = [self._task(job, job.state(now), request.origin) for job in page]
        data: dict[str, object] = {"result": result, "count": len(page), "has_more": more}
        if more:
            data["next_cursor"] = cursor = self._desk.store.hex(32)
            self._cursors[cursor] = {**asked, "before": page[-1].place}
        return self._desk.ok(data)

    def _listed(self, account: str, asked: _ListQuery, now: float) -> Iterator[Job]:
        """The tasks of a query, newest first."""
        jobs = self._desk.store.of_account(NAME, account)
        for place in range(min(asked["before"], len(jobs)) - 1, -1, -1):
            job = jobs[place]
            if "legacy" in job.draft.request:
                continue
            created = int(job.created * 1000)
            if created < asked["start"]:
                return
            if created > asked["end"] or job.gone:
                continue
            is_so = {"status": _WORDS.get(job.state(now), "succeeded"), "product_type": "video"}
            if all(is_so[key] in values for key, values in asked["filters"]):
                yield job

    def _list_query(self, request: Request) -> _ListQuery:
        body = self._desk.body(request) if request.body else {}
        limit = self._desk.limit(body, 100)
        if cursor := body.get("cursor"):
            known = self._cursors.get(str(cursor))
            if known is None:
                raise self._desk.refuse(1201, "cursor: is invalid")
            return {**known, "limit": limit}
        end = self._desk.time(body, "end_time", int(self._desk.store.clock.wall() * 1000))
        start = self._desk.time(body, "start_time", end - MONTH_MS)
        filters = self._desk.filters(body, _FILTERS)
        return {"start": start, "end": end, "filters": filters, "before": 2**62, "limit": limit}
