"""Google's own JavaScript client against the emulator: its last version with the Gemini API's videos, and the newest.

Needs Node.js 20 or newer with npm, and `pip install "multivideo[sandbox]" pytest`; run by `nox -s conformance-node`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from multivideo.sandbox import Emulator
from multivideo.sandbox.render import placeholder
from multivideo.sandbox.server import running
from node.clients import Scripts, measure

pytest_plugins = ("node.installed",)

MODELS = {"gemini": "veo-3.1-generate-preview", "vertex": "veo-3.1-generate-001"}
TALL = placeholder(360, 640)
PICTURE = {"imageBytes": base64.b64encode(TALL).decode(), "mimeType": "image/png"}
Generate = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    made = Emulator(latency=0.2)
    yield made
    made.close()


@pytest.fixture(scope="module")
def url(emulator: Emulator) -> Iterator[str]:
    with running(emulator) as url:
        yield url


@pytest.fixture
def generate(scripts: Scripts, url: str, tmp_path: Path) -> Generate:
    """A job from its start to its files, which come into the folder of the test."""

    def generate(place: tuple[int, str], source: object, key: str = "key-a", **more: Any) -> dict[str, Any]:
        sdk, door = place
        call = {"model": more.get("model", MODELS[door]), "source": source, "config": more.get("config", {})}
        question = {"sdk": sdk, "door": door, "url": url, "key": key, "call": call, "out": str(tmp_path)}
        return scripts.ask("genai.mjs", {**question, "version": more.get("version", "v1")})

    return generate


@pytest.fixture(params=[(2, "gemini"), (2, "vertex"), (3, "vertex")], ids=["gemini-2", "vertex-2", "vertex-3"])
def place(request: pytest.FixtureRequest) -> tuple[int, str]:
    sdk, door = request.param
    return sdk, door


def refusal(made: dict[str, Any]) -> tuple[int, str, str]:
    """Status, its name and the text, which this client leaves as they came."""
    error = json.loads(made["error"]["message"])["error"]
    assert (made["error"]["name"], made["error"]["status"]) == ("ApiError", error["code"])
    return error["code"], error["status"], error["message"]


def test_text_to_video_on_the_gemini_api(generate: Generate, tmp_path: Path) -> None:
    config = {"durationSeconds": 4, "resolution": "720p", "negativePrompt": "text", "numberOfVideos": 1}
    made = generate((2, "gemini"), {"prompt": "a kite"}, config=config)
    assert made["begun"] is None
    assert made["links"][0].startswith("https://generativelanguage.googleapis.com/v1beta/files/")
    assert measure(tmp_path / "0.mp4") == (1280, 720, 4.0, 24.0, True)


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
@pytest.mark.parametrize("sdk", [2, 3])
def test_text_to_video_on_vertex(generate: Generate, sdk: int, version: str, tmp_path: Path) -> None:
    config = {"durationSeconds": 4, "resolution": "720p", "seed": 7, "generateAudio": False}
    made = generate((sdk, "vertex"), {"prompt": "a lighthouse"}, config=config, version=version)
    assert (made["begun"], made["links"]) == (None, [None])
    assert measure(tmp_path / "0.mp4") == (1280, 720, 4.0, 24.0, False)


def test_first_and_last_frame_in_portrait(
    generate: Generate, place: tuple[int, str], emulator: Emulator, tmp_path: Path
) -> None:
    config = {"durationSeconds": 8, "aspectRatio": "9:16", "lastFrame": PICTURE}
    generate(place, {"prompt": "she turns", "image": PICTURE}, config=config)
    assert measure(tmp_path / "0.mp4") == (720, 1280, 8.0, 24.0, True)
    job = emulator.jobs()[-1]
    assert (job.request["materials"], job.draft.clips[0].first_frame) == (["image", "lastFrame"], TALL)


def test_reference_images(generate: Generate, place: tuple[int, str], emulator: Emulator, tmp_path: Path) -> None:
    references = [{"image": PICTURE, "referenceType": "ASSET"}]
    generate(place, {"prompt": "the same fox"}, config={"durationSeconds": 8, "referenceImages": references})
    assert measure(tmp_path / "0.mp4")[2] == 8.0
    assert emulator.jobs()[-1].request["materials"] == ["referenceImages"]


@pytest.mark.parametrize("sdk", [2, 3])
def test_several_samples_into_a_bucket(generate: Generate, sdk: int) -> None:
    config = {"durationSeconds": 4, "numberOfVideos": 2, "outputGcsUri": "gs://demo-out/run/"}
    made = generate((sdk, "vertex"), {"prompt": "waves"}, config=config)
    assert [link.startswith("gs://demo-out/run/") for link in made["links"]] == [True, True]


def test_refusals_keep_their_status(generate: Generate, place: tuple[int, str]) -> None:
    code, status, message = refusal(generate(place, {"prompt": "x"}, config={"durationSeconds": 5}))
    assert (code, status) == (400, "INVALID_ARGUMENT")
    assert "`durationSeconds` is out of bound" in message
    assert "Support codes" in refusal(generate(place, {"prompt": "input_blocked"}))[2]
    assert refusal(generate(place, {"prompt": "x"}, model="veo-2.0-generate-001"))[:2] == (404, "NOT_FOUND")
    stranger = (401, "UNAUTHENTICATED") if place[1] == "vertex" else (400, "INVALID_ARGUMENT")
    assert refusal(generate(place, {"prompt": "x"}, "bad-key"))[:2] == stranger


def test_a_filtered_result_has_a_count_and_a_failed_one_the_raw_status(
    generate: Generate, place: tuple[int, str]
) -> None:
    filtered = generate(place, {"prompt": "safety_filtered"})
    assert (filtered["links"], filtered["filtered"]["raiMediaFilteredCount"]) == ([], 1)
    assert "Support codes" in filtered["filtered"]["raiMediaFilteredReasons"][0]
    assert generate(place, {"prompt": "operation_error"})["failed"]["code"] == 3


def test_the_newest_version_makes_no_videos_on_the_gemini_api(generate: Generate, emulator: Emulator) -> None:
    refused = generate((3, "gemini"), {"prompt": "x"}, "key-new")["error"]
    assert refused["message"].startswith("This method is only supported by the Gemini Enterprise Agent Platform")
    assert emulator.count("key-new") == 0
