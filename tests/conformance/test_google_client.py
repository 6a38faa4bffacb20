"""Google's own Python client, in Vertex mode, against the emulator.

Needs `pip install google-genai "multivideo[sandbox]" pytest`; run with `pytest tests/conformance`.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google import genai
from google.genai import errors, types
from google.oauth2 import service_account
from google.oauth2.credentials import Credentials

from multivideo.sandbox import Emulator
from multivideo.sandbox.render import placeholder
from multivideo.sandbox.server import running

MODEL = "veo-3.1-generate-001"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    made = Emulator(latency=0.3)
    yield made
    made.close()


@pytest.fixture(scope="module")
def url(emulator: Emulator) -> Iterator[str]:
    with running(emulator) as url:
        yield url


def connect(url: str, credentials: Any = None, location: str = "us-central1", version: str = "v1") -> genai.Client:
    return genai.Client(
        vertexai=True,
        project="demo",
        location=location,
        credentials=credentials or Credentials("key-a"),  # type: ignore[no-untyped-call] # google-auth has no types
        http_options=types.HttpOptions(base_url=f"{url}/vertex", api_version=version),
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


def videos(operation: types.GenerateVideosOperation) -> list[types.GeneratedVideo]:
    assert operation.error is None
    assert operation.response is not None
    return operation.response.generated_videos or []


def measure(data: bytes | None) -> tuple[int, int, float, float, bool]:
    """Width, height, seconds, frame rate and whether there is sound."""
    assert data is not None
    with av.open(io.BytesIO(data), "r") as container:
        video = container.streams.video[0]
        frames = sum(1 for _ in container.decode(video))
        rate = float(video.average_rate or 0)
        return video.width, video.height, frames / rate, rate, bool(container.streams.audio)


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_text_to_video_gives_a_real_file(url: str, version: str) -> None:
    client = connect(url, version=version)
    config = {"duration_seconds": 4, "resolution": "720p", "aspect_ratio": "16:9", "seed": 7, "generate_audio": True}
    (made,) = videos(finish(client, "a lighthouse at dusk", config=config))
    assert made.video is not None
    assert made.video.mime_type == "video/mp4"
    assert measure(made.video.video_bytes) == (1280, 720, 4.0, 24.0, True)


def test_first_and_last_frame_portrait_and_silent(client: genai.Client, emulator: Emulator) -> None:
    picture = types.Image(image_bytes=placeholder(360, 640), mime_type="image/png")
    config = {"duration_seconds": 8, "aspect_ratio": "9:16", "generate_audio": False, "last_frame": picture}
    (made,) = videos(finish(client, "she turns", image=picture, config=config))
    assert made.video is not None
    assert measure(made.video.video_bytes) == (720, 1280, 8.0, 24.0, False)
    job = emulator.jobs()[-1]
    assert job.draft.clips[0].first_frame == picture.image_bytes
    assert job.request["materials"] == ["image", "lastFrame"]


def test_reference_images_and_several_samples_into_a_bucket(client: genai.Client) -> None:
    reference = types.VideoGenerationReferenceImage(
        image=types.Image(image_bytes=placeholder(640, 360), mime_type="image/png"),
        reference_type=types.VideoGenerationReferenceType.ASSET,
    )
    config = {
        "number_of_videos": 2, "duration_seconds": 8, "output_gcs_uri": "gs://demo-out/run/",
        "reference_images": [reference], "compression_quality": "OPTIMIZED", "labels": {"team": "research"},
    }  # fmt: skip
    made = videos(finish(client, "the same fox", model="veo-3.1-fast-generate-001", config=config))
    uris = [item.video.uri for item in made if item.video is not None]
    assert [str(uri).startswith("gs://demo-out/run/") for uri in uris] == [True, True]


def test_refusals_become_the_errors_of_the_client(client: genai.Client, url: str) -> None:
    with pytest.raises(errors.ClientError, match="out of bound") as wrong:
        finish(client, "x", config={"duration_seconds": 5})
    assert (wrong.value.code, wrong.value.status) == (400, "INVALID_ARGUMENT")
    with pytest.raises(errors.ClientError, match="Support codes"):
        finish(client, "input_blocked")
    with pytest.raises(errors.ClientError) as retired:
        finish(client, "x", model="veo-2.0-generate-001")
    assert (retired.value.code, retired.value.status) == (404, "NOT_FOUND")
    with pytest.raises(errors.ClientError) as elsewhere:
        finish(connect(url, location="europe-west4"), "x")
    assert elsewhere.value.code == 404
    with pytest.raises(errors.ClientError) as stranger:
        finish(connect(url, Credentials("bad-key")), "x")  # type: ignore[no-untyped-call] # google-auth has no types
    assert (stranger.value.code, stranger.value.status) == (401, "UNAUTHENTICATED")


def test_a_filtered_result_has_a_count_and_no_videos(client: genai.Client) -> None:
    operation = finish(client, "safety_filtered")
    assert operation.error is None
    assert operation.response is not None
    assert operation.response.generated_videos is None
    assert operation.response.rai_media_filtered_count == 1
    assert "Support codes" in (operation.response.rai_media_filtered_reasons or [""])[0]


def test_an_operation_error_is_the_raw_status(client: genai.Client) -> None:
    operation = finish(client, "operation_error")
    assert operation.error is not None
    assert operation.error["code"] == 3


def test_a_service_account_gets_its_token_here(url: str, emulator: Emulator, tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    account = {
        "type": "service_account", "project_id": "demo", "private_key_id": "k1", "private_key": pem.decode(),
        "client_email": "robot@demo.example", "client_id": "1", "token_uri": f"{url}/vertex/token",
    }  # fmt: skip
    file = tmp_path / "key.json"
    file.write_text(json.dumps(account))
    credentials = service_account.Credentials.from_service_account_file(  # type: ignore[no-untyped-call] # as above
        str(file), scopes=[SCOPE]
    )
    videos(finish(connect(url, credentials), "a token of one's own", config={"duration_seconds": 4}))
    assert emulator.count("robot@demo.example") == 1
