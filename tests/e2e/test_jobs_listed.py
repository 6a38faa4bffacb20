"""`client.jobs()`: what this client holds and what stands in its books, of any process, whatever became of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import multivideo as mv
from multivideo.clock import VirtualClock
from multivideo.jobs.listed import EndedJob
from multivideo.sandbox import Emulator
from multivideo.transport.embedded import HOME
from scenes import PROMPT

pytestmark = pytest.mark.anyio

Opened = Callable[..., mv.AsyncClient]
WISH: dict[str, Any] = {"model": "kling-3.0", "duration": 3, "sidecar": False}
KLING = mv.Kling(api_key="sandbox", base_url=f"{HOME}/kling", vendor_dates=True)
OPENAI = mv.OpenAIVideos(api_key="sandbox", base_url=f"{HOME}/openai/v1", vendor_dates=True)


@pytest.fixture
def opened(clock: VirtualClock, emulator: Emulator, tmp_path: Path) -> Opened:
    """Makes clients that share their books and their clock, as processes one after the other."""

    def make(*accounts: Any) -> mv.AsyncClient:
        client = mv.AsyncClient.sandbox(emulator=emulator, clock=clock, home=tmp_path / "home")
        client.providers = accounts or client.providers
        return client

    return make


def ended(client: mv.AsyncClient, state: Any) -> EndedJob:
    [job] = client.jobs(state)
    assert isinstance(job, EndedJob)
    return job


async def test_a_finished_job_of_an_earlier_process_has_its_file_charge_tags_and_vendor_id(
    opened: Opened, emulator: Emulator, tmp_path: Path
) -> None:
    async with opened() as first:
        made = await first.generate(PROMPT, **WISH, save_to=tmp_path / "boat.mp4", tags={"project": "coast"})
        [job] = first.jobs("finished")
        assert job.video is made, "its own process holds it as it is"
    second = opened()
    job = ended(second, "finished")
    assert (job.id, job.state, job.files, job.charge) == (made.job_id, "finished", (made.path,), made.charge)
    assert job.ref.tags == (("project", "coast"),)
    [attempt] = job.ref.attempts
    [sent] = emulator.jobs()
    assert (attempt.segment, attempt.attempt_id, attempt.vendor.remote_id) == (1, f"{job.id}-1", sent.id)
    assert (await job.status()).state is mv.JobState.SUCCEEDED
    video = await job.wait()
    assert (video.path, video.charge, video.sha256, video.duration) == (
        made.path,
        made.charge,
        made.sha256,
        made.duration,
    )
    assert (video.tags, video.prompt, await job.wait()) == ({"project": "coast"}, None, video)
    assert [event async for event in job][-1].job_id == job.id
    await job.cancel()
    assert (sent.downloads, second.jobs(), second.jobs("failed")) == (1, (), ())


async def test_a_finished_job_whose_file_was_moved_says_so_when_it_is_waited_for(
    opened: Opened, tmp_path: Path
) -> None:
    async with opened() as first:
        await first.generate(PROMPT, **WISH, save_to=tmp_path / "boat.mp4")
    (tmp_path / "boat.mp4").rename(tmp_path / "elsewhere.mp4")
    job = ended(opened(), "finished")
    with pytest.raises(mv.DownloadFailed, match=r"boat\.mp4"):
        await job.wait()
    assert job.state == "failed"


async def test_all_takes_of_a_finished_job_are_measured_again_wherever_the_home_is_now(
    opened: Opened, tmp_path: Path
) -> None:
    async with opened() as first:
        made = await first.generate(PROMPT, **WISH, count=2)
    job = ended(opened(), "finished")
    job._driver.home = tmp_path / "another home"
    video = await job.wait()
    assert [take.path for take in video.takes] == [take.path for take in made.takes]
    assert (video.charge, job.charge, len(job.files)) == (made.charge, made.charge, 2)
    assert [attempt.attempt_id for attempt in job.ref.attempts] == [f"{job.id}-{number}" for number in (1, 2)]


@pytest.mark.parametrize(
    ("word", "kind", "state"),
    [("generation_failed", mv.GenerationFailed, "failed"), ("risk_control", mv.ContentFiltered, "filtered")],
)
async def test_a_failed_job_of_an_earlier_process_says_what_ended_it(
    opened: Opened, word: str, kind: type[mv.MultiVideoError], state: str
) -> None:
    async with opened() as first:
        with pytest.raises(kind):
            await first.generate(f"{PROMPT} {word}", **WISH)
    second = opened()
    job = ended(second, "failed")
    assert (job.files, job.charge, (await job.status()).state.value) == ((), mv.usd(0), state)
    with pytest.raises(kind) as caught:
        await job.wait()
    assert (caught.value.job_id, PROMPT in str(caught.value)) == (job.id, False)
    assert (second.jobs("finished"), second.jobs("open")) == ((), ())


async def test_what_was_refused_stands_among_the_failed_without_a_vendor_id(opened: Opened, emulator: Emulator) -> None:
    async with opened() as first:
        emulator.fault("kling", submit="400@1*1")
        with pytest.raises(mv.MultiVideoError) as refused:
            await first.generate(PROMPT, **WISH)
    job = ended(opened(), "failed")
    assert (job.id, job.ref.attempts[0].vendor.remote_id, job.charge) == (refused.value.job_id, "", mv.usd(0))


async def test_an_open_job_whose_provider_is_not_configured_is_shown_and_cannot_be_waited_for(
    opened: Opened, emulator: Emulator, tmp_path: Path
) -> None:
    async with opened(KLING) as first:
        sent = await first.submit(PROMPT, **WISH, save_to=tmp_path / "boat.mp4", tags={"project": "coast"})
    other = opened(OPENAI)
    [job] = other.jobs()
    assert (job.id, job.state, job.ref.tags) == (sent.id, "open", (("project", "coast"),))
    assert job.ref.attempts[0].vendor.remote_id == emulator.jobs()[0].id
    for ask in (job.wait, job.status, job.cancel):
        with pytest.raises(mv.InvalidRequest, match="not configured") as caught:
            await ask()
        assert "'kling'" in caught.value.hint
        assert (caught.value.charged, caught.value.ref) == ("held", job.ref)
    with pytest.raises(mv.InvalidRequest, match="not configured"):
        [event async for event in job]
    assert await other.nudge(mv.WebhookEvent("d-1", emulator.jobs()[0].id, "succeeded", "kling")) == 0
    [there] = opened(KLING).jobs()
    assert (await there.wait()).path == tmp_path / "boat.mp4"


async def test_jobs_come_newest_first_up_to_a_limit_and_from_a_day_on(opened: Opened, clock: VirtualClock) -> None:
    made: list[str] = []
    for number in range(4):
        client = opened()
        job = await client.submit(f"{PROMPT} {number}", **WISH)
        made.insert(0, job.id)
        if number % 2:
            await job.wait()
        await clock.sleep(86_400)
    second = opened()
    open_ones, finished = [made[1], made[3]], [made[0], made[2]]
    assert [job.id for job in second.jobs()] == open_ones
    assert [job.id for job in second.jobs("finished")] == finished
    assert [job.id for job in second.jobs("all")] == made
    assert [job.id for job in second.jobs("all", limit=3)] == made[:3]
    assert [job.id for job in second.jobs(limit=1)] == open_ones[:1]
    begin = dt.datetime.fromtimestamp(clock.wall(), dt.UTC)
    assert [job.id for job in second.jobs("all", since=begin - dt.timedelta(days=2, hours=1))] == made[:2]
    assert second.jobs("all", since=begin.date() + dt.timedelta(days=1)) == ()


async def test_a_job_that_this_client_holds_stands_once_and_in_its_place(opened: Opened, clock: VirtualClock) -> None:
    async with opened() as first:
        old = await first.submit(PROMPT, **WISH)
        await clock.sleep(60)
        second = opened()
        new = await second.submit(PROMPT, **WISH)
        assert [job.id for job in second.jobs()] == [new.id, old.id]
        assert second.jobs()[0] is new
        await new.wait()
        assert [job.id for job in second.jobs()] == [old.id]
        assert second.jobs("all")[0] is new
        assert second.jobs("all", since=dt.datetime.fromtimestamp(clock.wall() + 1, dt.UTC)) == ()


async def test_of_the_ended_ones_a_hundred_are_shown_where_no_limit_is_given(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened() as first:
        for number in range(3):
            await first.submit(f"{PROMPT} {number}", **WISH)
    monkeypatch.setattr("multivideo.client.JOBS_SHOWN", 2)
    assert (len(opened().jobs("all")), len(opened().jobs())) == (2, 3)


@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        ({"state": "done", "limit": 0}, ["state", "limit"]),
        ({"limit": True, "since": "2026-11-01"}, ["limit", "since"]),
        ({"state": None, "limit": "7"}, ["state", "limit"]),
    ],
)
async def test_what_cannot_be_listed_is_named(opened: Opened, wrong: dict[str, Any], fields: list[str]) -> None:
    with pytest.raises(mv.InvalidRequest) as caught:
        opened().jobs(**wrong)
    assert [problem.field for problem in caught.value.problems] == fields
