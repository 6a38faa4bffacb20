"""What a vendor allows where the video is ordered from: whose requests it takes, and who may be seen."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from attrs import evolve

from multivideo.catalog.book import Catalog
from multivideo.catalog.facts import PeopleRule, Source
from multivideo.catalog.regions import region_notes, region_refusals
from multivideo.values.plan import Refusal
from multivideo.values.request import VideoRequest
from multivideo.values.words import REGIONS

CATALOG = Catalog.default()
KLING, VERTEX, GEMINI = (CATALOG.path(name) for name in ("kling-3.0@kling", "veo-3.1@vertex", "veo-3.1@gemini"))
STRICTER = ("eu", "uk", "ch", "mena")


def wish(region: str | None, people: Any = None) -> VideoRequest:
    options = {} if people is None else {"veo": {"parameters": {"personGeneration": people}}}
    return VideoRequest("a fox in snow", region=region, options=options)


def refused(path: Any, request: VideoRequest, place: str | None = None) -> tuple[Refusal, ...]:
    return tuple(region_refusals(request, path, place))


@pytest.mark.parametrize("place", [None, "singapore", "beijing"])
@pytest.mark.parametrize("people", [None, "allow_all"])
def test_no_region_filters_nothing(place: str | None, people: str | None) -> None:
    for path in CATALOG.paths:
        assert refused(path, wish(None, people), place) == ()
        assert region_notes(wish(None, people), path) == ()


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize(("place", "other"), [("singapore", "beijing"), ("beijing", "singapore")])
def test_each_region_is_served_at_one_place_and_the_other_names_it(region: str, place: str, other: str) -> None:
    serves = (region == "cn") == (place == "beijing")
    found = refused(KLING, wish(region), place)
    assert (found == ()) == serves
    for refusal in found:
        assert refusal.field == "region"
        assert refusal.asked == f"region={region!r}"
        assert f"region={other!r}" in str(refusal)
        assert place in str(refusal)
        assert refusal.source


@pytest.mark.parametrize("place", [None, "elsewhere"])
def test_a_place_that_the_vendor_does_not_name_is_not_judged(place: str | None) -> None:
    for region in REGIONS:
        assert refused(KLING, wish(region), place) == ()


def test_a_region_that_no_place_serves_is_refused_without_a_way_out() -> None:
    nowhere = evolve(KLING, serves={"singapore": ("us",), "beijing": ("cn",)})
    [refusal] = refused(nowhere, wish("eu"), "singapore")
    assert refusal.allowed == "none of its regions"


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("path", [VERTEX, GEMINI], ids=lambda path: path.path)
def test_children_are_shown_to_some_regions_only(path: Any, region: str) -> None:
    found = refused(path, wish(region, "allow_all"))
    assert (found != ()) == (region in STRICTER)
    for refusal in found:
        assert refusal.field == "options"
        assert "allow_adult" in refusal.allowed
        assert "'allow_all'" in str(refusal)
    assert refused(path, wish(region, "allow_adult")) == refused(path, wish(region)) == ()
    assert bool(region_notes(wish(region), path)) == (region in STRICTER)


@pytest.mark.parametrize("word", ["dont_allow", "disallow"])
def test_to_show_nobody_is_stricter_still_and_a_word_of_one_path_alone(word: str) -> None:
    assert refused(VERTEX, wish("eu", word)) == ()
    assert refused(GEMINI, wish("eu", word)) != ()


@pytest.mark.parametrize("people", [True, 5, ["allow_adult"], "x" * 500])
def test_a_value_of_any_kind_is_refused_in_few_words(people: object) -> None:
    [refusal] = refused(VERTEX, wish("eu", people))
    assert len(str(refusal)) < 250


def test_the_rule_is_about_its_own_vendor_and_finds_its_parameter_at_any_depth() -> None:
    told = VideoRequest("a fox", region="eu", options={"kling": {"personGeneration": "allow_all"}})
    assert refused(VERTEX, told) == ()
    for options in ({"personGeneration": "allow_all"}, {"a": {"b": {}, "c": {"personGeneration": "allow_all"}}}):
        assert len(refused(VERTEX, evolve(told, options={"veo": options}))) == 1


def test_every_broken_rule_is_told() -> None:
    source = Source("this test", dt.date(2026, 11, 22))
    faces = PeopleRule(regions=("cn",), option="faces", allowed=("none",), says="no faces there", source=source)
    both = evolve(KLING, people=(faces,))
    request = VideoRequest("a fox", region="cn", options={"kling": {"faces": "all"}})
    assert [refusal.field for refusal in refused(both, request, "singapore")] == ["region", "options"]
    assert region_notes(request, both) == ("no faces there",)
