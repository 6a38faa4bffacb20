from __future__ import annotations

import datetime as dt
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multivideo.transport.retry import MOST_ASKED_S, Failure, Outcome, StepKind, asked_wait, decide
from multivideo.wire import Resend

ALWAYS, IF_UNSENT, WITH_KEY = Resend.ALWAYS, Resend.IF_UNSENT, Resend.WITH_KEY
SUBMIT, POLL, LOOK_UP, DOWNLOAD = StepKind

# step, resend, outcome -> tries in all, the longest wait after the first, the third and the last but one, limit
TABLE = [
    (SUBMIT, IF_UNSENT, Outcome.NOT_SENT, 4, (0.5, 2, 2), 60),
    (SUBMIT, IF_UNSENT, Outcome.THROTTLED, 1000, (2, 8, 60), 1800),
    (SUBMIT, IF_UNSENT, Outcome.LOST, 1, (), 0),
    (SUBMIT, IF_UNSENT, Outcome.FAULTY, 1, (), 0),
    (SUBMIT, IF_UNSENT, Outcome.REFUSED, 1, (), 0),
    (SUBMIT, WITH_KEY, Outcome.NOT_SENT, 4, (0.5, 2, 2), 60),
    (SUBMIT, WITH_KEY, Outcome.LOST, 4, (0.5, 2, 2), 60),
    (SUBMIT, WITH_KEY, Outcome.FAULTY, 4, (0.5, 2, 2), 60),
    (SUBMIT, WITH_KEY, Outcome.THROTTLED, 1000, (2, 8, 60), 1800),
    (SUBMIT, WITH_KEY, Outcome.REFUSED, 1, (), 0),
    (SUBMIT, ALWAYS, Outcome.LOST, 4, (0.5, 2, 2), 60),
    (POLL, ALWAYS, Outcome.NOT_SENT, 1000, (1, 4, 30), 1800),
    (POLL, ALWAYS, Outcome.LOST, 1000, (1, 4, 30), 1800),
    (POLL, ALWAYS, Outcome.FAULTY, 1000, (1, 4, 30), 1800),
    (POLL, ALWAYS, Outcome.THROTTLED, 1000, (2, 8, 60), 1800),
    (POLL, ALWAYS, Outcome.REFUSED, 1, (), 0),
    (LOOK_UP, ALWAYS, Outcome.LOST, 1000, (1, 4, 30), 1800),
    (LOOK_UP, ALWAYS, Outcome.REFUSED, 1, (), 0),
    (DOWNLOAD, ALWAYS, Outcome.NOT_SENT, 8, (0.5, 2, 15), 900),
    (DOWNLOAD, ALWAYS, Outcome.LOST, 8, (0.5, 2, 15), 900),
    (DOWNLOAD, ALWAYS, Outcome.FAULTY, 8, (0.5, 2, 15), 900),
    (DOWNLOAD, ALWAYS, Outcome.THROTTLED, 1000, (2, 8, 60), 1800),
    (DOWNLOAD, ALWAYS, Outcome.REFUSED, 1, (), 0),
]


def wait(step: StepKind, resend: Resend, outcome: Outcome, tries: int, *, elapsed: float = 0.0) -> float | None:
    return decide(Failure(step, resend, outcome, tries, elapsed), lambda: 1.0)


@pytest.mark.parametrize(("step", "resend", "outcome", "tries", "waits", "limit_s"), TABLE)
def test_each_row_of_the_table_of_retries_holds(
    step: StepKind, resend: Resend, outcome: Outcome, tries: int, waits: tuple[float, ...], limit_s: float
) -> None:
    assert wait(step, resend, outcome, tries) is None
    if not waits:
        return
    assert tuple(wait(step, resend, outcome, at) for at in (1, 3, tries - 1)) == waits
    assert wait(step, resend, outcome, 1, elapsed=limit_s - waits[0]) == waits[0]
    assert wait(step, resend, outcome, 1, elapsed=limit_s) is None


@given(
    st.sampled_from(StepKind),
    st.sampled_from([Outcome.LOST, Outcome.FAULTY, Outcome.REFUSED]),
    st.integers(1, 10**6),
    st.floats(0, 1e9),
    st.none() | st.floats(0, 1e9),
    st.floats(0, 1),
)
def test_a_paid_request_that_left_is_never_sent_again(
    step: StepKind, outcome: Outcome, tries: int, elapsed: float, asked: float | None, dice: float
) -> None:
    failure = Failure(step, IF_UNSENT, outcome, tries, elapsed, asked)
    assert decide(failure, lambda: dice) is None


@given(
    st.sampled_from(StepKind),
    st.sampled_from(Resend),
    st.sampled_from(Outcome),
    st.integers(1, 2000),
    st.floats(0, 4000),
    st.none() | st.floats(0, 400),
    st.floats(0, 1),
)
def test_a_wait_is_never_negative_nor_longer_than_two_minutes_nor_shorter_than_asked(
    step: StepKind, resend: Resend, outcome: Outcome, tries: int, elapsed: float, asked: float | None, dice: float
) -> None:
    answer = decide(Failure(step, resend, outcome, tries, elapsed, asked), lambda: dice)
    assert answer is None or (asked or 0) <= answer <= MOST_ASKED_S


def test_a_vendor_that_says_zero_seconds_is_not_hammered() -> None:
    waits = [decide(Failure(POLL, ALWAYS, Outcome.THROTTLED, tries, 0, 0.0), lambda: 0.5) for tries in (1, 2, 3, 9)]
    assert waits == [1, 2, 4, 30]
    assert decide(Failure(POLL, ALWAYS, Outcome.THROTTLED, 9, 0, 1.0), lambda: 0.5) == 30


def test_a_vendor_that_asks_for_longer_than_two_minutes_is_not_waited_for() -> None:
    asked = [Failure(POLL, ALWAYS, Outcome.THROTTLED, 1, 0, seconds) for seconds in (120.0, 120.1, float("inf"))]
    assert [decide(failure, lambda: 0) for failure in asked] == [120, None, None]


NOW = 1_785_542_400.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": format_datetime(dt.datetime.fromtimestamp(NOW + 30, dt.UTC), usegmt=True)}, 30.0),
        ({"retry-after": format_datetime(dt.datetime.fromtimestamp(NOW - 30, dt.UTC), usegmt=True)}, 0.0),
        ({"retry-after": "Sat, 01 Aug 2026 00:00:40 -0000"}, 40.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1_0"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "Sat, 99 Aug 2026 00:00:40 GMT"}, None),
    ],
)
def test_the_asked_wait_is_read_in_each_of_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert asked_wait(headers, NOW) == seconds


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_header_of_a_vendor_breaks_the_reading_of_a_wait(text: str, millis: str) -> None:
    answer = asked_wait({"retry-after": text, "retry-after-ms": millis}, NOW)
    assert answer is None or answer >= 0
