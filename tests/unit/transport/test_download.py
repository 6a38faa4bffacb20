from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import anyio
import pytest

from multivideo.clock import VirtualClock
from multivideo.errors import AuthenticationFailed, DownloadFailed, LedgerError, ProviderError
from multivideo.transport import download
from multivideo.transport.download import Fetched, fetch, keep
from multivideo.transport.sender import Retry
from multivideo.wire import Asset, WireResponse
from transport_fakes import HOME, KEY, Act, Reply, ScriptedCarrier, Toy, channel, lost, said, sender

pytestmark = pytest.mark.anyio

DATA = bytes(range(256)) * 1000
CHUNKS = tuple(DATA[at : at + 10_000] for at in range(0, len(DATA), 10_000))
LENGTH = {"content-length": str(len(DATA)), "content-type": "video/mp4"}
WHOLE = Reply(200, CHUNKS, LENGTH)
URL = f"{HOME}/files/1?sig={KEY}"


async def load(script: list[Act], folder: Path, clock: VirtualClock | None = None, **asset: Any) -> Fetched:
    return await fetch(sender(ScriptedCarrier(script), clock), channel(), Asset(**{"url": URL, **asset}), folder)


async def fails(script: list[Act], folder: Path) -> tuple[DownloadFailed, ScriptedCarrier]:
    """The error of a download that cannot succeed; it leaves no file and says that the job is paid."""
    carrier = ScriptedCarrier(script)
    with pytest.raises(DownloadFailed) as caught:
        await fetch(sender(carrier), channel(), Asset(URL), folder)
    error = caught.value
    assert (error.charged, error.provider, error.retryable) == ("yes", "toy", True)
    assert "resume" in error.hint
    assert list(folder.iterdir()) == []
    assert carrier.open_now == 0
    return error, carrier


async def test_a_whole_take_lies_flushed_in_its_folder_and_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    really = os.fsync

    def fsync(handle: int) -> None:
        flushed.append(os.fstat(handle).st_size)
        really(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    fetched = await load([WHOLE], tmp_path)
    assert fetched == Fetched(fetched.part, len(DATA), hashlib.sha256(DATA).hexdigest())
    assert fetched.part.parent == tmp_path
    assert fetched.part.name.startswith(".multivideo-")
    assert fetched.part.read_bytes() == DATA
    assert flushed == [len(DATA)]
    fetched.discard()
    fetched.discard()
    assert list(tmp_path.iterdir()) == []


async def test_a_take_without_a_promised_length_is_taken_as_it_comes(tmp_path: Path) -> None:
    assert (await load([Reply(200, CHUNKS)], tmp_path)).size_bytes == len(DATA)


async def test_a_kept_take_replaces_what_had_its_name_at_once(tmp_path: Path) -> None:
    target = tmp_path / "clip.mp4"
    target.write_bytes(b"before")
    fetched = await load([WHOLE], tmp_path)
    assert target.read_bytes() == b"before"
    await keep(sender(ScriptedCarrier([WHOLE])), fetched, target)
    assert target.read_bytes() == DATA
    assert list(tmp_path.iterdir()) == [target]
    fetched.discard()
    assert target.read_bytes() == DATA


@pytest.mark.parametrize(
    "act",
    [
        lost(sent=False),
        lost(sent=True),
        Reply(200, CHUNKS[:3], LENGTH, fault=lost(sent=True)),
        Reply(200, CHUNKS[:3], LENGTH),
        Reply(200, (*CHUNKS, b"more"), LENGTH),
        Reply(200, (b"<html>sorry</html>",), {"content-type": "Text/HTML; charset=utf-8"}),
        Reply(200, (b"{}",), {"content-type": "application/json"}),
        Reply(200, (b"<Error/>",), {"content-type": "application/xml"}),
        said({}, 404),
        said({}, 500),
        said({}, 503),
        Reply(500, (b"half",), fault=lost(sent=True)),
    ],
)
async def test_what_may_pass_is_tried_again_until_the_take_is_whole(act: Act, tmp_path: Path) -> None:
    fetched = await load([act, act, WHOLE], tmp_path)
    assert fetched.part.read_bytes() == DATA
    assert list(tmp_path.iterdir()) == [fetched.part]
    (other := tmp_path / "other").mkdir()
    error, carrier = await fails([act], other)
    assert len(carrier.seen) == 8
    assert KEY not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    ("act", "said_so"),
    [
        (said({}, 403), "refuses the key"),
        (said({}, 401), "refuses the key"),
        (said({}, 204), "fault of its own"),
        (said({}, 302, location="http://cdn.example/a"), "without encryption"),
        (said({}, 302, location="/again"), "more than 5 times"),
    ],
)
async def test_what_stays_is_told_at_once(act: Act, said_so: str, tmp_path: Path) -> None:
    error, _ = await fails([act], tmp_path)
    assert said_so in error.what


async def test_a_busy_file_server_is_given_the_time_that_it_asks_for(tmp_path: Path) -> None:
    clock = VirtualClock()
    await load([said({}, 429, retry_after="60"), said({}, 503, retry_after="30"), WHOLE], tmp_path, clock)
    assert clock.monotonic() == 90


async def test_each_further_try_is_told(tmp_path: Path) -> None:
    told: list[Retry] = []

    async def tell(retry: Retry) -> None:
        told.append(retry)

    await fetch(sender(ScriptedCarrier([lost(sent=True), WHOLE])), channel(), Asset(URL), tmp_path, tell)
    assert [(retry.tries, retry.wait_s) for retry in told] == [(1, 0.5)]


async def test_a_take_that_is_too_large_is_left_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MOST_VIDEO_BYTES", len(DATA))
    (await load([WHOLE], tmp_path)).discard()
    monkeypatch.setattr(download, "MOST_VIDEO_BYTES", len(DATA) - 1)
    error, carrier = await fails([WHOLE], tmp_path)
    assert f"larger than {len(DATA) - 1} bytes" in error.what
    assert len(carrier.seen) == 1


async def test_a_download_that_drips_is_ended_after_a_quarter_of_an_hour(tmp_path: Path) -> None:
    clock = VirtualClock()

    async def drip() -> None:
        await clock.sleep(50)

    with pytest.raises(DownloadFailed, match="900 s"):
        await load([Reply(200, CHUNKS, LENGTH, pause=drip)], tmp_path, clock)
    assert clock.monotonic() == 900
    assert list(tmp_path.iterdir()) == []


async def test_the_key_is_dropped_where_a_take_redirects_to_another_host(tmp_path: Path) -> None:
    carrier = ScriptedCarrier([said({}, 302, location="https://cdn.example/clip.mp4"), WHOLE])
    await fetch(sender(carrier), channel(), Asset(f"{HOME}/files/1", signed=True), tmp_path)
    assert [KEY in str(dict(message.headers)) for message in carrier.seen] == [True, False]


async def test_a_key_that_is_gone_is_told_as_a_download_that_is_paid_already(tmp_path: Path) -> None:
    class Gone:
        async def headers(self) -> Mapping[str, str]:
            raise AuthenticationFailed("No token.")

    with pytest.raises(DownloadFailed, match="No token") as caught:
        await fetch(sender(ScriptedCarrier([WHOLE])), channel(signer=Gone()), Asset(f"{HOME}/1", signed=True), tmp_path)
    assert caught.value.charged == "yes"


async def test_a_folder_that_cannot_be_written_is_told_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for folder in (tmp_path / "file" / "below", tmp_path / "missing"):
        with pytest.raises(LedgerError, match="could not be written") as caught:
            await load([WHOLE], folder)
        assert (caught.value.charged, caught.value.field) == ("yes", "save_to")


class FullDisk:
    """A file whose disk is full after some bytes, or only when it is flushed."""

    def __init__(self, file: BinaryIO, room: int) -> None:
        self.file, self.room = file, room

    def write(self, data: bytes) -> int:
        self.room -= len(data)
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.file.write(data)

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def __enter__(self) -> FullDisk:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.file.close()
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("room", [0, 25_000, 10**9])
async def test_a_full_disk_is_told_leaves_no_file_and_is_not_asked_again(
    room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really: Callable[[Path], tuple[Path, BinaryIO]] = download._temporary

    def full(folder: Path) -> tuple[Path, Any]:
        part, file = really(folder)
        return part, FullDisk(file, room)

    monkeypatch.setattr(download, "_temporary", full)
    carrier = ScriptedCarrier([WHOLE])
    with pytest.raises(LedgerError, match="No space left"):
        await fetch(sender(carrier), channel(), Asset(URL), tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert (len(carrier.seen), carrier.open_now) == (1, 0)


async def test_a_download_that_is_cancelled_in_the_middle_leaves_no_file(tmp_path: Path) -> None:
    middle = anyio.Event()

    async def stop_at_the_third() -> None:
        if any(path.stat().st_size for path in tmp_path.iterdir()):
            middle.set()
            await anyio.sleep_forever()

    carrier = ScriptedCarrier([Reply(200, CHUNKS, LENGTH, pause=stop_at_the_third)])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fetch, sender(carrier), channel(), Asset(URL), tmp_path)
        await middle.wait()
        assert len(list(tmp_path.iterdir())) == 1
        tasks.cancel_scope.cancel()
    assert list(tmp_path.iterdir()) == []
    assert carrier.open_now == 0


async def test_a_take_whose_keeping_is_cancelled_or_fails_leaves_no_file(tmp_path: Path) -> None:
    fetched = await load([WHOLE], tmp_path)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await keep(sender(ScriptedCarrier([WHOLE])), fetched, tmp_path / "clip.mp4")
    assert list(tmp_path.iterdir()) == []
    fetched = await load([WHOLE], tmp_path)
    with pytest.raises(LedgerError, match="could not be written"):
        await keep(sender(ScriptedCarrier([WHOLE])), fetched, tmp_path / "missing" / "clip.mp4")
    assert list(tmp_path.iterdir()) == []


async def test_a_take_that_came_inside_the_answer_is_adopted_without_a_request(tmp_path: Path) -> None:
    spilled, folder = tmp_path / "spilled.part", tmp_path / "videos"
    spilled.write_bytes(DATA)
    folder.mkdir()
    carrier = ScriptedCarrier([WHOLE])
    fetched = await fetch(sender(carrier), channel(), Asset(file=spilled), folder)
    assert (fetched.size_bytes, fetched.sha256) == (len(DATA), hashlib.sha256(DATA).hexdigest())
    assert carrier.seen == []
    fetched.discard()  # as after a cancel: it can be adopted once more
    fetched = await fetch(sender(carrier), channel(), Asset(file=spilled), folder)
    await keep(sender(carrier), fetched, folder / "clip.mp4")
    assert list(folder.iterdir()) == [folder / "clip.mp4"]
    assert (folder / "clip.mp4").read_bytes() == DATA
    assert spilled.read_bytes() == DATA  # whoever looked has written it and removes it


async def test_a_spilled_file_that_is_gone_is_a_failed_download_and_no_fault_of_the_folder(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="gone"):
        await load([WHOLE], tmp_path, url=None, file=tmp_path / "missing.part")
    assert list(tmp_path.iterdir()) == []


async def test_a_spilled_file_stays_where_the_folder_cannot_be_written(tmp_path: Path) -> None:
    spilled = tmp_path / "spilled.part"
    spilled.write_bytes(DATA)
    with pytest.raises(LedgerError):
        await load([WHOLE], tmp_path / "missing", url=None, file=spilled)
    assert spilled.read_bytes() == DATA


@pytest.mark.parametrize("length", ["\u00b2", "many", "", "-1"])
async def test_a_length_that_is_none_promises_nothing(length: str, tmp_path: Path) -> None:
    fetched = await load([Reply(200, CHUNKS, {"content-length": length})], tmp_path)
    assert fetched.size_bytes == len(DATA)


async def test_a_long_error_page_is_read_only_as_far_as_it_is_needed(tmp_path: Path) -> None:
    pieces = 0

    async def count() -> None:
        nonlocal pieces
        pieces += 1

    page = Reply(403, (bytes(32 * 1024),) * 100, pause=count)
    await fails([page], tmp_path)
    assert pieces == 3


class Echo(Toy):
    """A vendor whose refusals say what it was sent."""

    def refusal(self, response: WireResponse) -> ProviderError:
        return ProviderError(f"Unknown key: {response.body.decode()}.")


@pytest.mark.parametrize(
    "act", [WHOLE, lost(sent=True), said({"key": KEY}, 403), said({}, 302, location=f"http://cdn.example/?sig={KEY}")]
)
async def test_no_log_and_no_error_of_a_download_holds_a_key(
    act: Act, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    try:
        await fetch(sender(ScriptedCarrier([act])), channel(Echo()), Asset(URL, signed=True), tmp_path)
    except DownloadFailed as error:
        shown = [str(error), repr(error), json.dumps(vars(error), default=repr), *traceback.format_exception(error)]
    shown += [record.getMessage() + repr(vars(record)) for record in caplog.records]
    assert not [text for text in shown if KEY in text]
    assert KEY not in repr(Asset(URL))
