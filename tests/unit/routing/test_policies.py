"""The default order, and what a policy of somebody else's may do and may not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

import multivideo as mv
from multivideo.errors import InvalidRequest
from multivideo.routing.policies import Scorecard, apply, name_of
from multivideo.values.plan import Candidate, ExpectedTime, Quote, Ranked, Refusal, RoutingContext, Segment, Term
from multivideo.values.request import VideoRequest
from multivideo.values.words import Mode

REQUEST = VideoRequest("a fox")
CONTEXT = RoutingContext(dt.date(2026, 8, 1))
SEGMENT = Segment(
    mode=Mode.TEXT, seconds=8, resolution="720p", aspect_ratio="16:9", width=1280, height=720, fps=24, audio=True
)
DOUBT = Refusal("fps", "fps=60", "24 fps")


def candidate(name: str, usd: str = "1", seconds: float = 100.0, **stars: int) -> Candidate:
    price = mv.usd(usd)
    return Candidate(
        name,
        "house",
        (SEGMENT,),
        Quote(price, price, (), "documented"),
        ExpectedTime(seconds / 2, seconds, seconds * 2),
        tuple(stars.items()),
    )


GOOD, POOR = candidate("good", physics=5, audio=5), candidate("poor", physics=2, audio=2)


def ordered(policy: Any, *candidates: Candidate) -> list[str]:
    return [row.candidate.model for row in apply(policy, REQUEST, candidates, CONTEXT)]


def test_the_better_mean_of_stars_comes_first() -> None:
    assert ordered(Scorecard(), POOR, GOOD) == ["good", "poor"]


def test_a_score_is_the_sum_of_its_terms_and_the_stars_are_their_mean() -> None:
    (row,) = apply(Scorecard(), REQUEST, [candidate("a", "2", 200, physics=5, audio=4)], CONTEXT)
    assert [term.name for term in row.terms] == ["physics", "audio", "price", "time"]
    assert row.score == pytest.approx(sum(term.value for term in row.terms))
    assert sum(term.value for term in row.terms[:2]) == pytest.approx(4.5)
    assert (row.terms[2].value, row.terms[3].value) == pytest.approx((-0.1, -0.1))


def test_price_and_then_time_break_a_tie_and_then_the_name() -> None:
    assert ordered(Scorecard(), candidate("dear", "3"), candidate("cheap", "1")) == ["cheap", "dear"]
    assert ordered(Scorecard(), candidate("slow", seconds=400), candidate("fast")) == ["fast", "slow"]
    assert ordered(Scorecard(), candidate("b"), candidate("a")) == ["a", "b"]


def test_a_weight_gives_a_category_more_say() -> None:
    loud, real = candidate("loud", physics=3, audio=5), candidate("real", physics=5, audio=4)
    assert ordered(Scorecard(), loud, real) == ["real", "loud"]
    assert ordered(Scorecard(weights={"audio": 5}), loud, real) == ["loud", "real"]


@pytest.mark.parametrize("weights", [{"physics": 0, "audio": 0}, {"nonsense": 5}, {"physics": -1, "audio": 1}])
def test_odd_weights_still_give_an_order(weights: dict[str, float]) -> None:
    assert sorted(ordered(Scorecard(weights=weights), POOR, GOOD)) == ["good", "poor"]


def test_what_no_source_confirms_comes_last_whatever_its_stars() -> None:
    assert ordered(Scorecard(), evolve(GOOD, unconfirmed=(DOUBT,)), POOR) == ["poor", "good"]


@given(st.permutations([GOOD, POOR, candidate("a"), candidate("b", "3"), candidate("c", physics=1)]))
def test_the_order_of_the_question_does_not_matter(candidates: list[Candidate]) -> None:
    assert ordered(Scorecard(), *candidates) == ["good", "poor", "c", "a", "b"]


def test_no_candidates_are_no_question() -> None:
    def never(*_: Any) -> Any:
        raise AssertionError

    assert apply(never, REQUEST, [], CONTEXT) == ()


class Reversed:
    """A policy with a method."""

    def rank(self, request: Any, candidates: Any, context: Any) -> Any:
        return [Ranked(one, 0.0) for one in reversed(candidates)]


def test_a_function_an_object_and_a_generator_are_policies() -> None:
    def lazily(request: Any, candidates: Any, context: Any) -> Any:
        yield from (Ranked(one, 1, (Term("taste", 1),)) for one in reversed(candidates))

    for policy in (Reversed(), Reversed().rank, lazily, lambda *given: Reversed().rank(*given)):
        assert ordered(policy, GOOD, POOR) == ["poor", "good"]


def test_a_policy_may_leave_candidates_out() -> None:
    assert ordered(lambda request, candidates, context: [Ranked(candidates[1], 1.0)], GOOD, POOR) == ["poor"]


def fails(request: Any, candidates: Any, context: Any) -> Any:
    raise RuntimeError("canary")


BAD: dict[str, tuple[Callable[..., Any], str]] = {
    "raises": (fails, "raised RuntimeError"),
    "raises later": (lambda r, candidates, c: (1 / 0 for _ in candidates), "raised ZeroDivisionError"),
    "wants more": (lambda r: [], "raised TypeError"),
    "nothing": (lambda r, candidates, c: None, "returned a NoneType instead of a list"),
    "a number": (lambda r, candidates, c: 5, "returned an int instead of a list"),
    "plain candidates": (lambda r, candidates, c: candidates, "returned something that is none of the candidates"),
    "text": (lambda r, candidates, c: "good", "returned something that is none of the candidates"),
    "a stranger": (lambda r, candidates, c: [Ranked(candidate("x"), 1.0)], "none of the candidates"),
    "a changed one": (
        lambda r, candidates, c: [Ranked(evolve(candidates[0], notes=("x",)), 1.0)],
        "none of the candidates",
    ),
    "one twice": (lambda r, candidates, c: [Ranked(one, 1.0) for one in (*candidates, candidates[0])], "twice"),
    "none left": (lambda r, candidates, c: [], "left none of 2 candidates over"),
    "a score of text": (lambda r, candidates, c: [Ranked(candidates[0], "5")], "no finite number"),  # type: ignore[arg-type]
    "a score of nan": (lambda r, candidates, c: [Ranked(candidates[0], float("nan"))], "no finite number"),
    "a term of nothing": (lambda r, candidates, c: [Ranked(candidates[0], 1.0, (Term("x", None),))], "no finite"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("policy", "says"), BAD.values(), ids=BAD)
def test_a_policy_that_does_anything_else_is_named_as_at_fault(policy: Callable[..., Any], says: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        apply(policy, REQUEST, [GOOD, POOR], CONTEXT)
    assert (caught.value.field, caught.value.charged) == ("policy", "no")
    assert caught.value.what.startswith(f"The routing policy {policy.__name__} ")
    assert says in caught.value.what
    assert "canary" not in str(caught.value)


def test_what_a_policy_raised_stays_visible_as_the_cause() -> None:
    with pytest.raises(InvalidRequest) as caught:
        apply(fails, REQUEST, [GOOD], CONTEXT)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_policy_is_called_by_its_own_name() -> None:
    assert [name_of(policy) for policy in (Scorecard(), fails, Scorecard().rank)] == ["Scorecard", "fails", "rank"]
