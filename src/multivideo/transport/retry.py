"""Whether a failed step is tried again, and after how long: one pure function. tenacity only obeys it."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from enum import StrEnum

from attrs import frozen

from ..wire import Resend

__all__ = ["Failure", "Outcome", "StepKind", "asked_wait", "decide"]


class StepKind(StrEnum):
    """The steps at a vendor that can fail on their own."""

    SUBMIT = "submit"
    POLL = "poll"
    LOOK_UP = "look up"
    DOWNLOAD = "download"


class Outcome(StrEnum):
    """How one try failed."""

    NOT_SENT = "not sent"  # nothing left this machine
    LOST = "lost"  # something left, and no whole answer came
    THROTTLED = "throttled"  # a clean no that means later
    UNAVAILABLE = "unavailable"  # a clean no for a fault of the vendor: nothing was made
    FAULTY = "faulty"  # a fault of the vendor that may pass
    REFUSED = "refused"  # a no that stays


@frozen
class Failure:
    """One failed try: which step, what may be sent again, how it failed, how often, and what the vendor asked.

    `paid_for` says whether there are tokens for a retry.
    """

    step: StepKind
    resend: Resend
    outcome: Outcome
    tries: int
    elapsed_s: float
    retry_after_s: float | None = None
    paid_for: bool = True


@frozen
class _Backoff:
    tries: int
    base_s: float
    cap_s: float
    limit_s: float


_NOT_SENT = _Backoff(4, 0.5, 8, 60)
_THROTTLED = _Backoff(1000, 2, 60, 1800)
_READING = {
    StepKind.SUBMIT: _NOT_SENT,
    StepKind.POLL: _Backoff(1000, 1, 30, 1800),
    StepKind.LOOK_UP: _Backoff(1000, 1, 30, 1800),
    StepKind.DOWNLOAD: _Backoff(8, 0.5, 15, 900),
}
MOST_ASKED_S = 120.0  # a vendor that asks for a longer wait is not waited for


def decide(failure: Failure, random: Callable[[], float]) -> float | None:
    """Seconds to wait before the next try; None: do not try again.

    A paid request that left this machine is never sent again, whatever the answer was. `random` gives numbers from 0
    to 1 (full jitter). What the vendor asked to wait is the least that is waited: one that says "0 s" is not hammered.
    Without tokens a submit that failed is not tried again; what has to wait its turn or is only read is slowed.
    """
    if failure.outcome is Outcome.REFUSED:
        return None
    sent = failure.outcome in {Outcome.LOST, Outcome.FAULTY}
    if sent and failure.resend is Resend.IF_UNSENT:
        return None
    clean = failure.outcome in {Outcome.THROTTLED, Outcome.UNAVAILABLE}
    backoff = _THROTTLED if clean else _READING[failure.step]
    if failure.tries >= backoff.tries:
        return None
    if not failure.paid_for and failure.step is StepKind.SUBMIT and failure.outcome is not Outcome.THROTTLED:
        return None
    asked = failure.retry_after_s or 0.0
    if asked > MOST_ASKED_S:
        return None
    growing = min(backoff.cap_s, backoff.base_s * 2.0 ** min(failure.tries - 1, 16)) * random()
    wait = max(asked, growing if failure.paid_for else backoff.cap_s)
    return wait if failure.elapsed_s + wait <= backoff.limit_s else None


_SECONDS = re.compile(r"\d{1,9}(\.\d{1,9})?")


def asked_wait(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that the headers of an answer ask to wait: milliseconds, seconds or a date; `now` is the wall time."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        text = headers.get(name, "").strip()
        if _SECONDS.fullmatch(text):
            return float(text) / unit
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
        if date.tzinfo is None:  # "-0000": UTC, from a server that does not say where it stands
            date = date.replace(tzinfo=dt.UTC)
        return max(0.0, date.timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None
