"""What an order of each mode is in Kling's legacy protocol, by == on the message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from multivideo.catalog import kling as catalog
from multivideo.errors import InvalidRequest, UnsupportedFeature
from multivideo.providers.kling_legacy import KlingLegacyBackend
from multivideo.values.clips import Clip
from multivideo.values.media import Media
from multivideo.values.refs import VendorHandle, VendorRef
from multivideo.values.words import Element, Mode, Shot
from multivideo.wire import Asset, LookUp, Order, Resend, Step, WireRequest, WireResponse

BASE = "https://api-singapore.klingai.com"
KLING = KlingLegacyBackend("kling", BASE)
PICTURE = Media(url="https://media.example.org/a.png")
OTHER = Media(url="https://media.example.org/b.png")
CLIP = Clip(Media(url="https://media.example.org/ride.mp4"))
MARA, JUNO = Element("829836802793406551", "Mara"), Element("900719925474099277", "Juno")
SHOTS = (Shot("at dawn", 3), Shot("at noon", 5))

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


def test_a_last_frame_elements_and_shots_go_along_with_a_first_frame(order: Orders) -> None:
    asked = made(
        order,
        "kling-v3",
        Mode.FIRST_LAST,
        first_frame=PICTURE,
        last_frame=OTHER,
        elements=(MARA, JUNO),
        shots=SHOTS,
        prompt="@Juno waves",
        negative_prompt="rain",
    )
    assert sent(asked) == WireRequest(
        "POST",
        f"{BASE}/v1/videos/image2video",
        json={
            "model_name": "kling-v3",
            "image": PICTURE.url,
            "image_tail": OTHER.url,
            "element_list": [{"element_id": 829836802793406551}, {"element_id": 900719925474099277}],
            "multi_shot": True,
            "shot_type": "customize",
            "multi_prompt": [
                {"index": 1, "prompt": "<<<element_2>>> waves at dawn", "duration": "3"},
                {"index": 2, "prompt": "<<<element_2>>> waves at noon", "duration": "5"},
            ],
            "negative_prompt": "rain",
            "mode": "std",
            "sound": "on",
            "duration": "8",
            "external_task_id": "mv-attempt-1",
        },
        resend=Resend.IF_UNSENT,
    )


@pytest.mark.parametrize("model", ["kling-v3-omni", "kling-video-o1"])
def test_references_stand_before_the_frames_so_that_they_are_counted_alone(order: Orders, model: str) -> None:
    asked = made(
        order, model, Mode.FIRST_LAST, first_frame=PICTURE, last_frame=PICTURE, references=(OTHER,), prompt="@image_1"
    )
    found = body(asked)
    assert sent(asked).url == f"{BASE}/v1/videos/omni-video"
    assert found["prompt"] == "<<<image_1>>>"
    assert found["image_list"] == [
        {"image_url": OTHER.url},
        {"image_url": PICTURE.url, "type": "first_frame"},
        {"image_url": PICTURE.url, "type": "end_frame"},
    ]
    assert "aspect_ratio" not in found


def test_references_alone_need_a_shape(order: Orders) -> None:
    found = body(made(order, "kling-v3-omni", Mode.REFERENCE, references=(PICTURE, OTHER), elements=(MARA,)))
    assert found["image_list"] == [{"image_url": PICTURE.url}, {"image_url": OTHER.url}]
    assert (found["aspect_ratio"], found["element_list"]) == ("16:9", [{"element_id": 829836802793406551}])
    assert "multi_shot" not in found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("@image_1 and @image_2", "<<<image_1>>> and <<<image_2>>>"),
        ("@Juno, @Mara!", "<<<element_2>>>, <<<element_1>>>!"),
        ("@Mara's hat in (@video_1)", "<<<element_1>>>'s hat in (<<<video_1>>>)"),
        ("@Maranello, @image_3 and @image_10", "@Maranello, @image_3 and @image_10"),
        ("write to ask@Mara.example", "write to ask@Mara.example"),
        ("@mara, Mara, @ Mara and @video_2", "@mara, Mara, @ Mara and @video_2"),
        ("@@Mara", "@<<<element_1>>>"),
        ("让@Mara跳舞, 让@image_1跳舞", "让<<<element_1>>>跳舞, 让<<<image_1>>>跳舞"),
        ("@Mara_2 and @Mara-like", "@Mara_2 and <<<element_1>>>-like"),
    ],
)
def test_whole_names_of_what_goes_along_become_places_in_a_list(order: Orders, words: str, said: str) -> None:
    asked = made(
        order,
        "kling-v3-omni",
        Mode.EDIT,
        source=CLIP,
        references=(PICTURE, OTHER),
        elements=(MARA, JUNO),
        prompt=words,
    )
    assert body(asked)["prompt"] == said


@pytest.mark.parametrize(("audio", "kept"), [(True, "yes"), (False, "no")])
@pytest.mark.parametrize("model", ["kling-v3-omni", "kling-video-o1"])
def test_an_edit_keeps_the_sound_of_its_clip_or_drops_it_and_is_as_long_as_the_clip(
    order: Orders, model: str, audio: bool, kept: str
) -> None:
    asked = made(order, model, Mode.EDIT, source=CLIP, audio=audio)
    assert sent(asked).url == f"{BASE}/v1/videos/omni-video"
    assert body(asked) == {
        "model_name": model,
        "prompt": "A kite over dunes",
        "video_list": [{"video_url": CLIP.media.url, "refer_type": "base", "keep_original_sound": kept}],
        "mode": "std",
        "external_task_id": "mv-attempt-1",
    } | ({} if model == "kling-video-o1" else {"sound": "off"})


def test_an_extension_asks_in_words_for_the_next_shot_of_its_clip(order: Orders) -> None:
    assert body(made(order, "kling-v3-omni", Mode.EXTEND, source=CLIP, audio=False)) == {
        "model_name": "kling-v3-omni",
        "prompt": "The next shot of <<<video_1>>>: A kite over dunes",
        "video_list": [{"video_url": CLIP.media.url, "refer_type": "feature", "keep_original_sound": "no"}],
        "mode": "std",
        "sound": "off",
        "duration": "8",
        "aspect_ratio": "16:9",
        "external_task_id": "mv-attempt-1",
    }


def test_the_words_of_ours_count_as_part_of_the_longest_prompt(order: Orders) -> None:
    [omni] = [path for path in catalog.in_legacy(catalog.PATHS) if path.model == "kling-3.0-omni"]
    facts = omni.mode(Mode.EXTEND)
    assert facts is not None
    longest = "x" * (facts.prompt_characters or 0)
    asked = made(order, "kling-v3-omni", Mode.EXTEND, source=CLIP, prompt=longest, audio=False)
    assert len(body(asked)["prompt"]) == 2500


@pytest.mark.parametrize(("audio", "kept"), [(True, "yes"), (False, "no")])
def test_a_picture_moves_as_a_clip_does(order: Orders, audio: bool, kept: str) -> None:
    words = "@Mara dances"
    asked = made(
        order,
        "kling-v3",
        Mode.MOTION,
        source=CLIP,
        references=(PICTURE,),
        elements=(MARA,),
        audio=audio,
        prompt=words,
    )
    assert sent(asked).url == f"{BASE}/v1/videos/motion-control"
    assert body(asked) == {
        "model_name": "kling-v3",
        "prompt": "<<<element_1>>> dances",
        "image_url": PICTURE.url,
        "video_url": CLIP.media.url,
        "element_list": [{"element_id": 829836802793406551}],
        "character_orientation": "video",
        "keep_original_sound": kept,
        "mode": "std",
        "external_task_id": "mv-attempt-1",
    }


def test_the_posture_of_who_moves_is_the_users_choice(order: Orders) -> None:
    own = {"character_orientation": "image"}
    asked = made(order, "kling-v2-6", Mode.MOTION, source=CLIP, references=(PICTURE,), options=own)
    assert body(asked)["character_orientation"] == "image"


@pytest.mark.parametrize(
    ("mode", "name", "value"),
    [
        (Mode.EDIT, "duration", "10"),
        (Mode.TEXT, "video_list", [{"video_url": "https://media.example.org/a.mp4"}]),
        (Mode.TEXT, "voice_list", [{"voice_id": "v"}]),
    ],
)
def test_the_vendor_door_adds_nothing_that_would_change_the_price(
    order: Orders, mode: Mode, name: str, value: object
) -> None:
    source = CLIP if mode is Mode.EDIT else None
    with pytest.raises(InvalidRequest, match=name):
        sent(made(order, "kling-v3-omni", mode, source=source, options={name: value}))


def test_a_task_of_motion_is_looked_at_and_looked_for_under_its_own_kind(order: Orders, answer: Answers) -> None:
    asked = made(order, "kling-v3", Mode.MOTION, source=CLIP, references=(PICTURE,))
    ref = step(asked).last(()).read(answer("kling_legacy/created"))
    assert ref.remote_id == "motion-control/900000000000000010"
    address = f"{BASE}/v1/videos/motion-control"
    assert KLING.poll(ref).request.url == f"{address}/900000000000000010"
    lost = LookUp("mv-attempt-1", "kling-v3", asked.segment, 0, 0, lambda _: False)
    assert KLING.look_up(lost).request.url == f"{address}/mv-attempt-1"
    assert KLING.sweep(since=0.0, cursor="motion-control:3").request.url == f"{address}?pageNum=3&pageSize=100"


def test_a_video_that_kling_made_goes_by_the_address_where_kling_keeps_it(order: Orders) -> None:
    kept = VendorHandle(VendorRef("kling", "kling-legacy", "m", "m", "1"), 0, "https://cdn.example.org/1.mp4?sig=a")
    asked = made(order, "kling-v3-omni", Mode.EXTEND, source=Clip(Media(data=b"clip"), kept), audio=False)
    assert body(asked)["video_list"][0]["video_url"] == "https://cdn.example.org/1.mp4?sig=a"


def test_a_mark_is_asked_for_only_where_it_is_wanted_and_its_copy_is_read(order: Orders, answer: Answers) -> None:
    for mark in (True, False):
        found = body(made(order, "kling-v3", Mode.TEXT, watermark=mark))
        assert found.get("watermark_info") == ({"enabled": True} if mark else None)
    ref = VendorRef("kling", "kling-legacy", "kling-v3", "kling-v3", "text2video/900000000000000010")
    sample = answer("kling_legacy/succeed_with_watermark").json()
    for marked in ("https://cdn.example.org/711w.mp4?sig=aGk", None):
        [take] = KLING.poll(ref).read(answer(body=sample)).assets
        url = "https://cdn.example.org/711.mp4?sig=aGk"
        assert take == Asset(url, marked_url=marked, expires_at=1795000120.0 + 30 * 86400)
        sample["data"]["task_result"]["videos"][0]["watermark_url"] = ""


@pytest.mark.parametrize("name", ["el_1", "007", "-5", "1e17"])
def test_an_element_id_that_is_no_number_is_refused_before_it_is_sent(order: Orders, name: str) -> None:
    asked = made(order, "kling-v3-omni", Mode.REFERENCE, elements=(Element(name, "Mara"),))
    with pytest.raises(InvalidRequest, match="no number") as refused:
        sent(asked)
    assert refused.value.field == "reference_images"


@pytest.mark.parametrize(
    ("model", "mode", "brought"),
    [
        ("kling-v3", Mode.REFERENCE, {"references": (PICTURE,)}),
        ("kling-v3", Mode.EDIT, {"source": CLIP}),
        ("kling-v3", Mode.FIRST_FRAME, {"first_frame": PICTURE, "references": (PICTURE,)}),
        ("kling-v3", Mode.MOTION, {"source": CLIP, "elements": (MARA,)}),
        ("kling-v3", Mode.MOTION, {"source": CLIP, "references": (PICTURE,), "negative_prompt": "rain"}),
        ("kling-v3-omni", Mode.EDIT, {"source": CLIP, "shots": SHOTS}),
        ("kling-v3-omni", Mode.EXTEND, {"source": CLIP, "shots": SHOTS}),
        ("kling-v3-omni", Mode.EXTEND, {}),
        ("kling-v3-omni", Mode.EDIT, {"source": Clip(Media(data=b"clip"))}),
        ("kling-v3-omni", Mode.FIRST_LAST, {"first_frame": PICTURE, "last_frame": Media(url="gs://bucket/b.png")}),
    ],
)
def test_what_a_kind_of_task_has_no_place_for_is_refused_and_not_left_out(
    order: Orders, model: str, mode: Mode, brought: dict[str, Any]
) -> None:
    with pytest.raises(UnsupportedFeature) as refused:
        sent(made(order, model, mode, **brought))
    assert refused.value.charged == "no"


def test_a_name_in_another_script_is_a_mention_where_the_text_goes_on_at_once(order: Orders) -> None:
    asked = made(
        order,
        "kling-v3-omni",
        Mode.REFERENCE,
        references=(PICTURE,) * 10,
        elements=(evolve(MARA, name="小明"),),
        prompt="@小明在跳舞, @image_10, @image_1",
    )
    assert body(asked)["prompt"] == "<<<element_1>>>在跳舞, <<<image_10>>>, <<<image_1>>>"
