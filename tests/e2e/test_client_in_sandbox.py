"""The whole way of a request, through every floor, against the emulator."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import av
import numpy as np
import pytest
from PIL import Image

import multivideo as mv
from multivideo.clock import VirtualClock
from multivideo.sandbox import ConnectionLost, Emulator
from multivideo.sandbox.render import Clip, overlay_box
from multivideo.transport.embedded import HOME
from scenes import PROMPT, cached_render

pytestmark = pytest.mark.anyio
Sandbox = Callable[..., mv.AsyncClient]

MADE = {
    "sora-2": ("openai", 4, 30, True, mv.usd("0.40")),
    "kling-3.0": ("kling", 3, 24, False, mv.usd("0.252")),
    "veo-3.1": ("vertex", 4, 24, True, mv.usd("1.60")),
}


@pytest.mark.parametrize("model", MADE)
async def test_one_call_makes_a_measured_video(
    sandbox: Sandbox, emulator: Emulator, tmp_path: Path, model: str
) -> None:
    provider, seconds, fps, audio, price = MADE[model]
    events: list[mv.Event] = []
    async with sandbox() as client:
        quote = client.quote(PROMPT, model=model, duration=seconds)
        video = await client.generate(
            PROMPT,
            model=model,
            duration=seconds,
            save_to=tmp_path / "boat.mp4",
            tags={"for": "test"},
            on_event=events.append,
        )
    assert (video.model, video.provider, video.path) == (model, provider, tmp_path / "boat.mp4")
    assert (video.width, video.height, video.fps, video.has_audio) == (1280, 720, fps, audio)
    assert abs(video.duration - seconds) < 0.1
    assert video.check.ok
    assert video.check.how == "decoded"
    assert video.charge == quote.amount == price
    assert video.certainty == ("reported" if provider == "kling" else "derived")
    assert video.prompt == PROMPT
    assert video.tags == {"for": "test"}
    assert video.size_bytes == video.path.stat().st_size
    assert (emulator.count(), emulator.charged()) == (1, price.micro_usd)
    kinds = [type(event).__name__ for event in events if not isinstance(event, mv.Progress)]
    assert kinds == ["Planned", "Submitted", "Downloaded", "Settled", "Finished"]
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert isinstance(events[2], mv.Progress), "the reference is handed out before the first look"
    assert sorted(os.listdir(tmp_path)) == ["boat.mp4", "boat.mp4.json"], "no temporary file is left"


@pytest.mark.parametrize(
    ("model", "size"), [("sora-2", (720, 1280)), ("kling-3.0", (720, 1280)), ("veo-3.1", (720, 1280))]
)
async def test_a_first_frame_opens_the_video(
    sandbox: Sandbox, tmp_path: Path, model: str, size: tuple[int, int]
) -> None:
    across, down = np.meshgrid(np.linspace(0, 255, size[0]), np.linspace(0, 255, size[1]))
    image = Image.fromarray(np.stack([across, down, 255 - across], axis=-1).astype("uint8"))
    image.save(tmp_path / "first.png")
    async with sandbox() as client:
        plan = client.plan(PROMPT, model=model, duration=MADE[model][1], first_frame=tmp_path / "first.png")
        video = await client.generate(plan, save_to=tmp_path / "out.mp4")
    assert plan.segments[0].mode is mv.Mode.FIRST_FRAME
    assert (video.width, video.height) == size, "left out, the shape is that of the first frame"
    frame = first_picture(video.path)
    _, box_top, _, _ = overlay_box(*size)
    got = np.asarray(frame.convert("L"), dtype=float)[:box_top]
    want = np.asarray(image.convert("L"), dtype=float)[:box_top]
    assert np.abs(got - want).mean() < 6


@pytest.mark.parametrize(("model", "audio"), [("kling-3.0", True), ("veo-3.1", False)])
async def test_sound_is_had_or_not_as_asked_and_priced_so(sandbox: Sandbox, model: str, audio: bool) -> None:
    async with sandbox() as client:
        video = await client.generate(PROMPT, model=model, duration=4, audio=audio)
        assert video.has_audio is audio
        assert video.charge != client.quote(PROMPT, model=model, duration=4, audio=not audio).amount


@pytest.mark.parametrize(
    ("model", "word", "charged"),
    [
        ("sora-2", "moderation_blocked", "unknown"),
        ("kling-3.0", "risk_control", "no"),
        ("veo-3.1", "safety_filtered", "no"),
    ],
)
async def test_filtered_after_acceptance_is_an_error_with_its_cost(
    sandbox: Sandbox, emulator: Emulator, model: str, word: str, charged: str
) -> None:
    async with sandbox() as client:
        with pytest.raises(mv.ContentFiltered) as caught:
            await client.generate(f"{PROMPT} {word}", model=model, duration=4)
        [job] = client.jobs("failed")
    assert caught.value.charged == charged
    assert caught.value.charge is not None
    assert caught.value.job_id == job.id
    assert PROMPT not in str(caught.value)
    assert emulator.count() == 1


@pytest.mark.parametrize(
    ("model", "word"), [("sora-2", "sentinel_block"), ("kling-3.0", "content_policy"), ("veo-3.1", "input_blocked")]
)
async def test_refused_at_submit_costs_nothing(sandbox: Sandbox, emulator: Emulator, model: str, word: str) -> None:
    async with sandbox() as client:
        with pytest.raises(mv.ContentFiltered) as caught:
            await client.generate(f"{PROMPT} {word}", model=model, duration=4)
        assert client.jobs() == ()
    assert caught.value.charged == "no"
    assert emulator.count() == 0


@pytest.mark.parametrize("model", MADE)
async def test_a_failed_job_says_what_it_cost(sandbox: Sandbox, model: str) -> None:
    word = {"sora-2": "video_generation_failed", "kling-3.0": "generation_failed", "veo-3.1": "operation_error"}[model]
    async with sandbox() as client:
        with pytest.raises(mv.ProviderError) as caught:
            await client.generate(f"{PROMPT} {word}", model=model, duration=4)
    assert "assumed" in caught.value.cost or "derived" in caught.value.cost


@pytest.mark.parametrize(
    "account",
    [
        mv.OpenAIVideos(api_key="bad-key", base_url=f"{HOME}/openai/v1"),
        mv.Kling(api_key="bad-key", base_url=f"{HOME}/kling"),
        mv.Veo(project="p", credentials=mv.BearerToken("bad-key"), base_url=f"{HOME}/vertex"),
    ],
    ids=lambda account: account.name,
)
async def test_a_bad_key_is_named_as_such_and_not_shown(
    emulator: Emulator, clock: VirtualClock, tmp_path: Path, account: Any
) -> None:
    client = mv.AsyncClient(providers=[account], clock=clock, home=tmp_path)
    client._emulator = emulator
    with pytest.raises(mv.AuthenticationFailed) as caught:
        await client.generate(PROMPT, duration=4)
    assert (caught.value.charged, caught.value.fault, caught.value.provider) == ("no", "caller", account.name)
    assert "bad-key" not in str(caught.value)
    assert emulator.count() == 0


async def test_at_the_deadline_the_job_goes_on_and_can_be_resumed_anywhere(
    sandbox: Sandbox, emulator: Emulator, tmp_path: Path
) -> None:
    async with sandbox() as client:
        with pytest.raises(mv.StillRunning) as caught:
            await client.generate(PROMPT, model="kling-3.0", duration=3, deadline=20, save_to=tmp_path / "late.mp4")
        error = caught.value
        assert (error.charged, error.retryable) == ("held", True)
        stored = error.job.ref.to_json()
        assert (await client.resume(error.job.id)) is error.job
        video = await error.job.wait(deadline=600)
    assert PROMPT not in stored
    async with sandbox() as other:
        again = await (await other.resume(stored)).wait()
    assert video.path == again.path == tmp_path / "late.mp4"
    assert again.sha256 == video.sha256
    assert (video.prompt, again.prompt) == (PROMPT, None)
    assert again.charge == video.charge
    assert emulator.count() == 1


async def test_a_deadline_that_passes_before_anything_is_taken_costs_nothing(
    sandbox: Sandbox, emulator: Emulator
) -> None:
    emulator.fault("kling", submit="429@1*1000")
    async with sandbox() as client:
        with pytest.raises(mv.ProviderUnavailable, match="within 30 s") as caught:
            await client.generate(PROMPT, model="kling-3.0", duration=3, deadline=30)
    assert caught.value.charged == "no"
    assert emulator.count() == 0


async def test_submit_returns_at_once_and_many_may_wait_and_listen(sandbox: Sandbox) -> None:
    heard: list[list[str]] = [[], []]
    async with sandbox() as client:
        job = await client.submit(PROMPT, model="veo-3.1", duration=4)
        assert (job.state, client.jobs("open")) == ("open", (job,))
        assert (await job.status()).state == "running"

        async def listen(place: list[str]) -> None:
            async for event in job:
                place.append(type(event).__name__)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen, heard[0])
            tasks.start_soon(listen, heard[1])
            tasks.start_soon(job.wait)
        assert job.state == "finished"
    assert heard[0] == heard[1]
    assert heard[0][-1] == "Finished"
    assert heard[0][:2] == ["Planned", "Submitted"]


async def test_listening_alone_drives_the_job_to_its_end(sandbox: Sandbox) -> None:
    async with sandbox() as client:
        job = await client.submit(PROMPT, model="sora-2", duration=4)
        events = [event async for event in job]
        percents = [event.percent for event in events if isinstance(event, mv.Progress)]
        assert percents[-1] == 100
        assert percents == sorted(percents)  # type: ignore[type-var]
        assert (await job.wait()).check.ok


async def test_a_waiter_that_leaves_does_not_stop_the_others(sandbox: Sandbox) -> None:
    async with sandbox() as client:
        jobs = [await client.submit(PROMPT, model="sora-2", duration=4) for _ in range(3)]
        done: list[mv.Video] = []

        async def wait(job: mv.Job) -> None:
            done.append(await job.wait())

        async with anyio.create_task_group() as tasks:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as leaver:
                    leaver.start_soon(jobs[0].wait)
                    await anyio.lowlevel.checkpoint()
                    tasks.start_soon(wait, jobs[1])
                    tasks.start_soon(wait, jobs[2])
                    await anyio.lowlevel.checkpoint()
                    scope.cancel()
        assert len(done) == 2
        assert (await jobs[0].wait()).check.ok


async def test_no_vendor_here_can_cancel_and_that_is_said(sandbox: Sandbox) -> None:
    async with sandbox() as client:
        job = await client.submit(PROMPT, model="kling-3.0", duration=3)
        with pytest.raises(mv.UnsupportedFeature, match="will be charged") as caught:
            await job.cancel()
        assert caught.value.charged == "held"
        assert (await job.wait()).check.ok


@pytest.mark.parametrize(("model", "calls"), [("veo-3.1", 1), ("kling-3.0", 3)])
async def test_takes_come_as_samples_of_one_call_or_as_several_calls(
    sandbox: Sandbox, emulator: Emulator, tmp_path: Path, model: str, calls: int
) -> None:
    async with sandbox() as client:
        quote = client.quote(PROMPT, model=model, duration=4, count=3)
        video = await client.generate(PROMPT, model=model, duration=4, count=3, save_to=tmp_path / "take.mp4")
    assert [take.path.name for take in video.takes] == ["take.mp4", "take-2.mp4", "take-3.mp4"]
    assert video.charge == quote.amount
    assert sum((take.charge for take in video.takes), mv.usd(0)) == video.charge
    assert emulator.count() == calls
    assert emulator.charged() == video.charge.micro_usd
    assert video.check.ok


async def test_a_filtered_take_is_missed_not_hidden_and_not_paid(sandbox: Sandbox, emulator: Emulator) -> None:
    async with sandbox() as client:
        video = await client.generate(f"{PROMPT} filter_one", model="veo-3.1", duration=4, count=3)
        price = client.quote(PROMPT, model="veo-3.1", duration=4).amount
    assert len(video.takes) == 2
    assert [fault.name for fault in video.check.faults] == ["takes"]
    assert video.charge == price * 2
    assert emulator.charged() == video.charge.micro_usd


async def test_what_nothing_confirms_is_asked_only_on_request_and_then_measured(sandbox: Sandbox) -> None:
    wish = mv.VideoRequest(PROMPT, model="kling-3.0", resolution="4k", fps=60, duration=3)
    async with sandbox() as client:
        with pytest.raises(mv.UnsupportedFeature, match="Nothing confirms"):
            await client.generate(wish)
        with pytest.raises(mv.DeliverableMismatch) as caught:
            await client.generate(wish, accept_unconfirmed=True)
    error = caught.value
    assert error.charge == mv.usd("1.26")
    assert error.charged == "yes"
    assert error.video is not None
    assert error.video.path.exists()
    assert (error.video.width, error.video.fps) == (3840, 24)


async def test_a_lost_answer_to_a_submit_is_unknown_and_never_sent_twice(sandbox: Sandbox, emulator: Emulator) -> None:
    for door, model in (("openai", "sora-2"), ("kling", "kling-3.0"), ("vertex", "veo-3.1")):
        emulator.fault(door, made_drop=True)
        async with sandbox() as client:
            with pytest.raises(mv.OutcomeUnknown) as caught:
                await client.generate(PROMPT, model=model, duration=4)
        assert (caught.value.charged, caught.value.retryable) == ("unknown", False)
        assert emulator.count(door=door) == 1


async def test_what_never_left_is_sent_again_and_paid_once(sandbox: Sandbox, emulator: Emulator) -> None:
    emulator.fault("openai", submit_unsent="@1*2")
    events: list[mv.Event] = []
    async with sandbox() as client:
        await client.generate(PROMPT, model="sora-2", duration=4, on_event=events.append)
    assert [event.tries for event in events if isinstance(event, mv.Retried)] == [1, 2]
    assert emulator.count() == 1


@pytest.mark.parametrize(
    "fault", ["poll=503@1*2", "poll_drop@2", "unknown_status@1*2", "download_cut", "download_short"]
)
@pytest.mark.parametrize(("door", "model"), [("openai", "sora-2"), ("kling", "kling-3.0"), ("vertex", "veo-3.1")])
async def test_faults_that_pass_cost_nothing(
    sandbox: Sandbox, emulator: Emulator, door: str, model: str, fault: str
) -> None:
    name, _, value = fault.partition("=") if "=" in fault else fault.partition("@")
    words: dict[str, Any] = {name: value if "=" in fault else f"@{value}" if value else True}
    emulator.fault(door, **words)
    async with sandbox() as client:
        video = await client.generate(PROMPT, model=model, duration=4)
    assert video.check.ok
    assert emulator.count() == 1


async def test_a_budget_holds_before_anything_is_sent(sandbox: Sandbox, emulator: Emulator) -> None:
    async with sandbox() as client:
        with pytest.raises(mv.BudgetExceeded) as caught:
            await client.generate(PROMPT, model="veo-3.1", duration=8, budget=mv.usd("3"))
        assert "3.20 USD > 3.00 USD" in caught.value.allowed
        cheap = client.plan(PROMPT, duration=8, budget=mv.usd("1"))
        assert all(candidate.quote.upper_bound <= mv.usd("1") for candidate in cheap.candidates)
        assert cheap.candidates
    assert emulator.count() == 0


async def test_a_folder_that_cannot_be_written_is_told_before_anything_is_sent(
    sandbox: Sandbox, emulator: Emulator, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    async with sandbox() as client:
        with pytest.raises(mv.InvalidRequest) as caught:
            await client.generate(PROMPT, model="kling-3.0", save_to=tmp_path / "file" / "out.mp4")
    assert caught.value.field == "save_to"
    assert emulator.count() == 0


async def test_vendor_parameters_pass_through_the_marked_door(sandbox: Sandbox, emulator: Emulator) -> None:
    async with sandbox() as client:
        await client.generate(
            PROMPT, model="kling-3.0", duration=3, options={"kling": {"options": {"watermark_info": {"enabled": True}}}}
        )
        with pytest.raises(mv.InvalidRequest) as caught:
            await client.generate(PROMPT, model="kling-3.0", options={"kling": {"settings": {"duration": 15}}})
    assert caught.value.field == "options"
    assert emulator.count() == 1


async def test_a_listener_that_raises_does_not_stop_a_paid_job(sandbox: Sandbox) -> None:
    def broken(event: mv.Event) -> None:
        raise RuntimeError("listener")

    async with sandbox() as client:
        assert (await client.generate(PROMPT, model="kling-3.0", duration=3, on_event=broken)).check.ok


async def test_an_async_listener_is_awaited(sandbox: Sandbox) -> None:
    heard = []

    async def listen(event: mv.Event) -> None:
        await anyio.lowlevel.checkpoint()
        heard.append(event.sequence)

    async with sandbox() as client:
        await client.generate(PROMPT, model="kling-3.0", duration=3, on_event=listen)
    assert heard == sorted(heard)
    assert len(heard) >= 6


async def test_retired_at_the_vendor_and_served_at_an_address_of_ones_own(tmp_path: Path) -> None:
    day = dt.date(2026, 11, 22)
    at_vendor = mv.AsyncClient(providers=[mv.OpenAIVideos(api_key="k")], home=tmp_path)
    plan = at_vendor.plan(PROMPT, model="sora-2", as_of=day)
    assert [row.name for row in plan.rejected] == ["sora-2@openai"]
    assert "retired 2026-09-24" in str(plan.rejected[0].reasons[0])
    own = mv.OpenAIVideos(api_key="k", base_url="https://gateway.example/v1", name="gateway")
    plan = mv.AsyncClient(providers=[own], home=tmp_path).plan(PROMPT, model="sora-2@gateway", as_of=day)
    assert plan.provider == "gateway"
    assert plan.quote is not None
    assert plan.quote.certainty == "assumed"


async def test_opening_and_planning_write_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    async with sandbox() as client:
        assert client.plan(PROMPT).candidates
    assert os.listdir(tmp_path) == []


async def test_without_any_key_everything_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KLING_API_KEY", "KLINGAI_API_KEY", "OPENAI_API_KEY", "GOOGLE_CLOUD_PROJECT", "GEMINI_API_KEY",
                 "GOOGLE_API_KEY", "KLING_ACCESS_KEY", "KLING_SECRET_KEY", "MULTIVIDEO_SANDBOX"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    client = mv.AsyncClient(home=tmp_path)
    assert client.plan(PROMPT).candidates == ()
    with pytest.raises(mv.NoProviderConfigured) as caught:
        await client.generate(PROMPT)
    for word in ("KLING_API_KEY", "OPENAI_API_KEY", "GOOGLE_CLOUD_PROJECT", "sandbox"):
        assert word in str(caught.value)


async def test_a_video_is_extended_where_it_was_made(sandbox: Sandbox, emulator: Emulator) -> None:
    async with sandbox() as client:
        for model, added, total in (("sora-2", 4, 8), ("veo-3.1", 7, 11)):
            video = await client.generate(PROMPT, model=model, duration=4)
            plan = client.plan(PROMPT, model=model, source_video=video, mode="extend", duration=added)
            longer = await client.extend(video, seconds=added)
            assert plan.quote is not None
            assert longer.charge == plan.quote.amount
            assert longer.check.ok
            assert round(longer.duration) == total
            assert (longer.width, longer.height) == (video.width, video.height)
    assert emulator.count() == 4


@pytest.mark.parametrize("mode", ["edit", "remix"])
async def test_a_video_is_changed_where_it_was_made(sandbox: Sandbox, emulator: Emulator, mode: Any) -> None:
    async with sandbox() as client:
        video = await client.generate(PROMPT, model="sora-2", duration=4, aspect_ratio="9:16")
        changed = await client.edit(video, "the same in snow", mode=mode)
        assert (changed.width, changed.height, round(changed.duration)) == (720, 1280, 4)
        assert changed.check.ok
        assert changed.charge == video.charge
    assert emulator.count() == 2


async def test_what_cannot_be_extended_or_changed_is_refused_by_name(sandbox: Sandbox, emulator: Emulator) -> None:
    async with sandbox() as client:
        kling = await client.generate(PROMPT, model="kling-3.0", duration=3)
        for model in ("kling-3.0", "kling-3.0-turbo"):
            for wish in (
                client.extend(kling, seconds=5, model=model),
                client.edit(kling, "in snow", model=model),
            ):
                with pytest.raises(mv.UnsupportedFeature) as caught:
                    await wish
                assert caught.value.field == "source_video"
        with pytest.raises(mv.UnsupportedFeature, match="source video"):
            await client.generate(PROMPT, model="sora-2", source_video=kling, mode="remix")
    assert emulator.count() == 1


async def test_a_model_that_cannot_go_on_leaves_it_to_one_of_its_vendor_that_can(sandbox: Sandbox) -> None:
    async with sandbox() as client:
        kling = await client.generate(PROMPT, model="kling-3.0", duration=3, audio=True)
        longer, changed = await client.extend(kling, seconds=5), await client.edit(kling, "the same in snow")
    assert (longer.model, round(longer.duration), longer.has_audio) == ("kling-3.0-omni", 5, False)
    assert (changed.model, round(changed.duration), changed.has_audio) == ("kling-3.0-omni", 3, True)
    assert longer.check.ok
    assert changed.check.ok


def test_a_client_in_a_second_event_loop_says_so(tmp_path: Path) -> None:
    client = mv.AsyncClient.sandbox(home=tmp_path, latency=0)

    async def submit() -> None:
        await client.submit(PROMPT, model="kling-3.0", duration=3)

    anyio.run(submit)
    with pytest.raises(mv.InvalidRequest, match="another event loop"):
        anyio.run(submit)


async def test_three_hundred_jobs_of_two_minutes_in_virtual_time(
    clock: VirtualClock, sandbox: Sandbox, tmp_path: Path
) -> None:
    crowd = Emulator(clock=clock, latency=120.0, render=lambda clip: small(), kling_slots=1000)
    done: list[mv.Video] = []

    async def one(client: mv.AsyncClient, model: str) -> None:
        done.append(await client.generate(PROMPT, model=model, duration=4))

    async with mv.AsyncClient.sandbox(emulator=crowd, clock=clock, home=tmp_path) as client:
        async with anyio.create_task_group() as tasks:
            for number in range(300):
                tasks.start_soon(one, client, list(MADE)[number % 3])
    assert len({video.path for video in done}) == 300
    assert crowd.count() == 300
    assert sum(video.charge.micro_usd for video in done) == crowd.charged()
    assert clock.monotonic() < 180


def first_picture(path: Path) -> Image.Image:
    with av.open(str(path)) as container:
        picture: Image.Image = next(container.decode(video=0)).to_image()  # type: ignore[no-untyped-call]
    return picture


def small() -> bytes:
    """A tiny real video, the same for every job."""

    return cached_render(Clip(model="any", prompt="", seed=0, width=64, height=36, seconds=1, fps=24, audio=False))


def test_the_stored_reference_is_plain_json_without_prompt_or_key(tmp_path: Path) -> None:
    async def submit() -> str:
        async with mv.AsyncClient.sandbox(home=tmp_path, latency=0) as client:
            return (await client.submit(PROMPT, model="kling-3.0", duration=3)).ref.to_json()

    data = json.loads(anyio.run(submit))
    assert data["multivideo"] == 1
    assert data["attempts"][0]["vendor"]["provider"] == "kling"
    assert PROMPT not in json.dumps(data)


def test_pictures_come_in_every_accepted_form(tmp_path: Path) -> None:
    image = Image.new("RGB", (1280, 720), "navy")
    out = io.BytesIO()
    image.save(out, format="JPEG")
    (tmp_path / "first.jpg").write_bytes(out.getvalue())
    client = mv.AsyncClient.sandbox(home=tmp_path)
    for source in (tmp_path / "first.jpg", str(tmp_path / "first.jpg"), out.getvalue(), image):
        assert client.plan(PROMPT, first_frame=source, model="sora-2").provider == "openai"
    assert client.plan(PROMPT, first_frame="https://example.com/a.png", model="veo-3.1", aspect_ratio="16:9").rejected


@pytest.mark.parametrize(("door", "model"), [("openai", "sora-2"), ("kling", "kling-3.0")])
async def test_a_download_that_failed_for_good_is_fetched_again_without_paying(
    sandbox: Sandbox, emulator: Emulator, tmp_path: Path, door: str, model: str
) -> None:
    emulator.fault(door, download_html="@1*32")
    async with sandbox() as client:
        with pytest.raises(mv.MultiVideoError) as caught:
            await client.generate(PROMPT, model=model, duration=4, save_to=tmp_path / "again.mp4")
        [job] = client.jobs("open")
        assert caught.value.job_id == job.id
        video = await job.wait(deadline=600)
    assert video.check.ok
    assert sorted(os.listdir(tmp_path)) == ["again.mp4", "again.mp4.json"]
    assert emulator.count() == 1


async def test_asking_for_the_status_of_a_finished_job_leaves_its_files_to_it(
    sandbox: Sandbox, clock: VirtualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    async with sandbox() as client:
        job = await client.submit(PROMPT, model="veo-3.1", duration=4, save_to=tmp_path / "a.mp4")
        await clock.sleep(100)
        assert (await job.status()).state == "succeeded"
        assert (await job.status()).state == "succeeded"
        assert (await job.wait()).check.ok
    assert sorted(os.listdir(tmp_path)) == ["a.mp4", "a.mp4.json"]


@pytest.mark.parametrize(
    ("model", "wish", "seconds"),
    [
        ("kling-3.0", {"first_frame": 1, "last_frame": 1}, 5),
        ("kling-2.6", {"first_frame": 1, "last_frame": 1, "resolution": "1080p"}, 5),
        ("kling-3.0-omni", {"reference_images": 3}, 4),
        ("kling-3.0", {"shots": [mv.Shot("at dawn", 2), mv.Shot("at noon", 3)]}, None),
        ("kling-3.0-turbo", {"shots": [mv.Shot("at dawn", 2), mv.Shot("at noon", 3)]}, None),
        ("veo-3.1", {"first_frame": 1, "last_frame": 1}, 8),
        ("veo-3.1-fast", {"reference_images": 2}, 8),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_pictures_and_shots_make_a_video_as_ordered(
    sandbox: Sandbox, emulator: Emulator, model: str, wish: dict[str, Any], seconds: int | None
) -> None:
    image = Image.new("RGB", (1280, 720), "navy")
    pictures = {
        name: [image] * n if name == "reference_images" else image for name, n in wish.items() if n in (1, 2, 3)
    }
    request = mv.VideoRequest(PROMPT, model=model, duration=seconds, **{**wish, **pictures})
    async with sandbox() as client:
        quote = client.quote(request)
        video = await client.generate(request)
    assert video.check.ok
    assert video.charge == quote.amount
    assert emulator.charged() == video.charge.micro_usd


async def test_a_failure_whose_words_repeat_the_prompt_is_told_without_them(sandbox: Sandbox) -> None:
    async with sandbox() as client:
        job = await client.submit(PROMPT, model="kling-3.0", duration=3)
        [attempt] = job.attempts
        said = mv.GenerationFailed(f"kling ended the job: cannot make '{PROMPT.upper()}'.")
        status = mv.JobStatus(attempt.ref.vendor.remote_id, mv.JobState.FAILED, "failed", error=said)
        await client._driver._give_up(job, attempt, status)
        with pytest.raises(mv.GenerationFailed) as caught:
            await job.wait()
    assert PROMPT.lower() not in str(caught.value).lower()
    assert "repeats the prompt" in str(caught.value)


class Silent(Emulator):
    """Takes every order, and lets the connection die half a minute later."""

    async def __call__(self, method: str, path: str, headers: Any, body: bytes) -> Any:
        reply = await super().__call__(method, path, headers, body)
        if method == "POST" and path.startswith("/openai"):
            await self.clock.sleep(30)
            raise ConnectionLost(sent=True)
        return reply


async def test_a_deadline_does_not_hide_that_the_answer_to_a_paid_submit_was_lost(
    clock: VirtualClock, tmp_path: Path
) -> None:
    silent = Silent(clock=clock, latency=1.0, render=cached_render)
    async with mv.AsyncClient.sandbox(emulator=silent, clock=clock, home=tmp_path) as client:
        with pytest.raises(mv.OutcomeUnknown) as caught:
            await client.generate(PROMPT, model="sora-2", duration=4, deadline=10)
        assert (caught.value.charged, caught.value.retryable) == ("unknown", False)
        with anyio.move_on_after(60), pytest.raises(mv.OutcomeUnknown):
            await client.generate(PROMPT, model="sora-2", duration=4)
    assert silent.count() == 2


async def test_who_waits_again_after_the_deadline_waits_until_the_end(sandbox: Sandbox, clock: VirtualClock) -> None:
    async with sandbox() as client:
        with pytest.raises(mv.StillRunning) as caught:
            await client.generate(PROMPT, model="kling-3.0", duration=3, deadline=2)
        job = caught.value.job
        assert caught.value.ref == job.ref
        for _ in range(40):  # impatient, again and again: the look comes all the same
            with contextlib.suppress(mv.StillRunning):
                await job.wait(deadline=2)
        assert job.state == "finished"
        assert clock.monotonic() < 85


async def test_a_wait_without_a_deadline_after_still_running_ends_with_the_video(sandbox: Sandbox) -> None:
    async with sandbox() as client:
        with pytest.raises(mv.StillRunning) as caught:
            await client.generate(PROMPT, model="kling-3.0", duration=3, deadline=2)
        assert (await caught.value.job.wait()).check.ok


@pytest.mark.parametrize(("door", "model"), [("openai", "sora-2"), ("kling", "kling-3.0")])
async def test_a_job_behind_a_503_is_not_made_twice(
    sandbox: Sandbox, emulator: Emulator, door: str, model: str
) -> None:
    emulator.fault(door, made=503)
    async with sandbox() as client:
        with pytest.raises(mv.OutcomeUnknown) as caught:
            await client.generate(PROMPT, model=model, duration=4)
    assert caught.value.charged == "unknown"
    assert emulator.count() == 1
