"""What both of Kling's protocols say in the same words: error codes, states, files and amounts.

Sources: Kling's error table, read 2026-10-04; its task pages, read 2026-09-20; and answers of the service that others
recorded up to 2026-10-04.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from attrs import frozen

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
from ..shapes import Loose, Unreadable
from ..wire import Answer, AnswerRule, Asset, JobState, WireResponse
from .common import (
    HTTP_RULES,
    MOST_TAKES,
    NO_PROOF,
    Judged,
    Said,
    judge,
    quoted,
    read_body,
    retry_after,
    unix_seconds,
)

__all__ = [
    "RULES",
    "STATES",
    "amount_of",
    "as_text",
    "ending",
    "is_clock_fault",
    "judged_answer",
    "takes_of",
]

STATES = {
    "submitted": JobState.PENDING,
    "processing": JobState.RUNNING,
    "succeeded": JobState.SUCCEEDED,
    "succeed": JobState.SUCCEEDED,  # the word of the legacy protocol; gateways mix the two
    "failed": JobState.FAILED,
}

RULES: tuple[AnswerRule, ...] = (
    AnswerRule(None, ("1000", "1001", "1002", "1003", "1004", "1103"), Answer.REJECTED, AuthenticationFailed),
    # HTTP says 429 to these too, but no waiting helps: account blocked, address not listed; in arrears, pack used up
    AnswerRule(None, ("1100", "1304"), Answer.REJECTED, AuthenticationFailed),
    AnswerRule(None, ("1101", "1102"), Answer.REJECTED, RateLimited),
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
_KNOWN_ID = re.compile(r"external.?task.?id.*(exist|duplicat|repeat|unique)", re.IGNORECASE)
_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")

_REGIONS = {"singapore": "beijing", "beijing": "singapore"}
_CLOCK = {
    "1003": "the clock of this machine is ahead of Kling's: set it right",
    "1004": "the clock of this machine is behind Kling's: set it right",
}
_NEXT = _CLOCK | {
    "1100": "ask Kling why the account is blocked",
    "1101": "pay what the account owes: waiting does not help",
    "1102": "buy a pack of units for the API: waiting does not help",
    "1103": "the account has no right to this model: order it in Kling's console",
    "1304": "list the address of this machine in Kling's console",
}


@frozen
class _Named:
    id: Loose[str] = None
    task_id: Loose[str] = None


@frozen
class _Head:
    code: Any = None
    message: Loose[str] = None
    request_id: Loose[str] = None
    data: Loose[_Named] = None
    task_id: Loose[str] = None  # where some gateways put it

    @property
    def names_a_task(self) -> bool:
        inside = self.data or _Named()
        return any(name is not None for name in (inside.id, inside.task_id, self.task_id))


def judged_answer(response: WireResponse, region: str) -> Judged | None:
    """What an answer proves that is no success, a 200 with a code inside too; None: it is one.

    `region` is where the key was shown, "" where that is not known.
    """
    try:
        head = read_body(_Head, response)
    except Unreadable:
        head = _Head()
    code = _number(head.code)
    if 200 <= response.status < 300 and not code:
        return None
    own = code is not None and code >= 1000  # a proxy repeats the HTTP status
    said = Said(str(code or ""), head.message or "", own, retry_after(response), head.request_id)
    # "balance not sufficient" was seen under the code of too many tasks (a note of 2026-05)
    judged = "1102" if said.code in {"1302", "1303"} and "balance" in said.message.lower() else said.code
    hint = _NEXT.get(judged, "")
    if said.code in {"1000", "1001", "1002"} and region in _REGIONS:
        other = _REGIONS[region]
        hint = f"a key works in one region only: this one was shown to {region}; region={other!r}?"
    # an error that says "all well", names a task or knows our id already is none that proves that there is no task
    proof = code != 0 and not head.names_a_task and not _KNOWN_ID.search(said.message)
    rule = judge(RULES, response.status, judged, own) if proof else NO_PROOF
    return Judged(rule, said, hint)


def is_clock_fault(error: MultiVideoError) -> bool:
    """Whether Kling refused a token as not valid yet or not any more: one that is signed anew may pass."""
    return isinstance(error, AuthenticationFailed) and error.hint in _CLOCK.values()


def _number(code: Any) -> int | None:
    """Kling's code as a number; gateways write it as text too. None for anything that is no code."""
    if type(code) is str and re.fullmatch(r"-?[0-9]{1,9}", code):
        return int(code)
    return code if type(code) is int else None


def ending(status: str, message: str | None, provider: str) -> tuple[JobState, ProviderError | None]:
    """The state, and why there is no video. A failed task has no code: its text is all there is."""
    state = STATES.get(status.strip().lower(), JobState.UNKNOWN)
    if state is not JobState.FAILED:
        return state, None
    text = quoted(message or "").rstrip(".") or "no reason was given"
    if any(word in text.lower() for word in _FILTER_WORDS):
        what = f"{provider} refuses this content: {text}."
        return JobState.FILTERED, ContentFiltered(what, charged="held", provider=provider)
    what = f"{provider} ended the job without a video: {text}."
    return state, GenerationFailed(what, charged="held", provider=provider)


def takes_of(files: Iterable[tuple[str, str | None]], updated: object, where: str) -> tuple[Asset, ...]:
    """The files of a task that succeeded, each with its marked copy, at addresses that carry their own signature.

    Raises: Unreadable if there is none.
    """
    kept: dict[str, str | None] = {}
    for url, marked in files:
        if url and len(kept) < MOST_TAKES:
            kept.setdefault(url, marked or None)
    if not kept:
        raise Unreadable(f"a task that succeeded has no video @ {where}")
    changed = unix_seconds(updated)
    expires_at = None if changed is None else changed + _KEPT_S
    return tuple(Asset(url, marked_url=marked, expires_at=expires_at) for url, marked in kept.items())


def amount_of(amount: Any, where: str) -> Decimal:
    """An amount of a bill, exact.

    Raises: Unreadable for anything that is none.
    """
    text = str(amount) if type(amount) in {str, int, Decimal} else ""
    if not _AMOUNT.fullmatch(text):
        raise Unreadable(f"no amount @ {where}")
    return Decimal(text)


def as_text(rows: Any) -> str:
    """What a bill says, as it came, to be kept."""
    try:
        return json.dumps(rows, default=str)
    except RecursionError:
        return "nested too deep to be kept"
