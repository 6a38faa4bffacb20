"""The catalog: every model on every path, looked up, checked and priced."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches

from attrs import evolve, frozen

from ..errors import InvalidRequest, Problem
from ..values.credits import Credits
from ..values.plan import ExpectedTime, Quote, QuoteLine, Refusal, Segment
from ..values.request import VideoRequest
from ..values.words import Mode
from . import guide, kling, openai, veo
from .check import fit, wishes
from .facts import AccessRow, Certainty, Model, ModelPath, Rate
from .phrases import any_of

__all__ = ["Catalog", "expected_time", "price"]

UNIT_PRICES = {"USD": Credits.from_usd(1), kling.UNIT: kling.UNIT_PRICE}


@frozen
class Catalog:
    """All that is known of models and access paths, each fact with source and date.

    `as_of` is the day for which questions are answered; None leaves the dates of models unjudged.
    """

    all_models: tuple[Model, ...]
    paths: tuple[ModelPath, ...]
    access_rows: tuple[AccessRow, ...]
    as_of: dt.date | None = None

    @classmethod
    def default(cls) -> Catalog:
        """The facts that this release ships."""
        return cls(
            guide.MODELS,
            (*openai.PATHS, *kling.PATHS, *veo.PATHS),
            (*openai.ACCESS, *kling.ACCESS, *veo.ACCESS),
        )

    def on(self, day: dt.date) -> Catalog:
        """The same facts, asked as of that day."""
        return evolve(self, as_of=day)

    def models(self) -> tuple[ModelPath, ...]:
        """Every model on every access path, with lifecycle, limits per mode and prices."""
        return self.paths

    def model(self, model: str) -> Model:
        """Family, title and scores of a model.

        Raises: InvalidRequest for one that is not known.
        """
        for row in self.all_models:
            if row.id == model:
                return row
        raise InvalidRequest.of([Problem("model", f'"{model}"', self._names())])

    def path(self, name: str) -> ModelPath:
        """The row of `model@path`.

        Raises: InvalidRequest naming what there is.
        """
        model, path = self.resolve(name)
        found = [row for row in self.paths if row.model == model and path in (None, row.path)]
        if len(found) != 1:
            asked, there_is = f'"{name[:80]}"', [row.name for row in self.paths if model in (None, row.model)]
            what = f"{asked} means no model at one access path."
            raise InvalidRequest.of([Problem("model", asked, any_of(there_is) if there_is else self._names(), what)])
        return found[0]

    def resolve(self, name: str) -> tuple[str | None, str | None]:
        """Model and access path that a user's word means: an id, a family's flagship, or either with "@path".

        "auto" means any: (None, None).
        Raises: InvalidRequest for a model that is not known.
        """
        word, _, path = name.partition("@")
        if word == "auto":
            return None, path or None
        for model in self.all_models:
            if word == model.id or (model.flagship and word == model.family):
                return model.id, path or None
        for row in self.paths:
            if word in (row.wire_model, *row.other_names):
                return row.model, path or None
        near = get_close_matches(word, [model.id for model in self.all_models], 1)
        hint = f'model="{near[0]}"?' if near else ""
        what = f"There is no model {word[:80]!r}."
        raise InvalidRequest.of([Problem("model", f'"{name[:80]}"', self._names(), what, hint)])

    def check(self, request: VideoRequest, name: str) -> tuple[Refusal, ...]:
        """Every reason why `model@path` cannot make the request, each with what is allowed; empty: it can."""
        return fit(request, self.path(name), self.as_of).refusals

    def durations(
        self, name: str, *, mode: Mode | str = Mode.TEXT, resolution: str | None = None, audio: bool | None = None
    ) -> tuple[int, ...]:
        """The seconds that are left for `model@path` under the other wishes.

        Raises: InvalidRequest for a model, mode or resolution that is not known.
        """
        if mode not in set(Mode):
            raise InvalidRequest.of([Problem("mode", repr(mode), any_of(Mode))])
        facts = self.path(name).mode(Mode(mode))
        if facts is None:
            return ()
        asked = wishes(VideoRequest("any", resolution=resolution, audio=audio), facts)
        rows = [row for row in facts.formats if all(wish.keeps(row) for wish in asked)]
        return tuple(sorted({seconds for row in rows for seconds in row.seconds}))

    def scorecard(self) -> dict[str, dict[str, int]]:
        """Stars by category and model, 1 to 5, of the flagships."""
        flagships = [model for model in self.all_models if model.flagship and model.scores]
        categories = dict.fromkeys(score.category for model in flagships for score in model.scores)
        return {
            category: {m.id: s.stars for m in flagships for s in m.scores if s.category == category}
            for category in categories
        }

    def access(self) -> tuple[AccessRow, ...]:
        """How to get at each model: entry cost, billing, set-up and regions for each path."""
        return self.access_rows

    def _names(self) -> str:
        ids = [model.id for model in self.all_models if any(row.model == model.id for row in self.paths)]
        paths = ", ".join(dict.fromkeys(row.path for row in self.paths))
        return f'"auto", {", ".join(ids)}, alone or with "@" and one of {paths}'


def price(path: ModelPath, segment: Segment, as_of: dt.date, unit_prices: Mapping[str, Credits] | None = None) -> Quote:
    """What a segment costs by the vendor's list, all its takes together. Pure.

    `unit_prices` replace the list price of a vendor's own unit. No row of the list fits: amount 0 and certainty
    "unknown".
    """
    rate = _rate(path.rates, segment, as_of)
    if rate is None:
        return Quote(Credits(micro_usd=0), Credits(micro_usd=0), (), "unknown")
    unit_price = {**UNIT_PRICES, **(unit_prices or {})}[rate.unit]
    takes = sum(segment.samples)
    per_unit, calls = rate.amount * unit_price.usd, len(segment.samples)
    units = {"second": segment.seconds * takes, "sample": takes, "call": calls}[rate.per]
    most = (segment.most_seconds or segment.seconds) * takes if rate.per == "second" else units
    what = f"{segment.seconds} s {segment.resolution}, {'with' if segment.audio else 'without'} sound, {_takes(takes)}"
    line = QuoteLine(what, units, f"{rate.amount} {rate.unit} a {rate.per}", Credits.from_usd(per_unit * units))
    unsure = rate.certainty is Certainty.UNCERTAIN or most != units
    held = Credits.from_usd(per_unit * max(most, units), round_up=True)
    return Quote(line.amount, held, (line,), "assumed" if unsure else "documented")


def _takes(count: int) -> str:
    return "1 take" if count == 1 else f"{count} takes"


def _rate(rates: Sequence[Rate], segment: Segment, as_of: dt.date) -> Rate | None:
    facts = {"mode": segment.mode, "resolution": segment.resolution, "audio": segment.audio, "video_input": False}
    for rate in rates:
        in_time = (rate.since is None or rate.since <= as_of) and (rate.until is None or as_of < rate.until)
        if in_time and all(facts[name] == value for name, value in rate.when.items()):
            return rate
    return None


_PIXELS = {"720p": Decimal(1), "1024p": Decimal("1.6"), "1080p": Decimal("1.7"), "4k": Decimal("3.5")}


def expected_time(path: ModelPath, segment: Segment) -> ExpectedTime:
    """How long a segment may take before anything was learned: the prior of the path, by seconds and pixels.

    Our own scaling: half of the prior is there whatever is made, half grows with the seconds; larger pictures take
    longer, less than in proportion to their pixels.
    """
    prior, size = path.run_time, float(_PIXELS.get(segment.resolution, Decimal(1)))
    factor = (0.5 + segment.seconds / 16) * size
    return ExpectedTime(prior.low_s * factor, prior.typical_s * factor, prior.high_s * factor)
