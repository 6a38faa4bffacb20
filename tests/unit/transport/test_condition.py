"""Retry tokens, and which failure counts against a provider."""

from __future__ import annotations

import itertools

import pytest

from multivideo.transport.condition import MOST_TOKENS, Condition
from multivideo.transport.retry import Outcome, StepKind

SUBMIT, POLL, LOOK_UP, DOWNLOAD = StepKind


def spent(outcome: Outcome) -> int:
    """How many retries in a row there are tokens for."""
    condition = Condition()
    for number in itertools.count():
        if number == 1000 or not condition.pays(outcome):
            return number
        condition.take(outcome)
    raise AssertionError


def test_ten_retries_are_paid_for_twenty_eight_after_a_429_and_any_number_of_what_never_left() -> None:
    assert {outcome: spent(outcome) for outcome in Outcome} == {
        Outcome.NOT_SENT: 1000,
        Outcome.THROTTLED: 28,
        Outcome.UNAVAILABLE: 10,
        Outcome.FAULTY: 10,
        Outcome.LOST: 10,
        Outcome.REFUSED: 10,
    }


def test_a_call_that_works_earns_a_token_and_a_retry_that_works_gets_back_what_it_cost() -> None:
    condition = Condition(tokens=100)
    condition.worked(SUBMIT, 0, 0)
    assert condition.tokens == 101
    taken = condition.take(Outcome.FAULTY)
    assert (taken, condition.tokens) == (14, 87)
    condition.worked(SUBMIT, 0, taken)
    assert condition.tokens == 102
    condition.worked(SUBMIT, 0, 1000)
    assert condition.tokens == MOST_TOKENS


def test_what_is_left_is_taken_where_it_is_too_little() -> None:
    condition = Condition(tokens=3)
    assert (condition.take(Outcome.LOST), condition.tokens) == (3, 0)
    assert not condition.pays(Outcome.THROTTLED)
    assert condition.pays(Outcome.NOT_SENT)


@pytest.mark.parametrize("kind", StepKind)
@pytest.mark.parametrize("outcome", Outcome)
def test_only_what_a_provider_that_is_down_does_opens_the_breaker(kind: StepKind, outcome: Outcome) -> None:
    condition = Condition()
    for _ in range(5):
        condition.failed(kind, outcome, 0, 0.5)
    clean = outcome in {Outcome.REFUSED, Outcome.THROTTLED}
    bad_file = kind is DOWNLOAD and outcome is Outcome.FAULTY
    assert condition.breakers[kind].state(0) == ("closed" if clean or bad_file else "open")


def test_submits_reads_and_downloads_fail_apart() -> None:
    condition = Condition()
    for _ in range(5):
        condition.failed(POLL, Outcome.LOST, 0, 0.5)
    assert {kind: condition.breakers[kind].state(0) for kind in StepKind} == {
        SUBMIT: "closed",
        POLL: "open",
        LOOK_UP: "open",
        DOWNLOAD: "closed",
    }
