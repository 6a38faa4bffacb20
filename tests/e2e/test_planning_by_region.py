"""Where a video is ordered from, in the plans of clients with accounts at the vendors themselves; nothing is sent."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

import multivideo as mv
from multivideo.values.words import REGIONS
from scenes import PROMPT

SUMMER = dt.date(2026, 8, 1)
SINGAPORE = mv.Kling(api_key="k")
BEIJING = mv.Kling(api_key="k", region="beijing", name="china")
VERTEX = mv.Veo(project="p", credentials=mv.BearerToken("t"))
GEMINI = mv.Veo(api_key="k")


@pytest.fixture
def plan(tmp_path: Path) -> Any:
    """The plan of a client with these accounts."""

    def make(*accounts: Any, **spec: Any) -> mv.Plan:
        client = mv.AsyncClient(providers=accounts, home=tmp_path)
        return client.plan(PROMPT, as_of=SUMMER, **spec)

    return make


def reasons(plan: mv.Plan, name: str) -> str:
    """Why that path is out; "" where it is not."""
    return "; ".join(str(reason) for row in plan.rejected if row.name == name for reason in row.reasons)


@pytest.mark.parametrize("key", [{"api_key": "k"}, {"access_key": "a", "secret_key": "s"}], ids=["new", "legacy"])
def test_a_singapore_account_is_out_for_china_and_names_the_region_of_the_key(plan: Any, key: Any) -> None:
    chinese = plan(mv.Kling(**key), model="kling-3.0", region="cn")
    assert "region='beijing'" in reasons(chinese, "kling-3.0@kling")
    assert chinese.candidates == ()
    assert plan(mv.Kling(**key), model="kling-3.0", region="eu").provider == "kling"


def test_a_beijing_account_is_out_for_everybody_else(plan: Any) -> None:
    for region in REGIONS:
        found = plan(BEIJING, model="kling-3.0@china", region=region)
        assert ("region='singapore'" in reasons(found, "kling-3.0@china")) == (region != "cn")


def test_of_two_accounts_the_one_that_serves_the_region_is_asked(plan: Any) -> None:
    for region, provider in (("cn", "china"), ("mena", "kling")):
        found = plan(SINGAPORE, BEIJING, model="kling-3.0", region=region)
        assert [candidate.provider for candidate in found.candidates] == [provider]
    open_to_all = plan(SINGAPORE, BEIJING, model="kling-3.0")
    assert {candidate.provider for candidate in open_to_all.candidates} == {"kling", "china"}


async def refused(accounts: list[Any], home: Path, **spec: Any) -> mv.UnsupportedFeature:
    with pytest.raises(mv.UnsupportedFeature) as caught:
        await mv.AsyncClient(providers=accounts, home=home).generate(PROMPT, **spec)
    return caught.value


@pytest.mark.anyio
async def test_the_error_of_a_pinned_model_names_the_region_and_the_way_out(tmp_path: Path) -> None:
    error = await refused([SINGAPORE], tmp_path, model="kling-3.0", region="cn")
    assert (error.field, error.charged) == ("region", "no")
    assert "region='cn'" in error.asked
    assert "region='beijing'" in error.allowed


CHILDREN, ADULTS = ({"veo": {"parameters": {"personGeneration": word}}} for word in ("allow_all", "allow_adult"))


@pytest.mark.parametrize("account", [VERTEX, GEMINI], ids=lambda account: account.path)
@pytest.mark.parametrize("region", REGIONS)
def test_who_may_be_seen_hangs_on_the_region_and_is_told(plan: Any, account: Any, region: str) -> None:
    strict = region in {"eu", "uk", "ch", "mena"}
    name = f"veo-3.1@{account.path}"
    assert bool(reasons(plan(account, model=name, region=region, options=CHILDREN), name)) == strict
    for options in (ADULTS, {}):
        [candidate] = plan(account, model=name, region=region, options=options).candidates
        assert any("personGeneration" in note for note in candidate.notes) == strict


@pytest.mark.anyio
async def test_the_error_of_people_that_are_not_shown_names_what_is_allowed(tmp_path: Path) -> None:
    error = await refused([VERTEX], tmp_path, model="veo-3.1", region="uk", options=CHILDREN)
    assert error.field == "options"
    assert "personGeneration='allow_all' from 'uk'" in error.asked
    assert "allow_adult" in error.allowed


def test_an_address_of_ones_own_is_not_filtered_by_place(plan: Any) -> None:
    gateway = mv.Kling(api_key="k", base_url="https://gateway.example/kling")
    for region in REGIONS:
        assert plan(gateway, model="kling-3.0", region=region).provider == "kling"


def test_a_region_left_out_filters_nothing_and_tells_nothing(plan: Any) -> None:
    accounts = (SINGAPORE, BEIJING, VERTEX, GEMINI)
    open_to_all = plan(*accounts, options=CHILDREN)
    named = {candidate.provider for candidate in open_to_all.candidates}
    assert named == {"kling", "china", "vertex", "gemini"}
    assert not any("personGeneration" in note for row in open_to_all.candidates for note in row.notes)


@pytest.mark.parametrize("word", ["EU", "de", "", 5])
def test_a_wrong_region_lists_the_right_ones(plan: Any, word: object) -> None:
    with pytest.raises(mv.InvalidRequest) as caught:
        plan(SINGAPORE, region=word)
    [problem] = caught.value.problems
    assert problem.field == "region"
    assert all(f'"{region}"' in problem.allowed for region in REGIONS)
