"""Kling's legacy protocol: `model_name` in the body, one query address for each kind of task.

Sources: Kling's API documents (legacy video pages and envelope, read 2026-09-20; error table, read 2026-10-04), and the
official parameter lists as clients of autumn 2026 send them. Kling said on 2026-07-15 that the protocol stays. It is
the one that takes an access key with a secret key, and the one that gateways relay.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from attrs import field, frozen

from ..catalog.kling import UNIT
from ..errors import MultiVideoError
from ..shapes import Loose, Unreadable, read
from ..values.clips import Clip
from ..values.credits import Credits
from ..values.refs import VendorRef
from ..wire import (
    Asset,
    Charge,
    Exchange,
    JobState,
    JobStatus,
    LookUp,
    Order,
    Resend,
    Step,
    SweepPage,
    WireRequest,
    WireResponse,
)
from .common import (
    Judged,
    accepting,
    fetch,
    job_id,
    origin_of,
    quoted,
    read_body,
    readable,
    reading,
    unix_seconds,
    unwelcome,
    word_of,
)
from .kling_legacy_order import KINDS, body_of, kind_of
from .kling_words import (
    RULES,
    amount_of,
    as_text,
    ending,
    is_clock_fault,
    judged_answer,
    takes_of,
)

__all__ = ["KINDS", "KlingLegacyBackend"]

_PAGE, _LAST_PAGE = 100, 1000  # Kling counts pages up to 1000
_NOTHING: tuple[object, ...] = (None, "", {}, [])


@frozen
class _Made:
    task_id: str


@frozen
class _Created:
    data: Loose[_Made] = None
    task_id: Loose[str] = None  # where some gateways put it

    @property
    def name(self) -> str:
        return self.data.task_id if self.data is not None else self.task_id or ""


@frozen
class _One:
    data: Any


@frozen
class _Listed:
    data: list[Any]


@frozen
class _Info:
    external_task_id: Loose[str] = None


@frozen
class _Result:
    videos: Loose[list[Any]] = None


@frozen
class _Video:
    url: str
    watermark_url: Loose[str] = None


@frozen
class _Cash:
    quota: Any = None  # after discount; beside it stands the list price


@frozen
class _Task:
    task_id: str
    task_status: str
    task_status_msg: Loose[str] = None
    task_info: Loose[_Info] = None
    task_result: Loose[_Result] = None
    final_unit_deduction: Any = None
    final_balance_deduction: Any = None
    created_at: Any = None
    updated_at: Any = None


@frozen
class _Age:
    created_at: Any = None


@frozen
class KlingLegacyBackend:
    """Describes the messages of one Kling address; `region` is where the key was shown, "" at any other address.

    A reference holds the kind of the task and its id, "text2video/9000...": a task is found under its kind alone.
    """

    name: str
    base_url: str
    region: str = field(default="singapore")
    family = "kling-legacy"
    rules = RULES
    looks_up_by_id = True  # the attempt id went along

    @property
    def origins(self) -> tuple[str, ...]:
        """Where the key may go; files lie elsewhere and are fetched without it."""
        return (origin_of(self.base_url),)

    def submit(self, order: Order) -> Step[VendorRef]:
        """Start one clip from words, pictures, elements and shots."""
        return self._create(order)

    def extend(self, order: Order) -> Step[VendorRef]:
        """Start the next shot after a clip; the file holds that shot alone."""
        return self._create(order)

    def edit(self, order: Order) -> Step[VendorRef]:
        """Change a clip by words, or let a picture move as a clip does."""
        return self._create(order)

    def _create(self, order: Order) -> Step[VendorRef]:
        """Send it; where the token came too early or too late, once more with one that is signed anew."""
        kind = kind_of(order.wire_model, order.segment)
        body = body_of(order, self.name)
        request = WireRequest("POST", self._address(kind), json=body, resend=Resend.IF_UNSENT)
        reader = accepting(
            order, self.name, self.family, self._judged, lambda r: f"{kind}/{job_id(read_body(_Created, r).name)}"
        )
        exchange = Exchange(request, reader)
        return Step.of(exchange, lambda error: exchange if is_clock_fault(error) else None)

    def _address(self, kind: str, name: str | None = None) -> str:
        base = f"{self.base_url}/v1/videos/{kind}"
        return base if name is None else f"{base}/{quote(name, safe='', errors='replace')}"

    def poll(self, ref: VendorRef) -> Exchange[JobStatus]:
        """Look at one task, under its kind."""
        kind, _, name = ref.remote_id.partition("/")
        if kind not in KINDS:  # no reference that `submit` gave
            kind, name = kind_of(ref.wire_model), ref.remote_id
        look = reading(self.name, self._judged, lambda response: self._one(kind, name, response))

        def task(response: WireResponse) -> JobStatus:
            if self._is_not_there(response):
                return JobStatus(ref.remote_id, JobState.MISSING, "1203")
            return look(response)

        return Exchange(WireRequest("GET", self._address(kind, name)), task)

    def _is_not_there(self, response: WireResponse) -> bool:
        """Whether Kling itself says that there is no such task; a proxy's 404 says nothing."""
        judged = self._judged(response)
        return judged is not None and judged.said.code == "1203" and response.status == 404

    def _one(self, kind: str, name: str, response: WireResponse) -> JobStatus:
        """The task of that id.

        Raises: Unreadable for another: ids of ours and of Kling's are asked for at one address.
        """
        status = self._row(kind, read_body(_One, response).data)
        if status is None or status.remote_id != f"{kind}/{name}":
            raise Unreadable("another task than was asked for @ $.data.task_id")
        return status

    def _row(self, kind: str, row: Any) -> JobStatus | None:
        """What a row says of its task; None: it names none. What cannot be read is told, and the task goes on."""
        try:
            name = job_id(read(_Made, row).task_id)
        except Unreadable:
            return None
        try:
            return self._status(kind, read(_Task, row), row)
        except Unreadable as why:
            return JobStatus(f"{kind}/{name}", JobState.UNKNOWN, f"unreadable: {quoted(str(why))}", raw=row)

    def _status(self, kind: str, task: _Task, raw: Any) -> JobStatus:
        state, error = ending(task.task_status, task.task_status_msg, self.name)
        result, done = task.task_result or _Result(), state is JobState.SUCCEEDED
        files = ((video.url, video.watermark_url) for video, _ in readable(_Video, result.videos or ()))
        return JobStatus(
            f"{kind}/{task.task_id}",
            state,
            word_of(task.task_status),
            assets=takes_of(files, task.updated_at, "$.data.task_result.videos") if done else (),
            error=error,
            charge=self._charge(task),
            external_id=(task.task_info or _Info()).external_task_id or None,
            raw=raw,
        )

    def _charge(self, task: _Task) -> Charge | None:
        """Units, and money where it can only be dollars: the amount names no currency, and Beijing bills in yuan."""
        units, balance = task.final_unit_deduction, task.final_balance_deduction
        if units in _NOTHING and balance in _NOTHING:
            return None
        raw, foreign = as_text([units, balance]), balance not in _NOTHING and self.region != "singapore"
        try:
            deducted = None if units in _NOTHING else str(amount_of(units, "$.data.final_unit_deduction"))
            cash = None if balance in _NOTHING else _dollars(balance)
        except ValueError:  # an amount of another form, or beyond what money can be
            foreign = True
        if foreign:
            return Charge(None, None, None, raw)
        return Charge(cash, deducted, None if deducted is None else UNIT, raw)

    def download(self, asset: Asset) -> WireRequest:
        """Fetch the finished file, without the key: its address is signed."""
        return fetch(asset, self.origins)

    def refusal(self, response: WireResponse) -> MultiVideoError | None:
        """The error that an answer is, a 200 with a code inside too; None: it is a success."""
        judged = self._judged(response)
        return None if judged is None else unwelcome(judged, response, self.name)

    def _judged(self, response: WireResponse) -> Judged | None:
        return judged_answer(response, self.region)

    def poll_many(self, refs: Sequence[VendorRef]) -> None:
        """None: tasks are looked at one by one."""
        return

    def sweep(self, *, since: float, cursor: str | None = None) -> Exchange[SweepPage]:
        """The tasks of this account, kind after kind; in which order Kling lists them is not documented."""
        kind, number = _place(cursor)

        def page(response: WireResponse) -> SweepPage:
            rows = read_body(_Listed, response).data
            found = [status for row in rows if _is_since(row, since) and (status := self._row(kind, row)) is not None]
            return SweepPage(tuple(found), _following(kind, number, full=len(rows) >= _PAGE))

        request = WireRequest("GET", f"{self._address(kind)}?pageNum={number}&pageSize={_PAGE}")
        return Exchange(request, reading(self.name, self._judged, page))

    def look_up(self, lost: LookUp) -> Exchange[tuple[JobStatus, ...]]:
        """The task that carries the attempt id, which Kling takes in the place of its own."""
        kind = kind_of(lost.wire_model, lost.segment)

        def named(response: WireResponse) -> tuple[JobStatus, ...]:
            status = self._row(kind, read_body(_One, response).data)
            if status is None:
                raise Unreadable("a task without an id @ $.data.task_id")
            return (status,) if status.external_id in {None, lost.attempt_id} else ()

        look = reading(self.name, self._judged, named)

        def tasks(response: WireResponse) -> tuple[JobStatus, ...]:
            return () if self._is_not_there(response) else look(response)

        return Exchange(WireRequest("GET", self._address(kind, lost.attempt_id)), tasks)

    def probe(self) -> Exchange[None]:
        """Whether the key works: a list of one task."""
        request = WireRequest("GET", f"{self._address(KINDS[0])}?pageNum=1&pageSize=1")
        return Exchange(request, reading(self.name, self._judged, lambda _: None))

    def cancel(self, ref: VendorRef) -> None:
        """None: no such call is documented; a task that nobody waits for runs on and is charged."""
        return

    def character(self, name: str, clip: Clip, wire_model: str) -> None:
        """None: elements are made in Kling's console; an `Element` with its id names one here."""
        return

    def charge(self, status: JobStatus) -> Charge | None:
        """What the task says was deducted."""
        return status.charge


def _dollars(balance: Any) -> Credits:
    """What was taken from a balance. Raises: ValueError for anything that is no amount."""
    return Credits.from_usd(amount_of(read(_Cash, balance).quota, "$.data.final_balance_deduction.quota"))


def _is_since(row: Any, since: float) -> bool:
    """Whether a row is not older; one that does not say counts as young."""
    try:
        created = unix_seconds(read(_Age, row).created_at)
    except Unreadable:
        return True
    return created is None or created >= int(since)


def _place(cursor: str | None) -> tuple[str, int]:
    """Kind and page that a cursor of ours means."""
    match = re.fullmatch(r"([a-z0-9-]+):([1-9][0-9]{0,3})", cursor or "")
    return (match[1], int(match[2])) if match and match[1] in KINDS else (KINDS[0], 1)


def _following(kind: str, number: int, *, full: bool) -> str | None:
    """The cursor of the next page: of this kind while pages are full, then of the next kind."""
    if full and number < _LAST_PAGE:
        return f"{kind}:{number + 1}"
    later = KINDS[KINDS.index(kind) + 1 :]
    return f"{later[0]}:1" if later else None
