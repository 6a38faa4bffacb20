from __future__ import annotations

import pytest

from multivideo.transport.breaker import Breaker

MIDDLE = 0.5  # of the dice: a rest of exactly its length


def down(breaker: Breaker, now: float, failures: int = 5) -> Breaker:
    """The breaker after failures in a row."""
    for _ in range(failures):
        breaker.failed(now, MIDDLE)
    return breaker


def test_it_opens_at_the_fifth_failure_in_a_row_and_rests_for_half_a_minute() -> None:
    breaker = down(Breaker(), 100, 4)
    assert (breaker.state(100), breaker.rest(100)) == ("closed", 0)
    down(breaker, 100, 1)
    assert (breaker.state(100), breaker.rest(100)) == ("open", 30)
    assert (breaker.state(129), breaker.rest(129)) == ("open", 1)
    assert (breaker.state(130), breaker.rest(130)) == ("half-open", 0)


def test_an_answer_in_between_starts_the_count_anew() -> None:
    breaker = down(Breaker(), 0, 4)
    breaker.worked(0)
    assert down(breaker, 0, 4).state(0) == "closed"


def test_it_opens_when_half_of_ten_calls_fail_within_half_a_minute() -> None:
    breaker = Breaker()
    for at in range(4):
        breaker.failed(at, MIDDLE)
        breaker.worked(at)
    breaker.failed(5, MIDDLE)
    assert breaker.state(5) == "closed", "nine calls are too few"
    breaker.failed(5, MIDDLE)
    assert breaker.state(5) == "open"


def test_what_failed_long_ago_does_not_count() -> None:
    breaker = Breaker()
    for at in range(0, 400, 40):
        breaker.failed(at, MIDDLE)
        breaker.worked(at)
    assert breaker.state(400) == "closed"


def test_one_call_tries_and_the_others_wait_for_it() -> None:
    breaker = down(Breaker(), 0)
    assert breaker.begin(30), "it is the trial"
    assert breaker.rest(31) > 60
    breaker.worked(32)
    assert (breaker.state(32), breaker.rest(32), breaker.begin(32)) == ("closed", 0, False)


def test_a_trial_that_fails_makes_the_next_rest_longer_until_five_minutes() -> None:
    breaker, now, rests = down(Breaker(), 0), 0.0, []
    for _ in range(12):
        rests.append(breaker.rest(now))
        now += rests[-1]
        breaker.begin(now)
        breaker.failed(now, MIDDLE)
    assert rests == [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]


def test_after_a_trial_that_worked_the_next_rest_is_short_again() -> None:
    breaker = down(Breaker(), 0)
    breaker.begin(30)
    breaker.failed(30, MIDDLE)
    breaker.begin(90)
    breaker.worked(90)
    assert down(breaker, 100).rest(100) == 30


def test_a_trial_that_was_given_up_leaves_the_next_call_to_try() -> None:
    breaker = down(Breaker(), 0)
    breaker.begin(30)
    breaker.abandoned()
    assert (breaker.state(31), breaker.rest(31), breaker.begin(31)) == ("half-open", 0, True)


def test_a_trial_that_nobody_tells_of_is_over_after_a_while() -> None:
    breaker = down(Breaker(), 0)
    breaker.begin(30)
    assert breaker.rest(30 + 150) == 0


def test_what_left_before_it_opened_and_fails_now_does_not_lengthen_the_rest() -> None:
    breaker = down(Breaker(), 0)
    breaker.failed(10, MIDDLE)
    assert breaker.rest(10) == 20


def test_what_left_before_it_opened_and_works_now_closes_it() -> None:
    breaker = down(Breaker(), 0)
    breaker.worked(10)
    assert breaker.state(10) == "closed"


@pytest.mark.parametrize(("dice", "rest"), [(0.0, 24), (0.5, 30), (1.0, 36)])
def test_a_rest_varies_by_a_fifth(dice: float, rest: float) -> None:
    breaker = Breaker()
    for _ in range(5):
        breaker.failed(0, dice)
    assert breaker.rest(0) == pytest.approx(rest)
