"""What was sent along with an order decides what its file will show, on every door and in every mode."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from sandbox_calls import VEO, Answer, Caller, caller, picture

from multivideo.sandbox.footage import measure, opening, pictures_of
from multivideo.sandbox.frames import planes_of
from multivideo.sandbox.pictures import tile
from multivideo.sandbox.render import Clip, Film, mark_box, placeholder, render

pytestmark = pytest.mark.anyio

ONE, TWO, THREE = ((placeholder(*size), picture(*size)) for size in ((640, 360), (400, 400), (320, 480)))
MARA = {"type": "element", "element_id": "829836802793406551", "id": "Mara"}
TEXT = {"type": "prompt", "text": "she turns"}
DANCE = "https://media.example.org/dance.mp4"


@pytest.fixture
def call() -> Iterator[Caller]:
    made = caller()
    yield made
    made.emulator.close()


@cache
def film(width: int = 1280, height: int = 720, seconds: float = 1, fps: int = 24) -> bytes:
    return render(Clip(model="a", prompt="b", seed=0, width=width, height=height, seconds=seconds, fps=fps, audio=True))


def of(kind: str, url: str) -> dict[str, str]:
    return {"type": kind, "url": url}


async def kling(call: Caller, path: str, *items: object, **settings: object) -> Clip:
    answer = await call("POST", f"/kling/{path}", {"contents": list(items), "settings": settings})
    assert answer.status == 200, answer.json
    return call.clips[-1]


async def legacy(call: Caller, family: str, **body: Any) -> Clip:
    answer = await call("POST", f"/kling/v1/videos/{family}", body)
    assert answer.status == 200, answer.json
    return call.clips[-1]


# --- pictures ------------------------------------------------------------------------------------------------


async def test_kling_shows_first_and_last_frame_and_elements(call: Caller) -> None:
    frames = of("first_frame", ONE[1]), of("last_frame", TWO[1])
    clip = await kling(call, "image-to-video/kling-3.0", TEXT, *frames, MARA)
    assert (clip.first_frame, clip.last_frame, clip.references) == (ONE[0], TWO[0], (tile(MARA["element_id"]),))
    clip = await kling(call, "image-to-video/kling-2.6", *frames, resolution="1080p")
    assert (clip.first_frame, clip.last_frame) == (ONE[0], TWO[0])
    clip = await legacy(
        call, "image2video", model_name="kling-v3", image=ONE[1], image_tail=TWO[1],
        element_list=[{"element_id": 829836802793406551}],
    )  # fmt: skip
    assert (clip.first_frame, clip.last_frame, clip.references) == (ONE[0], TWO[0], (tile(MARA["element_id"]),))


async def test_omni_shows_its_references_in_their_order(call: Caller) -> None:
    for model in ("kling-3.0-omni", "kling-o1"):
        clip = await kling(
            call, f"omni-video/{model}", TEXT, of("refer_image", ONE[1]), MARA, of("refer_image", TWO[1])
        )
        assert clip.references == (ONE[0], tile(MARA["element_id"]), TWO[0])
        assert (clip.first_frame, clip.last_frame, clip.film) == (None, None, None)
    rows = [
        {"image_url": ONE[1]},
        {"image_url": TWO[1], "type": "first_frame"},
        {"image_url": THREE[1], "type": "end_frame"},
    ]
    clip = await legacy(call, "omni-video", model_name="kling-v3-omni", prompt="x", image_list=rows)
    assert (clip.references, clip.first_frame, clip.last_frame) == ((ONE[0],), TWO[0], THREE[0])


@pytest.mark.parametrize("door", ["vertex", "gemini"])
async def test_veo_shows_first_and_last_frame_and_references(call: Caller, door: str) -> None:
    async def start(**instance: object) -> Clip:
        body = {"instances": [{"prompt": "a fox", **instance}]}
        if door == "vertex":
            answer = await call("POST", f"{VEO}:predictLongRunning", body)
        else:
            path = "/gemini/v1beta/models/veo-3.1-generate-preview:predictLongRunning"
            answer = await call("POST", path, body, headers={"x-goog-api-key": "k"})
        assert answer.status == 200, answer.json
        return call.clips[-1]

    one, two = ({"bytesBase64Encoded": text, "mimeType": "image/png"} for _, text in (ONE, TWO))
    clip = await start(image=one, lastFrame=two)
    assert (clip.first_frame, clip.last_frame, clip.references) == (ONE[0], TWO[0], ())
    clip = await start(referenceImages=[{"image": image, "referenceType": "asset"} for image in (two, one)])
    assert (clip.first_frame, clip.last_frame, clip.references) == (None, None, (TWO[0], ONE[0]))


async def test_sora_shows_its_characters(call: Caller) -> None:
    data = film(320, 180)
    body = b'--cut\r\nContent-Disposition: form-data; name="name"\r\n\r\nMossy\r\n'
    body += (
        b'--cut\r\nContent-Disposition: form-data; name="video"; filename="a.mp4"\r\n\r\n' + data + b"\r\n--cut--\r\n"
    )
    form = {"Content-Type": "multipart/form-data; boundary=cut"}
    made = (await call("POST", "/openai/v1/videos/characters", raw=body, headers=form)).json["id"]
    await call.openai(
        "Mossy sleeps", characters=[{"id": made}], input_reference={"image_url": "https://a.example/a.png"}
    )
    assert call.clips[0].references == (opening(data),)
    assert call.clips[0].first_frame == placeholder(720, 1280)


# --- videos --------------------------------------------------------------------------------------------------


def stand_in(clip: Clip) -> tuple[object, ...]:
    """Of the video that plays the one of an address: the address, length and size."""
    assert clip.film is not None
    assert isinstance(clip.film.source, Clip)
    return clip.film.source.prompt, clip.film.seconds, (clip.film.width, clip.film.height)


@pytest.mark.parametrize("model", ["kling-3.0-omni", "kling-o1"])
async def test_an_edited_video_is_played_with_its_own_sound_when_that_is_asked(call: Caller, model: str) -> None:
    url = f"{DANCE}?seconds=7.5&size=720x1280"
    for audio, sound in (("original", True), ("off", False)):
        clip = await kling(
            call, f"omni-video/{model}", TEXT, of("base_video", url), of("refer_image", ONE[1]), audio=audio
        )
        assert stand_in(clip) == (url, 7.5, (720, 1280))
        assert (clip.replayed, clip.audio, clip.frames) == (True, sound, 181)
        assert (clip.width, clip.height, clip.references) == (720, 1280, (ONE[0],))
    await call.clock.sleep(60)
    task = await call("GET", f"/kling/tasks?task_ids={call.emulator.jobs()[0].id}")
    (found,) = task.json["data"]
    assert (found["outputs"][0]["duration"], found["billing"][0]["amount"]) == ("7.541", "7.2")  # 8 s at 0.9


async def test_a_video_to_take_after_is_played_for_as_long_as_was_ordered(call: Caller) -> None:
    video = of("feature_video", f"{DANCE}?size=720x1280")
    clip = await kling(call, "omni-video/kling-3.0-omni", TEXT, video, duration=8)
    assert (clip.replayed, clip.audio, clip.frames, clip.width) == (True, False, 8 * 24 + 1, 720)
    assert stand_in(clip) == (video["url"], 5, (720, 1280))
    clip = await kling(call, "omni-video/kling-3.0-omni", TEXT, video, of("first_frame", ONE[1]), aspect_ratio="1:1")
    assert (clip.first_frame, clip.width, clip.height) == (ONE[0], 1280, 720)  # the frame decides
    clip = await kling(call, "omni-video/kling-3.0-omni", TEXT, video, aspect_ratio="1:1")
    assert (clip.width, clip.height) == (960, 960)


async def test_motion_control_plays_the_motion_and_shows_the_look(call: Caller) -> None:
    items = of("image", ONE[1]), of("video", f"{DANCE}?seconds=9&size=400x400")
    for model in ("kling-3.0", "kling-2.6"):
        for audio, sound in (("original", True), ("off", False)):
            clip = await kling(
                call, f"motion-control/{model}", TEXT, *items, character_orientation="image", audio=audio
            )  # fmt: skip
            assert (clip.replayed, clip.audio, clip.frames) == (True, sound, 9 * 24 + 1)
            assert (clip.references, clip.first_frame, clip.width) == ((ONE[0],), None, 1280)
            assert stand_in(clip)[1:] == (9, (400, 400))
    clip = await kling(call, "motion-control/kling-3.0", MARA, items[1], character_orientation="video")
    assert (clip.width, clip.height, clip.references) == (960, 960, (tile(MARA["element_id"]),))


@pytest.mark.parametrize(
    ("kind", "kept", "sound"),
    [
        ("base", {}, True),
        ("base", {"keep_original_sound": "no"}, False),
        ("feature", {}, False),
        ("feature", {"keep_original_sound": "yes"}, True),
    ],
)
async def test_the_legacy_protocol_plays_videos_too(call: Caller, kind: str, kept: dict[str, str], sound: bool) -> None:
    video = {"video_url": f"{DANCE}?seconds=6", "refer_type": kind, **kept}
    body = {"model_name": "kling-v3-omni", "prompt": "x", "aspect_ratio": "16:9", "video_list": [video]}
    clip = await legacy(call, "omni-video", **body)
    assert (clip.replayed, clip.audio, clip.frames) == (True, sound, (6 if kind == "base" else 5) * 24 + 1)


@pytest.mark.parametrize(("kept", "sound"), [("yes", True), ("no", False)])
async def test_legacy_motion_control_plays_the_motion(call: Caller, kept: str, sound: bool) -> None:
    clip = await legacy(
        call, "motion-control", image_url=ONE[1], video_url=DANCE, mode="std", character_orientation="image",
        keep_original_sound=kept,
    )  # fmt: skip
    assert (clip.replayed, clip.audio, clip.references) == (True, sound, (ONE[0],))


# --- what can be seen in the end -----------------------------------------------------------------------------


async def test_inline_bytes_of_vertex_are_continued_from_their_last_frame() -> None:
    call = caller(render=render)
    source = film()
    video = {"bytesBase64Encoded": base64.b64encode(source).decode(), "mimeType": "video/mp4"}
    started = await call.veo("on it goes", more={"video": video})
    await call.clock.sleep(60)
    (made,) = (await call.operation(started)).json["response"]["videos"]
    data = base64.b64decode(made["bytesBase64Encoded"])
    assert round(measure(data).seconds, 3) == 8
    old, new = ([planes_of(frame)[0].astype(int) for _, frame in pictures_of(one)] for one in (source, data))
    scene = slice(0, 480)
    assert abs(new[23] - old[23]).mean() < 3
    assert abs(new[24] - old[23])[scene].mean() < abs(new[24] - old[0])[scene].mean() / 2
    call.emulator.close()


@pytest.mark.parametrize("protocol", ["new", "legacy"])
async def test_a_watermarked_copy_carries_a_mark_and_the_other_file_none(protocol: str) -> None:
    call = caller(render=render)
    mark = {"watermark_info": {"enabled": True}}
    if protocol == "new":
        made = await call.kling(model="kling-3.0", settings={"duration": 3, "multi_shot": False}, options=mark)
        await call.clock.sleep(60)
        video = (await call.task(made))["outputs"][0]
    else:
        body = {"model_name": "kling-v3", "prompt": "a fox", "duration": "3", **mark}
        name = (await call("POST", "/kling/v1/videos/text2video", body)).json["data"]["task_id"]
        await call.clock.sleep(60)
        task = (await call("GET", f"/kling/v1/videos/text2video/{name}")).json["data"]
        video = task["task_result"]["videos"][0]
    call.key = None
    files: list[Answer] = [await call("GET", call.link(video[name])) for name in ("url", "watermark_url")]
    x0, y0, x1, y1 = mark_box(1280, 720)
    plain, marked = (planes_of(next(pictures_of(file.data))[1])[0][y0:y1, x0:x1].astype(int) for file in files)
    assert abs(plain - marked).mean() > 20
    assert sorted(marked.ravel())[marked.size // 2] > 225
    call.emulator.close()


async def test_a_finished_video_of_kling_can_be_sent_along_again(call: Caller) -> None:
    made = await call.kling(settings={"duration": 4, "audio": "native"})
    await call.clock.sleep(60)
    url = (await call.task(made))["outputs"][0]["url"]
    clip = await kling(call, "omni-video/kling-3.0-omni", TEXT, of("base_video", url), audio="original")
    assert clip.film == Film.of(call.clips[0])
    assert (clip.frames, clip.audio) == (98, True)
    gone = url.replace("sign=", "sign=0")
    for wrong in (gone, url.replace(".mp4", "1.mp4"), "http://127.0.0.1:8090/kling/files/1.mp4"):
        answer = await call(
            "POST", "/kling/omni-video/kling-3.0-omni", {"contents": [TEXT, of("base_video", wrong)], "settings": {}}
        )  # fmt: skip
        assert answer.json["message"] == "contents[1].url: video cannot be downloaded or read"
    await call.clock.sleep(31 * 86_400)
    body = {"contents": [TEXT, of("base_video", url)]}
    assert (await call("POST", "/kling/omni-video/kling-3.0-omni", body)).status == 400


async def test_the_sound_of_a_silent_video_is_silence(call: Caller) -> None:
    await call.kling(settings={"duration": 3})
    await call.clock.sleep(60)
    silent = await call("GET", f"/kling/tasks?task_ids={call.emulator.jobs()[0].id}")
    url = silent.json["data"][0]["outputs"][0]["url"]
    clip = await kling(call, "omni-video/kling-3.0-omni", TEXT, of("base_video", url), audio="original")
    assert clip.film is not None
    assert (clip.audio, clip.film.sound, clip.dubbed) == (True, False, False)
