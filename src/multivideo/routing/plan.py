"""From a request to a plan: who can make it, who cannot and why, what it costs. Pure: no network, no clock."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import field, fields, frozen

from ..catalog.book import Catalog, expected_time, price
from ..catalog.check import fit
from ..catalog.facts import ModelPath
from ..catalog.phrases import any_of
from ..catalog.regions import region_notes, region_refusals
from ..errors import (
    BudgetExceeded,
    InvalidRequest,
    MultiVideoError,
    NoProviderConfigured,
    NoRoute,
    Problem,
    UnsupportedFeature,
)
from ..values.credits import Credits, dollars
from ..values.plan import Candidate, Plan, Quote, Refusal, Rejected, RoutingContext
from ..values.request import VideoRequest
from ..values.words import Mode
from .policies import Scorecard, apply, name_of

__all__ = ["NO_KEY", "Offer", "goes_on", "make_plan", "why_not"]

NO_KEY = "no key: "  # how the hint of an offer begins that nobody can be asked for


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
    candidates: list[Candidate] = []
    rejected: list[Rejected] = []
    for offer in wanted:
        found = _consider(request, offer, as_of)
        if isinstance(found, Candidate):
            candidates.append(found)
        else:
            rejected.append(found)
    policy = next(p for p in (request.policy, policy, Scorecard()) if p is not None)
    ranked = apply(policy, request, candidates, RoutingContext(as_of, request.brief))
    return Plan(request, as_of, ranked, tuple(rejected), request.brief, name_of(policy))


def goes_on(model: str, provider: str, mode: Mode, offers: Sequence[Offer]) -> str:
    """Who goes on from a video at its vendor: its own model, or where that cannot, whom the plan finds there."""
    able = {offer.path.model for offer in offers if offer.path.path == provider and offer.path.mode(mode) is not None}
    return f"{model if model in able or not able else 'auto'}@{provider}"


def _wanted(request: VideoRequest, offers: Sequence[Offer], catalog: Catalog) -> list[Offer]:
    """The offers that the request's `model` means.

    Raises: InvalidRequest naming `model` and `options`, whichever means nothing here.
    """
    problems = _option_problems(request, offers)
    found: list[Offer] = []
    try:
        found = _meant(request.model, offers, catalog)
    except InvalidRequest as error:
        problems = [*error.problems, *problems]
    if problems:
        raise InvalidRequest.of(problems)
    return found


def _meant(word: str, offers: Sequence[Offer], catalog: Catalog) -> list[Offer]:
    name, _, at = word.partition("@")
    own = {offer.path.model for offer in offers}
    model, path = (name, at or None) if name in own else catalog.resolve(word)
    at_any = [offer for offer in offers if model in (None, offer.path.model)]
    found = [offer for offer in at_any if path in (None, offer.path.path)]
    if found:
        return found
    known = next((row for row in catalog.all_models if row.id == model), None)
    asked = f'"{word[:80]}"'
    if at_any:
        allowed = any_of(f'"{model or "auto"}@{offer.path.path}"' for offer in at_any)
        what = f"{model or 'No model'} is {'not ' if model else ''}served at {(path or '')[:40]!r}."
    else:
        family = {row.id for row in catalog.all_models if known and row.family == known.family}
        allowed = any_of([o.path.name for o in offers if o.path.model in family] or ["another model"])
        why = known.known_but_not_served if known else ""
        what = f"{model} cannot be called: {why}." if why else f"{model} is served nowhere here."
    raise InvalidRequest.of([Problem("model", asked, allowed, what)])


def _option_problems(request: VideoRequest, offers: Sequence[Offer]) -> list[Problem]:
    vendors = sorted({offer.path.vendor for offer in offers})
    allowed = f"parameters for {any_of(vendors)}" if vendors else "nothing: no provider is known"
    return [
        Problem("options", f'parameters for "{name[:40]}"', allowed, f"No vendor here is called {name[:40]!r}.")
        for name in request.options
        if name not in vendors
    ]


def _consider(request: VideoRequest, offer: Offer, as_of: dt.date) -> Candidate | Rejected:
    path = offer.path
    found = fit(request, path, as_of)
    reasons = [*found.refusals, *region_refusals(request, path, offer.place)]
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
        notes=(*found.notes, *region_notes(request, path)),
    )


def _over_budget(request: VideoRequest, quote: Quote) -> Refusal | None:
    if request.budget is None:
        return None
    asked = f"budget={dollars(request.budget)}"
    if quote.certainty == "unknown":
        text = "its price is not known, so no budget can be kept"
        return Refusal("budget", asked, text, reason=text)
    if quote.upper_bound > request.budget:
        price = dollars(quote.upper_bound)
        return Refusal("budget", asked, price, reason=f"over the budget: {price} > {dollars(request.budget)}")
    return None


def why_not(plan: Plan, offers: Sequence[Offer], alternatives: Iterable[str] = ()) -> MultiVideoError | None:
    """The error that a plan is when it cannot be run, None: it can. `alternatives` are other models that could."""
    if plan.ranked:
        return _unconfirmed(plan)
    if all(offer.key_hint for offer in offers):
        return _no_provider(offers)
    hint = f"leave model out: {any_of(others)} can make it" if (others := list(alternatives)) else ""
    within = [row for row in plan.rejected if all(reason.field == "budget" for reason in row.reasons)]
    if within:
        return _too_dear(plan, within, hint)
    if plan.request.model.partition("@")[0] == "auto":
        return _no_route(plan, "No model can make this request.", hint)
    best = min(plan.rejected, key=lambda row: (_gone(row) is not None, len(row.reasons)))
    gone = _gone(best)
    if gone is None:
        return _unsupported(best, hint)
    if gone.field == "key":
        set_it = gone.allowed.removeprefix(NO_KEY)
        return _no_route(
            plan, f"{best.model} cannot be asked without a key.", ", or ".join(filter(None, [set_it, hint]))
        )
    return _no_route(plan, f"{best.model} {gone.what}.", hint)


def _gone(row: Rejected) -> Refusal | None:
    """Why nobody can be asked there, whatever is asked: the model is not served, or a key is missing."""
    at_all = (reason for reason in row.reasons if reason.field in {"model", "key"} and not reason.asked)
    return next(at_all, None)


def _no_provider(offers: Sequence[Offer]) -> NoProviderConfigured:
    hints = dict.fromkeys(offer.key_hint.removeprefix(NO_KEY) for offer in offers)
    return NoProviderConfigured(
        "No provider is configured.",
        allowed="; ".join(hints),
        hint="do one of these, or try AsyncClient.sandbox(), which needs no key",
        cost="no, nothing was sent",
    )


def _too_dear(plan: Plan, rows: Sequence[Rejected], hint: str) -> BudgetExceeded:
    return BudgetExceeded(
        "Every model that can make this costs more than the budget.",
        asked=f"budget={plan.request.budget}",
        allowed="; ".join(f"{row.name} {row.reasons[0]}" for row in rows),
        hint=hint or "raise the budget, or ask for less",
        cost="no, nothing was sent",
        field="budget",
    )


def _no_route(plan: Plan, what: str, hint: str) -> NoRoute:
    keyed = [row for row in plan.rejected if not any(reason.field == "key" for reason in row.reasons)]
    names: dict[str, list[str]] = {}
    for row in keyed or plan.rejected:
        names.setdefault("; ".join(map(str, row.reasons)), []).append(row.name)
    return NoRoute(
        what,
        asked=_asked(plan.request),
        allowed=" | ".join(f"{', '.join(those)}: {reasons}" for reasons, those in names.items()),
        hint=hint or "ask for less, or print(client.plan(...)) for the whole picture",
        plan=plan,
    )


def _asked(request: VideoRequest) -> str:
    """What decides who can make it, as it was typed; what was left out is not named."""
    names = ("model", "duration", "resolution", "aspect_ratio", "fps", "audio", "mode", "region", "watermark", "count")
    default = {f.name: f.default for f in fields(VideoRequest)}
    values = [(name, getattr(request, name)) for name in names]
    shown = [(name, value) for name, value in values if name == "model" or value != default[name]]
    return ", ".join(f'{name}="{value}"' if isinstance(value, str) else f"{name}={value}" for name, value in shown)


def _unsupported(row: Rejected, hint: str) -> UnsupportedFeature:
    problems = [
        Problem(
            reason.field,
            reason.asked,
            f"{reason.allowed} ({reason.source})" if reason.source else reason.allowed,
            f"{row.model} {reason.what or 'cannot do this'}.",
            reason.hint,
        )
        for reason in row.reasons
    ]
    names = ", ".join(reason.field for reason in row.reasons)
    what = f"{row.model} cannot do {len(problems)} of the things asked: {names}." if len(problems) > 1 else ""
    error = UnsupportedFeature.of(problems, what=what, provider=row.provider)
    error.asked = ", ".join(dict.fromkeys(reason.asked for reason in row.reasons))
    hints = dict.fromkeys(text for text in (*(reason.hint for reason in row.reasons), hint) if text)
    error.hint = ", or ".join(hints) or "ask for what is allowed"
    return error


def _unconfirmed(plan: Plan) -> UnsupportedFeature | None:
    """The error of a first candidate that no source confirms, where the request does not accept that."""
    first = plan.first
    if not first.unconfirmed or plan.request.accept_unconfirmed:
        return None
    problems = [
        Problem(r.field, r.asked, r.allowed, f"Nothing confirms that {first.model} {r.what}.", r.hint)
        for r in first.unconfirmed
    ]
    error = UnsupportedFeature.of(problems, provider=first.provider)
    error.asked = ", ".join(reason.asked for reason in first.unconfirmed)
    return error
