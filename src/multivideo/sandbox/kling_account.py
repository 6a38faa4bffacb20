"""Kling's account: what is left of the prepaid pack, and what each task took from it.

Source: Kling's pages on account usage and on deduction details, read 2026-09-20. Every account here has one pack and no
cash, so that the list of cash deductions is always empty.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import islice

from attrs import define, field, frozen

from multivideo.sandbox.fields import is_object
from multivideo.sandbox.jobs import Job, State
from multivideo.sandbox.kling_desk import MONTH_MS, NAME, Desk, Filters
from multivideo.sandbox.kling_products import UNIT_MICRO_USD
from multivideo.sandbox.wire import Reply, Request

__all__ = ["AccountDesk"]

_PACK = "video-emulator"
_KEY_NAME = "emulator"
_VIDEOS = ("feature_video", "base_video", "video")
_CASH_FILTERS: Mapping[str, None] = {"api_key_name": None}
_PACK_FILTERS: Mapping[str, None] = {
    **_CASH_FILTERS, "product_type": None, "package_name": None, "package_id": None,
}  # fmt: skip


@frozen
class _Asked:
    """A list of deductions, and how many of its rows were shown already."""

    start: int
    end: int
    filters: Filters
    shown: int = 0


@define(eq=False)
class AccountDesk:
    """Answers about the account; a question costs nothing."""

    _desk: Desk
    _cursors: dict[str, _Asked] = field(factory=dict)

    def costs(self, request: Request, account: str) -> Reply:
        """What is left of the pack. Wrapped twice, as by Kling."""
        self._desk.strike()
        if not all(request.query.get(name, "").isdecimal() for name in ("start_time", "end_time")):
            raise self._desk.refuse(1201, "start_time and end_time are required")
        spent = self._desk.store.spent(NAME, account) / UNIT_MICRO_USD
        now = int(self._desk.store.clock.wall() * 1000)
        pack = {
            "resource_pack_name": _PACK,
            "resource_pack_id": _pack_id(account),
            "resource_pack_type": "decreasing_total",
            "total_quantity": float(self._desk.units),
            "remaining_quantity": round(self._desk.units - spent, 4),
            "purchase_time": now - MONTH_MS,
            "effective_time": now - MONTH_MS,
            "invalid_time": now + 5 * MONTH_MS,
            "status": "online",
        }
        wanted = request.query.get("resource_pack_name", _PACK) == _PACK
        packs = {"resource_pack_subscribe_infos": [pack]} if wanted else {}
        return self._desk.ok({"code": 0, "msg": "success", **packs})

    def billing(self, request: Request, account: str, purse: str) -> Reply:
        """What was taken from the pack or from the cash, newest first, by cursor."""
        self._desk.strike()
        body = self._desk.body(request)
        asked = self._asked(body, purse)
        limit = self._desk.limit(body, 500)
        rows = self._rows(account, asked) if purse == "package" else iter(())
        found = list(islice(rows, asked.shown, asked.shown + limit + 1))
        page, more = found[:limit], len(found) > limit
        data: dict[str, object] = {"result": {"detail": page, "count": len(page)}, "has_more": more}
        if more:
            data["next_cursor"] = cursor = self._desk.store.hex(32)
            self._cursors[cursor] = _Asked(asked.start, asked.end, asked.filters, asked.shown + limit)
        return self._desk.ok(data)

    def _asked(self, body: Mapping[str, object], purse: str) -> _Asked:
        if cursor := body.get("cursor"):
            known = self._cursors.get(str(cursor))
            if known is None:
                raise self._desk.refuse(1201, "cursor: is invalid")
            return known
        if not all(body.get(name) for name in ("start_time", "end_time")):
            raise self._desk.refuse(1201, "start_time and end_time are required")
        start, end = (self._desk.time(body, name, 0) for name in ("start_time", "end_time"))
        filters = self._desk.filters(body, _PACK_FILTERS if purse == "package" else _CASH_FILTERS)
        if {"package_name", "package_id"} <= {key for key, _ in filters}:
            raise self._desk.refuse(1201, "filters: only one of package_name and package_id is allowed")
        return _Asked(start, end, filters)

    def _rows(self, account: str, asked: _Asked) -> Iterator[dict[str, object]]:
        now = self._desk.store.clock.wall()
        jobs = self._desk.store.of_account(NAME, account)
        paid = sorted((job for job in jobs if job.state(now) in (State.DONE, State.EXPIRED)), key=lambda job: job.ended)
        left, rows = Decimal(self._desk.units), []
        for job in paid:
            rows.append(_row(job, left, account))
            left -= Decimal(str(job.request["units"]))
        for row in reversed(rows):
            in_time = asked.start <= int(str(row["deduction_time"])) <= asked.end
            is_so = {**row, "package_name": _PACK}
            if in_time and all(is_so[key] in values for key, values in asked.filters):
                yield row


def _pack_id(account: str) -> str:
    return hashlib.sha256(account.encode()).hexdigest()[:32]


def _row(job: Job, before: Decimal, account: str) -> dict[str, object]:
    """The deduction of a task."""
    settings, contents = job.request["settings"], job.request.get("contents", [])
    kinds = [item.get("type") for item in contents if is_object(item)] if isinstance(contents, list) else []
    audio = settings.get("audio", "off") if is_object(settings) else "off"
    units = Decimal(str(job.request["units"]))
    return {
        "task_id": job.id,
        "api_key_name": _KEY_NAME,
        "product_function": job.request["family"],
        "model_name": job.model,
        "resolution": settings["resolution"] if is_object(settings) else "",
        "duration": job.request["length"],
        "refer_video_input": any(kind in _VIDEOS for kind in kinds),
        "video_sound": audio,
        "voice_control": "voice" in kinds,
        "deduction_time": str(int(job.ended * 1000)),
        "unit_before_deduction": format(before, "f"),
        "deduction_amount": format(units, "f"),
        "unit_after_deduction": format(before - units, "f"),
        "package_id": _pack_id(account),
        "product_type": "video",
    }
