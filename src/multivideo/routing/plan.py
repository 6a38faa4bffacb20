"""From a request to a plan: who can make it, who cannot and why, what it costs. Pure: no network, no clock."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from ..catalog.book import Catalog, expected_time, price
from ..catalog.check import any_of, fit
from ..catalog.facts import ModelPath
from ..errors import (
    BudgetExceeded,
    InvalidRequest,
    MultiVideoError,
    NoProviderConfigured,
    NoRoute,
    Problem,
    UnsupportedFeature,
)
from ..values.credits import Credits
from ..values.plan import Candidate, Plan, Quote, Refusal, Rejected, RoutingContext
from ..values.request import VideoRequest
from .policies import Scorecard, apply, name_of

__all__ = ["Offer", "make_plan", "why_not"]


@frozen
class Offer:
    """One model on one access path, and who would be asked for it; `key_hint` says what is missing where nobody can."""

    path: ModelPath
    title_scores: tuple[tuple[str, int], ...]
    key_hint: str = ""
    place: str | None = None
    """The vendor's region that would be asked, where it has several."""
    unit_prices: Mapping[str, Credits] = field(factory=dict, hash=False)


def make_plan(
    request: VideoRequest, offers: Sequence[Offer], catalog: Catalog, as_of: dt.date, policy: Any = None
) -> Plan:
    """Every candidate in the order of the policy, everyone else with all reasons.

    Raises: InvalidRequest for an unknown model, access path or vendor.
    """
    wanted = _wanted(request, offers, catalog)
    _check_options(request, offers)
    candidates: list[Candidate] = []
    rejected: list[Rejected] = []
    for offer in wanted:
        found = _consider(request, offer, as_of)
        if isinstance(found, Candidate):
            candidates.append(found)
        else:
            rejected.append(found)
    policy = request.policy or policy or Scorecard()
    ranked = apply(policy, request, candidates, RoutingContext(as_of, request.brief))
    return Plan(request, as_of, ranked, tuple(rejected), request.brief, name_of(policy))


def _wanted(request: VideoRequest, offers: Sequence[Offer], catalog: Catalog) -> list[Offer]:
    """The offers that the request's `model` means."""
    word, _, at = request.model.partition("@")
    own = {offer.path.model for offer in offers}
    model, path = (word, at or None) if word in own else catalog.resolve(request.model)
    found = [o for o in offers if model in (None, o.path.model) and path in (None, o.path.path)]
    if not found:
        there_is = ", ".join(offer.path.name for offer in offers if model in (None, offer.path.model))
        what = f"{model or 'No model'} is not to be had that way."
        known = next((m.known_but_not_served for m in catalog.all_models if m.id == model), "")
        raise InvalidRequest.of([Problem("model", f'"{request.model}"', known or there_is or "nothing", what)])
    return found


def _check_options(request: VideoRequest, offers: Sequence[Offer]) -> None:
    vendors = sorted({offer.path.vendor for offer in offers})
    for name in request.options:
        if name not in vendors:
            raise InvalidRequest.of([Problem("options", f'parameters for "{name}"', ", ".join(vendors))])


def _consider(request: VideoRequest, offer: Offer, as_of: dt.date) -> Candidate | Rejected:
    path = offer.path
    found = fit(request, path, as_of)
    reasons = list(found.refusals)
    if offer.key_hint:
        reasons.append(Refusal("key", "", offer.key_hint))
    if offer.place is not None and offer.place not in path.regions:
        allowed = f"served in {any_of(path.regions)} only"
        reasons.append(Refusal("location", f'location="{offer.place}"', allowed, str(path.lifecycle.source)))
    if found.segment is None or reasons:
        return Rejected(path.model, path.path, tuple(reasons))
    quote = price(path, found.segment, as_of, offer.unit_prices)
    if (over := _over_budget(request, quote)) is not None:
        return Rejected(path.model, path.path, (over,))
    return Candidate(
        model=path.model,
        provider=path.path,
        segments=(found.segment,),
        quote=quote,
        expected=expected_time(path, found.segment),
        scores=offer.title_scores,
        unconfirmed=found.unconfirmed,
        notes=found.notes,
    )


def _over_budget(request: VideoRequest, quote: Quote) -> Refusal | None:
    if request.budget is None:
        return None
    if quote.certainty == "unknown":
        return Refusal("budget", "", "its price is not known, so no budget can be kept")
    if quote.upper_bound > request.budget:
        return Refusal("budget", "", f"over the budget: {quote.upper_bound.usd} USD > {request.budget.usd} USD")
    return None


def why_not(plan: Plan, offers: Sequence[Offer], alternatives: Iterable[str] = ()) -> MultiVideoError | None:
    """The error that a plan is when it cannot be run, None: it can. `alternatives` are other models that could."""
    if plan.ranked:
        return _unconfirmed(plan)
    if all(offer.key_hint for offer in offers):
        hints = "; ".join(dict.fromkeys(offer.key_hint for offer in offers))
        return NoProviderConfigured(
            "No provider is configured.",
            allowed=hints,
            hint="set one of these, give AsyncClient(providers=[...]), or try AsyncClient.sandbox() without any key",
            cost="no, nothing was sent",
        )
    rows = [row for row in plan.rejected if not any(r.field == "key" for r in row.reasons)]
    others = list(alternatives)
    hint = f"leave the model open: {', '.join(others)} can make it" if others else "change what is asked"
    budgeted = [row for row in rows if all(reason.field == "budget" for reason in row.reasons)]
    if budgeted:
        least = "; ".join(f"{row.name}: {row.reasons[0].allowed}" for row in budgeted)
        return BudgetExceeded(
            "Every model that can make this costs more than the budget.", asked=f"budget={plan.request.budget}",
            allowed=least, hint="raise the budget, or ask for less", cost="no, nothing was sent", field="budget",
        )  # fmt: skip
    pinned = min(rows, key=lambda row: len(row.reasons), default=None) if plan.request.model != "auto" else None
    if pinned is not None and all(reason.field != "model" for reason in pinned.reasons):
        return _unsupported(pinned, hint)
    shown = "; ".join(f"{row.name}: {' and '.join(map(str, row.reasons))}" for row in rows or plan.rejected)
    what = "No model can make this request." if pinned is None else f"{pinned.model} cannot be asked for it."
    return NoRoute(what, asked=f'model="{plan.request.model}"', allowed=shown, hint=hint, plan=plan)


def _unsupported(row: Rejected, hint: str) -> UnsupportedFeature:
    problems = [
        Problem(r.field, r.asked, f"{r.allowed} ({r.source})" if r.source else r.allowed, _what(row, r), r.hint or hint)
        for r in row.reasons
    ]
    error = UnsupportedFeature.of(problems)
    error.asked = ", ".join(dict.fromkeys(reason.asked for reason in row.reasons))
    error.provider = row.provider
    return error


def _what(row: Rejected, reason: Refusal) -> str:
    if reason.field == "duration":
        asked = reason.asked.partition(",")[0].removeprefix("duration=")
        return f"{row.model} cannot make a {asked} s clip."
    return f"{row.model} cannot do this: {reason.field}."


def _unconfirmed(plan: Plan) -> UnsupportedFeature | None:
    """The error of a first candidate that no source confirms, where the request does not accept that."""
    first = plan.first
    if not first.unconfirmed or plan.request.accept_unconfirmed:
        return None
    problems = [
        Problem(r.field, r.asked, r.allowed, f"Nothing confirms that {first.model} can do this.", r.hint)
        for r in first.unconfirmed
    ]
    error = UnsupportedFeature.of(problems)
    error.asked = ", ".join(reason.asked for reason in first.unconfirmed)
    return error
