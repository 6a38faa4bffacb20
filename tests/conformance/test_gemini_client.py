"""Google's own Python client, in Gemini mode, against the emulator.

Needs `pip install google-genai==2.34.0 "multivideo[sandbox]" pytest`: later versions refuse to make videos on the
Gemini API before they send anything. So it runs in an environment of its own.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import Any

import av
import pytest
from google import genai
from google.genai import errors, types

from multivideo.sandbox import Emulator
from multivideo.sandbox.render import placeholder
from multivideo.sandbox.server import running

MODEL = "veo-3.1-generate-preview"
PICTURE = types.Image(image_bytes=placeholder(640, 360), mime_type="image/png")


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    made = Emulator(latency=0.3)
    yield made
    made.close()


@pytest.fixture(scope="module")
def url(emulator: Emulator) -> Iterator[str]:
    with running(emulator) as url:
        yield url


def connect(url: str, key: str = "key-a", **options: Any) -> genai.Client:
    return genai.Client(
        api_key=key, vertexai=False, http_options=types.HttpOptions(base_url=f"{url}/gemini", **options)
    )


@pytest.fixture
def client(url: str) -> genai.Client:
    return connect(url)


def finish(client: genai.Client, prompt: str | None, model: str = MODEL, **more: Any) -> types.GenerateVideosOperation:
    config = more.pop("config", {})
    operation = client.models.generate_videos(
        model=model,
        source=types.GenerateVideosSource(prompt=prompt, **more),
        config=types.GenerateVideosConfig(**config),
    )
    assert operation.done is None
    while not operation.done:
        time.sleep(0.05)  # real time at a real port: the vendor's client has no other way to wait
        operation = client.operations.get(operation)
    return operation


def film(operation: types.GenerateVideosOperation) -> types.Video:
    """The one video of a finished job."""
    assert operation.error is None
    assert operation.response is not None
    (made,) = operation.response.generated_videos or []
    assert made.video is not None
    return made.video


def measure(data: bytes) -> tuple[int, int, float, float, bool]:
    """Width, height, seconds, frame rate and whether there is sound."""
    with av.open(io.BytesIO(data), "r") as container:
        video = container.streams.video[0]
        frames = sum(1 for _ in container.decode(video))
        rate = float(video.average_rate or 0)
        return video.width, video.height, frames / rate, rate, bool(container.streams.audio)


def test_text_to_video_polls_and_downloads_a_real_file(client: genai.Client) -> None:
    config = {"duration_seconds": 4, "resolution": "720p", "negative_prompt": "text", "number_of_videos": 1}
    video = film(finish(client, "a kite", config=config))
    assert str(video.uri).startswith("https://generativelanguage.googleapis.com/v1beta/files/")
    assert measure(client.files.download(file=video)) == (1280, 720, 4.0, 24.0, True)


def test_first_and_last_frame_in_portrait(client: genai.Client, emulator: Emulator) -> None:
    config = {"aspect_ratio": "9:16", "duration_seconds": 8, "last_frame": PICTURE, "person_generation": "allow_adult"}
    video = film(finish(client, None, image=PICTURE, config=config))
    assert measure(client.files.download(file=video)) == (720, 1280, 8.0, 24.0, True)
    job = emulator.jobs()[-1]
    assert job.draft.clips[0].first_frame == PICTURE.image_bytes
    assert job.request["materials"] == ["image", "lastFrame"]


def test_reference_images(client: genai.Client, emulator: Emulator) -> None:
    reference = types.VideoGenerationReferenceImage(
        image=PICTURE, reference_type=types.VideoGenerationReferenceType.ASSET
    )
    config = {"reference_images": [reference], "duration_seconds": 8, "webhook_config": {"uris": ["https://a.example"]}}
    video = film(finish(client, "the same fox", model="veo-3.1-fast-generate-preview", config=config))
    assert measure(client.files.download(file=video))[2] == 8.0
    assert emulator.jobs()[-1].request["materials"] == ["referenceImages"]


def test_a_downloaded_video_is_extended_by_its_address(client: genai.Client, emulator: Emulator) -> None:
    video = film(finish(client, "a river", config={"duration_seconds": 4}))
    client.files.download(file=video)  # sets the bytes, which may not be sent back
    longer = film(finish(client, "into the sea", video=video, config={"resolution": "720p"}))
    assert longer.uri != video.uri
    assert measure(client.files.download(file=longer)) == (1280, 720, 11.0, 24.0, True)
    assert emulator.jobs()[-1].cost == 7 * 400_000


def test_refusals_become_the_errors_of_the_client(client: genai.Client, url: str) -> None:
    with pytest.raises(errors.ClientError, match="out of bound") as wrong:
        finish(client, "x", config={"duration_seconds": 5})
    assert (wrong.value.code, wrong.value.status) == (400, "INVALID_ARGUMENT")
    with pytest.raises(errors.ClientError, match="Support codes"):
        finish(client, "input_blocked")
    with pytest.raises(errors.ClientError, match="encodedVideo"):
        finish(client, "x", video=types.Video(video_bytes=b"abc", mime_type="video/mp4"))
    with pytest.raises(errors.ClientError, match="allow_adult for personGeneration"):
        finish(client, "x", config={"person_generation": "allow_adult"})
    with pytest.raises(errors.ClientError) as unknown:
        finish(client, "x", model="veo-3.0-generate-001")
    assert (unknown.value.code, unknown.value.status) == (404, "NOT_FOUND")
    with pytest.raises(errors.ClientError, match="API key not valid") as stranger:
        finish(connect(url, "bad-key"), "x")
    assert stranger.value.code == 400


def test_a_file_is_for_the_key_that_made_it(client: genai.Client, url: str) -> None:
    video = film(finish(client, "mine", config={"duration_seconds": 4}))
    other = connect(url, "key-b")
    with pytest.raises(errors.ClientError) as refused:
        other.files.download(file=video)
    assert (refused.value.code, refused.value.status) == (403, "PERMISSION_DENIED")


def test_a_filtered_result_has_a_count_and_no_videos(client: genai.Client) -> None:
    operation = finish(client, "safety_filtered")
    assert operation.error is None
    assert operation.response is not None
    assert operation.response.generated_videos is None
    assert operation.response.rai_media_filtered_count == 1


def test_an_operation_error_is_the_raw_status(client: genai.Client) -> None:
    operation = finish(client, "operation_error")
    assert operation.error is not None
    assert operation.error["code"] == 3


def test_a_retrying_client_starts_a_second_job_after_a_lost_answer(url: str, emulator: Emulator) -> None:
    retry = types.HttpRetryOptions(attempts=2, initial_delay=0.01, max_delay=0.02)
    client = connect(url, "key-retry", retry_options=retry, headers={"x-multivideo-fault": "made=500"})
    client.models.generate_videos(model=MODEL, source=types.GenerateVideosSource(prompt="x"))
    assert emulator.count("key-retry") == 2


def test_a_model_can_be_looked_up(client: genai.Client) -> None:
    assert client.models.get(model=MODEL).supported_actions == ["predictLongRunning"]
