"""Models of the user's own, as rows of the catalog."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from attrs import frozen

from ..catalog.facts import (
    Certainty,
    Format,
    ImageRule,
    Lifecycle,
    ModeFacts,
    ModelPath,
    ModelSpec,
    Rate,
    Source,
)
from ..errors import Problem
from ..values.plan import ExpectedTime
from ..values.words import Mode

__all__ = ["own_path", "spec_problems"]


@frozen
class _Given(Source):
    """What the user said, which was read nowhere."""

    def __str__(self) -> str:
        return self.title


_GIVEN = _Given("as given in models=", dt.date.min)
_SIZE = re.compile(r"([1-9]\d{1,4})x([1-9]\d{1,4})")
_SHAPES = {"16:9": Fraction(16, 9), "9:16": Fraction(9, 16), "1:1": Fraction(1)}


def spec_problems(models: Mapping[str, ModelSpec]) -> Iterable[Problem]:
    """What is wrong with models that a user described."""
    described = 'a mapping of names to models: {"my-model": multivideo.ModelSpec(...)}'
    if not isinstance(models, Mapping):
        yield Problem("models", f"a {type(models).__name__}", described)
        return
    if not models:
        yield Problem("models", "empty", 'at least one model: {"my-model": multivideo.ModelSpec(...)}')
    for name, spec in models.items():
        where = f'models["{name}"]'
        if not isinstance(name, str) or not isinstance(spec, ModelSpec):
            yield Problem("models", f"{type(name).__name__} to {type(spec).__name__}", described)
            continue
        if not name or "@" in name or name != name.strip():
            yield Problem("models", f'the name "{name}"', 'a name without "@" and without blanks around it')
        if not spec.sizes or not all(_SIZE.fullmatch(size) for size in spec.sizes):
            yield Problem(f"{where}.sizes", str(spec.sizes), 'pixels such as ("1280x720", "720x1280")')
        if not spec.seconds or not all(type(s) is int and s > 0 for s in spec.seconds):
            yield Problem(f"{where}.seconds", str(spec.seconds), "whole numbers above 0")
        if not spec.audio:
            yield Problem(f"{where}.audio", "()", "(True,), (False,) or (True, False)")
        if spec.price_per_second is not None and not _is_price(spec.price_per_second):
            yield Problem(
                f"{where}.price_per_second", repr(spec.price_per_second), 'US dollars as "0.10", Decimal or int'
            )


def _is_price(price: object) -> bool:
    if isinstance(price, bool) or not isinstance(price, Decimal | str | int):
        return False
    try:
        amount = Decimal(price)
    except InvalidOperation:
        return False
    return amount.is_finite() and amount >= 0


def own_path(name: str, spec: ModelSpec, *, path: str, vendor: str) -> ModelPath:
    """The row of a described model; the name is also what is sent as its id."""
    modes = [Mode.TEXT, Mode.FIRST_FRAME] if spec.first_frame else [Mode.TEXT]
    return ModelPath(
        model=name,
        path=path,
        wire_model=name,
        vendor=vendor,
        lifecycle=Lifecycle(released=dt.date.min, source=_GIVEN),
        modes=tuple(_mode(mode, spec) for mode in modes),
        rates=_rates(spec),
        failures=(),
        run_time=ExpectedTime(spec.run_time_s / 2, spec.run_time_s, spec.run_time_s * 4),
        run_time_source=_GIVEN,
        regions=(),
    )


def _mode(mode: Mode, spec: ModelSpec) -> ModeFacts:
    formats = _formats(spec)
    return ModeFacts(
        mode=mode,
        formats=formats,
        source=_GIVEN,
        default_resolution=formats[0].resolution,
        default_seconds=spec.seconds[0],
        default_ratio=next(iter(formats[0].sizes)),
        default_audio=spec.audio[0],
        prompt_characters=spec.prompt_characters,
        image=ImageRule(formats=("png", "jpeg", "webp"), source=_GIVEN) if mode is Mode.FIRST_FRAME else None,
    )


def _formats(spec: ModelSpec) -> tuple[Format, ...]:
    """One row a resolution, in the order in which the sizes were given: the first is the default."""
    sizes: dict[str, dict[str, tuple[int, int]]] = {}
    for text in spec.sizes:
        width, height = map(int, text.split("x"))
        sizes.setdefault(_resolution(min(width, height)), {})[_ratio(width, height)] = (width, height)
    return tuple(
        Format(resolution=name, sizes=shapes, seconds=spec.seconds, fps=spec.fps, audio=spec.audio, source=_GIVEN)
        for name, shapes in sizes.items()
    )


def _resolution(short_side: int) -> str:
    return "4k" if short_side == 2160 else f"{short_side}p"


def _ratio(width: int, height: int) -> str:
    """The usual name of a shape; 854x480 is called 16:9 too, as everybody does."""
    own = Fraction(width, height)
    near = (name for name, shape in _SHAPES.items() if abs(own / shape - 1) < Fraction(1, 50))
    return next(near, f"{own.numerator}:{own.denominator}")


def _rates(spec: ModelSpec) -> tuple[Rate, ...]:
    """No row where no price was given: it is then unknown, and not zero."""
    if spec.price_per_second is None:
        return ()
    amount = Decimal(spec.price_per_second)
    return (Rate(when={}, amount=amount, source=_GIVEN, certainty=Certainty.UNCERTAIN),)
