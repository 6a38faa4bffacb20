"""OpenAI's own Python client against the emulator: the last 2.x and the newest 3.x, which still has the Videos API.

Needs `pip install "openai>=2.27,<4" "multivideo[sandbox]" pytest`; run with `nox -s conformance conformance-openai3`.
"""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import openai
import pytest
from openai.types import Video

from multivideo.sandbox import Emulator
from multivideo.sandbox.render import placeholder
from multivideo.sandbox.server import running

# The Videos API is deprecated in every client since August 2026; that is known here.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    made = Emulator(latency=0.3)
    yield made
    made.close()


@pytest.fixture(scope="module")
def url(emulator: Emulator) -> Iterator[str]:
    with running(emulator) as url:
        yield url


def connect(url: str, key: str = "key-a", max_retries: int = 0) -> openai.OpenAI:
    return openai.OpenAI(api_key=key, base_url=f"{url}/openai/v1", max_retries=max_retries)


@pytest.fixture
def client(url: str) -> openai.OpenAI:
    return connect(url)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def measure(data: bytes) -> tuple[int, int, float, float, bool]:
    """Width, height, seconds, frame rate and whether there is sound."""
    with av.open(io.BytesIO(data), "r") as container:
        video = container.streams.video[0]
        frames = sum(1 for _ in container.decode(video))
        rate = float(video.average_rate or 0)
        return video.width, video.height, frames / rate, rate, bool(container.streams.audio)


def finished(client: openai.OpenAI, job: Video) -> bytes:
    """The file of a job, which ends well."""
    assert client.videos.poll(job.id, poll_interval_ms=50).status == "completed"
    return client.videos.download_content(job.id).read()


@pytest.fixture(scope="module")
def source(url: str) -> Video:
    """A finished video to go on from."""
    return connect(url).videos.create_and_poll(prompt="a paper boat", size="1280x720", poll_interval_ms=50)


def test_text_to_video_polls_to_a_real_file(client: openai.OpenAI) -> None:
    video = client.videos.create_and_poll(
        prompt="a paper boat", seconds="4", size="1280x720", model="sora-2", poll_interval_ms=50
    )
    assert (video.status, video.progress, video.error) == ("completed", 100, None)
    assert video.expires_at is not None
    assert video.completed_at is not None
    assert video.expires_at - video.completed_at == 86_400
    content = client.videos.download_content(video.id)
    assert content.response.headers["content-type"] == "video/mp4"
    assert measure(content.read()) == (1280, 720, 4.0, 30.0, True)
    assert client.videos.download_content(video.id, variant="thumbnail").read()[8:12] == b"WEBP"
    assert client.videos.download_content(video.id, variant="spritesheet").read()[:3] == b"\xff\xd8\xff"


def test_the_first_frame_goes_as_a_file(client: openai.OpenAI, emulator: Emulator, tmp_path: Path) -> None:
    picture = tmp_path / "first.png"
    picture.write_bytes(placeholder(720, 1280))
    video = client.videos.create_and_poll(prompt="she turns", input_reference=picture, poll_interval_ms=50)
    assert (video.status, video.size, video.seconds) == ("completed", "720x1280", "4")
    assert emulator.jobs()[-1].draft.clips[0].first_frame == picture.read_bytes()
    assert measure(client.videos.download_content(video.id).read())[:2] == (720, 1280)


def test_the_first_frame_goes_as_an_object_where_the_client_lets_it(client: openai.OpenAI, emulator: Emulator) -> None:
    data = b64encode(placeholder(1280, 720)).decode()
    reference: Any = {"image_url": f"data:image/png;base64,{data}"}
    with pytest.raises(RuntimeError, match="input_reference"):  # the client's own: its form takes files only
        client.videos.create(prompt="she turns", size="1280x720", input_reference=reference)
    body = {"prompt": "she turns", "size": "1280x720", "input_reference": reference}
    video = client.post("/videos", body=body, cast_to=Video)
    assert emulator.jobs()[-1].draft.clips[0].first_frame == placeholder(1280, 720)
    assert measure(finished(client, video)) == (1280, 720, 4.0, 30.0, True)


def test_a_first_frame_of_another_size_is_a_bad_request(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="Inpaint image must match") as refused:
        client.videos.create(prompt="x", size="1280x720", input_reference=("a.png", placeholder(640, 360)))
    assert refused.value.request_id is not None


def test_jobs_are_listed_page_by_page_and_deleted(url: str) -> None:
    client = connect(url, "key-list")
    ids = [client.videos.create_and_poll(prompt="one", poll_interval_ms=50).id for _ in range(3)]
    assert [video.id for video in client.videos.list(limit=2)] == ids[::-1]
    page = client.videos.list(limit=2)
    assert ([video.id for video in page.data], page.has_more) == (ids[:0:-1], True)
    assert [video.id for video in client.videos.list(limit=2, after=page.data[-1].id).data] == ids[:1]
    assert client.videos.delete(ids[0]).deleted is True
    assert [video.id for video in client.videos.list(limit=2, order="asc")] == ids[1:]
    with pytest.raises(openai.NotFoundError, match="not found"):
        client.videos.retrieve(ids[0])


def test_content_before_completion_is_not_found(client: openai.OpenAI) -> None:
    video = client.videos.create(prompt="an early look", extra_headers={"x-multivideo-fault": "stuck"})
    assert video.status == "queued"
    with pytest.raises(openai.NotFoundError, match="not ready yet"):
        client.videos.download_content(video.id)


def test_refusals_become_the_exceptions_of_the_client(client: openai.OpenAI, url: str) -> None:
    seconds: Any = "5"
    with pytest.raises(openai.BadRequestError) as wrong:
        client.videos.create(prompt="x", seconds=seconds)
    assert (wrong.value.code, wrong.value.param) == ("invalid_value", "seconds")
    with pytest.raises(openai.BadRequestError, match="didn't look right"):
        client.videos.create(prompt="sentinel_block")
    with pytest.raises(openai.NotFoundError) as unknown:
        client.videos.create(prompt="x", model="sora-9")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as strange:
        client.videos.create(prompt="x", extra_body={"quality": "hd"})
    assert (strange.value.code, strange.value.param) == ("unknown_parameter", "quality")
    with pytest.raises(openai.AuthenticationError):
        connect(url, "bad-key").videos.create(prompt="x")


def test_a_remix_an_edit_and_an_extension_go_on_from_a_video(client: openai.OpenAI, source: Video) -> None:
    remix = client.videos.remix(source.id, prompt="now it snows")
    assert remix.remixed_from_video_id == source.id
    named: Any = {"id": source.id}
    with pytest.raises(RuntimeError, match="video"):  # as with pictures
        client.videos.edit(prompt="in red", video=named)
    edit = client.post("/videos/edits", body={"prompt": "in red", "video": named}, cast_to=Video)
    more = {"prompt": "it sinks", "seconds": "8", "video": named}
    extension = client.post("/videos/extensions", body=more, cast_to=Video)
    assert extension.seconds == "12"
    measured = [measure(finished(client, job)) for job in (remix, edit, extension)]
    assert measured == [(1280, 720, seconds, 30.0, True) for seconds in (4.0, 4.0, 12.0)]


def test_an_uploaded_film_is_edited_and_extended(client: openai.OpenAI, source: Video, emulator: Emulator) -> None:
    film = ("boat.mp4", finished(client, source))
    with pytest.raises(openai.BadRequestError) as unsaid:
        client.videos.edit(prompt="in red", video=film)
    assert (unsaid.value.code, unsaid.value.param) == ("missing_required_parameter", "model")
    edit = client.videos.edit(prompt="in red", video=film, extra_body={"model": "sora-2"})
    assert emulator.jobs()[-1].request["operation"] == "edits"
    extension = client.videos.extend(prompt="it sinks", seconds="4", video=film)
    measured = [measure(finished(client, job)) for job in (edit, extension)]
    assert measured == [(1280, 720, seconds, 30.0, True) for seconds in (4.0, 8.0)]


def test_a_character_is_made_read_and_used(client: openai.OpenAI, source: Video, emulator: Emulator) -> None:
    made = client.videos.create_character(name="Mossy", video=("boat.mp4", finished(client, source)))
    assert made.id is not None
    assert client.videos.get_character(made.id).name == "Mossy"
    client.videos.create(prompt="Mossy rows", extra_body={"characters": [{"id": made.id}]})
    assert emulator.jobs()[-1].request["characters"] == [made.id]
    with pytest.raises(openai.BadRequestError, match="Mossy"):
        client.videos.create(prompt="nobody rows", extra_body={"characters": [{"id": made.id}]})
    with pytest.raises(openai.NotFoundError):
        client.videos.get_character("char_0")


@pytest.mark.anyio
async def test_the_async_client_makes_a_video_too(url: str) -> None:
    async with openai.AsyncOpenAI(api_key="key-async", base_url=f"{url}/openai/v1", max_retries=0) as client:
        picture = ("first.png", placeholder(720, 1280))
        video = await client.videos.create_and_poll(prompt="she turns", input_reference=picture, poll_interval_ms=50)
        content = await client.videos.download_content(video.id)
        assert measure(content.read()) == (720, 1280, 4.0, 30.0, True)
        assert [listed.id async for listed in client.videos.list()] == [video.id]
        assert (await client.videos.delete(video.id)).deleted is True


def test_a_blocked_job_fails_with_its_code(client: openai.OpenAI) -> None:
    video = client.videos.create_and_poll(prompt="moderation_blocked", poll_interval_ms=50)
    assert video.status == "failed"
    assert video.error is not None
    assert video.error.code == "moderation_blocked"


def test_a_rate_limit_is_retried_and_a_drop_after_the_job_makes_a_second_one(url: str, emulator: Emulator) -> None:
    client = connect(url, "key-retry", max_retries=1)
    client.videos.create(prompt="x", extra_headers={"x-multivideo-fault": "submit=429, retry_after=0.01"})
    assert emulator.count("key-retry") == 1
    client.videos.create(prompt="x", extra_headers={"x-multivideo-fault": "made=500"})
    assert emulator.count("key-retry") == 3


def test_a_poll_hint_is_followed(client: openai.OpenAI) -> None:
    video = client.videos.create(prompt="x", extra_headers={"x-multivideo-fault": "poll_after_ms=20"})
    assert client.videos.poll(video.id).status == "completed"
