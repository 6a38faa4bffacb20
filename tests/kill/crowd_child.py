"""Fifty tasks that hold and settle on one budget as fast as they can.

Arguments: the ledger, a name of this process, rounds of each task, the event loop. Says how many holds it got and how
many were refused; begins when a line comes in.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from pathlib import Path

import anyio

from books import AT, NOW_MS, hold, micro
from multivideo.clock import SystemClock
from multivideo.errors import BudgetExceeded, InsufficientCredits
from multivideo.ledger import book
from multivideo.ledger.committer import Committer
from multivideo.ledger.records import AttemptState
from multivideo.ledger.store import Db, Store

TASKS = 50


async def task(committer: Committer, name: str, rounds: int, seen: Counter[str]) -> None:
    luck = random.Random(name)
    for number in range(rounds):
        job, held = f"{name}-{number}", luck.randint(1, 40)
        charge = luck.choice([0, 0, 1, held])
        try:
            await committer.write(lambda db: hold(db, job, held))  # noqa: B023 - done before the next round
        except (BudgetExceeded, InsufficientCredits) as error:
            seen[type(error).__name__] += 1
            continue
        seen["held"] += 1

        def settle(db: Db) -> None:
            book.sending(db, job, now_ms=NOW_MS)  # noqa: B023
            if not charge:  # noqa: B023
                return book.void(db, job, AttemptState.REJECTED, "no", **AT)  # noqa: B023
            book.accept(db, job, job, now_ms=NOW_MS)  # noqa: B023
            return book.end(db, job, AttemptState.SUCCEEDED, micro(charge), "reported", **AT)  # noqa: B023

        await committer.write(settle)


async def main(path: Path, name: str, rounds: int) -> None:
    committer, seen = Committer(Store(path), SystemClock()), Counter[str]()
    async with anyio.create_task_group() as tasks:
        for number in range(TASKS):
            tasks.start_soon(task, committer, f"{name}-{number}", rounds, seen)
    print(*(f"{what}={count}" for what, count in sorted(seen.items())))


if __name__ == "__main__":
    sys.stdin.readline()
    anyio.run(main, Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), backend=sys.argv[4])
