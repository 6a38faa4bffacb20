"""What stands in the books: attempts with their states, entries, budgets."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from attrs import field, frozen

from ..values.credits import Credits

__all__ = [
    "CHARGED",
    "MOVES",
    "OPEN",
    "UNCHARGED",
    "AttemptRow",
    "AttemptState",
    "Budget",
    "Entry",
    "JobRow",
    "NewAttempt",
    "NewJob",
]


class AttemptState(StrEnum):
    """The life of one paid submit."""

    PREPARED = "prepared"  # hold and intent are written; nothing was sent
    SENDING = "sending"  # a byte may have left
    ACCEPTED = "accepted"  # the vendor's id is known
    UNKNOWN = "unknown"  # it left, and no clear answer came
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    FILTERED = "filtered"
    REJECTED = "rejected"  # a clear no: nothing was made
    ABSENT = "absent"  # proven, or stated by somebody: no job was made
    VOID = "void"  # never sent


_S = AttemptState
MOVES: Mapping[AttemptState, frozenset[AttemptState]] = {
    _S.PREPARED: frozenset({_S.SENDING, _S.VOID}),
    _S.SENDING: frozenset({_S.ACCEPTED, _S.REJECTED, _S.UNKNOWN, _S.VOID}),
    _S.UNKNOWN: frozenset({_S.ACCEPTED, _S.ABSENT, _S.SUCCEEDED}),
    _S.ACCEPTED: frozenset({_S.SUCCEEDED, _S.FAILED, _S.FILTERED}),
}
"""What may follow a state; what is not named has ended. `unknown` ends as succeeded by somebody's word alone, and
`sending` as void where it is proven that nothing left this machine."""

OPEN = frozenset(MOVES)
CHARGED = frozenset({_S.SUCCEEDED, _S.FAILED, _S.FILTERED})
"""Ends with a price, be it nothing: the vendor had made the job its own."""
UNCHARGED = frozenset({_S.REJECTED, _S.ABSENT, _S.VOID})
"""Ends without: no job was made."""


@frozen(kw_only=True)
class NewJob:
    """A job before its first submit. The prints are keyed hashes: no prompt stands in the books.

    On the way to them both hold the texts themselves, so that neither is shown.
    """

    id: str
    request_print: str = field(repr=False)
    prompt_print: str = field(repr=False)
    brief: str | None = None
    save_to: str | None = None
    tags: Mapping[str, str] = field(factory=dict, hash=False)


@frozen(kw_only=True)
class NewAttempt:
    """One paid submit before it is sent; `call` is the JSON of its reference, still without the vendor's id.

    `segment` counts the parts of a job's plan from 1.
    """

    id: str
    job_id: str
    segment: int = 1
    provider: str
    model: str
    call: str
    held: Credits


@frozen(kw_only=True)
class JobRow:
    """A job as the books know it."""

    id: str
    created_ms: int
    request_print: str
    prompt_print: str
    brief: str | None
    save_to: str | None
    tags: Mapping[str, str] = field(hash=False)
    files: tuple[str, ...]
    ended_ms: int | None
    owner: str | None
    lease_ms: int
    epoch: int


@frozen(kw_only=True)
class AttemptRow:
    """A paid submit as the books know it. Times are Unix milliseconds."""

    id: str
    job_id: str
    segment: int
    state: AttemptState
    provider: str
    model: str
    call: str = field(repr=False)
    remote_id: str | None
    held: Credits
    charge: Credits | None
    certainty: str | None
    said: str | None
    prepared_ms: int
    sent_ms: int | None
    accepted_ms: int | None
    ended_ms: int | None


@frozen(kw_only=True)
class Entry:
    """One line of the journal: the amount goes from the account `credit` to the account `debit`. Never changed."""

    number: int
    kind: str
    debit: str
    credit: str
    amount: Credits
    attempt_id: str | None
    at_ms: int
    live: bool
    certainty: str | None
    note: str | None
    by: str | None
    chain: str


@frozen(kw_only=True)
class Budget:
    """A limit on what jobs may cost in a period, "day", "month" or "ever", each from 0:00 UTC.

    Jobs with all of its tags, of its model and of its provider count; what it does not name does not matter.
    """

    id: str
    amount: Credits
    period: str = "ever"
    model: str | None = None
    provider: str | None = None
    tags: Mapping[str, str] = field(factory=dict, hash=False)
