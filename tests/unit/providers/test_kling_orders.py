"""What an order of each mode is in Kling's current protocol, by == on the message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from multivideo.catalog import kling as catalog
from multivideo.errors import InvalidRequest, MultiVideoError, UnsupportedFeature
from multivideo.providers.kling import KlingBackend
from multivideo.values.clips import Clip
from multivideo.values.media import Media
from multivideo.values.refs import VendorHandle, VendorRef
from multivideo.values.words import Element, Mode, Shot
from multivideo.wire import Asset, Order, Resend, Step, WireRequest, WireResponse

BASE = "https://api-singapore.klingai.com"
KLING = KlingBackend("kling", BASE)
PICTURE = Media(url="https://media.example.org/a.png")
CLIP = Clip(Media(url="https://media.example.org/ride.mp4"))
MARA = Element("829836802793406551", "Mara")
SHOTS = (Shot("at dawn", 3), Shot("at noon", 5))
ELEMENT = {"type": "element", "element_id": "829836802793406551", "id": "Mara"}
SEEN = {"type": "refer_image", "url": PICTURE.url, "id": "image_1"}

Orders = Callable[..., Order]
Answers = Callable[..., WireResponse]


def made(order: Orders, model: str, mode: Mode, *, watermark: bool = False, **more: Any) -> Order:
    """An order of that mode."""
    plain = order(model, **more)
    return evolve(plain, segment=evolve(plain.segment, mode=mode, watermark=watermark))


def step(order: Order) -> Step[VendorRef]:
    """The step by which a driver starts it."""
    mode = order.segment.mode
    if mode is Mode.EXTEND:
        return KLING.extend(order)
    return (KLING.edit if mode in {Mode.EDIT, Mode.MOTION} else KLING.submit)(order)


def sent(order: Order) -> WireRequest:
    return step(order).last(()).request


def body(order: Order) -> dict[str, Any]:
    found = sent(order).json
    assert found is not None
    return dict(found)


def test_shots_and_elements_go_along_with_frames(order: Orders) -> None:
    asked = made(
        order,
        "kling-3.0",
        Mode.FIRST_LAST,
        first_frame=PICTURE,
        last_frame=PICTURE,
        elements=(MARA,),
        shots=SHOTS,
        prompt="@Mara waves",
    )
    assert sent(asked) == WireRequest(
        "POST",
        f"{BASE}/image-to-video/kling-3.0",
        json={
            "contents": [
                {"type": "prompt", "text": "shot 1, 3, @Mara waves at dawn; shot 2, 5, @Mara waves at noon;"},
                {"type": "first_frame", "url": PICTURE.url},
                {"type": "last_frame", "url": PICTURE.url},
                ELEMENT,
            ],
            "settings": {"resolution": "720p", "duration": 8, "audio": "native", "multi_shot": True},
            "options": {"external_task_id": "mv-attempt-1"},
        },
        resend=Resend.IF_UNSENT,
    )


def test_omni_takes_references_beside_a_first_frame_which_has_no_number(order: Orders) -> None:
    asked = made(order, "kling-3.0-omni", Mode.FIRST_FRAME, first_frame=PICTURE, references=(PICTURE,))
    assert body(asked)["contents"][1:] == [{"type": "first_frame", "url": PICTURE.url}, SEEN]


@pytest.mark.parametrize("references", [(), (PICTURE,)], ids=["elements", "elements-and-pictures"])
@pytest.mark.parametrize("model", ["kling-3.0-omni", "kling-o1"])
def test_references_are_mentioned_as_they_are_named(order: Orders, model: str, references: tuple[Media, ...]) -> None:
    words = "@Mara waves at @image_1, write to ask@Mara.example"
    asked = made(order, model, Mode.REFERENCE, references=references, elements=(MARA,), prompt=words)
    assert body(asked)["contents"] == [{"type": "prompt", "text": words}, *[SEEN] * len(references), ELEMENT]


@pytest.mark.parametrize("shots", [(), SHOTS], ids=["one", "several"])
def test_several_shots_are_switched_on_exactly_where_they_are_asked_for(order: Orders, shots: tuple[Shot, ...]) -> None:
    asked = made(order, "kling-3.0-omni", Mode.REFERENCE, references=(PICTURE,), shots=shots)
    assert body(asked)["settings"]["multi_shot"] is bool(shots)


def test_o1_has_no_several_shots_and_no_new_sound(order: Orders) -> None:
    asked = made(order, "kling-o1", Mode.TEXT, audio=False)
    assert sent(asked).url == f"{BASE}/omni-video/kling-o1"
    assert body(asked)["settings"] == {"resolution": "720p", "duration": 8, "aspect_ratio": "16:9"}


@pytest.mark.parametrize(("audio", "word"), [(True, "original"), (False, "off")])
@pytest.mark.parametrize("model", ["kling-3.0-omni", "kling-o1"])
def test_an_edit_keeps_the_sound_of_its_clip_or_drops_it_and_is_as_long_as_the_clip(
    order: Orders, model: str, audio: bool, word: str
) -> None:
    asked = made(order, model, Mode.EDIT, source=CLIP, references=(PICTURE,), elements=(MARA,), audio=audio)
    assert sent(asked).url == f"{BASE}/omni-video/{model}"
    assert body(asked) == {
        "contents": [
            {"type": "prompt", "text": "A kite over dunes"},
            SEEN,
            {"type": "base_video", "url": CLIP.media.url, "id": "video_1"},
            ELEMENT,
        ],
        "settings": {"resolution": "720p", "audio": word} | ({} if model == "kling-o1" else {"multi_shot": False}),
        "options": {"external_task_id": "mv-attempt-1"},
    }


def test_an_extension_asks_in_words_for_the_next_shot_of_its_clip(order: Orders) -> None:
    asked = made(order, "kling-3.0-omni", Mode.EXTEND, source=CLIP, audio=False)
    assert sent(asked).url == f"{BASE}/omni-video/kling-3.0-omni"
    assert body(asked) == {
        "contents": [
            {"type": "prompt", "text": "The next shot of @video_1: A kite over dunes"},
            {"type": "feature_video", "url": CLIP.media.url, "id": "video_1"},
        ],
        "settings": {
            "resolution": "720p",
            "duration": 8,
            "aspect_ratio": "16:9",
            "audio": "off",
            "multi_shot": False,
        },
        "options": {"external_task_id": "mv-attempt-1"},
    }


def test_the_words_of_ours_count_as_part_of_the_longest_prompt(order: Orders) -> None:
    [omni] = [path for path in catalog.PATHS if path.model == "kling-3.0-omni"]
    facts = omni.mode(Mode.EXTEND)
    assert facts is not None
    longest = "x" * (facts.prompt_characters or 0)
    asked = made(order, "kling-3.0-omni", Mode.EXTEND, source=CLIP, prompt=longest)
    assert len(body(asked)["contents"][0]["text"]) == 3072


@pytest.mark.parametrize(("audio", "word"), [(True, "original"), (False, "off")])
def test_a_picture_moves_as_a_clip_does(order: Orders, audio: bool, word: str) -> None:
    asked = made(order, "kling-3.0", Mode.MOTION, source=CLIP, references=(PICTURE,), elements=(MARA,), audio=audio)
    assert sent(asked).url == f"{BASE}/motion-control/kling-3.0"
    assert body(asked) == {
        "contents": [
            {"type": "prompt", "text": "A kite over dunes"},
            {"type": "image", "url": PICTURE.url},
            {"type": "video", "url": CLIP.media.url},
            ELEMENT,
        ],
        "settings": {"resolution": "720p", "audio": word, "character_orientation": "video"},
        "options": {"external_task_id": "mv-attempt-1"},
    }


def test_the_posture_of_who_moves_is_the_users_choice_and_the_length_is_not(order: Orders) -> None:
    def asked(**settings: Any) -> Order:
        options = {"settings": settings}
        return made(order, "kling-2.6", Mode.MOTION, source=CLIP, references=(PICTURE,), options=options)

    assert body(asked(character_orientation="image"))["settings"]["character_orientation"] == "image"
    with pytest.raises(InvalidRequest, match=r"settings\.duration"):
        sent(asked(duration=30))


def handle(family: str, url: str | None) -> VendorHandle:
    return VendorHandle(VendorRef(family, family, "m", "m", "1"), 0, url, expires_at=1.0)


@pytest.mark.parametrize("family", ["kling", "kling-legacy"])
def test_a_video_that_kling_made_goes_by_the_address_where_kling_keeps_it(order: Orders, family: str) -> None:
    own = Clip(Media(data=b"clip"), handle(family, "https://cdn.example.org/1.mp4?sig=a"), 5.0, 1280, 720)
    asked = made(order, "kling-3.0-omni", Mode.EDIT, source=own)
    assert body(asked)["contents"][1]["url"] == "https://cdn.example.org/1.mp4?sig=a"


@pytest.mark.parametrize(
    ("clip", "asked"),
    [
        (Clip(Media(data=b"clip")), "a file or bytes"),
        (Clip(Media(url="gs://bucket/ride.mp4")), "a gs:// address"),
        (Clip(Media(data=b"clip"), handle("openai-videos", "https://api.openai.com/v1/1")), "a video of openai-videos"),
        (Clip(Media(data=b"clip"), handle("kling", None)), "a video of kling"),
    ],
    ids=["file", "storage", "openai", "kling-without-address"],
)
@pytest.mark.parametrize("mode", [Mode.EDIT, Mode.EXTEND, Mode.MOTION])
def test_a_clip_that_kling_cannot_fetch_is_refused_naming_the_ways_out(
    order: Orders, mode: Mode, clip: Clip, asked: str
) -> None:
    model = "kling-3.0" if mode is Mode.MOTION else "kling-3.0-omni"
    with pytest.raises(UnsupportedFeature) as refused:
        sent(made(order, model, mode, source=clip, references=(PICTURE,)))
    assert (refused.value.field, refused.value.asked) == ("source_video", f"source_video={asked}")
    assert "an https address where the clip lies, or a Video that kling made" in refused.value.allowed


def test_a_mark_is_asked_for_only_where_it_is_wanted(order: Orders) -> None:
    for mark in (True, False):
        found = body(made(order, "kling-3.0", Mode.TEXT, watermark=mark))["options"]
        assert found.get("watermark_info") == ({"enabled": True} if mark else None)


@pytest.mark.parametrize("said", ["https://cdn.example.org/w.mp4", "", None, 7])
def test_the_marked_copy_of_a_take_stands_beside_it(answer: Answers, said: Any) -> None:
    sample = answer("kling/succeeded_with_watermark").json()
    sample["data"][0] |= {"billing": []}
    sample["data"][0]["outputs"][0]["watermark_url"] = said
    ref = VendorRef("kling", "kling", "kling-3.0", "kling-3.0", "900000000000000001")
    [take] = KLING.poll(ref).read(answer(body=sample)).assets
    url = "https://cdn.example.org/900000000000000777.mp4?sig=aGk"
    marked = "https://cdn.example.org/w.mp4" if said == "https://cdn.example.org/w.mp4" else None
    assert take == Asset(url, marked_url=marked, expires_at=1795000131.0 + 30 * 86400)


@pytest.mark.parametrize(
    ("model", "mode", "brought"),
    [
        ("kling-3.0", Mode.REFERENCE, {"references": (PICTURE,)}),
        ("kling-3.0", Mode.EDIT, {"source": CLIP}),
        ("kling-3.0", Mode.EXTEND, {"source": CLIP}),
        ("kling-3.0", Mode.FIRST_FRAME, {"first_frame": PICTURE, "references": (PICTURE,)}),
        ("kling-3.0", Mode.TEXT, {"elements": (MARA,)}),
        ("kling-3.0", Mode.MOTION, {"source": CLIP, "elements": (MARA,)}),
        ("kling-3.0", Mode.MOTION, {"source": CLIP, "references": (PICTURE,), "shots": SHOTS}),
        ("kling-3.0-omni", Mode.EDIT, {"source": CLIP, "shots": SHOTS}),
        ("kling-3.0-omni", Mode.EXTEND, {"source": CLIP, "shots": SHOTS}),
        ("kling-3.0-omni", Mode.EDIT, {"source": CLIP, "first_frame": PICTURE}),
        ("kling-3.0-omni", Mode.REFERENCE, {"references": (PICTURE,), "source": CLIP}),
        ("kling-3.0-omni", Mode.EDIT, {}),
        ("kling-3.0-omni", Mode.REMIX, {"source": CLIP}),
        ("kling-3.0-omni", Mode.REFERENCE, {"references": (Media(url="gs://bucket/a.png"),)}),
    ],
)
def test_what_a_kind_of_call_has_no_place_for_is_refused_and_not_left_out(
    order: Orders, model: str, mode: Mode, brought: dict[str, Any]
) -> None:
    with pytest.raises(UnsupportedFeature) as refused:
        sent(made(order, model, mode, **brought))
    assert refused.value.charged == "no"


@pytest.mark.parametrize("mode", [Mode.EDIT, Mode.EXTEND])
def test_the_answer_to_an_edit_or_an_extension_is_read_as_that_to_any_order(
    order: Orders, answer: Answers, mode: Mode
) -> None:
    read = step(made(order, "kling-3.0-omni", mode, source=CLIP)).last(()).read
    assert read(answer("kling/created")).remote_id == "900000000000000001"
    with pytest.raises(MultiVideoError) as refused:
        read(answer("kling/error_1201"))
    assert refused.value.attempt_id == "mv-attempt-1"
