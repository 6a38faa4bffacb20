"""What a clip must be to be extended, edited or moved by, and what it decides of the result."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from multivideo.catalog.book import Catalog, price
from multivideo.catalog.check import Fit, fit
from multivideo.files.sniff import ImageFacts
from multivideo.values.clips import Clip
from multivideo.values.media import Media
from multivideo.values.refs import VendorHandle, VendorRef
from multivideo.values.request import VideoRequest
from orders import plain

CATALOG = Catalog.default()
SUMMER = dt.date(2026, 8, 1)
PICTURE = Media(data=b"", facts=ImageFacts("png", 1280, 720), size_bytes=1000)
HTTPS = Media(url="https://media.example.org/clip.mp4")
OMNI, MOVED, GEMINI = "kling-3.0-omni@kling", "kling-3.0@kling", "veo-3.1@gemini"


def clip(
    seconds: float = 5, size: tuple[int, int] = (1280, 720), provider: str = "kling", url: str | None = "https://cdn/1"
) -> Clip:
    handle = VendorHandle(VendorRef(provider, "f", "m", "m", "1"), url=url)
    return Clip(Media(data=b"clip", size_bytes=1000), handle, seconds, *size)


def fitted(name: str, mode: str, source: Any, **spec: Any) -> Fit:
    spec |= {"reference_images": [PICTURE]} if mode == "motion" else {}
    return fit(VideoRequest("on it goes", source_video=source, mode=mode, **spec), CATALOG.path(name))


def refused(name: str, mode: str, source: Any, **spec: Any) -> dict[str, str]:
    return {why.field: why.allowed for why in fitted(name, mode, source, **spec).refusals}


@pytest.mark.parametrize("seconds", [3, 9.5, 15.5])
def test_omni_edits_clips_of_its_length(seconds: float) -> None:
    assert refused(OMNI, "edit", clip(seconds)) == {}


@pytest.mark.parametrize(
    ("source", "allowed"),
    [
        (clip(2.5), "a clip of 3 to 15.5 s"),
        (clip(16), "a clip of 3 to 15.5 s"),
        (clip(size=(690, 480)), "sides of 700 to 4553 pixels"),
        (clip(size=(4000, 2100)), "at most 8,294,400 pixels"),
        (clip(size=(2100, 1000)), "a width of 0.4 to 2 times the height"),
        (clip(size=(700, 1800)), "a width of 0.4 to 2 times the height"),
        (clip(url=None), "a Video that kling made or an https address"),
        (clip(provider="vertex"), "a Video that kling made or an https address"),
        (Clip(Media(data=b"clip"), None, 5, 1280, 720), "a Video that kling made or an https address"),
        (Clip(Media(url="gs://b/clip.mp4")), "a Video that kling made or an https address"),
    ],
)
def test_a_clip_that_kling_cannot_take_is_refused_with_the_ways_out(source: Clip, allowed: str) -> None:
    assert refused(OMNI, "edit", source, duration=5)["source_video"] == allowed


def test_an_edit_is_as_long_as_its_clip_and_priced_by_it() -> None:
    made = fitted(OMNI, "edit", clip(7.04)).segment
    assert made is not None
    assert (made.seconds, made.file_seconds, made.width) == (7, 7.04, None)
    assert refused(OMNI, "edit", HTTPS) == {"duration": "the length of the clip"}
    assert refused(OMNI, "edit", HTTPS, duration=20) == {"duration": "3 to 15.5 s"}
    assert refused(OMNI, "edit", HTTPS, duration=5) == {}
    assert refused(OMNI, "edit", clip(7), duration=5) == {"duration": "as long as the clip: leave it out"}


def test_the_next_shot_after_a_clip_has_its_shape_and_its_own_length() -> None:
    tall = fitted(OMNI, "extend", clip(5, (720, 1280))).segment
    asked = fitted(OMNI, "extend", clip(5, (720, 1280)), duration=8, aspect_ratio="1:1").segment
    assert tall is not None
    assert asked is not None
    assert (tall.aspect_ratio, tall.width, tall.height, tall.file_seconds) == ("9:16", 720, 1280, 5)
    assert (asked.aspect_ratio, asked.file_seconds, asked.audio) == ("1:1", 8, False)
    assert refused(OMNI, "extend", clip(), audio=True) == {"audio": "never with sound"}


def test_motion_follows_a_clip_of_up_to_30_s_and_may_end_before_it() -> None:
    made = fitted(MOVED, "motion", clip(29.6)).segment
    assert made is not None
    assert (made.seconds, made.file_seconds, made.audio) == (30, None, True)
    assert refused(MOVED, "motion", clip(31)) == {"source_video": "a clip of 3 to 30 s"}
    assert refused(MOVED, "motion", clip(), resolution="4k") == {"resolution": "720p or 1080p"}


def test_the_gemini_api_extends_its_own_720p_videos_alone() -> None:
    own = clip(8, provider="gemini")
    made = fitted(GEMINI, "extend", own).segment
    assert made is not None
    assert (made.seconds, made.file_seconds, made.resolution) == (7, 15, "720p")
    assert refused(GEMINI, "extend", HTTPS) == {"source_video": "a Video that gemini made"}
    assert refused(GEMINI, "extend", clip(8, (1920, 1080), "gemini")) == {
        "source_video": "a clip of 1280x720 or 720x1280 pixels"
    }
    # the longest result, 148 s, is that of the longest clip and one step more
    assert refused(GEMINI, "extend", clip(141, provider="gemini")) == {}
    assert set(refused(GEMINI, "extend", clip(142, provider="gemini"))) == {"source_video", "duration"}


def test_an_edit_and_a_motion_keep_the_sound_of_their_clip_and_make_none() -> None:
    silent, loud = evolve(clip(), has_audio=False), evolve(clip(), has_audio=True)
    for name, mode in ((OMNI, "edit"), (MOVED, "motion")):
        sounds = [fitted(name, mode, source, duration=5).segment for source in (silent, loud, HTTPS)]
        assert [(made.audio, made.file_audio) for made in sounds if made] == [
            (False, False),
            (True, True),
            (True, None),
        ]
        assert refused(name, mode, silent, audio=True) == {"audio": "audio left out: only its own is kept"}
        off = fitted(name, mode, loud, audio=False).segment
        assert off is not None
        assert (off.audio, off.file_audio) == (False, False)


def sora(model: str, size: tuple[int, int] = (1280, 720)) -> Clip:
    """A video that a model of OpenAI's made there."""
    return Clip(Media(data=b"clip"), VendorHandle(VendorRef("openai", "f", model, model, "video_1")), 4, *size)


@pytest.mark.parametrize("mode", ["edit", "remix", "extend"])
def test_openai_goes_on_from_a_video_by_its_id_with_the_model_that_made_it(mode: str) -> None:
    assert refused("sora-2@openai", mode, sora("sora-2-pro")) == {
        "model": "a video that sora-2-pro made is changed by sora-2-pro"
    }
    assert set(refused("sora-2-pro@openai", mode, sora("sora-2"))) == {"model"}
    for model in ("sora-2", "sora-2-pro"):
        assert refused(f"{model}@openai", mode, sora(model)) == {}
    [why] = fitted("sora-2@openai", mode, sora("sora-2-pro")).refusals
    assert ("source_video=video.path" in why.hint) is (mode != "remix")  # a file goes to any model


def test_a_file_of_another_account_is_nobodys_and_may_go_to_any_model() -> None:
    other = sora("sora-2-pro")
    assert other.handle is not None
    away = evolve(other, handle=evolve(other.handle, ref=evolve(other.handle.ref, provider="spare")))
    assert refused("sora-2@openai", "edit", away) == {}
    assert refused("veo-3.1-fast@gemini", "extend", clip(8, provider="gemini")) == {}


@pytest.mark.parametrize(
    ("name", "mode", "seconds", "most"),
    [(OMNI, "edit", 3, 16), (MOVED, "motion", 3, 30), ("kling-o1@kling", "edit", 4, 10), (OMNI, "edit", 15.5, None)],
)
def test_of_a_clip_at_an_address_the_longest_that_it_can_be_is_held(
    name: str, mode: str, seconds: float, most: int | None
) -> None:
    made = fitted(name, mode, HTTPS, duration=seconds)
    assert made.segment is not None
    assert made.segment.most_seconds == most
    quote = price(CATALOG.path(name), made.segment, SUMMER)
    second = quote.amount.usd / made.segment.seconds
    assert quote.upper_bound.usd == second * (most or made.segment.seconds)
    assert quote.certainty == ("documented" if most is None else "assumed")
    assert [note for note in made.notes if "real length" in note] == (
        [] if most is None else [f"the price follows the clip's real length, which is not known here: up to {most} s"]
    )


@pytest.mark.parametrize(
    ("seconds", "billed", "most"), [(4.5, 5, None), (6.5, 7, None), (4.45, 4, 5), (5.04, 5, None), (5, 5, None)]
)
def test_half_a_second_is_billed_as_a_whole_and_what_may_be_is_held(
    seconds: float, billed: int, most: int | None
) -> None:
    made = fitted(OMNI, "edit", clip(seconds))
    assert made.segment is not None
    assert (made.segment.seconds, made.segment.most_seconds) == (billed, most)
    assert made.notes == (() if most is None else ("the 4.45 s of the clip may be billed as 5: that is held",))


def test_of_several_takes_the_most_of_each_is_held() -> None:
    made = fitted(OMNI, "edit", HTTPS, duration=5, count=2).segment
    assert made is not None
    quote = price(CATALOG.path(OMNI), made, SUMMER)
    assert (quote.amount.usd, quote.upper_bound.usd) == (Decimal("1.26"), Decimal("4.032"))


@pytest.mark.parametrize(
    ("name", "mode", "fps", "allowed"),
    [
        ("veo-3.1@vertex", "extend", 30, "a clip of 24 fps"),
        ("veo-3.1@vertex", "extend", 23.976, None),
        (OMNI, "edit", 23.976, None),
        (OMNI, "edit", 60, None),
        (OMNI, "edit", 15, "a clip of 24 to 60 fps"),
        (OMNI, "extend", 120, "a clip of 24 to 60 fps"),
        (MOVED, "motion", 15, None),
    ],
)
def test_a_clip_has_a_frame_rate_that_is_taken(name: str, mode: str, fps: float, allowed: str | None) -> None:
    source = evolve(clip(provider=name.partition("@")[2]), fps=fps)
    assert refused(name, mode, source).get("source_video") == allowed


def test_the_frame_rate_is_seen_in_a_file() -> None:
    assert [Clip.of(plain(64, 64, 15, fps, False)).fps for fps in (24, 30)] == [24, 30]


@pytest.mark.parametrize("wish", [{"aspect_ratio": "16:9"}, {"aspect_ratio": "9:16"}, {"resolution": "1280x720"}])
def test_no_shape_can_be_asked_of_a_motion_since_none_is_documented(wish: dict[str, Any]) -> None:
    for name in (MOVED, "kling-2.6@kling"):
        assert refused(name, "motion", clip(), **wish) == {
            next(iter(wish)): "the vendor decides the shape: leave it out"
        }
        assert refused(name, "motion", clip(), resolution="1080p") == {}
    made = fitted(MOVED, "motion", clip()).segment
    assert made is not None
    assert (made.aspect_ratio, made.width) == ("vendor", None)


def test_a_result_of_its_clips_size_has_no_other_shape() -> None:
    for name, mode, provider in (("veo-3.1@vertex", "extend", "vertex"), ("sora-2@openai", "edit", "openai")):
        source = evolve(clip(provider=provider), handle=None)
        assert refused(name, mode, source, aspect_ratio="9:16") == {
            "aspect_ratio": "the clip decides the shape: leave it out"
        }
        assert refused(name, mode, source, aspect_ratio="16:9") == {}
    assert refused("veo-3.1@vertex", "extend", "gs://b/clip.mp4", aspect_ratio="9:16") == {}


def test_a_video_whose_address_is_lost_is_told_from_one_of_another_vendor() -> None:
    asked = [fitted(OMNI, "edit", clip(url=None, provider=name)).refusals[0].asked for name in ("kling", "vertex")]
    assert asked == ["a video of kling whose address is not known any more", "a video of vertex"]


@pytest.mark.parametrize(
    ("name", "source", "most"),
    [
        ("veo-3.1-lite@vertex", evolve(clip(4.04), handle=None), 11),
        ("veo-3.1-lite@vertex", "gs://b/clip.mp4", 37),
        (GEMINI, clip(8, provider="gemini"), 15),
    ],
)
def test_the_whole_file_of_an_extension_by_veo_is_held_and_seven_seconds_are_the_price(
    name: str, source: Any, most: int
) -> None:
    made = fitted(name, "extend", source)
    assert made.segment is not None
    quote = price(CATALOG.path(name), made.segment, SUMMER)
    assert quote.upper_bound.usd * 7 == quote.amount.usd * most
    assert (made.segment.seconds, quote.certainty) == (7, "assumed")
    billed = f"whether the 7 s that are added are billed or the whole file is not settled: up to {most} s are held"
    assert made.notes == (billed,)
