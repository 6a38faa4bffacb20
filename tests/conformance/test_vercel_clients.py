"""Vercel's AI SDK, in its last two generations, against both of Google's doors of the emulator.

Needs Node.js 20 or newer with npm, and `pip install "multivideo[sandbox]" pytest`; run by `nox -s conformance-node`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from node.clients import Scripts, measure

from multivideo.sandbox import Emulator
from multivideo.sandbox.render import placeholder
from multivideo.sandbox.server import running

pytest_plugins = ("node.installed",)

MODELS = {"gemini": "veo-3.1-generate-preview", "vertex": "veo-3.1-generate-001"}
LONG, TALL = placeholder(640, 360), placeholder(360, 640)
Generate = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    made = Emulator(latency=0.2, file_uris="self")  # this client fetches the very link that it is given
    yield made
    made.close()


@pytest.fixture(scope="module")
def url(emulator: Emulator) -> Iterator[str]:
    with running(emulator) as url:
        yield url


@pytest.fixture(params=[6, 7], ids=["ai-6", "ai-7"])
def sdk(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(params=["gemini", "vertex"])
def door(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def generate(scripts: Scripts, url: str, sdk: int, tmp_path: Path) -> Generate:
    """One `experimental_generateVideo`, whose files come into the folder of the test."""

    def generate(door: str, prompt: object, key: str = "key-a", **more: object) -> dict[str, Any]:
        question = {"sdk": sdk, "door": door, "url": url, "key": key, "model": MODELS[door], "prompt": prompt, **more}
        return scripts.ask("vercel.mjs", {**question, "out": str(tmp_path)})

    return generate


def text(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def test_text_to_video_on_the_gemini_api_fetches_a_real_file(generate: Generate, tmp_path: Path) -> None:
    call = {"duration": 4, "resolution": "1280x720", "aspectRatio": "16:9", "seed": 7}
    made = generate("gemini", "a kite", call=call, options={"negativePrompt": "text"})
    assert made["types"] == ["video/mp4"]
    assert "/gemini/v1beta/files/" in made["metadata"]["google"]["videos"][0]["uri"]
    assert measure(tmp_path / "0.mp4") == (1280, 720, 4.0, 24.0, True)


def test_text_to_video_on_vertex_comes_inside_the_answer_and_silent(generate: Generate, tmp_path: Path) -> None:
    # Version 6 knows the switch as an option of its provider only.
    made = generate("vertex", "a lighthouse", call={"duration": 4}, options={"generateAudio": False})
    assert made["metadata"]["google-vertex"]["videos"] == [{"mimeType": "video/mp4"}]
    assert measure(tmp_path / "0.mp4") == (1280, 720, 4.0, 24.0, False)


def test_a_picture_and_a_text_in_portrait(generate: Generate, door: str, emulator: Emulator, tmp_path: Path) -> None:
    prompt = {"image": text(TALL), "text": "she turns"}
    generate(door, prompt, call={"duration": 8, "aspectRatio": "9:16"})
    assert measure(tmp_path / "0.mp4") == (720, 1280, 8.0, 24.0, True)
    job = emulator.jobs()[-1]
    assert (job.request["materials"], job.draft.clips[0].first_frame) == (["image"], TALL)


def test_first_and_last_frame(generate: Generate, door: str, emulator: Emulator, tmp_path: Path) -> None:
    frames = [{"image": text(LONG), "frameType": kind} for kind in ("first_frame", "last_frame")]
    generate(door, "the tide comes in", call={"duration": 8, "frameImages": frames})
    assert measure(tmp_path / "0.mp4") == (1280, 720, 8.0, 24.0, True)
    assert emulator.jobs()[-1].request["materials"] == ["image", "lastFrame"]


@pytest.mark.parametrize("sdk", [7], ids=["ai-7"])  # version 6 sends references without saying what they are
def test_reference_images(generate: Generate, door: str, emulator: Emulator, tmp_path: Path) -> None:
    generate(door, "the same fox", call={"duration": 8, "inputReferences": [text(LONG), text(TALL)]})
    assert measure(tmp_path / "0.mp4")[2] == 8.0
    assert emulator.jobs()[-1].request["materials"] == ["referenceImages"]


def test_several_samples_into_a_bucket(generate: Generate, tmp_path: Path) -> None:
    made = generate("vertex", "waves", call={"duration": 4, "n": 2}, options={"storageUri": "gs://demo-out/run/"})
    links = [video["gcsUri"] for video in made["metadata"]["google-vertex"]["videos"]]
    assert [link.startswith("gs://demo-out/run/") for link in links] == [True, True]
    assert [measure(tmp_path / f"{place}.mp4")[2] for place in range(2)] == [4.0, 4.0]


def test_two_videos_of_the_gemini_api_are_two_jobs(
    generate: Generate, emulator: Emulator, sdk: int, tmp_path: Path
) -> None:
    both = generate("gemini", "two", f"key-two-{sdk}", call={"duration": 4, "n": 2})
    assert "`sampleCount` is out of bound" in both["error"]["message"]
    generate("gemini", "two", f"key-two-{sdk}", call={"duration": 4, "n": 2, "maxVideosPerCall": 1})
    assert emulator.count(f"key-two-{sdk}") == 2
    assert [measure(tmp_path / f"{place}.mp4")[2] for place in range(2)] == [4.0, 4.0]


def test_a_refresh_token_gets_an_access_token_here(generate: Generate, emulator: Emulator, sdk: int) -> None:
    generate("vertex", "a token", f"robot-{sdk}", call={"duration": 4})
    assert emulator.count(f"robot-{sdk}") == 1
    assert generate("vertex", "x", "bad-key")["error"]["message"] == "invalid_grant"


def test_refusals_become_the_errors_of_the_client(generate: Generate, door: str) -> None:
    wrong = generate(door, "x", call={"duration": 5})["error"]
    assert (wrong["name"], wrong["status"]) == ("AI_APICallError", 400)
    assert "`durationSeconds` is out of bound" in wrong["message"]
    blocked = generate(door, "input_blocked")["error"]
    assert blocked["status"] == 400
    assert "Support codes" in blocked["message"]


def test_a_bad_key_and_a_model_that_is_not_there(generate: Generate) -> None:
    stranger = generate("gemini", "x", "bad-key")["error"]
    assert (stranger["status"], stranger["message"]) == (400, "API key not valid. Please pass a valid API key.")
    gone = generate("vertex", "x", model="veo-2.0-generate-001")["error"]
    assert (gone["name"], gone["status"]) == ("AI_APICallError", 404)


def test_a_filtered_or_failed_job_is_an_error(generate: Generate, door: str) -> None:
    filtered = generate(door, "safety_filtered")["error"]
    assert filtered["message"].startswith("No videos in response.")
    failed = generate(door, "operation_error")["error"]
    assert failed["message"].startswith("Video generation failed: ")
    assert "Support codes" in failed["message"]


def test_its_own_download_takes_no_address_of_this_machine(generate: Generate) -> None:
    refused = generate("gemini", "near", call={"duration": 4}, ownDownload=True)["error"]
    assert (refused["name"], refused["message"]) == ("AI_DownloadError", "URL with IP address 127.0.0.1 is not allowed")


def test_a_lost_answer_makes_a_second_job(generate: Generate, door: str, emulator: Emulator, sdk: int) -> None:
    emulator.fault(door, made=503, retry_after=0.01)
    generate(door, "again", f"key-lost-{sdk}-{door}", call={"duration": 4, "maxRetries": 1})
    assert emulator.count(f"key-lost-{sdk}-{door}") == 2


def test_a_failed_poll_makes_a_second_job_in_version_6_only(
    generate: Generate, door: str, emulator: Emulator, sdk: int
) -> None:
    emulator.fault(door, poll=503, retry_after=0.01)
    generate(door, "look again", f"key-poll-{sdk}-{door}", call={"duration": 4, "maxRetries": 1})
    assert emulator.count(f"key-poll-{sdk}-{door}") == {6: 2, 7: 1}[sdk]
