"""Sora 2 at OpenAI's own Videos API: shut down on 2026-09-24; limits and prices as they were last documented."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal

from attrs import evolve

from ..values.plan import ExpectedTime
from ..values.words import Mode
from .facts import (
    AccessRow,
    Certainty,
    ClipRule,
    FailureCharge,
    Format,
    ImageRule,
    Lifecycle,
    ModeFacts,
    ModelPath,
    Rate,
    ReferenceRule,
    Source,
)
from .guide import GUIDE, OURS

__all__ = ["ACCESS", "PATHS", "in_litellm"]

VIDEO_GUIDE = Source("OpenAI video generation guide; frame rate as measured at Azure", dt.date(2026, 10, 2))
SCHEMA = Source("OpenAI's published API schema", dt.date(2026, 8, 21))
PRICES = Source("OpenAI pricing page", dt.date(2026, 9, 19))
DEPRECATIONS = Source("OpenAI deprecations page", dt.date(2026, 11, 22))
LITELLM = Source("source of LiteLLM's proxy, version 1.109.1", dt.date(2026, 11, 22))
NO_STATEMENT = Source("no statement of OpenAI on unfinished jobs was found; our own assumption", dt.date(2026, 11, 22))


# 16 and 20 s stand in the guide since 2026-03-12, while the schema's enum and a refusal recorded on 2026-07-25 name
# 4, 8 and 12 only: the careful reading is offered.
SECONDS = (4, 8, 12)

# The picture may come as a data URL of at most 20,971,520 characters (schema); Base64 takes 4 characters for 3 bytes.
FIRST_FRAME = ImageRule(formats=("png", "jpeg", "webp"), max_bytes=15_728_600, exact_size=True, source=SCHEMA)


def _format(resolution: str, landscape: tuple[int, int], shapes: tuple[str, str] = ("16:9", "9:16")) -> Format:
    """A size in both directions. Sound cannot be switched off; 30 fps was seen in files and is stated nowhere."""
    return Format(
        resolution=resolution,
        sizes={shapes[0]: landscape, shapes[1]: (landscape[1], landscape[0])},
        seconds=SECONDS,
        fps=30,
        audio=(True,),
        source=VIDEO_GUIDE,
        certainty=Certainty.OBSERVED,
    )


STANDARD_FORMATS = (_format("720p", (1280, 720)),)
PRO_FORMATS = (
    *STANDARD_FORMATS,
    _format("1024p", (1792, 1024), ("7:4", "4:7")),
    _format("1080p", (1920, 1080)),  # since 2026-03-12
)


def _mode(mode: Mode, formats: tuple[Format, ...], *, image: ImageRule | None = None) -> ModeFacts:
    return ModeFacts(
        mode=mode,
        formats=formats,
        source=SCHEMA,
        # What the vendor takes when nothing is said; its portrait shape is not ours, so a size is always sent.
        default_seconds=4,
        default_audio=True,
        prompt_characters=32_000,
        image=image,
    )


# An upload is for eligible customers only, and the vendor says so, at no cost, to everybody else. An extension of one
# names no model, so that it is offered for the default one alone: which other would make it, and its price, is unknown.
# By id no model is named either: that of the source goes on, at its own price.
EXTENDED = ClipRule(own=True, same_model=True, files=True, max_total=120, joined=True, source=SCHEMA)
EDITED = ClipRule(own=True, same_model=True, files=True, as_long=True, source=SCHEMA)
REMIXED = evolve(EDITED, files=False)
# In the guide and not in the schema, so it may go with it; the name must be spoken. All are made from clips.
CHARACTERS = ReferenceRule(elements=2, of_video=2, spoken=True, source=VIDEO_GUIDE, certainty=Certainty.UNCERTAIN)


def _modes(formats: tuple[Format, ...], extended: ClipRule) -> tuple[ModeFacts, ...]:
    return (
        _mode(Mode.TEXT, formats),
        evolve(_mode(Mode.FIRST_FRAME, formats, image=FIRST_FRAME), references=CHARACTERS),
        evolve(_mode(Mode.REFERENCE, formats), references=CHARACTERS),
        # At most six extensions of one video and 120 s in all; an edit and a remix keep the seconds of their source.
        evolve(_mode(Mode.EXTEND, formats), clip=extended),
        evolve(_mode(Mode.EDIT, formats), clip=EDITED),
        evolve(_mode(Mode.REMIX, formats), clip=REMIXED),
    )


LIFECYCLE = Lifecycle(
    released=dt.date(2025, 10, 6),
    deprecated=dt.date(2026, 3, 24),
    retires=dt.date(2026, 9, 24),
    successor="no successor at OpenAI",
    source=DEPRECATIONS,
)

FAILURES = tuple(
    FailureCharge(kind=kind, charged=True, source=NO_STATEMENT, certainty=Certainty.UNCERTAIN)
    for kind in ("failed", "filtered")
)


def _rate(resolution: str, usd: str) -> Rate:
    return Rate(when={"resolution": resolution}, amount=Decimal(usd), source=PRICES)


PATHS = (
    ModelPath(
        model="sora-2",
        path="openai",
        wire_model="sora-2",
        other_names=("sora-2-2025-12-08", "sora-2-2025-10-06"),
        vendor="openai",
        lifecycle=LIFECYCLE,
        modes=_modes(STANDARD_FORMATS, EXTENDED),
        rates=(_rate("720p", "0.10"),),
        failures=FAILURES,
        run_time=ExpectedTime(60, 120, 300),
        run_time_source=OURS,
        regions=("global",),
    ),
    ModelPath(
        model="sora-2-pro",
        path="openai",
        wire_model="sora-2-pro",
        other_names=("sora-2-pro-2025-10-06",),
        vendor="openai",
        lifecycle=LIFECYCLE,
        modes=_modes(PRO_FORMATS, evolve(EXTENDED, files=False)),
        rates=(_rate("720p", "0.30"), _rate("1024p", "0.50"), _rate("1080p", "0.70")),
        failures=FAILURES,
        run_time=ExpectedTime(90, 180, 480),
        run_time_source=OURS,
        regions=("global",),
    ),
)


def in_litellm(rows: Sequence[ModelPath]) -> tuple[ModelPath, ...]:
    """The rows as LiteLLM serves them: all modes, with less of what may be brought along."""
    return tuple(evolve(row, modes=tuple(map(_in_litellm, row.modes))) for row in rows)


def _in_litellm(facts: ModeFacts) -> ModeFacts:
    image, clip, references = facts.image, facts.clip, facts.references
    if image is not None:  # handed on as a file, and known by no address
        image = evolve(image, urls=False, source=LITELLM)
        if references is not None:  # of a form's repeated fields, only the last is handed on
            references = evolve(references, elements=1, of_video=1, source=LITELLM)
    if clip is not None:  # OpenAI edits a file only for a model, which LiteLLM keeps to itself; it extends none
        clip = evolve(clip, files=False, source=LITELLM)
    return evolve(facts, image=image, clip=clip, references=references)


ACCESS = (
    *(
        AccessRow(
            model=path.model,
            path=path.path,
            entry_cost="none",
            billing="closed since 2026-09-24; was by the second of video",
            setup="an API key; compatible gateways still serve the protocol under a base_url of their own",
            regions="closed; was one address for all regions",
            source=DEPRECATIONS,
        )
        for path in PATHS
    ),
    AccessRow(
        model="sora-2",
        path="ChatGPT Pro",
        entry_cost="200 USD a month",
        billing="subscription",
        setup="an account; by hand, no API",
        regions="as ChatGPT; the Sora web and app were closed on 2026-04-26",
        source=GUIDE,
    ),
    AccessRow(
        model="sora-2",
        path="multi-model platform",
        entry_cost="from 9.99 USD a month",
        billing="subscription with the platform's credits",
        setup="an account at the platform",
        regions="as the platform says",
        source=GUIDE,
    ),
)
