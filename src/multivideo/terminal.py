"""What the command line shows: a line of progress for each job, tables, and the same as JSON."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from attrs import define, field, fields, has

from .catalog.book import UNIT_PRICES, Catalog
from .catalog.check import lifecycle_refusals
from .catalog.facts import ModelPath
from .errors import InvalidRequest, MultiVideoError
from .ledger.statement import short_id
from .values.credits import Credits, dollars
from .values.events import Event, Failed, Planned, Progress, Retried, Submitted
from .values.plan import Plan, Segment
from .values.refs import JobRef, VendorRef
from .values.result import Video
from .values.tables import clock_text, table
from .values.words import Mode

if TYPE_CHECKING:
    from .jobs.recover import RecoveryReport
    from .ledger.account import CreditAccount
    from .ledger.records import Budget
    from .ledger.reports import Unresolved

__all__ = [
    "Board",
    "Row",
    "access_json",
    "access_text",
    "balance_text",
    "budgets_text",
    "error_json",
    "job_json",
    "jobs_text",
    "made_of",
    "models_json",
    "models_text",
    "plain",
    "plan_json",
    "recovery_json",
    "scorecard_text",
    "spent_text",
    "unresolved_text",
    "video_json",
    "video_text",
]


@define
class Board:
    """One line for each job. On a terminal a line changes in place; elsewhere a new one tells each new state.

    `expected_s` is how long a job takes, where that is known better than by its events; `silent` shows nothing.
    """

    _out: TextIO
    _expected_s: float | None = None
    _silent: bool = False
    _rows: list[Row] = field(factory=list)
    _drawn: int = 0

    def row(self, name: str = "") -> Row:
        """A new line; without a name it takes that of the model that is planned."""
        self._rows.append(Row(self, name))
        return self._rows[-1]

    def tell(self, row: Row, event: Event) -> None:
        """Show what an event says, if it says anything new."""
        if (text := _progress_text(event, self._expected_s)) is None:
            return
        phase = f"{type(event).__name__} {getattr(event, 'state', '')}"
        row.text, known, row.phase = text, row.phase, phase
        self.show(row, changed=phase != known)

    def show(self, row: Row, *, changed: bool = True) -> None:
        """Draw the line again, or print it where lines stay as they are and its state has `changed`."""
        if self._silent:
            return
        if self._out.isatty():
            self._draw()
        elif changed:
            self._out.write(f"{self._line(row)}\n")
        self._out.flush()

    def _draw(self) -> None:
        width = shutil.get_terminal_size().columns - 1  # a line that wraps could not be drawn over
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        self._out.write(up + "".join(f"\r\x1b[2K{self._line(row)[:width]}\n" for row in self._rows))
        self._drawn = len(self._rows)

    def _line(self, row: Row) -> str:
        return f"{row.name.ljust(max(len(row.name) for row in self._rows))}  {row.text}".rstrip()


@define
class Row:
    """The line of one job; `on_event` is what the job is given as listener."""

    _board: Board
    name: str
    text: str = ""
    phase: str = ""

    def on_event(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, Planned):
            self.name = self.name or event.plan.first.model
        self._board.tell(self, event)

    def end(self, text: str) -> None:
        """Show how it ended."""
        self.text = text
        self._board.show(self)


def _progress_text(event: Event, expected_s: float | None) -> str | None:
    if isinstance(event, Planned):
        first = event.plan.first
        return f"planned at {first.provider}: {_segment_text(first.segments[0])}, {first.quote.upper_bound} held"
    if isinstance(event, Submitted):
        return "submitted"
    if isinstance(event, Progress):
        return _look_text(event, expected_s)
    if isinstance(event, Retried):
        return f"{event.step} again in {event.wait_s:.0f} s: {event.why}"
    if isinstance(event, Failed):
        return f"failed: {getattr(event.error, 'what', event.error)}"
    return None


_SAID = {"pending": "queued", "succeeded": "made, fetching the file", "missing": "not visible at the vendor yet"}


def _look_text(event: Progress, expected_s: float | None) -> str:
    if event.state not in {"running", "unknown"}:
        return _SAID.get(event.state, event.state)
    left_s = event.eta_s if expected_s is None else expected_s - event.elapsed_s
    words = ["running"]
    words += [] if event.percent is None else [f"{event.percent} %"]
    words += [f"(about {clock_text(left_s)} left)"] if left_s is not None and left_s >= 1 else []
    return " ".join(words)


def _segment_text(segment: Segment) -> str:
    size = f"{segment.width}x{segment.height}" if segment.width else segment.resolution
    return f"{segment.seconds} s {size} {segment.fps} fps {_audio_text(segment.audio)}"


def _audio_text(audio: bool) -> str:
    return "with audio" if audio else "silent"


def video_text(video: Video) -> str:
    """One line: what was measured, what it cost, where it lies, and where it is not as ordered."""
    made = f"{video.duration:.1f} s {video.width}x{video.height} {video.fps:g} fps {_audio_text(video.has_audio)}"
    faults = f"  not as ordered: {'; '.join(map(str, video.check.faults))}" if video.check.faults else ""
    return f"{made}  {video.charge}  {video.path}{faults}"


def made_of(videos: Iterable[tuple[Video, float]]) -> str:
    """A table of videos and the seconds that each took."""
    head = ("model", "path", "charge", "time", "pixels", "seconds", "audio", "file")
    rows = [
        (
            video.model,
            video.provider,
            str(video.charge),
            clock_text(seconds),
            f"{video.width}x{video.height}",
            f"{video.duration:.2f}",
            "yes" if video.has_audio else "no",
            str(video.path),
        )
        for video, seconds in videos
    ]
    return table([head, *rows], frozenset({2, 3, 4, 5}))


def models_text(catalog: Catalog) -> str:
    """A table of every model on every path, as of the catalog's day; what is made from a prompt alone."""
    head = ("model@path", "state", "seconds", "resolutions", "list price", "read")
    return table([head, *(tuple(map(str, _model_row(path, catalog).values())) for path in catalog.models())])


def models_json(catalog: Catalog) -> list[dict[str, str]]:
    """The same rows."""
    return [_model_row(path, catalog) for path in catalog.models()]


def _model_row(path: ModelPath, catalog: Catalog) -> dict[str, str]:
    rows = (path.mode(Mode.TEXT) or path.modes[0]).formats
    sources = [path.lifecycle.source, *(facts.source for facts in path.modes), *(rate.source for rate in path.rates)]
    return {
        "name": path.name,
        "state": _state(path, catalog),
        "seconds": _span(sorted({seconds for row in rows for seconds in row.seconds})),
        "resolutions": ", ".join(dict.fromkeys(row.resolution for row in rows)),
        "price": _price_range(path, catalog),
        "read": str(min(source.read for source in sources)),
    }


def _state(path: ModelPath, catalog: Catalog) -> str:
    if catalog.as_of is not None and (gone := lifecycle_refusals(path.lifecycle, catalog.as_of)):
        return gone[0].allowed.partition(";")[0]
    until = f" until {path.lifecycle.retires}" if path.lifecycle.retires else ""
    return f"served{until}"


def _span(numbers: Sequence[int]) -> str:
    whole = len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1
    return f"{numbers[0]}-{numbers[-1]}" if whole else ", ".join(map(str, numbers))


def _price_range(path: ModelPath, catalog: Catalog) -> str:
    """Lowest and highest price by what it is for, in US dollars."""
    prices: dict[str, list[Credits]] = {}
    for rate in path.rates:
        day = catalog.as_of
        if day is None or ((rate.since is None or rate.since <= day) and (rate.until is None or day < rate.until)):
            prices.setdefault(rate.per, []).append(Credits.from_usd(rate.amount * UNIT_PRICES[rate.unit].usd))
    spans = ((per, dict.fromkeys((min(found), max(found)))) for per, found in prices.items())
    return "; ".join(f"{'-'.join(map(_dollars, ends))} USD a {per}" for per, ends in spans) or "none known"


def _dollars(money: Credits) -> str:
    return f"{money.usd.normalize():f}"


def scorecard_text(catalog: Catalog) -> str:
    """Stars by category and flagship."""
    card = catalog.scorecard()
    models = list(dict.fromkeys(model for stars in card.values() for model in stars))
    rows = [(name, *(str(stars.get(model, "")) for model in models)) for name, stars in card.items()]
    return table([("stars, 1 to 5", *models), *rows], frozenset(range(1, len(models) + 1)))


def access_text(catalog: Catalog) -> str:
    """How to get at each model."""
    blocks = []
    for row in catalog.access():
        facts = {"entry": row.entry_cost, "billing": row.billing, "set-up": row.setup, "regions": row.regions}
        lines = [(f"  {name}", said) for name, said in {**facts, "source": str(row.source)}.items()]
        blocks.append(f"{row.model}@{row.path}\n{table(lines)}")
    return "\n".join(blocks)


def access_json(catalog: Catalog) -> list[dict[str, str]]:
    """The same rows."""
    names = ("model", "path", "entry_cost", "billing", "setup", "regions", "source")
    return [{name: str(getattr(row, name)) for name in names} for row in catalog.access()]


def video_json(video: Video) -> dict[str, Any]:
    """A video as JSON can hold it; the prompt is left out."""
    names = ("path", "model", "provider", "job_id", "duration", "width", "height", "fps", "has_audio", "size_bytes")
    more = ("sha256", "charge", "certainty", "check", "created_at", "tags")
    told = {name: plain(getattr(video, name)) for name in (*names, *more)}
    return {**told, "takes": [str(take.path) for take in video.takes]}


def plan_json(plan: Plan) -> dict[str, Any]:
    """A plan as JSON can hold it; the prompt is left out."""
    names = ("as_of", "policy", "brief", "model", "provider", "segments", "quote", "rejected")
    ranked = [{**plain(row.candidate), "score": row.score, "terms": plain(row.terms)} for row in plan.ranked]
    return {**{name: plain(getattr(plan, name)) for name in names}, "candidates": ranked}


def balance_text(account: CreditAccount) -> str:
    """What is left, held and spent, how sure that is, and what waits for a word."""
    sure = (f"{dollars(amount)} {name}" for name, amount in account.spent(by="certainty").items())
    rows = [("balance", str(account.balance)), ("held", str(account.held))]
    rows += [("spent", f"{account.spent()}: {', '.join(sure)}")]
    if waiting := len(account.unresolved()):
        rows.append(("unsure", f"{waiting}, listed by `multivideo credits unresolved`"))
    return table(rows)


def budgets_text(budgets: Mapping[Budget, Credits]) -> str:
    """A line for each budget."""
    rows = [(budget.id, dollars(budget.amount), dollars(left)) for budget, left in budgets.items()]
    return table([("budget", "of", "left"), *rows], frozenset({1, 2})) if rows else "There are no budgets."


def spent_text(by: str, spent: Mapping[str, Credits]) -> str:
    """A line for each, and their sum."""
    rows = [(name or "(none)", dollars(amount)) for name, amount in spent.items()]
    total = dollars(sum(spent.values(), Credits(micro_usd=0)))
    return table([(by, "spent"), *rows, ("in all", total)], frozenset({1}))


def unresolved_text(rows: Sequence[Unresolved]) -> str:
    """A table of them, and what to do, each thing once."""
    if not rows:
        return "Nothing is unresolved."
    head = ("attempt", "state", "since (UTC)", "held", "charged", "model@path", "vendor id", "job", "segment", "tags")
    lines = [
        (
            row.attempt_id,
            row.state,
            f"{row.since:%Y-%m-%d %H:%M}",
            dollars(row.held),
            "?" if row.charge is None else dollars(row.charge),
            f"{row.model}@{row.provider}",
            short_id(row.vendor_id),
            row.job_id,
            str(row.segment),
            _tags_text(row.tags),
        )
        for row in rows
    ]
    hints = [f"next: {hint}" for hint in dict.fromkeys(row.hint for row in rows)]
    return "\n".join([table([head, *lines], frozenset({3, 4})), *hints])


class KnownJob(Protocol):
    """What a job of either client tells of itself."""

    @property
    def id(self) -> str:
        """Our name of the job."""
        ...

    @property
    def ref(self) -> JobRef:
        """What to store of it."""
        ...

    @property
    def state(self) -> str:
        """Open, finished or failed."""
        ...

    @property
    def files(self) -> tuple[Path, ...]:
        """Where its takes lie."""
        ...

    @property
    def charge(self) -> Credits:
        """What it has cost so far."""
        ...


def jobs_text(jobs: Sequence[KnownJob], lost: Sequence[Unresolved]) -> str:
    """A line for each attempt of each job, and the submits that nobody knows to have become one."""
    head = ("job", "state", "segment", "attempt", "model@path", "vendor id", "charged", "file", "tags")
    rows = [
        (job.id, job.state, *_made_cells(part.segment, part.attempt_id, part.vendor), *_kept_cells(job), tags)
        for job in jobs
        for ref in [job.ref]
        for tags in [_tags_text(dict(ref.tags))]
        for part in ref.attempts
    ]
    for row in lost:
        vendor = VendorRef(row.provider, "", row.model, "", row.vendor_id or "")
        made = _made_cells(row.segment, row.attempt_id, vendor)
        rows.append((row.job_id, row.state, *made, "?", "", _tags_text(row.tags)))
    return table([head, *rows], frozenset({6})) if rows else "No jobs are known."


def _kept_cells(job: KnownJob) -> tuple[str, str]:
    file = str(job.files[0]) if job.files else job.ref.save_to or ""
    return ("?" if job.state == "open" else dollars(job.charge), file)


def _made_cells(segment: int, attempt_id: str, vendor: VendorRef) -> tuple[str, str, str, str]:
    return (str(segment), attempt_id, f"{vendor.model}@{vendor.provider}", short_id(vendor.remote_id))


def _tags_text(tags: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in tags.items())


def job_json(job: KnownJob) -> dict[str, Any]:
    """A job as JSON can hold it; `ref` is what `client.resume()` takes."""
    ref = job.ref
    attempts = [plain(attempt) for attempt in ref.attempts]
    return {
        "id": job.id,
        "state": job.state,
        "save_to": ref.save_to,
        "files": [str(path) for path in job.files],
        "charge": plain(job.charge),
        "tags": dict(ref.tags),
        "attempts": attempts,
        "ref": ref.to_json(),
    }


def recovery_json(report: RecoveryReport) -> dict[str, Any]:
    """What became of open jobs as JSON can hold it."""
    return {
        "videos": [video_json(video) for video in report.videos],
        "still_running": [job_json(job) for job in report.still_running],
        "failed": [error_json(error) for error in report.failed],
        "unresolved": plain(report.unresolved),
    }


def error_json(error: MultiVideoError) -> dict[str, Any]:
    """An error as JSON can hold it."""
    names = ("what", "asked", "allowed", "hint", "field", "fault", "charged", "charge", "retryable", "retry_after")
    more = ("job_id", "attempt_id", "provider", "request_id", "step")
    problems = error.problems if isinstance(error, InvalidRequest) else ()
    told = {name: plain(getattr(error, name)) for name in (*names, *more)}
    return {"error": type(error).__name__, **told, "problems": plain(problems)}


def plain(value: Any) -> Any:
    """The same in words of JSON; money exact, as text and as whole micro-USD."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Credits):
        return {"usd": _dollars(value), "micro_usd": value.micro_usd}
    if isinstance(value, dt.date):
        return value.isoformat()
    if has(type(value)):
        return {each.name: plain(getattr(value, each.name)) for each in fields(type(value))}
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, tuple | list) else str(value)
