"""How many pictures and elements a mode takes together, and whose elements."""

from __future__ import annotations

from typing import Any

import pytest

from multivideo.catalog.book import Catalog
from multivideo.catalog.check import fit
from multivideo.files.sniff import ImageFacts
from multivideo.values.media import Media
from multivideo.values.request import VideoRequest
from multivideo.values.words import Element, Mode

CATALOG = Catalog.default()
PICTURE = Media(data=b"", facts=ImageFacts("png", 1280, 720), size_bytes=1000)
HTTPS = "https://media.example.org/clip.mp4"


def some(pictures: int = 0, elements: int = 0, of_video: int = 0, vendor: Any = "kling") -> list[Any]:
    kept = [Element(f"e{n}", f"e_{n}_one", vendor=vendor) for n in range(elements)]
    clips = [Element(f"v{n}", f"v_{n}_one", vendor=vendor, of_video=True) for n in range(of_video)]
    return [PICTURE] * pictures + kept + clips


def refused(name: str, prompt: str = "a fox", **spec: Any) -> dict[str, str]:
    return {why.field: why.allowed for why in fit(VideoRequest(prompt, **spec), CATALOG.path(name)).refusals}


@pytest.mark.parametrize(
    ("pictures", "elements", "of_video", "allowed"),
    [
        (7, 0, 0, None),
        (4, 3, 0, None),
        (0, 7, 0, None),
        (0, 0, 3, None),
        (2, 2, 2, None),
        (4, 0, 3, None),
        (8, 0, 0, "at most 7"),
        (4, 4, 0, "at most 7 together"),
        (0, 0, 4, "at most 3 of them"),
        (3, 2, 1, "at most 4 together"),
    ],
)
def test_omni_counts_pictures_and_elements_together(
    pictures: int, elements: int, of_video: int, allowed: str | None
) -> None:
    found = refused("kling-3.0-omni@kling", reference_images=some(pictures, elements, of_video))
    assert found.get("reference_images") == allowed


@pytest.mark.parametrize(
    ("pictures", "elements", "of_video", "allowed"),
    [
        (4, 0, 0, None),
        (2, 2, 0, None),
        (0, 0, 1, None),
        (5, 0, 0, "at most 4"),
        (3, 2, 0, "at most 4 together"),
        (1, 0, 1, "nothing else beside an element made from a clip"),
        (0, 0, 2, "at most 1 of them"),
    ],
)
def test_beside_a_clip_omni_takes_fewer(pictures: int, elements: int, of_video: int, allowed: str | None) -> None:
    things = some(pictures, elements, of_video)
    found = refused("kling-3.0-omni@kling", source_video=HTTPS, mode="edit", duration=5, reference_images=things)
    assert found.get("reference_images") == allowed


@pytest.mark.parametrize(
    ("name", "things", "allowed"),
    [
        ("kling-3.0@kling", some(elements=3), None),
        ("kling-3.0@kling", some(elements=4), "at most 3"),
        ("kling-3.0@kling", some(pictures=1), "elements only"),
        ("kling-3.0-turbo@kling", some(elements=1), "one of the two"),
        ("veo-3.1@vertex", some(pictures=1), "one of the two"),
    ],
)
def test_beside_a_first_frame(name: str, things: list[Any], allowed: str | None) -> None:
    assert refused(name, first_frame=PICTURE, reference_images=things).get("reference_images") == allowed


def test_motion_takes_one_picture_and_at_most_one_element() -> None:
    wish: dict[str, Any] = {"source_video": HTTPS, "mode": "motion", "duration": 5}
    name = "kling-3.0@kling"
    assert refused(name, **wish, reference_images=some(1)) == {}
    assert refused(name, **wish, reference_images=some(1, 1)) == {}
    assert refused(name, **wish, reference_images=some(2)) == {"reference_images": "at most 1"}
    assert refused(name, **wish, reference_images=some(1, 2)) == {"reference_images": "at most 1"}
    assert refused(name, **wish, reference_images=some(0, 1)) == {"reference_images": "1 at least"}
    assert refused("kling-2.6@kling", **wish, reference_images=some(1, 1)) == {"reference_images": "pictures only"}


def test_o1_takes_no_element_that_was_made_from_a_clip() -> None:
    found = refused("kling-o1@kling", reference_images=some(1, 0, 1))
    assert found == {"reference_images": "elements made from pictures only"}


def test_an_element_is_of_use_where_it_is_kept_and_nowhere_else() -> None:
    mine = [Element("char_1", "Mara", vendor="openai")]
    assert refused("kling-3.0-omni@kling", reference_images=mine) == {
        "reference_images": "pictures, or elements of kling"
    }
    assert refused("sora-2@openai", "Mara waves", reference_images=mine) == {}


def test_openai_wants_the_name_of_a_character_spoken_as_a_whole_word() -> None:
    mine = [Element("char_1", "Mara", vendor="openai")]
    for prompt in ("a fox", "Marathon day", "mara waves"):
        assert refused("sora-2@openai", prompt, reference_images=mine) == {
            "prompt": "each name as it is, somewhere in the prompt"
        }
    assert refused("sora-2@openai", "Look, @Mara!", reference_images=mine) == {}


def test_a_mode_is_told_from_the_frame_where_elements_come_along() -> None:
    request = VideoRequest("@e_0_one waves", first_frame=PICTURE, reference_images=some(0, 1))
    segment = fit(request, CATALOG.path("kling-3.0@kling")).segment
    assert segment is not None
    assert segment.mode is Mode.FIRST_FRAME


def test_a_visible_mark_is_refused_where_there_is_none() -> None:
    assert refused("veo-3.1@vertex", watermark=True) == {"watermark": "makes no copy with a visible mark"}
    assert refused("veo-3.1@vertex", watermark=False) == {}
    segment = fit(VideoRequest("a fox", watermark=True), CATALOG.path("kling-3.0@kling")).segment
    assert segment is not None
    assert segment.watermark


def test_a_name_is_spoken_where_a_script_without_blanks_writes_on() -> None:
    mine = [Element("char_1", "Mossy", vendor="openai")]
    for prompt in ("Mossyが踊る", "看Mossy走"):
        assert refused("sora-2@openai", prompt, reference_images=mine) == {}
    assert set(refused("sora-2@openai", "Mossys", reference_images=mine)) == {"prompt"}


def test_a_character_may_be_said_to_be_made_from_a_clip_as_all_are() -> None:
    pair = some(of_video=2, vendor="openai")
    assert refused("sora-2@openai", "v_0_one meets v_1_one", reference_images=pair) == {}
    assert refused("sora-2@openai", "v_0_one", reference_images=[PICTURE]) == {"reference_images": "elements only"}


def test_nobody_is_offered_elements_of_a_vendor_that_keeps_none() -> None:
    found = fit(VideoRequest("a fox", reference_images=some(elements=1)), CATALOG.path("veo-3.1@vertex")).refusals
    assert [(why.asked, why.allowed) for why in found] == [("1 element", "pictures only")]
    foreign = some(elements=1)
    assert refused("sora-2@openai", "e_0_one", reference_images=foreign) == {"reference_images": "elements of openai"}
