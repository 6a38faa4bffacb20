"""A paid call that is cancelled, wherever it waits, leaks nothing: no hold, no lease, no file, no job, no line."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import define, field
from test_recovery import ACCOUNTS

import multivideo as mv
from multivideo.clock import VirtualClock
from multivideo.ledger import book, sql
from multivideo.ledger.records import OPEN, AttemptRow, AttemptState, JobRow
from multivideo.sandbox import Emulator
from multivideo.transport.carrier import Carrier, Incoming, Outgoing
from scenes import PROMPT, cached_render

pytestmark = pytest.mark.anyio

Cancel = Callable[[], object]
WISH: dict[str, Any] = {"duration": 4, "resolution": "720p", "sidecar": False}


@define(eq=False)
class Counted:
    """Awaits a paid call, and cancels it the n-th time that it waits for something."""

    life: Life
    at: int
    cancel: Cancel
    waits: int = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self.life.generate().__await__()
        answer: Any = None
        raised: BaseException | None = None
        while True:
            try:
                waited_for = steps.send(answer) if raised is None else steps.throw(raised)
            except StopIteration as done:
                return done.value
            self.waits += 1
            self.life.lines.refused = self.waits > self.at  # at the wait itself a request may be on its way
            if self.waits == self.at:
                self.cancel()
            answer, raised = None, None
            try:
                answer = yield waited_for
            except BaseException as error:  # noqa: BLE001 - handed to whom it was meant for
                raised = error


@define(eq=False)
class Lines:
    """A carrier that counts the lines that are open, and the paid requests that leave once they are `refused`."""

    below: Carrier
    lines: int = 0
    refused: bool = False
    late: int = 0

    @asynccontextmanager
    async def open(self, message: Outgoing) -> AsyncIterator[Incoming]:
        self.lines += 1
        self.late += self.refused and message.paid
        try:
            async with self.below.open(message) as incoming:
                yield incoming
        finally:
            self.lines -= 1

    async def aclose(self) -> None:
        await self.below.aclose()


@define(eq=False)
class Life:
    """One client that is cancelled once, and what it leaves behind."""

    folder: Path
    account: str
    count: int
    clock: VirtualClock = field(factory=VirtualClock)
    emulator: Emulator = field(init=False)
    client: mv.AsyncClient = field(init=False)
    lines: Lines = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.emulator = Emulator(clock=self.clock, latency=5.0, render=cached_render)
        self.client = self.another()
        sender = self.client._driver.sender
        sender.carrier = self.lines = Lines(sender.carrier)

    def another(self) -> mv.AsyncClient:
        client = mv.AsyncClient.sandbox(emulator=self.emulator, clock=self.clock, home=self.folder / "home")
        client.providers = (ACCOUNTS[self.account],)
        return client

    async def generate(self) -> mv.Video:
        return await self.client.generate(PROMPT, **WISH, count=self.count, save_to=self.folder / "out" / "boat.mp4")

    def books(self) -> list[tuple[JobRow, list[AttemptRow]]]:
        store = self.client._store
        nothing: list[tuple[JobRow, list[AttemptRow]]] = []

        def read(db: Any) -> list[tuple[JobRow, list[AttemptRow]]]:
            rows = [book.job_of(row) for row in db.all(sql.JOBS)]
            return [(row, [book.attempt_of(each) for each in db.all(sql.ATTEMPTS_OF, job_id=row.id)]) for row in rows]

        return store.read(read, nothing)

    def leaks(self) -> list[str]:
        """Everything that a cancelled call must not leave behind."""
        found = []
        jobs = self.books()
        attempts = [row for _, rows in jobs for row in rows]
        states = {row.state for row in attempts}
        if states & {AttemptState.PREPARED, AttemptState.SENDING, AttemptState.UNKNOWN}:
            found.append(f"attempts are {states}")
        held = sum(row.held.micro_usd for row in attempts if row.state in OPEN)
        if self.client.credits.held.micro_usd != held:
            found.append(f"held is {self.client.credits.held}, not {held}")
        if any(job.owner is not None for job, _ in jobs):
            found.append("a job is still leased")
        made, known = {job.id for job in self.emulator.jobs()}, {row.remote_id for row in attempts if row.remote_id}
        if made != known:
            found.append(f"the vendor made {made}, the books know {known}")
        if self.lines.lines:
            found.append(f"{self.lines.lines} lines are open")
        if self.lines.late:
            found.append("something was paid after the cancel")
        out = self.folder / "out"
        odd = [name for name in (os.listdir(out) if out.is_dir() else []) if not name.endswith(".mp4")]
        if odd:
            found.append(f"files are left: {odd}")
        self.client.credits.verify()
        return found

    async def finish(self) -> list[str]:
        """What is wrong once another client has gone on with what was paid."""
        report = await self.another().recover()
        made = self.emulator.count()
        takes = [take.path.name for video in report.videos for take in video.takes]
        names = sorted(os.listdir(self.folder / "out")) if (self.folder / "out").is_dir() else []
        found = [] if len(names) == made else [f"{made} were paid, files are {names}"]
        found += [] if self.client.credits.held == mv.usd(0) else ["something is still held"]
        found += [] if self.client.credits.spent().micro_usd == self.emulator.charged() else ["the charges differ"]
        found += [] if not takes or takes == names[::-1] or sorted(takes) == names else [f"reported are {takes}"]
        return found


async def cancelled_by_scope(life: Life, at: int) -> bool:
    """Generate, and cancel at the n-th wait. Says whether it came so far."""
    with anyio.CancelScope() as scope:
        counted = Counted(life, at, scope.cancel)
        await counted
    return counted.waits >= at


async def cancelled_by_asyncio(life: Life, at: int) -> bool:
    """The same by asyncio's own way, which knows no scopes and no shields: `wait_for`, Ctrl-C, a web server."""
    counted = Counted(life, at, lambda: task.cancel())

    async def generate() -> None:
        await counted

    task = asyncio.create_task(generate())
    await asyncio.wait([task])
    return counted.waits >= at


@pytest.mark.parametrize(
    ("anyio_backend", "cancelled_at", "account", "count"),
    [
        ("asyncio", cancelled_by_scope, "kling", 2),
        ("trio", cancelled_by_scope, "kling", 2),
        ("trio", cancelled_by_scope, "vertex-inline", 1),
        ("asyncio", cancelled_by_asyncio, "kling", 2),
        ("asyncio", cancelled_by_asyncio, "vertex-inline", 1),
    ],
)
async def test_a_cancel_at_any_wait_leaks_nothing(
    tmp_path: Path, cancelled_at: Callable[[Life, int], Awaitable[bool]], account: str, count: int
) -> None:
    at, found, more = 0, [], True
    while more:
        at += 1
        life = Life(tmp_path / str(at), account, count)
        more = await cancelled_at(life, at)
        found += [f"at wait {at}: {leak}" for leak in life.leaks()]
        found += [f"finished after wait {at}: {fault}" for fault in await life.finish()]
    assert found == []
    assert at > 20


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_thread_that_outlives_its_task_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, over = anyio.Event(), threading.Event(), anyio.Event()
    copied, loop = shutil.copyfileobj, asyncio.get_running_loop()

    def slow(source: Any, out: Any, length: int) -> None:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(10)
        try:
            copied(source, out, length)
        finally:
            loop.call_soon_threadsafe(over.set)

    monkeypatch.setattr("multivideo.transport.download.shutil.copyfileobj", slow)
    life = Life(tmp_path, "vertex-inline", 1)
    task = asyncio.create_task(life.generate())
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    go_on.set()
    await over.wait()
    assert task.cancelled()
    assert life.leaks() == []
