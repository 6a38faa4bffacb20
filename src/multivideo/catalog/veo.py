"""Veo 3.1 on its two access paths: Vertex AI, which serves it, and the Gemini API, which did until 2026-10-22."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
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
    PeopleRule,
    Rate,
    ReferenceRule,
    Source,
)
from .guide import GUIDE, OURS

__all__ = ["ACCESS", "PATHS"]

CARD = Source("Vertex AI model card", dt.date(2026, 9, 2))
GEMINI_DOCS = Source("Gemini API video guide", dt.date(2026, 9, 17))
PRICES = Source("Google's price pages for Vertex AI and the Gemini API", dt.date(2026, 9, 2))
VERSIONS = Source("Google's model versions page, as told by a review of it", dt.date(2026, 11, 6))
SHUTDOWN = Source("a gateway's notice that cites the Gemini API deprecations page", dt.date(2026, 10, 25))
EXTENSION = Source("Vertex AI guide to extending videos", dt.date(2026, 9, 2))
RESPONSIBLE_AI = Source("Google's responsible AI page and price pages: blocked videos are free", dt.date(2026, 9, 2))
NO_STATEMENT = Source("no statement of Google on failed jobs was found; our own assumption", dt.date(2026, 11, 22))


LANDSCAPE = {"720p": (1280, 720), "1080p": (1920, 1080), "4k": (3840, 2160)}
MAX_SEED = 4_294_967_295


def _format(resolution: str, *, audio: tuple[bool, ...], source: Source) -> Format:
    """A resolution in both directions: any length at 720p, 8 s alone above it."""
    width, height = LANDSCAPE[resolution]
    return Format(
        resolution=resolution,
        sizes={"16:9": (width, height), "9:16": (height, width)},
        seconds=(4, 6, 8) if resolution == "720p" else (8,),
        fps=24,
        audio=audio,
        source=source,
    )


VERTEX_720P, VERTEX_1080P, VERTEX_4K = (
    _format(resolution, audio=(True, False), source=CARD) for resolution in LANDSCAPE
)
# Vertex: the card lists 4k for veo-3.1; a guide says "preview models only". Nobody has shown a file.
VERTEX_4K = evolve(VERTEX_4K, certainty=Certainty.UNCERTAIN)
GEMINI_720P, GEMINI_1080P, GEMINI_4K = (
    _format(resolution, audio=(True,), source=GEMINI_DOCS) for resolution in LANDSCAPE
)

# Neither path has a field for an https address: Vertex takes bytes or gs://, the Gemini API bytes alone.
VERTEX_IMAGE = ImageRule(formats=("png", "jpeg"), max_bytes=20_000_000, urls=False, storage=True, source=CARD)
GEMINI_IMAGE = evolve(VERTEX_IMAGE, storage=False, source=GEMINI_DOCS)

VERTEX_TEXT = ModeFacts(
    mode=Mode.TEXT,
    formats=(VERTEX_720P, VERTEX_1080P),
    source=CARD,
    default_seconds=8,
    # Not clearly documented; the answers of gateways take it as on. We always send the switch: it decides the price.
    default_audio=True,
    prompt_words=1024,  # the Gemini API's figure, in tokens
    negative_prompt=True,
    seed_max=MAX_SEED,
    samples_max=4,
)
GEMINI_TEXT = evolve(VERTEX_TEXT, formats=(GEMINI_720P, GEMINI_1080P), source=GEMINI_DOCS, samples_max=1)


def _eight_seconds(formats: tuple[Format, ...]) -> tuple[Format, ...]:
    return tuple(evolve(row, seconds=(8,)) for row in formats)


def _modes(text: ModeFacts, image: ImageRule, *formats: Format) -> tuple[ModeFacts, ...]:
    """What every tier has on a path: text, first frame, and first with last frame."""
    text = evolve(text, formats=formats)
    return (
        text,
        evolve(text, mode=Mode.FIRST_FRAME, image=image),
        # Two projects disagree whether 4 and 6 s pass between two frames: 8 s is safe.
        evolve(text, mode=Mode.FIRST_LAST, image=image, formats=_eight_seconds(formats)),
    )


def _doubted(facts: ModeFacts) -> ModeFacts:
    """Lite's own card lists pictures as input in one place and leaves them out in another."""
    return facts if facts.image is None else evolve(facts, certainty=Certainty.UNCERTAIN)


def _reference(text: ModeFacts, image: ImageRule, *formats: Format) -> ModeFacts:
    """Up to three pictures of things to keep. Landscape only in the docs of 2025; later guides show portrait too."""
    landscape = tuple(
        evolve(row, sizes={"16:9": row.sizes["16:9"]}, certainty=Certainty.UNCERTAIN) for row in _eight_seconds(formats)
    )
    seen = ReferenceRule(pictures=3, source=text.source)
    return evolve(text, mode=Mode.REFERENCE, image=image, formats=landscape, references=seen)


# What an extension is billed for, the seven seconds or the whole file, no source settles: the whole is held.
VERTEX_CLIP = ClipRule(
    files=True,
    storage=True,
    min_seconds=1,
    max_seconds=30,
    fps=(24, 24),
    max_total=37,
    joined=True,
    perhaps_whole=True,
    source=EXTENSION,
)
# Only what Veo made there, within the two days that its file is kept; a call adds seven seconds, at most twenty times.
GEMINI_CLIP = ClipRule(
    own=True, min_seconds=1, max_seconds=141, max_total=148, joined=True, perhaps_whole=True, source=GEMINI_DOCS
)


def _extension(text: ModeFacts, clip: ClipRule, *formats: Format) -> ModeFacts:
    """Seven seconds a call: up to 37 s in all on Vertex, up to 148 s of Veo's own video at the Gemini API."""
    longer = tuple(evolve(row, seconds=(7,), source=clip.source) for row in formats)
    return evolve(text, mode=Mode.EXTEND, formats=longer, default_seconds=7, clip=clip, source=clip.source)


VERTEX_BOTH = (VERTEX_720P, VERTEX_1080P)
VERTEX_MODES = {
    "veo-3.1": (
        *_modes(VERTEX_TEXT, VERTEX_IMAGE, *VERTEX_BOTH, VERTEX_4K),
        _reference(VERTEX_TEXT, VERTEX_IMAGE, *VERTEX_BOTH),
        _extension(VERTEX_TEXT, VERTEX_CLIP, *VERTEX_BOTH, VERTEX_4K),
    ),
    # The price list has 4k for Fast too, its card has not: the card is followed.
    "veo-3.1-fast": (
        *_modes(VERTEX_TEXT, VERTEX_IMAGE, *VERTEX_BOTH),
        _reference(VERTEX_TEXT, VERTEX_IMAGE, *VERTEX_BOTH),
        _extension(VERTEX_TEXT, VERTEX_CLIP, *VERTEX_BOTH),
    ),
    "veo-3.1-lite": (
        *map(_doubted, _modes(VERTEX_TEXT, VERTEX_IMAGE, *VERTEX_BOTH)),
        _extension(VERTEX_TEXT, VERTEX_CLIP, *VERTEX_BOTH),
    ),
}
GEMINI_BOTH = (GEMINI_720P, GEMINI_1080P)
GEMINI_RICH = (
    *_modes(GEMINI_TEXT, GEMINI_IMAGE, *GEMINI_BOTH, GEMINI_4K),
    _reference(GEMINI_TEXT, GEMINI_IMAGE, *GEMINI_BOTH),
    _extension(GEMINI_TEXT, GEMINI_CLIP, GEMINI_720P),
)
GEMINI_MODES = {
    "veo-3.1": GEMINI_RICH,
    "veo-3.1-fast": GEMINI_RICH,
    "veo-3.1-lite": _modes(GEMINI_TEXT, GEMINI_IMAGE, *GEMINI_BOTH),
}

# US dollars for a second of delivered video: with sound, without (Vertex alone can leave it out).
PRICE_LIST: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "veo-3.1": {"720p": ("0.40", "0.20"), "1080p": ("0.40", "0.20"), "4k": ("0.60", "0.40")},
    "veo-3.1-fast": {"720p": ("0.10", "0.08"), "1080p": ("0.12", "0.10"), "4k": ("0.30", "0.25")},
    "veo-3.1-lite": {"720p": ("0.05", "0.03"), "1080p": ("0.08", "0.05")},
}


def _rates(model: str) -> tuple[Rate, ...]:
    """By resolution and sound. Whether an extension is billed for 7 s or for the whole file is not settled."""
    listed = tuple(
        Rate(when={"resolution": resolution, "audio": audio}, amount=Decimal(usd), source=PRICES)
        for resolution, (loud, silent) in PRICE_LIST[model].items()
        for audio, usd in ((True, loud), (False, silent))
    )
    longer = tuple(
        evolve(rate, when={**rate.when, "mode": Mode.EXTEND}, certainty=Certainty.UNCERTAIN) for rate in listed
    )
    return (*longer, *listed)


FAILURES = (
    FailureCharge(kind="failed", charged=True, source=NO_STATEMENT, certainty=Certainty.UNCERTAIN),
    FailureCharge(kind="filtered", charged=False, source=RESPONSIBLE_AI, certainty=Certainty.DOCUMENTED),
)
RUN_TIMES = {
    "veo-3.1": ExpectedTime(40, 75, 240),
    "veo-3.1-fast": ExpectedTime(25, 50, 180),
    "veo-3.1-lite": ExpectedTime(20, 40, 150),
}

# An older listing named 2026-11-17 as the earliest end; the newest reading moved it to 2027-05-04 or later.
GENERAL = Lifecycle(released=dt.date(2025, 11, 17), not_before=dt.date(2027, 5, 4), source=VERSIONS)
VERTEX_LIVES = {
    "veo-3.1": GENERAL,
    "veo-3.1-fast": GENERAL,
    "veo-3.1-lite": Lifecycle(released=dt.date(2026, 4, 2), source=VERSIONS),  # a preview: no promise of age
}
PREVIEW = Lifecycle(
    released=dt.date(2025, 10, 15),
    retires=dt.date(2026, 10, 22),
    successor="the same model is served at vertex",
    source=SHUTDOWN,
)
GEMINI_LIVES = {
    "veo-3.1": PREVIEW,
    "veo-3.1-fast": PREVIEW,
    # "Spring 2026" is all that is known: the day it came to Vertex.
    "veo-3.1-lite": evolve(PREVIEW, released=dt.date(2026, 4, 2), certainty=Certainty.UNCERTAIN),
}


# Guides of Vertex print "disallow" where its reference has "dont_allow"; the Gemini API was never seen to take either.
VERTEX_ADULTS = PeopleRule(
    regions=("eu", "uk", "ch", "mena"),
    option="personGeneration",
    allowed=("allow_adult", "dont_allow", "disallow"),
    says="Veo shows no children to these regions: personGeneration is left out, or allow_adult",
    source=GEMINI_DOCS,
)
GEMINI_ADULTS = evolve(VERTEX_ADULTS, allowed=("allow_adult",))


def _vertex(model: str, wire_model: str) -> ModelPath:
    return ModelPath(
        model=model,
        path="vertex",
        wire_model=wire_model,
        vendor="veo",
        lifecycle=VERTEX_LIVES[model],
        modes=VERTEX_MODES[model],
        rates=_rates(model),
        failures=FAILURES,
        run_time=RUN_TIMES[model],
        run_time_source=OURS,
        regions=("us-central1",),
        people=(VERTEX_ADULTS,),
        provenance="SynthID, C2PA",
    )


def _gemini(model: str, wire_model: str) -> ModelPath:
    return ModelPath(
        model=model,
        path="gemini",
        wire_model=wire_model,
        vendor="veo",
        lifecycle=GEMINI_LIVES[model],
        modes=GEMINI_MODES[model],
        rates=tuple(rate for rate in _rates(model) if rate.when["audio"]),
        failures=FAILURES,
        run_time=RUN_TIMES[model],
        run_time_source=OURS,
        regions=("global",),
        people=(GEMINI_ADULTS,),
        provenance="SynthID",
    )


PATHS = (
    _vertex("veo-3.1", "veo-3.1-generate-001"),
    _vertex("veo-3.1-fast", "veo-3.1-fast-generate-001"),
    _vertex("veo-3.1-lite", "veo-3.1-lite-generate-001"),
    _gemini("veo-3.1", "veo-3.1-generate-preview"),
    _gemini("veo-3.1-fast", "veo-3.1-fast-generate-preview"),
    _gemini("veo-3.1-lite", "veo-3.1-lite-generate-preview"),
)


def _access(path: ModelPath) -> AccessRow:
    if path.path == "vertex":
        return AccessRow(
            model=path.model,
            path="vertex",
            entry_cost="none",
            billing="by the second of delivered video, on the Google Cloud bill; no free tier",
            setup="the hardest of the three: a Google Cloud project with billing, the Vertex AI API switched on, and "
            "credentials with the permission aiplatform.endpoints.predict",
            regions="us-central1",
            source=CARD,
        )
    return AccessRow(
        model=path.model,
        path="gemini",
        entry_cost="none",
        billing="closed since 2026-10-22; was by the second of delivered video",
        setup="an API key",
        regions="closed; was one address for all regions",
        source=SHUTDOWN,
    )


ACCESS = (
    *(_access(path) for path in PATHS),
    AccessRow(
        model="veo-3.1",
        path="multi-model platform",
        entry_cost="from 9.99 USD a month",
        billing="subscription with the platform's credits",
        setup="an account at the platform",
        regions="as the platform says",
        source=GUIDE,
    ),
)
