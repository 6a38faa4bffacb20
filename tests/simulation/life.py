"""One life of a few clients on one ledger, all of it drawn from one seed: storm, calm, recovery, reckoning."""

from __future__ import annotations

import asyncio
import shutil
import signal
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import anyio
from attrs import define, evolve, field, frozen
from reckoning import faults_of
from storm import KINDS, Line, Sea, Weather

import multivideo as mv
from multivideo.catalog.book import Catalog
from multivideo.clock import VirtualClock
from multivideo.errors import LedgerError, MultiVideoError
from multivideo.ledger.account import CreditAccount
from multivideo.ledger.store import Store, Work
from multivideo.providers.accounts import Account
from multivideo.sandbox import Emulator
from multivideo.transport.embedded import HOME
from sky import Dice, ReadyFiles

__all__ = ["Life", "Story", "live"]

SECONDS_OF_A_LEASE = 1100.0
MOST_JUMPS = 5_000
MOST_SECONDS = 30.0
CATALOG = Catalog.default()
Backend = Literal["asyncio", "trio"]
MODELS = {
    "openai": ("sora-2", 4), "litellm": ("sora-2", 4), "kling": ("kling-3.0", 5), "kling-legacy": ("kling-3.0", 5),
    "vertex": ("veo-3.1-fast", 4), "bucket": ("veo-3.1-fast", 4), "gemini": ("veo-3.1", 4),
}  # fmt: skip
DOORS = {"litellm": "openai", "kling-legacy": "kling", "bucket": "vertex"}


def account(name: str, slots: int | None = None) -> Account:
    """The account of that name, with a key of its own."""
    key = f"key-of-{name}"
    match name:
        case "openai":
            return mv.OpenAIVideos(api_key=key, base_url=f"{HOME}/openai/v1", slots=slots)
        case "litellm":
            return mv.OpenAIVideos(api_key=key, base_url=f"{HOME}/openai/v1", dialect="litellm", name="litellm")
        case "kling":
            return mv.Kling(api_key=key, base_url=f"{HOME}/kling", slots=slots or 20)
        case "kling-legacy":
            return mv.Kling(api_key=key, base_url=f"{HOME}/kling", dialect="legacy", name=name, slots=slots or 20)
        case "gemini":
            return mv.Veo(api_key=key, base_url=f"{HOME}/gemini")
    uri = "gs://mine/runs" if name == "bucket" else None
    token = mv.BearerToken(key)
    return mv.Veo(project="p", credentials=token, output_uri=uri, base_url=f"{HOME}/vertex", name=name, slots=slots)


@cache
def plan_of(name: str, count: int) -> mv.Plan:
    """What is wished for at an account; made once, since a plan costs as much as a whole life."""
    model, seconds = MODELS[name]
    client = mv.AsyncClient(providers=[account(name)], catalog=CATALOG, clock=VirtualClock())
    return client.plan("x", model=f"{model}@{name}", duration=seconds, resolution="720p", count=count)


@frozen(kw_only=True)
class Wish:
    """What one user does. `group` stands in the prompt: twins have the same."""

    number: int
    group: int
    account: str
    count: int
    client: int
    begins: float
    how: str
    word: str
    tags: dict[str, str]
    deadline: float | None
    patience: float
    poll_interval: float | None
    strict: bool
    stop: tuple[str, float] | None
    native: bool
    planned: bool


@frozen
class Told:
    """What a user was told in the end."""

    wish: Wish
    error: BaseException | None
    video: mv.Video | None = None


@frozen
class Story:
    """What a life came to: its faults, everything that happened, and how many paid requests were sent."""

    seed: int
    backend: str
    faults: tuple[str, ...]
    trace: tuple[str, ...]
    calls: int

    @property
    def short(self) -> str:
        """In one line."""
        return f"seed {self.seed} on {self.backend}: {'; '.join(self.faults)[:600] or 'nothing amiss'}"

    def __str__(self) -> str:
        again = f"replay, on {self.backend}: python tests/simulation/simulate.py --seed {self.seed}"
        return "\n".join([*self.trace, *self.faults, again])


class ClientStore(Store):
    """The shared books as one client reaches them: it may fail to, and no longer can once its process is dead."""

    def __init__(self, life: Life, number: int) -> None:
        super().__init__(life.books.path, live=False)
        self.life, self.number, self.is_dead = life, number, False
        self.writes = 0

    def write_all(self, works: Any) -> list[Any]:
        self.life.struck("write", self.number)
        self.writes += 1
        if self.is_dead:
            raise LedgerError("The process is dead.")
        dice = self.life.dice.of("books", self.number, self.writes)
        if not self.life.sea.calm and dice.random() < self.life.bad_books:
            self.life.sea.note(f"client {self.number}: the books cannot be written")
            raise LedgerError("The ledger cannot be used: disk I/O error.", retryable=dice.random() < 0.5)
        return self.life.books.write_all(works)

    def read(self, work: Work[Any], nothing: Any) -> Any:
        return self.life.books.read(work, nothing)


class ClientLedger(mv.MemoryLedger):
    """Those books, as a client is given them."""

    def __init__(self, store: Store) -> None:
        self._store = store


@define(eq=False)
class Life:
    """Everything of one seed."""

    seed: int
    folder: Path
    dice: Dice = field(init=False)
    clock: VirtualClock = field(factory=lambda: _MortalClock())
    emulator: Emulator = field(init=False)
    books: Store = field(factory=lambda: Store(None, live=False))
    sea: Sea = field(init=False)
    accounts: tuple[Account, ...] = ()
    wishes: list[Wish] = field(factory=list)
    clients: list[mv.AsyncClient] = field(factory=list)
    lines: list[Line] = field(factory=list)
    stores: list[ClientStore] = field(factory=list)
    dead: set[int] = field(factory=set)
    told: list[Told] = field(factory=list)
    reports: list[mv.RecoveryReport] = field(factory=list)
    strays: list[str] = field(factory=list)
    bad_books: float = 0.0
    _triggers: list[tuple[str, int, Callable[[], None]]] = field(factory=list)
    _stops: list[tuple[Wish, Callable[[], None]]] = field(factory=list)
    _tasks: Any = None
    _ids: int = 0

    def __attrs_post_init__(self) -> None:
        self.dice = Dice(self.seed)
        dice = self.dice.of("world")
        self.emulator = Emulator(
            clock=self.clock,
            latency=dice.choice((0.0, 4.0, 10.0, 25.0, 60.0)),
            seed=self.seed,
            kling_slots=dice.choice((1, 2, 20, 20)),
        )
        self.emulator._store.pool = ReadyFiles(self.clock)  # type: ignore[assignment]
        rates = {kind: dice.choice((0.0, 0.1, 0.3, 0.6)) for kind in KINDS}
        weather = Weather(rates, jobs=dice.choice((0.0, 0.2, 0.6)), bills=dice.choice((0.0, 0.0, 0.5)))
        self.sea = Sea(self.emulator, self.clock, self.dice, weather)
        self.sea.on_message = lambda client, kind: self.struck(kind, client)
        self.bad_books = dice.choice((0.0, 0.0, 0.0, 0.02, 0.15))
        self._draw_wishes()

    @property
    def backend(self) -> Backend:
        return "asyncio" if self.seed % 2 == 0 else "trio"

    def _draw_wishes(self) -> None:
        dice = self.dice.of("wishes")
        names = dice.sample(list(MODELS), dice.choice((1, 1, 1, 2)))
        slots = dice.choice((None, None, None, 1, 2))
        self.accounts = tuple(account(name, slots) for name in names)
        clients = dice.choice((1, 1, 2))
        for number in range(dice.choice((1, 1, 1, 2, 2, 3, 5))):
            twin = number > 0 and dice.random() < 0.1
            self.wishes.append(self._wish(number, number - 1 if twin else number, dice.choice(names), clients))

    def _wish(self, number: int, group: int, name: str, clients: int) -> Wish:
        dice = self.dice.of("wish", number)
        if group != number:
            name = self.wishes[-1].account
            group = self.wishes[-1].group
        word = dice.choice(("",) * 8 + ("risk_control", "generation_failed", "moderation_blocked", "operation_error"))
        if group != number:
            word = self.wishes[-1].word
        stops = ("submit", "read", "file", "write", "time", "time")
        return Wish(
            number=number,
            group=group,
            account=name,
            count=dice.choice((1, 1, 1, 1, 2, 3)),
            client=dice.randrange(clients),
            begins=dice.choice((0.0, 0.0, dice.uniform(0, 60))),
            how=dice.choice(("generate", "generate", "submit", "leave", "two", "elsewhere", "cancel", "status")),
            word=word,
            tags={"wish": str(number), "project": dice.choice("ab")},
            # a place that a job holds which never ends is waited for as long as may be
            deadline=dice.choice((None if not self.sea.weather.jobs else 900.0, 600.0, dice.uniform(0.01, 90))),
            patience=dice.choice((20.0, 600.0, 900.0)),
            poll_interval=dice.choice((None, None, dice.uniform(1, 30))),
            strict=dice.random() < 0.1,
            stop=None if dice.random() < 0.6 else (dice.choice(stops), dice.choice((1, 2, 3, 5, 8))),
            native=dice.random() < 0.5,
            planned=dice.random() < 0.97,
        )

    def struck(self, kind: str, client: int) -> None:
        """A message leaves or a line is written: whoever was to be stopped there is stopped."""
        for number, (name, left, stop) in enumerate(self._triggers):
            if name == kind:
                self._triggers[number] = name, left - 1, stop
                if left == 1:
                    stop()

    def client(self) -> mv.AsyncClient:
        """One more client of the same accounts on the same books."""
        number = len(self.clients)
        store = ClientStore(self, number)
        made = mv.AsyncClient(
            providers=self.accounts,
            clock=self.clock,
            home=self.folder,
            ledger=ClientLedger(store),
            catalog=CATALOG,
        )
        made._emulator, made._emulator_is_shared = self.emulator, True
        keys = {DOORS.get(one.name, one.name): f"key-of-{one.name}" for one in self.accounts}
        line = Line(self.sea, number, keys)
        made._carrier = lambda: line  # type: ignore[method-assign]
        made._driver.sender.random = self.dice.of("jitter", number).random
        made._driver.new_id = self._new_id
        self.clients.append(made)
        self.lines.append(line)
        self.stores.append(store)
        return made

    def _new_id(self) -> str:
        self._ids += 1
        return f"mv-{self._ids:04d}"

    async def run(self) -> None:
        """The storm, the calm, and what comes back."""
        await self._prepare()
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            self.sea.later = lambda seconds, do: tasks.start_soon(self._later, seconds, do)
            async with anyio.create_task_group() as users:
                for wish in self.wishes:
                    users.start_soon(self._user, wish)
                users.start_soon(self._troubles)
        self.sea.calm = True
        for client in self.clients:
            await client.aclose()
        await self._come_back()

    async def _prepare(self) -> None:
        dice = self.dice.of("money")
        for _ in range(1 + max(wish.client for wish in self.wishes)):
            self.client()
        account = CreditAccount(self.books, self.clock)
        funds = dice.choice((None, None, "1.50", "4", "500"))
        if funds is not None:
            account.fund(mv.usd(funds))
        if dice.random() < 0.3:
            tags = dice.choice((None, {"project": "a"}))
            account.budget(mv.usd(dice.choice(("0.9", "3", "50"))), tags=tags, period=dice.choice(("day", "ever")))

    async def _later(self, seconds: float, do: Callable[[], Awaitable[None]]) -> None:
        await self.clock.sleep(seconds)
        await do()

    async def _troubles(self) -> None:
        """What happens to clients and not to messages: callbacks, somebody who recovers, a close, a crash."""
        dice = self.dice.of("troubles")
        until = dice.choice((30.0, 120.0, 400.0))
        began = self.clock.monotonic()
        for _ in range(dice.choice((0, 0, 1, 3))):
            await self.clock.sleep(dice.uniform(0, until / 4))
            match dice.choice(("callback", "callback", "recover", "close", "crash")):
                case "callback":
                    await self._callback(dice)
                case "recover":
                    self._tasks.start_soon(self._recover_meanwhile, dice.choice((5.0, 60.0, 900.0)))
                case "close":
                    self.sea.note("client 0 is closed")
                    await self.clients[0].aclose()
                case "crash":
                    self._crash(dice.randrange(len(self.clients)))
        await self.clock.sleep(max(0.0, began + until - self.clock.monotonic()))
        self.sea.note("calm")
        self.sea.calm = True

    async def _callback(self, dice: Any) -> None:
        for job in self.emulator.jobs():
            families = {"kling": ("kling", "kling-legacy"), "openai": ("openai-videos",)}.get(job.door, ())
            for family in families:
                event = mv.WebhookEvent(f"evt-{dice.random()}", job.id, "succeeded", family)
                for client in self.clients:
                    for _ in range(dice.choice((1, 2))):
                        await client.nudge(event)

    async def _recover_meanwhile(self, deadline: float) -> None:
        client = self.client()
        number = len(self.clients) - 1
        self.sea.note(f"client {number} recovers")
        try:
            report = await client.recover(deadline=deadline)
        except MultiVideoError as error:
            self.sea.note(f"client {number} cannot recover: {error.what}")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at in the end
            self.strays.append(f"recover() raised {error!r}")
        else:
            self.sea.note(f"client {number} told: {str(report)[:300]}")

    def _crash(self, number: int) -> None:
        """The process of a client dies: nothing it does reaches the books or a vendor any more."""
        self.sea.note(f"client {number} dies")
        self.dead.add(number)
        self.lines[number].is_dead = self.stores[number].is_dead = True
        for wish, stop in self._stops:
            if wish.client == number:
                stop()

    async def _user(self, wish: Wish) -> None:
        """A user, until there is a video or an error, or until somebody stops it."""
        if wish.native and self.backend == "asyncio":
            task = asyncio.ensure_future(self._acts(wish))
            self._stoppable(wish, task.cancel)
            try:
                await asyncio.wait([task])
            finally:
                if not task.done():
                    task.cancel()
                    await asyncio.wait([task])
            if not task.cancelled() and (error := task.exception()) is not None:
                self.strays.append(f"a user failed: {error!r}")
            return
        with anyio.CancelScope() as scope:
            self._stoppable(wish, scope.cancel)
            await self._acts(wish)

    def _stoppable(self, wish: Wish, cancel: Callable[[], object]) -> None:
        def stop() -> None:
            self.sea.note(f"user {wish.number} is stopped")
            cancel()

        self._stops.append((wish, stop))
        if wish.stop is None:
            return
        kind, count = wish.stop
        if kind == "time":
            self._tasks.start_soon(self._stop_at, wish.begins + count**2, stop)
        else:
            self._triggers.append((kind, int(count), stop))

    async def _stop_at(self, seconds: float, stop: Callable[[], None]) -> None:
        await self.clock.sleep(seconds)
        stop()

    async def _acts(self, wish: Wish) -> None:
        await self.clock.sleep(wish.begins)
        try:
            video = await self._does(wish, self.clients[wish.client])
        except Exception as error:  # noqa: BLE001 - as above
            self.sea.note(f"user {wish.number} is told {type(error).__name__}: {str(error)[:200]!r}")
            self.told.append(Told(wish, error))
        else:
            self.sea.note(f"user {wish.number} has {video and video.path.name}")
            self.told.append(Told(wish, None, video))

    async def _does(self, wish: Wish, client: mv.AsyncClient) -> mv.Video | None:
        how: dict[str, Any] = {"save_to": f"{self.folder}/{wish.number}/", "tags": wish.tags, "strict": wish.strict}
        how |= {} if wish.deadline is None else {"deadline": wish.deadline}
        how |= {} if wish.poll_interval is None else {"poll_interval": wish.poll_interval}
        prompt = f"Boat {wish.group} {wish.word}"
        plan: Any = plan_of(wish.account, wish.count)
        if wish.planned:
            plan = evolve(plan, request=evolve(plan.request, prompt=prompt, sidecar=wish.strict))
        else:
            how |= {name: getattr(plan.request, name) for name in ("model", "duration", "resolution", "count")}
            plan = prompt
        if wish.how == "generate":
            return await client.generate(plan, **how)
        job = await client.submit(plan, **how)
        match wish.how:
            case "leave":
                return None
            case "two":
                async with anyio.create_task_group() as both:
                    both.start_soon(self._waits_too, job, wish)
                    try:
                        return await job.wait(wish.patience)
                    except MultiVideoError as error:
                        raised = error
                raise raised
            case "elsewhere":
                await self.clock.sleep(5)
                await client._driver.let_go(job)
                other = self.clients[-1]
                return await (await other.resume(job.ref.to_json())).wait(wish.patience)
            case "cancel":
                try:
                    await job.cancel()
                except MultiVideoError as error:
                    self.sea.note(f"no cancel: {error.what}")
            case "status":
                await job.status()
        return await job.wait(wish.patience)

    async def _waits_too(self, job: mv.Job, wish: Wish) -> None:
        try:
            await job.wait(wish.patience / 2)
        except MultiVideoError as error:
            self.told.append(Told(wish, error))

    async def _come_back(self) -> None:
        """Later, and in good weather: one more client, which recovers until nothing is left that it can finish."""
        await self.clock.sleep(SECONDS_OF_A_LEASE)
        client = self.client()
        for _ in range(2):
            self.sea.note("recover()")
            report = await client.recover(deadline=1800.0)
            self.reports.append(report)
            self.sea.note(f"told: {str(report)[:2000]}")
            if not (report.still_running or report.failed or report.elsewhere):
                break
            await self.clock.sleep(400)
        await client.aclose()

    def close(self) -> None:
        """Let go of the books."""
        self.books.close()
        self.emulator.close()


@contextmanager
def _ordered(seed: int) -> Iterator[None]:
    """Trio runs its tasks in an order drawn from the seed, not from the system's own dice."""
    run: Any = import_module("trio._core._run")
    run._ALLOW_DETERMINISTIC_SCHEDULING = True
    run._r.seed(seed)
    yield


class _Endless(BaseException):
    """A life that does not come to an end; no error, so that nobody who bears errors bears it."""


class _MortalClock(VirtualClock):
    """Time that is over one day, so that who waits for ever is found."""

    def __init__(self) -> None:
        super().__init__()
        self._jumps = 0

    def _jump(self) -> None:
        self._jumps += 1
        if self._jumps > MOST_JUMPS:
            raise _Endless(f"there is no end to it: {MOST_JUMPS} moments, and somebody still waits")
        super()._jump()


@contextmanager
def _finite() -> Iterator[None]:
    """Stop what turns round without letting time go on, where the system can count a process's own seconds."""

    def stop(*_: object) -> None:
        raise _Endless(f"there is no end to it: {MOST_SECONDS:g} s of a processor")

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _innermost(error: BaseException) -> BaseException:
    """What is wrapped in groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def live(seed: int, folder: Path) -> Story:
    """The life of a seed, and what is wrong at its end."""
    place = folder / str(seed)
    place.mkdir()
    life = Life(seed, place)
    faults: list[str] = []

    async def whole() -> None:
        await life.run()
        left = [task for task in anyio.get_running_tasks() if task.id != anyio.get_current_task().id]
        if left and life.backend == "asyncio":
            faults.append(f"tasks are left: {left}")
        faults.extend(faults_of(life))

    try:
        with _ordered(seed), _finite():
            anyio.run(whole, backend=life.backend)
    except BaseException as error:
        trace = "".join(traceback.format_exception(error))[-6000:]
        faults.append(f"the life itself failed: {_innermost(error)!r}\n{trace}")
        if isinstance(error, KeyboardInterrupt):
            raise
    finally:
        life.close()
        shutil.rmtree(place, ignore_errors=True)
    return Story(
        seed,
        life.backend,
        tuple(faults),
        tuple(line.replace(str(place), "") for line in life.sea.trace),
        len(life.sea.sent),
    )
