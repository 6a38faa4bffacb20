"""What is refused, what is said to be allowed instead, and which call a good request becomes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multivideo.catalog.book import Catalog, price
from multivideo.catalog.check import Fit, fit
from multivideo.catalog.facts import Format, ModeFacts, ModelPath, ReferenceRule
from multivideo.catalog.phrases import any_of
from multivideo.files.sniff import ImageFacts
from multivideo.values.clips import Clip
from multivideo.values.media import Media
from multivideo.values.refs import VendorHandle, VendorRef
from multivideo.values.request import VideoRequest
from multivideo.values.words import Element, Mode, Shot

TODAY = dt.date(2026, 11, 22)
SUMMER = dt.date(2026, 8, 1)
CATALOG = Catalog.default()
BUILT = [(path, facts) for path in CATALOG.models() for facts in path.modes]
ROWS = [(path, facts, row) for path, facts in BUILT for row in facts.formats]
SHAPES = ("16:9", "9:16", "1:1")


def picture(width: int, height: int, kind: Any = "png", size_bytes: int = 1000) -> Media:
    return Media(data=b"", facts=ImageFacts(kind, width, height), size_bytes=size_bytes)


def fitted(name: str, prompt: str = "a fox in snow", **spec: Any) -> Fit:
    return fit(VideoRequest(prompt, **spec), CATALOG.path(name))


def refused(name: str, prompt: str = "a fox in snow", **spec: Any) -> dict[str, str]:
    """What is allowed instead, by the field that is refused."""
    found = fitted(name, prompt, **spec).refusals
    assert all(refusal.source for refusal in found)
    assert len({refusal.field for refusal in found}) == len(found)
    return {refusal.field: refusal.allowed for refusal in found}


VEO = "4, 6 or 8 s at 720p; 8 s at 1080p and 4k"
THREE_TO_15 = "3 to 15 s in whole seconds"


@pytest.mark.parametrize(
    ("name", "spec", "allowed"),
    [
        ("veo-3.1@vertex", {"duration": 7}, {"duration": VEO}),
        ("veo-3.1@vertex", {"duration": 6, "resolution": "1080p"}, {"duration": VEO}),
        ("veo-3.1@vertex", {"duration": 4, "resolution": "4k"}, {"duration": VEO}),
        ("veo-3.1@vertex", {"duration": 6, "resolution": "1920x1080"}, {"duration": VEO}),
        ("veo-3.1-fast@vertex", {"duration": 7}, {"duration": "4, 6 or 8 s at 720p; 8 s at 1080p"}),
        ("veo-3.1-fast@vertex", {"resolution": "4k"}, {"resolution": "720p or 1080p"}),
        ("veo-3.1-lite@vertex", {"resolution": "4k"}, {"resolution": "720p or 1080p"}),
        ("veo-3.1@vertex", {"aspect_ratio": "1:1"}, {"aspect_ratio": "16:9 or 9:16"}),
        ("veo-3.1@vertex", {"fps": 60}, {"fps": "24 fps"}),
        ("veo-3.1@vertex", {"seed": 2**32}, {"seed": "a seed from 0 to 4294967295"}),
        ("kling-3.0@kling", {"duration": 2}, {"duration": THREE_TO_15}),
        ("kling-3.0@kling", {"duration": 16}, {"duration": THREE_TO_15}),
        ("kling-3.0@kling", {"duration": 7.5}, {"duration": THREE_TO_15}),
        ("kling-3.0@kling", {"seed": 7}, {"seed": "takes no seed"}),
        ("kling-3.0@kling", {"negative_prompt": "text"}, {"negative_prompt": "takes no negative prompt"}),
        ("kling-3.0@kling", {"fps": 60, "resolution": "720p"}, {"fps": "24 fps"}),
        ("kling-3.0-turbo@kling", {"resolution": "4k"}, {"resolution": "720p or 1080p"}),
        ("kling-3.0-turbo@kling", {"audio": False}, {"audio": "always with sound"}),
        ("kling-2.6@kling", {"duration": 8}, {"duration": "5 or 10 s"}),
        (
            "kling-2.6@kling",
            {"audio": True, "resolution": "720p"},
            {"audio": "never with sound at 720p; with or without sound at 1080p"},
        ),
        ("kling-2.5-turbo@kling", {"audio": True}, {"audio": "never with sound"}),
        ("sora-2@openai", {"audio": False}, {"audio": "always with sound"}),
        ("sora-2@openai", {"duration": 16}, {"duration": "4, 8 or 12 s"}),
        ("sora-2@openai", {"duration": 20}, {"duration": "4, 8 or 12 s"}),
        ("sora-2@openai", {"resolution": "1080p"}, {"resolution": "720p"}),
        ("sora-2@openai", {"resolution": "1792x1024"}, {"resolution": "1280x720 or 720x1280"}),
        ("sora-2@openai", {"seed": 7}, {"seed": "takes no seed"}),
        ("sora-2-pro@openai", {"resolution": "4k"}, {"resolution": "720p, 1792x1024, 1024x1792 or 1080p"}),
        ("sora-2-pro@openai", {"aspect_ratio": "1:1"}, {"aspect_ratio": "16:9 or 9:16"}),
    ],
)
def test_what_a_model_cannot_make_is_refused_with_what_it_can(
    name: str, spec: dict[str, Any], allowed: dict[str, str]
) -> None:
    assert refused(name, **spec) == allowed


def test_a_refusal_says_what_was_asked_together_and_where_the_limit_was_read() -> None:
    (refusal,) = fitted("veo-3.1@vertex", duration=7, resolution="720p").refusals
    assert refusal.asked == 'duration=7, resolution="720p"'
    assert refusal.source == "Vertex AI model card, read 2026-09-02"


def test_the_seconds_are_held_against_the_default_resolution_where_they_hang_on_it() -> None:
    (veo,) = fitted("veo-3.1@vertex", duration=7).refusals
    (kling,) = fitted("kling-3.0@kling", duration=16).refusals
    assert (veo.asked, kling.asked) == ('duration=7, resolution="720p"', "duration=16")


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ({"duration": 7}, "duration=6 or 8"),
        ({"duration": 1}, "duration=4"),
        ({"duration": 9}, "duration=8"),
        ({"duration": 6, "resolution": "1080p"}, "duration=8"),
        ({"duration": 7, "fps": 60}, ""),
    ],
)
def test_a_refused_duration_names_its_neighbours_under_the_other_wishes(spec: dict[str, Any], hint: str) -> None:
    assert fitted("veo-3.1@vertex", **spec).refusals[0].hint == hint


@pytest.mark.parametrize(
    ("name", "spec", "what", "reason"),
    [
        (
            "veo-3.1@vertex",
            {"duration": 7},
            "cannot make a 7 s clip",
            f"makes {VEO}, asked 7 s",
        ),
        ("sora-2@openai", {"duration": 18}, "cannot make an 18 s clip", "makes 4, 8 or 12 s, asked 18 s"),
        (
            "sora-2@openai",
            {"duration": 8.0000001},
            "cannot make an 8.0000001 s clip",
            "makes 4, 8 or 12 s, asked 8.0000001 s",
        ),
        ("sora-2@openai", {"resolution": "1080p"}, "cannot make 1080p", "makes 720p, asked 1080p"),
        (
            "sora-2@openai",
            {"audio": False},
            "cannot make a clip without sound",
            "is always with sound, asked without sound",
        ),
        ("veo-3.1@vertex", {"fps": 60}, "cannot make 60 fps", "makes 24 fps, asked 60 fps"),
        ("kling-3.0@kling", {"seed": 7}, "takes no seed", "takes no seed"),
        (
            "veo-3.1@vertex",
            {"duration": 6, "resolution": "1080p"},
            'cannot make a 6 s clip together with resolution="1080p"',
            f"makes {VEO}, asked 6 s with 1080p",
        ),
    ],
)
def test_a_refusal_reads_as_a_sentence_behind_the_model_and_as_a_reason_of_its_own(
    name: str, spec: dict[str, Any], what: str, reason: str
) -> None:
    (refusal,) = fitted(name, **spec).refusals
    assert (refusal.what, str(refusal)) == (what, reason)


@pytest.mark.parametrize("wish", ["4k", "16x16"])
def test_every_resolution_that_is_offered_can_be_asked_for(wish: str) -> None:
    offered = {
        text
        for path, _ in BUILT
        for refusal in fit(VideoRequest("a fox", resolution=wish), path).refusals
        for text in refusal.allowed.replace(" or ", ", ").split(", ")
    }
    assert len(offered) > 2
    for text in offered:
        assert VideoRequest("a fox", resolution=text).resolution == text


@pytest.mark.parametrize(
    ("name", "mode", "limit"),
    [
        ("sora-2@openai", Mode.TEXT, 32_000),
        ("kling-3.0@kling", Mode.TEXT, 3072),
        ("kling-3.0@kling", Mode.FIRST_FRAME, 3072),
        ("kling-3.0-turbo@kling", Mode.TEXT, 3072),
        ("kling-3.0-turbo@kling", Mode.FIRST_FRAME, 2500),
        ("kling-2.6@kling", Mode.TEXT, 2500),
    ],
)
def test_a_prompt_may_be_as_long_as_the_limit_and_no_longer(name: str, mode: Mode, limit: int) -> None:
    frame = picture(1280, 720) if mode is Mode.FIRST_FRAME else None
    assert refused(name, "x" * limit, first_frame=frame) == {}
    assert refused(name, "x" * (limit + 1), first_frame=frame) == {"prompt": f"at most {limit} characters"}


def test_a_prompt_of_more_words_than_tokens_is_refused_on_veo() -> None:
    assert refused("veo-3.1@vertex", "fox " * 1024) == {}
    assert set(refused("veo-3.1@vertex", "fox " * 1025)) == {"prompt"}


def test_all_refusals_come_at_once() -> None:
    found = fit(
        VideoRequest(
            "x" * 4000, duration=20, resolution="4k", aspect_ratio="1:1", seed=1, negative_prompt="text", audio=False
        ),
        CATALOG.path("sora-2@openai"),
        TODAY,
    ).refusals
    assert [refusal.field for refusal in found] == [
        "model",
        "negative_prompt",
        "seed",
        "duration",
        "audio",
        "aspect_ratio",
        "resolution",
    ]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("sora-2@openai", "retired 2026-09-24; no successor at OpenAI"),
        ("sora-2-pro@openai", "retired 2026-09-24; no successor at OpenAI"),
        ("veo-3.1@gemini", "retired 2026-10-22; the same model is served at vertex"),
    ],
)
def test_a_retired_path_is_refused_today_and_was_served_in_summer(name: str, why: str) -> None:
    request, path = VideoRequest("a fox"), CATALOG.path(name)
    assert why in [refusal.allowed for refusal in fit(request, path, TODAY).refusals]
    assert "model" not in [refusal.field for refusal in fit(request, path, SUMMER).refusals]


def test_the_last_day_served_is_the_day_before_the_retirement() -> None:
    request, path = VideoRequest("a fox"), CATALOG.path("sora-2@openai")
    assert not fit(request, path, dt.date(2026, 9, 23)).refusals
    assert fit(request, path, dt.date(2026, 9, 24)).refusals


@pytest.mark.parametrize("name", ["kling-3.0@kling", "kling-3.0-turbo@kling", "veo-3.1@vertex", "veo-3.1-lite@vertex"])
def test_kling_and_vertex_serve_on_both_days(name: str) -> None:
    request, path = VideoRequest("a fox"), CATALOG.path(name)
    assert not fit(request, path, TODAY).refusals
    assert not fit(request, path, SUMMER).refusals


def test_a_model_is_refused_before_its_release() -> None:
    (refusal,) = fit(VideoRequest("a fox"), CATALOG.path("kling-3.0-turbo@kling"), dt.date(2026, 6, 16)).refusals
    assert refusal.allowed == "not released before 2026-06-17"


def test_a_mode_that_the_vendor_lacks_names_those_that_can_be_asked_for() -> None:
    (refusal,) = fitted("veo-3.1@vertex", shots=[Shot("a", 4), Shot("b", 4)]).refusals
    assert refusal.field == "shots"
    assert str(refusal) == (
        "takes text to video, a first frame, a first and a last frame, reference images or extending a video only, "
        "asked several shots"
    )


@pytest.mark.parametrize(
    ("spec", "field", "allowed"),
    [
        ({"reference_images": 8}, "reference_images", "at most 7"),
        ({"reference_images": 8, "first_frame": 1}, "reference_images", "at most 7"),
        ({"shots": [("a", 2)] * 7}, "shots", "at most 6"),
        ({"shots": [("a" * 506, 4)]}, "shots", "at most 512, the prompt included, which is repeated in each shot"),
        ({"shots": [("a; b", 4)]}, "shots", "words without it: it ends a shot"),
        ({"shots": [("a", 2.5), ("b", 1)], "duration": 3.5}, "duration", "3 to 15 s in whole seconds"),
        ({"shots": [("a", 2), ("b", 1.5), ("c", 0.5)]}, "shots", "whole seconds"),
        ({"shots": [("a", 10), ("b", 6)]}, "duration", "3 to 15 s in whole seconds"),
        ({"shots": [("a", 2)] * 7, "reference_images": 1}, "shots", "at most 6"),
        ({"first_frame": (1280, 720), "last_frame": (720, 1280)}, "last_frame", "the shape of the first frame"),
    ],
)
def test_pictures_and_shots_that_cannot_be_are_refused_by_name(
    spec: dict[str, object], field: str, allowed: str
) -> None:
    read: dict[str, Any] = {}
    for name, value in spec.items():
        if name == "shots":
            read[name] = [Shot(*shot) for shot in value]  # type: ignore[attr-defined]
        elif name == "duration":
            read[name] = value
        elif name == "reference_images":
            read[name] = [picture(640, 640)] * value  # type: ignore[operator]
        else:
            read[name] = picture(*value) if isinstance(value, tuple) else picture(640, 640)
    assert refused("kling-3.0-omni@kling", **read)[field] == allowed


def test_the_seconds_of_shots_are_the_seconds_of_the_clip() -> None:
    found = fitted("kling-3.0@kling", shots=[Shot("a", 4), Shot("b", 3)])
    assert found.segment is not None
    assert (found.segment.mode, found.segment.seconds) == (Mode.SHOTS, 7)


@pytest.mark.parametrize(
    ("name", "spec", "allowed"),
    [
        ("sora-2@openai", {}, "1280x720 or 720x1280"),
        ("sora-2@openai", {"aspect_ratio": "9:16"}, "720x1280"),
        (
            "sora-2-pro@openai",
            {},
            "1280x720, 720x1280, 1792x1024, 1024x1792, 1920x1080 or 1080x1920",
        ),
        ("sora-2-pro@openai", {"resolution": "1080p"}, "1920x1080 or 1080x1920"),
    ],
)
def test_openai_takes_a_first_frame_of_exactly_the_video_size_only(
    name: str, spec: dict[str, Any], allowed: str
) -> None:
    found = refused(name, first_frame=picture(1000, 562), **spec)
    assert found == {"first_frame": f"a picture of exactly {allowed} pixels"}


def test_an_exact_first_frame_chooses_the_size_of_the_video() -> None:
    made = fitted("sora-2-pro@openai", first_frame=picture(1024, 1792)).segment
    assert made is not None
    assert (made.resolution, made.aspect_ratio, made.width, made.height) == ("1024p", "4:7", 1024, 1792)


@pytest.mark.parametrize(
    ("frame", "allowed"),
    [
        (picture(299, 400), "each side at least 300 pixels"),
        (picture(1000, 399), "the longer side at most 2.5 times the shorter"),
        (picture(400, 1001), "the longer side at most 2.5 times the shorter"),
        (picture(720, 720, "webp"), "a jpeg or png picture"),
        (picture(720, 720, size_bytes=50_000_001), "at most 50,000,000 bytes"),
        (Media(url="gs://bucket/frame.png"), "an https address, a file or bytes"),
    ],
)
def test_kling_refuses_frames_outside_its_rules(frame: Media, allowed: str) -> None:
    assert refused("kling-3.0@kling", first_frame=frame) == {"first_frame": allowed}


@pytest.mark.parametrize("frame", [picture(300, 300), picture(1000, 400), picture(400, 1000, "jpeg", 50_000_000)])
def test_kling_takes_frames_at_the_edge_of_its_rules(frame: Media) -> None:
    assert refused("kling-3.0@kling", first_frame=frame) == {}


def test_the_first_frame_decides_the_shape_on_kling() -> None:
    frame = picture(1600, 1200)
    found = fitted("kling-3.0@kling", first_frame=frame)
    assert found.segment is not None
    assert (found.segment.aspect_ratio, found.segment.width) == ("4:3", None)
    assert found.notes == ("the video takes the shape of the 1600x1200 picture",)
    allowed = refused("kling-3.0@kling", first_frame=frame, aspect_ratio="16:9")
    assert allowed == {"aspect_ratio": "the first frame decides the shape: leave it out"}
    assert refused("kling-3.0@kling", first_frame=picture(1920, 1080), aspect_ratio="16:9") == {}


def test_veo_fits_any_frame_and_takes_storage_addresses() -> None:
    found = fitted("veo-3.1@vertex", first_frame=picture(1200, 1600))
    assert found.segment is not None
    assert found.segment.aspect_ratio == "9:16"
    assert found.notes == ("the 1200x1600 picture is fitted to 9:16 by the vendor",)
    assert refused("veo-3.1@vertex", first_frame=Media(url="gs://bucket/frame.PNG")) == {}
    assert refused("veo-3.1@vertex", first_frame=picture(64, 64, "webp")) == {"first_frame": "a jpeg or png picture"}


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://media.example/a.png", "a file, bytes or a gs:// address"),
        ("gs://bucket/frame", "a gs:// address that ends in .png, .jpg or .jpeg"),
    ],
)
def test_vertex_refuses_an_address_that_google_has_no_field_for_and_names_the_ways_out(url: str, allowed: str) -> None:
    assert refused("veo-3.1@vertex", first_frame=Media(url=url)) == {"first_frame": allowed}


HERE_IS_NO_SIZE = "the first frame is an address, so its size is not known here; it must be"
TAKES_ITS_SHAPE = "since the video takes its shape"
IS_LEFT_OUT = "aspect_ratio is left out and the first frame is an address: 16:9 is taken"


@pytest.mark.parametrize(
    ("name", "url", "spec", "notes"),
    [
        ("sora-2@openai", "https", {}, (f"{HERE_IS_NO_SIZE} exactly 1280x720 pixels", IS_LEFT_OUT)),
        ("sora-2@openai", "https", {"aspect_ratio": "9:16"}, (f"{HERE_IS_NO_SIZE} exactly 720x1280 pixels",)),
        ("sora-2-pro@openai", "https", {"resolution": "1024x1792"}, (f"{HERE_IS_NO_SIZE} exactly 1024x1792 pixels",)),
        ("veo-3.1@vertex", "gs", {}, (IS_LEFT_OUT,)),
        ("veo-3.1@vertex", "gs", {"aspect_ratio": "9:16"}, ()),
        ("kling-3.0@kling", "https", {"aspect_ratio": "9:16"}, (f"{HERE_IS_NO_SIZE} of 9:16, {TAKES_ITS_SHAPE}",)),
    ],
)  # fmt: skip
def test_the_plan_says_what_nobody_can_see_of_a_frame_that_is_an_address(
    name: str, url: str, spec: dict[str, Any], notes: tuple[str, ...]
) -> None:
    assert fitted(name, first_frame=Media(url=f"{url}://media.example/a.png"), **spec).notes == notes


@pytest.mark.parametrize("name", ["kling-3.0@kling", "kling-3.0-omni@kling"])
def test_sixty_frames_a_second_at_4k_on_kling_is_unconfirmed(name: str) -> None:
    found = fitted(name, resolution="4k", fps=60)
    assert found.refusals == ()
    assert [(refusal.field, refusal.allowed) for refusal in found.unconfirmed] == [
        ("fps", "24 fps is what is documented at 4k; 60 fps is only advertised")
    ]
    assert found.segment is not None
    assert found.segment.fps == 60
    assert fitted(name, resolution="4k", fps=24).unconfirmed == ()


@pytest.mark.parametrize(
    ("name", "seconds", "fps", "audio"),
    [
        ("sora-2@openai", 4, 30, True),
        ("kling-3.0@kling", 5, 24, False),
        ("kling-3.0-turbo@kling", 5, 24, True),
        ("veo-3.1@vertex", 8, 24, True),
    ],
)
def test_what_is_left_out_is_the_default_of_the_vendor_in_landscape(
    name: str, seconds: int, fps: int, audio: bool
) -> None:
    made = fitted(name).segment
    assert made is not None
    assert (made.seconds, made.resolution, made.aspect_ratio) == (seconds, "720p", "16:9")
    assert (made.width, made.height, made.fps, made.audio) == (1280, 720, fps, audio)


def test_sound_on_kling_2_6_chooses_the_resolution_that_has_it() -> None:
    made = fitted("kling-2.6@kling", audio=True).segment
    assert made is not None
    assert made.resolution == "1080p"


def test_veo_makes_up_to_four_takes_a_call_and_others_one() -> None:
    veo, kling = fitted("veo-3.1@vertex", count=6).segment, fitted("kling-3.0@kling", count=2).segment
    assert veo is not None
    assert kling is not None
    assert (veo.samples, kling.samples) == ((4, 2), (1, 1))


def test_words_are_joined_as_people_say_them() -> None:
    assert [any_of("a"), any_of("ab"), any_of("abca")] == ["a", "a or b", "a, b or c"]


def vendor_of(path: ModelPath) -> Any:
    return path.vendor if path.vendor in {"kling", "openai"} else "kling"


@st.composite
def references(draw: st.DrawFn, path: ModelPath, rule: ReferenceRule, image: Media) -> list[Any]:
    """As many pictures and elements as the rule allows together, or fewer."""
    of_video = draw(st.integers(0, rule.of_video))
    together = rule.beside_of_video if of_video else rule.together
    most = rule.pictures + rule.elements if together is None else together
    pictures = draw(st.integers(rule.fewest_pictures, max(rule.fewest_pictures, min(rule.pictures, most))))
    elements = draw(st.integers(0, max(0, min(rule.elements - of_video, most - pictures))))
    kept = [Element(f"e{n}", f"{'abcdefgh'[n]}_one", vendor=vendor_of(path)) for n in range(elements)]
    clips = [Element(f"v{n}", f"{'pqrs'[n]}_one", vendor=vendor_of(path), of_video=True) for n in range(of_video)]
    return [*[image] * pictures, *kept, *clips]


@st.composite
def wishes_of_a_row(draw: st.DrawFn) -> tuple[ModelPath, VideoRequest]:
    """A request made of nothing but the values of one row."""
    path, facts, row = draw(st.sampled_from(ROWS))
    ratio, size = draw(st.sampled_from(sorted(row.sizes.items())))
    named, shapeless = row.resolution in {"720p", "1080p", "4k"}, facts.clip is not None and facts.clip.open_shape
    sizes = [] if shapeless else [f"{size[0]}x{size[1]}"]
    resolution = draw(st.sampled_from([*sizes, *([row.resolution] if named else [])]))
    brought: dict[str, Any] = {}
    if facts.mode in {Mode.FIRST_FRAME, Mode.FIRST_LAST}:
        brought["first_frame"] = picture(*size)
    if facts.mode is Mode.FIRST_LAST:
        brought["last_frame"] = picture(*size)
    if facts.references is not None:
        brought["reference_images"] = draw(references(path, facts.references, picture(*size)))
    if facts.mode is Mode.REFERENCE and not brought["reference_images"]:
        one = (
            picture(*size) if facts.references and facts.references.pictures else Element("e1", "Mara", vendor="openai")
        )
        brought["reference_images"] = [one]
    if facts.mode is Mode.SHOTS:
        brought["shots"] = [Shot("a door", row.seconds[0])]
    if facts.clip is not None:
        handle = VendorHandle(VendorRef(path.path, "f", path.model, path.wire_model, "1"), url="https://cdn/1")
        brought |= {"source_video": Clip(Media(data=b"clip"), handle, 8.0, *size), "mode": facts.mode.value}
    lengths = [None] if facts.mode is Mode.SHOTS or (facts.clip and facts.clip.as_long) else [None, *row.seconds]
    shape = ratio if ratio in SHAPES and not shapeless and draw(st.booleans()) else None
    names = " ".join(item.name for item in brought.get("reference_images", ()) if isinstance(item, Element))
    request = VideoRequest(
        f"a fox {names}",
        duration=draw(st.sampled_from(lengths)),
        resolution=resolution,
        aspect_ratio=shape,
        fps=draw(st.sampled_from([None, row.fps, *row.claimed_fps])),
        audio=draw(st.sampled_from([None, *row.audio])),
        **brought,
    )
    return path, request


@given(wishes_of_a_row())
@settings(max_examples=300, deadline=None)
def test_a_request_made_of_the_values_of_a_row_is_never_refused(wish: tuple[ModelPath, VideoRequest]) -> None:
    path, request = wish
    found = fit(request, path, SUMMER)
    assert found.refusals == ()
    assert found.segment is not None
    assert request.size in (None, (found.segment.width, found.segment.height))


REQUESTS = st.builds(
    VideoRequest,
    st.just("a fox"),
    duration=st.none() | st.integers(1, 21) | st.just(7.5),
    resolution=st.sampled_from([None, "720p", "1080p", "4k", "1280x720", "1024x1792", "1440x1440"]),
    fps=st.sampled_from([None, 24, 25, 30, 60]),
    audio=st.sampled_from([None, True, False]),
    first_frame=st.sampled_from([None, picture(1280, 720), picture(1080, 1920), picture(600, 500), picture(90, 90)]),
    count=st.integers(1, 9),
)


@given(st.sampled_from(BUILT), REQUESTS, st.sampled_from([None, *SHAPES]))
@settings(max_examples=300, deadline=None)
def test_what_is_not_refused_lies_in_a_row_and_has_a_price(
    built: tuple[ModelPath, ModeFacts], request: VideoRequest, shape: str | None
) -> None:
    path = built[0]
    if request.size is None and shape is not None:
        request = VideoRequest.of(request, {"aspect_ratio": shape})
    found = fit(request, path)
    facts = path.mode(request.wanted_mode)
    assert facts is not None
    made = found.segment
    assert (made is None) == bool(found.refusals)
    if made is None:
        return
    rows: list[Format] = [
        row
        for row in facts.formats
        if made.resolution == row.resolution and made.seconds in row.seconds and made.audio in row.audio
    ]
    assert rows
    assert made.fps in (rows[0].fps, *rows[0].claimed_fps)
    assert made.width is None or (made.width, made.height) == rows[0].sizes[made.aspect_ratio]
    assert sum(made.samples) == request.count
    assert all(1 <= takes <= facts.samples_max for takes in made.samples)
    assert request.duration in (None, made.seconds)
    assert request.audio in (None, made.audio)
    assert price(path, made, SUMMER).certainty == "documented"


def test_an_extension_past_the_longest_result_is_refused_though_no_seconds_were_asked() -> None:
    handle = VendorHandle(VendorRef("openai", "f", "sora-2", "sora-2", "1"))
    long = Clip(Media(data=b"clip"), handle, 118.0, 1280, 720)
    assert refused("sora-2@openai", source_video=long, mode="extend") == {"duration": "at most 120 s in all"}
