"""The lines of a credit account, as people and spreadsheets read them. Pure, but for the one file that is written."""

from __future__ import annotations

import csv
import datetime as dt
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import TextIO

from attrs import field, frozen

from ..errors import LedgerError
from ..values.credits import Credits, dollars
from ..values.tables import table

__all__ = ["Statement", "StatementRow", "short_id", "write_rows"]

HTML_ROWS = 200  # of a notebook's table, the newest

COLUMNS = (
    *("number", "time", "kind", "amount_usd", "debit", "credit", "model", "provider", "brief", "job", "segment"),
    *("attempt", "vendor_id", "certainty", "tags", "note", "by"),
)


@frozen(kw_only=True)
class StatementRow:
    """One line of the journal: the amount went from the account `credit` to the account `debit`.

    Attributes:
        time: when, UTC.
        kind: "fund", "hold", "settle", "release" (what a hold had too much), "void", "overage" (what was billed beyond
            the hold), "refund" or "adjust".
        segment: the part of the job's plan that it belongs to, from 1.
        attempt: the paid submit that it belongs to, None for what belongs to none.
        vendor_id: the job as the vendor knows it.
        certainty: of a charge: "reported", "derived" or "assumed", as is known now.
        by: who said so, where somebody did.
    """

    number: int
    time: dt.datetime
    kind: str
    amount: Credits
    debit: str
    credit: str
    model: str | None = None
    provider: str | None = None
    brief: str | None = None
    job: str | None = None
    segment: int | None = None
    attempt: str | None = None
    vendor_id: str | None = None
    certainty: str | None = None
    tags: Mapping[str, str] = field(factory=dict, hash=False)
    note: str | None = None
    by: str | None = None

    def plain(self) -> dict[str, object]:
        """The same in words of JSON, by the columns of an export; the amount exact, as text in US dollars."""
        facts: dict[str, object] = {name: getattr(self, name, None) for name in COLUMNS}
        return {**facts, "time": _time(self.time), "amount_usd": f"{self.amount.usd:f}", "tags": dict(self.tags)}


@frozen(repr=False)
class Statement:
    """The lines of a credit account in a time, oldest first. `str()` is a table."""

    rows: tuple[StatementRow, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[StatementRow]:
        return iter(self.rows)

    def __str__(self) -> str:
        if not self.rows:
            return "Nothing stands in the books of this time."
        return table([HEAD, *map(_cells, self.rows)], frozenset({2}))

    def __repr__(self) -> str:
        span = [_time(self.rows[at].time) for at in (0, -1)] if self.rows else []
        return f"Statement({' .. '.join([f'{len(self.rows)} rows', *span])})"

    def _repr_html_(self) -> str:
        shown = self.rows[-HTML_ROWS:]
        lines = [_html("th", HEAD), *(_html("td", _cells(row)) for row in shown)]
        left_out = len(self.rows) - len(shown)
        more = f"<p>{left_out} earlier rows are not shown.</p>" if left_out else ""
        return f"{more}<table>{''.join(lines)}</table>"


HEAD = (
    *("time (UTC)", "kind", "amount", "model", "provider", "job", "segment", "attempt", "vendor id"),
    *("certainty", "tags", "note"),
)


def _cells(row: StatementRow) -> tuple[str, ...]:
    tags = " ".join(f"{name}={value}" for name, value in row.tags.items())
    note = f"{row.note or ''}{f' (by {row.by})' if row.by else ''}".strip()
    segment = "" if row.segment is None else str(row.segment)
    made = (row.model, row.provider, row.job, segment, row.attempt, short_id(row.vendor_id))
    words = (*made, row.certainty, tags, note)
    return (f"{row.time:%Y-%m-%d %H:%M:%S}", row.kind, dollars(row.amount), *(_one_line(word or "") for word in words))


def short_id(vendor_id: str | None) -> str:
    """A vendor's id for a table: of a long path, as Google's are, what follows the last slash."""
    return (vendor_id or "").rpartition("/")[2]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _html(kind: str, cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{kind}>{escape(cell)}</{kind}>' for cell in cells)}</tr>"


def _time(moment: dt.datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write_rows(rows: Iterable[StatementRow], path: Path) -> None:
    """Write lines to a file, whole or not at all: a table for ".csv", a list for ".json".

    Raises: LedgerError where the file cannot be written.
    """
    write = _write_csv if path.suffix.lower() == ".csv" else _write_json
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                write(file, map(StatementRow.plain, rows))
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise LedgerError(
            f"The export cannot be written: {error.strerror or type(error).__name__}.",
            asked=str(path),
            hint="name a file in a folder that is there and can be written",
            cost="no, nothing was sent",
            field="path",
        ) from None


def _write_csv(file: TextIO, rows: Iterable[Mapping[str, object]]) -> None:
    writer = csv.DictWriter(file, COLUMNS)
    writer.writeheader()
    for row in rows:
        writer.writerow({**row, "tags": json.dumps(row["tags"], ensure_ascii=False)})


def _write_json(file: TextIO, rows: Iterable[Mapping[str, object]]) -> None:
    before = "[\n"
    for row in rows:
        file.write(f"{before}{json.dumps(row, ensure_ascii=False)}")
        before = ",\n"
    file.write("[]\n" if before == "[\n" else "\n]\n")
