"""From a request to a plan: who could, who could not and why, and which error that is."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

import multivideo as mv
from multivideo.catalog.book import Catalog
from multivideo.errors import InvalidRequest
from multivideo.routing.plan import NO_KEY, Offer, goes_on, make_plan, why_not
from multivideo.values.clips import Clip
from multivideo.values.media import Media
from multivideo.values.plan import Candidate, Plan
from multivideo.values.refs import VendorHandle, VendorRef
from multivideo.values.request import VideoRequest
from multivideo.values.words import Mode

SUMMER, TODAY = dt.date(2026, 8, 1), dt.date(2026, 11, 22)
CATALOG = Catalog.default()
FOX = "a fox in snow"


def offers(*without_key: str) -> tuple[Offer, ...]:
    """Every path of the catalog; those named have no key."""
    return tuple(
        Offer(path, (("physics", 4),), f"{NO_KEY}set {path.path.upper()}_KEY" if path.path in without_key else "")
        for path in CATALOG.paths
    )


def planned(as_of: dt.date = SUMMER, among: tuple[Offer, ...] = offers("gemini"), **spec: Any) -> Plan:
    return make_plan(VideoRequest(FOX, **spec), among, CATALOG, as_of)


def refused(plan: Plan, among: tuple[Offer, ...] = offers("gemini"), alternatives: tuple[str, ...] = ()) -> Any:
    error = why_not(plan, among, alternatives)
    assert error is not None
    assert error.charged == "no"
    assert "  charged: no, nothing was sent" in str(error).splitlines()
    assert error.hint
    return error


def reasons(plan: Plan, name: str) -> list[str]:
    (row,) = (row for row in plan.rejected if row.name == name)
    return [str(reason) for reason in row.reasons]


def test_every_path_is_a_candidate_or_out_with_reasons() -> None:
    plan = planned(duration=8, resolution="1080p")
    names = [*(row.name for row in plan.candidates), *(row.name for row in plan.rejected)]
    assert sorted(names) == sorted(path.name for path in CATALOG.paths)
    assert all(row.reasons for row in plan.rejected)
    assert reasons(plan, "sora-2@openai") == ["makes 720p, asked 1080p"]
    assert reasons(plan, "veo-3.1@gemini")[-1] == "no key: set GEMINI_KEY"


def test_the_same_question_has_the_same_answer() -> None:
    assert planned(duration=8) == planned(duration=8)
    assert hash(planned(duration=8)) == hash(planned(duration=8))


def test_a_quote_says_what_it_is_made_of() -> None:
    plan = planned(model="veo-3.1@vertex", duration=8, resolution="1080p", audio=True, count=6)
    assert plan.quote is not None
    (line,) = plan.quote.breakdown
    assert (line.units, line.rate, line.amount) == (48, "0.40 USD a second", mv.usd("19.20"))
    assert line.what == "8 s 1080p, with sound, 6 takes"
    assert (plan.quote.amount, plan.quote.upper_bound, plan.quote.certainty) == (
        mv.usd("19.20"),
        mv.usd("19.20"),
        "documented",
    )


def test_what_was_left_open_is_decided_in_the_segment() -> None:
    (segment,) = planned(model="veo").segments
    assert (segment.seconds, segment.resolution, segment.aspect_ratio, segment.audio) == (8, "720p", "16:9", True)


@pytest.mark.parametrize("model", ["sora-2", "sora", "sora-2-pro", "sora-2-2025-12-08"])
def test_the_day_decides_who_is_served(model: str) -> None:
    assert planned(SUMMER, model=model).model in {"sora-2", "sora-2-pro"}
    plan = planned(TODAY, model=model)
    (row,) = plan.rejected
    assert [str(reason) for reason in row.reasons] == ["retired 2026-09-24; no successor at OpenAI"]
    error = refused(plan, alternatives=("kling-3.0@kling",))
    assert isinstance(error, mv.NoRoute)
    assert error.what == f"{row.model} was retired 2026-09-24; no successor at OpenAI."
    assert error.plan is plan
    assert error.hint == "leave model out: kling-3.0@kling can make it"


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("veo", "veo-3.1@vertex"),
        ("kling", "kling-3.0@kling"),
        ("sora", "sora-2@openai"),
        ("veo@vertex", "veo-3.1@vertex"),
        ("veo-3.1-fast@vertex", "veo-3.1-fast@vertex"),
        ("kling-v3", "kling-3.0@kling"),
    ],
)
def test_a_word_pins_a_model_and_perhaps_its_path(word: str, name: str) -> None:
    plan = planned(model=word)
    assert [candidate.name for candidate in plan.candidates] == [name]


def test_any_model_at_one_path_can_be_asked_for() -> None:
    plan = planned(model="auto@vertex")
    assert {candidate.provider for candidate in plan.candidates} == {"vertex"}
    assert len(plan.candidates) == 3


@pytest.mark.parametrize(
    ("word", "what", "allowed"),
    [
        ("veo-3.1@openai", "veo-3.1 is not served at 'openai'.", '"veo-3.1@vertex" or "veo-3.1@gemini"'),
        (
            "auto@nowhere",
            "No model is served at 'nowhere'.",
            '"auto@openai", "auto@kling", "auto@vertex" or "auto@gemini"',
        ),
        ("kling-3", "There is no model 'kling-3'.", '"auto", sora-2'),
        ("@vertex", "There is no model ''.", '"auto", sora-2'),
        ("x" * 5000, "There is no model", '"auto", sora-2'),
        ("kling-4.0", "kling-4.0 cannot be called: launched 2026-10-15", "kling-3.0@kling"),
    ],
)
def test_a_word_that_means_nothing_here_is_refused_with_what_does(word: str, what: str, allowed: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        planned(model=word)
    assert caught.value.field == "model"
    assert caught.value.what.startswith(what)
    assert caught.value.allowed.startswith(allowed)
    assert len(str(caught.value)) < 700


def test_parameters_for_a_vendor_that_does_not_exist_are_refused_along_with_the_model() -> None:
    with pytest.raises(InvalidRequest) as caught:
        planned(model="kling-3", options={"klin": {}, "veo": {}, "sora": {}})
    assert [problem.field for problem in caught.value.problems] == ["model", "options", "options"]
    with pytest.raises(InvalidRequest, match="No vendor here is called 'klin'") as caught:
        planned(options={"klin": {}})
    assert caught.value.allowed == "parameters for kling, openai or veo"


def test_what_a_pinned_model_cannot_do_is_an_unsupported_feature_with_every_attribute() -> None:
    error = refused(planned(model="kling", seed=7, resolution="720p"), alternatives=("a@b", "c@d"))
    assert isinstance(error, mv.UnsupportedFeature)
    assert str(error).splitlines()[:4] == [
        "kling-3.0 takes no seed.",
        "  asked:   seed=7",
        f"  allowed: takes no seed ({error.problems[0].allowed.partition('(')[2]}",
        "  next:    leave seed out, or leave model out: a@b or c@d can make it",
    ]
    assert (error.field, error.provider, error.fault, error.retryable) == ("seed", "kling", "caller", False)


def test_all_that_a_pinned_model_cannot_do_is_told_at_once() -> None:
    error = refused(planned(model="sora", duration=7, resolution="4k", seed=1, negative_prompt="text"))
    assert error.what == ("sora-2 cannot do 4 of the things asked: negative_prompt, seed, duration, resolution.")
    assert [problem.field for problem in error.problems] == ["negative_prompt", "seed", "duration", "resolution"]
    assert error.asked == 'a negative prompt, seed=1, duration=7, resolution="4k"'
    assert error.hint == "say in the prompt what to avoid, or leave seed out"


def test_a_wish_that_no_model_meets_names_every_reason_once() -> None:
    plan = planned(duration=45, resolution="1080p")
    error = refused(plan)
    assert isinstance(error, mv.NoRoute)
    assert error.what == "No model can make this request."
    assert error.asked == 'model="auto", duration=45, resolution="1080p"'
    assert "kling-3.0@kling, kling-3.0-turbo@kling, kling-3.0-omni@kling: makes 3 to 15 s" in error.allowed
    assert "gemini" not in error.allowed
    assert error.plan is plan
    assert error.fault == "caller"


def test_any_model_at_one_path_that_cannot_is_no_fault_of_one_model() -> None:
    assert isinstance(refused(planned(model="auto@vertex", duration=7)), mv.NoRoute)


def test_without_any_key_each_variable_is_named_once_and_the_sandbox_too() -> None:
    among = offers("openai", "kling", "vertex", "gemini")
    error = refused(planned(among=among), among)
    assert isinstance(error, mv.NoProviderConfigured)
    assert error.allowed == "set OPENAI_KEY; set KLING_KEY; set VERTEX_KEY; set GEMINI_KEY"
    assert "AsyncClient.sandbox()" in error.hint


def test_a_pinned_model_without_a_key_says_which_key_is_missing() -> None:
    among = offers("vertex", "gemini")
    error = refused(planned(among=among, model="veo"), among)
    assert isinstance(error, mv.NoRoute)
    assert (error.what, error.hint) == ("veo-3.1 cannot be asked without a key.", "set VERTEX_KEY")


def test_of_several_paths_the_one_that_can_be_asked_is_blamed() -> None:
    error = refused(planned(TODAY, offers(), model="veo-3.1", duration=7, resolution="720p", aspect_ratio="1:1"))
    assert (error.provider, error.field) == ("vertex", "duration")


def test_a_budget_rules_out_what_costs_more_and_says_by_how_much() -> None:
    plan = planned(duration=8, resolution="1080p", budget=mv.usd("1"))
    assert plan.candidates
    assert all(candidate.quote.upper_bound <= mv.usd("1") for candidate in plan.candidates)
    assert reasons(plan, "veo-3.1@vertex") == ["over the budget: 3.20 USD > 1.00 USD"]
    exact = planned(model="veo", duration=8, budget=mv.usd("3.20"))
    assert exact.model == "veo-3.1"


def test_a_budget_that_nothing_meets_is_an_error_of_its_own() -> None:
    error = refused(planned(model="veo", duration=8, budget=mv.usd("3.199999")))
    assert isinstance(error, mv.BudgetExceeded)
    assert (error.field, error.asked) == ("budget", "budget=319.9999 credits (3.199999 USD)")
    assert error.allowed == "veo-3.1@vertex over the budget: 3.20 USD > 3.199999 USD"
    assert refused(planned(budget=0)).field == "budget"


def test_a_budget_is_not_blamed_for_what_nobody_can_make() -> None:
    assert isinstance(refused(planned(duration=45, budget=0)), mv.NoRoute)


def test_a_price_that_is_not_known_keeps_no_budget() -> None:
    path = evolve(CATALOG.path("veo-3.1@vertex"), rates=())
    among = (Offer(path, ()),)
    assert planned(among=among, model="veo").quote == mv.Quote(mv.usd(0), mv.usd(0), (), "unknown")
    plan = planned(among=among, model="veo", budget=mv.usd("1000"))
    assert reasons(plan, "veo-3.1@vertex") == ["its price is not known, so no budget can be kept"]
    assert isinstance(refused(plan, among), mv.BudgetExceeded)


def test_the_price_of_a_unit_that_the_user_pays_is_used() -> None:
    path = CATALOG.path("kling-3.0@kling")
    dear, cheap = (
        planned(among=(Offer(path, (), unit_prices={unit: price}),), model="kling", duration=5).quote
        for unit in {rate.unit for rate in path.rates}
        for price in (mv.usd("0.28"), mv.usd("0.07"))
    )
    assert dear is not None
    assert cheap is not None
    assert dear.amount == cheap.amount * 4
    assert cheap.amount.usd > Decimal(0)


def test_what_no_source_confirms_stays_in_the_plan_and_is_not_run_unasked() -> None:
    plan = planned(resolution="4k", fps=60)
    assert {candidate.name for candidate in plan.candidates} == {"kling-3.0@kling", "kling-3.0-omni@kling"}
    assert all(candidate.unconfirmed for candidate in plan.candidates)
    assert "unsure  24 fps is what is documented at 4k; 60 fps is only advertised" in str(plan)
    error = refused(plan)
    assert isinstance(error, mv.UnsupportedFeature)
    assert error.what.startswith("Nothing confirms that kling-3.0")
    assert error.what.endswith("makes 60 fps at 4k.")
    assert (error.field, error.asked, error.provider) == ("fps", "fps=60", "kling")
    assert "accept_unconfirmed=True" in error.hint


def test_what_no_source_confirms_runs_when_that_is_accepted() -> None:
    plan = planned(resolution="4k", fps=60, accept_unconfirmed=True)
    assert why_not(plan, offers()) is None
    assert plan.segments[0].fps == 60


def test_a_model_of_the_users_own_is_found_by_its_name_and_comes_before_an_alias() -> None:
    path = evolve(CATALOG.path("veo-3.1@vertex"), model="veo", path="house", wire_model="veo")
    among = (*offers(), Offer(path, ()))
    assert [candidate.name for candidate in planned(among=among, model="veo").candidates] == ["veo@house"]


def test_nothing_configured_and_nothing_known_is_told_and_no_crash() -> None:
    with pytest.raises(InvalidRequest) as caught:
        planned(among=(), model="veo")
    assert (caught.value.field, caught.value.allowed) == ("model", "another model")
    with pytest.raises(InvalidRequest):
        planned(among=(), options={"kling": {}})


class Order:
    """A policy that a client would have, which puts the dearest first."""

    def __len__(self) -> int:  # is false, and a policy all the same
        return 0

    def rank(self, request: VideoRequest, candidates: Any, context: mv.RoutingContext) -> list[mv.Ranked]:
        dear: list[Candidate] = sorted(candidates, key=lambda c: c.quote.amount, reverse=True)
        return [mv.Ranked(candidate, -float(number)) for number, candidate in enumerate(dear)]


def test_the_policy_of_the_request_comes_before_that_of_the_client_and_that_before_ours() -> None:
    def only_veo(request: Any, candidates: Any, context: Any) -> list[mv.Ranked]:
        return [mv.Ranked(c, 1.0) for c in candidates if c.model == "veo-3.1"]

    request = VideoRequest(FOX, duration=8)
    ours = make_plan(request, offers("gemini"), CATALOG, SUMMER)
    clients = make_plan(request, offers("gemini"), CATALOG, SUMMER, Order())
    calls = make_plan(evolve(request, policy=only_veo), offers("gemini"), CATALOG, SUMMER, Order())
    assert [plan.policy for plan in (ours, clients, calls)] == ["Scorecard", "Order", "only_veo"]
    prices = [candidate.quote.amount for candidate in clients.candidates]
    assert prices == sorted(prices, reverse=True)
    assert [candidate.model for candidate in calls.candidates] == ["veo-3.1"]


def test_a_policy_is_told_the_day_and_the_brief() -> None:
    seen: list[mv.RoutingContext] = []

    def policy(request: Any, candidates: Any, context: mv.RoutingContext) -> list[mv.Ranked]:
        seen.append(context)
        return [mv.Ranked(candidate, 0.0) for candidate in candidates]

    planned(policy=policy, brief="social")
    assert seen == [mv.RoutingContext(SUMMER, mv.Brief.SOCIAL)]


def test_a_client_plans_as_of_the_asked_day_and_names_a_day_that_is_none() -> None:
    client = mv.AsyncClient.sandbox()
    assert client.plan(FOX, model="sora").model == "sora-2"
    assert client.plan(FOX, model="sora", as_of=TODAY).model is None
    assert client.plan(FOX, as_of=dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)).as_of == TODAY
    for day in ("2026-08-01", 5):
        with pytest.raises(InvalidRequest) as caught:
            client.plan(FOX, as_of=day)  # type: ignore[arg-type]
        assert caught.value.field == "as_of"


@pytest.mark.parametrize("providers", [5, mv.Kling(api_key="k"), [5], [mv.Kling], "kling", [None]], ids=range(6))
def test_what_is_no_list_of_accounts_is_refused_by_name(providers: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        mv.AsyncClient(providers=providers)
    assert caught.value.field == "providers"


def test_the_hint_of_a_client_names_models_that_can_make_it() -> None:
    client = mv.AsyncClient.sandbox()
    with pytest.raises(mv.UnsupportedFeature) as caught:
        client.quote(FOX, model="veo-3.1", duration=7, options={"veo": {}})
    named = [word.strip(",") for word in caught.value.hint.split() if "@" in word]
    assert named
    for name in named:
        assert client.quote(FOX, model=name, duration=7).amount


@pytest.mark.parametrize(
    ("model", "provider", "mode", "who"),
    [
        ("kling-3.0-omni", "kling", Mode.EDIT, "kling-3.0-omni@kling"),
        ("kling-2.5-turbo", "kling", Mode.EDIT, "auto@kling"),
        ("veo-3.1-lite", "gemini", Mode.EXTEND, "auto@gemini"),
        ("veo-3.1", "vertex", Mode.EDIT, "veo-3.1@vertex"),
        ("sora-2", "nowhere", Mode.EDIT, "sora-2@nowhere"),
    ],
)
def test_who_goes_on_from_a_video_is_its_own_model_or_left_to_the_plan(
    model: str, provider: str, mode: Mode, who: str
) -> None:
    assert goes_on(model, provider, mode, offers()) == who


def test_a_budget_counts_where_another_model_goes_on() -> None:
    clip = Clip(Media(data=b"clip"), VendorHandle(VendorRef("gemini", "f", "veo-3.1-lite", "m", "1"), 0, "files/1"), 8)
    model = goes_on("veo-3.1-lite", "gemini", Mode.EXTEND, offers())
    plan = planned(among=offers(), model=model, source_video=clip, budget=mv.usd("2"))
    assert [row.name for row in plan.candidates] == ["veo-3.1-fast@gemini"]
