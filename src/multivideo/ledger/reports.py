"""What the books tell: spending by what is asked for, the lines of a period, and what nobody knows yet. Reading only.

Spending is what went to the accounts `spent:<provider>`, less what came back from them, at the time of each line. What
is known of an attempt, its model, its vendor's id and how sure its cost is, is told as of now.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping

from attrs import field, frozen

from ..values.credits import Credits
from . import book, sql
from .records import AttemptState, Budget
from .statement import StatementRow
from .store import Db, Row, Store

__all__ = [
    "CERTAINTIES",
    "EPOCH",
    "GROUPS",
    "Span",
    "Unresolved",
    "budgets_left",
    "rows_between",
    "spent_by",
    "spent_in_all",
    "unresolved",
]

PAGE = 5_000  # lines that are read at once: other threads may write between two pages
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

_SPENT = """
SELECT {key}, SUM(CASE WHEN substr(e.debit, 1, 6) = 'spent:' THEN e.amount_micro ELSE -e.amount_micro END)
FROM entries e {more}
WHERE (substr(e.debit, 1, 6) = 'spent:' OR substr(e.credit, 1, 6) = 'spent:') {span}
GROUP BY 1 ORDER BY 1
"""
_ATTEMPT = "JOIN attempts a ON a.id = e.attempt_id"
_KEYS: Mapping[str, tuple[str, str]] = {
    "": ("''", ""),
    "model": ("a.model", _ATTEMPT),
    "provider": ("substr(CASE WHEN substr(e.debit, 1, 6) = 'spent:' THEN e.debit ELSE e.credit END, 7)", ""),
    "brief": ("COALESCE(j.brief, '')", f"{_ATTEMPT} JOIN jobs j ON j.id = a.job_id"),
    "day": ("e.at_ms / 86400000", ""),
    "certainty": ("a.certainty", _ATTEMPT),
    "tag": (
        "COALESCE(t.value, '')",
        f"{_ATTEMPT} LEFT JOIN job_tags t ON t.job_id = a.job_id AND t.name = :tag",
    ),
}
_SINCE, _UNTIL = "AND e.at_ms >= :since", "AND e.at_ms < :until"
GROUPS = ("model", "provider", "brief", "day", "certainty")
CERTAINTIES = ("reported", "derived", "assumed")

_LINES = """
SELECT e.number, e.at_ms, e.kind, e.debit, e.credit, e.amount_micro, e.certainty, e.note, e.by_whom, e.attempt_id,
    a.model, a.provider, a.remote_id, a.certainty, a.job_id, j.tags, j.brief, a.segment
FROM entries e LEFT JOIN attempts a ON a.id = e.attempt_id LEFT JOIN jobs j ON j.id = a.job_id
WHERE e.number > :after {span} ORDER BY e.number LIMIT :page
"""
_ATTEMPTS = """
SELECT a.id, a.job_id, a.segment, j.tags, a.provider, a.model, a.remote_id, a.state, a.held_micro, a.charge_micro,
    a.said, COALESCE(a.ended_ms, a.sent_ms, a.prepared_ms)
FROM attempts a JOIN jobs j ON j.id = a.job_id WHERE {which} ORDER BY a.prepared_ms, a.id
"""
_OPEN = _ATTEMPTS.replace("{which}", "a.ended_ms IS NULL AND a.state IN ('sending', 'unknown')")
_ASSUMED = _ATTEMPTS.replace("{which}", "a.ended_ms IS NOT NULL AND a.certainty = 'assumed'")


@frozen
class Span:
    """A stretch of time in Unix milliseconds, its end not within it; None: without an end on that side."""

    since: int | None = None
    until: int | None = None

    def fill(self, statement: str) -> tuple[str, dict[str, int]]:
        """The statement limited to it, and its values."""
        values = {name: at for name, at in (("since", self.since), ("until", self.until)) if at is not None}
        limits = {"since": _SINCE, "until": _UNTIL}
        return statement.replace("{span}", " ".join(limits[name] for name in values)), values


@frozen(kw_only=True)
class Unresolved:
    """A paid submit whose outcome or cost is not known for certain.

    Attributes:
        attempt_id: what `client.credits.resolve(...)` takes.
        segment: the part of the job's plan that it was to make, from 1.
        state: "sending" or "unknown" where nobody knows whether the vendor took it; else how it ended.
        vendor_id: the job as the vendor knows it, where it told.
        since: when it was sent; where it has ended, when that was.
        held: what stays set aside for it; nothing once it has ended.
        charge: what was charged on an assumption, None: nothing yet.
        said: what is known of why.
        hint: what to do.
    """

    attempt_id: str
    job_id: str
    segment: int
    tags: Mapping[str, str] = field(hash=False)
    provider: str
    model: str
    vendor_id: str | None
    state: str
    since: dt.datetime
    held: Credits
    charge: Credits | None
    said: str | None
    hint: str


def spent_in_all(db: Db, span: Span) -> Credits:
    """What was spent in that time."""
    return sum((amount for amount in _spent(db, "", span).values()), Credits(micro_usd=0))


def spent_by(db: Db, group: str, span: Span) -> dict[str, Credits]:
    """The same by one of `GROUPS`, or by the values of a tag: "tag:project". What has none stands under ""."""
    if group.startswith("tag:"):
        return _spent(db, "tag", span, tag=group.removeprefix("tag:"))
    found = _spent(db, group, span)
    if group == "day":
        return {f"{dt.date.fromordinal(EPOCH.toordinal() + int(day))}": amount for day, amount in found.items()}
    if group == "certainty":
        return {name: found.get(name, Credits(micro_usd=0)) for name in CERTAINTIES}
    return found


def _spent(db: Db, group: str, span: Span, **values: str) -> dict[str, Credits]:
    key, more = _KEYS[group]
    statement, limits = span.fill(_SPENT.replace("{key}", key).replace("{more}", more))
    rows = db.all(statement, **limits, **values)
    return {str(name): Credits(micro_usd=int(micro)) for name, micro in rows}


def rows_between(store: Store, span: Span) -> Iterator[StatementRow]:
    """Every line of that time, oldest first, read page by page; lines that come in the meantime are left out."""
    last = store.read(lambda db: db.one(sql.LAST_ENTRY), None)
    statement, limits = span.fill(_LINES)
    after, end = 0, last[0] if last else 0
    while after < end:
        page = _page(store, statement, {**limits, "after": after, "page": PAGE})
        yield from (_line(row) for row in page if row[0] <= end)
        after = page[-1][0] if len(page) == PAGE else end


def _page(store: Store, statement: str, values: Mapping[str, int]) -> list[Row]:
    nothing: list[Row] = []
    return store.read(lambda db: db.all(statement, **values), nothing)


def _line(row: Row) -> StatementRow:
    return StatementRow(
        number=row[0],
        time=_moment(row[1]),
        kind=row[2],
        debit=row[3],
        credit=row[4],
        amount=Credits(micro_usd=row[5]),
        certainty=row[6] and row[13],  # what is known now, not what was assumed then
        note=row[7],
        by=row[8],
        attempt=row[9],
        model=row[10],
        provider=row[11],
        vendor_id=row[12],
        job=row[14],
        tags=_tags(row[15]),
        brief=row[16],
        segment=row[17],
    )


def _moment(at_ms: int) -> dt.datetime:
    return EPOCH + dt.timedelta(milliseconds=at_ms)


def _tags(text: str | None) -> Mapping[str, str]:
    found: dict[str, str] = json.loads(text) if text and text != "{}" else {}
    return found


def unresolved(db: Db) -> tuple[Unresolved, ...]:
    """What was sent and not answered, oldest first, and then what has ended at a cost that is only assumed."""
    return tuple(_unresolved(row) for row in [*db.all(_OPEN), *db.all(_ASSUMED)])


def _unresolved(row: Row) -> Unresolved:
    attempt_id, job_id, segment, tags, provider, model, vendor_id, state, held, charge, said, at_ms = row
    is_open = charge is None
    return Unresolved(
        attempt_id=attempt_id,
        job_id=job_id,
        segment=segment,
        tags=_tags(tags),
        provider=provider,
        model=model,
        vendor_id=vendor_id,
        state=state,
        since=_moment(at_ms),
        held=Credits(micro_usd=held if is_open else 0),
        charge=None if is_open else Credits(micro_usd=charge),
        said=said,
        hint=_HINTS.get(state, _ASSUMED_HINT),
    )


_HINTS: Mapping[str, str] = {
    AttemptState.SENDING: "it is being sent, or the process that sent it has died: client.recover() looks it up then",
    AttemptState.UNKNOWN: (
        "client.recover() looks it up where the vendor can be asked; else look into the vendor's console and say it "
        "by client.credits.resolve(attempt_id, outcome=..., by=..., note=...)"
    ),
}
_ASSUMED_HINT = "look at the vendor's bill, and say it by client.credits.resolve(...) if it differs"


def budgets_left(db: Db, now_ms: int) -> dict[Budget, Credits]:
    """Every budget with what is left of it in its present period."""
    used = {(name, period): micro for name, period, micro in db.all(sql.BUDGET_USES)}
    budgets = [book.budget_of(row) for row in db.all(sql.BUDGETS)]
    return {
        budget: budget.amount - Credits(micro_usd=int(used.get((budget.id, book.period_of(budget.period, now_ms)), 0)))
        for budget in budgets
    }
