"""Kling at Kuaishou's own API, in its new protocol (model in the path): 3.0 and its tiers, O1, 2.6 and 2.5 Turbo.

The legacy protocol of the same host serves the same models but Turbo, with smaller limits: `in_legacy` gives its rows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal

from attrs import evolve, frozen

from ..values.credits import Credits
from ..values.plan import ExpectedTime
from ..values.words import REGIONS, Mode
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

__all__ = ["ACCESS", "LEGACY", "NEXT_SHOT", "PATHS", "UNIT", "UNIT_PRICE", "in_legacy"]

DOCS = Source("Kling API docs, 3.0 and Omni pages", dt.date(2026, 9, 20))
CAPABILITIES = Source("Kling API docs, older models and capability map", dt.date(2026, 9, 20))
UPDATES = Source("Kling API update log", dt.date(2026, 9, 20))
PRICES = Source("Kling price list for video", dt.date(2026, 9, 20))
LEGACY_DOCS = Source("Kling API docs, legacy video pages", dt.date(2026, 9, 20))
PACKS = Source("Kling resource pack page", dt.date(2026, 8, 26))
NO_STATEMENT = Source(
    "no statement of Kling on unfinished jobs was found; its billing rows decide", dt.date(2026, 11, 22)
)

UNIT = "Kling unit"
# List price of one video unit (Kling price list for video, read 2026-09-20); packs were also sold at 0.126.
UNIT_PRICE = Credits.from_usd("0.14")

NEXT_SHOT = "The next shot of @video_1: "
"""What an extension says before the prompt, as the docs advise ("next shot"); it counts as part of it."""


# Pixels of the square shape are those of one integrator's table (read 2026-08); the docs give names only.
SIZES: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "720p": {"16:9": (1280, 720), "9:16": (720, 1280), "1:1": (960, 960)},
    "1080p": {"16:9": (1920, 1080), "9:16": (1080, 1920), "1:1": (1440, 1440)},
    "4k": {"16:9": (3840, 2160), "9:16": (2160, 3840), "1:1": (2880, 2880)},
}
THREE_TO_15 = tuple(range(3, 16))
AS_ASKED, ALWAYS, NEVER = (True, False), (True,), (False,)


def _format(resolution: str, seconds: tuple[int, ...], audio: tuple[bool, ...], source: Source = DOCS) -> Format:
    """One resolution in its three shapes. 24 fps is what the docs state; a field for it does not exist."""
    return Format(
        resolution=resolution,
        sizes=SIZES[resolution],
        seconds=seconds,
        fps=24,
        audio=audio,
        claimed_fps=(60,) if resolution == "4k" else (),  # the guide's "4K at up to 60 fps"
        source=source,
    )


NATIVE = tuple(_format(name, THREE_TO_15, AS_ASKED) for name in ("720p", "1080p", "4k"))
TURBO = tuple(_format(name, THREE_TO_15, ALWAYS) for name in ("720p", "1080p"))
O1 = tuple(_format(name, tuple(range(3, 11)), NEVER, CAPABILITIES) for name in ("720p", "1080p"))
OLD_720P, OLD_1080P = (_format(name, (5, 10), NEVER, CAPABILITIES) for name in ("720p", "1080p"))
OLD_1080P_NATIVE = evolve(OLD_1080P, audio=AS_ASKED)  # 2.6 makes sound at 1080p only

IMAGE = ImageRule(
    formats=("jpeg", "png"),
    max_bytes=50_000_000,
    min_side=300,
    max_ratio=Decimal("2.5"),
    source=DOCS,
)

# A clip goes along by address alone: a file has to be put somewhere first, and what Kling made lies there already.
CLIP = ClipRule(
    urls=True,
    max_bytes=200_000_000,
    min_seconds=3,
    max_seconds=15.5,
    sides=(700, 4553),
    max_pixels=8_294_400,
    shapes=(Decimal("0.4"), Decimal(2)),
    fps=(24, 60),
    same_size=False,
    source=DOCS,
)
EDITED = evolve(CLIP, as_long=True, own_sound=True)
CONTINUED = evolve(CLIP, as_reference=True, certainty=Certainty.UNCERTAIN)
O1_EDITED = evolve(EDITED, max_seconds=10, sides=(700, 2160), source=CAPABILITIES)
MOVED = ClipRule(
    urls=True,
    max_bytes=100_000_000,
    min_seconds=3,
    max_seconds=30,
    sides=(340, 3850),
    as_long=True,
    may_be_shorter=True,
    own_sound=True,
    same_size=False,
    open_shape=True,
    source=DOCS,
)

SEEN = ReferenceRule(pictures=7, elements=7, of_video=3, together=7, beside_of_video=4, source=DOCS)
SEEN_WITH_FRAMES = evolve(SEEN, elements=3)
SEEN_WITH_CLIP = ReferenceRule(pictures=4, elements=4, of_video=1, together=4, beside_of_video=0, source=DOCS)
SEEN_BY_O1 = evolve(SEEN, of_video=0, source=CAPABILITIES)
ELEMENTS = ReferenceRule(elements=3, of_video=3, source=DOCS)
LOOK = ReferenceRule(pictures=1, fewest_pictures=1, elements=1, of_video=1, source=DOCS)
LOOK_ALONE = evolve(LOOK, elements=0, of_video=0, source=CAPABILITIES)

TEXT = ModeFacts(
    mode=Mode.TEXT,
    formats=NATIVE,
    source=DOCS,
    default_seconds=5,
    default_audio=False,
    prompt_characters=3072,
    watermark=True,
)
OLD_TEXT = evolve(TEXT, source=CAPABILITIES, prompt_characters=2500)


def _framed(
    text: ModeFacts, mode: Mode = Mode.FIRST_FRAME, *, seen: ReferenceRule | None = None, shots: int = 0
) -> ModeFacts:
    """The same limits with a picture to start from, which decides the shape: there is no field for another."""
    facts = evolve(text, mode=mode, image=IMAGE, frame_decides_shape=True, references=seen)
    return _cut(facts, shots)


def _cut(facts: ModeFacts, shots: int = 6) -> ModeFacts:
    """Several shots in one clip, each with its own words and whole seconds."""
    return evolve(facts, shots_max=shots, shot_characters=512 if shots else None)


def _shots(text: ModeFacts) -> ModeFacts:
    return _cut(evolve(text, mode=Mode.SHOTS))


def _references(text: ModeFacts, seen: ReferenceRule = SEEN, shots: int = 6) -> ModeFacts:
    """Pictures and elements of people and things, which the prompt may name."""
    return _cut(evolve(text, mode=Mode.REFERENCE, image=IMAGE, references=seen), shots)


def _motion(text: ModeFacts, look: ReferenceRule, source: Source) -> ModeFacts:
    """A picture moved by a clip: as long as the clip, up to 30 s, with the clip's own sound or without."""
    rows = tuple(_format(name, tuple(range(3, 31)), AS_ASKED, source) for name in ("720p", "1080p"))
    facts = evolve(text, formats=rows, source=source, default_audio=True, prompt_characters=2500)
    return evolve(facts, mode=Mode.MOTION, image=IMAGE, references=look, clip=evolve(MOVED, source=source))


def _edit(text: ModeFacts, formats: Sequence[Format], clip: ClipRule, seen: ReferenceRule) -> ModeFacts:
    """A clip changed by words: as long as the clip, with the clip's own sound or without, never with new sound."""
    rows = tuple(evolve(row, audio=AS_ASKED) for row in formats)
    facts = evolve(text, mode=Mode.EDIT, formats=rows, default_audio=True, image=IMAGE)
    return evolve(facts, references=seen, clip=clip)


def _extension(text: ModeFacts) -> ModeFacts:
    """No endpoint of its own: the clip as a reference and the words "next shot"; silent, since a clip comes in."""
    silent = tuple(evolve(row, audio=NEVER) for row in NATIVE)
    facts = evolve(text, mode=Mode.EXTEND, formats=silent, image=IMAGE, certainty=Certainty.UNCERTAIN)
    return evolve(facts, references=SEEN_WITH_CLIP, clip=CONTINUED, prompt_characters=3072 - len(NEXT_SHOT))


TURBO_TEXT = evolve(TEXT, formats=TURBO, default_audio=True)
O1_TEXT = evolve(OLD_TEXT, formats=O1)
V26_TEXT = evolve(OLD_TEXT, formats=(OLD_720P, OLD_1080P_NATIVE))
V25_TEXT = evolve(OLD_TEXT, formats=(OLD_720P, OLD_1080P))

MODES = {
    "kling-3.0": (
        TEXT,
        _framed(TEXT, seen=ELEMENTS, shots=6),
        _framed(TEXT, Mode.FIRST_LAST, seen=ELEMENTS, shots=6),
        _shots(TEXT),
        _motion(TEXT, LOOK, DOCS),
    ),
    "kling-3.0-turbo": (
        TURBO_TEXT,
        # 2500 stands on the page with a picture, 3072 on the page without.
        evolve(_framed(TURBO_TEXT, shots=6), prompt_characters=2500),
        _shots(TURBO_TEXT),
    ),
    "kling-3.0-omni": (
        TEXT,
        _framed(TEXT, seen=SEEN_WITH_FRAMES, shots=6),
        _framed(TEXT, Mode.FIRST_LAST, seen=SEEN_WITH_FRAMES, shots=6),
        _references(TEXT),
        _shots(TEXT),
        _edit(TEXT, NATIVE, EDITED, SEEN_WITH_CLIP),
        _extension(TEXT),
    ),
    "kling-o1": (
        O1_TEXT,
        evolve(_framed(O1_TEXT), formats=tuple(evolve(row, seconds=(5, 10)) for row in O1)),
        _framed(O1_TEXT, Mode.FIRST_LAST),
        _references(O1_TEXT, SEEN_BY_O1, shots=0),
        _edit(O1_TEXT, O1, O1_EDITED, evolve(SEEN_BY_O1, pictures=4, elements=4, together=4)),
    ),
    "kling-2.6": (
        V26_TEXT,
        _framed(V26_TEXT),
        evolve(_framed(V26_TEXT, Mode.FIRST_LAST), formats=(OLD_1080P_NATIVE,)),
        _motion(V26_TEXT, LOOK_ALONE, CAPABILITIES),
    ),
    "kling-2.5-turbo": (
        V25_TEXT,
        _framed(V25_TEXT),
        evolve(_framed(V25_TEXT, Mode.FIRST_LAST), formats=(OLD_1080P,)),
    ),
}


def _rates(prices: Mapping[str, str], *, audio: bool | None = None, mode: Mode | None = None) -> tuple[Rate, ...]:
    """Units for a second, by resolution; a choice that is None does not matter."""
    choices = {name: value for name, value in (("audio", audio), ("mode", mode)) if value is not None}
    return tuple(
        Rate(when={"resolution": resolution, **choices}, amount=Decimal(units), unit=UNIT, source=PRICES)
        for resolution, units in prices.items()
    )


WITH_A_CLIP = {"720p": "0.9", "1080p": "1.2", "4k": "3.0"}
RATES = {  # the first row that fits holds: modes with a price of their own stand first
    "kling-3.0": (
        *_rates({"720p": "0.9", "1080p": "1.2"}, mode=Mode.MOTION),
        *_rates({"720p": "0.6", "1080p": "0.8"}, audio=False),
        *_rates({"720p": "0.9", "1080p": "1.2"}, audio=True),
        *_rates({"4k": "3.0"}),
    ),
    "kling-3.0-turbo": _rates({"720p": "0.8", "1080p": "1.0"}),
    "kling-3.0-omni": (
        *_rates(WITH_A_CLIP, mode=Mode.EDIT),
        *_rates(WITH_A_CLIP, mode=Mode.EXTEND),
        *_rates({"720p": "0.6", "1080p": "0.8"}, audio=False),
        *_rates({"720p": "0.8", "1080p": "1.0"}, audio=True),
        *_rates({"4k": "3.0"}),
    ),
    "kling-o1": (
        *_rates({"720p": "0.9", "1080p": "1.2"}, mode=Mode.EDIT),
        *_rates({"720p": "0.6", "1080p": "0.8"}),
    ),
    "kling-2.6": (
        *_rates({"720p": "0.5", "1080p": "0.8"}, mode=Mode.MOTION),
        *_rates({"720p": "0.3", "1080p": "0.5"}, audio=False),
        *_rates({"1080p": "1.0"}, audio=True),
    ),
    "kling-2.5-turbo": _rates({"720p": "0.3", "1080p": "0.5"}),
}

FAILURES = tuple(
    FailureCharge(kind=kind, charged=False, source=NO_STATEMENT, certainty=Certainty.UNCERTAIN)
    for kind in ("failed", "filtered")
)


@frozen(kw_only=True)
class LegacyModel:
    """What the legacy protocol says differently of a model."""

    wire_model: str
    negative_prompt: bool


# Turbo has no legacy id: "kling-v3-turbo" is a spelling of resellers.
LEGACY: Mapping[str, LegacyModel] = {
    "kling-3.0": LegacyModel(wire_model="kling-v3", negative_prompt=True),
    "kling-3.0-omni": LegacyModel(wire_model="kling-v3-omni", negative_prompt=False),  # its page lists none
    "kling-o1": LegacyModel(wire_model="kling-video-o1", negative_prompt=False),
    "kling-2.6": LegacyModel(wire_model="kling-v2-6", negative_prompt=True),
    "kling-2.5-turbo": LegacyModel(wire_model="kling-v2-5-turbo", negative_prompt=True),
}
# The pages of text and of frames list a negative prompt; that of motion control does not.
LEGACY_NEGATIVE = frozenset({Mode.TEXT, Mode.SHOTS, Mode.FIRST_FRAME, Mode.FIRST_LAST})
LEGACY_NEXT_SHOT = len(NEXT_SHOT) + len("<<<>>>") - len("@")  # "<<<video_1>>>" stands there for "@video_1"
LEGACY_IMAGE = evolve(IMAGE, max_bytes=10_000_000, source=LEGACY_DOCS)


def in_legacy(rows: Sequence[ModelPath]) -> tuple[ModelPath, ...]:
    """The rows that the legacy protocol serves too, with its ids and limits; seconds, sizes and prices are the same."""
    return tuple(_legacy(row, LEGACY[row.model]) for row in rows if row.model in LEGACY)


def _legacy(row: ModelPath, other: LegacyModel) -> ModelPath:
    modes = tuple(
        evolve(
            facts,
            source=LEGACY_DOCS,
            prompt_characters=2500 - (LEGACY_NEXT_SHOT if facts.mode is Mode.EXTEND else 0),
            negative_prompt=other.negative_prompt and facts.mode in LEGACY_NEGATIVE,
            image=None if facts.image is None else LEGACY_IMAGE,
            references=None if facts.references is None else evolve(facts.references, numbered=True),
            shots_apart=True,
            mentions_by_place=True,
        )
        for facts in row.modes
    )
    return evolve(row, wire_model=other.wire_model, other_names=(row.wire_model,), modes=modes)


def _path(model: str, released: dt.date, run_time: ExpectedTime) -> ModelPath:
    return ModelPath(
        model=model,
        path="kling",
        wire_model=model,
        other_names=(LEGACY[model].wire_model,) if model in LEGACY else (),
        vendor="kling",
        lifecycle=Lifecycle(released=released, source=UPDATES),
        modes=MODES[model],
        rates=RATES[model],
        failures=FAILURES,
        run_time=run_time,
        run_time_source=OURS,
        regions=("singapore", "beijing"),
        key_regions=("singapore", "beijing"),
        serves={"singapore": tuple(region for region in REGIONS if region != "cn"), "beijing": ("cn",)},
    )


PATHS = (
    _path("kling-3.0", dt.date(2026, 2, 25), ExpectedTime(45, 72, 200)),
    _path("kling-3.0-turbo", dt.date(2026, 6, 17), ExpectedTime(25, 45, 140)),
    _path("kling-3.0-omni", dt.date(2026, 2, 25), ExpectedTime(50, 84, 240)),
    _path("kling-o1", dt.date(2025, 12, 15), ExpectedTime(50, 84, 240)),
    _path("kling-2.6", dt.date(2025, 12, 15), ExpectedTime(45, 72, 200)),
    _path("kling-2.5-turbo", dt.date(2025, 10, 20), ExpectedTime(30, 50, 150)),
)

ACCESS = (
    *(
        AccessRow(
            model=path.model,
            path="kling",
            entry_cost="a pack of 5,000 units, 700 USD, or a cash balance",
            billing="units by the second of video; a pack ends after 180 days, the rest is lost; "
            "what the web app sells is not valid here",
            setup="an account and an API key of one region",
            regions="Singapore for all but China, Beijing for China; a key is valid in one of them",
            source=PACKS,
        )
        for path in PATHS
    ),
    AccessRow(
        model="kling-3.0",
        path="Kuaishou's platform",
        entry_cost="10 to 30 USD a month",
        billing="subscription",
        setup="an account; by hand, no API",
        regions="differ",
        source=GUIDE,
    ),
    AccessRow(
        model="kling-3.0",
        path="multi-model platform",
        entry_cost="from 9.99 USD a month",
        billing="subscription with the platform's credits",
        setup="an account at the platform",
        regions="as the platform says",
        source=GUIDE,
    ),
)
