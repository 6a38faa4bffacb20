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
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
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
LATENCY_S = 0.1  # of each answer where many are at once, so that they really are
SMALL, LARGE = 4096, 64 * 1024 * 1024
SHAPE = (180, 320, 3)
MODEL = mv.ModelSpec(sizes=("320x180",), seconds=(1,), fps=8, audio=(False,), price_per_second="0.1")
HEADERS = {"authorization": "Bearer k", "accept": "application/json"}
ORDER = {"prompt": "a fox", "seconds": "1", "size": "320x180"}

Job = Callable[[Path, str], Awaitable[None]]  # target and model: "small" or "large", after what it makes


def clip(size: int) -> bytes:
    """One second of grey (2 KiB), padded to that many bytes as mp4 allows."""
    file = io.BytesIO()
    with av.open(file, "w", "mp4") as film:
        stream = film.add_stream("libx264", 8)
        stream.height, stream.width, stream.pix_fmt = *SHAPE[:2], "yuv420p"
        for _ in range(8):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(np.full(SHAPE, 128, np.uint8))))
        film.mux(stream.encode())
    made = file.getvalue()
    padding = size - len(made)
    return made + padding.to_bytes(4) + b"free" + bytes(padding - 8)


class Server(asyncio.Protocol):
    """As much of the OpenAI Videos protocol as these jobs need, at next to no cost."""

    files: Mapping[bool, bytes] = {}  # by whether it is the large one
    made = 0
    latency_s = 0.0

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
            path, body = head.split(b" ", 2)[1], self._rest[end + 4 : end + 4 + size]
            self._rest = self._rest[end + 4 + size :]
            self._answer(path, body)

    def _answer(self, path: bytes, order: bytes) -> None:
        Server.made += bool(order)
        kind, body = b"application/json", b""
        if path.endswith(b"/content"):
            kind, body = b"video/mp4", self.files[b"large" in path]
        else:
            name = f"{json.loads(order)['model']}_{Server.made}" if order else path.rpartition(b"/")[2].decode()
            video = {"id": name, "object": "video", "status": "queued" if order else "completed", "model": name[:5]}
            body = json.dumps({**video, "created_at": 1785542400, "size": "320x180", "seconds": "1"}).encode()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (kind, len(body))
        assert isinstance(self._line, asyncio.WriteTransport)
        asyncio.get_running_loop().call_later(self.latency_s, self._line.write, head + body)


async def serve(latency_s: float) -> None:
    """Tell the port, then answer until this process is ended."""
    Server.latency_s = latency_s
    Server.files = {False: clip(SMALL), True: clip(LARGE)}
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
    account = mv.OpenAIVideos(api_key="k", base_url=f"{url}/v1", models={"small": MODEL, "large": MODEL})
    async with mv.AsyncClient(providers=[account], ledger=mv.MemoryLedger(), clock=Hurried()) as ours:

        async def job(path: Path, model: str) -> None:
            await ours.generate("a fox", model=model, duration=1, save_to=path, sidecar=False)

        yield job


@asynccontextmanager
async def carrier(url: str) -> AsyncIterator[Job]:
    """What carries the client's requests, without the client."""
    carrying = HttpCarrier()

    async def ask(method: str, path: str, body: bytes = b"", *, long: bool = False) -> bytes:
        message = Outgoing(method, url + path, HEADERS, body, paid=method == "POST", reach=Reach.ANYWHERE, long=long)
        async with carrying.open(message) as answer:
            return b"".join([chunk async for chunk in answer.chunks()])

    async def job(path: Path, model: str) -> None:
        name = json.loads(await ask("POST", "/v1/videos", json.dumps({**ORDER, "model": model}).encode()))["id"]
        assert json.loads(await ask("GET", f"/v1/videos/{name}"))["status"] == "completed"
        durable(path, await ask("GET", f"/v1/videos/{name}/content", long=True))

    yield job
    await carrying.aclose()


@asynccontextmanager
async def plain(url: str, *, safe: bool = False, wide: bool = False, streams: bool = False) -> AsyncIterator[Job]:
    """Plain httpx as it comes, but for a limit that lets a crowd wait; `wide`: with a connection for each.

    `safe`: with a fresh connection for what is paid, and files that are whole or not there.
    """
    fresh = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    pool = httpx.Limits(max_connections=None if wide else 100, max_keepalive_connections=20)
    async with (
        httpx.AsyncClient(headers=HEADERS, timeout=600, limits=pool) as reads,
        httpx.AsyncClient(headers=HEADERS, timeout=600, limits=fresh) as pays,
    ):

        async def job(path: Path, model: str) -> None:
            made = await (pays if safe else reads).post(f"{url}/v1/videos", json={**ORDER, "model": model})
            address = f"{url}/v1/videos/{made.json()['id']}"
            assert (await reads.get(address)).json()["status"] == "completed"
            if not streams:
                file = await reads.get(f"{address}/content")
                (durable if safe else Path.write_bytes)(path, file.content)
                return
            with path.open("wb") as out:
                async with reads.stream("GET", f"{address}/content") as answer:
                    async for piece in answer.aiter_bytes():
                        out.write(piece)

        yield job


WAYS: Mapping[str, Callable[[str], AbstractAsyncContextManager[Job]]] = {
    "client": client,
    "client with PyAV": client,
    "carrier": carrier,
    "safe httpx": partial(plain, safe=True),
    "httpx": plain,
    "httpx, wide pool": partial(plain, wide=True),
    "httpx, streaming": partial(plain, streams=True),
}


def spent_us() -> float:
    """CPU of this process so far, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return 1e6 * (used.ru_utime + used.ru_stime)


async def jobs(way: str, at_once: int, many: int, model: str, url: str) -> None:
    """Print the CPU of a job, in microseconds, and the KiB by which the process grew meanwhile."""
    if way != "client with PyAV":
        sys.modules["av"] = None  # type: ignore[assignment] # as it is without the extra `media`
    with tempfile.TemporaryDirectory() as folder:
        async with WAYS[way](url) as job:
            for number in range(10):
                await job(Path(folder) / f"first {number}.mp4", "small")
            numbers = iter(range(many))

            async def worker() -> None:
                for number in numbers:
                    await job(Path(folder) / f"{number}.mp4", model)

            before, resident = spent_us(), resident_kib()
            async with anyio.create_task_group() as tasks:
                for _ in range(at_once):
                    tasks.start_soon(worker)
            print((spent_us() - before) / many, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident)


def child(*words: object) -> list[float]:
    """What a process of its own prints."""
    done = subprocess.run([sys.executable, __file__, *map(str, words)], capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


@contextmanager
def serving(latency_s: float) -> Iterator[str]:
    """The server in a process of its own."""
    with subprocess.Popen(
        [sys.executable, __file__, "serve", str(latency_s)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.terminate()


def compared(ways: Sequence[str], *words: object) -> dict[str, list[float]]:
    """By way, the medians of what its processes print; the ways take turns."""
    printed: dict[str, list[list[float]]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way in ways:
            printed[way].append(child("jobs", way, *words))
    return {way: [statistics.median(column) for column in zip(*rows, strict=True)] for way, rows in printed.items()}


def cpu_of_jobs() -> None:
    """A row for each way and each number at once."""
    ways = [way for way in WAYS if way != "httpx, streaming"]
    for at_once, many in JOBS.items():
        with serving(LATENCY_S if at_once > 1 else 0) as url:
            found = compared(ways, at_once, many, "small", url)
        safe, naive = found["safe httpx"][0], found["httpx"][0]
        for way, (us, _) in found.items():
            title = f"{way}, {at_once:,} at once"
            print(f"{title:<32}{us:8.0f} us CPU a job   {us / safe:5.2f} x safe httpx   {us / naive:5.2f} x httpx")


def large_files(url: str) -> None:
    """Jobs whose file has 64 MiB: CPU, and how far the process grows at most."""
    for at_once in (1, 8):
        found = compared(["client", "httpx, streaming"], at_once, at_once, "large", url)
        for way, (us, kib) in found.items():
            title, ratio = f"{way}, {at_once} x 64 MiB", us / found["httpx, streaming"][0]
            print(f"{title:<32}{us / 1000:8.0f} ms CPU a job   {ratio:5.2f} x httpx   grows by {kib / 1024:.1f} MiB")


OPEN = {
    "open client": (
        "import multivideo as mv",
        "async with mv.AsyncClient(providers=[mv.Kling(api_key='k')]) as client:",
        "    client.plan('a fox', duration=5)",
        "    report()",
    ),
    "open httpx": ("import httpx", "async with httpx.AsyncClient():", "    report()"),
}
REPORT = """
import asyncio, re
def report():
    print(re.search(r"VmRSS:\\s*(\\d+)", open("/proc/self/status").read())[1])
async def main():
"""


def open_clients() -> None:
    """Resident size of a process that has done nothing but open a client."""
    for title, lines in OPEN.items():
        script = REPORT + "".join(f"    {line}\n" for line in lines) + "asyncio.run(main())"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        print(f"{title:<32}{int(done.stdout) / 1024:8.1f} MiB resident")


def main() -> None:
    """Print all figures of the transport."""
    cpu_of_jobs()
    with serving(0) as url:
        large_files(url)
    open_clients()


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    elif sys.argv[1] == "serve":
        asyncio.run(serve(float(sys.argv[2])))
    else:
        anyio.run(jobs, sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5], sys.argv[6])
