"""What a plan answers about itself; how it is made is tested with routing."""

from __future__ import annotations

import datetime as dt

import pytest
from attrs import evolve

import multivideo as mv
from multivideo.values.plan import Candidate, ExpectedTime, Plan, Quote, QuoteLine, Ranked, Refusal, Rejected, Segment
from multivideo.values.request import VideoRequest
from multivideo.values.words import Mode

SEGMENT = Segment(
    mode=Mode.TEXT,
    seconds=8,
    resolution="1080p",
    aspect_ratio="16:9",
    width=1920,
    height=1080,
    fps=24,
    audio=True,
    samples=(1,),
)
LINE = QuoteLine("8 s", 8, "0.40 USD a second", mv.usd("3.20"))
QUOTE = Quote(mv.usd("3.20"), mv.usd("3.20"), (LINE,), "documented")
CANDIDATE = Candidate("veo-3.1", "vertex", (SEGMENT,), QUOTE, ExpectedTime(40, 75, 240))
GONE = Rejected("sora-2", "openai", (Refusal("model", "", "retired 2026-09-24"),))
EMPTY = Plan(VideoRequest("a fox"), dt.date(2026, 8, 1), (), (GONE,))


def test_a_plan_answers_for_its_first_candidate() -> None:
    other = evolve(CANDIDATE, model="kling-3.0", provider="kling")
    plan = evolve(EMPTY, ranked=(Ranked(CANDIDATE, 4.0), Ranked(other, 3.0)))
    assert plan.first is CANDIDATE
    assert plan.candidates == (CANDIDATE, other)
    assert (plan.model, plan.provider, plan.segments, plan.quote) == ("veo-3.1", "vertex", (SEGMENT,), QUOTE)
    assert [*(row.name for row in plan.candidates), *(row.name for row in plan.rejected)] == [
        "veo-3.1@vertex",
        "kling-3.0@kling",
        "sora-2@openai",
    ]


def test_a_plan_of_nothing_answers_none_and_its_first_is_an_error_that_holds_it() -> None:
    assert (EMPTY.model, EMPTY.provider, EMPTY.segments, EMPTY.quote, EMPTY.candidates) == (None, None, (), None, ())
    with pytest.raises(mv.NoRoute) as caught:
        _ = EMPTY.first
    assert caught.value.plan is EMPTY


def test_a_refusal_says_its_reason_or_what_is_allowed_and_what_was_asked() -> None:
    assert str(Refusal("fps", "fps=60", "24 fps", reason="makes 24 fps")) == "makes 24 fps"
    assert str(Refusal("fps", "fps=60", "24 fps")) == "24 fps, asked fps=60"
    assert str(Refusal("model", "", "retired")) == "retired"


def test_a_plan_shows_no_prompt() -> None:
    assert "canary" not in repr(evolve(EMPTY, request=VideoRequest("canary")))
