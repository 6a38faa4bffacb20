"""Processes that share an emulator's file: some kill themselves at a statement, some write all at once.

Forked from one that has no threads yet, which costs a hundredth of starting Python. Each order is answered before its
id is told to the parent.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from multivideo.sandbox import Emulator

HEADERS = {"authorization": "Bearer key-a", "content-type": "application/json"}
ORDER = json.dumps({"prompt": "a fox", "input_reference": {"file_id": "file-1"}}).encode()


async def order(path: Path, count: int, tell: Callable[[str], None]) -> None:
    """Orders at a new emulator, one after the other."""
    emulator = Emulator(latency=0, render=lambda clip: b"film")
    emulator.keep_in(path)
    for _ in range(count):
        reply = await emulator("POST", "/openai/v1/videos", HEADERS, ORDER)
        assert reply.status == 200
        tell(json.loads(await reply.read())["id"])
    emulator.close()


def killed_at(point: int) -> None:
    """From now on the process is killed when it begins its `point`-th statement on a database."""
    connect: Any = sqlite3.connect
    done = 0

    def count(_: str) -> None:
        nonlocal done
        done += 1
        if done == point:
            os.kill(os.getpid(), signal.SIGKILL)

    def connected(*args: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)
        connection.set_trace_callback(count)
        return connection

    vars(sqlite3)["connect"] = connected


def forked(work: Callable[[Callable[[str], None]], None]) -> tuple[int, int]:
    """A child that does the work; its id, and the end of the pipe on which it tells ids."""
    out, into = os.pipe()
    child = os.fork()
    if child:
        os.close(into)
        return child, out
    code = 1
    try:
        work(lambda job: void(os.write(into, f"{job} ".encode())))
        code = 0
    finally:
        os._exit(code)


def void(_: object) -> None:
    """Nothing."""


def ended(child: int, out: int) -> tuple[int, list[str]]:
    with os.fdopen(out) as told:
        jobs = told.read().split()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), jobs


def kill(path: Path) -> None:
    """One child for each statement at which it may die, until one gets to its end."""
    point, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        point += 1

        def work(tell: Callable[[str], None], point: int = point) -> None:
            killed_at(point)
            asyncio.run(order(path, 2, tell))

        code, jobs = ended(*forked(work))
        print(point, {0: "done", -signal.SIGKILL: "killed"}.get(code, code), *jobs)


def crowd(path: Path, children: int, orders: int) -> None:
    """Children that write at once."""
    begun = [forked(lambda tell: asyncio.run(order(path, orders, tell))) for _ in range(children)]
    for child in begun:
        code, jobs = ended(*child)
        assert code == 0
        print(*jobs)


if __name__ == "__main__":
    if sys.argv[2] == "kill":
        kill(Path(sys.argv[1]))
    else:
        crowd(Path(sys.argv[1]), *map(int, sys.argv[3:]))
