"""Many tasks, one commit: nobody's cancel, error or leadership takes anything away from the others."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from books import hold, hold_one, names, pay, proof
from multivideo.clock import Clock, SystemClock, VirtualClock
from multivideo.errors import LedgerError
from multivideo.ledger.committer import MOST_AT_ONCE, Committer
from multivideo.ledger.store import Db, Store

pytestmark = pytest.mark.anyio


class Watched(Store):
    """Tells the sizes of its commits, and stops in one until it may go on."""

    def __init__(self, path: Path | None) -> None:
        super().__init__(path)
        self.commits: list[int] = []
        self.entered, self.leave = threading.Event(), threading.Event()
        self.leave.set()

    def write_all(self, works: Any) -> list[Any]:
        self.commits.append(len(works))
        self.entered.set()
        self.leave.wait()
        return super().write_all(works)


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Watched:
    return Watched(tmp_path / "ledger.db" if request.param == "file" else None)


@pytest.fixture
def filed(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "ledger.db")


@pytest.fixture(params=[SystemClock, VirtualClock])
def clock(request: pytest.FixtureRequest) -> Clock:
    made: Clock = request.param()
    return made


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await anyio.lowlevel.checkpoint()


async def test_fifty_tasks_share_commits_and_each_has_its_own_answer(store: Watched, clock: Clock) -> None:
    committer, answers = Committer(store, clock), dict[int, int]()

    async def task(number: int) -> None:
        def work(db: Db) -> int:
            pay(db, f"{number}")
            return number

        answers[number] = await committer.write(work)

    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(task, number)
    assert answers == {number: number for number in range(50)}
    assert len(names(store)) == 50
    assert proof(store) == []
    if store.path is not None:
        assert len(store.commits) < 10


async def test_time_stands_still_while_a_thread_writes(filed: Watched) -> None:
    clock = VirtualClock()
    committer, filed_at = Committer(filed, clock), list[float]()
    filed.leave.clear()

    async def write() -> None:
        await committer.write(hold_one("a"))
        filed_at.append(clock.monotonic())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        tasks.start_soon(clock.sleep, 3600)
        await until(filed.entered.is_set)
        filed.leave.set()
    assert filed_at == [0.0]


async def test_no_commit_takes_more_than_its_share(filed: Watched) -> None:
    committer = Committer(filed, SystemClock())
    filed.leave.clear()
    async with anyio.create_task_group() as tasks:
        for number in range(2 * MOST_AT_ONCE + 2):
            tasks.start_soon(committer.write, hold_one(f"{number}"))
        await until(lambda: len(committer._queue) >= MOST_AT_ONCE + 1)
        filed.leave.set()
    assert max(filed.commits) == MOST_AT_ONCE
    assert sum(filed.commits) == 2 * MOST_AT_ONCE + 2
    assert len(filed.commits) >= 3, "whoever leads hands over when its own work is written"


async def test_an_error_in_one_piece_of_work_is_its_own(store: Watched) -> None:
    committer, failed = Committer(store, SystemClock()), list[str]()

    def broken(db: Db) -> None:
        hold(db, "half")
        raise ZeroDivisionError

    async def task(number: int) -> None:
        try:
            await committer.write(broken if number % 10 == 3 else hold_one(f"{number}"))
        except ZeroDivisionError:
            failed.append(f"{number}")

    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(task, number)
    assert sorted(failed) == ["13", "23", "3", "33", "43"]
    assert sorted(names(store)) == sorted({f"{number}" for number in range(50)} - set(failed))


async def test_a_commit_that_fails_is_told_to_all_who_were_in_it_and_the_next_one_works(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    store = Store(path, busy_s=0.01)
    committer, told = Committer(store, SystemClock()), list[LedgerError]()
    await committer.write(hold_one("first"))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def task(number: int) -> None:
        try:
            await committer.write(hold_one(f"{number}"))
        except LedgerError as error:
            told.append(error)

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(task, number)
    other.execute("ROLLBACK")
    other.close()
    assert len(told) == 5
    assert len({id(error) for error in told}) == 5, "each task raises an error of its own"
    await committer.write(hold_one("last"))
    assert names(store) == ["first", "last"]


@pytest.mark.parametrize("cancelled", range(3))
async def test_a_cancel_is_heard_when_the_write_is_done(filed: Watched, cancelled: int) -> None:
    """Task 0 writes, 1 will lead next, 2 waits with it: whichever is cancelled, all is written."""
    committer, heard, returned = Committer(filed, SystemClock()), list[int](), list[int]()
    scopes = [anyio.CancelScope() for _ in range(3)]
    filed.leave.clear()

    async def task(number: int) -> None:
        with scopes[number]:
            await committer.write(hold_one(f"{number}"))
            returned.append(number)
            await anyio.lowlevel.checkpoint()
            return
        heard.append(number)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(task, 0)
        await until(filed.entered.is_set)
        tasks.start_soon(task, 1)
        tasks.start_soon(task, 2)
        await until(lambda: len(committer._queue) == 2)
        scopes[cancelled].cancel()
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        assert returned == []
        filed.leave.set()
    assert sorted(names(filed)) == ["0", "1", "2"]
    assert sorted(returned) == [0, 1, 2]
    assert heard == [cancelled]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("cancelled", range(3))
async def test_asyncio_s_own_cancel_is_heard_when_the_write_is_done(filed: Watched, cancelled: int, times: int) -> None:
    """`task.cancel()`, `asyncio.timeout` and `wait_for` pass every shield of anyio."""
    committer, returned = Committer(filed, SystemClock()), list[int]()
    filed.leave.clear()

    async def task(number: int) -> None:
        await committer.write(hold_one(f"{number}"))
        returned.append(number)
        await asyncio.Event().wait() if number == cancelled else None

    first = asyncio.create_task(task(0))
    await until(filed.entered.is_set)
    all_of_them = [first, asyncio.create_task(task(1)), asyncio.create_task(task(2))]
    await until(lambda: len(committer._queue) == 2)
    for _ in range(times):
        all_of_them[cancelled].cancel()
        for _ in range(10):
            await asyncio.sleep(0)
    assert not any(one.done() for one in all_of_them)
    filed.leave.set()
    await asyncio.wait(all_of_them)
    assert sorted(returned) == [0, 1, 2]
    assert [one.cancelled() for one in all_of_them] == [number == cancelled for number in range(3)]
    assert sorted(names(filed)) == ["0", "1", "2"]
    await committer.write(hold_one("after"))


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_asyncio_s_timeout_is_a_timeout_still(filed: Watched) -> None:
    committer = Committer(filed, SystemClock())
    filed.leave.clear()

    async def release() -> None:
        await until(filed.entered.is_set)
        limit.reschedule(0)
        for _ in range(20):
            await asyncio.sleep(0)
        filed.leave.set()

    helper, limit = asyncio.create_task(release()), asyncio.timeout(None)

    async def limited() -> None:
        async with limit:
            await committer.write(hold_one("a"))
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await limited()
    await helper
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    assert names(filed) == ["a"]


async def test_all_tasks_cancelled_at_once_are_all_written(filed: Watched) -> None:
    committer = Committer(filed, SystemClock())
    filed.leave.clear()
    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(committer.write, hold_one(f"{number}"))
        await until(filed.entered.is_set)
        tasks.cancel_scope.cancel()
        filed.leave.set()
    begun = len(names(filed))
    assert begun >= 1
    assert sum(filed.commits) == begun, "each is written whole, or was never asked for"
    await committer.write(hold_one("after"))
    assert len(names(filed)) == begun + 1


def test_a_loop_that_is_torn_down_under_way_ends(tmp_path: Path) -> None:
    """What `asyncio.run` leaves behind is cancelled task by task: nobody may wait there for one that is gone."""
    store = Watched(tmp_path / "ledger.db")
    store.leave.clear()

    async def main() -> None:
        committer = Committer(store, SystemClock())
        first = asyncio.create_task(committer.write(hold_one("first")))
        await until(store.entered.is_set)
        others = [asyncio.create_task(committer.write(hold_one(name))) for name in ("second", "third")]
        await until(lambda: len(committer._queue) == 2)
        asyncio.get_running_loop().call_soon(store.leave.set)
        assert not any(task.done() for task in (first, *others))

    asyncio.run(main())
    store.write(hold_one("after"))
    assert set(names(store)) >= {"after"}
    assert proof(store) == []


async def test_an_interrupt_ends_the_write_and_not_the_next_one() -> None:
    committer = Committer(Store(None), SystemClock())

    def interrupted(db: Db) -> None:
        hold(db, "a")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await committer.write(interrupted)
    await committer.write(hold_one("b"))
    assert names(committer.store) == ["b"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("whose", ["the task's", "its helper's"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # that helper never began
async def test_a_cancel_before_the_thread_has_begun_leaves_the_write_whole(filed: Watched, whose: str) -> None:
    committer, returned = Committer(filed, SystemClock()), list[str]()

    async def write() -> None:
        await committer.write(hold_one("a"))
        returned.append("a")
        await asyncio.sleep(0)

    task = asyncio.create_task(write())
    await asyncio.sleep(0)
    helpers = asyncio.all_tasks() - {task, asyncio.current_task()}
    newest = max(helpers, key=lambda helper: "_lead" in repr(helper))
    (task if whose == "the task's" else newest).cancel()
    await asyncio.wait([task])
    assert (returned, names(filed)) == (["a"], ["a"])
    assert task.cancelled() == (whose == "the task's")
    del helpers, newest
    gc.collect()  # here, and not in a later test, Python says of that helper that nobody waited for it
