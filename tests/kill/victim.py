"""The process that is killed: forks one child for each line it reads, and tells how the child ended.

A child opens a client of its own, does one `generate()` or one `recover()` against the emulator on its port, and kills
itself with SIGKILL at the point it was told: points lie before each statement on the books and after each commit, at
each step of an HTTP exchange, and around whatever touches the disk for good. Forking costs a hundredth of starting
Python.
"""

from __future__ import annotations

import gc
import json
import os
import pathlib
import signal
import sqlite3
import ssl
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import anyio
import anyio._backends._asyncio  # loaded once here, as the next two are, and not in each child
import av.subtitles.stream  # noqa: F401
import httpcore  # noqa: F401

import multivideo as mv
import multivideo.jobs.driver
import multivideo.jobs.recover
import multivideo.transport.http as http
from multivideo.catalog.book import Catalog
from multivideo.clock import Nap, SystemClock

SPEED = 200.0
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CATALOG = Catalog.default()
PROMPT = "A paper boat crosses a puddle at dusk"
WISH: dict[str, Any] = {"duration": 4, "resolution": "720p", "sidecar": False}

ACCOUNTS: Mapping[str, Callable[[str, str], Any]] = {
    "kling": lambda url, key: mv.Kling(api_key=key, base_url=f"{url}/kling"),
    "kling-legacy": lambda url, key: mv.Kling(api_key=key, base_url=f"{url}/kling", dialect="legacy"),
    "openai": lambda url, key: mv.OpenAIVideos(api_key=key, base_url=f"{url}/openai/v1"),
    "vertex": lambda url, key: mv.Veo(
        project="p", credentials=mv.BearerToken(key), base_url=f"{url}/vertex", output_uri="gs://mine/runs"
    ),
    "gemini": lambda url, key: mv.Veo(api_key=key, base_url=f"{url}/gemini"),
}


class Hurried(SystemClock):
    """A clock on which pauses pass 200 times as fast, and which may be ahead of the others."""

    def __init__(self, ahead_s: float) -> None:
        self._ahead_s = ahead_s

    def wall(self) -> float:
        return super().wall() + self._ahead_s

    def monotonic(self) -> float:
        return super().monotonic() * SPEED

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / SPEED)

    def nap(self, seconds: float) -> Nap:
        return super().nap(seconds / SPEED)


class Points:
    """Counts the points at which this process may be killed, and kills it at the one that was asked for."""

    def __init__(self, last: int | None, told: int) -> None:
        self._last, self._told, self._lock = last, told, threading.Lock()
        self._ending = False
        self.count, self.over = 0, False

    def pass_by(self, where: str) -> None:
        with self._lock:
            self.count += 1
            if self.count == self._last:
                self.tell(at=where)
                os.kill(os.getpid(), signal.SIGKILL)

    def tell(self, **what: Any) -> None:
        """Say how far this life came; `over`: the books name the job as ended, so that nothing is left to recover."""
        os.write(self._told, json.dumps({**what, "points": self.count, "over": self.over}).encode())

    def statement(self, words: str, run: Callable[[], sqlite3.Cursor]) -> sqlite3.Cursor:
        """Run a statement on the books. What comes after one comes before the next, but for the last."""
        self.pass_by(f"before {words}")
        cursor = run()
        self._ending = self._ending or words.startswith("UPDATE jobs SET ended_ms = :now")
        if words == "COMMIT":
            self.over = self._ending
            self.pass_by(f"after {words}")
        return cursor

    def around(self, where: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with a point before it and one behind."""

        def called(*given: Any, **named: Any) -> Any:
            self.pass_by(f"before {where}")
            result = call(*given, **named)
            self.pass_by(f"after {where}")
            return result

        return called

    def watch(self) -> None:
        """Put points around everything that leaves a trace outside this process."""
        points = self

        class Connection(sqlite3.Connection):
            def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
                words = " ".join(statement.split())[:60]
                return points.statement(words, lambda: super(Connection, self).execute(statement, *values))

        traced = http._Boundary.trace

        async def trace(boundary: Any, name: str, info: Mapping[str, Any]) -> None:
            await traced(boundary, name, info)
            points.pass_by(f"{boundary._method.decode()} {name}")

        sqlite3.connect = partial(sqlite3.connect, factory=Connection)  # type: ignore[assignment]
        http._Boundary.trace = trace  # type: ignore[method-assign,assignment]
        os.fsync = self.around("fsync", os.fsync)
        pathlib.Path.replace = self.around("rename", pathlib.Path.replace)  # type: ignore[method-assign]
        pathlib.Path.unlink = self.around("unlink", pathlib.Path.unlink)  # type: ignore[method-assign]


def client(task: Mapping[str, Any]) -> mv.AsyncClient:
    return mv.AsyncClient(
        providers=[ACCOUNTS[task["door"]](task["url"], task["key"])],
        home=task["home"],
        catalog=CATALOG,
        ssl_context=TLS,
        clock=Hurried(task["ahead_s"]),
    )


async def generate(task: Mapping[str, Any]) -> Any:
    async with client(task) as door:
        video = await door.generate(PROMPT, **WISH, save_to=task["save_to"], count=task["count"])
        return {"videos": [str(take.path) for take in video.takes]}


async def recover(task: Mapping[str, Any]) -> Any:
    async with client(task) as door:
        report = await door.recover()
        return {
            "videos": [str(take.path) for video in report.videos for take in video.takes],
            "failed": [f"{type(error).__name__}: {error.what}" for error in report.failed],
            "still_running": [job.id for job in report.still_running],
            "unresolved": [left.attempt_id for left in report.unresolved],
        }


def live(task: Mapping[str, Any], told: int) -> None:
    """The whole life of a child."""
    points = Points(task["kill"], told)
    points.watch()
    does = generate if task["do"] == "generate" else recover
    try:
        said = anyio.run(does, task)
    except BaseException:  # noqa: BLE001 - told to the parent
        said = {"error": traceback.format_exc()[-600:]}
    points.tell(said=said)


def forked(task: Mapping[str, Any]) -> dict[str, Any]:
    """Let a child live and say how that went."""
    heard, told = os.pipe()
    child = os.fork()
    if child == 0:
        live(task, told)
        os._exit(0)
    os.close(told)
    with os.fdopen(heard, "rb") as pipe:
        story: dict[str, Any] = json.loads(pipe.read() or b"{}")
    _, status = os.waitpid(child, 0)
    return {**story, "killed": os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL}


def warm_up() -> None:
    """Plan once at every door, so that no child has to load or to compute what all of them need."""
    for account in ACCOUNTS.values():
        mv.AsyncClient(providers=[account("http://127.0.0.1:9", "k")], catalog=CATALOG).plan(PROMPT, **WISH)


if __name__ == "__main__":
    warm_up()
    gc.freeze()  # else each child's first collection copies all that it shares with this process
    for line in sys.stdin:
        print(json.dumps(forked(json.loads(line))), flush=True)
