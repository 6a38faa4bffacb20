"""Who is asked first: pure orderings of the models that can make a request."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

from attrs import field, frozen

from ..errors import InvalidRequest, Problem
from ..values.media import with_article
from ..values.plan import Candidate, Ranked, RoutingContext, RoutingPolicy, Term
from ..values.request import VideoRequest

__all__ = ["Scorecard", "apply", "name_of"]

PRICE_WEIGHT = 0.05  # points for each US dollar: a tie-breaker, and no more
TIME_WEIGHT = 0.0005  # points for each second


@frozen
class Scorecard:
    """The mean of the buyer's guide's stars, then price and time as tie-breakers; the default.

    `weights` gives a category more or less say; what is not named counts 1. What no source confirms comes last.
    """

    weights: Mapping[str, float] = field(factory=dict, hash=False)

    def rank(self, request: VideoRequest, candidates: Sequence[Candidate], context: RoutingContext) -> Sequence[Ranked]:
        """Best mean first."""
        ranked = [self._scored(candidate) for candidate in candidates]
        return sorted(ranked, key=lambda r: (bool(r.candidate.unconfirmed), -r.score, r.candidate.name))

    def _scored(self, candidate: Candidate) -> Ranked:
        stars = dict(candidate.scores)
        weights = {category: self.weights.get(category, 1.0) for category in stars}
        total = sum(weights.values()) or 1.0
        terms = [Term(category, weights[category] * stars[category] / total) for category in stars]
        terms.append(Term("price", -PRICE_WEIGHT * candidate.quote.amount.micro_usd / 1_000_000))
        terms.append(Term("time", -TIME_WEIGHT * candidate.expected.typical_s))
        return Ranked(candidate, sum(term.value for term in terms), tuple(terms))


def name_of(policy: Any) -> str:
    """What to call a policy in a plan or an error."""
    return getattr(policy, "__name__", None) or type(policy).__name__


def apply(
    policy: RoutingPolicy | Callable[..., Sequence[Ranked]],
    request: VideoRequest,
    candidates: Sequence[Candidate],
    context: RoutingContext,
) -> tuple[Ranked, ...]:
    """What a policy says, checked: it may reorder and leave out, and nothing else.

    Raises: InvalidRequest naming a policy that raised, returned strangers or left nothing over.
    """
    if not candidates:
        return ()
    rank: Any = getattr(policy, "rank", policy)
    try:
        answer = rank(request, tuple(candidates), context)
        ranked = tuple(answer) if isinstance(answer, Iterable) else None
    except Exception as error:  # the policy is somebody else's code, and its error stays visible as the cause
        raise _at_fault(policy, f"raised {type(error).__name__}") from error
    if ranked is None:
        raise _at_fault(policy, f"returned {with_article(type(answer).__name__)} instead of a list")
    if not all(isinstance(row, Ranked) and row.candidate in candidates for row in ranked):
        raise _at_fault(policy, "returned something that is none of the candidates")
    if not all(_is_number(value) for row in ranked for value in (row.score, *(term.value for term in row.terms))):
        raise _at_fault(policy, "gave a score that is no finite number")
    if len({row.candidate.name for row in ranked}) < len(ranked):
        raise _at_fault(policy, "returned a candidate twice")
    if not ranked:
        raise _at_fault(policy, f"left none of {len(candidates)} candidates over")
    return ranked


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


def _at_fault(policy: Any, what: str) -> InvalidRequest:
    problem = Problem("policy", f"{name_of(policy)}, which {what}", "Ranked values made of the given candidates")
    return InvalidRequest.of([problem], what=f"The routing policy {name_of(policy)} {what}.")
