"""What would happen, what it costs, and why: the answer of `plan()`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Protocol

from attrs import Factory, field, frozen

from ..errors import NoRoute
from .credits import Credits
from .request import VideoRequest
from .words import Brief, Mode

__all__ = [
    "Candidate",
    "ExpectedTime",
    "Plan",
    "Quote",
    "QuoteLine",
    "Ranked",
    "Refusal",
    "Rejected",
    "RoutingContext",
    "RoutingPolicy",
    "Segment",
    "Term",
]


@frozen
class Refusal:
    """One reason why a model cannot do it, with what it could.

    `what` goes on behind the model's name in an error: "cannot make a 7 s clip". `reason` says it alone, in a row of a
    plan: "makes 4, 6 or 8 s, asked 7 s".
    """

    field: str
    asked: str
    allowed: str
    source: str = ""
    hint: str = ""
    what: str = ""
    reason: str = ""

    def __str__(self) -> str:
        return self.reason or (f"{self.allowed}, asked {self.asked}" if self.asked else self.allowed)


@frozen
class QuoteLine:
    """One row of a price: so many units of what, at which rate."""

    what: str
    units: int
    rate: str
    amount: Credits


@frozen
class Quote:
    """The price of a request before it is sent.

    `amount` is the list price; `upper_bound` is what is held, never less. `certainty` is "documented" where the vendor
    lists the price, else "assumed", also where it is not settled how many seconds are billed.
    """

    amount: Credits
    upper_bound: Credits
    breakdown: tuple[QuoteLine, ...]
    certainty: str

    def __str__(self) -> str:
        lines = "; ".join(f"{line.what} at {line.rate}" for line in self.breakdown)
        return f"{self.upper_bound}, {self.certainty}{': ' if lines else ''}{lines}"


@frozen
class Segment:
    """One call of one model: everything that the request left open is decided here."""

    mode: Mode
    seconds: int
    resolution: str
    aspect_ratio: str
    width: int | None
    height: int | None
    fps: int
    audio: bool
    samples: tuple[int, ...] = (1,)
    """How many takes each call gives: one number a call."""
    file_audio: bool | None = field(default=Factory(lambda self: self.audio, takes_self=True))
    """Whether the finished file has sound: as ordered, unless it is that of a clip; None: not known."""
    watermark: bool = False
    """The copy with the vendor's visible mark is delivered."""
    file_seconds: float | None = field(default=Factory(lambda self: float(self.seconds), takes_self=True))
    """Length of the finished file: `seconds`, which is paid for, unless it holds its source; None: not known."""
    most_seconds: int | None = None
    """The most that may be billed in place of `seconds`, and is held, where that is not settled before it is made."""


@frozen
class Term:
    """One named part of a score."""

    name: str
    value: float
    why: str = ""


@frozen
class ExpectedTime:
    """Seconds from submit to a finished video: low, typical, high."""

    low_s: float
    typical_s: float
    high_s: float


@frozen
class Candidate:
    """One model on one access path that can make the request."""

    model: str
    provider: str
    segments: tuple[Segment, ...]
    quote: Quote
    expected: ExpectedTime
    scores: tuple[tuple[str, int], ...] = ()
    """The scorecard of the model, 1 to 5 for each category."""
    unconfirmed: tuple[Refusal, ...] = ()
    """Hard needs that no source confirms."""
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`model@path`."""
        return f"{self.model}@{self.provider}"


@frozen
class Ranked:
    """A candidate with the score that a policy gave it, and the score's parts."""

    candidate: Candidate
    score: float
    terms: tuple[Term, ...] = ()


@frozen
class Rejected:
    """A model and path that is out, with every reason."""

    model: str
    provider: str
    reasons: tuple[Refusal, ...]

    @property
    def name(self) -> str:
        """`model@path`."""
        return f"{self.model}@{self.provider}"


@frozen
class RoutingContext:
    """What a policy may know besides request and candidates."""

    as_of: dt.date
    brief: Brief | None = None


class RoutingPolicy(Protocol):
    """Whoever decides which of the possible models is asked first. Pure: it only orders.

    A plain function `(request, candidates, context) -> ranked` is a policy too.
    """

    def rank(self, request: VideoRequest, candidates: Sequence[Candidate], context: RoutingContext) -> Sequence[Ranked]:
        """The candidates, best first; one that is left out is not used."""
        ...


@frozen(repr=False)
class Plan:
    """Every candidate in order, every other with its reasons. The first candidate is what would run."""

    request: VideoRequest
    as_of: dt.date
    ranked: tuple[Ranked, ...]
    rejected: tuple[Rejected, ...]
    brief: Brief | None = None
    policy: str = ""

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """All models that can make it, best first."""
        return tuple(ranked.candidate for ranked in self.ranked)

    @property
    def first(self) -> Candidate:
        """What would run.

        Raises: NoRoute if nothing can; `rejected` has all reasons.
        """
        if not self.ranked:
            raise NoRoute("This plan has nothing that could run.", hint="print(plan) shows why", plan=self)
        return self.ranked[0].candidate

    @property
    def model(self) -> str | None:
        """The model that would run, None if none can."""
        return self.first.model if self.ranked else None

    @property
    def provider(self) -> str | None:
        """The access path that would be used."""
        return self.first.provider if self.ranked else None

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The calls that would be made, with every value that the request left open."""
        return self.first.segments if self.ranked else ()

    @property
    def quote(self) -> Quote | None:
        """What it would cost."""
        return self.first.quote if self.ranked else None

    def __str__(self) -> str:
        from .tables import plan_text

        return plan_text(self)

    def __repr__(self) -> str:
        what = f"{self.first.name}, {self.first.quote.upper_bound}" if self.ranked else "nothing can make it"
        return f"<Plan: {what}; {len(self.ranked)} can, {len(self.rejected)} cannot; print() shows all>"
