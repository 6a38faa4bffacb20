"""The emulator: one async callable that answers as OpenAI, Kling and Google would."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol, Self

from attrs import define, field

from multivideo.clock import Clock, SystemClock
from multivideo.sandbox.archive import Archive, ArchiveFault
from multivideo.sandbox.callbacks import Callback, CallbackBook
from multivideo.sandbox.control import Control
from multivideo.sandbox.faults import HEADER, Script
from multivideo.sandbox.gemini import GeminiDoor
from multivideo.sandbox.google import VertexDoor
from multivideo.sandbox.jobs import Job, JobStore
from multivideo.sandbox.kling import KlingDoor
from multivideo.sandbox.line import CALL, Call, LineBroken
from multivideo.sandbox.openai import OpenAIDoor
from multivideo.sandbox.openai_order import ReferenceMode
from multivideo.sandbox.pool import RenderPool
from multivideo.sandbox.poster import Poster
from multivideo.sandbox.render import Clip, render
from multivideo.sandbox.switches import Switches
from multivideo.sandbox.wire import Refused, Reply, Request, json_reply

__all__ = ["DOORS", "Emulator"]

DOORS: Mapping[str, str] = {"openai": "/openai/v1", "kling": "/kling", "vertex": "/vertex", "gemini": "/gemini"}


class Door(Protocol):
    """One vendor."""

    async def handle(self, request: Request) -> Reply:
        """The vendor's answer."""
        ...


@define(eq=False)
class Emulator:
    """Three vendors behind one call: `reply = await emulator(method, path, headers, body)`.

    Args:
        clock: times of jobs are read from it, and it stands still while files are rendered.
        latency: seconds that every job takes; None: about as long as the real ones.
        file_uris: whether the file links of the Gemini API name Google's host or the emulator's own.
        strict_lifecycle: the Gemini API answers that its Veo models are gone, as it does since 2026-10-22.
        seed: of all ids and tokens.
        render: makes a file of a `Clip`; the real renderer unless given.
        strict: Kling refuses fields that it does not know, instead of ignoring them.
        kling_slots: jobs under way at once per Kling account and model.
        kling_units: prepaid units of each Kling account.
        cache_bytes: finished files kept in memory.
        webhook_secret: signs callbacks, `whsec_...`; two while one replaces the other.
        post_callbacks: post callbacks to addresses of this machine; else they are only kept.
        input_reference: in which form OpenAI's door takes it: `both`, `file_only` or `object_only`.
    """

    clock: Clock = field(factory=SystemClock, kw_only=True)
    latency: float | None = field(default=None, kw_only=True)
    file_uris: Literal["upstream", "self"] = field(default="upstream", kw_only=True)
    strict_lifecycle: bool = field(default=False, kw_only=True)
    seed: int = field(default=0, kw_only=True)
    render: Callable[[Clip], bytes] = field(default=render, kw_only=True)
    strict: bool = field(default=False, kw_only=True)
    kling_slots: int = field(default=20, kw_only=True)
    kling_units: int = field(default=1_000_000, kw_only=True)
    cache_bytes: int = field(default=256 * 1024 * 1024, kw_only=True)
    webhook_secret: str | Sequence[str] | None = field(default=None, kw_only=True, repr=False)
    post_callbacks: bool = field(default=False, kw_only=True)
    input_reference: ReferenceMode = field(default="both", kw_only=True)
    _store: JobStore = field(init=False, repr=False)
    _doors: Mapping[str, Door] = field(init=False, repr=False)
    _callbacks: CallbackBook = field(init=False, repr=False)
    _switches: Switches = field(init=False, repr=False)
    _poster: Poster | None = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        pool = RenderPool(self.clock, self.render, self.cache_bytes)
        self._store = JobStore(
            clock=self.clock,
            random=random.Random(self.seed),  # noqa: S311 - pretend ids, the same in every run
            pool=pool,
            latency=self.latency,
        )
        kling = KlingDoor.over(self._store, strict=self.strict, slots=self.kling_slots, units=self.kling_units)
        secret = self.webhook_secret
        secrets = () if secret is None else (secret,) if isinstance(secret, str) else tuple(secret)
        self._callbacks = CallbackBook(self._store, secrets, {"kling": kling.notice})
        self._switches = Switches(self.input_reference)
        self._doors = {
            "openai": OpenAIDoor(self._store, self._switches),
            "kling": kling,
            "vertex": VertexDoor(self._store),
            "gemini": GeminiDoor(self._store, self.file_uris, self.strict_lifecycle),
            "_emu": Control(self._store, self._callbacks, self._switches),
        }
        self._poster = Poster(self._callbacks) if self.post_callbacks else None

    async def __call__(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Answer one request.

        Args:
            method: HTTP method; HEAD gets the headers of GET.
            path: with the prefix of the door and the query, percent-encoded as on the wire.
            headers: names in any case; `host` and `x-forwarded-proto` go into links that are given out.
            body: all of it.

        Raises:
            ConnectionLost: a fault killed the connection; so may the body of the reply.
        """
        try:
            return await self.answer(method, path, headers, body)
        except LineBroken as broken:
            await self.clock.sleep(broken.seconds)
            raise

    async def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """As by calling the emulator, for a door that acts out on a socket how a line breaks.

        Raises:
            LineBroken: at once, however long the line is to stay silent.
        """
        head = method.upper() == "HEAD"
        request = Request.of("GET" if head else method, path, headers, body)
        door = self._doors.get(request.segments[0]) if request.segments else None
        if door is None:
            return json_reply(404, {"error": {"message": f"No door here; there are {', '.join(DOORS.values())}."}})
        call = Call(request.headers.get(HEADER))
        token = CALL.set(call)
        try:
            self._store.refresh()
            reply = await door.handle(request)
            self._store.settle()
        except Refused as refusal:
            reply = refusal.reply
        except ArchiveFault as fault:
            reply = json_reply(503, {"error": {"message": f"The emulator cannot use its file: {fault}"}})
        finally:
            CALL.reset(token)
        reply = call.spoil(reply, self.clock)
        return Reply(reply.status, reply.headers, Reply.of(200, b"", "").body) if head else reply

    def keep_in(self, path: str | os.PathLike[str]) -> None:
        """Keep all jobs in a file, where other processes that name it find them and go on with them.

        The first order makes the file, and a job stands in it before its create call is answered. Ids are drawn anew in
        every process, whatever the seed. A file that cannot be read is set aside. Jobs that were over a week ago are
        thrown away, and so are they for whoever asks.

        Raises:
            ValueError: it has jobs already.
        """
        if self._store.all():
            raise ValueError("jobs were accepted before: name the file first")
        self._store.archive = Archive(Path(path))
        self._store.random = random.SystemRandom()

    def fault(self, door: str, *, job: str | None = None, **words: object) -> None:
        """Give the next create on a door a fault script, or a job of that door that is under way."""
        if door not in DOORS:
            raise ValueError(f"no door {door!r}; there are {', '.join(DOORS)}")
        if job is None:
            self._store.faults.queue(door, Script.of(words))
        else:
            self._store.fault(door, job, Script.of(words))

    def switch(self, **words: object) -> None:
        """Turn a switch while it runs: `emulator.switch(input_reference="object_only")`; ValueError for no such one."""
        self._switches.set(words)

    def webhook(self, url: str, *, secret: str | None = None) -> None:
        """Tell an address of OpenAI's videos that end from now on; without a secret, under `webhook_secret`."""
        self._callbacks.register(url, secret)

    def callbacks(self, *, door: str | None = None, job: str | None = None) -> tuple[Callback, ...]:
        """What was to be posted so far, oldest first, of one door or one job if asked; posted or not."""
        return self._callbacks.told(door, job)

    def jobs(self, credential: str | None = None, *, door: str | None = None) -> tuple[Job, ...]:
        """Every job accepted so far, oldest first, of one credential or one door if asked."""
        self._store.refresh()
        return self._store.all(door, credential)

    def count(self, credential: str | None = None, *, door: str | None = None) -> int:
        """How many jobs were accepted."""
        return len(self.jobs(credential, door=door))

    def charged(self, credential: str | None = None, *, door: str | None = None) -> int:
        """What the accepted jobs cost, in micro-USD."""
        return sum(job.cost for job in self.jobs(credential, door=door))

    def close(self) -> None:
        """Stop rendering and posting; files under way are given up."""
        if self._poster is not None:
            self._poster.close()
        self._store.pool.close()
        if self._store.archive is not None:
            self._store.archive.close()

    async def aclose(self) -> None:
        """Stop rendering; files under way are given up."""
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()
