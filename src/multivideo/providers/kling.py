"""Kling's current protocol: the model in the path, one query for all tasks.

Sources: Kling's API documents (create and query pages, read 2026-09-20; error table, read 2026-10-04), and answers of
the service that others recorded up to 2026-10-04. Kling documents no way to stop or to delete a task.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from attrs import field, frozen

from ..catalog.kling import UNIT
from ..errors import (
    AuthenticationFailed,
    ContentFiltered,
    GenerationFailed,
    InvalidRequest,
    MultiVideoError,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    UnsupportedFeature,
)
from ..shapes import Loose, Unreadable, read
from ..values.credits import Credits
from ..values.media import Media
from ..values.refs import VendorRef
from ..values.request import Mode
from ..wire import (
    Answer,
    AnswerRule,
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
    HTTP_RULES,
    Judged,
    Said,
    accepting,
    base64_text,
    check_order,
    fetch,
    job_id,
    judge,
    merged,
    origin_of,
    picture,
    quoted,
    read_body,
    readable,
    reading,
    retry_after,
    unix_seconds,
    unsupported_picture,
    unwelcome,
)

__all__ = ["RULES", "STATES", "KlingBackend"]

STATES = {
    "submitted": JobState.PENDING,
    "processing": JobState.RUNNING,
    "succeeded": JobState.SUCCEEDED,
    "succeed": JobState.SUCCEEDED,  # the word of the legacy protocol, which gateways mix in
    "failed": JobState.FAILED,
}

RULES: tuple[AnswerRule, ...] = (
    AnswerRule(None, ("1000", "1001", "1002", "1003", "1004", "1103"), Answer.REJECTED, AuthenticationFailed),
    # HTTP says 429 to these too, but no waiting helps: account blocked, in arrears, pack used up, address not listed
    AnswerRule(None, ("1100", "1101", "1102", "1304"), Answer.REJECTED, RateLimited),
    AnswerRule(None, ("1302", "1303"), Answer.REJECTED, RateLimited, retryable=True),
    AnswerRule(None, ("1200", "1201", "1202"), Answer.REJECTED, InvalidRequest),
    AnswerRule(None, ("1203",), Answer.REJECTED, UnsupportedFeature),
    AnswerRule(None, ("1300", "1301"), Answer.REJECTED, ContentFiltered),
    AnswerRule(None, ("5001",), Answer.REJECTED, ProviderUnavailable, retryable=True),
    # an internal error or a timeout on a create may have made the task all the same
    AnswerRule(None, ("5000", "5002"), Answer.UNKNOWN, ProviderUnavailable, retryable=True),
    *HTTP_RULES,
)

_FILTER_WORDS = ("risk control", "sensitive", "policy", "violat", "prohibit")
_KEPT_S = 30 * 86_400  # files and their addresses are cleared after 30 days
_PAGE = 100
_AMOUNT = re.compile(r"\d{1,12}(\.\d{1,12})?")

# Settings that a model has beside duration and resolution; the docs ask not to send what is not listed.
_SETTINGS: Mapping[str, frozenset[str]] = {
    "kling-3.0-turbo": frozenset(),
    "kling-2.6": frozenset({"audio"}),
    "kling-2.5-turbo": frozenset(),
}
_ALL_SETTINGS = frozenset({"audio", "multi_shot"})


@frozen
class _Head:
    code: Loose[int] = None
    message: Loose[str] = None
    request_id: Loose[str] = None


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
    type: str = "video"


@frozen
class _Bill:
    charge_type: str
    amount: Any
    currency: Loose[str] = None


@frozen
class KlingBackend:
    """Describes the messages of one Kling address; `region` is named where a key is refused."""

    name: str
    base_url: str
    region: str = field(default="singapore")
    family = "kling"
    rules = RULES

    @property
    def origins(self) -> tuple[str, ...]:
        """Where the key may go; files lie elsewhere and are fetched without it."""
        return (origin_of(self.base_url),)

    def submit(self, order: Order) -> Step[VendorRef]:
        """Start one clip. Our attempt id goes along: it is what a lost answer is looked up by."""
        check_order(order, self.name)
        framed = order.segment.mode is Mode.FIRST_FRAME
        kind = "omni-video" if order.wire_model.endswith("-omni") else "image-to-video" if framed else "text-to-video"
        body: dict[str, Any] = {
            "settings": self._settings(order),
            "options": {"external_task_id": order.attempt_id},
        }
        if kind == "text-to-video":
            body["prompt"] = order.prompt
        else:
            body["contents"] = [{"type": "prompt", "text": order.prompt}]
        if order.first_frame is not None:
            body["contents"].append({"type": "first_frame", "url": self._picture(order.first_frame)})
        request = WireRequest(
            "POST",
            f"{self.base_url}/{kind}/{quote(order.wire_model, safe='')}",
            json=merged(body, order.options, self.name),
            resend=Resend.IF_UNSENT,
        )
        reader = accepting(
            order, self.name, self.family, self._judged, lambda r: job_id(read_body(_Created, r).data.id)
        )
        return Step.of(Exchange(request, reader))

    def _settings(self, order: Order) -> dict[str, Any]:
        """Every setting that the model has. Left out, `multi_shot` would be true and cut the clip as it likes."""
        segment, has = order.segment, _SETTINGS.get(order.wire_model, _ALL_SETTINGS)
        settings: dict[str, Any] = {"resolution": segment.resolution, "duration": segment.seconds}
        if segment.mode is Mode.TEXT:  # a first frame decides the shape
            settings["aspect_ratio"] = segment.aspect_ratio
        if "audio" in has:
            settings["audio"] = "native" if segment.audio else "off"
        if "multi_shot" in has:
            settings["multi_shot"] = False
        return settings

    def _picture(self, frame: Media) -> str:
        """An address, or plain Base64: a "data:" prefix is refused."""
        if frame.url is None:
            return base64_text(picture(frame, self.name)[0])
        if not frame.url.startswith("https://"):
            raise unsupported_picture("a gs:// address", "an https address, a file or bytes", self.name)
        return frame.url

    def poll(self, ref: VendorRef) -> Exchange[JobStatus]:
        """Look at one task."""

        def task(response: WireResponse) -> JobStatus:
            rows = read_body(_Tasks, response).data
            for row in rows:
                task = read(_Task, row)
                if task.id == ref.remote_id:
                    return self._status(task, row)
            return JobStatus(ref.remote_id, JobState.MISSING, "")  # an unknown id is an empty list and no error

        return Exchange(self._tasks([ref.remote_id]), reading(self.name, self._judged, task))

    def poll_many(self, refs: Sequence[VendorRef]) -> Exchange[Mapping[str, JobStatus]]:
        """Look at several tasks with one request; matched by id, never by place."""
        ids = [ref.remote_id for ref in refs]

        def tasks(response: WireResponse) -> Mapping[str, JobStatus]:
            rows = read_body(_Tasks, response).data
            found: dict[str, JobStatus] = {}
            for row in rows:
                try:
                    task = read(_Task, row)
                    found[task.id] = self._status(task, row)
                except Unreadable:
                    continue
            # whatever hides in a row that cannot be read is not missing
            lost = JobState.MISSING if len(found) == len(rows) else JobState.UNKNOWN
            return {name: found.get(name) or JobStatus(name, lost, "") for name in ids}

        return Exchange(self._tasks(ids), reading(self.name, self._judged, tasks))

    def _tasks(self, names: Sequence[str], key: str = "task_ids") -> WireRequest:
        return WireRequest("GET", f"{self.base_url}/tasks?{key}={','.join(quote(name, safe='') for name in names)}")

    def _status(self, task: _Task, raw: Any) -> JobStatus:
        state, error = self._state(task)
        updated = unix_seconds(task.update_time)
        videos = [
            output for output, _ in readable(_Output, task.outputs or ()) if output.type == "video" and output.url
        ]
        if state is JobState.SUCCEEDED and not videos:
            raise Unreadable("a task that succeeded has no video @ $.data[].outputs")
        expires_at = None if updated is None else updated + _KEPT_S
        return JobStatus(
            task.id,
            state,
            task.status,
            assets=tuple(Asset(v.url, expires_at=expires_at) for v in videos) if state is JobState.SUCCEEDED else (),
            error=error,
            charge=_charge(task.billing or ()),
            external_id=task.external_id or None,
            raw=raw,
        )

    def _state(self, task: _Task) -> tuple[JobState, ProviderError | None]:
        """The state, and why there is no video. A failed task has no code: its text is all there is."""
        state = STATES.get(task.status.lower(), JobState.UNKNOWN)
        if state is not JobState.FAILED:
            return state, None
        text = quoted(task.message or "").rstrip(".") or "no reason was given"
        if any(word in text.lower() for word in _FILTER_WORDS):
            what = f"{self.name} refuses this content: {text}."
            return JobState.FILTERED, ContentFiltered(what, charged="held", provider=self.name)
        what = f"{self.name} ended the job without a video: {text}."
        return state, GenerationFailed(what, charged="held", provider=self.name)

    def download(self, asset: Asset) -> WireRequest:
        """Fetch the finished file, without the key: its address is signed."""
        return fetch(asset, self.origins)

    def refusal(self, response: WireResponse) -> MultiVideoError | None:
        """The error that an answer is, a 200 with a code inside too; None: it is a success."""
        judged = self._judged(response)
        return None if judged is None else unwelcome(judged, response, self.name)

    def _judged(self, response: WireResponse) -> Judged | None:
        try:
            head = read_body(_Head, response)
        except Unreadable:
            head = _Head()
        if 200 <= response.status < 300 and not head.code:
            return None
        own = head.code is not None and (head.code == 0 or head.code >= 1000)  # a proxy repeats the HTTP status
        said = Said(str(head.code or ""), head.message or "", own, retry_after(response))
        hint = ""
        if said.code in {"1000", "1001", "1002"}:
            other = {"singapore": "beijing", "beijing": "singapore"}.get(self.region, "the other")
            hint = f"a key works in one region only: this one was shown to {self.region}; region={other!r}?"
        return Judged(judge(RULES, response.status, said.code, own), said, hint)

    def sweep(self, *, since: float, cursor: str | None = None) -> Exchange[SweepPage]:
        """The video tasks of this account."""
        body: dict[str, Any] = {"limit": _PAGE, "filters": [{"key": "product_type", "values": ["video"]}]}
        # a string of milliseconds in twelve of the documents' pages, a number in two; ignored beside a cursor
        body |= {"cursor": cursor} if cursor is not None else {"start_time": str(int(since * 1000)), "cursor": ""}

        def page(response: WireResponse) -> SweepPage:
            listed = read_body(_List, response).data
            found = []
            for task, raw in readable(_Task, listed.result or ()):
                try:
                    found.append(self._status(task, raw))
                except Unreadable:
                    continue
            return SweepPage(tuple(found), (listed.next_cursor or None) if listed.has_more else None)

        request = WireRequest("POST", f"{self.base_url}/tasks", json=body)
        return Exchange(request, reading(self.name, self._judged, page))

    def look_up(self, lost: LookUp) -> Exchange[tuple[JobStatus, ...]]:
        """The task that carries the attempt id."""

        def tasks(response: WireResponse) -> tuple[JobStatus, ...]:
            rows = read_body(_Tasks, response).data
            found = [self._status(read(_Task, row), row) for row in rows]
            return tuple(status for status in found if status.external_id in {None, lost.attempt_id})

        request = self._tasks([lost.attempt_id], key="external_task_ids")
        return Exchange(request, reading(self.name, self._judged, tasks))

    def probe(self) -> Exchange[None]:
        """Whether the key works: the packs of one past day, since the list wants two times and any will do."""
        url = f"{self.base_url}/account/costs?start_time=1767225600000&end_time=1767312000000"
        return Exchange(WireRequest("GET", url), reading(self.name, self._judged, lambda _: None))

    def cancel(self, ref: VendorRef) -> None:
        """None: no such call is documented; a task that nobody waits for runs on and is charged."""
        return

    def extend(self, order: Order, source: VendorRef) -> None:
        """None: not built yet; the catalog refuses the mode."""
        return

    def edit(self, order: Order, source: VendorRef) -> None:
        """None: not built yet; the catalog refuses the mode."""
        return

    def charge(self, status: JobStatus) -> Charge | None:
        """What the task's billing rows say."""
        return status.charge


def _charge(rows: Sequence[Any]) -> Charge | None:
    """The sum of the billing rows; an amount means nothing without its `charge_type`, so such a row spoils the sum."""
    if not rows:
        return None
    raw = json.dumps(rows, default=str)
    units, dollars = Decimal(0), Decimal(0)
    kinds = set()
    for row in rows:
        try:
            bill = read(_Bill, row)
        except Unreadable:
            return Charge(None, None, None, raw)
        kind = (bill.charge_type, bill.currency if bill.charge_type == "cash" else None)
        amount = str(bill.amount) if type(bill.amount) in {str, int, Decimal} else ""
        if kind not in {("unit", None), ("cash", "USD")} or not _AMOUNT.fullmatch(amount):
            return Charge(None, None, None, raw)
        kinds.add(bill.charge_type)
        units += Decimal(amount) if bill.charge_type == "unit" else 0
        dollars += Decimal(amount) if bill.charge_type == "cash" else 0
    cash = Credits.from_usd(dollars) if "cash" in kinds else None
    return Charge(cash, str(units), UNIT, raw) if "unit" in kinds else Charge(cash, None, None, raw)
