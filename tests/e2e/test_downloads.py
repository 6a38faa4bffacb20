"""A file that cannot be had where it was said to be is asked for anew within the same wait, and never paid again."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import multivideo as mv
from multivideo.clock import SystemClock, VirtualClock
from multivideo.files.boxes import NotAVideo, measure
from multivideo.jobs.delivery import FETCH_LEASE_S
from multivideo.sandbox import Emulator
from multivideo.sandbox.render import Clip
from multivideo.transport import download
from multivideo.transport.carrier import Incoming, Outgoing
from multivideo.transport.download import fetch, keep
from multivideo.transport.embedded import HOME
from multivideo.transport.http import HttpCarrier
from multivideo.transport.sender import Sender
from multivideo.wire import Asset
from raw_server import Line, serving
from scenes import PROMPT, cached_render
from transport_fakes import Toy, channel

pytestmark = pytest.mark.anyio
Sandbox = Callable[..., mv.AsyncClient]
MODELS = [("openai", "sora-2"), ("kling", "kling-3.0"), ("vertex", "veo-3.1")]


def looks(events: list[mv.Event]) -> list[mv.Event]:
    """The looks for a fresh address that were told."""
    return [event for event in events if isinstance(event, mv.Retried) and event.step == "download"]


@pytest.mark.parametrize(
    "fault", ["download_expired", "download=404", "download=410", "download_short", "download_html=@1*8"]
)
@pytest.mark.parametrize(("door", "model"), MODELS[:2])
async def test_what_its_address_does_not_give_is_looked_for_again_in_the_same_wait(
    sandbox: Sandbox, emulator: Emulator, tmp_path: Path, door: str, model: str, fault: str
) -> None:
    word, _, value = fault.partition("=")
    words: dict[str, Any] = {word: value or True}
    emulator.fault(door, **words)
    events: list[mv.Event] = []
    async with sandbox() as client:
        video = await client.generate(
            PROMPT, model=model, duration=4, save_to=tmp_path / "clip.mp4", sidecar=False, on_event=events.append
        )
    assert video.check.ok
    assert looks(events)
    assert os.listdir(tmp_path) == ["clip.mp4"]
    assert emulator.count() == 1


@pytest.mark.parametrize(("door", "model"), MODELS[:2])
async def test_after_three_fresh_addresses_it_is_told_and_a_later_wait_goes_on(
    sandbox: Sandbox, emulator: Emulator, clock: VirtualClock, tmp_path: Path, door: str, model: str
) -> None:
    emulator.fault(door, download_expired="@1*4")
    events: list[mv.Event] = []
    async with sandbox() as client:
        job = await client.submit(
            PROMPT, model=model, duration=4, save_to=tmp_path / "clip.mp4", sidecar=False, on_event=events.append
        )
        with pytest.raises(mv.DownloadFailed) as caught:
            await job.wait()
        assert (caught.value.charged, caught.value.job_id, caught.value.step) == ("yes", job.id, "download")
        assert caught.value.ref == job.ref
        assert len(looks(events)) == 3
        since = [later.at - sooner.at for sooner, later in zip(looks(events), looks(events)[1:], strict=False)]
        assert all(wait_s >= least for wait_s, least in zip(since, (1, 5), strict=True))
        assert clock.wall() - looks(events)[-1].at >= 15
        assert os.listdir(tmp_path) == []
        assert (await job.wait()).check.ok
    assert os.listdir(tmp_path) == ["clip.mp4"]
    assert emulator.count() == 1


async def test_of_several_takes_only_the_missing_one_is_fetched_again(
    sandbox: Sandbox, emulator: Emulator, tmp_path: Path
) -> None:
    emulator.fault("vertex", download_expired="@2")
    events: list[mv.Event] = []
    async with sandbox() as client:
        client.providers = (
            mv.Veo(
                project="p",
                credentials=mv.BearerToken("sandbox"),
                output_uri="gs://mine/runs",
                base_url=f"{HOME}/vertex",
                vendor_dates=True,
            ),
        )
        video = await client.generate(
            PROMPT,
            model="veo-3.1",
            duration=4,
            count=3,
            save_to=tmp_path / "a.mp4",
            sidecar=False,
            on_event=events.append,
        )
    told = [type(event).__name__ for event in events if isinstance(event, mv.Downloaded) or event in looks(events)]
    assert told == ["Downloaded", "Retried", "Downloaded", "Downloaded"]
    assert [take.path.name for take in video.takes] == ["a.mp4", "a-2.mp4", "a-3.mp4"]
    assert sorted(os.listdir(tmp_path)) == ["a-2.mp4", "a-3.mp4", "a.mp4"]


async def test_a_file_that_is_too_large_is_not_asked_for_again(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MOST_VIDEO_BYTES", 1000)
    events: list[mv.Event] = []
    async with sandbox() as client:
        with pytest.raises(mv.DownloadFailed, match="larger than 1000 bytes"):
            await client.generate(PROMPT, model="sora-2", duration=4, save_to=tmp_path / "a", on_event=events.append)
    assert not looks(events)


async def test_a_vendor_that_does_not_say_where_it_is_now_leaves_the_first_error(
    sandbox: Sandbox, emulator: Emulator, tmp_path: Path
) -> None:
    async with sandbox() as client:
        job = await client.submit(PROMPT, model="sora-2", duration=4, save_to=tmp_path / "a.mp4", sidecar=False)
        while (await job.status()).state != "succeeded":
            await client._driver.sender.clock.sleep(10)
        [made] = emulator.jobs()
        emulator.fault("openai", job=made.id, download_expired=True, poll="401@1")
        with pytest.raises(mv.DownloadFailed, match="could not be fetched"):
            await job.wait()
        assert (await job.wait()).check.ok
    assert os.listdir(tmp_path) == ["a.mp4"]


async def test_who_lost_the_job_to_another_process_stops_its_download(
    sandbox: Sandbox, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.fault("openai", download=503)
    async with sandbox() as client:
        job = await client.submit(PROMPT, model="sora-2", duration=4, save_to=tmp_path / "a.mp4", sidecar=False)
        claim, fetches = client._driver.journal.claim, 0

        async def claimed(job_id: str, seconds: float) -> bool:
            nonlocal fetches
            fetches += seconds == FETCH_LEASE_S
            return (seconds != FETCH_LEASE_S or fetches != 3) and await claim(job_id, seconds)

        monkeypatch.setattr(type(client._driver.journal), "claim", lambda _, *args: claimed(*args))
        with pytest.raises(mv.LedgerError, match="driven by another process"):
            await job.wait()
        assert os.listdir(tmp_path) == []
        assert (await job.wait()).check.ok


def test_a_video_that_ends_too_early_is_none_though_its_index_in_front_is_whole(
    tmp_path: Path,
) -> None:
    whole = cached_render(Clip(width=640, height=360, fps=24, seconds=2, seed=1, model="m", prompt=PROMPT, audio=False))
    assert whole.index(b"moov") < whole.index(b"mdat") < len(whole) // 2
    for length in (len(whole) - 1, len(whole) // 2):
        (tmp_path / "cut.mp4").write_bytes(whole[:length])
        with pytest.raises(NotAVideo):
            measure(tmp_path / "cut.mp4")


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_over_a_socket_that_breaks_the_rest_is_fetched(how: str, tmp_path: Path) -> None:
    data = os.urandom(2**20)

    async def serve(line: Line) -> None:
        while True:
            head = (await line.request()).decode().lower()
            start = int(head.partition("range: bytes=")[2].partition("-")[0] or 0)
            assert ('if-range: "one"' in head) == bool(start)
            span = f"content-range: bytes {start}-{len(data) - 1}/{len(data)}\r\n" if start else ""
            status = "206 Partial Content" if start else "200 OK"
            length = len(data) - start
            told = f'HTTP/1.1 {status}\r\netag: "one"\r\n{span}content-length: {length}\r\n\r\n'
            whole = length <= len(data) // 2
            await line.send(told.encode() + data[start:] if whole else told.encode() + data[start : start + 300_000])
            if not whole:
                return await (line.reset() if how == "reset" else line.stream.aclose())

    async with serving(serve) as wire:
        origin = f"http://127.0.0.1:{wire.port}"
        carrier = HttpCarrier()
        sender = Sender(carrier, SystemClock(), lambda: 0.0)
        fetched = await fetch(sender, channel(Toy(origins=(origin,))), Asset(f"{origin}/clip.mp4"), tmp_path, "a-0")
        await keep(sender, fetched, tmp_path / "clip.mp4")
        await carrier.aclose()
    assert (tmp_path / "clip.mp4").read_bytes() == data
    assert os.listdir(tmp_path) == ["clip.mp4"]
    assert len(wire.requests) == wire.connections >= 2


@pytest.mark.parametrize(("door", "model"), MODELS[:2])
async def test_after_a_cut_only_the_rest_is_asked_for(
    sandbox: Sandbox, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, door: str, model: str
) -> None:
    asked: list[tuple[str | None, int]] = []
    emulator.fault(door, download_cut=True)
    async with sandbox() as client:
        carrier = client._driver.sender.carrier
        really = carrier.open

        @asynccontextmanager
        async def opened(message: Outgoing) -> AsyncIterator[Incoming]:
            async with really(message) as incoming:
                if message.long:
                    asked.append((message.headers.get("range"), incoming.status))
                yield incoming

        monkeypatch.setattr(carrier, "open", opened)
        video = await client.generate(
            PROMPT, model=model, duration=4, save_to=tmp_path / "clip.mp4", sidecar=False, resolution="720p"
        )
    assert video.check.ok
    half = video.size_bytes // 2
    assert asked == [(None, 200), (f"bytes={half}-", 206)]
    assert os.listdir(tmp_path) == ["clip.mp4"]
