"""What a job costs on its way, in CPU: the whole client and the carrier alone, beside plain httpx in the same run.

A job is a create, one look at it and the download of 4 KiB. Each figure is that of a process of its own, which asks a
small server in another process over clear text; ratios count, for both meet the same machine.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import av
import httpx
import numpy as np
from ledger import resident_kib

import multivideo as mv
from multivideo.clock import Nap, SystemClock
from multivideo.transport.carrier import Outgoing, Reach
from multivideo.transport.http import HttpCarrier

ROUNDS = 3
JOBS = {1: 200, 100: 500, 1000: 1000}  # by how many at once
LATENCY_S = 0.05  # of each answer, so that what is at once really is
FILE_BYTES, LARGE_BYTES = 4096, 64 * 1024 * 1024
SHAPE = (180, 320, 3)
MODEL = mv.ModelSpec(sizes=("320x180",), seconds=(1,), fps=8, audio=(False,), price_per_second="0.1")
HEADERS = {"authorization": "Bearer k", "accept": "application/json"}
ORDER = json.dumps({"model": "tiny", "prompt": "a fox", "seconds": "1", "size": "320x180"}).encode()

Job = Callable[[Path], Awaitable[None]]
Way = Callable[[str], "contextmanager[Job]"]


def clip() -> bytes:
    """One second of grey, padded to 4 KiB as mp4 allows."""
    file = io.BytesIO()
    with av.open(file, "w", "mp4") as film:
        stream = film.add_stream("libx264", 8)
        stream.height, stream.width, stream.pix_fmt = *SHAPE[:2], "yuv420p"
        for _ in range(8):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(np.full(SHAPE, 128, np.uint8))))
        film.mux(stream.encode())
    made = file.getvalue()
    padding = FILE_BYTES - len(made)
    return made + padding.to_bytes(4) + b"free" + bytes(padding - 8)


class Server(asyncio.Protocol):
    """As much of the OpenAI Videos protocol as these jobs need, at next to no cost."""

    file = b""
    made = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with nothing."""
        self._line, self._rest = transport, b""

    def data_received(self, data: bytes) -> None:
        """Answer each request as soon as it is whole."""
        self._rest += data
        while (end := self._rest.find(b"\r\n\r\n")) >= 0:
            head = self._rest[:end].lower()
            size = int(head.partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
            if len(self._rest) < end + 4 + size:
                return
            path, self._rest = head.split(b" ", 2)[1], self._rest[end + 4 + size :]
            self._answer(head.startswith(b"post"), path)

    def _answer(self, is_create: bool, path: bytes) -> None:
        Server.made += is_create
        kind, body = b"application/json", b""
        if path.endswith(b"/content"):
            kind, body = b"video/mp4", self.file
        elif path == b"/large":
            kind, body = b"video/mp4", bytes(LARGE_BYTES)
        else:
            name = f"video_{Server.made}" if is_create else path.rpartition(b"/")[2].decode()
            video = {"id": name, "object": "video", "status": "queued" if is_create else "completed", "model": "tiny"}
            body = json.dumps({**video, "created_at": 1785542400, "size": "320x180", "seconds": "1"}).encode()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (kind, len(body))
        assert isinstance(self._line, asyncio.WriteTransport)
        asyncio.get_running_loop().call_later(LATENCY_S, self._line.write, head + body)


async def serve() -> None:
    """Tell the port, then answer until this process is ended."""
    Server.file = clip()
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, backlog=2000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class Hurried(SystemClock):
    """A clock that goes a thousand times as fast, so that what is measured is work and no pause."""

    def monotonic(self) -> float:
        """Hurried seconds."""
        return 1000 * super().monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait, hurriedly."""
        await super().sleep(seconds / 1000)

    def nap(self, seconds: float) -> Nap:
        """A hurried sleep."""
        return super().nap(seconds / 1000)


def durable(path: Path, pieces: bytes) -> None:
    """Write whole or not at all."""
    part = path.with_suffix(".part")
    with part.open("xb") as out:
        out.write(pieces)
        out.flush()
        os.fsync(out.fileno())
    part.rename(path)


@asynccontextmanager
async def client(url: str) -> AsyncIterator[Job]:
    """The whole client, its ledger in memory."""
    account = mv.OpenAIVideos(api_key="k", base_url=f"{url}/v1", models={"tiny": MODEL})
    async with mv.AsyncClient(providers=[account], ledger=mv.MemoryLedger(), clock=Hurried()) as ours:

        async def job(path: Path) -> None:
            await ours.generate("a fox", model="tiny", duration=1, save_to=path, sidecar=False)

        yield job


@asynccontextmanager
async def carrier(url: str) -> AsyncIterator[Job]:
    """What carries the client's requests, without the client."""
    carrying = HttpCarrier()

    async def ask(method: str, path: str, body: bytes = b"", *, long: bool = False) -> bytes:
        message = Outgoing(
            method, url + path, HEADERS, body, paid=method == "POST", reach=Reach.ANYWHERE, long=long
        )
        async with carrying.open(message) as answer:
            return b"".join([chunk async for chunk in answer.chunks()])

    async def job(path: Path) -> None:
        name = json.loads(await ask("POST", "/v1/videos", ORDER))["id"]
        assert json.loads(await ask("GET", f"/v1/videos/{name}"))["status"] == "completed"
        durable(path, await ask("GET", f"/v1/videos/{name}/content", long=True))

    yield job
    await carrying.aclose()


@asynccontextmanager
async def plain(url: str, *, safe: bool) -> AsyncIterator[Job]:
    """httpx as it comes; `safe`: with a fresh connection for what is paid, and files that are whole or not there."""
    fresh = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(headers=HEADERS, timeout=600) as reads:
        async with httpx.AsyncClient(headers=HEADERS, timeout=600, limits=fresh) as pays:

            async def job(path: Path) -> None:
                made = await (pays if safe else reads).post(f"{url}/v1/videos", content=ORDER)
                address = f"{url}/v1/videos/{made.json()['id']}"
                assert (await reads.get(address)).json()["status"] == "completed"
                file = await reads.get(f"{address}/content")
                (durable if safe else Path.write_bytes)(path, file.content)

            yield job


WAYS: Mapping[str, Callable[[str], object]] = {
    "client": client,
    "client, end decoded": client,
    "carrier": carrier,
    "safe httpx": lambda url: plain(url, safe=True),
    "httpx": lambda url: plain(url, safe=False),
}


def spent_us() -> float:
    """CPU of this process so far, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return 1e6 * (used.ru_utime + used.ru_stime)


async def jobs(way: str, at_once: int, url: str) -> None:
    """Print the CPU of a job, in microseconds."""
    if way != "client, end decoded":
        sys.modules["av"] = None  # type: ignore[assignment] # as it is without the extra `media`
    with tempfile.TemporaryDirectory() as folder:
        async with WAYS[way](url) as job:  # type: ignore[attr-defined]
            numbers = iter(range(10**9))

            async def worker(until: int) -> None:
                while (number := next(numbers)) < until:
                    await job(Path(folder) / f"{number}.mp4")

            await worker(10)
            before, until = spent_us(), 11 + JOBS[at_once]
            async with anyio.create_task_group() as tasks:
                for _ in range(at_once):
                    tasks.start_soon(worker, until)
            print((spent_us() - before) / JOBS[at_once])


def child(*words: object) -> list[float]:
    """What a process of its own prints."""
    done = subprocess.run(
        [sys.executable, __file__, *map(str, words)], capture_output=True, text=True, check=True
    )
    return [float(word) for word in done.stdout.split()]


@contextmanager
def serving() -> Iterator[str]:
    """The server in a process of its own."""
    with subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.terminate()


def cpu_of_jobs(url: str) -> None:
    """A row for each way and each number at once."""
    for at_once in JOBS:
        figures: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(ROUNDS):
            for way, of_way in figures.items():
                of_way += child("jobs", way, at_once, url)
        medians = {way: statistics.median(of_way) for way, of_way in figures.items()}
        for way, us in medians.items():
            title, safe, naive = f"{way}, {at_once:,} at once", medians["safe httpx"], medians["httpx"]
            print(f"{title:<32}{us:8.0f} us CPU a job   {us / safe:5.2f} x safe httpx   {us / naive:5.2f} x httpx")


def main() -> None:
    """Print all figures of the transport."""
    with serving() as url:
        cpu_of_jobs(url)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    elif sys.argv[1] == "serve":
        asyncio.run(serve())
    elif sys.argv[1] == "jobs":
        anyio.run(jobs, sys.argv[2], int(sys.argv[3]), sys.argv[4])
