"""What the books cost: durable reserves and settlements from many tasks, and opening books that have grown old."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from itertools import count
from pathlib import Path

import anyio

from multivideo.clock import SystemClock
from multivideo.ledger import book, sql
from multivideo.ledger.committer import Committer
from multivideo.ledger.journal import Journal
from multivideo.ledger.records import AttemptState, NewAttempt, NewJob
from multivideo.ledger.store import Db, Store
from multivideo.values.credits import Credits

TASKS, SECONDS, CLOSED, PAGE, JOBS = 50, 3.0, 100_000, 1_000, 300
HELD = Credits(micro_usd=400_000)
NOW_MS = 1_785_542_400_000


def reserve(db: Db, name: str) -> None:
    """Commit 1 of a job."""
    job = NewJob(id=name, request_print=name, prompt_print=name, tags={"project": "bench"})
    attempt = NewAttempt(id=name, job_id=name, provider="veo", model="veo-3.1", call="{}", held=HELD)
    book.prepare(db, job, attempt, now_ms=NOW_MS, owner="bench", lease_ms=NOW_MS, live=True)


def settle(db: Db, name: str) -> None:
    """All that follows, in one commit."""
    book.sending(db, name, now_ms=NOW_MS)
    book.accept(db, name, name, now_ms=NOW_MS)
    book.end(db, name, AttemptState.SUCCEEDED, HELD, "reported", now_ms=NOW_MS, live=True)
    book.end_job(db, name, (), now_ms=NOW_MS)


async def crowd(path: Path, name: str) -> None:
    """Fifty tasks that reserve and settle for three seconds; prints how many pairs, and the p99 of a reserve in ms."""
    committer, waits, numbers = Committer(Store(path), SystemClock()), list[float](), count()
    until = time.monotonic() + SECONDS

    async def task() -> None:
        while time.monotonic() < until:
            job, began = f"{name}-{next(numbers)}", time.perf_counter()
            await committer.write(lambda db: reserve(db, job))  # noqa: B023 - done before the next round
            waits.append(1000 * (time.perf_counter() - began))
            await committer.write(lambda db: settle(db, job))  # noqa: B023

    async with anyio.create_task_group() as tasks:
        for _ in range(TASKS):
            tasks.start_soon(task)
    print(len(waits), statistics.quantiles(waits, n=100)[98])


def rates(processes: int) -> None:
    """Pairs a second of so many processes on one file, each commit durable."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "crowd", f"{folder}/ledger.db"]
        running = [
            subprocess.Popen([*command, f"{number}"], stdout=subprocess.PIPE, text=True) for number in range(processes)
        ]
        said = [process.communicate()[0].split() for process in running]
    pairs, slowest = sum(int(words[0]) for words in said), max(float(words[1]) for words in said)
    title = f"ledger, {processes} x {TASKS} tasks"
    print(f"{title:<32}{pairs / SECONDS:8.0f} reserve + settle a second, p99 of a reserve {slowest:.1f} ms")


def grow(names: Sequence[str], db: Db) -> None:
    """Many whole jobs at once."""
    for name in names:
        reserve(db, name)
        settle(db, name)


def resident_kib() -> int:
    """What this process has in memory now, by Linux; 0 elsewhere."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.exists() else []
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)


def opening(path: str) -> None:
    """Open books, look what is open and what is there, and reserve once; prints ms and KiB that this took."""
    before = resident_kib()
    began, store = time.perf_counter(), Store(Path(path))
    store.read(lambda db: (db.all(sql.OPEN_JOBS), book.balance(db, book.WALLET)), None)
    looked = time.perf_counter()
    store.write(lambda db: reserve(db, "new"))
    wrote, after = time.perf_counter(), resident_kib()
    print(1000 * (looked - began), 1000 * (wrote - looked), after - before)


def old_books() -> None:
    """Opening a ledger of 100,000 closed jobs against an empty one."""
    with tempfile.TemporaryDirectory() as folder:
        for closed in (0, CLOSED):
            path = Path(folder) / f"{closed}.db"
            store = Store(path)
            names = [f"job-{number}" for number in range(closed)]
            for start in range(0, max(closed, 1), PAGE):
                store.write(partial(grow, names[start : start + PAGE]))
            store.close()
            command = [sys.executable, __file__, "opening", str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            read, write, kib = (float(word) for word in done.stdout.split())
            title = f"ledger of {closed:,} closed jobs"
            print(f"{title:<32}{read:8.1f} ms to open and read, {write:.1f} ms to reserve, {kib:.0f} KiB")


async def whole_jobs(store: Store) -> float:
    """CPU of all that the books do for one `generate()`, in ms: its four commits, one job after the other."""
    journal = Journal(store, SystemClock())
    before = time.process_time()
    for number in range(JOBS):
        name = f"job-{number}"
        job = NewJob(id=name, request_print="a fox, 4 s", prompt_print="a fox", tags={"project": "bench"})
        attempt = NewAttempt(id=name, job_id=name, provider="veo", model="veo-3.1", call="{}", held=HELD)
        await journal.prepare(job, attempt)
        await journal.sending(name, name)
        await journal.accepted(name, name)
        await journal.ended(name, AttemptState.SUCCEEDED, HELD, "reported", files=["/videos/fox.mp4"])
    return 1000 * (time.process_time() - before) / JOBS


def of_a_generate() -> None:
    """What the books add to a `generate()`, in memory and in a file."""
    with tempfile.TemporaryDirectory() as folder:
        for title, store in {"in memory": Store(None), "in a file": Store(Path(folder) / "books.db")}.items():
            print(f"{f'ledger {title}':<32}{anyio.run(whole_jobs, store):8.1f} ms CPU added to a generate()")
            store.close()


def main() -> None:
    """Print all figures of the books."""
    rates(1)
    rates(2)
    of_a_generate()
    old_books()


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    elif sys.argv[1] == "crowd":
        anyio.run(crowd, Path(sys.argv[2]), sys.argv[3])
    else:
        opening(sys.argv[2])
