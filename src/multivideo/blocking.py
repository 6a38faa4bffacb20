"""The blocking client.

Generated from client.py and jobs/job.py by tools/make_blocking.py: change those and run it again.
"""

from __future__ import annotations

import datetime as dt
import os
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack

from attrs import field, frozen

from .catalog.book import Catalog
from .client import SANDBOX_DAY, SANDBOX_LATENCY, AsyncClient
from .clock import Clock
from .errors import StillRunning
from .jobs.job import Job
from .portal import Portal
from .providers.accounts import Account
from .values.credits import Credits
from .values.events import Event
from .values.media import MediaSource
from .values.plan import Plan, Quote
from .values.refs import JobRef
from .values.request import VideoRequest, VideoSpec
from .values.result import Video
from .values.words import Element
from .wire import JobStatus

if TYPE_CHECKING:
    from .jobs.recover import RecoveryReport
    from .ledger.account import CreditAccount
    from .ledger.ledger import Ledger
    from .sandbox import Emulator
    from .values.health import ProviderHealth
    from .webhooks import WebhookEvent

__all__ = ["BlockingJob", "Client"]


class Client:
    """Makes video on every configured provider through one blocking call: in scripts, threads, web apps and notebooks.

    Opening it sends nothing, writes nothing and starts nothing. Use it as `with`, or call `close()`; any number of
    threads may share it. Ctrl-C ends the call that waits, not the job at its vendor. `on_event` is called on a thread
    of the client's own, from which the client cannot be called.

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
        self._client = AsyncClient(
            providers=providers,
            policy=policy,
            ledger=ledger,
            home=home,
            catalog=catalog,
            proxy=proxy,
            ssl_context=ssl_context,
            clock=clock,
        )
        self._portal = Portal(self._client.aclose)

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
        client = AsyncClient.sandbox(
            emulator=emulator,
            latency=latency,
            as_of=as_of,
            policy=policy,
            ledger=ledger,
            home=home,
            catalog=catalog,
            clock=clock,
        )
        return cls._around(client)

    @classmethod
    def _around(cls, client: AsyncClient) -> Self:
        self = cls.__new__(cls)
        self._client, self._portal = client, Portal(client.aclose)
        return self

    @property
    def providers(self) -> tuple[Account, ...]:
        """Who is asked, in the order given."""
        return self._client.providers

    @property
    def emulator(self) -> Emulator | None:
        """The emulator behind a sandbox client, which counts its jobs and charges; None on a live one."""
        return self._client.emulator

    @property
    def catalog(self) -> Catalog:
        """What each model can do and costs, as of the day of this client."""
        return self._client.catalog

    @property
    def credits(self) -> CreditAccount:
        """The credit account: what there is, what is held, what was spent on what, and what nobody knows yet."""
        return self._client.credits

    def plan(self, prompt: str | VideoRequest, *, as_of: dt.date | None = None, **spec: Unpack[VideoSpec]) -> Plan:
        """What would run, what it costs, and why. Free: nothing is sent or written.

        Args:
            prompt: the prompt, or a ready request.
            as_of: the day for which to answer; left out: today.
            spec: the options of `VideoSpec`.
        Raises: InvalidRequest naming every field that is wrong.
        """
        return self._client.plan(prompt, as_of=as_of, **spec)

    def quote(self, prompt: str | VideoRequest, **spec: Unpack[VideoSpec]) -> Quote:
        """The price of what `generate` would make, before anything is sent.

        Raises: the error that `generate` would raise before sending.
        """
        return self._client.quote(prompt, **spec)

    def generate(self, prompt: str | VideoRequest | Plan, **spec: Unpack[VideoSpec]) -> Video:
        """Make a video: plan, submit, wait, download, measure.

        The price in `quote()` is charged once the vendor has accepted the job.

        Args:
            prompt: the prompt, a ready request, or a plan, of which exactly the first candidate runs.
            spec: the options of `VideoSpec`.
        Raises: InvalidRequest, NoRoute and their likes before anything is sent; StillRunning at the deadline;
            ContentFiltered, GenerationFailed, DownloadFailed and OutcomeUnknown, each saying what was charged.
        """
        return _call(self._portal, lambda: self._client.generate(prompt, **spec))

    def submit(self, prompt: str | VideoRequest | Plan, **spec: Unpack[VideoSpec]) -> BlockingJob:
        """Start a video and return as soon as its vendor has accepted it. Charged as `generate`.

        Store `job.ref.to_json()` to go on with it later, in any process.
        """
        return BlockingJob(self._portal, _call(self._portal, lambda: self._client.submit(prompt, **spec)))

    def resume(self, job: str | JobRef) -> BlockingJob:
        """A job of earlier, to be waited for again. Costs nothing and sends nothing by itself.

        Args:
            job: a job's reference or its JSON, or the id of a job that stands in the ledger.
        Raises: InvalidRequest if it is neither.
        """
        return BlockingJob(self._portal, _call(self._portal, lambda: self._client.resume(job)))

    def recover(self, *, deadline: float | None = None) -> RecoveryReport:
        """Go on with every job that an earlier process left open, after a crash. Nothing is submitted.

        What was accepted is waited for, and its file put where it was ordered. What nobody knows of is looked for at
        its vendor, as far as that can be asked; the rest stays held and is told. Jobs that another process drives are
        left alone.

        Args:
            deadline: seconds to wait at most; left out: an hour.
        Raises: LedgerError where the books cannot be used.
        """
        return _call(self._portal, lambda: self._client.recover(deadline=deadline))

    def nudge(self, event: WebhookEvent) -> int:
        """Have the job that a callback is about looked at now. Free; what it is and costs is what its vendor answers.

        Of any number of callbacks that come during a look, one more look follows. Where nobody waits for the job, its
        next wait begins with a look.

        Args:
            event: what `verify_kling` or `verify_openai` returned.
        Returns: how many jobs somebody was waiting for just now; 0 is no error, another process may wait.
        """
        return _call(self._portal, lambda: self._client.nudge(event))

    def extend(self, video: Video, *, seconds: float, prompt: str | None = None, **spec: Unpack[VideoSpec]) -> Video:
        """A video that goes on from a finished one, at the same vendor: longer by `seconds`, or the next shot alone.

        It is made by the same model, or where that cannot, by another of the vendor; `plan` says what comes and costs.
        """
        return _call(self._portal, lambda: self._client.extend(video, seconds=seconds, prompt=prompt, **spec))

    def edit(self, video: Video, prompt: str, **spec: Unpack[VideoSpec]) -> Video:
        """A new video made by changing a finished one, at the same vendor, by its own model or another that can."""
        return _call(self._portal, lambda: self._client.edit(video, prompt, **spec))

    def create_character(self, name: str, video: MediaSource, *, provider: str | None = None) -> Element:
        """Someone or something that the vendor keeps from a short clip, to be shown in any number of videos.

        Give it to `reference_images` and say its name in the prompt. It is no job, and no price is documented for it.

        Args:
            name: 1 to 80 letters, digits and "_".
            video: an MP4 clip, best of 2 to 4 seconds and in the shape of the videos to come: a path, bytes or a Video.
            provider: who shall keep it, where several that are configured could.
        Raises: InvalidRequest and its likes before anything is sent; OutcomeUnknown where the answer was lost.
        """
        return _call(self._portal, lambda: self._client.create_character(name, video, provider=provider))

    def jobs(
        self,
        state: Literal["open", "finished", "failed", "all"] = "open",
        *,
        limit: int | None = None,
        since: dt.date | None = None,
    ) -> tuple[BlockingJob, ...]:
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
        return tuple(BlockingJob(self._portal, job) for job in self._client.jobs(state, limit=limit, since=since))

    def health(self) -> dict[str, ProviderHealth]:
        """How each provider does, by name, as far as this client has called it. Free: nothing is sent."""
        return self._client.health()

    def close(self) -> None:
        """Close every connection, and let go of jobs that still run: they go on at their vendors."""
        self._portal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(account.name for account in self.providers) or 'no provider'})"


@frozen
class BlockingJob:
    """A job at a vendor, accepted and perhaps paid. Waiting for it is what drives it; nothing runs in between.

    `id` is ours; `ref` (and `ref.to_json()`) is what to store: `client.resume()` goes on from it, in any process.
    """

    _portal: Portal = field(repr=False, eq=False)
    _job: Job

    @property
    def id(self) -> str:
        """Our name of the job."""
        return self._job.id

    @property
    def ref(self) -> JobRef:
        """What to store; it holds no prompt and no key."""
        return self._job.ref

    @property
    def state(self) -> Literal["open", "finished", "failed"]:
        """Open until there is a video or a final error."""
        return self._job.state

    @property
    def files(self) -> tuple[Path, ...]:
        """Where its takes lie, as far as they are fetched."""
        return self._job.files

    @property
    def charge(self) -> Credits:
        """What it has cost so far; what is held for it is not part of it."""
        return self._job.charge

    def status(self) -> JobStatus:
        """Look at the vendor now, once. Free."""
        return _call(self._portal, lambda: self._job.status())

    def wait(self, deadline: float | None = None) -> Video:
        """The finished video, on disk and measured.

        Args:
            deadline: seconds to wait at most; left out: what is left of the request's, and an hour once that is over.
        Raises: StillRunning at the deadline, with the job to wait for again; else the error that ended the job.
        """
        return _call(self._portal, lambda: self._job.wait(deadline))

    def __iter__(self) -> Iterator[Event]:
        """Every event so far (the last 256), then each as it comes, until the job has ended."""
        return self._portal.iterate(lambda: self._job.__aiter__())

    def cancel(self) -> None:
        """Stop the job at the vendor, where the vendor has a way to.

        Raises: UnsupportedFeature where it has none: the job goes on there and will be charged.
        """
        _call(self._portal, lambda: self._job.cancel())


T = TypeVar("T")


def _call(portal: Portal, work: Callable[[], Awaitable[T]]) -> T:
    """What the work gives; a job that comes with an error can be waited for as any other here."""
    try:
        return portal.call(work)
    except StillRunning as error:
        if isinstance(error.job, Job):
            error.job = BlockingJob(portal, error.job)
        raise
