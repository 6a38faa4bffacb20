"""LiteLLM's SDK against the emulator: one set of calls, whichever vendor's door is behind them.

Needs `pip install litellm google-auth requests cryptography "multivideo[sandbox]" pytest`; run with
`nox -s conformance-litellm`, which also keeps LiteLLM from fetching its price list (`LITELLM_LOCAL_MODEL_COST_MAP`).
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import av
import litellm
import pytest
from attrs import frozen
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from litellm import exceptions
from litellm.types.videos.main import VideoObject

from multivideo.sandbox import Emulator
from multivideo.sandbox.render import placeholder
from multivideo.sandbox.server import running


@frozen
class Door:
    """How LiteLLM is told to go to one of the emulator's doors."""

    model: str
    settings: Mapping[str, Any]
    stranger: Mapping[str, Any]
    fps: float

    @property
    def provider(self) -> str:
        return self.model.partition("/")[0]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    made = Emulator(latency=0.3, file_uris="self")  # LiteLLM follows the links of Gemini as they stand
    yield made
    made.close()


@pytest.fixture(scope="module")
def url(emulator: Emulator) -> Iterator[str]:
    with running(emulator) as url:
        yield url


@pytest.fixture(scope="module")
def doors(url: str) -> dict[str, Door]:
    openai, gemini, vertex = f"{url}/openai/v1", f"{url}/gemini", f"{url}/vertex"
    place = {"api_base": vertex, "vertex_project": "demo", "vertex_location": "us-central1"}
    key = private_key()
    found = [
        Door("openai/sora-2", at(openai, "key-a"), at(openai, "bad-key"), 30.0),
        Door("gemini/veo-3.1-generate-preview", at(gemini, "key-a"), at(gemini, "bad-key"), 24.0),
        Door(
            "vertex_ai/veo-3.1-generate-001",
            {**place, "vertex_credentials": account("robot@demo.example", key, url)},
            {**place, "vertex_credentials": account("bad-key", key, url)},
            24.0,
        ),
    ]
    return {door.provider: door for door in found}


def at(api_base: str, api_key: str) -> dict[str, str]:
    return {"api_base": api_base, "api_key": api_key}


def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form).decode()


def account(name: str, key: str, url: str) -> str:
    """A service account as Google writes it to a file, which gets its tokens at the emulator."""
    written = {
        "type": "service_account", "project_id": "demo", "private_key_id": "k1", "private_key": key,
        "client_email": name, "client_id": "1", "token_uri": f"{url}/vertex/token",
    }  # fmt: skip
    return json.dumps(written)


@pytest.fixture(params=["openai", "gemini", "vertex_ai"])
def door(request: pytest.FixtureRequest, doors: dict[str, Door]) -> Door:
    return doors[request.param]


@pytest.fixture
def sora(doors: dict[str, Door]) -> Door:
    return doors["openai"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def create(door: Door, prompt: str, **more: Any) -> VideoObject:
    wanted: dict[str, Any] = {"model": door.model, "seconds": "4", "size": "1280x720", **door.settings, **more}
    job: VideoObject = litellm.video_generation(prompt, **wanted)
    return job


def ended(door: Door, job: VideoObject) -> VideoObject:
    while job.status in {"queued", "in_progress", "processing"}:
        time.sleep(0.05)  # real time at a real port: this client has no other way to wait
        job = litellm.video_status(job.id, **door.settings)
    return job


def film(door: Door, job: VideoObject) -> bytes:
    """The file of a job, which ends well."""
    assert ended(door, job).status == "completed"
    return bytes(litellm.video_content(job.id, **door.settings))


def measure(data: bytes) -> tuple[int, int, float, float, bool]:
    """Width, height, seconds, frame rate and whether there is sound."""
    with av.open(io.BytesIO(data), "r") as container:
        video = container.streams.video[0]
        frames = sum(1 for _ in container.decode(video))
        rate = float(video.average_rate or 0)
        return video.width, video.height, frames / rate, rate, bool(container.streams.audio)


def test_text_to_video_polls_to_a_real_file(door: Door) -> None:
    job = create(door, "a paper boat")
    assert job.usage is not None
    assert job.usage["duration_seconds"] == 4.0
    assert measure(film(door, job)) == (1280, 720, 4.0, door.fps, True)


def test_a_picture_becomes_the_first_frame(door: Door, emulator: Emulator) -> None:
    picture = placeholder(720, 1280)
    job = create(door, "she turns", size="720x1280", seconds="8", input_reference=io.BytesIO(picture))
    assert emulator.jobs()[-1].draft.clips[0].first_frame == picture
    assert measure(film(door, job)) == (720, 1280, 8.0, door.fps, True)


@pytest.mark.anyio
async def test_the_async_calls_make_a_video_too(door: Door) -> None:
    wanted: dict[str, Any] = {"model": door.model, "seconds": "4", "size": "1280x720", **door.settings}
    job = await litellm.avideo_generation("a paper boat", **wanted)
    while job.status != "completed":
        job = await litellm.avideo_status(job.id, **door.settings)
    data = await litellm.avideo_content(job.id, **door.settings)
    assert measure(data) == (1280, 720, 4.0, door.fps, True)


def test_its_price_list_and_the_emulator_agree(door: Door, emulator: Emulator) -> None:
    job = create(door, "a paper boat")
    cost = litellm.completion_cost(completion_response=job, model=door.model, call_type="create_video")
    assert round(cost * 1_000_000) == emulator.jobs()[-1].cost > 0


def test_there_is_no_file_before_the_job_is_done(door: Door) -> None:
    job = create(door, "an early look", extra_headers={"x-multivideo-fault": "stuck"})
    with pytest.raises(Exception, match=r"not (ready|complete) yet"):
        litellm.video_content(job.id, **door.settings)


def test_a_wrong_length_is_a_bad_request(door: Door) -> None:
    with pytest.raises(exceptions.BadRequestError, match=r"seconds|durationSeconds") as wrong:
        create(door, "x", seconds="5")
    assert wrong.value.status_code == 400


def test_an_unknown_model_is_not_found(door: Door) -> None:
    with pytest.raises(exceptions.NotFoundError):
        create(door, "x", model=f"{door.provider}/veo-9")


def test_a_wrong_key_is_refused(door: Door, emulator: Emulator) -> None:
    """What a service account is refused for is not the API's word but the token server's, and told as it came."""
    before = emulator.count()
    kind = exceptions.APIConnectionError if door.provider == "vertex_ai" else exceptions.AuthenticationError
    with pytest.raises(kind, match=r"Incorrect API key|API key not valid|invalid_grant"):
        create(door, "x", **door.stranger)
    assert emulator.count() == before


def test_a_blocked_prompt_is_a_bad_request(door: Door) -> None:
    word, said = ("sentinel_block", "didn't look right") if door.provider == "openai" else ("input_blocked", "Support")
    with pytest.raises(exceptions.BadRequestError, match=said):
        create(door, word)


def test_a_refused_job_ends_without_a_file(door: Door) -> None:
    """On the Gemini API this client takes an operation that ended in an error for a completed one."""
    word, code = ("moderation_blocked", "moderation_blocked") if door.provider == "openai" else ("operation_error", 3)
    job = ended(door, create(door, word))
    if door.provider == "gemini":
        assert (job.status, job.error) == ("completed", None)
    else:
        assert job.status == "failed"
        assert job.error is not None
        assert job.error["code"] == code
    with pytest.raises(Exception, match=r"not ready yet|No response data|No video data"):
        litellm.video_content(job.id, **door.settings)


def test_a_lost_answer_starts_no_second_job(door: Door, emulator: Emulator) -> None:
    before = emulator.count()
    with pytest.raises(exceptions.InternalServerError):
        create(door, "x", extra_headers={"x-multivideo-fault": "made=500"})
    assert emulator.count() == before + 1


def test_jobs_are_listed_page_by_page(sora: Door) -> None:
    mine = {**sora.settings, "api_key": "key-list"}
    ids = [litellm.video_generation("one", model=sora.model, **mine).id for _ in range(3)]
    pages: Any = litellm.video_list(limit=2, **mine)  # a dict, whatever its annotation says
    assert ([row["id"] for row in pages["data"]], pages["has_more"]) == (ids[:0:-1], True)
    last: Any = litellm.video_list(limit=2, after=pages["last_id"], **mine)
    assert ([row["id"] for row in last["data"]], last["has_more"]) == (ids[:1], False)
    other: Any = litellm.video_list(limit=1, order="asc", **mine)
    assert [row["id"] for row in other["data"]] == ids[:1]


def test_a_thumbnail_is_fetched_too(sora: Door) -> None:
    job = ended(sora, create(sora, "a paper boat"))
    assert litellm.video_content(job.id, variant="thumbnail", **sora.settings)[8:12] == b"WEBP"
    assert litellm.video_content(job.id, variant="spritesheet", **sora.settings)[:3] == b"\xff\xd8\xff"


def test_a_remix_an_edit_and_an_extension_go_on_from_a_video(sora: Door) -> None:
    source = ended(sora, create(sora, "a paper boat"))
    jobs = [
        litellm.video_remix(source.id, "now it snows", **sora.settings),
        litellm.video_edit(source.id, "in red", **sora.settings),
        litellm.video_extension(source.id, "it sinks", "4", **sora.settings),
    ]
    measured = [measure(film(sora, job)) for job in jobs]
    assert measured == [(1280, 720, seconds, 30.0, True) for seconds in (4.0, 4.0, 8.0)]


def test_a_character_is_made_read_and_used(sora: Door, emulator: Emulator) -> None:
    clip = io.BytesIO(film(sora, create(sora, "a paper boat")))
    made = litellm.video_create_character("Mossy", clip, **sora.settings)
    assert litellm.video_get_character(made.id, **sora.settings).name == "Mossy"
    create(sora, "Mossy rows", characters=[{"id": made.id}])
    assert emulator.jobs()[-1].request["characters"] == [made.id]


def test_an_unknown_field_is_a_bad_request(sora: Door) -> None:
    with pytest.raises(exceptions.BadRequestError, match="Unknown parameter: 'quality'"):
        create(sora, "x", extra_body={"quality": "hd"})


def test_a_rate_limit_is_told_as_one(door: Door) -> None:
    with pytest.raises(exceptions.RateLimitError):
        create(door, "x", extra_headers={"x-multivideo-fault": "submit=429"})
