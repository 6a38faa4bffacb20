"""Names, prices and questions to the catalog as a whole."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from multivideo.catalog import kling
from multivideo.catalog.book import Catalog, expected_time, price
from multivideo.catalog.check import fit
from multivideo.errors import InvalidRequest
from multivideo.values.credits import Credits
from multivideo.values.plan import Quote, Segment
from multivideo.values.request import VideoRequest
from multivideo.values.words import Mode

SUMMER = dt.date(2026, 8, 1)
CATALOG = Catalog.default()


def segment(name: str, *, duration: float, resolution: str, audio: bool | None = None, count: int = 1) -> Segment:
    request = VideoRequest("a fox", duration=duration, resolution=resolution, audio=audio, count=count)
    made = fit(request, CATALOG.path(name)).segment
    assert made is not None
    return made


def quote(name: str, *, duration: float, resolution: str, audio: bool | None = None, count: int = 1) -> Quote:
    made = segment(name, duration=duration, resolution=resolution, audio=audio, count=count)
    return price(CATALOG.path(name), made, SUMMER)


@pytest.mark.parametrize(
    ("name", "seconds", "resolution", "audio", "usd"),
    [
        ("kling-3.0@kling", 8, "1080p", True, "1.344"),
        ("kling-3.0@kling", 8, "1080p", False, "0.896"),
        ("kling-3.0@kling", 5, "4k", True, "2.10"),
        ("kling-3.0@kling", 5, "4k", False, "2.10"),
        ("kling-3.0-turbo@kling", 5, "1080p", None, "0.70"),
        ("kling-3.0-omni@kling", 10, "720p", True, "1.12"),
        ("kling-2.6@kling", 10, "1080p", True, "1.40"),
        ("kling-2.5-turbo@kling", 5, "720p", None, "0.21"),
        ("veo-3.1@vertex", 8, "1080p", True, "3.20"),
        ("veo-3.1@vertex", 8, "1080p", False, "1.60"),
        ("veo-3.1@vertex", 8, "4k", False, "3.20"),
        ("veo-3.1-fast@vertex", 8, "1080p", True, "0.96"),
        ("veo-3.1-lite@vertex", 4, "720p", False, "0.12"),
        ("sora-2@openai", 8, "720p", None, "0.80"),
        ("sora-2-pro@openai", 8, "1080p", None, "5.60"),
        ("sora-2-pro@openai", 8, "1792x1024", None, "4.00"),
    ],
)
def test_a_clip_costs_what_the_list_says(
    name: str, seconds: int, resolution: str, audio: bool | None, usd: str
) -> None:
    found = quote(name, duration=seconds, resolution=resolution, audio=audio)
    assert found.amount.usd == found.upper_bound.usd == Decimal(usd)
    assert found.certainty == "documented"


def test_eight_seconds_of_kling_with_sound_are_9_6_units() -> None:
    (line,) = quote("kling-3.0@kling", duration=8, resolution="1080p", audio=True).breakdown
    assert (line.units, line.rate) == (8, "1.2 Kling unit a second")
    assert line.amount.usd / kling.UNIT_PRICE.usd == Decimal("9.6")


def test_every_take_is_paid() -> None:
    assert quote("veo-3.1@vertex", duration=8, resolution="1080p", audio=True, count=6).amount.usd == Decimal("19.2")


def test_a_user_may_bring_another_price_of_a_unit() -> None:
    path = CATALOG.path("kling-3.0@kling")
    made = segment("kling-3.0@kling", duration=8, resolution="1080p", audio=True)
    found = price(path, made, SUMMER, {kling.UNIT: Credits.from_usd("0.126")})
    assert found.amount.usd == Decimal("1.2096")


def test_what_no_row_prices_is_unknown_and_not_free() -> None:
    made = segment("veo-3.1@vertex", duration=8, resolution="4k", audio=True)
    found = price(CATALOG.path("veo-3.1-lite@vertex"), made, SUMMER)
    assert (found.certainty, found.breakdown) == ("unknown", ())


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("auto", (None, None)),
        ("auto@vertex", (None, "vertex")),
        ("sora", ("sora-2", None)),
        ("kling", ("kling-3.0", None)),
        ("veo", ("veo-3.1", None)),
        ("veo@vertex", ("veo-3.1", "vertex")),
        ("kling-3.0-turbo", ("kling-3.0-turbo", None)),
        ("veo-3.1-fast@gemini", ("veo-3.1-fast", "gemini")),
        ("kling-v3", ("kling-3.0", None)),
        ("kling-v3-omni", ("kling-3.0-omni", None)),
        ("veo-3.1-generate-001", ("veo-3.1", None)),
        ("sora-2-2025-12-08", ("sora-2", None)),
        ("kling-4.0", ("kling-4.0", None)),
    ],
)
def test_a_word_means_a_model_and_perhaps_a_path(word: str, meant: tuple[str | None, str | None]) -> None:
    assert CATALOG.resolve(word) == meant


def test_an_unknown_model_is_refused_with_a_hint_and_all_names() -> None:
    with pytest.raises(InvalidRequest) as caught:
        CATALOG.resolve("kling-3")
    assert caught.value.hint == 'model="kling-3.0"?'
    assert "There is no model 'kling-3'." in str(caught.value)
    assert "sora-2, sora-2-pro, kling-3.0" in caught.value.allowed
    assert "kling-4.0" not in caught.value.allowed


def test_a_name_that_means_two_paths_or_none_is_no_path() -> None:
    for name in ("veo-3.1", "veo-3.1@openai"):
        with pytest.raises(InvalidRequest) as caught:
            CATALOG.path(name)
        assert (caught.value.field, caught.value.allowed) == ("model", "veo-3.1@vertex or veo-3.1@gemini")
    with pytest.raises(InvalidRequest, match=r'"kling-4\.0" means no model at one access path'):
        CATALOG.path("kling-4.0")
    assert CATALOG.path("sora").name == "sora-2@openai"


@pytest.mark.parametrize(
    ("name", "spec", "left"),
    [
        ("veo-3.1@vertex", {}, (4, 6, 8)),
        ("veo-3.1@vertex", {"resolution": "1080p"}, (8,)),
        ("veo-3.1@vertex", {"resolution": "1920x1080"}, (8,)),
        ("veo-3.1-lite@vertex", {"resolution": "4k"}, ()),
        ("veo-3.1@vertex", {"mode": "extend"}, (7,)),
        ("veo-3.1@vertex", {"mode": Mode.FIRST_LAST}, (8,)),
        ("veo-3.1@vertex", {"mode": "shots"}, ()),
        ("kling-3.0@kling", {"audio": True, "resolution": "4k"}, tuple(range(3, 16))),
        ("kling-2.6@kling", {"audio": True}, (5, 10)),
        ("kling-2.5-turbo@kling", {"audio": True}, ()),
        ("sora-2@openai", {"audio": False}, ()),
    ],
)
def test_durations_are_what_the_other_wishes_leave(name: str, spec: dict[str, str], left: tuple[int, ...]) -> None:
    assert CATALOG.durations(name, **spec) == left  # type: ignore[arg-type]


def test_a_mode_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest) as caught:
        CATALOG.durations("veo-3.1@vertex", mode="dream")
    assert caught.value.field == "mode"
    assert "text, first_frame" in caught.value.allowed


def test_check_answers_as_of_the_day_of_the_catalog() -> None:
    request = VideoRequest("a fox")
    assert CATALOG.check(request, "sora-2@openai") == ()
    assert CATALOG.on(SUMMER).check(request, "sora-2@openai") == ()
    (refusal,) = CATALOG.on(dt.date(2026, 11, 22)).check(request, "sora-2@openai")
    assert refusal.allowed == "retired 2026-09-24; no successor at OpenAI"


def test_longer_and_larger_clips_are_expected_later() -> None:
    path = CATALOG.path("kling-3.0@kling")
    prior = expected_time(path, segment("kling-3.0@kling", duration=8, resolution="720p"))
    assert prior == path.run_time
    longer = expected_time(path, segment("kling-3.0@kling", duration=15, resolution="720p"))
    larger = expected_time(path, segment("kling-3.0@kling", duration=8, resolution="4k"))
    assert prior.typical_s < longer.typical_s < larger.typical_s


def test_access_names_what_the_guide_and_the_vendors_ask() -> None:
    entry = {(row.model, row.path): row.entry_cost for row in CATALOG.access()}
    assert entry["sora-2", "ChatGPT Pro"] == "200 USD a month"
    assert entry["kling-3.0", "Kuaishou's platform"] == "10 to 30 USD a month"
    assert {entry[model, "multi-model platform"] for model in ("sora-2", "kling-3.0", "veo-3.1")} == {
        "from 9.99 USD a month"
    }
    assert all(row.billing and row.setup and row.regions for row in CATALOG.access())
