"""Kling's current protocol: the model in the path, one query for all tasks.

Sources: Kling's API documents (create and query pages, read 2026-09-20; error table, read 2026-10-04), and answers of
the service that others recorded up to 2026-10-04. Kling documents no way to stop or to delete a task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
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
    unwelcome,
    word_of,
)
from .kling_order import body_of, kind_of
from .kling_words import RULES, amount_of, as_text, ending, judged_answer, takes_of

__all__ = ["KlingBackend"]

_PAGE = 100


@frozen
class _Made:
    id: str


@frozen
class _Created:
    data: _Made


@frozen
class _Tasks:
    data: list[Any]


@frozen
class _Listed:
    result: Loose[list[Any]] = None  # absent where there are no tasks
    next_cursor: Loose[str] = None
    has_more: Loose[bool] = None


@frozen
class _List:
    data: _Listed


@frozen
class _Task:
    id: str
    status: str
    message: Loose[str] = None
    external_id: Loose[str] = None
    create_time: Any = None
    update_time: Any = None
    outputs: Loose[list[Any]] = None
    billing: Loose[list[Any]] = None


@frozen
class _Output:
    url: str
    watermark_url: Loose[str] = None
    type: str = "video"


@frozen
class _Bill:
    charge_type: str
    amount: Any
    currency: Loose[str] = None
    package_type: Any = None


@frozen
class KlingBackend:
    """Describes the messages of one Kling address; `region` is named where a key is refused, "" at any other."""

    name: str
    base_url: str
    region: str = field(default="singapore")
    family = "kling"
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
        request = WireRequest(
            "POST",
            f"{self.base_url}/{kind_of(order)}/{quote(order.wire_model, safe='')}",
            json=body_of(order, self.name),
            resend=Resend.IF_UNSENT,
        )
        reader = accepting(
            order, self.name, self.family, self._judged, lambda r: job_id(read_body(_Created, r).data.id)
        )
        return Step.of(Exchange(request, reader))

    def poll(self, ref: VendorRef) -> Exchange[JobStatus]:
        """Look at one task."""
        several = self.poll_many([ref])
        return Exchange(several.request, lambda response: several.read(response)[ref.remote_id])

    def poll_many(self, refs: Sequence[VendorRef]) -> Exchange[Mapping[str, JobStatus]]:
        """Look at several tasks with one request; matched by id, never by place."""
        ids = [ref.remote_id for ref in refs]

        def tasks(response: WireResponse) -> Mapping[str, JobStatus]:
            rows = read_body(_Tasks, response).data
            named = [status for row in rows if (status := self._row(row)) is not None]
            found = {status.remote_id: status for status in reversed(named)}
            # an unknown id is no error but left out; whatever hides in a row without an id is not missing
            lost = JobState.MISSING if len(named) == len(rows) else JobState.UNKNOWN
            return {name: found.get(name) or JobStatus(name, lost, "") for name in ids}

        return Exchange(self._tasks(ids), reading(self.name, self._judged, tasks))

    def _tasks(self, names: Sequence[str], key: str = "task_ids") -> WireRequest:
        asked = ",".join(quote(name, safe="", errors="replace") for name in names)
        return WireRequest("GET", f"{self.base_url}/tasks?{key}={asked}")

    def _row(self, row: Any) -> JobStatus | None:
        """What a row says of its task; None: it names none. What cannot be read is told, and the task goes on."""
        try:
            name = job_id(read(_Made, row).id)
        except Unreadable:
            return None
        try:
            return self._status(read(_Task, row), row)
        except Unreadable as why:
            return JobStatus(name, JobState.UNKNOWN, f"unreadable: {quoted(str(why))}", raw=row)

    def _status(self, task: _Task, raw: Any) -> JobStatus:
        state, error = ending(task.status, task.message, self.name)
        outputs = (output for output, _ in readable(_Output, task.outputs or ()) if output.type == "video")
        videos = ((output.url, output.watermark_url) for output in outputs)
        done = state is JobState.SUCCEEDED
        return JobStatus(
            task.id,
            state,
            word_of(task.status),
            assets=takes_of(videos, task.update_time, "$.data[].outputs") if done else (),
            error=error,
            charge=_charge(task.billing or ()),
            external_id=task.external_id or None,
            raw=raw,
        )

    def download(self, asset: Asset) -> WireRequest:
        """Fetch the finished file, without the key: its address is signed."""
        return fetch(asset, self.origins)

    def refusal(self, response: WireResponse) -> MultiVideoError | None:
        """The error that an answer is, a 200 with a code inside too; None: it is a success."""
        judged = self._judged(response)
        return None if judged is None else unwelcome(judged, response, self.name)

    def _judged(self, response: WireResponse) -> Judged | None:
        return judged_answer(response, self.region)

    def sweep(self, *, since: float, cursor: str | None = None) -> Exchange[SweepPage]:
        """The video tasks of this account."""
        body: dict[str, Any] = {"limit": _PAGE, "filters": [{"key": "product_type", "values": ["video"]}]}
        # a string of milliseconds in twelve of the documents' pages, a number in two; ignored beside a cursor
        body |= {"cursor": cursor} if cursor is not None else {"start_time": str(int(since * 1000)), "cursor": ""}

        def page(response: WireResponse) -> SweepPage:
            listed = read_body(_List, response).data
            found = [status for row in listed.result or () if (status := self._row(row)) is not None]
            more = listed.has_more and listed.next_cursor != cursor  # the same page again would never end
            return SweepPage(tuple(found), (listed.next_cursor or None) if more else None)

        request = WireRequest("POST", f"{self.base_url}/tasks", json=body)
        return Exchange(request, reading(self.name, self._judged, page))

    def look_up(self, lost: LookUp) -> Exchange[tuple[JobStatus, ...]]:
        """The task that carries the attempt id."""

        def tasks(response: WireResponse) -> tuple[JobStatus, ...]:
            found = [self._row(row) for row in read_body(_Tasks, response).data]
            if None in found:
                raise Unreadable("a task without an id @ $.data[].id")
            return tuple(status for status in found if status and status.external_id in {None, lost.attempt_id})

        request = self._tasks([lost.attempt_id], key="external_task_ids")
        return Exchange(request, reading(self.name, self._judged, tasks))

    def probe(self) -> Exchange[None]:
        """Whether the key works: the packs of one past day, since the list wants two times and any will do."""
        url = f"{self.base_url}/account/costs?start_time=1767225600000&end_time=1767312000000"
        return Exchange(WireRequest("GET", url), reading(self.name, self._judged, lambda _: None))

    def cancel(self, ref: VendorRef) -> None:
        """None: no such call is documented; a task that nobody waits for runs on and is charged."""
        return

    def character(self, name: str, clip: Clip, wire_model: str) -> None:
        """None: elements are made in Kling's console; an `Element` with its id names one here."""
        return

    def charge(self, status: JobStatus) -> Charge | None:
        """What the task's billing rows say."""
        return status.charge


def _charge(rows: Sequence[Any]) -> Charge | None:
    """The sum of the billing rows; one that means no amount of video units or dollars spoils the sum."""
    if not rows:
        return None
    raw = as_text(rows)
    sums: dict[str, Decimal] = {}
    try:
        for row in rows:
            bill = read(_Bill, row)
            sums[bill.charge_type] = sums.get(bill.charge_type, Decimal(0)) + _amount(bill)
        cash = Credits.from_usd(sums["cash"]) if "cash" in sums else None
    except ValueError:  # a row of another form, or a sum beyond what money can be
        return Charge(None, None, None, raw)
    return Charge(cash, str(sums["unit"]), UNIT, raw) if "unit" in sums else Charge(cash, None, None, raw)


def _amount(bill: _Bill) -> Decimal:
    """The amount of a row, which means nothing without its kind: units of video, or US dollars.

    Raises: Unreadable for any other kind; units of other packs (pictures, audio) have other prices.
    """
    units = bill.charge_type == "unit" and bill.package_type in (None, "", "video")
    cash = bill.charge_type == "cash" and bill.currency == "USD"
    if not (units or cash):
        raise Unreadable("a bill of another kind @ $.data[].billing[]")
    return amount_of(bill.amount, "$.data[].billing[].amount")
