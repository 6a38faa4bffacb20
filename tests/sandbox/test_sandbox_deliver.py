"""Files that are not what was ordered, and files that arrive spoiled."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache

import av
import numpy as np
import pytest
from attrs import frozen
from numpy.typing import NDArray
from sandbox_calls import Answer, Caller, caller

from multivideo.sandbox import ConnectionLost, Reply
from multivideo.sandbox.flaws import FLAWS
from multivideo.sandbox.render import Clip, render
from multivideo.sandbox.sound import SAMPLE_RATE

pytestmark = pytest.mark.anyio

Array = NDArray[np.float64]


@pytest.fixture
def call() -> Iterator[Caller]:
    made = caller()
    yield made
    made.emulator.close()


# --- inside the file -----------------------------------------------------------------------------------------


@frozen(eq=False)
class Film:
    """The luma of each frame, and the sound."""

    luma: list[Array]
    sound: Array


@cache
def film(*flaws: str) -> Film:
    clip = Clip(
        model="kling-3.0", prompt="a fox", seed=3, width=320, height=180, seconds=1.5, fps=24, audio=True, flaws=flaws
    )
    with av.open(io.BytesIO(render(clip)), "r") as container:
        decoded = list(container.decode())
    pictures = [frame for frame in decoded if isinstance(frame, av.VideoFrame)]
    blocks = [frame.to_ndarray()[0] for frame in decoded if isinstance(frame, av.AudioFrame)]
    return Film([frame.to_ndarray()[:180].astype(float) for frame in pictures], np.concatenate(blocks))


def change(film: Film, index: int) -> float:
    """How much a frame differs from the one before it."""
    return float(np.abs(film.luma[index] - film.luma[index - 1]).mean())


def sharpness(picture: Array) -> float:
    """What a blur by three pixels takes away, on average."""
    small = picture.reshape(60, 3, picture.shape[1])[:, :, :318].mean(1).reshape(60, 106, 3).mean(2)
    return float(np.abs(picture[:, :318] - small.repeat(3, 0).repeat(3, 1)).mean())


def test_a_right_file_moves_in_every_frame_and_sounds_from_the_first_second() -> None:
    right = film()
    assert min(change(right, index) for index in range(1, 36)) > 0.5
    assert right.luma[5].mean() > 30
    assert np.abs(right.sound[:2000]).max() > 0.3


def test_a_frozen_file_shows_one_frame_all_the_time() -> None:
    frozen_film = film("frozen")
    assert len(frozen_film.luma) == 36
    assert max(change(frozen_film, index) for index in range(1, 36)) < 0.5
    assert np.abs(frozen_film.luma[0] - film().luma[0]).mean() < 1


def test_duplicated_frames_come_in_pairs() -> None:
    twice = film("duplicated")
    assert len(twice.luma) == 36
    assert max(change(twice, index) for index in range(1, 36, 2)) < 0.5
    assert min(change(twice, index) for index in range(2, 36, 2)) > 1


def test_a_black_file_is_black_all_over() -> None:
    assert {float(picture.max()) for picture in film("black").luma} == {16.0}
    assert np.abs(film("black").sound).max() > 0.3


def test_an_upscaled_file_has_its_size_but_not_its_detail() -> None:
    right, soft = film().luma[12], film("upscaled").luma[12]
    assert soft.shape == right.shape
    assert sharpness(soft) < 0.75 * sharpness(right)
    assert np.abs(soft - right).mean() < 15


def test_a_silent_file_has_a_sound_track_of_nothing() -> None:
    assert len(film("silent").sound) == len(film().sound)
    assert np.abs(film("silent").sound).max() < 1e-4


def test_late_sound_comes_half_a_second_after_its_picture() -> None:
    late, half = film("late_sound").sound, SAMPLE_RATE // 2
    assert len(late) == len(film().sound)
    assert np.abs(late[: half - 2048]).max() < 0.01
    assert abs(int(np.abs(late).argmax()) - half - int(np.abs(film().sound[:half]).argmax())) < 200


def test_flaws_add_up() -> None:
    both = film("black", "silent")
    assert both.luma[7].max() == 16
    assert np.abs(both.sound).max() < 1e-4


# --- what is ordered of the renderer -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "size", "frames", "fps"),
    [
        ("size", (640, 360), 120, 30),
        ("size:854x481", (854, 480), 120, 30),
        ("seconds", (1280, 720), 90, 30),
        ("seconds:2.5", (1280, 720), 75, 30),
        ("fps", (1280, 720), 96, 24),
        ("fps:25", (1280, 720), 100, 25),
    ],
)
async def test_a_file_can_be_of_another_size_length_or_rate(
    call: Caller, word: str, size: tuple[int, int], frames: int, fps: int
) -> None:
    made = (await call.openai(size="1280x720", seconds="4", fault=f"deliver={word}")).json
    assert (made["size"], made["seconds"]) == ("1280x720", "4")
    (clip,) = call.clips
    assert ((clip.width, clip.height), clip.frames, clip.fps) == (size, frames, fps)
    assert call.emulator.charged() == 400_000


async def test_a_file_of_24_frames_a_second_comes_with_30(call: Caller) -> None:
    await call.kling(fault="deliver=fps")
    assert call.clips[0].fps == 30
    assert call.clips[0].seconds == pytest.approx(5, abs=0.05)


@pytest.mark.parametrize("word", FLAWS)
async def test_every_door_delivers_flawed_files(call: Caller, word: str) -> None:
    for create in (call.openai, call.kling, call.veo):
        assert (await create(fault=f"deliver={word}")).status == 200
    assert [clip.flaws for clip in call.clips] == [(word,)] * 3


async def test_wrong_deliverables_add_up_and_spoil_nobody_else(call: Caller) -> None:
    await call.openai(fault="deliver=black, deliver=silent, deliver=size:320x180")
    await call.openai()
    wrong, right = call.clips
    assert (wrong.flaws, wrong.width) == (("black", "silent"), 320)
    assert (right.flaws, right.width) == ((), 720)


@pytest.mark.parametrize(
    "word", ["", "blue", "size:0x5", "size:5", "seconds:x", "fps:0", "black:1", "size:99999x99999"]
)
async def test_a_wrong_deliverable_that_nobody_knows_is_refused(call: Caller, word: str) -> None:
    answer = await call.openai(fault=f"deliver={word}")
    assert (answer.status, call.emulator.count()) == (400, 0)
    assert "such as deliver=black" in answer.error["message"]


async def test_one_of_several_samples_can_be_missing_at_the_full_price(call: Caller) -> None:
    started = await call.veo(sampleCount=3, fault="deliver=missing_sample")
    whole = await call.veo(sampleCount=3)
    await call.clock.sleep(60)
    assert len((await call.operation(started)).json["response"]["videos"]) == 2
    assert len((await call.operation(whole)).json["response"]["videos"]) == 3
    first, second = call.emulator.jobs()
    assert first.cost == second.cost > 0


async def test_a_lone_video_is_never_missing(call: Caller) -> None:
    made = (await call.openai(fault="deliver=missing_sample")).json["id"]
    await call.clock.sleep(60)
    assert (await call("GET", f"/openai/v1/videos/{made}/content")).status == 200


# --- filters -------------------------------------------------------------------------------------------------


async def test_a_filter_takes_every_video_and_its_price(call: Caller) -> None:
    made = (await call.openai(fault="filtered")).json["id"]
    task = await call.kling(fault="filtered")
    started = await call.veo(sampleCount=2, fault="filtered")
    await call.clock.sleep(60)
    video = (await call("GET", f"/openai/v1/videos/{made}")).json
    assert (video["status"], video["error"]["code"]) == ("failed", "moderation_blocked")
    failed = await call.task(task)
    assert (failed["status"], failed["message"]) == ("failed", "Failure to pass the risk control system")
    response = (await call.operation(started)).json["response"]
    assert (response["raiMediaFilteredCount"], "videos" in response) == (2, False)
    assert call.emulator.charged() == 0


async def test_a_filter_takes_some_videos_and_their_part_of_the_price(call: Caller) -> None:
    whole, started = await call.veo(sampleCount=4), await call.veo(sampleCount=4, fault="filtered=3")
    await call.clock.sleep(60)
    response = (await call.operation(started)).json["response"]
    assert (response["raiMediaFilteredCount"], len(response["videos"])) == (3, 1)
    assert (await call.operation(whole)).json["response"]["raiMediaFilteredCount"] == 0
    full, part = (job.cost for job in call.emulator.jobs())
    assert part * 4 == full


# --- on its way ----------------------------------------------------------------------------------------------


async def finished(call: Caller, fault: str) -> str:
    """The path of a finished file of OpenAI's door whose downloads have that fault."""
    made = (await call.openai(fault=fault)).json["id"]
    await call.clock.sleep(60)
    return f"/openai/v1/videos/{made}/content"


async def until_lost(reply: Reply) -> bytes:
    """What came of a body before its line died."""
    got = b""
    try:
        async for chunk in reply.body:
            got += chunk
    except ConnectionLost:
        return got
    raise AssertionError("the line did not die")


async def fetched(call: Caller, fault: str) -> tuple[Answer, Answer]:
    """The first download, which has the fault, and the second, which has none."""
    path = await finished(call, fault)
    return await call("GET", path), await call("GET", path)


async def test_a_corrupt_file_has_the_length_and_the_beginning_of_the_right_one(call: Caller) -> None:
    wrong, right = await fetched(call, "download_corrupt")
    half = len(right.data) // 2
    assert (len(wrong.data), wrong.data[:half]) == (len(right.data), right.data[:half])
    assert wrong.data[half:] != right.data[half:]


async def test_a_file_can_come_under_another_type(call: Caller) -> None:
    wrong, right = await fetched(call, "download_type=application/octet-stream")
    assert (wrong.reply.header("content-type"), right.reply.header("content-type")) == (
        "application/octet-stream", "video/mp4",
    )  # fmt: skip
    assert wrong.data == right.data


async def test_a_file_can_be_elsewhere(call: Caller) -> None:
    away, right = await fetched(call, "download_redirect=http://127.0.0.2:9/other?a=b")
    assert (away.status, away.reply.header("location")) == (302, "http://127.0.0.2:9/other?a=b")
    assert right.status == 200


async def test_an_address_can_have_expired(call: Caller) -> None:
    wrong, right = await fetched(call, "download_expired")
    assert (wrong.status, right.status) == (403, 200)
    assert b"Request has expired" in wrong.data


async def test_a_dripping_file_takes_its_time_and_is_whole(call: Caller) -> None:
    path = await finished(call, "download_drip=64")
    began = call.clock.monotonic()
    slow = await call("GET", path)
    assert call.clock.monotonic() - began == pytest.approx(64)
    assert slow.data == (await call("GET", path)).data


@pytest.mark.parametrize("fault", ["download_cut", "download_half_body"])
async def test_a_part_that_was_asked_for_is_cut_in_its_own_middle(call: Caller, fault: str) -> None:
    path = await finished(call, fault)
    reply = await call.emulator("GET", path, {"Authorization": "Bearer key-a", "Range": "bytes=100-199"}, b"")
    got = await until_lost(reply)
    assert (reply.status, reply.header("content-length")) == (206, "100")
    assert got == (await call("GET", path)).data[100:150]


async def test_a_link_of_kling_can_die_before_its_file_and_a_new_look_gives_a_new_one(call: Caller) -> None:
    made = await call.kling(fault="link_expires=30")
    await call.clock.sleep(60)
    old = call.link((await call.task(made))["outputs"][0]["url"])
    await call.clock.sleep(30)
    new = call.link((await call.task(made))["outputs"][0]["url"])
    call.key = None
    statuses = [(await call("GET", path)).status for path in (old, new)]
    assert statuses == [403, 200]
