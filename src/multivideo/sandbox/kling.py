"""Kling's door: the new protocol (`/text-to-video/kling-3.0`, `/tasks`, ...) and the files it gives out.

What Kling does not document is our choice: a repeated `external_task_id` is refused with 1201, the list is newest
first, and a wrong link signature answers 403.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import uuid
from collections.abc import Mapping
from typing import TypedDict

from attrs import define, field

from multivideo.sandbox.faults import Fault, deliver
from multivideo.sandbox.fields import is_int, is_object, load_object
from multivideo.sandbox.jobs import Job, JobStore, State
from multivideo.sandbox.kling_materials import BadField
from multivideo.sandbox.kling_order import FAILURES, ordered_length, read_order
from multivideo.sandbox.kling_products import PRODUCTS, UNIT_MICRO_USD, Product
from multivideo.sandbox.wire import Refused, Reply, Request, json_reply

__all__ = ["KlingDoor"]

_NAME = "kling"
_FAMILIES = frozenset(family for family, _ in PRODUCTS)
_MONTH_MS = 30 * 86_400_000
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")
_WORDS = {State.QUEUED: "submitted", State.RUNNING: "processing", State.FAILED: "failed"}
# Kling's error code page: code, HTTP status; the message where one was recorded, else the page's meaning.
_CODES: Mapping[int, tuple[int, str]] = {
    1000: (401, "Authentication failed"),
    1001: (401, "Authorization is empty"),
    1002: (401, "api key not found"),
    1003: (401, "Authorization is not yet valid"),
    1004: (401, "Authorization has expired"),
    1100: (429, "Account exception"),
    1101: (429, "Account in arrears"),
    1102: (429, "Resource pack depleted or expired"),
    1103: (403, "Unauthorized access to requested resource"),
    1200: (400, "Invalid request parameters"),
    1201: (400, "Invalid parameters"),
    1202: (404, "The requested method is invalid"),
    1203: (404, "The requested resource does not exist"),
    1300: (400, "Trigger the platform strategy"),
    1301: (400, "Trigger the content security policy"),
    1302: (429, "The API request is too fast"),
    1303: (429, "parallel task over resource pack limit"),
    1304: (429, "Trigger the IP whitelist policy"),
    5000: (500, "Server internal error"),
    5001: (503, "Server temporarily unavailable"),
    5002: (504, "Server internal timeout"),
}


class _ListQuery(TypedDict):
    """What a page of the task list was asked for; `before` is the number of the last job already shown."""

    start: int
    end: int
    filters: list[tuple[str, list[object]]]
    before: int
    limit: int


@define(eq=False)
class KlingDoor:
    """The new protocol, account costs and result files."""

    _store: JobStore
    _strict: bool = field(default=False, kw_only=True)
    _slots: int = field(default=20, kw_only=True)
    _units: int = field(default=1_000_000, kw_only=True)
    _videos: dict[str, Job] = field(factory=dict)
    _cursors: dict[str, _ListQuery] = field(factory=dict)
    _secret: bytes = b""

    def __attrs_post_init__(self) -> None:
        self._secret = self._store.random.randbytes(32)

    async def handle(self, request: Request) -> Reply:
        """Any answer of this door."""
        match request.method, request.segments[1:]:
            case "GET", ("files", name):
                return await self._file(request, name)
        account = self._account(request)
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
                    raise self._refuse(1203, f"model '{model}' does not exist")
                if method != "POST":
                    raise self._refuse(1202)
                return self._create(request, product, account)
            case _, ("tasks",) | ("account", "costs"):
                raise self._refuse(1202)
            case _, ("v1", *_):
                raise self._refuse(1203, "this emulator does not serve the legacy protocol yet")
        raise self._refuse(1203)

    def _refuse(self, code: int, message: str | None = None) -> Refused:
        status, text = _CODES[code]
        return Refused(json_reply(status, {"code": code, "message": message or text, "request_id": self._uuid()}))

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._store.random.getrandbits(128), version=4))

    def _ok(self, data: object) -> Reply:
        return json_reply(200, {"code": 0, "message": "SUCCEED", "request_id": self._uuid(), "data": data})

    def _fault(self, fault: Fault) -> Reply:
        """What Kling answers with an injected status, or with an injected code of its own."""
        value = int(fault.value)
        if value in _CODES:
            return self._refuse(value).reply
        code = {401: 1002, 403: 1103, 404: 1203, 429: 1302, 503: 5001, 504: 5002}.get(
            value, 5000 if value >= 500 else 1200
        )
        return json_reply(value, {"code": code, "message": _CODES[code][1], "request_id": self._uuid()})

    def _account(self, request: Request) -> str:
        if not request.headers.get("authorization", "").strip():
            raise self._refuse(1001)
        token = request.bearer()
        if token is None:
            raise self._refuse(1002, "Authorization is invalid")
        if _JWT.fullmatch(token):
            raise self._refuse(1002, "The current API does not support AK/SK")
        if token == "bad-key":  # noqa: S105 - the word by which a wrong key is played
            raise self._refuse(1002)
        return token

    def _create(self, request: Request, product: Product, account: str) -> Reply:
        try:
            body = load_object(request.body)
        except ValueError:
            raise self._refuse(1200, "Request body is not a valid JSON object") from None
        try:
            draft = read_order(product, body, strict=self._strict)
        except BadField as bad:
            raise self._refuse(1201, str(bad)) from None
        if self._store.spent(_NAME, account) + draft.cost > self._units * UNIT_MICRO_USD:
            raise self._refuse(1102)
        if "content_policy" in draft.prompt.lower():
            raise self._refuse(1301)
        if draft.external_id and self._store.external(_NAME, account, draft.external_id):
            raise self._refuse(1201, f"options.external_task_id: value '{draft.external_id}' already exists")
        if self._store.is_full(_NAME, account, product.model, self._slots):
            raise self._refuse(1303)
        job = self._store.accept(request, _NAME, account, draft, self._store.digits(18), self._fault)
        task = self._task(request, job, job.created, State.QUEUED)
        return self._ok({name: task[name] for name in task if name not in ("outputs", "billing")})

    def _query(self, request: Request, account: str) -> Reply:
        given = {name: request.query.get(name, "") for name in ("task_ids", "external_task_ids")}
        if not any(given.values()):
            raise self._refuse(1201, "task_ids or external_task_ids is required")
        if all(given.values()):
            raise self._refuse(1201, "only one of task_ids and external_task_ids is allowed")
        by_id = given["task_ids"].split(",") if given["task_ids"] else []
        by_name = given["external_task_ids"].split(",") if given["external_task_ids"] else []
        found = [self._store.get(_NAME, item.strip()) for item in by_id]
        found += [self._store.external(_NAME, account, item.strip()) for item in by_name]
        now = self._store.clock.wall()
        tasks = []
        for job in dict.fromkeys(job for job in found if job is not None and job.credential == account):
            hits = job.look(self._fault)
            task = self._task(request, job, now, job.state(now))
            if word := hits.get("unknown_status"):
                task |= {"status": word.value or "warming_up", "outputs": [], "billing": []}
            tasks += [] if job.hidden else [task]
        return self._ok(tasks)

    def _task(self, request: Request, job: Job, now: float, state: State) -> dict[str, object]:
        """The task object. Times are milliseconds; `update_time` is that of the last change of status."""
        changed = {State.QUEUED: job.created, State.RUNNING: job.started}.get(state, job.ended)
        task: dict[str, object] = {
            "id": job.id,
            "status": _WORDS.get(state, "succeeded"),
            "message": FAILURES[job.draft.reason or "generation_failed"] if state is State.FAILED else "",
            "create_time": int(job.created * 1000),
            "update_time": int(changed * 1000),
        }
        if job.draft.external_id:
            task["external_id"] = job.draft.external_id
        done = state in (State.DONE, State.EXPIRED)
        task["outputs"] = [self._output(request, job)] if done else []
        row = {"charge_type": "unit", "amount": job.request["units"], "package_type": "video"}
        return {**task, "billing": [row] if done else []}

    def _output(self, request: Request, job: Job) -> dict[str, object]:
        """The video, by signed links on the host that was asked."""
        name = job.names.setdefault("video", self._store.digits(18))
        self._videos[name] = job
        settings, options = job.request["settings"], job.request["options"]
        length = ordered_length(settings) if is_object(settings) else 0
        output: dict[str, object] = {"type": "video", "id": name, "url": self._link(request, job, f"{name}.mp4")}
        if is_object(options) and options["watermark_info"] == {"enabled": True}:
            output["watermark_url"] = self._link(request, job, f"{name}-watermark.mp4")
        return {**output, "duration": f"{length}.041"}

    def _link(self, request: Request, job: Job, name: str) -> str:
        until = int(job.expires or 0)
        return f"{request.origin}/kling/files/{name}?expires={until}&sign={self._sign(name, until)}"

    def _sign(self, name: str, until: int | str) -> str:
        return hmac.new(self._secret, f"{name}.{until}".encode(), hashlib.sha256).hexdigest()

    async def _file(self, request: Request, name: str) -> Reply:
        """A finished file for whoever holds the link. A credential does not belong here and is refused."""
        if "authorization" in request.headers:
            return _page(403, "A signed link takes no Authorization header.")
        sign = self._sign(name, request.query.get("expires", ""))
        if not hmac.compare_digest(sign.encode(), request.query.get("sign", "").encode()):
            return _page(403, "The signature does not match.")
        job = self._videos[name.removesuffix(".mp4").removesuffix("-watermark")]
        hits = job.fetch(self._fault)
        if job.state(self._store.clock.wall()) is State.EXPIRED or "download_late" in hits:
            return _page(404, "The file does not exist.")
        data = await self._store.pool.fetch(job.clips[0])
        return deliver(request, hits, data, "video/mp4")

    def _list(self, request: Request, account: str) -> Reply:
        """Tasks by cursor, newest first. A cursor stands for its query and overrides all that comes with it."""
        asked = self._list_query(request)
        filters = asked["filters"]
        now = self._store.clock.wall()
        chosen = []
        for job in reversed(self._store.all(_NAME, account)):
            task = self._task(request, job, now, job.state(now))
            wanted = {"status": task["status"], "product_type": "video"}
            in_time = asked["start"] <= int(job.created * 1000) <= asked["end"] and job.number < asked["before"]
            if in_time and not job.gone and all(wanted.get(key) in values for key, values in filters):
                chosen.append((job, task))
        page, more = chosen[: asked["limit"]], len(chosen) > asked["limit"]
        if not page:
            return self._ok({"count": 0, "has_more": False})
        data: dict[str, object] = {"result": [task for _, task in page], "count": len(page), "has_more": more}
        if more:
            data["next_cursor"] = cursor = self._store.hex(32)
            self._cursors[cursor] = {**asked, "before": page[-1][0].number}
        return self._ok(data)

    def _list_query(self, request: Request) -> _ListQuery:
        try:
            body = load_object(request.body or b"{}")
        except ValueError:
            raise self._refuse(1200, "Request body is not a valid JSON object") from None
        limit = body.get("limit", 100)
        if not is_int(limit) or not 1 <= limit <= 500:
            raise self._refuse(1201, "limit: must be between 1 and 500")
        if cursor := body.get("cursor"):
            known = self._cursors.get(str(cursor))
            if known is None:
                raise self._refuse(1201, "cursor: is invalid")
            return {**known, "limit": limit}
        end = self._time(body, "end_time", int(self._store.clock.wall() * 1000))
        start = self._time(body, "start_time", end - _MONTH_MS)
        filters = self._filters(body.get("filters", []))
        return {"start": start, "end": end, "filters": filters, "before": 2**62, "limit": limit}

    def _time(self, body: Mapping[str, object], name: str, default: int) -> int:
        """Milliseconds, as digits or as a number: the pages show both."""
        value = body.get(name) or default
        if is_int(value) or (isinstance(value, str) and value.isdecimal() and len(value) < 20):
            return int(value)
        raise self._refuse(1201, f"{name}: must be a time in milliseconds")

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
                raise self._refuse(1201, f"filters[{place}]: is invalid")
            read.append((str(key), values))
        return read

    def _costs(self, request: Request, account: str) -> Reply:
        """What is left of the one prepaid pack that every account has. Wrapped twice, as by Kling."""
        if not all(request.query.get(name, "").isdecimal() for name in ("start_time", "end_time")):
            raise self._refuse(1201, "start_time and end_time are required")
        spent = self._store.spent(_NAME, account) / UNIT_MICRO_USD
        now = int(self._store.clock.wall() * 1000)
        pack = {
            "resource_pack_name": "video-emulator",
            "resource_pack_id": hashlib.sha256(account.encode()).hexdigest()[:32],
            "resource_pack_type": "decreasing_total",
            "total_quantity": float(self._units),
            "remaining_quantity": round(self._units - spent, 4),
            "purchase_time": now - _MONTH_MS,
            "effective_time": now - _MONTH_MS,
            "invalid_time": now + 5 * _MONTH_MS,
            "status": "online",
        }
        wanted = request.query.get("resource_pack_name", "video-emulator") == "video-emulator"
        packs = {"resource_pack_subscribe_infos": [pack]} if wanted else {}
        return self._ok({"code": 0, "msg": "success", **packs})


def _page(status: int, text: str) -> Reply:
    return Reply.of(status, text.encode(), "text/plain; charset=utf-8")
