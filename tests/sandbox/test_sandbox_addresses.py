"""Addresses that callers name: this machine is asked, all others are played; and what Kling asks of a video."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from attrs import evolve
from sandbox_calls import Answer, Caller, caller

from multivideo.sandbox.addresses import film_stand_in, picture_stand_in
from multivideo.sandbox.clip import Clip, Film
from multivideo.sandbox.kling_media import FILM_RULES, check_film
from multivideo.sandbox.render import image_size, placeholder, render

pytestmark = pytest.mark.anyio

WEB = "https://media.example.org/dance.mp4"
TEXT = {"type": "prompt", "text": "she turns"}
OMNI, O1, MOTION = "omni-video/kling-3.0-omni", "omni-video/kling-o1", "motion-control/kling-3.0"


@cache
def film() -> bytes:
    """A real file of three seconds that Omni takes."""
    return render(Clip(model="a", prompt="b", seed=0, width=720, height=720, seconds=3, fps=24, audio=True))


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """A web server of this machine, and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers.get('authorization')}")
            data = files.get(self.path)
            self.send_response(404 if data is None else 200)
            self.end_headers()
            self.wfile.write(data or b"not here")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is inherited
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


@pytest.fixture
def call() -> Iterator[Caller]:
    made = caller()
    yield made
    made.emulator.close()


async def omni(call: Caller, kind: str, url: str, path: str = OMNI) -> Answer:
    return await call("POST", f"/kling/{path}", {"contents": [TEXT, {"type": kind, "url": url}]})


async def motion(call: Caller, url: str, orientation: str, *items: object) -> Answer:
    look = items or ({"type": "image", "url": "https://media.example.org/hero.png"},)
    settings = {"character_orientation": orientation}
    body = {"contents": [TEXT, *look, {"type": "video", "url": url}], "settings": settings}
    return await call("POST", f"/kling/{MOTION}", body)


def said(answer: Answer) -> str:
    assert (answer.status, answer.json["code"]) == (400, 1201), answer.json
    return str(answer.json["message"])


# --- where addresses lead ------------------------------------------------------------------------------------


def test_a_stand_in_takes_length_size_and_rate_from_its_address() -> None:
    plain, wished = film_stand_in(WEB), film_stand_in(f"{WEB}?seconds=8.5&size=1080x1921&fps=30")
    assert (plain.seconds, plain.width, plain.height, plain.fps, plain.sound) == (5, 1280, 720, 24, True)
    assert (wished.seconds, wished.width, wished.height, wished.fps) == (8.5, 1080, 1920, 30)
    for odd in ("?seconds=", "?seconds=soon&size=9&fps=-1", "?seconds=0x9", "#seconds=9"):
        assert film_stand_in(WEB + odd).seconds == 5
    assert image_size(picture_stand_in("https://a.example/a.png?size=400x600")) == (400, 600, "png")


async def test_a_video_of_this_machine_is_fetched_once_and_without_a_key(call: Caller) -> None:
    with serving({"/a.mp4": film(), "/a.png": placeholder(400, 400)}) as (base, asked):
        assert (await omni(call, "base_video", f"{base}/a.mp4")).status == 200
        assert (await omni(call, "first_frame", f"{base}/a.png")).status == 200
        assert asked == ["/a.mp4 None", "/a.png None"]
    edited, framed = call.clips
    assert edited.film is not None
    assert (edited.film.source, edited.film.seconds, edited.width, edited.height) == (film(), 3, 960, 960)
    assert (framed.first_frame, framed.width) == (placeholder(400, 400), 960)


async def test_the_legacy_protocol_fetches_from_this_machine_too(call: Caller) -> None:
    with serving({"/a.mp4": film(), "/a.png": placeholder(400, 400)}) as (base, asked):
        body = {
            "image_url": f"{base}/a.png", "video_url": f"{base}/a.mp4", "mode": "std", "character_orientation": "image",
            "callback_url": f"{base}/told",
        }  # fmt: skip
        assert (await call("POST", "/kling/v1/videos/motion-control", body)).status == 200
        omni_body = {
            "model_name": "kling-v3-omni", "prompt": "x", "image_list": [{"image_url": f"{base}/a.png"}],
            "video_list": [{"video_url": f"{base}/a.mp4"}],
        }  # fmt: skip
        assert (await call("POST", "/kling/v1/videos/omni-video", omni_body)).status == 200
        assert sorted(asked) == ["/a.mp4 None", "/a.mp4 None", "/a.png None", "/a.png None"]
    assert [clip.film and clip.film.source for clip in call.clips] == [film(), film()]


async def test_sora_fetches_a_reference_from_this_machine(call: Caller) -> None:
    with serving({"/a.png": placeholder(720, 1280)}) as (base, _):
        assert (await call.openai(input_reference={"image_url": f"{base}/a.png"})).status == 200
        answer = await call.openai(input_reference={"image_url": f"{base}/none.png"})
    assert call.clips[0].first_frame == placeholder(720, 1280)
    assert (answer.status, answer.error["param"]) == (400, "input_reference.image_url")


async def test_an_address_that_leads_nowhere_is_refused(call: Caller) -> None:
    with serving({"/page": b"<html>", "/empty": b""}) as (base, _):
        pass
    with serving({"/page": b"<html>", "/empty": b""}) as (alive, _):
        for url in (f"{base}/a.mp4", f"{alive}/a.mp4", f"{alive}/page", f"{alive}/empty", WEB.replace("https", "http")):
            message = said(await omni(call, "base_video", url))
            assert message == "contents[1].url: video cannot be downloaded or read"
        for url in (f"{base}/a.png", f"{alive}/a.png", "http://media.example.org/a.png"):
            assert said(await omni(call, "first_frame", url)) == "File is not in a valid base64 format"
        assert "image format is invalid" in said(await omni(call, "first_frame", f"{alive}/page"))
    body = {"model_name": "kling-v3-omni", "prompt": "x", "video_list": [{"video_url": f"{base}/a.mp4"}]}
    legacy = await call("POST", "/kling/v1/videos/omni-video", body)
    assert said(legacy) == "videoList[0].videoUrl: video cannot be downloaded or read"
    assert call.emulator.count() == 0


async def test_a_picture_that_is_played_has_limits_too(call: Caller) -> None:
    url = "https://media.example.org/a.png?size="
    assert "must not be less than 300px" in said(await omni(call, "first_frame", f"{url}298x400"))
    assert "aspect ratio" in said(await omni(call, "first_frame", f"{url}1000x300"))
    assert (await omni(call, "first_frame", f"{url}300x400")).status == 200


# --- what Kling asks of a video ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "query", "fragment"),
    [
        (OMNI, "seconds=3", ""),
        (OMNI, "seconds=15.5", ""),
        (OMNI, "seconds=2.9", "duration must be between 3s and 15.5s"),
        (OMNI, "seconds=15.6", "duration must be between 3s and 15.5s"),
        (OMNI, "size=700x700", ""),
        (OMNI, "size=698x700", "width and height must be between 700px and 4553px"),
        (OMNI, "size=4554x3000", "width and height must be between 700px and 4553px"),
        (OMNI, "size=3840x2160", ""),
        (OMNI, "size=4000x2074", "must not have more than 8294400 pixels"),
        (OMNI, "size=1600x800", ""),
        (OMNI, "size=1602x800", "aspect ratio must be between 0.4 and 2"),
        (OMNI, "size=800x2002", "aspect ratio must be between 0.4 and 2"),
        (OMNI, "fps=24", ""),
        (OMNI, "fps=60", ""),
        (OMNI, "fps=23", "frame rate must be between 24 and 60"),
        (OMNI, "fps=61", "frame rate must be between 24 and 60"),
        (O1, "seconds=10", ""),
        (O1, "seconds=10.2", "duration must be between 3s and 10s"),
        (O1, "size=2162x1200", "width and height must be between 700px and 2160px"),
    ],
)
@pytest.mark.parametrize("kind", ["base_video", "feature_video"])
async def test_omni_measures_a_video(call: Caller, kind: str, path: str, query: str, fragment: str) -> None:
    answer = await omni(call, kind, f"{WEB}?{query}", path)
    if fragment:
        assert said(answer).startswith("contents[1].url: video ")
        assert fragment in said(answer)
    else:
        assert answer.status == 200, answer.json


@pytest.mark.parametrize(
    ("orientation", "query", "fragment"),
    [
        ("video", "seconds=30", ""),
        ("video", "seconds=30.1", "duration must be between 3s and 30s"),
        ("image", "seconds=10", ""),
        ("image", "seconds=10.1", "duration must be between 3s and 10s"),
        ("video", "seconds=2.9", "duration must be between 3s and 30s"),
        ("video", "size=340x3850", ""),
        ("video", "size=338x600", "width and height must be between 340px and 3850px"),
        ("video", "size=3852x600", "width and height must be between 340px and 3850px"),
    ],
)
async def test_motion_control_measures_a_video(call: Caller, orientation: str, query: str, fragment: str) -> None:
    answer = await motion(call, f"{WEB}?{query}", orientation)
    body = {
        "image_url": "https://a.example/a.png", "video_url": f"{WEB}?{query}", "mode": "pro",
        "character_orientation": orientation,
    }  # fmt: skip
    legacy = await call("POST", "/kling/v1/videos/motion-control", body)
    if fragment:
        assert fragment in said(answer)
        assert said(legacy).startswith("videoUrl: video")
    else:
        assert (answer.status, legacy.status) == (200, 200)


async def test_with_an_element_the_motion_may_last_as_long_as_a_video_can(call: Caller) -> None:
    element = {"type": "element", "element_id": "829836802793406551", "id": "Mara"}
    assert (await motion(call, f"{WEB}?seconds=30", "image", element)).status == 200
    (job,) = call.emulator.jobs()
    assert (job.request["units"], job.clips[0].frames) == ("27", 30 * 24 + 1)


async def test_a_file_of_ten_seconds_and_a_frame_counts_as_ten(call: Caller) -> None:
    made = await call.kling(settings={"duration": 10})
    await call.clock.sleep(60)
    url = (await call.task(made))["outputs"][0]["url"]
    assert (await motion(call, url, "image")).status == 200
    assert call.clips[1].seconds == pytest.approx(10.08, abs=0.01)


async def test_a_video_is_looked_at_when_all_else_is_right(call: Caller) -> None:
    with serving({"/a.mp4": b"no film"}) as (base, _):
        body: dict[str, Any] = {"image_url": "https://a.example/a.png", "video_url": f"{base}/a.mp4"}
        path = "/kling/v1/videos/motion-control"
        assert said(await call("POST", path, body)) == "video mode must be specified"
        body["mode"] = "std"
        assert said(await call("POST", path, body)) == "character orientation must be specified"
        body["character_orientation"] = "image"
        assert said(await call("POST", path, body)) == "videoUrl: video cannot be downloaded or read"


def test_a_video_that_is_too_heavy_is_refused() -> None:
    heavy = Film(source=bytes(100 * 1024 * 1024 + 1), width=720, height=720, seconds=5, fps=24, sound=True)
    check_film(heavy, FILM_RULES["kling-3.0-omni"])
    with pytest.raises(ValueError, match="must not exceed 100MB"):
        check_film(heavy, FILM_RULES["video"])
    with pytest.raises(ValueError, match="must not exceed 200MB"):
        check_film(evolve(heavy, source=bytes(200 * 1024 * 1024 + 1)), FILM_RULES["kling-3.0-omni"])
