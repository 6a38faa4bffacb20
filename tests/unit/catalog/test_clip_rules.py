"""What a clip must be to be extended, edited or moved by, and what it decides of the result."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from multivideo.catalog.book import Catalog
from multivideo.catalog.check import Fit, fit
from multivideo.files.sniff import ImageFacts
from multivideo.values.clips import Clip
from multivideo.values.media import Media
from multivideo.values.refs import VendorHandle, VendorRef
from multivideo.values.request import VideoRequest

CATALOG = Catalog.default()
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
