from __future__ import annotations

import random
import statistics
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multivideo.jobs.schedule import FEWEST, KEPT, Kind, Schedule

KIND = Kind("sora-2", 8, "720p")
OTHER = Kind("sora-2", 4, "720p")


def middle() -> float:
    return 0.5


def taught(*seconds: float) -> Schedule:
    """A schedule that has seen jobs of that many seconds, each to the tenth."""
    schedule = Schedule()
    for took in seconds:
        schedule.learn(KIND, took - 0.05, took + 0.05)
    return schedule


def looks(schedule: Schedule, seconds: float, dice: random.Random | None = None) -> list[float]:
    """The ages at which a job of that many seconds is looked at."""
    roll, ages = (dice.random if dice is not None else middle), [0.0]
    while ages[-1] < seconds:
        ages.append(ages[-1] + schedule.wait_s(KIND, ages[-1], roll))
    return ages[1:]


def test_nothing_is_known_before_a_few_jobs_were_seen() -> None:
    assert taught(*[30.0] * (FEWEST - 1)).durations(KIND) is None
    known = taught(*[30.0] * FEWEST).durations(KIND)
    assert known is not None
    assert [known.p10_s, known.p50_s, known.p95_s] == pytest.approx([30, 30, 30])
    assert taught(*[30.0] * FEWEST).durations(OTHER) is None


def test_the_middle_between_the_last_look_and_the_one_that_saw_it_ready_is_learned() -> None:
    schedule = Schedule()
    for _ in range(FEWEST):
        schedule.learn(KIND, 28.0, 32.0)
    known = schedule.durations(KIND)
    assert known is not None
    assert known.p50_s == pytest.approx(30)


def test_only_the_last_fifty_count() -> None:
    known = taught(*[100.0] * 50, *[30.0] * KEPT).durations(KIND)
    assert known is not None
    assert known.p95_s == pytest.approx(30)


def test_a_job_that_nobody_looked_at_for_long_is_not_learned() -> None:
    schedule = taught(*[30.0] * FEWEST)
    for _ in range(KEPT):
        schedule.learn(KIND, 20.0, 3600.0)
        schedule.learn(KIND, None, 3600.0)  # taken up again an hour later
    known = schedule.durations(KIND)
    assert known is not None
    assert known.p95_s == pytest.approx(30)


def test_jobs_that_are_ready_at_the_first_look_bring_the_first_look_forward() -> None:
    schedule = taught(*[100.0] * KEPT)
    for _ in range(200):
        schedule.learn(KIND, None, schedule.first_s(KIND))  # the vendor has become much faster
    assert schedule.first_s(KIND) < 30


def test_while_most_of_a_burst_still_run_the_short_ones_say_nothing_of_all() -> None:
    schedule = Schedule()
    assert sum(schedule.enroll(KIND) for _ in range(1000)) == KEPT
    for took in range(KEPT):
        schedule.dismiss(KIND)
        schedule.learn(KIND, 23.9 + took / 4, 24.1 + took / 4)
        assert (schedule.durations(KIND) is None) == (took + 1 < KEPT / 2)
    known = schedule.durations(KIND)
    assert known is not None
    assert known.p10_s == pytest.approx(25.2, abs=0.1)
    assert known.p95_s == pytest.approx(35.6, abs=0.1)


def test_the_first_look_comes_when_the_first_tenth_are_ready() -> None:
    schedule = taught(*[24 + 0.24 * number for number in range(KEPT)])
    first, *_ = looks(schedule, 30)
    assert 23.5 < first < 25.2


def test_jobs_whose_times_are_known_take_few_looks_and_are_seen_soon() -> None:
    dice = random.Random(5)
    times = [dice.uniform(24, 36) for _ in range(2000)]
    schedule = taught(*times[:KEPT])
    ages = [looks(schedule, took, dice) for took in times]
    lags = [seen[-1] - took for seen, took in zip(ages, times, strict=True)]
    assert statistics.mean(len(seen) for seen in ages) <= 6
    assert statistics.quantiles(lags, n=20)[18] <= 1.6


def test_a_job_of_three_seconds_is_seen_within_a_second() -> None:
    for schedule in (Schedule(), taught(*[3.0] * KEPT)):
        assert looks(schedule, 3.0)[-1] - 3.0 <= 1.05


def test_after_most_are_ready_the_gaps_grow_up_to_a_minute() -> None:
    schedule = taught(*[30.0] * KEPT)
    ages = [age for age in looks(schedule, 1000) if age > 30]
    gaps = [after - before for before, after in pairwise(ages)]
    assert gaps[:8] == sorted(gaps[:8])
    assert gaps[3] / gaps[2] == pytest.approx(1.3, abs=0.02)
    assert gaps[-1] == pytest.approx(60)


def test_what_is_left_is_said_by_what_is_learned_and_else_by_the_plan() -> None:
    schedule = taught(*[24 + 0.24 * number for number in range(KEPT)])
    assert Schedule().left_s(KIND, 10, 60.0) == 50
    assert Schedule().left_s(KIND, 100, 60.0) == 0
    assert Schedule().left_s(KIND, 10) is None
    assert schedule.left_s(KIND, 10, 600.0) == pytest.approx(20, abs=0.5)
    assert schedule.left_s(KIND, 32, 600.0) == pytest.approx(3.2, abs=0.5)
    assert schedule.left_s(KIND, 90, 600.0) == 0


def test_a_job_counts_as_stuck_long_after_all_others_are_ready() -> None:
    assert Schedule().stuck_s(KIND) is None
    assert Schedule().stuck_s(KIND, 100.0) == 360
    assert taught(*[30.0] * KEPT).stuck_s(KIND, 100.0) == pytest.approx(150)


@given(st.lists(st.floats(0.2, 2000), min_size=FEWEST, max_size=80), st.floats(0, 1e5), st.floats(0, 1))
def test_a_look_is_always_ahead_and_never_later_than_it_may(times: list[float], age: float, dice: float) -> None:
    schedule = taught(*times)
    known = schedule.durations(KIND)
    assert known is not None
    wait = schedule.wait_s(KIND, age, lambda: dice)
    assert 0 < wait <= max(63.0, known.p10_s * 1.02 - age + 4)
