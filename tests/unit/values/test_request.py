"""What a request takes, what it makes of it, and how it tells everything that is wrong at once."""

from __future__ import annotations

import io
import math
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve, fields
from PIL import Image

import multivideo as mv
from multivideo.errors import InvalidRequest
from multivideo.values.clips import Clip
from multivideo.values.media import Media
from multivideo.values.request import VideoRequest
from multivideo.values.words import Brief, Element, Mode, Shot

FOX = "a fox in snow"


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (1280, 720)).save(out, "PNG")
    return out.getvalue()


PNG = png()
CLIP = Media(data=b"clip")
MARA = Element("829836802793406551", "Mara")
ANY: Any = VideoRequest  # for values that the type checker would refuse too
ANY_SHOT: Any = Shot
NAN, INF = float("nan"), float("inf")
HUGE = 10**5000


def ranked(request: Any, candidates: Any, context: Any) -> Any:
    return candidates


@pytest.mark.parametrize(
    ("field", "given", "kept"),
    [
        ("model", "veo-3.1@vertex", "veo-3.1@vertex"),
        ("duration", 8, 8),
        ("duration", 8.0, 8),
        ("duration", 7.5, 7.5),
        ("duration", Decimal("7.5"), 7.5),
        ("duration", Fraction(15, 2), 7.5),
        ("duration", np.float32(7.5), 7.5),
        ("duration", np.int64(8), 8),
        ("duration", 1e300, 1e300),
        ("resolution", "4K", "4k"),
        ("resolution", "1080P", "1080p"),
        ("resolution", "1920X1080", "1920x1080"),
        ("aspect_ratio", "9:16", "9:16"),
        ("fps", 60, 60),
        ("fps", np.int32(24), 24),
        ("audio", False, False),
        ("mode", None, None),
        ("negative_prompt", "text", "text"),
        ("seed", 0, 0),
        ("count", 100, 100),
        ("brief", "social", Brief.SOCIAL),
        ("brief", Brief.PRODUCT, Brief.PRODUCT),
        ("budget", 5, mv.usd("0.05")),
        ("budget", Decimal("0.5"), mv.usd("0.005")),
        ("budget", mv.usd("5"), mv.usd("5")),
        ("budget", 0, mv.usd(0)),
        ("deadline", 90, 90),
        ("tags", {"project": "coast"}, {"project": "coast"}),
        ("save_to", "clips/", "clips/"),
        ("save_to", Path("a.mp4"), "a.mp4"),
        ("save_to", "~/a.mp4", str(Path("~/a.mp4").expanduser())),
        ("on_event", print, print),
        ("policy", ranked, ranked),
        ("poll_interval", 0.5, 0.5),
        ("options", {"kling": {"cfg": 0.5}}, {"kling": {"cfg": 0.5}}),
        ("reference_images", [PNG, PNG], (Media.picture(PNG), Media.picture(PNG))),
        ("first_frame", PNG, Media.picture(PNG)),
        ("source_video", CLIP, Clip(CLIP)),
        (
            "shots",
            [Shot("a", 4.0), ANY_SHOT("b", Decimal("2.5"), "social")],
            (Shot("a", 4), Shot("b", 2.5, Brief.SOCIAL)),
        ),
    ],
)
def test_a_good_value_is_kept_in_one_form(field: str, given: Any, kept: Any) -> None:
    request = VideoRequest(FOX, **{field: given})
    found = getattr(request, field)
    assert (found, type(found)) == (kept, type(kept))


BAD_VALUES: dict[str, tuple[Any, ...]] = {
    "prompt": (None, 5, b"a fox", ["a fox"], "", " \n", "\ud800 fox", object(), 1.5, True),
    "model": (None, 5, "", "  ", b"veo", ["veo-3.1"], "\udfff"),
    "duration": (0, -1, -0.5, NAN, INF, -INF, True, "8", "8s", b"8", [8], {}, HUGE, 8j, np.float64("nan")),
    "resolution": ("", "720", "8k", "1080i", "x", "1920x", "0x0", "-1x2", "1920*1080", 1080, " 720p", "720p\n"),
    "aspect_ratio": ("", "16x9", "4:3", "16/9", 16 / 9, (16, 9), [16, 9], np.array([16, 9])),
    "fps": (0, -1, 24.0, 23.976, 241, True, "24", NAN, [24], HUGE, Decimal(24)),
    "audio": (0, 1, "yes", "True", [], 1.0),
    "mode": ("", "text", "first_frame", "Extend", 5, ["extend"], Mode.SHOTS),
    "negative_prompt": ("", " ", 5, ["text"], "\ud800"),
    "seed": (-1, 1.5, 7.0, True, "7", NAN, [7]),
    "count": (0, -1, 101, 1.0, True, "2", None, HUGE),
    "accept_unconfirmed": (None, 1, "yes"),
    "strict": (None, 0, "no"),
    "brief": ("", "film", "SOCIAL", 5, ["social"]),
    "policy": (5, "cheapest", [], mv.Scorecard),
    "budget": (-1, 1.5, "5", True, NAN, Decimal("NaN"), Decimal("sNaN"), HUGE, mv.usd(-1), [5], np.float64(5)),
    "deadline": (0, -1, NAN, INF, "60", True),
    "poll_interval": (0, -1, NAN, "5", True),
    "tags": (None, "project", ["a"], {"a": 1}, {1: "a"}, {"a": None}, {"\ud800": "a"}, 5),
    "save_to": ("", "a\0b.mp4", "\ud800.mp4", 5, b"a.mp4", ["a.mp4"], True),
    "on_event": (5, "print", [print], {}),
    "options": (None, "kling", ["kling"], {"kling": 5}, {"kling": None}, {5: {}}, {"kling": [1]}),
    "first_frame": (5, b"", b"GIF89a", "gone.png", "http://example.com/a.png", [PNG], {}),
    "last_frame": (5, b"<html>", "gone.png", "https://user:pw@example.com/a.png"),
    "reference_images": (None, PNG, "a.png", Path("a.png"), [5], ["gone.png"], {PNG}, 5, MARA),
    "sidecar": (None, "yes", 1, 0),
    "watermark": ("yes", 1, 0, "true", []),
    "region": ("EU", "europe", "", 5, ["eu"]),
    "source_video": (5, b"", [], "gone.mp4", "file:///a.mp4", "http://example.com/a.mp4"),
    "shots": (None, "a fox", Shot("a", 4), ["a fox"], [("a", 4)], 5, {"a": 4}),
}
BAD_ELEMENTS = [
    Element("", "Mara"),
    Element("a b", "Mara"),
    Element("1", ""),
    Element("1", "two words"),
    Element("1", "image_1"),
    Element("1", "a" * 81),
    Element("1", "Mara", vendor="veo"),  # type: ignore[arg-type]
    Element(1, "Mara"),  # type: ignore[arg-type]
    Element("1", "Mara", of_video=1),  # type: ignore[arg-type]
]
BAD_SHOTS = [ANY_SHOT("", 4), ANY_SHOT(5, 4), ANY_SHOT("b", 0), ANY_SHOT("b", "4"), ANY_SHOT("b", 4, "film")]
BAD = [
    *(("reference_images", [element]) for element in BAD_ELEMENTS),
    *((field, value) for field, values in BAD_VALUES.items() for value in values),
    *(("duration", value) for value in (Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), np.array([8]))),
    *(("resolution", value) for value in ("1920x1080x2", "１９20x1080", (1920, 1080), b"720p")),
    *(("budget", value) for value in (Decimal("1e999999"), Decimal("-0.1"))),
    *(("options", {"kling": {"x": value}}) for value in (object(), NAN, b"x", {1, 2}, "\ud800", Decimal(1), print)),
    *(("shots", [Shot("a", 4), shot]) for shot in BAD_SHOTS),
]


def test_there_are_more_than_a_hundred_bad_inputs_and_every_field_has_some() -> None:
    assert len(BAD) >= 100
    assert set(BAD_VALUES) == {field.name for field in fields(VideoRequest)}


@pytest.fixture(scope="module")
def client() -> mv.AsyncClient:
    return mv.AsyncClient.sandbox()


@pytest.mark.parametrize(("field", "value"), BAD, ids=[f"{field}-{number}" for number, (field, _) in enumerate(BAD)])
def test_a_bad_value_is_refused_by_name_before_anything_is_sent_or_written(
    client: mv.AsyncClient, field: str, value: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = {"prompt": FOX, "model": "veo-3.1", field: value}
    prompt = spec.pop("prompt")
    with pytest.raises(InvalidRequest) as caught:
        client.quote(prompt, **spec)
    error = caught.value
    assert (error.field, [problem.field for problem in error.problems]) == (field, [field])
    assert (error.charged, error.fault, error.retryable) == ("no", "caller", False)
    assert all((error.what, error.asked, error.allowed))
    assert len(str(error)) < 700
    assert "_driver" not in vars(client)
    assert list(tmp_path.iterdir()) == []


def test_all_faults_are_told_in_one_error() -> None:
    with pytest.raises(InvalidRequest) as caught:
        VideoRequest.of(
            "",
            {
                "duraton": 8,
                "resolution": "8k",
                "fps": -1,
                "seed": 1.5,
                "budget": -1,
                "shots": ["a"],
                "first_frame": "gone.png",
            },
        )
    names = [problem.field for problem in caught.value.problems]
    assert sorted(names) == sorted(["duraton", "prompt", "resolution", "fps", "first_frame", "seed", "shots", "budget"])
    assert all(f"{name}: " in caught.value.allowed for name in names)
    assert caught.value.what.startswith("8 things in this request cannot be: duraton, prompt,")


def test_a_contradiction_is_told_along_with_other_faults_where_its_own_fields_are_right() -> None:
    with pytest.raises(InvalidRequest) as caught:
        ANY(FOX, fps=-1, mode="extend", last_frame=PNG)
    assert [problem.field for problem in caught.value.problems] == ["fps", "last_frame", "mode"]
    with pytest.raises(InvalidRequest) as caught:
        ANY(FOX, first_frame=b"junk", last_frame=PNG)
    assert [problem.field for problem in caught.value.problems] == ["first_frame"]


@pytest.mark.parametrize(
    ("spec", "field", "says"),
    [
        ({"last_frame": PNG}, "last_frame", "given without first_frame"),
        ({"mode": "extend"}, "mode", '"extend" without source_video'),
        ({"mode": "edit"}, "mode", '"edit" without source_video'),
        ({"mode": "remix"}, "mode", '"remix" without source_video'),
        ({"mode": "reference"}, "mode", '"reference" without reference_images'),
        ({"mode": "motion"}, "mode", '"motion" without source_video and reference_images'),
        ({"mode": "motion", "source_video": CLIP}, "mode", '"motion" without reference_images'),
        ({"reference_images": [MARA, Element("2", "Mar")]}, "reference_images", "elements named 'Mar' and 'Mara'"),
        (
            {"reference_images": [Element("2", "image"), PNG]},
            "reference_images",
            "an element named 'image' beside 'image_1'",
        ),
        (
            {"reference_images": [Element("2", "video")], "source_video": CLIP},
            "reference_images",
            "an element named 'video' beside 'video_1'",
        ),
        ({"reference_images": [MARA, MARA]}, "reference_images", "elements named 'Mara' and 'Mara'"),
        ({"resolution": "1920x1080", "aspect_ratio": "9:16"}, "aspect_ratio", '"9:16" with resolution="1920x1080"'),
        ({"resolution": "1792x1024", "aspect_ratio": "16:9"}, "aspect_ratio", '"16:9" with resolution="1792x1024"'),
        ({"shots": [Shot("a", 4), Shot("b", 4)], "duration": 9}, "duration", "9 with shots of 8 s"),
    ],
)
def test_what_cannot_be_together_is_refused(spec: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        VideoRequest(FOX, **spec)
    (problem,) = caught.value.problems
    assert (problem.field, problem.asked) == (field, says)


@pytest.mark.parametrize(
    "spec",
    [
        {"first_frame": PNG, "last_frame": PNG},
        {"mode": "extend", "source_video": CLIP},
        {"mode": "reference", "reference_images": [PNG]},
        {"reference_images": [PNG, MARA, Element("char_1", "Juno", vendor="openai")]},
        {"watermark": True, "region": "eu"},
        {"resolution": "1920x1080", "aspect_ratio": "16:9"},
        {"shots": [Shot("a", 0.1), Shot("b", 0.2)], "duration": 0.3},
    ],
)
def test_what_belongs_together_is_taken(spec: dict[str, Any]) -> None:
    assert VideoRequest(FOX, **spec).prompt == FOX


@pytest.mark.parametrize(
    ("name", "hint"), [("duraton", "duration=...?"), ("negativ_prompt", "negative_prompt=...?"), ("zzz", "")]
)
def test_an_option_that_does_not_exist_is_refused_with_the_nearest_and_without_its_value(name: str, hint: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        VideoRequest.of(FOX, {name: "canary"})
    assert (caught.value.field, caught.value.what, caught.value.hint) == (name, f"There is no option {name!r}.", hint)
    assert "duration" in caught.value.allowed
    assert "canary" not in str(caught.value)


def test_text_of_the_user_is_quoted_and_long_text_is_not_repeated() -> None:
    with pytest.raises(InvalidRequest, match='duration cannot be "8"') as caught:
        ANY(FOX, duration="8")
    assert "without quotes" in caught.value.allowed
    with pytest.raises(InvalidRequest, match="resolution cannot be text of 5000 characters"):
        VideoRequest(FOX, resolution="x" * 5000)
    with pytest.raises(InvalidRequest, match="resolution cannot be text of 4 characters"):
        VideoRequest(FOX, resolution="\x1b[2J")


def test_no_repr_shows_a_prompt_an_address_or_a_parameter() -> None:
    request = ANY(
        "canary prompt",
        negative_prompt="canary text",
        first_frame="https://example.com/canary.png",
        source_video="https://example.com/canary.mp4",
        options={"kling": {"x": "canary"}},
        shots=[Shot("canary shot", 4)],
    )
    assert "canary" not in f"{request!r} {request}"
    assert "<13 characters>" in repr(request)
    assert "an int" in repr(ANY_SHOT(5, 4))


def test_equal_requests_are_equal_and_hash_alike() -> None:
    def made() -> VideoRequest:
        return ANY(  # type: ignore[no-any-return]
            FOX,
            duration=8.0,
            tags={"a": "b"},
            options={"kling": {"x": [1]}},
            reference_images=[PNG],
            shots=[Shot("a", 8)],
            budget=mv.usd(5),
            on_event=print,
        )

    assert made() == made()
    assert hash(made()) == hash(made())
    assert len({made(), made(), evolve(made(), seed=1)}) == 2
    assert evolve(made(), on_event=None) == made()


def test_a_ready_request_is_changed_by_options_and_stays_itself() -> None:
    first = VideoRequest(FOX, duration=8, tags={"a": "b"})
    second = VideoRequest.of(first, {"duration": 6.0, "resolution": "4K"})
    assert (first.duration, first.resolution) == (8, None)
    assert (second.prompt, second.duration, second.resolution, second.tags) == (FOX, 6, "4k", {"a": "b"})
    assert VideoRequest.of(first, {}) == first
    with pytest.raises(InvalidRequest) as caught:
        VideoRequest.of(first, {"duration": 0, "sed": 1})
    assert [problem.field for problem in caught.value.problems] == ["sed", "duration"]
    with pytest.raises(InvalidRequest):
        VideoRequest.of(first, {"mode": "extend"})


def test_a_change_by_evolve_is_checked_too() -> None:
    with pytest.raises(InvalidRequest):
        evolve(VideoRequest(FOX), fps=0)


def test_a_mapping_that_changes_later_does_not_change_the_request() -> None:
    tags, parameters = {"a": "b"}, {"x": 1}
    request = VideoRequest(FOX, tags=tags, options={"kling": parameters})
    tags["a"], parameters["x"] = "c", 2
    assert (request.tags, request.options) == ({"a": "b"}, {"kling": {"x": 1}})


@pytest.mark.parametrize(
    ("spec", "mode"),
    [
        ({}, Mode.TEXT),
        ({"first_frame": PNG}, Mode.FIRST_FRAME),
        ({"first_frame": PNG, "last_frame": PNG}, Mode.FIRST_LAST),
        ({"reference_images": [PNG]}, Mode.REFERENCE),
        ({"reference_images": [PNG], "first_frame": PNG}, Mode.FIRST_FRAME),
        ({"reference_images": [MARA]}, Mode.REFERENCE),
        ({"shots": [Shot("a", 4)], "first_frame": PNG, "last_frame": PNG}, Mode.FIRST_LAST),
        ({"shots": [Shot("a", 4)], "reference_images": [PNG]}, Mode.REFERENCE),
        ({"source_video": CLIP, "mode": "motion", "reference_images": [PNG]}, Mode.MOTION),
        ({"source_video": CLIP}, Mode.EXTEND),
        ({"source_video": CLIP, "mode": "edit"}, Mode.EDIT),
        ({"source_video": CLIP, "mode": "remix"}, Mode.REMIX),
        ({"shots": [Shot("a", 4)]}, Mode.SHOTS),
    ],
)
def test_what_is_brought_along_says_what_the_model_starts_from(spec: dict[str, Any], mode: Mode) -> None:
    assert VideoRequest(FOX, **spec).wanted_mode is mode


def test_a_size_in_pixels_is_read() -> None:
    assert VideoRequest(FOX, resolution="1920x1080").size == (1920, 1080)
    assert VideoRequest(FOX, resolution="1080p").size is None
    assert VideoRequest(FOX).size is None


def test_the_options_of_the_methods_are_the_fields_of_the_request() -> None:
    assert set(mv.VideoSpec.__annotations__) == {field.name for field in fields(VideoRequest)} - {"prompt"}


def test_a_length_that_is_nearly_whole_stays_what_it_is() -> None:
    assert VideoRequest(FOX, duration=math.nextafter(8.0, 9.0)).duration != 8
