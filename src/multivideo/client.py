"""The door of the library: puts the floors together and holds no logic of its own."""

from __future__ import annotations

import datetime as dt
import os
import random
import ssl
import sys
import uuid
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from attrs import evolve

from .catalog.book import Catalog
from .clock import Clock, SystemClock
from .errors import InvalidRequest, LedgerError, MultiVideoError, Problem, UnsupportedFeature
from .given import bad_emulator, bad_latency, check_seconds, check_settings, stop, together, wrong_kind
from .providers.accounts import ACCOUNT_KINDS, Account, BearerToken, Kling, OpenAIVideos, Veo, from_environment
from .routing.plan import NO_KEY, Offer, goes_on, make_plan, why_not
from .values.media import MediaSource, with_article
from .values.plan import Plan, Quote
from .values.refs import JobRef
from .values.request import VideoRequest, VideoSpec
from .values.result import Video
from .values.words import Element, Mode

if TYPE_CHECKING:
    from .jobs.driver import Driver
    from .jobs.job import Job
    from .jobs.recover import RecoveryReport
    from .ledger.account import CreditAccount
    from .ledger.ledger import Ledger
    from .ledger.store import Store
    from .sandbox import Emulator
    from .transport.carrier import Carrier
    from .values.health import ProviderHealth
    from .webhooks import WebhookEvent

__all__ = ["AsyncClient"]


SANDBOX_DAY = dt.date(2026, 8, 1)  # all three models were served
KLING_SLOTS = 20  # of Kling's smallest pack, which the emulator plays unless it is told otherwise
SANDBOX_LATENCY = 1.0  # seconds of a pretend job
JOBS_SHOWN = 100
# of a ready plan, these may still change
_HOW = {"save_to", "sidecar", "on_event", "deadline", "poll_interval", "tags", "strict"}


class AsyncClient:
    """Makes video on every configured provider through one call, on asyncio and trio.

    Opening it sends nothing and writes nothing. Use it as `async with`, or call `aclose()`; one client belongs to one
    event loop.

    Args:
        providers: `Kling(...)`, `Veo(...)`, `OpenAIVideos(...)`; left out: what the environment variables configure, or
            the embedded emulator with MULTIVIDEO_SANDBOX=1.
        policy: who is asked first; left out: the balanced scorecard.
        home: where files go that are given no name; left out: MULTIVIDEO_HOME, else the platform's user data folder.
        catalog: what models can do and cost; left out: what this release ships.
        proxy: address of an HTTP proxy; environment proxies are not read.
        ssl_context: for certificates of your own.
        clock: time, for tests.
    """

    def __init__(
        self,
        *,
        providers: Sequence[Account] | None = None,
        policy: Any = None,
        ledger: Ledger | None = None,
        home: str | os.PathLike[str] | None = None,
        catalog: Catalog | None = None,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        clock: Clock | None = None,
    ) -> None:
        check_settings(providers, policy, ledger, home, catalog, proxy, ssl_context, clock)
        self._emulator: Emulator | None = None
        self._emulator_is_shared = False
        self._as_of: dt.date | None = None
        if providers is None and os.environ.get("MULTIVIDEO_SANDBOX", "") not in {"", "0"}:
            self._enter_sandbox(None, SANDBOX_LATENCY, clock)
            providers = _sandbox_accounts()
        self.providers: tuple[Account, ...] = from_environment(os.environ) if providers is None else tuple(providers)
        self._policy, self._home, self._ledger = policy, home, _ledger(ledger)
        self._catalog = catalog or Catalog.default()
        self._proxy, self._ssl_context = proxy, ssl_context
        self._clock = clock or SystemClock()
        self._loop: object = None

    @classmethod
    def sandbox(
        cls,
        *,
        emulator: Emulator | None = None,
        latency: float | None = SANDBOX_LATENCY,
        as_of: dt.date = SANDBOX_DAY,
        policy: Any = None,
        ledger: Ledger | None = None,
        home: str | os.PathLike[str] | None = None,
        catalog: Catalog | None = None,
        clock: Clock | None = None,
    ) -> Self:
        """A client of the embedded emulator: no key, no network, no cost, real mp4 files. Needs the extra `sandbox`.

        Args:
            emulator: one to share with others; left out: one of its own.
            latency: seconds that a pretend job takes; None: about as long as a real one.
            as_of: the day as of which it plans; left out: 2026-08-01, when all three models were served.
            policy: who is asked first.
            ledger: the books; left out: a file of the emulator's own in that folder.
            home: where files go that are given no name, in a folder `sandbox` of it.
            catalog: what models can do and cost.
            clock: time, for tests: the emulator lives by it too.
        """
        stop([*bad_latency(latency), *bad_emulator(emulator)])
        accounts = _sandbox_accounts(emulator)
        client = cls(providers=accounts, policy=policy, ledger=ledger, home=home, catalog=catalog, clock=clock)
        client._enter_sandbox(emulator, latency, clock)
        client._as_of = client._day(as_of)
        return client

    def _enter_sandbox(self, emulator: Emulator | None, latency: float | None, clock: Clock | None) -> None:
        try:
            from .sandbox import Emulator
        except ImportError as error:
            raise UnsupportedFeature(
                f"The embedded emulator needs {error.name}, which is not installed.",
                hint="pip install 'multivideo[sandbox]'",
            ) from None
        self._emulator = emulator or Emulator(clock=clock or SystemClock(), latency=latency)
        self._emulator_is_shared = emulator is not None
        self._as_of = SANDBOX_DAY

    @property
    def emulator(self) -> Emulator | None:
        """The emulator behind a sandbox client, which counts its jobs and charges; None on a live one."""
        return self._emulator

    @property
    def catalog(self) -> Catalog:
        """What each model can do and costs, as of the day of this client."""
        return self._catalog.on(self._day(None))

    @property
    def credits(self) -> CreditAccount:
        """The credit account: what there is, what is held, what was spent on what, and what nobody knows yet."""
        from .ledger.account import CreditAccount

        return CreditAccount(self._store, self._clock, self._flagships)

    def plan(self, prompt: str | VideoRequest, *, as_of: dt.date | None = None, **spec: Unpack[VideoSpec]) -> Plan:
        """What would run, what it costs, and why. Free: nothing is sent or written.

        Args:
            prompt: the prompt, or a ready request.
            as_of: the day for which to answer; left out: today.
            spec: the options of `VideoSpec`.
        Raises: InvalidRequest naming every field that is wrong.
        """
        request, day = together(lambda: VideoRequest.of(prompt, spec), lambda: self._day(as_of))
        return make_plan(request, self._offers, self._catalog, day, self._policy)

    def quote(self, prompt: str | VideoRequest, **spec: Unpack[VideoSpec]) -> Quote:
        """The price of what `generate` would make, before anything is sent.

        Raises: the error that `generate` would raise before sending.
        """
        plan = self._runnable(self.plan(prompt, **spec))
        return plan.first.quote

    async def generate(self, prompt: str | VideoRequest | Plan, **spec: Unpack[VideoSpec]) -> Video:
        """Make a video: plan, submit, wait, download, measure.

        The price in `quote()` is charged once the vendor has accepted the job.

        Args:
            prompt: the prompt, a ready request, or a plan, of which exactly the first candidate runs.
            spec: the options of `VideoSpec`.
        Raises: InvalidRequest, NoRoute and their likes before anything is sent; StillRunning at the deadline;
            ContentFiltered, GenerationFailed, DownloadFailed and OutcomeUnknown, each saying what was charged.
        """
        job = await self.submit(prompt, **spec)
        return await job.wait()

    async def submit(self, prompt: str | VideoRequest | Plan, **spec: Unpack[VideoSpec]) -> Job:
        """Start a video and return as soon as its vendor has accepted it. Charged as `generate`.

        Store `job.ref.to_json()` to go on with it later, in any process.
        """
        self._stay_in_one_loop()
        plan = _with_changes(prompt, spec) if isinstance(prompt, Plan) else self.plan(prompt, **spec)
        return await self._driver.submit(self._runnable(plan))

    async def resume(self, job: str | JobRef) -> Job:
        """A job of earlier, to be waited for again. Costs nothing and sends nothing by itself.

        Args:
            job: a job's reference or its JSON, or the id of a job that stands in the ledger.
        Raises: InvalidRequest if it is neither.
        """
        self._stay_in_one_loop()
        if isinstance(job, str):
            return self._driver.known(job) or self._driver.resume(JobRef.from_json(job))
        stop(wrong_kind("ref", job, JobRef, "a job's reference, its JSON as text, or the id of a job"))
        return self._driver.resume(job)

    async def recover(self, *, deadline: float | None = None) -> RecoveryReport:
        """Go on with every job that an earlier process left open, after a crash. Nothing is submitted.

        What was accepted is waited for, and its file put where it was ordered. What nobody knows of is looked for at
        its vendor, as far as that can be asked; the rest stays held and is told. Jobs that another process drives are
        left alone.

        Args:
            deadline: seconds to wait at most; left out: an hour.
        Raises: LedgerError where the books cannot be used.
        """
        self._stay_in_one_loop()
        check_seconds("deadline", deadline)
        from .jobs.recover import Recovery

        return await Recovery(self._driver, deadline).run()

    async def nudge(self, event: WebhookEvent) -> int:
        """Have the job that a callback is about looked at now. Free; what it is and costs is what its vendor answers.

        Of any number of callbacks that come during a look, one more look follows. Where nobody waits for the job, its
        next wait begins with a look.

        Args:
            event: what `verify_kling` or `verify_openai` returned.
        Returns: how many jobs somebody was waiting for just now; 0 is no error, another process may wait.
        """
        self._stay_in_one_loop()
        from .webhooks import WebhookEvent

        stop(wrong_kind("event", event, WebhookEvent, "what verify_kling() or verify_openai() returned"))
        attempts = [attempt for job in self.jobs() for attempt in job.attempts if attempt.status is None]
        refs = [attempt.ref.vendor for attempt in attempts if event.is_about(attempt.ref.vendor)]
        sites = self._driver.sites
        return sum(sites[ref.provider].poller.nudge(ref) for ref in refs if ref.provider in sites)

    async def extend(
        self, video: Video, *, seconds: float, prompt: str | None = None, **spec: Unpack[VideoSpec]
    ) -> Video:
        """A video that goes on from a finished one, at the same vendor: longer by `seconds`, or the next shot alone.

        It is made by the same model, or where that cannot, by another of the vendor; `plan` says what comes and costs.
        """
        stop(wrong_kind("video", video, Video, "a finished Video; a file goes to generate(source_video=...)"))
        able = goes_on(video.model, video.provider, Mode.EXTEND, self._offers)
        wish: VideoSpec = {"model": able, "source_video": video, "mode": "extend", "duration": seconds, **spec}
        return await self.generate(prompt or video.prompt or "The scene goes on.", **wish)

    async def edit(self, video: Video, prompt: str, **spec: Unpack[VideoSpec]) -> Video:
        """A new video made by changing a finished one, at the same vendor, by its own model or another that can."""
        stop(wrong_kind("video", video, Video, "a finished Video; a file goes to generate(source_video=...)"))
        mode = spec.get("mode")
        wanted = Mode(mode) if mode in {"extend", "remix", "motion"} else Mode.EDIT
        able = goes_on(video.model, video.provider, wanted, self._offers)
        wish: VideoSpec = {"model": able, "source_video": video, "mode": "edit", **spec}
        return await self.generate(prompt, **wish)

    async def create_character(self, name: str, video: MediaSource, *, provider: str | None = None) -> Element:
        """Someone or something that the vendor keeps from a short clip, to be shown in any number of videos.

        Give it to `reference_images` and say its name in the prompt. It is no job, and no price is documented for it.

        Args:
            name: 1 to 80 letters, digits and "_".
            video: an MP4 clip, best of 2 to 4 seconds and in the shape of the videos to come: a path, bytes or a Video.
            provider: who shall keep it, where several that are configured could.
        Raises: InvalidRequest and its likes before anything is sent; OutcomeUnknown where the answer was lost.
        """
        self._stay_in_one_loop()
        from .jobs.characters import make_character

        return await make_character(self._driver.sender, self._driver.sites, name, video, provider)

    def jobs(
        self,
        state: Literal["open", "finished", "failed", "all"] = "open",
        *,
        limit: int | None = None,
        since: dt.date | None = None,
    ) -> tuple[Job, ...]:
        """The jobs of this client and those of its ledger, of any process, newest first. Nothing is sent.

        Each shows its `files` and `charge`, and in its `ref` its tags, segments and attempts with their vendor ids.
        Waiting for one that ended in an earlier process measures its files again where they lie, or raises what ended
        it. One whose provider is not configured here is shown, and cannot be waited for. A submit whose answer was
        lost is no job yet: `credits.unresolved()` has it.

        Args:
            state: "open", "finished" with a file, "failed" without one, or "all".
            limit: how many at most; left out: every open one, or the newest 100 of the other states.
            since: only those that were submitted then or later; a date means its 0:00 UTC.
        Raises: InvalidRequest naming every field that is wrong.
        """
        from .jobs.listed import known_jobs
        from .ledger import given

        span = given.span(since, None, given.listing(state, limit))
        most = limit if limit is not None or state == "open" else JOBS_SHOWN
        return known_jobs(self._driver, state, most, span.since)

    def health(self) -> dict[str, ProviderHealth]:
        """How each provider does, by name, as far as this client has called it. Free: nothing is sent."""
        return {name: site.health(self._clock.monotonic()) for name, site in self._driver.sites.items()}

    async def aclose(self) -> None:
        """Close every connection, and let go of jobs that still run: they go on at their vendors."""
        if "_driver" not in vars(self):
            return
        await self._driver.let_go_of_all()
        if not self._emulator_is_shared:
            await self._driver.sender.carrier.aclose()

    async def __aenter__(self) -> Self:
        self._stay_in_one_loop()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(account.name for account in self.providers) or 'no provider'})"

    def _day(self, as_of: dt.date | None) -> dt.date:
        if isinstance(as_of, dt.datetime):
            return as_of.date()
        if isinstance(as_of, dt.date):
            return as_of
        if as_of is not None:
            asked = with_article(type(as_of).__name__)
            raise InvalidRequest.of([Problem("as_of", asked, "a date: datetime.date(2026, 8, 1)")])
        return self._as_of or dt.datetime.fromtimestamp(self._clock.wall(), dt.UTC).date()

    @cached_property
    def _offers(self) -> tuple[Offer, ...]:
        """Every model on every path: those of the configured providers, and the rest with what is missing for them."""
        served = [
            Offer(path, self._scores(path.model), place=account.place, unit_prices=account.unit_prices)
            for account in self.providers
            for path in account.paths(self._catalog.paths)
        ]
        hints = {kind.path: kind.hint for kind in ACCOUNT_KINDS}
        have = {account.path for account in self.providers}
        missing = [
            Offer(path, self._scores(path.model), key_hint=f"{NO_KEY}{hints.get(path.path, 'configure a provider')}")
            for path in self._catalog.paths
            if path.path not in have
        ]
        return (*served, *missing)

    def _scores(self, model: str) -> tuple[tuple[str, int], ...]:
        known = next((row for row in self._catalog.all_models if row.id == model), None)
        return tuple((score.category, score.stars) for score in known.scores) if known is not None else ()

    def _runnable(self, plan: Plan) -> Plan:
        """The plan, if something can run. Raises: the error that says why not."""
        error = why_not(plan, self._offers, () if plan.ranked else self._alternatives(plan))
        if error is not None:
            raise error
        return plan

    def _alternatives(self, plan: Plan) -> Sequence[str]:
        """Other models that could make a request whose own choice cannot."""
        if plan.request.model == "auto":
            return ()
        try:
            other = make_plan(evolve(plan.request, model="auto", options={}), self._offers, self._catalog, plan.as_of)
        except MultiVideoError:
            return ()
        return [candidate.name for candidate in other.candidates if not candidate.unconfirmed][:3]

    @cached_property
    def _driver(self) -> Driver:
        from .jobs.driver import Driver
        from .jobs.poller import Poller
        from .jobs.site import Site
        from .jobs.slots import Gate
        from .ledger.journal import Journal
        from .transport.sender import Channel, Sender

        sender = Sender(self._carrier(), self._clock, random.random)
        sites = {}
        for account in self.providers:
            try:
                channel = Channel(account.backend(), account.signer())
            except UnsupportedFeature:  # a third party's account that this release cannot speak for: the plan says so
                continue
            rows = {path.model: path for path in account.paths(self._catalog.paths)}
            poller = Poller(sender, channel, self._clock)
            gate = Gate(account.slots, poller, self._clock)
            sites[account.name] = Site(channel, poller, gate, account.vendor, rows, self._unit_prices(account))
        journal = Journal(self._store, self._clock)
        return Driver(sender, sites, self._home_folder(), lambda: f"mv-{uuid.uuid4().hex[:20]}", journal)

    @cached_property
    def _store(self) -> Store:
        """Where the books lie. The emulator's are never those of live vendors."""
        from .ledger.ledger import store_of
        from .ledger.store import Store

        live = self._emulator is None
        if self._ledger is None:
            return Store(self._home_folder() / "ledger.db", live)
        store = store_of(self._ledger)
        store.live = live
        return store

    @property
    def _flagships(self) -> Mapping[str, str]:
        return {model.family: model.id for model in self._catalog.all_models if model.flagship}

    def _unit_prices(self, account: Account) -> Mapping[str, Any]:
        from .catalog.book import UNIT_PRICES

        return {**UNIT_PRICES, **account.unit_prices}

    def _carrier(self) -> Carrier:
        if self._emulator is not None:
            from .transport.embedded import EmbeddedCarrier

            return EmbeddedCarrier(self._emulator)
        from .transport.http import HttpCarrier

        return HttpCarrier(proxy=self._proxy, ssl_context=self._ssl_context)

    def _home_folder(self) -> Path:
        given = self._home or os.environ.get("MULTIVIDEO_HOME")
        if given:
            home = Path(given).expanduser()
        else:
            from platformdirs import user_data_path

            home = user_data_path("multivideo", appauthor=False)
        return home / "sandbox" if self._emulator is not None else home

    def _stay_in_one_loop(self) -> None:
        """Connections belong to the loop that opened them: say so before anything odd happens."""
        loop = _running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise InvalidRequest.of(
                [Problem("client", "used in a second event loop", "one client for each event loop")],
                what="This client belongs to another event loop.",
            )


def _running_loop() -> object:
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        return trio.lowlevel.current_trio_token()
    import asyncio

    return asyncio.get_running_loop()


def _sandbox_accounts(emulator: Emulator | None = None) -> tuple[Account, ...]:
    """The three vendors as the emulator in this process plays them."""
    slots = KLING_SLOTS if emulator is None else emulator.kling_slots
    from .transport.embedded import HOME

    return (
        OpenAIVideos(api_key="sandbox", base_url=f"{HOME}/openai/v1", vendor_dates=True),
        Kling(api_key="sandbox", base_url=f"{HOME}/kling", vendor_dates=True, slots=slots),
        Veo(
            project="sandbox",
            credentials=BearerToken("sandbox"),
            base_url=f"{HOME}/vertex",
            vendor_dates=True,
        ),
    )


def _ledger(ledger: Ledger | None) -> Ledger | None:
    if os.environ.get("MULTIVIDEO_DATABASE_URL") and ledger is None:
        raise LedgerError(
            "MULTIVIDEO_DATABASE_URL is set, and this release keeps its books in SQLite only.",
            hint="unset it, or name a file: ledger=multivideo.Ledger(path)",
            cost="no, nothing was sent",
        )
    return ledger


def _with_changes(plan: Plan, spec: Mapping[str, Any]) -> Plan:
    """A ready plan with what may still change: where the file goes and how it is waited for."""
    how = {name: value for name, value in spec.items() if name in _HOW}
    fixed = [Problem(name, "given with a plan", "in the call of plan()") for name in spec if name not in _HOW]
    request, _ = together(lambda: VideoRequest.of(plan.request, how), lambda: stop(fixed))
    return evolve(plan, request=request) if spec else plan
