from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

import anyio
import pytest
from attrs import define, field

import transport_fakes
from multivideo.clock import VirtualClock
from multivideo.errors import AuthenticationFailed, DownloadFailed, LedgerError, ProviderError
from multivideo.transport import download
from multivideo.transport.carrier import Outgoing
from multivideo.transport.download import Fetched, fetch, keep
from multivideo.transport.sender import Retry
from multivideo.wire import Asset, WireResponse
from raw_server import Line, serving
from transport_fakes import HOME, KEY, Act, Reply, ScriptedCarrier, Toy, channel, lost, said, sender

pytestmark = pytest.mark.anyio

DATA = bytes(range(256)) * 1000
CHUNKS = tuple(DATA[at : at + 10_000] for at in range(0, len(DATA), 10_000))
LENGTH = {"content-length": str(len(DATA)), "content-type": "video/mp4"}
WHOLE = Reply(200, CHUNKS, LENGTH)
URL = f"{HOME}/files/1?sig={KEY}"
TAKE = "a1-0"


class Load(Protocol):
    """Fetches a take by a script."""

    async def __call__(
        self, script: list[Act] | ScriptedCarrier, folder: Path, clock: VirtualClock | None = None, **asset: Any
    ) -> Fetched: ...


@pytest.fixture
def load() -> Iterator[Load]:
    """What it fetched is let go of when the test has ended."""
    held: list[Fetched] = []

    async def load(
        script: list[Act] | ScriptedCarrier, folder: Path, clock: VirtualClock | None = None, **asset: Any
    ) -> Fetched:
        carrier = script if isinstance(script, ScriptedCarrier) else ScriptedCarrier(script)
        wanted = Asset(**{"url": URL, **asset})
        held.append(await fetch(sender(carrier, clock), channel(), wanted, folder, TAKE))
        return held[-1]

    yield load
    for fetched in held:
        fetched.discard()


async def fails(script: list[Act], folder: Path) -> tuple[DownloadFailed, ScriptedCarrier]:
    """The error of a download that cannot succeed; it leaves no file and says that the job is paid."""
    carrier = ScriptedCarrier(script)
    with pytest.raises(DownloadFailed) as caught:
        await fetch(sender(carrier), channel(), Asset(URL), folder, TAKE)
    error = caught.value
    assert (error.charged, error.provider) == ("yes", "toy")
    assert "resume" in error.hint
    assert list(folder.iterdir()) == []
    assert carrier.open_now == 0
    return error, carrier


async def test_a_whole_take_lies_flushed_in_its_folder_and_is_measured(
    tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    really = os.fsync

    def fsync(handle: int) -> None:
        flushed.append(os.fstat(handle).st_size)
        really(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    fetched = await load([WHOLE], tmp_path)
    assert (fetched.size_bytes, fetched.sha256) == (len(DATA), hashlib.sha256(DATA).hexdigest())
    assert fetched.part.parent == tmp_path
    assert re.fullmatch(r"\.multivideo-a1-0-[0-9a-f]{16}\.part", fetched.part.name)
    assert fetched.part.read_bytes() == DATA
    assert flushed == [len(DATA)]
    fetched.discard()
    fetched.discard()
    assert list(tmp_path.iterdir()) == []


async def test_a_take_without_a_promised_length_is_taken_as_it_comes(tmp_path: Path, load: Load) -> None:
    assert (await load([Reply(200, CHUNKS)], tmp_path)).size_bytes == len(DATA)


async def test_a_kept_take_replaces_what_had_its_name_at_once(tmp_path: Path, load: Load) -> None:
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
        said({}, 408),
        said({}, 500),
        said({}, 503),
        Reply(500, (b"half",), fault=lost(sent=True)),
    ],
)
async def test_what_may_pass_is_tried_again_until_the_take_is_whole(act: Act, tmp_path: Path, load: Load) -> None:
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
        (said({}, 404), "fault of its own"),
        (said({}, 410), "fault of its own"),
        (Reply(206, CHUNKS[:1], {"content-range": "bytes 0-9999/256000"}), "answered 206"),
        (said({}, 204), "fault of its own"),
        (said({}, 302, location="http://cdn.example/a"), "without encryption"),
        (said({}, 302, location="/again"), "more than 5 times"),
    ],
)
async def test_what_stays_is_told_at_once(act: Act, said_so: str, tmp_path: Path) -> None:
    error, carrier = await fails([act], tmp_path)
    assert said_so in error.what
    assert error.retryable  # its vendor may name another address
    assert len(carrier.seen) <= 6


async def test_a_busy_file_server_is_given_the_time_that_it_asks_for(tmp_path: Path, load: Load) -> None:
    clock = VirtualClock()
    await load([said({}, 429, retry_after="60"), said({}, 503, retry_after="30"), WHOLE], tmp_path, clock)
    assert clock.monotonic() == 90


async def test_each_further_try_is_told(tmp_path: Path) -> None:
    told: list[Retry] = []

    async def tell(retry: Retry) -> None:
        told.append(retry)

    carrier = ScriptedCarrier([lost(sent=True), WHOLE])
    (await fetch(sender(carrier), channel(), Asset(URL), tmp_path, TAKE, tell)).discard()
    assert [(retry.tries, retry.wait_s) for retry in told] == [(1, 0.5)]


async def test_a_take_that_is_too_large_is_left_and_told(
    tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MOST_VIDEO_BYTES", len(DATA))
    (await load([WHOLE], tmp_path)).discard()
    monkeypatch.setattr(download, "MOST_VIDEO_BYTES", len(DATA) - 1)
    pieces: list[int] = []

    async def count() -> None:
        pieces.append(len(list(tmp_path.iterdir())))

    for headers, read in ((LENGTH, 0), ({}, len(CHUNKS))):  # by what it promises, or by what comes
        error, carrier = await fails([Reply(200, CHUNKS, headers, pause=count)], tmp_path)
        assert len(pieces) == read
        assert f"larger than {len(DATA) - 1} bytes" in error.what
        assert not error.retryable  # it would cost its bytes each time, and be as large
        assert len(carrier.seen) == 1


async def test_the_key_is_dropped_where_a_take_redirects_to_another_host(tmp_path: Path) -> None:
    carrier = ScriptedCarrier([said({}, 302, location="https://cdn.example/clip.mp4"), WHOLE])
    (await fetch(sender(carrier), channel(), Asset(f"{HOME}/files/1", signed=True), tmp_path, TAKE)).discard()
    assert [KEY in str(dict(message.headers)) for message in carrier.seen] == [True, False]


async def test_a_key_that_is_gone_is_told_as_a_download_that_is_paid_already(tmp_path: Path) -> None:
    class Gone:
        async def headers(self) -> Mapping[str, str]:
            raise AuthenticationFailed("No token.")

    asset = Asset(f"{HOME}/1", signed=True)
    with pytest.raises(DownloadFailed, match="No token") as caught:
        await fetch(sender(ScriptedCarrier([WHOLE])), channel(signer=Gone()), asset, tmp_path, TAKE)
    assert caught.value.charged == "yes"


async def test_a_folder_that_cannot_be_written_is_told_with_the_way_out(tmp_path: Path, load: Load) -> None:
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

    def fileno(self) -> int:
        return self.file.fileno()

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def close(self) -> None:
        self.file.close()
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("room", [0, 25_000, 10**9])
async def test_a_full_disk_is_told_leaves_no_file_and_is_not_asked_again(
    room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *args: FullDisk(cast(BinaryIO, really(path, *args)), room))
    carrier = ScriptedCarrier([WHOLE])
    with pytest.raises(LedgerError, match="No space left"):
        await fetch(sender(carrier), channel(), Asset(URL), tmp_path, TAKE)
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
        tasks.start_soon(fetch, sender(carrier), channel(), Asset(URL), tmp_path, TAKE)
        await middle.wait()
        assert len(list(tmp_path.iterdir())) == 1
        tasks.cancel_scope.cancel()
    assert list(tmp_path.iterdir()) == []
    assert carrier.open_now == 0


async def test_a_take_whose_keeping_is_cancelled_or_fails_leaves_no_file(tmp_path: Path, load: Load) -> None:
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
    fetched = await fetch(sender(carrier), channel(), Asset(file=spilled), folder, TAKE)
    assert (fetched.size_bytes, fetched.sha256) == (len(DATA), hashlib.sha256(DATA).hexdigest())
    assert carrier.seen == []
    fetched.discard()  # as after a cancel: it can be adopted once more
    fetched = await fetch(sender(carrier), channel(), Asset(file=spilled), folder, TAKE)
    await keep(sender(carrier), fetched, folder / "clip.mp4")
    assert list(folder.iterdir()) == [folder / "clip.mp4"]
    assert (folder / "clip.mp4").read_bytes() == DATA
    assert spilled.read_bytes() == DATA  # whoever looked has written it and removes it


async def test_a_spilled_file_that_is_gone_is_a_failed_download_and_no_fault_of_the_folder(
    tmp_path: Path, load: Load
) -> None:
    with pytest.raises(DownloadFailed, match="gone"):
        await load([WHOLE], tmp_path, url=None, file=tmp_path / "missing.part")
    assert list(tmp_path.iterdir()) == []


async def test_a_spilled_file_stays_where_the_folder_cannot_be_written(tmp_path: Path, load: Load) -> None:
    spilled = tmp_path / "spilled.part"
    spilled.write_bytes(DATA)
    with pytest.raises(LedgerError):
        await load([WHOLE], tmp_path / "missing", url=None, file=spilled)
    assert spilled.read_bytes() == DATA


@pytest.mark.parametrize("length", ["\u00b2", "many", "", "-1"])
async def test_a_length_that_is_none_promises_nothing(length: str, tmp_path: Path, load: Load) -> None:
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
        asset = Asset(URL, signed=True)
        (await fetch(sender(ScriptedCarrier([act])), channel(Echo()), asset, tmp_path, TAKE)).discard()
    except DownloadFailed as error:
        shown = [str(error), repr(error), json.dumps(vars(error), default=repr), *traceback.format_exception(error)]
    shown += [record.getMessage() + repr(vars(record)) for record in caplog.records]
    assert not [text for text in shown if KEY in text]
    assert KEY not in repr(Asset(URL))


@define
class Shelf:
    """A file server that knows ranges. Each answer breaks off after the next of `cuts`, the last one for ever."""

    cuts: list[int | None]
    data: bytes = DATA
    marks: dict[str, str] = field(factory=lambda: {"etag": '"one"'})
    more: dict[str, Any] = field(factory=dict)
    """How its answers are given: what a `Reply` takes."""

    async def __call__(self, message: Outgoing) -> Reply:
        cut = self.cuts.pop(0) if len(self.cuts) > 1 else self.cuts[0]
        start = 0
        if message.headers.get("if-range", "none") in self.marks.values():
            start = int(message.headers["range"].removeprefix("bytes=").removesuffix("-"))
        end = len(self.data) if cut is None else min(len(self.data), start + cut)
        headers = {**self.marks, "content-length": str(len(self.data) - start), "content-type": "video/mp4"}
        if start:
            headers["content-range"] = f"bytes {start}-{len(self.data) - 1}/{len(self.data)}"
        chunks = tuple(self.data[at : min(at + 10_000, end)] for at in range(start, end, 10_000))
        fault = lost(sent=True) if end < len(self.data) else None
        return Reply(206 if start else 200, chunks, headers, fault, **self.more)


def ranges(carrier: ScriptedCarrier) -> list[tuple[str | None, str | None]]:
    """What each request asked for, and under which condition."""
    return [(message.headers.get("range"), message.headers.get("if-range")) for message in carrier.seen]


OLD = {"last-modified": "Sat, 01 Aug 2026 00:00:00 GMT", "date": "Sat, 01 Aug 2026 00:00:09 GMT"}


@pytest.mark.parametrize(
    ("marks", "mark"), [({"etag": '"one"', **OLD}, '"one"'), ({"etag": 'W/"one"', **OLD}, OLD["last-modified"])]
)
async def test_after_a_cut_only_the_rest_of_the_same_file_is_asked_for(
    marks: dict[str, str], mark: str, tmp_path: Path, load: Load
) -> None:
    carrier = ScriptedCarrier([Shelf([30_000, 50_000, None], marks=marks)])
    fetched = await load(carrier, tmp_path)
    assert ranges(carrier) == [(None, None), ("bytes=30000-", mark), ("bytes=80000-", mark)]
    assert fetched.part.read_bytes() == DATA
    assert (fetched.size_bytes, fetched.sha256) == (len(DATA), hashlib.sha256(DATA).hexdigest())
    assert all(message.headers["accept-encoding"] == "identity" for message in carrier.seen)
    assert all(message.headers["accept"] == "*/*" for message in carrier.seen)


@pytest.mark.parametrize(
    "marks",
    [{}, {"etag": 'W/"one"'}, {"last-modified": OLD["last-modified"]}, {**OLD, "date": OLD["last-modified"]}],
    ids=["none", "weak", "undated", "of this second"],
)
async def test_what_nothing_proves_the_same_is_fetched_from_its_first_byte(
    marks: dict[str, str], tmp_path: Path, load: Load
) -> None:
    carrier = ScriptedCarrier([Shelf([30_000, None], marks=marks)])
    assert (await load(carrier, tmp_path)).part.read_bytes() == DATA
    assert ranges(carrier) == [(None, None)] * 2


async def test_a_server_that_knows_no_ranges_or_has_another_file_by_now_gives_all_of_it(
    tmp_path: Path, load: Load
) -> None:
    other = DATA[::-1]
    carrier = ScriptedCarrier([Shelf([30_000]), Shelf([None], other, {"etag": '"two"'})])
    fetched = await load(carrier, tmp_path)
    assert len(ranges(carrier)) == 2
    assert fetched.part.read_bytes() == other
    assert fetched.sha256 == hashlib.sha256(other).hexdigest()


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (416, {"content-range": f"bytes */{len(DATA)}"}),
        (206, {}),
        (206, {"content-range": f"bytes 29999-255999/{len(DATA)}"}),
        (206, {"content-range": f"bytes 30000-255998/{len(DATA) - 1}"}),
        (206, {"content-range": "bytes 30000-255999/*"}),
        (206, {"content-range": f"bytes 30000-29999/{len(DATA)}"}),
        (206, {"content-range": f"bytes 30000-256000/{len(DATA)}"}),
        (206, {"content-range": f"bytes 30000-255999/{len(DATA)}", "etag": '"two"'}),
    ],
)
async def test_a_rest_that_is_not_to_be_had_or_not_of_this_file_is_asked_for_once(
    status: int, headers: dict[str, str], tmp_path: Path, load: Load
) -> None:
    odd = Reply(status, (bytes(100_000),), headers)
    carrier = ScriptedCarrier([Shelf([30_000]), odd, Shelf([30_000, None])])
    assert (await load([carrier.script[0], odd, WHOLE], tmp_path)).part.read_bytes() == DATA
    fetched = await load(carrier, tmp_path)
    assert fetched.part.read_bytes() == DATA
    assert ranges(carrier) == [(None, None), ("bytes=30000-", '"one"'), (None, None), (None, None)]


async def test_an_error_between_two_ranges_leaves_what_came(tmp_path: Path, load: Load) -> None:
    page = Reply(200, (b"<html>",), {"content-type": "text/html"})
    carrier = ScriptedCarrier([Shelf([30_000]), page, said({}, 503), lost(sent=False), Shelf([None])])
    assert (await load(carrier, tmp_path)).part.read_bytes() == DATA
    assert ranges(carrier)[1:] == [("bytes=30000-", '"one"')] * 4


async def test_a_server_that_gives_less_than_the_rest_is_asked_for_the_rest_of_it(tmp_path: Path, load: Load) -> None:
    short = Reply(206, (DATA[30_000:40_000],), {"content-range": f"bytes 30000-39999/{len(DATA)}"})
    carrier = ScriptedCarrier([Shelf([30_000]), short, Shelf([None])])
    assert (await load(carrier, tmp_path)).part.read_bytes() == DATA
    assert ranges(carrier)[2] == ("bytes=40000-", '"one"')


async def test_a_length_that_was_not_promised_is_learned_from_the_rest(tmp_path: Path, load: Load) -> None:
    first = Reply(200, (DATA[:30_000],), {"etag": '"one"'}, lost(sent=True))
    cut = Reply(206, (DATA[30_000:40_000],), {"content-range": f"bytes 30000-255999/{len(DATA)}"})
    carrier = ScriptedCarrier([first, cut, Shelf([None])])
    assert (await load(carrier, tmp_path)).part.read_bytes() == DATA
    assert ranges(carrier)[2] == ("bytes=40000-", '"one"')


async def test_a_large_file_over_a_bad_line_comes_in_as_many_pieces_as_it_takes(tmp_path: Path, load: Load) -> None:
    clock, data = VirtualClock(), DATA * 8
    carrier = ScriptedCarrier([Shelf([70_000], data)])
    assert (await load(carrier, tmp_path, clock)).part.read_bytes() == data
    assert len(carrier.seen) == 30
    assert clock.monotonic() >= 29 * 0.5  # between two pieces there is a pause


@pytest.mark.parametrize(("cut", "tries"), [(1_000, 8), (10_000, 26), (0, 8)])
async def test_tries_are_counted_from_the_last_that_brought_something(cut: int, tries: int, tmp_path: Path) -> None:
    carrier = ScriptedCarrier([Shelf([cut])])
    if cut == 10_000:  # seven of them together bring enough
        (await fetch(sender(carrier), channel(), Asset(URL), tmp_path, TAKE)).discard()
    else:
        with pytest.raises(DownloadFailed):
            await fetch(sender(carrier), channel(), Asset(URL), tmp_path, TAKE)
    assert len(carrier.seen) == tries
    assert list(tmp_path.iterdir()) == []


async def test_a_server_without_ranges_that_always_breaks_off_at_the_same_place_is_given_up(tmp_path: Path) -> None:
    _, carrier = await fails([Reply(200, CHUNKS[:20], {**LENGTH, "etag": '"one"'}, lost(sent=True))], tmp_path)
    assert len(carrier.seen) == 8


def paced(clock: VirtualClock, seconds: float) -> dict[str, Any]:
    """That long before each piece of 10,000 bytes."""

    async def pause() -> None:
        await clock.sleep(seconds)

    return {"pause": pause}


async def test_a_line_that_drips_is_left_within_two_minutes_and_what_it_brought_is_kept(
    tmp_path: Path, load: Load
) -> None:
    clock = VirtualClock()
    carrier = ScriptedCarrier([Shelf([None], more=paced(clock, 50)), Shelf([None])])
    assert (await load(carrier, tmp_path, clock)).part.read_bytes() == DATA
    assert ranges(carrier)[1:] == [("bytes=20000-", '"one"')]
    assert clock.monotonic() == 100.5


async def test_a_line_that_falls_silent_is_left_within_two_minutes(tmp_path: Path, load: Load) -> None:
    clock = VirtualClock()
    carrier = ScriptedCarrier([Reply(200, CHUNKS[:3], {**LENGTH, "etag": '"one"'}, stalls=True), Shelf([None])])
    assert (await load(carrier, tmp_path, clock)).part.read_bytes() == DATA
    assert clock.monotonic() == 120.5


async def test_a_head_or_a_refusal_that_never_ends_is_left_after_a_quarter_of_an_hour(
    tmp_path: Path, load: Load
) -> None:
    clock = VirtualClock()

    async def never(message: Outgoing) -> Reply:
        await clock.sleep(10**6)
        return WHOLE

    for act in (never, Reply(500, (b"x",), stalls=True)):
        began = clock.monotonic()
        with pytest.raises(DownloadFailed, match="900 s"):
            await load([act], tmp_path, clock)
        assert clock.monotonic() == began + 900
    assert list(tmp_path.iterdir()) == []


async def test_a_healthy_file_may_take_longer_than_a_quarter_of_an_hour(tmp_path: Path, load: Load) -> None:
    clock = VirtualClock()
    carrier = ScriptedCarrier([Shelf([None], DATA * 6, more=paced(clock, 9.5))])
    assert (await load(carrier, tmp_path, clock)).part.read_bytes() == DATA * 6
    assert len(carrier.seen) == 1
    assert clock.monotonic() == 154 * 9.5 > 1200


async def test_whoever_holds_the_job_hears_each_minute_that_it_is_alive_and_may_end_it(tmp_path: Path) -> None:
    clock = VirtualClock()
    told: list[float] = []

    async def alive() -> None:
        told.append(clock.monotonic())
        if len(told) == 5:
            raise LedgerError("It is another's now.")

    carrier = ScriptedCarrier([Shelf([10_000, None], more=paced(clock, 9))])
    with pytest.raises(LedgerError, match="another's"):
        await fetch(sender(carrier, clock), channel(), Asset(URL), tmp_path, TAKE, None, alive)
    assert told == [0, 9.5, 72.5, 135.5, 198.5]
    assert list(tmp_path.iterdir()) == []
    assert carrier.open_now == 0


async def test_cancelled_at_any_moment_a_download_leaves_nothing(tmp_path: Path) -> None:
    async def wait_a_little(turns: int, scope: anyio.CancelScope) -> None:
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        scope.cancel()

    whole = 0
    for turns in range(400):
        carrier = ScriptedCarrier([Shelf([100_000]), said({}, 503), Shelf([None])])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait_a_little, turns, tasks.cancel_scope)
            at_once = sender(carrier, random=lambda: 0.0)
            (await fetch(at_once, channel(), Asset(URL), tmp_path, TAKE)).discard()
            tasks.cancel_scope.cancel()
            whole += 1
        assert list(tmp_path.iterdir()) == []
        assert carrier.open_now == 0
        if whole == 3:
            return
    raise AssertionError("no download came to its end")


KILLED = """
import anyio, pathlib, sys
from multivideo.clock import SystemClock
from multivideo.transport.download import fetch
from multivideo.transport.http import HttpCarrier
from multivideo.transport.sender import Sender
from multivideo.wire import Asset
from transport_fakes import Toy, channel
origin, folder, take = sys.argv[1:]
there = channel(Toy(origins=(origin,)))
anyio.run(fetch, Sender(HttpCarrier(), SystemClock(), lambda: 1.0), there, Asset(origin), pathlib.Path(folder), take)
"""


async def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    both = anyio.Event()

    async def half(line: Line) -> None:
        await line.request()
        await line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + bytes(500_000))
        while len([part for part in tmp_path.iterdir() if part.stat().st_size > 300_000]) < len(wire.requests):  # noqa: ASYNC110 - another process
            await anyio.sleep(0.01)
        if len(wire.requests) == 2:
            both.set()
        await anyio.sleep_forever()

    async with serving(half) as wire:
        call = [sys.executable, "-c", KILLED, f"http://127.0.0.1:{wire.port}", str(tmp_path), TAKE]
        env = {**os.environ, "PYTHONPATH": str(Path(transport_fakes.__file__).parent)}
        async with await anyio.open_process(call, env=env) as killed, await anyio.open_process(call, env=env) as living:
            with anyio.fail_after(30):
                await both.wait()
            killed.kill()
            await killed.wait()
            before = set(tmp_path.iterdir())
            fetched = await fetch(sender(ScriptedCarrier([WHOLE])), channel(), Asset(URL), tmp_path, TAKE)
            [stayed] = before & set(tmp_path.iterdir())
            assert len(before) == 2
            fetched.discard()
            living.kill()
            await living.wait()
            (await fetch(sender(ScriptedCarrier([WHOLE])), channel(), Asset(URL), tmp_path, "a1-1")).discard()
            assert list(tmp_path.iterdir()) == [stayed]  # another take's is not looked at
            (await fetch(sender(ScriptedCarrier([WHOLE])), channel(), Asset(URL), tmp_path, TAKE)).discard()
    assert list(tmp_path.iterdir()) == []
