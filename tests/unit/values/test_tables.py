"""How plans and videos look."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from attrs import evolve

import multivideo as mv
from multivideo.files.inspect import Check
from multivideo.values.plan import (
    Candidate,
    ExpectedTime,
    Plan,
    Quote,
    QuoteLine,
    Ranked,
    Refusal,
    Rejected,
    Segment,
    Term,
)
from multivideo.values.request import VideoRequest
from multivideo.values.result import Video
from multivideo.values.tables import WIDTH, clock_text, plan_text, table, video_html
from multivideo.values.words import Mode

SEGMENT = Segment(
    mode=Mode.TEXT, seconds=8, resolution="1080p", aspect_ratio="16:9", width=1920, height=1080, fps=24, audio=True
)
QUOTE = Quote(mv.usd("3.20"), mv.usd("3.20"), (QuoteLine("8 s", 8, "0.40", mv.usd("3.20")),), "documented")
VEO = Candidate("veo-3.1", "vertex", (SEGMENT,), QUOTE, ExpectedTime(60, 125, 400))
KLING = evolve(VEO, model="kling-3.0", provider="kling", quote=evolve(QUOTE, amount=mv.usd("1.344")))
RANKED = (
    Ranked(VEO, 4.5, (Term("physics", 5.0), Term("price", -0.5))),
    Ranked(KLING, 2.75, (Term("physics", 3.0), Term("price", -0.25))),
)
PLAN = Plan(VideoRequest("a fox"), dt.date(2026, 8, 1), RANKED, (), policy="Scorecard")


def test_columns_are_aligned() -> None:
    assert table([("a", "1"), ("bcd", "10")], frozenset({1})) == "a     1\nbcd  10"


def test_a_time_is_minutes_and_seconds() -> None:
    assert [clock_text(seconds) for seconds in (0, 59.6, 125, 3700)] == ["0:00", "1:00", "2:05", "61:40"]


def test_a_plan_says_what_would_run_and_compares_all_that_could() -> None:
    assert plan_text(PLAN).splitlines() == [
        "brief   open, planned as of 2026-08-01 by Scorecard",
        "route   veo-3.1 at vertex, 8 s, 1920x1080, 24 fps, with sound",
        "price   320 credits (3.20 USD) held, documented",
        "time    about 2:05 (1:00 to 6:40)",
        "",
        "  model@path       score  physics  price    USD  expected",
        "  veo-3.1@vertex    4.50     5.00  -0.50   3.20      2:05",
        "  kling-3.0@kling   2.75     3.00  -0.25  1.344      2:05",
    ]
    assert str(PLAN) == plan_text(PLAN)


def test_takes_silence_an_open_size_notes_and_doubts_are_said() -> None:
    segment = evolve(SEGMENT, audio=False, width=None, height=None, samples=(4, 2))
    doubt = Refusal("fps", "fps=60", "24 fps is what is documented", reason="60 fps is only advertised")
    candidate = evolve(VEO, segments=(segment,), notes=("takes the shape of the picture",), unconfirmed=(doubt,))
    lines = plan_text(evolve(PLAN, ranked=(Ranked(candidate, 1.0),))).splitlines()
    assert lines[1] == "route   veo-3.1 at vertex, 8 s, 1080p in the shape of the picture, 24 fps, silent, 6 takes"
    assert "note    takes the shape of the picture" in lines
    assert "unsure  60 fps is only advertised" in lines


def test_a_price_that_is_not_known_is_not_shown_as_nothing() -> None:
    unknown = Quote(mv.usd(0), mv.usd(0), (), "unknown")
    text = plan_text(evolve(PLAN, ranked=(Ranked(evolve(VEO, quote=unknown), 1.0),)))
    assert "price   unknown: no price is listed for this" in text
    assert text.splitlines()[-1].split() == ["veo-3.1@vertex", "1.00", "?", "2:05"]
    assert "0.00 USD" not in text


def test_a_plan_of_nothing_says_so_and_why() -> None:
    gone = Rejected("sora-2", "openai", (Refusal("model", "", "retired"), Refusal("key", "", "no key: set A")))
    assert plan_text(evolve(PLAN, ranked=(), rejected=(gone,))).splitlines()[1:] == [
        "route   none: nothing can make this",
        "out",
        "  sora-2@openai  retired; no key: set A",
    ]


def test_many_reasons_are_wrapped_under_each_other() -> None:
    many = Rejected("sora-2", "openai", tuple(Refusal("x", "", f"reason number {n}") for n in range(30)))
    lines = plan_text(evolve(PLAN, rejected=(many,))).splitlines()
    rows = lines[lines.index("out") + 1 :]
    assert len(rows) > 3
    assert all(len(line) <= WIDTH for line in rows)
    assert all(line.startswith(" " * 17) for line in rows[1:])
    assert " ".join(" ".join(rows).split()).count("reason number") == 30


def test_terms_that_find_no_room_are_summed_up_and_those_that_differ_most_stay() -> None:
    def terms(step: float) -> tuple[Term, ...]:
        return tuple(Term(f"criterion_{number:02d}_of_the_house", step * number) for number in range(30))

    ranked = (Ranked(VEO, 43.5, terms(0.1)), Ranked(KLING, 87.0, terms(0.2)))
    lines = plan_text(evolve(PLAN, ranked=ranked)).splitlines()
    head, veo, kling = (line.split() for line in lines[-3:])
    assert max(map(len, lines)) <= WIDTH
    assert "rest" in head
    assert "criterion_29_of_the_house" in head
    assert "criterion_00_of_the_house" not in head
    for row in (veo, kling):
        assert abs(sum(map(float, row[2:-2])) - float(row[1])) < 0.05


def test_a_long_term_is_called_by_its_first_word_where_that_is_clear() -> None:
    terms = (Term("character_consistency", 1.0), Term("prompt_fidelity", 1.0), Term("prompt_length", 1.0))
    head = plan_text(evolve(PLAN, ranked=(Ranked(VEO, 3.0, terms),))).splitlines()[-2].split()
    assert head[2:5] == ["character", "prompt_fidelity", "prompt_length"]


def test_the_whole_plan_of_the_sandbox_fits_the_width() -> None:
    for spec in ({}, {"resolution": "4k", "fps": 60}, {"duration": 45}):
        for client in (mv.AsyncClient.sandbox(), mv.AsyncClient(providers=[])):
            text = str(client.plan("a fox in snow", as_of=dt.date(2026, 11, 22), **spec))
            assert max(map(len, text.splitlines())) <= WIDTH
            assert "a fox" not in text


def test_a_video_shows_itself_in_a_notebook_without_letting_names_become_markup(tmp_path: Path) -> None:
    video = Video(
        path=tmp_path / "a&b<c>.mp4",
        model='<script>"veo"',
        provider="vertex",
        job_id="mv-1",
        prompt="canary",
        duration=8.04,
        width=1920,
        height=1080,
        fps=24.0,
        has_audio=False,
        size_bytes=10,
        sha256="0" * 64,
        check=Check((), "headers"),
        charge=mv.usd("3.20"),
        certainty="derived",
        created_at=dt.datetime(2026, 8, 1, tzinfo=dt.UTC),
    )
    html = video_html(video)
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert 'src="file:///' in html
    assert "<c>" not in html
    assert "8.0 s, 1920x1080, 24 fps, silent, 320 credits (3.20 USD)" in html
    bundle = video._repr_mimebundle_(include=None)
    assert bundle["text/html"] == html
    assert "canary" not in "".join(bundle.values())
