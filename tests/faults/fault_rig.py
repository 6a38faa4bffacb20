"""What a cell of the matrix is made of: a row, a door, an emulator with its fault, and clients that meet it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
from attrs import define, field, frozen
from fault_line import Front, HastyClock, papers
from fault_plays import Broken, Play, Sent, Watch

import multivideo as mv
from multivideo.clock import VirtualClock
from multivideo.providers.accounts import Account
from multivideo.sandbox import Emulator
from multivideo.sandbox.faults import Script
from multivideo.transport.embedded import HOME, EmbeddedCarrier
from multivideo.transport.http import HttpCarrier, Limits
from orders import plain_render
from raw_server import serving

__all__ = [
    "DOORS",
    "FAMILIES",
    "HOOK",
    "HOOK_SECRET",
    "KEY",
    "LATENCY_S",
    "PROMPT",
    "Act",
    "Law",
    "Rig",
    "Row",
    "generate",
    "of_door",
    "opened",
]

T = TypeVar("T")

HOOK = "https://hooks.example/video"
HOOK_SECRET = "whsec_bXVsdGl2aWRlby1sb2NhbC1lbXVsYXRvci1zZWNyZXQ="
KEY = "canary-key-4e0c7d19b2"
PROMPT = "canary: a heron walks on the moon"
DOORS = ("openai", "litellm", "kling", "kling-legacy", "vertex", "vertex-bucket", "gemini")
FAMILIES: Mapping[str, str] = {
    "openai": "openai", "litellm": "openai", "kling": "kling", "kling-legacy": "kling",
    "vertex": "google", "vertex-bucket": "google", "gemini": "google",
}  # fmt: skip
MODELS = {"openai": "sora-2", "kling": "kling-3.0", "google": "veo-3.1"}
LATENCY_S = 8.0
IMPATIENT_S = 0.02  # of real time, for an answer that never comes


class Law(AssertionError):
    """Something happened that must not, whatever the fault."""


def of_door(table: Mapping[str, T], door: str) -> T | None:
    """What a table says of a door: by its own name, else by its vendor's, else of all."""
    return next((table[name] for name in (door, FAMILIES[door], "all") if name in table), None)


def account(door: str, home: str) -> Account:
    match door:
        case "openai" | "litellm":
            return mv.OpenAIVideos(api_key=KEY, base_url=f"{home}/openai/v1", dialect=door)
        case "kling":
            return mv.Kling(api_key=KEY, base_url=f"{home}/kling")
        case "kling-legacy":
            return mv.Kling(api_key=KEY, base_url=f"{home}/kling", dialect="legacy")
        case "gemini":
            return mv.Veo(api_key=KEY, base_url=f"{home}/gemini")
    bucket = "gs://mine/runs" if door == "vertex-bucket" else None
    token = mv.BearerToken(KEY)
    return mv.Veo(project="p", credentials=token, output_uri=bucket, base_url=f"{home}/vertex")


Act = Callable[["Rig", mv.AsyncClient], Awaitable["mv.Video | None"]]


async def generate(rig: Rig, client: mv.AsyncClient) -> mv.Video:
    """What nearly every cell does first."""
    return await client.generate(rig.prompt, **rig.wish)


@frozen(kw_only=True, eq=False)
class Row:
    """A fault at a step, on every door. The tables are by door, by vendor, or for "all".

    Attributes:
        plays: how it is played.
        want: what is seen, as in the page.
        unfit: why it makes no sense at a door.
        sends: how many paid requests reach the vendor.
        more: options of the call.
        words: put behind the prompt, where the emulator has a word for the fault.
        act: what the user does first.
        set_up: what else is prepared; what has to be taken down goes to `rig.undo`.
        tries_again: once the fault is mended, the user makes the same call again.
        lasts: the fault is not over when the job is taken up again.
        keeps_a_file: a file is kept though it is not what was ordered.
        factor: how many units the vendor says that the job costs, where it is another number than the list's.
        hooks: the vendor is asked for callbacks.
        wired: played over real sockets, though no socket breaks: whoever connects is what matters.
    """

    step: str
    name: str
    plays: Mapping[str, tuple[Play, ...]] = field(factory=dict)
    want: Mapping[str, str]
    unfit: Mapping[str, str] = field(factory=dict)
    sends: Mapping[str, int] = field(factory=lambda: {"all": 1})
    more: Mapping[str, Any] = field(factory=dict)
    words: Mapping[str, str] = field(factory=dict)
    act: Act = generate
    set_up: Callable[[Rig], Any] | None = None
    tries_again: bool = False
    lasts: bool = False
    keeps_a_file: bool = False
    factor: Mapping[str, int] = field(factory=dict)
    hooks: bool = False
    wired: bool = False

    @property
    def by_sockets(self) -> bool:
        """Whether the fault is one of sockets."""
        return self.wired or any(isinstance(play, Broken) for plays in self.plays.values() for play in plays)


@define(eq=False)
class Rig:
    """One door with one fault: the emulator, its clients, and what was seen on the way."""

    row: Row
    door: str
    folder: Path
    clock: VirtualClock | HastyClock
    emulator: Emulator
    home: str
    carriers: Callable[[], tuple[Any, Any]]
    arm: Callable[[str], None]
    ledger: mv.Ledger = field(factory=mv.MemoryLedger)
    watches: list[Watch] = field(factory=list)
    plays: tuple[Play, ...] = ()
    events: list[mv.Event] = field(factory=list)
    on_event: Callable[[mv.Event], Any] | None = None
    scope: anyio.CancelScope = field(factory=anyio.CancelScope)
    at: dict[str, Callable[[], Any]] = field(factory=dict)
    """What happens when a request of that step is about to leave."""
    undo: list[Callable[[], Any]] = field(factory=list)
    said: str = ""
    """What was seen before the end, as of a callback."""

    @property
    def prompt(self) -> str:
        return f"{PROMPT} {of_door(self.row.words, self.door) or ''}".strip()

    @property
    def wish(self) -> dict[str, Any]:
        path = self.folder / "out" / "heron.mp4"
        wish: dict[str, Any] = {
            "model": MODELS[FAMILIES[self.door]],
            "duration": 4,
            "resolution": "720p",
            "save_to": path,
        }
        hooks = {"kling": {"options": {"callback_url": HOOK}}, "kling-legacy": {"callback_url": HOOK}}
        if self.row.hooks and self.door in hooks:
            wish["options"] = {"kling": hooks[self.door]}
        return {**wish, "sidecar": False, "on_event": self.told, **self.row.more}

    @property
    def desk(self) -> str:
        """What the emulator calls the door."""
        return (
            "vertex" if self.door.startswith("vertex") else "gemini" if self.door == "gemini" else FAMILIES[self.door]
        )

    def told(self, event: mv.Event) -> None:
        self.events.append(event)
        if self.on_event is not None:
            self.on_event(event)

    def client(self, *, looking_up: bool = False) -> mv.AsyncClient:
        client = mv.AsyncClient(
            providers=[account(self.door, self.home)], clock=self.clock, home=self.folder / "home", ledger=self.ledger
        )
        below, impatient = self.carriers()
        plays = [play for play in self.plays if getattr(play, "step", "") == "look up" or not looking_up]
        watch = Watch(below, impatient, self.emulator, self.home, KEY, plays, self.arm, self.at, looking_up)
        self.watches.append(watch)
        sender = client._driver.sender
        sender.carrier, sender.random = watch, lambda: 0.5  # each run waits as long as the one before
        return client

    def mend(self) -> None:
        """End the fault: whatever was to come does not."""
        while self.undo:
            self.undo.pop()()
        self.at.clear()
        for watch in self.watches:
            watch.over = True
        for job in self.emulator.jobs():
            job.script = Script()

    @property
    def paid(self) -> list[Sent]:
        return [sent for watch in self.watches for sent in watch.paid]


@asynccontextmanager
async def opened(row: Row, door: str, folder: Path) -> AsyncIterator[Rig]:
    """The rig of a cell: over sockets where the fault is one of them, else within this process."""
    plays = of_door(row.plays, door) or ()
    opener = _over_sockets if row.by_sockets else _within
    with _alone():
        async with opener(row, door, folder, plays) as rig:
            rig.plays = plays
            try:
                yield rig
            finally:
                rig.mend()
                rig.emulator.close()


@contextmanager
def _alone() -> Iterator[None]:
    """An error as it is, where a task group has wrapped it."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        raise error from None


def emulator_on(clock: VirtualClock | HastyClock) -> Emulator:
    emulator = Emulator(clock=clock, latency=LATENCY_S, render=plain_render, webhook_secret=HOOK_SECRET)
    emulator.webhook(HOOK)
    return emulator


@asynccontextmanager
async def _within(row: Row, door: str, folder: Path, plays: tuple[Play, ...]) -> AsyncIterator[Rig]:
    clock = VirtualClock()
    emulator = emulator_on(clock)

    def carriers() -> tuple[Any, Any]:
        return EmbeddedCarrier(emulator), EmbeddedCarrier(emulator)

    yield Rig(row, door, folder, clock, emulator, HOME, carriers, _no_sockets)


def _no_sockets(how: str) -> None:
    raise Law(f"no socket to break: {how}")


@asynccontextmanager
async def _over_sockets(row: Row, door: str, folder: Path, plays: tuple[Play, ...]) -> AsyncIterator[Rig]:
    before = sockets()
    clock = HastyClock()
    emulator = emulator_on(clock)
    encrypted = any(isinstance(play, Broken) and play.how in {"untrusted", "no handshake"} for play in plays)
    front = Front(emulator, clock, encrypted)

    def carriers() -> tuple[Any, Any]:
        options: dict[str, Any] = {"ssl_context": papers().client, "clock": clock, "resolve": front.resolve}
        return HttpCarrier(**options), HttpCarrier(**options, limits=Limits(read_s=IMPATIENT_S))

    def arm(how: str) -> None:
        front.armed = how

    async with serving(front) as front.wire:
        yield Rig(row, door, folder, clock, emulator, front.url, carriers, arm)
        while front.lines:
            await anyio.lowlevel.checkpoint()
        if front.armed is not None:
            raise Law(f"{front.armed} was armed and never struck")
    for _ in range(100):  # a loop closes its ends a few turns later
        await anyio.lowlevel.checkpoint()
        if sockets() == before:
            return
    raise Law(f"{sockets() - before} sockets are left")


def sockets() -> int:
    """How many sockets this process has open; 0 where the system does not tell."""
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        return 0
    return sum(_target(name).startswith("socket:") for name in folder.iterdir())


def _target(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:  # the one that listed them
        return ""
