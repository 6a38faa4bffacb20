from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from multivideo.errors import InvalidRequest, UnsupportedFeature
from multivideo.providers.kling import KlingBackend
from multivideo.providers.openai import OpenAIVideosBackend
from multivideo.providers.veo import VertexBackend
from multivideo.values.clips import Clip
from multivideo.values.media import Media
from multivideo.values.refs import VendorHandle, VendorRef
from multivideo.values.words import Mode, Shot
from multivideo.wire import Order, Provider

KLING = KlingBackend("kling", "https://api-singapore.klingai.com")
VERTEX = VertexBackend("vertex", "https://us-central1-aiplatform.googleapis.com", "p", "us-central1")
OPENAI = OpenAIVideosBackend("openai", "https://api.openai.com/v1")
ADDRESS = Media(url="https://media.example.org/a.png")
STORED = Media(url="gs://bucket/a.png")
MakeOrder = Callable[..., Order]


def of_mode(order: Order, mode: Mode) -> Order:
    return evolve(order, segment=evolve(order.segment, mode=mode))


def body(provider: Provider, order: Order) -> Any:
    return provider.submit(order).last(()).request.json


def test_kling_takes_a_last_frame_beside_the_first_and_no_shape(order: MakeOrder) -> None:
    asked = of_mode(order("kling-3.0", first_frame=ADDRESS, last_frame=ADDRESS), Mode.FIRST_LAST)
    step = KLING.submit(asked).last(())
    assert step.request.url == "https://api-singapore.klingai.com/image-to-video/kling-3.0"
    assert step.request.json == {
        "contents": [
            {"type": "prompt", "text": "A kite over dunes"},
            {"type": "first_frame", "url": ADDRESS.url},
            {"type": "last_frame", "url": ADDRESS.url},
        ],
        "settings": {"resolution": "720p", "duration": 8, "audio": "native", "multi_shot": False},
        "options": {"external_task_id": "mv-attempt-1"},
    }


def test_kling_omni_references_have_ids_that_the_prompt_can_mention(order: MakeOrder) -> None:
    asked = of_mode(order("kling-3.0-omni", references=(ADDRESS, ADDRESS)), Mode.REFERENCE)
    step = KLING.submit(asked).last(())
    assert step.request.url.endswith("/omni-video/kling-3.0-omni")
    sent = step.request.json or {}
    assert sent["contents"][1:] == [
        {"type": "refer_image", "url": ADDRESS.url, "id": "image_1"},
        {"type": "refer_image", "url": ADDRESS.url, "id": "image_2"},
    ]
    assert sent["settings"]["aspect_ratio"] == "16:9", "required where neither a first frame nor a clip comes in"


@pytest.mark.parametrize(("model", "switch"), [("kling-3.0", True), ("kling-3.0-turbo", None)])
def test_kling_shots_are_written_into_the_prompt_and_switched_on(
    order: MakeOrder, model: str, switch: bool | None
) -> None:
    asked = of_mode(order(model, shots=(Shot("at dawn", 3), Shot("at noon", 5))), Mode.SHOTS)
    sent = body(KLING, asked)
    assert sent["prompt"] == "shot 1, 3, A kite over dunes at dawn; shot 2, 5, A kite over dunes at noon;"
    assert sent["settings"].get("multi_shot") is switch


def test_vertex_takes_a_last_frame_beside_the_image(order: MakeOrder) -> None:
    asked = of_mode(order("veo-3.1-generate-001", first_frame=STORED, last_frame=STORED), Mode.FIRST_LAST)
    [instance] = body(VERTEX, asked)["instances"]
    image = {"gcsUri": STORED.url, "mimeType": "image/png"}
    assert instance == {"prompt": "A kite over dunes", "image": image, "lastFrame": image}


def test_vertex_references_are_assets_and_exclude_the_image(order: MakeOrder) -> None:
    asked = of_mode(order("veo-3.1-generate-001", references=(STORED,)), Mode.REFERENCE)
    [instance] = body(VERTEX, asked)["instances"]
    assert instance == {
        "prompt": "A kite over dunes",
        "referenceImages": [{"image": {"gcsUri": STORED.url, "mimeType": "image/png"}, "referenceType": "asset"}],
    }


@pytest.mark.parametrize("provider", [KLING, VERTEX, OPENAI], ids=lambda provider: provider.name)
@pytest.mark.parametrize(
    "brought",
    [{"last_frame": ADDRESS}, {"references": (ADDRESS,)}, {"shots": (Shot("a", 3),)}],
    ids=lambda b: next(iter(b)),
)
def test_what_the_mode_has_no_place_for_is_refused_and_not_left_out(
    order: MakeOrder, provider: Provider, brought: dict[str, Any]
) -> None:
    with pytest.raises(UnsupportedFeature):
        provider.submit(order("kling-3.0", **brought))


OURS = Clip(Media(data=b"clip"), VendorHandle(VendorRef("openai", "openai-videos", "sora-2", "sora-2", "video_1")), 8.0)


def test_what_follows_a_video_says_only_what_is_new(order: MakeOrder) -> None:
    def sent(mode: Mode) -> tuple[str, Any]:
        asked = of_mode(order("sora-2", source=OURS), mode)
        request = (OPENAI.extend if mode is Mode.EXTEND else OPENAI.edit)(asked).last(()).request
        return request.url.partition("/v1")[2], request.json

    video = {"id": "video_1"}
    words = {"prompt": "A kite over dunes"}
    assert sent(Mode.EXTEND) == ("/videos/extensions", {**words, "video": video, "seconds": "8"})
    assert sent(Mode.EDIT) == ("/videos/edits", {**words, "video": video})
    assert sent(Mode.REMIX) == ("/videos/video_1/remix", words)
    extended = VERTEX.extend(of_mode(order("veo-3.1-generate-001", source=OURS), Mode.EXTEND)).last(()).request.json
    assert extended is not None
    assert extended["instances"][0]["video"] == {"bytesBase64Encoded": "Y2xpcA==", "mimeType": "video/mp4"}
    assert extended["parameters"] == {"sampleCount": 1, "resolution": "720p", "generateAudio": True}


@pytest.mark.parametrize("name", ["seconds", "model", "size"])
def test_the_vendor_door_adds_nothing_that_would_change_the_price_of_an_edit(order: MakeOrder, name: str) -> None:
    with pytest.raises(InvalidRequest, match=name):
        OPENAI.edit(of_mode(order("sora-2", source=OURS, options={name: "20"}), Mode.EDIT))


def test_the_vendor_door_adds_no_seconds_to_an_extension(order: MakeOrder) -> None:
    asked = order("veo-3.1-generate-001", source=OURS, options={"parameters": {"durationSeconds": 8}})
    with pytest.raises(InvalidRequest, match="durationSeconds"):
        VERTEX.extend(of_mode(asked, Mode.EXTEND))
