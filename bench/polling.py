"""What waiting costs: looks at each job, and how much later than its vendor we know that it is ready.

On the virtual clock, where every answer takes 50 ms and our own work no time at all: reads and lags as the schedule
alone makes them. Then 5,000 jobs over real sockets and in real time, and what 20,000 hold in memory.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from urllib.parse import parse_qs, urlsplit

import anyio
from attrs import Factory, define, field, frozen
from ledger import resident_kib

import multivideo as mv
from multivideo.clock import Clock, SystemClock, VirtualClock
from multivideo.jobs.poller import Poller
from multivideo.jobs.schedule import Kind, Schedule
from multivideo.providers.accounts import Kling, OpenAIVideos
from multivideo.transport.carrier import Carrier, Incoming, Outgoing
from multivideo.transport.http import HttpCarrier
from multivideo.transport.sender import Channel, Sender
from multivideo.values.refs import VendorRef

SHORTEST_S, LONGEST_S, ANSWER_S, PAGE = 24.0, 36.0, 0.05, 100
KIND = Kind("sora-2", 8, "720p")
START = 1_785_542_400  # Unix time of the virtual clock's beginning


@define
class Jobs:
    """The vendor's jobs: made one after the other in so many seconds, ready after 24 to 36 s."""

    count: int
    within_s: float
    began: list[float] = Factory(
        lambda self: [self.within_s * number / self.count for number in range(self.count)], takes_self=True
    )
    ready: list[float] = field(init=False)
    opened: int = START
    reads: int = 0
    created: int = 0

    def __attrs_post_init__(self) -> None:
        dice = random.Random(7)
        self.ready = [began + dice.uniform(SHORTEST_S, LONGEST_S) for began in self.began]

    def answer(self, url: str, now: float) -> bytes:
        """The body of an answer of OpenAI's protocol, or of Kling's."""
        self.reads += 1
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if "task_ids" in query:
            names = query["task_ids"].split(",")
            return json.dumps({"code": 0, "data": [self.task(int(name), now) for name in names]}).encode()
        last = parts.path.rpartition("/")[2]
        if last != "videos":
            return json.dumps(self.video(int(last.removeprefix("video_")), now)).encode()
        newest = int(query["after"].removeprefix("video_")) if "after" in query else self.made(now)
        places = range(newest - 1, max(newest - 1 - PAGE, -1), -1)
        rows = [self.video(place, now) for place in places]
        more = {"has_more": newest > PAGE, "last_id": rows[-1]["id"] if rows else None}
        return json.dumps({"object": "list", "data": rows, **more}).encode()

    def create(self, now: float) -> bytes:
        """A new job, which takes for ever."""
        place, self.created = self.created, self.created + 1
        self.began[place], self.ready[place] = now, math.inf
        return json.dumps(self.video(place, now)).encode()

    def made(self, now: float) -> int:
        """How many there are by then."""
        return min(self.count, int(now / self.within_s * self.count) + 1)

    def video(self, place: int, now: float) -> dict[str, object]:
        """A job as OpenAI shows it."""
        done = self.ready[place] <= now
        return {
            "id": f"video_{place:08}", "object": "video", "model": KIND.model, "size": "1280x720", "seconds": "8",
            "status": "completed" if done else "in_progress", "progress": 100 if done else 50, "error": None,
            "created_at": self.opened + int(self.began[place]), "expires_at": None, "prompt": "a fox crosses a river",
        }  # fmt: skip

    def task(self, place: int, now: float) -> dict[str, object]:
        """A job as Kling shows it."""
        done = self.ready[place] <= now
        output = {"type": "video", "id": "1", "url": "https://files.example/1.mp4", "duration": "8.04"}
        return {
            "id": str(place), "status": "succeeded" if done else "processing", "message": "", "external_id": "",
            "create_time": 0, "update_time": 0, "outputs": [output] if done else [], "billing": [],
        }  # fmt: skip


@frozen
class Said:
    """One answer."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(factory=dict)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """All of it at once."""
        yield self.body


@frozen
class Line:
    """A way to the vendor that needs no socket."""

    jobs: Jobs
    clock: Clock
    answer_s: float = ANSWER_S

    @asynccontextmanager
    async def open(self, message: Outgoing) -> AsyncIterator[Said]:
        """The answer, as it was half way."""
        await self.clock.sleep(self.answer_s / 2)
        now = self.clock.monotonic()
        body = self.jobs.create(now) if message.method == "POST" else self.jobs.answer(message.url, now)
        await self.clock.sleep(self.answer_s / 2)
        yield Said(body)

    async def aclose(self) -> None:
        """Nothing to close."""


ACCOUNTS: Mapping[str, OpenAIVideos | Kling] = {
    "lists": OpenAIVideos(api_key="k-0123456789", base_url="http://127.0.0.1:8090/v1", dialect="openai"),
    "no lists": OpenAIVideos(api_key="k-0123456789", base_url="http://127.0.0.1:8090/v1", dialect="litellm"),
    "batches": Kling(api_key="k-0123456789", base_url="http://127.0.0.1:8090"),
}


def poller_of(
    account: OpenAIVideos | Kling, carrier: Carrier, clock: Clock, rate: float | None, schedule: Schedule
) -> Poller:
    """A poller as a client has it."""
    channel = Channel(account.backend(), account.signer())
    return Poller(Sender(carrier, clock, random.Random(3).random), channel, clock, rate, schedule)


async def wait_for(poller: Poller, jobs: Jobs, place: int, zero: float, lags: list[float]) -> None:
    """Wait for one job as the driver does, from when it was made; `zero` is when the vendor opened."""
    clock, began = poller.clock, zero + jobs.began[place]
    await clock.sleep(began - clock.monotonic())
    name = str(place) if poller.channel.provider.family == "kling" else f"video_{place:08}"
    ref = VendorRef(poller.channel.provider.name, poller.channel.provider.family, KIND.model, KIND.model, name)
    ended = False
    while not ended:
        age = clock.monotonic() - began
        wait_s = poller.schedule.wait_s(KIND, age, random.random)
        ended = (await poller.look(ref, wait_s, kind=KIND, age_s=age, early=True)).state.ended
    lags.append(clock.monotonic() - zero - jobs.ready[place])


async def waiting(way: str, jobs: Jobs, rate: float | None, schedule: Schedule) -> list[float]:
    """The lags of all jobs, in virtual time."""
    clock, lags = VirtualClock(START), list[float]()
    poller = poller_of(ACCOUNTS[way], Line(jobs, clock), clock, rate, schedule)
    async with anyio.create_task_group() as tasks:
        for place in range(jobs.count):
            tasks.start_soon(wait_for, poller, jobs, place, 0.0, lags)
    return lags


def told(title: str, jobs: Jobs, lags: Sequence[float], reads: int, more: str = "") -> None:
    """One row of the table."""
    cuts = statistics.quantiles(lags, n=20)
    print(
        f"{title:<52}{reads / jobs.count:6.2f} reads a job   lag p50 {cuts[9]:5.2f} s   p95 {cuts[18]:6.2f} s"
        f"   {len(lags):,} of {jobs.count:,} finished{more}"
    )


def row(way: str, count: int, *, within_s: float = 5.0, rate: float | None = None, learned: bool = True) -> None:
    """Jobs in virtual time: all at once, or as a stream."""
    schedule = Schedule()
    if learned:
        anyio.run(waiting, "lists", Jobs(200, 20.0), None, schedule)
    jobs = Jobs(count, within_s)
    began = time.process_time()
    lags = anyio.run(waiting, way, jobs, rate, schedule)
    spent = 1000 * (time.process_time() - began) / count
    known = "learned" if learned else "nothing learned"
    at = "rate off" if rate is None else f"{rate:g} a second"
    stream = "" if within_s <= 5 else f", {count / within_s:g} new a second"
    told(f"{count:,} jobs, {way}, {known}, {at}{stream}", jobs, lags, jobs.reads, f"   {spent:.1f} ms CPU a job")


async def serve(count: int, within_s: float) -> None:
    """The vendor on a port; prints which, and when it opened."""
    jobs, zero = Jobs(count, within_s, opened=int(time.time())), time.monotonic()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                body = jobs.answer(head.split(b" ", 2)[1].decode(), time.monotonic() - zero)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], zero, flush=True)
    await server.serve_forever()


async def over_sockets(jobs: Jobs, port: int, zero: float) -> tuple[list[float], int]:
    """The lags of all jobs, in real time, and how often was asked."""
    account = OpenAIVideos(api_key="k-0123456789", base_url=f"http://127.0.0.1:{port}/v1")
    carrier, lags = Counting(HttpCarrier()), list[float]()
    poller = poller_of(account, carrier, SystemClock(), None, Schedule())
    async with anyio.create_task_group() as tasks:
        for place in range(jobs.count):
            tasks.start_soon(wait_for, poller, jobs, place, zero, lags)
    await carrier.aclose()
    return lags, carrier.reads


@define
class Counting:
    """A carrier that counts."""

    carrier: HttpCarrier
    reads: int = 0

    def open(self, message: Outgoing) -> AbstractAsyncContextManager[Incoming]:
        """Ask on."""
        self.reads += 1
        return self.carrier.open(message)

    async def aclose(self) -> None:
        """Close."""
        await self.carrier.aclose()


def sockets(count: int) -> None:
    """Jobs in real time, at a vendor in another process."""
    server = subprocess.Popen([sys.executable, __file__, "serve", str(count)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    port, zero = server.stdout.readline().split()
    jobs, began = Jobs(count, 5.0), time.process_time()
    lags, reads = anyio.run(over_sockets, jobs, int(port), float(zero))
    spent = 1000 * (time.process_time() - began) / count
    server.terminate()
    server.wait()
    told(f"{count:,} jobs, lists, over sockets, rate off", jobs, lags, reads, f"   {spent:.1f} ms CPU a job")


async def held(count: int) -> None:
    """Prints the KiB of the process before there are jobs, and at most while so many are under way, in real time."""
    clock, jobs = SystemClock(), Jobs(count, 1.0, opened=int(time.time()))
    client = mv.AsyncClient(providers=[ACCOUNTS["lists"]], ledger=mv.MemoryLedger())
    client._driver.sender.carrier = Line(jobs, clock, 0)
    client._driver.sites[ACCOUNTS["lists"].name].poller.rate = None
    made = [await client.submit("a fox", model="sora-2", duration=8)]
    before, most = resident_kib(), 0
    made += [await client.submit("a fox", model="sora-2", duration=8) for _ in range(count - 1)]
    async with anyio.create_task_group() as tasks:
        for job in made:
            tasks.start_soon(job.wait)
        for _ in range(10):
            await clock.sleep(1)
            most = max(most, resident_kib())
        tasks.cancel_scope.cancel()
    print(before, most)


def memory(count: int) -> None:
    """What jobs under way hold, in a process of their own: whole jobs with their plans, in books in memory."""
    command = [sys.executable, __file__, "held", str(count)]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, most = (int(word) for word in done.stdout.split())
    print(
        f"{count:,} jobs under way{most / 1024:38.0f} MiB in all   {(most - before) / count:5.1f} KiB a job"
        f"   ({time.perf_counter() - began:.0f} s)"
    )


def main() -> None:
    """Print all figures of waiting."""
    row("no lists", 1000)
    row("no lists", 1000, learned=False)
    row("lists", 5000)
    row("lists", 5000, learned=False)
    row("lists", 5000, within_s=100)
    row("batches", 5000)
    row("batches", 5000, learned=False)
    row("lists", 20_000)
    row("no lists", 100, rate=5)
    row("batches", 1000, rate=5)
    row("lists", 1000, rate=5)
    sockets(5000)
    memory(5000)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    elif sys.argv[1] == "serve":
        asyncio.run(serve(int(sys.argv[2]), 5.0))
    else:
        anyio.run(held, int(sys.argv[2]))
