"""The proof of the books: everything that follows from the entries is built again and compared. Reading only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..values.credits import Credits, dollars
from . import sql
from .records import OPEN, UNCHARGED, AttemptRow, Entry
from .rows import GENESIS, attempt_of, entry_of, facts_of, job_of, link
from .store import Db, Row

__all__ = ["verify"]

PAGE = 1_000  # rows that are held at once, however long the books are


def verify(db: Db) -> list[str]:
    """Every difference between the entries and what is kept beside them, in words; none: the books are right.

    Built again are the chain of the entries, all balances, what each attempt held and cost, and the use of each
    budget. An amount of a budget, a print and a name follow from no entry: those it must believe.
    """
    balances: Counter[str] = Counter()
    found = list(_chain(db, balances))
    kept = {row[0]: row[1] for row in db.all(sql.BALANCES)}
    found += _differences("the balance of", balances, kept)
    found += [told for row in _pages(db, sql.ATTEMPTS_AFTER, "") for told in _attempt(db, attempt_of(row))]
    costs = {f"{name!r} ({period})": int(micro) for name, period, micro in db.all(sql.BUDGET_COSTS)}
    used = {f"{name!r} ({period})": micro for name, period, micro in db.all(sql.BUDGET_USES)}
    found += _differences("the use of budget", costs, used)
    found += [told for row in _pages(db, sql.JOBS_AFTER, "") for told in _tags(db, row)]
    return found


def _pages(db: Db, statement: str, after: int | str) -> Iterator[Row]:
    """All rows of a table, in the order of its key, which stands first."""
    while rows := db.all(statement, after=after, most=PAGE):
        yield from rows
        after = rows[-1][0]


def _chain(db: Db, balances: Counter[str]) -> Iterator[str]:
    """Entries that are changed or missing; adds each one's amount to the balances."""
    mark = db.one(sql.META, name="live")
    before, number = GENESIS, 0
    for entry in map(entry_of, _pages(db, sql.ENTRIES_AFTER, 0)):
        if entry.number != number + 1:
            yield f"entries {number + 1} to {entry.number - 1} are missing"
        elif link(before, facts_of(entry)) != entry.chain:
            yield f"entry {entry.number} is not as it was written"
        if mark is not None and entry.live != (mark[0] == "yes"):
            yield f"entry {entry.number} is of {'live vendors' if entry.live else 'the emulator'}, its books are not"
        before, number = entry.chain, entry.number
        balances[entry.debit] += entry.amount.micro_usd
        balances[entry.credit] -= entry.amount.micro_usd


def _differences(what: str, built: Mapping[str, int], kept: Mapping[str, int]) -> Iterator[str]:
    for name in sorted(built.keys() | kept.keys()):
        right, said = built.get(name, 0), kept.get(name, 0)
        if right != said:
            yield f"{what} {name} is {_amount(said)}, by the entries {_amount(right)}"


def _attempt(db: Db, row: AttemptRow) -> Iterator[str]:
    """What its entries say against an attempt."""
    entries = [entry_of(entry) for entry in db.all(sql.ENTRIES_OF, attempt_id=row.id)]
    flows: Counter[str] = Counter()
    for entry in entries:
        flows[entry.debit] += entry.amount.micro_usd
        flows[entry.credit] -= entry.amount.micro_usd
    closed = [entry.kind for entry in entries if entry.kind in {"settle", "void"}]
    spent = flows[f"spent:{row.provider}"]
    asked = [
        ("was held", row.held.micro_usd, _sum(entries, "hold")),
        ("is held", row.held.micro_usd if row.state in OPEN else 0, flows["held"]),
        ("was charged", row.charge.micro_usd if row.charge is not None else 0, spent),
    ]
    for what, said, right in asked:
        if said != right:
            yield f"attempt {row.id}: {_amount(said)} {what}, by the entries {_amount(right)}"
    ends = [] if row.state in OPEN else ["void" if row.state in UNCHARGED else "settle"]
    if closed != ends or (row.ended_ms is None) != (row.state in OPEN):
        yield f"attempt {row.id} is {row.state}, and its entries close it by {' and '.join(closed) or 'nothing'}"
    certainty = next((entry.certainty for entry in reversed(entries) if entry.certainty is not None), None)
    if certainty != row.certainty:
        yield f"attempt {row.id}: its cost is {row.certainty}, by the entries {certainty}"


def _sum(entries: Sequence[Entry], kind: str) -> int:
    return sum(entry.amount.micro_usd for entry in entries if entry.kind == kind)


def _tags(db: Db, row: Row) -> Iterable[str]:
    job = job_of(row)
    if dict(job.tags) != {tag[0]: tag[1] for tag in db.all(sql.TAGS_OF, job_id=job.id)}:
        yield f"job {job.id}: its tags are not those that it is found by"


def _amount(micro: int) -> str:
    return dollars(Credits(micro_usd=micro))
