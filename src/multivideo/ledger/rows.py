"""Rows of the books as values, and the chain that binds the entries to each other. Pure."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from ..values.credits import Credits
from .records import AttemptRow, AttemptState, Budget, Entry, JobRow
from .store import Row

__all__ = ["GENESIS", "attempt_of", "budget_of", "entry_of", "facts_of", "job_of", "link"]

GENESIS = "0" * 64


def link(before: str, facts: tuple[Any, ...]) -> str:
    """The link of an entry to the one before it, so that a line that is changed or taken out is seen."""
    return hashlib.sha256(f"{before}{json.dumps(facts)}".encode()).hexdigest()


def facts_of(entry: Entry) -> tuple[Any, ...]:
    """What the link of an entry is made of."""
    amount, live = entry.amount.micro_usd, int(entry.live)
    accounts = (entry.debit, entry.credit)
    said = (entry.certainty, entry.note, entry.by)
    return (entry.number, entry.kind, *accounts, amount, entry.attempt_id, entry.at_ms, live, *said)


def attempt_of(row: Row) -> AttemptRow:
    """A row of attempts."""
    held, charge = row[7], row[8]
    return AttemptRow(
        id=row[0],
        job_id=row[1],
        state=AttemptState(row[2]),
        provider=row[3],
        model=row[4],
        call=row[5],
        remote_id=row[6],
        held=Credits(micro_usd=held),
        charge=None if charge is None else Credits(micro_usd=charge),
        certainty=row[9],
        said=row[10],
        prepared_ms=row[11],
        sent_ms=row[12],
        accepted_ms=row[13],
        ended_ms=row[14],
        segment=row[15],
    )


def job_of(row: Row) -> JobRow:
    """A row of jobs."""
    return JobRow(
        id=row[0],
        created_ms=row[1],
        request_print=row[2],
        prompt_print=row[3],
        brief=row[4],
        save_to=row[5],
        tags=json.loads(row[6]),
        files=tuple(json.loads(row[7])),
        ended_ms=row[8],
        owner=row[9],
        lease_ms=row[10],
        epoch=row[11],
    )


def entry_of(row: Row) -> Entry:
    """A row of entries."""
    return Entry(
        number=row[0],
        kind=row[1],
        debit=row[2],
        credit=row[3],
        amount=Credits(micro_usd=row[4]),
        attempt_id=row[5],
        at_ms=row[6],
        live=bool(row[7]),
        certainty=row[8],
        note=row[9],
        by=row[10],
        chain=row[11],
    )


def budget_of(row: Row) -> Budget:
    """A row of budgets."""
    return Budget(
        id=row[0],
        amount=Credits(micro_usd=row[1]),
        period=row[2],
        model=row[3],
        provider=row[4],
        tags=json.loads(row[5]),
    )
