"""The rows themselves: sourced, dated, and free of contradictions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import attrs
import pytest
from attrs import evolve

from multivideo.catalog import kling
from multivideo.catalog.book import Catalog, expected_time, price
from multivideo.catalog.facts import Certainty, Format, ModeFacts, ModelPath, Source
from multivideo.values.plan import Segment
from multivideo.values.words import Mode

WRITTEN = dt.date(2026, 11, 22)
CATALOG = Catalog.default()
PATHS = {path.name: path for path in CATALOG.models()}
MODES = [pytest.param(path, facts, id=f"{path.name}-{facts.mode}") for path in PATHS.values() for facts in path.modes]
BUILT = {Mode.TEXT, Mode.FIRST_FRAME}


def walk(value: Any) -> Iterator[Any]:
    """A value and everything in it."""
    yield value
    if attrs.has(type(value)):
        for name in (f.name for f in attrs.fields(type(value))):
            yield from walk(getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from walk(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from walk(item)


def test_every_source_is_named_and_was_read_before_the_rows_were_written() -> None:
    sources = [value for value in walk(CATALOG) if isinstance(value, Source)]
    assert len(sources) > 300
    assert all(source.title.strip() and dt.date(2026, 1, 1) <= source.read <= WRITTEN for source in sources)


def test_every_row_that_can_have_a_source_has_one() -> None:
    rows = [
        value
        for value in walk(CATALOG)
        if attrs.has(type(value)) and "source" in (f.name for f in attrs.fields(type(value)))
    ]
    assert all(isinstance(row.source, Source) for row in rows)
    assert {type(row).__name__ for row in rows} == {
        "AccessRow",
        "ClipRule",
        "FailureCharge",
        "Format",
        "ImageRule",
        "Lifecycle",
        "ModeFacts",
        "PeopleRule",
        "Rate",
        "ReferenceRule",
        "Score",
    }


def test_every_mode_is_described_for_some_model() -> None:
    assert {facts.mode for path in PATHS.values() for facts in path.modes} == set(Mode)


def test_no_path_describes_a_mode_twice() -> None:
    assert all(len(path.modes) == len({facts.mode for facts in path.modes}) for path in PATHS.values())


FRAMES = BUILT | {Mode.FIRST_LAST}
BUILT_BY_PATH = {
    "kling-3.0@kling": FRAMES | {Mode.SHOTS, Mode.MOTION},
    "kling-3.0-turbo@kling": BUILT | {Mode.SHOTS},
    "kling-3.0-omni@kling": FRAMES | {Mode.REFERENCE, Mode.SHOTS, Mode.EDIT, Mode.EXTEND},
    "kling-o1@kling": FRAMES | {Mode.REFERENCE, Mode.EDIT},
    "kling-2.6@kling": FRAMES | {Mode.MOTION},
    "kling-2.5-turbo@kling": FRAMES,
    "veo-3.1@vertex": FRAMES | {Mode.REFERENCE, Mode.EXTEND},
    "veo-3.1-fast@vertex": FRAMES | {Mode.REFERENCE, Mode.EXTEND},
    "veo-3.1-lite@vertex": FRAMES | {Mode.EXTEND},
    "veo-3.1@gemini": FRAMES | {Mode.REFERENCE, Mode.EXTEND},
    "veo-3.1-fast@gemini": FRAMES | {Mode.REFERENCE, Mode.EXTEND},
    "veo-3.1-lite@gemini": FRAMES,
    "sora-2@openai": BUILT | {Mode.REFERENCE, Mode.EXTEND, Mode.EDIT, Mode.REMIX},
    "sora-2-pro@openai": BUILT | {Mode.REFERENCE, Mode.EXTEND, Mode.EDIT, Mode.REMIX},
}


def test_what_can_be_asked_for_is_what_should_be() -> None:
    built = {name: {facts.mode for facts in path.modes} for name, path in PATHS.items()}
    assert {name: modes for name, modes in built.items() if modes} == BUILT_BY_PATH


@pytest.mark.parametrize(("path", "facts"), MODES)
def test_every_format_row_has_a_price_for_every_choice(path: ModelPath, facts: ModeFacts) -> None:
    for row in facts.formats:
        for audio in row.audio:
            assert price(path, segment(facts, row, audio), WRITTEN).certainty != "unknown", (row.resolution, audio)


@pytest.mark.parametrize(("path", "facts"), MODES)
def test_what_is_left_out_has_a_default_that_the_mode_offers(path: ModelPath, facts: ModeFacts) -> None:
    default = [row for row in facts.formats if row.resolution == facts.default_resolution]
    if {row.resolution for row in facts.formats} == {"1080p"}:  # Kling's older models between two frames
        default = list(facts.formats)
    assert len(default) == 1
    assert facts.default_ratio == "16:9"
    assert "16:9" in default[0].sizes
    assert facts.default_seconds in default[0].seconds
    assert facts.default_audio in default[0].audio


@pytest.mark.parametrize(("path", "facts"), MODES)
def test_sizes_have_the_shape_that_they_are_listed_under(path: ModelPath, facts: ModeFacts) -> None:
    for row in facts.formats:
        for ratio, (width, height) in row.sizes.items():
            across, down = map(int, ratio.split(":"))
            assert width * down == height * across, (row.resolution, ratio)
        assert list(row.seconds) == sorted(set(row.seconds))


@pytest.mark.parametrize(("path", "facts"), MODES)
def test_modes_that_start_from_pictures_say_what_a_picture_must_be(path: ModelPath, facts: ModeFacts) -> None:
    pictures = facts.references is not None and facts.references.pictures > 0
    assert (facts.image is not None) == (pictures or facts.mode in {Mode.FIRST_FRAME, Mode.FIRST_LAST})
    assert (facts.clip is not None) == (facts.mode in {Mode.EXTEND, Mode.EDIT, Mode.REMIX, Mode.MOTION})


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_prices_are_exact_and_in_a_unit_with_a_price(path: ModelPath) -> None:
    assert path.rates
    for rate in path.rates:
        assert isinstance(rate.amount, Decimal)
        assert rate.amount > 0
        assert rate.unit == (kling.UNIT if path.vendor == "kling" else "USD")
        assert set(rate.when) <= {"mode", "resolution", "audio", "video_input"}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_every_path_belongs_to_a_model_and_says_how_to_get_at_it(path: ModelPath) -> None:
    assert CATALOG.model(path.model).known_but_not_served == ""
    assert [row for row in CATALOG.access() if (row.model, row.path) == (path.model, path.path)]
    assert path.regions
    assert {charge.kind for charge in path.failures} == {"failed", "filtered"}


LISTED = {  # a second at 720p, 1080p and 4k: with sound, and without it; "-" is not sold
    "kling-3.0@kling": ("0.9 1.2 3.0", "0.6 0.8 3.0"),
    "kling-3.0-turbo@kling": ("0.8 1.0 -", "- - -"),
    "kling-3.0-omni@kling": ("0.8 1.0 3.0", "0.6 0.8 3.0"),
    "kling-2.6@kling": ("- 1.0 -", "0.3 0.5 -"),
    "kling-2.5-turbo@kling": ("- - -", "0.3 0.5 -"),
    "veo-3.1@vertex": ("0.40 0.40 0.60", "0.20 0.20 0.40"),
    "veo-3.1-fast@vertex": ("0.10 0.12 -", "0.08 0.10 -"),
    "veo-3.1-lite@vertex": ("0.05 0.08 -", "0.03 0.05 -"),
    "sora-2@openai": ("0.10 - -", "- - -"),
    "sora-2-pro@openai": ("0.30 0.70 -", "- - -"),
}


@pytest.mark.parametrize("mode", sorted(BUILT))
@pytest.mark.parametrize("name", LISTED)
def test_a_second_of_every_kind_costs_what_the_vendors_list_says(name: str, mode: Mode) -> None:
    path, said = PATHS[name], []
    facts = path.mode(mode)
    assert facts is not None
    one = kling.UNIT_PRICE.usd if path.vendor == "kling" else Decimal(1)
    for audio in (True, False):
        rows = {row.resolution: row for row in facts.formats if audio in row.audio}
        costs = {size: price(path, segment(facts, row, audio), WRITTEN).amount.usd / one for size, row in rows.items()}
        said.append([costs.get(size) for size in ("720p", "1080p", "4k")])
    assert said == [[None if x == "-" else Decimal(x) for x in line.split()] for line in LISTED[name]]


def test_the_size_between_costs_half_a_dollar_a_second_on_sora_pro() -> None:
    assert {r.amount for r in PATHS["sora-2-pro@openai"].rates if r.when["resolution"] == "1024p"} == {Decimal("0.50")}


def test_a_kling_unit_costs_fourteen_cents() -> None:
    assert kling.UNIT_PRICE.usd == Decimal("0.14")


@pytest.mark.parametrize(
    ("vendor", "kind", "charged", "certainty"),
    [
        ("openai", "failed", True, Certainty.UNCERTAIN),
        ("openai", "filtered", True, Certainty.UNCERTAIN),
        ("kling", "failed", False, Certainty.UNCERTAIN),
        ("kling", "filtered", False, Certainty.UNCERTAIN),
        ("veo", "failed", True, Certainty.UNCERTAIN),
        ("veo", "filtered", False, Certainty.DOCUMENTED),
    ],
)
def test_a_job_without_a_video_costs_what_is_known_of_its_vendor(
    vendor: str, kind: str, charged: bool, certainty: Certainty
) -> None:
    rows = {c for path in PATHS.values() if path.vendor == vendor for c in path.failures if c.kind == kind}
    assert {(row.charged, row.certainty) for row in rows} == {(charged, certainty)}


def test_expected_times_keep_the_order_of_the_guide() -> None:
    typical = {name: path.run_time.typical_s for name, path in PATHS.items()}
    assert 0.5 <= typical["kling-3.0@kling"] / typical["sora-2@openai"] <= 0.7
    assert abs(typical["veo-3.1@vertex"] - typical["kling-3.0@kling"]) < 10
    assert typical["kling-3.0-turbo@kling"] < typical["kling-3.0@kling"]
    assert typical["veo-3.1-lite@vertex"] < typical["veo-3.1-fast@vertex"] < typical["veo-3.1@vertex"]
    assert typical["sora-2-pro@openai"] > typical["sora-2@openai"]
    assert all(p.run_time.low_s < p.run_time.typical_s < p.run_time.high_s for p in PATHS.values())


@pytest.mark.parametrize("resolution", ["720p", "1080p"])
@pytest.mark.parametrize("seconds", [4, 8, 12])
def test_a_segment_keeps_the_guides_order_whatever_its_size(resolution: str, seconds: int) -> None:
    def typical(name: str) -> float:
        facts = PATHS[name].mode(Mode.TEXT)
        assert facts is not None
        row = evolve(facts.formats[0], resolution=resolution)
        return expected_time(PATHS[name], evolve(segment(facts, row, True), seconds=seconds)).typical_s

    sora, kling_s, veo = (typical(name) for name in ("sora-2@openai", "kling-3.0@kling", "veo-3.1@vertex"))
    assert 0.5 <= kling_s / sora <= 0.7  # "30 to 50 % faster than Sora 2"
    assert 0.9 <= veo / kling_s <= 1.1  # "level with Kling on short clips"


def test_pictures_on_lite_are_marked_as_its_card_contradicts_itself() -> None:
    sure = {facts.mode: facts.certainty for facts in PATHS["veo-3.1-lite@vertex"].modes}
    assert (sure[Mode.TEXT], sure[Mode.FIRST_FRAME]) == (Certainty.DOCUMENTED, Certainty.UNCERTAIN)


def test_who_takes_which_addresses_of_pictures() -> None:
    rules = {(p.path, f.image.urls, f.image.storage) for p in PATHS.values() for f in p.modes if f.image is not None}
    assert rules == {
        ("openai", True, False),
        ("kling", True, False),
        ("vertex", False, True),
        ("gemini", False, False),
    }


def test_flagships_win_the_categories_that_the_guide_gives_them() -> None:
    card = CATALOG.scorecard()
    best = {category: {model for model, stars in row.items() if stars == 5} for category, row in card.items()}
    assert best == {
        "cinematic": {"sora-2"},
        "resolution": {"kling-3.0"},
        "length": {"sora-2", "veo-3.1"},
        "physics": {"veo-3.1"},
        "speed": {"kling-3.0"},
        "character_consistency": {"sora-2"},
        "prompt_fidelity": {"sora-2"},
        "audio": {"veo-3.1"},
    }
    assert {c for c, row in card.items() if row["kling-3.0"] == 3} == {"length", "physics", "audio"}
    assert {c for c, row in card.items() if row["sora-2"] == 3} == {"resolution", "speed", "audio"}
    assert {c for c, row in card.items() if row["veo-3.1"] == 3} == {"character_consistency"}


def test_every_served_model_has_all_categories_and_the_tiers_are_marked_ours() -> None:
    categories = set(CATALOG.scorecard())
    for model in CATALOG.all_models:
        if model.known_but_not_served:
            continue
        assert {score.category for score in model.scores} == categories, model.id
        assert all(1 <= score.stars <= 5 for score in model.scores)
        titles = {score.source.title for score in model.scores}
        assert all(title.startswith("our own estimate") != model.flagship for title in titles)
        sure = {score.stars for score in model.scores if score.certainty is Certainty.DOCUMENTED}
        assert sure == ({3, 5} if model.flagship else set())


def test_each_family_has_one_flagship() -> None:
    flagships = {model.family: model.id for model in CATALOG.all_models if model.flagship}
    assert flagships == {"sora": "sora-2", "kling": "kling-3.0", "veo": "veo-3.1"}
    assert sum(model.flagship for model in CATALOG.all_models) == 3


def test_kling_4_is_named_and_has_no_path() -> None:
    assert "2026-10-15" in CATALOG.model("kling-4.0").known_but_not_served
    assert not [path for path in PATHS.values() if path.model == "kling-4.0"]


def test_four_k_on_vertex_is_offered_and_marked_as_uncertain() -> None:
    facts = PATHS["veo-3.1@vertex"].mode(Mode.TEXT)
    assert facts is not None
    assert {row.resolution: row.certainty for row in facts.formats} == {
        "720p": Certainty.DOCUMENTED,
        "1080p": Certainty.DOCUMENTED,
        "4k": Certainty.UNCERTAIN,
    }


def segment(facts: ModeFacts, row: Format, audio: bool) -> Segment:
    """One second of a row."""
    return Segment(
        mode=facts.mode,
        seconds=1,
        resolution=row.resolution,
        aspect_ratio="16:9",
        width=None,
        height=None,
        fps=row.fps,
        audio=audio,
    )
