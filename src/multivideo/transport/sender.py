"""Sends what providers describe: signs it, reads the answer under caps, tries again only where that costs nothing."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import urljoin

import anyio
import tenacity
from attrs import define, field, frozen

from .._version import __version__
from ..clock import Clock
from ..errors import (
    AuthenticationFailed,
    LedgerError,
    MultiVideoError,
    OutcomeUnknown,
    ProviderUnavailable,
    RateLimited,
)
from ..wire import Exchange, Provider, Resend, Signer, Step, WireRequest, WireResponse
from .carrier import Carrier, CarrierFault, Incoming, Outgoing, Reach
from .condition import Condition
from .guard import BadAddress, checked, is_loopback, origin
from .http import multipart
from .retry import Failure, Outcome, StepKind, asked_wait, decide
from .spill import Spiller

__all__ = ["Channel", "Keep", "Leaving", "OnRetry", "Retry", "Sender", "TryFailed"]

T = TypeVar("T")

MOST_JSON_BYTES = 8 * 1024 * 1024
MOST_REDIRECTS = 5
_MOST_INFLATED = 256 * 1024
_SIGN_SECONDS, _PROBE_SECONDS = 60.0, 30.0
_TRY_SECONDS = {StepKind.SUBMIT: 120.0, StepKind.POLL: 600.0, StepKind.LOOK_UP: 120.0, StepKind.DOWNLOAD: 900.0}


@frozen
class Channel:
    """One configured provider with its key."""

    provider: Provider
    signer: Signer = field(repr=False)
    condition: Condition = field(factory=Condition, eq=False, repr=False)


@frozen
class Retry:
    """A try that failed at no cost and will be made again; `throttled`: the vendor said that it was too many."""

    step: StepKind
    tries: int
    wait_s: float
    why: str
    throttled: bool = False


class _TryAgain(Exception):
    def __init__(self, wait_s: float, why: str, throttled: bool) -> None:
        self.wait_s, self.why, self.throttled = wait_s, why, throttled


class TryFailed(Exception):
    """One failed try, before it is known whether another follows; `progress`: it brought a part of the whole."""

    def __init__(self, outcome: Outcome, error: MultiVideoError, *, progress: bool = False) -> None:
        self.outcome, self.error, self.progress = outcome, error, progress


OnRetry = Callable[[Retry], Awaitable[None]]
Keep = Callable[[T], Awaitable[None]]
Leaving = Callable[[], Awaitable[None]]


@define
class Sender:
    """The one that sends for all providers of a client."""

    carrier: Carrier
    clock: Clock
    random: Callable[[], float]

    async def take(
        self,
        channel: Channel,
        step: Step[T],
        kind: StepKind,
        on_retry: OnRetry | None = None,
        keep: Keep[T] | None = None,
        leaving: Leaving | None = None,
    ) -> T:
        """Do a whole step: its free exchanges first, then the one that counts.

        `leaving` is called before each try of that one leaves, and what it raises stops it. `keep` is given what it
        brought before anything else can happen: where it is paid, even if the caller was cancelled meanwhile.
        """
        known = tuple([await self.run(channel, exchange, kind, on_retry) for exchange in step.before])
        try:
            return await self.run(channel, step.last(known), kind, on_retry, keep, leaving)
        except MultiVideoError as error:
            other = step.instead(error) if step.instead is not None and error.charged == "no" else None
            if other is None:
                raise
        return await self.run(channel, other, kind, on_retry, keep, leaving)

    async def run(
        self,
        channel: Channel,
        exchange: Exchange[T],
        kind: StepKind,
        on_retry: OnRetry | None = None,
        keep: Keep[T] | None = None,
        leaving: Leaving | None = None,
    ) -> T:
        """Send one exchange and read its answer.

        Raises: OutcomeUnknown for a paid request that left and got no clear answer; else the error of the last try.
        """

        async def asked(message: Outgoing) -> T:
            try:
                with self.clock.fail_after(_TRY_SECONDS[kind]):
                    response = await self._exchange(channel, exchange.request, message)
            except TimeoutError:  # of a paid request it is not known any more whether it left: as if it had
                raise _lost(channel, exchange.request, "no whole answer in time", sent=True) from None
            found = _read(channel, exchange, response, self.clock)
            if keep is not None:
                await keep(found)
            return found

        async def once() -> T:
            message = await self._message(channel, exchange.request, exchange.request.url)
            if leaving is not None:
                await leaving()
            if message.paid:  # once under way it is not cut off: its answer holds the only name of a paid job
                return await _to_its_end(lambda: asked(message))
            return await asked(message)

        return await self.persist(channel, once, kind, exchange.request.resend, on_retry)

    async def persist(
        self,
        channel: Channel,
        once: Callable[[], Awaitable[T]],
        kind: StepKind,
        resend: Resend,
        on_retry: OnRetry | None = None,
    ) -> T:
        """Call `once` until it succeeds or the rules say stop; tenacity keeps the loop, `decide` makes the decision."""
        began, tries, taken = self.clock.monotonic(), 0, 0
        unknown: OutcomeUnknown | None = None

        async def attempt() -> T:
            nonlocal began, tries, taken, unknown
            tries += 1
            try:
                found = await self._tried(channel, once, kind, on_retry)
            except TryFailed as failed:
                now, error = self.clock.monotonic(), failed.error
                if isinstance(error, OutcomeUnknown):
                    unknown = error
                if failed.progress:
                    began, tries = now, 1
                paid_for = failed.progress or channel.condition.pays(failed.outcome)
                failure = Failure(kind, resend, failed.outcome, tries, now - began, error.retry_after, paid_for)
                wait_s = decide(failure, self.random)
                if wait_s is None:  # a no to a later try says nothing of an earlier one whose answer was lost
                    raise unknown or error from None
                taken = 0 if failed.progress else channel.condition.take(failed.outcome)
                raise _TryAgain(wait_s, error.what, failed.outcome is Outcome.THROTTLED) from None
            channel.condition.worked(kind, self.clock.monotonic(), taken)
            return found

        async def tell(state: tenacity.RetryCallState) -> None:
            again = state.outcome.exception() if state.outcome else None
            if on_retry is not None and isinstance(again, _TryAgain):
                await on_retry(Retry(kind, tries, again.wait_s, again.why, again.throttled))

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(_TryAgain),
            wait=_asked_wait,
            stop=tenacity.stop_never,
            sleep=self.clock.sleep,
            before_sleep=tell,
            reraise=True,
        )
        return await retrying(attempt)

    async def _tried(
        self, channel: Channel, once: Callable[[], Awaitable[T]], kind: StepKind, on_retry: OnRetry | None
    ) -> T:
        """One try, once the provider may be asked; how it went is noted."""
        breaker, now = channel.condition.breakers[kind], self.clock.monotonic
        while (rest := breaker.rest(now())) > 0:
            if kind is StepKind.SUBMIT:  # there may be another provider: it is not waited for
                raise TryFailed(Outcome.REFUSED, _resting(channel, rest))
            if on_retry is not None:
                await on_retry(Retry(kind, 0, rest, f"{channel.provider.name} fails, and is left in peace"))
            await self.clock.sleep(rest)
        trial = breaker.begin(now())
        try:
            if trial and kind is StepKind.SUBMIT:
                await self._probe(channel)
            return await once()
        except TryFailed as failed:
            if isinstance(failed.error, AuthenticationFailed):  # no credential was to be had: that is no vendor's fault
                breaker.abandoned()
            elif failed.progress:
                breaker.worked(now())
            else:
                channel.condition.failed(kind, failed.outcome, now(), self.random())
            raise
        except BaseException:
            breaker.abandoned()
            raise

    async def _probe(self, channel: Channel) -> None:
        """Ask something free before the paid call that tries a provider which has failed, where there is something."""
        probe = channel.provider.probe()
        if probe is None:
            return
        try:
            with self.clock.fail_after(_PROBE_SECONDS):
                message = await self._message(channel, probe.request, probe.request.url)
                _read(channel, probe, await self._exchange(channel, probe.request, message), self.clock)
        except TimeoutError:
            raise TryFailed(Outcome.NOT_SENT, _resting(channel, None)) from None
        except TryFailed as failed:
            if failed.outcome not in {Outcome.REFUSED, Outcome.THROTTLED}:
                raise TryFailed(Outcome.NOT_SENT, _resting(channel, None)) from None

    @asynccontextmanager
    async def stream(self, channel: Channel, request: WireRequest) -> AsyncIterator[tuple[Outgoing, Incoming]]:
        """Open an answer for reading it piece by piece, following redirects; the key stays at its own origin.

        Yields the request as it went out last, and its answer.

        Raises: TryFailed through `persist`.
        """
        url = request.url
        for _ in range(MOST_REDIRECTS + 1):
            message = await self._message(channel, request, url, long=True)
            async with self._open(channel, request, message) as incoming:
                if incoming.status not in {301, 302, 303, 307, 308}:
                    yield message, incoming
                    return
                url = _target(channel, url, incoming.headers.get("location", ""))
        raise _refused(channel, f"it redirects more than {MOST_REDIRECTS} times")

    async def _message(self, channel: Channel, request: WireRequest, url: str, *, long: bool = False) -> Outgoing:
        """The request as it goes to that address, with the key if that is one of the provider's own origins."""
        homes = channel.provider.origins
        here = any(is_loopback(home) for home in homes)
        try:
            checked(url, loopback=here)
        except BadAddress as bad:
            raise _refused(channel, f"it named {bad}, which is not asked") from None
        headers, body = _encoded(request)
        at_home = origin(url) in {origin(home) for home in homes}
        signature: Mapping[str, str] = {}
        if request.signed and at_home:
            signature = {name.lower(): value for name, value in (await self._signature(channel, request)).items()}
        secrets = frozenset(value.rpartition(" ")[2].encode() for value in signature.values())
        paid = request.resend is not Resend.ALWAYS
        reach = Reach.ANYWHERE if at_home else Reach.HOME if here else Reach.PUBLIC
        return Outgoing(request.method, url, {**headers, **signature}, body, paid, secrets, reach, long)

    async def _signature(self, channel: Channel, request: WireRequest) -> Mapping[str, str]:
        """The signer's headers; whatever it raises, nothing was sent."""
        name = channel.provider.name
        try:
            with self.clock.fail_after(_SIGN_SECONDS):
                headers = await channel.signer.headers()
            if all(isinstance(value, str) and re.fullmatch(r"[ -~]+", value) for value in headers.values()):
                return headers
            failed: MultiVideoError = AuthenticationFailed(
                f"The credential for {name} is of characters that no header carries."
            )
        except MultiVideoError as error:
            failed = error
        except TimeoutError:
            failed = AuthenticationFailed(
                f"No credential for {name} came within {_SIGN_SECONDS:.0f} s.", retryable=True
            )
        except Exception as strange:  # noqa: BLE001 - a signer is somebody else's code, and its words may hold the key
            failed = AuthenticationFailed(f"The credential for {name} could not be had ({type(strange).__name__}).")
        failed.provider, failed.cost = name, _cost_of_nothing(request)
        raise TryFailed(Outcome.NOT_SENT if failed.retryable else Outcome.REFUSED, failed) from None

    @asynccontextmanager
    async def _open(self, channel: Channel, request: WireRequest, message: Outgoing) -> AsyncIterator[Incoming]:
        try:
            async with self.carrier.open(message) as incoming:
                yield incoming
        except CarrierFault as fault:
            raise _lost(channel, request, fault.what, sent=fault.sent) from None
        except BadAddress as bad:
            raise _refused(channel, f"it named {bad}, which is not asked") from None

    async def _exchange(self, channel: Channel, request: WireRequest, message: Outgoing) -> WireResponse:
        async with self._open(channel, request, message) as incoming:
            spiller = Spiller(request.spill)
            try:
                body, files = await _whole(incoming, spiller if request.spill else None)
            except BaseException as error:
                spiller.discard()
                if isinstance(error, ValueError):
                    raise _lost(channel, request, str(error), sent=True) from None
                if isinstance(error, OSError) and not isinstance(error, TimeoutError):
                    raise TryFailed(Outcome.REFUSED, _no_room(channel, error)) from None
                raise
        # nothing may fail here: the answer may hold the only name of a paid job
        headers = {
            name: message.masked(value.encode(errors="surrogatepass")).decode(errors="surrogatepass")
            for name, value in incoming.headers.items()
        }
        return WireResponse(incoming.status, headers, message.masked(body), files)


async def _to_its_end(call: Callable[[], Awaitable[T]]) -> T:
    """What the call returns; whoever is cancelled meanwhile is so only when it has ended.

    It runs in a task of its own, because a shield does not stop what asyncio itself cancels (`wait_for`, Ctrl-C).
    """
    results: list[T] = []
    failures: list[Exception] = []

    async def shielded() -> None:
        with anyio.CancelScope(shield=True):
            try:
                results.append(await call())
            except Exception as error:  # noqa: BLE001 - raised below: a task group would wrap it
                failures.append(error)

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shielded)
    except anyio.get_cancelled_exc_class():
        # whoever cancelled must still hear that a paid job may run; a clean end gives way to the cancel
        if failures and isinstance(failures[0], TryFailed) and isinstance(failures[0].error, OutcomeUnknown):
            raise failures[0] from None
        raise
    if failures:
        raise failures[0]
    return results[0]


async def _whole(incoming: Incoming, spiller: Spiller | None) -> tuple[bytes, tuple[Path, ...]]:
    """The body, under the cap. Raises: ValueError where it is too large or not as it says it is."""
    gzipped = incoming.headers.get("content-encoding", "").strip().lower() == "gzip"
    unzip = zlib.decompressobj(31) if gzipped else None
    kept = bytearray()
    async with aclosing(incoming.chunks()) as chunks:
        async for chunk in chunks:
            for plain in (chunk,) if unzip is None else _inflated(unzip, chunk):
                if spiller is None:
                    kept += plain
                else:
                    spiller.feed(plain)
                if (len(kept) if spiller is None else spiller.kept_bytes) > MOST_JSON_BYTES:
                    raise ValueError(f"an answer of more than {MOST_JSON_BYTES} bytes")
    if unzip is not None and (unzip.unused_data or not unzip.eof):
        raise ValueError("a gzip body that is not whole")
    return (bytes(kept), ()) if spiller is None else spiller.finish()


def _inflated(unzip: zlib._Decompress, chunk: bytes) -> Iterator[bytes]:
    """What a piece of gzip holds, in pieces of a bounded size, whatever it inflates to."""
    try:
        while chunk:
            yield unzip.decompress(chunk, _MOST_INFLATED)
            chunk = unzip.unconsumed_tail
    except zlib.error:
        raise ValueError("a body that is no gzip") from None


def _read(channel: Channel, exchange: Exchange[T], response: WireResponse, clock: Clock) -> T:
    """What an answer says, or the failed try that it is."""
    try:
        return exchange.read(response)
    except Exception as error:
        for file in response.spilled:  # nobody else knows of them
            file.unlink(missing_ok=True)
        if isinstance(error, OutcomeUnknown):
            raise TryFailed(Outcome.LOST, error) from None
        if isinstance(error, MultiVideoError):
            raise _no(exchange, error, response, clock) from None
        if exchange.request.resend is Resend.ALWAYS:
            raise  # a bug in a reader, which its author wants to see
        what = f"its answer could not be read ({type(error).__name__})"
        raise _lost(channel, exchange.request, what, sent=True) from None


def _no(exchange: Exchange[T], error: MultiVideoError, response: WireResponse, clock: Clock) -> TryFailed:
    """The failed try of a clear answer that is no success."""
    if error.retry_after is None:
        error.retry_after = asked_wait(response.headers, clock.wall())
    if not error.retryable or response.headers.get("x-should-retry", "").strip().lower() == "false":
        return TryFailed(Outcome.REFUSED, error)
    if isinstance(error, RateLimited):
        return TryFailed(Outcome.THROTTLED, error)
    # of a paid request every other error is a clean no: nothing was made, and it may be asked again
    clean = exchange.request.resend is not Resend.ALWAYS
    return TryFailed(Outcome.UNAVAILABLE if clean else Outcome.FAULTY, error)


def _lost(channel: Channel, request: WireRequest, what: str, *, sent: bool) -> TryFailed:
    name = channel.provider.name
    if not sent:
        text, cost = f"{name} cannot be reached: {what}.", _cost_of_nothing(request)
        return TryFailed(Outcome.NOT_SENT, ProviderUnavailable(text, cost=cost, provider=name))
    if request.resend is Resend.ALWAYS:
        return TryFailed(Outcome.LOST, ProviderUnavailable(f"{name} gave no answer: {what}.", provider=name))
    unknown = OutcomeUnknown(
        f"The answer of {name} was lost: {what}. Whether a job was made is not known.",
        hint="do not send it again; look into the vendor's console for a job of this minute first",
        cost="unknown: the request left this machine, and a job of it may run",
        provider=name,
    )
    return TryFailed(Outcome.LOST, unknown)


def _resting(channel: Channel, rest_s: float | None) -> ProviderUnavailable:
    name = channel.provider.name
    until = "does not answer yet" if rest_s is None else f"is left in peace for another {rest_s:.0f} s"
    return ProviderUnavailable(
        f"{name} has failed many times in a row and {until}.",
        hint="try again then, or another provider; client.health() shows how it does",
        cost="no, nothing was sent",
        retry_after=rest_s,
        provider=name,
    )


def _cost_of_nothing(request: WireRequest) -> str:
    """What a request costs that never left; a read says nothing of it: its job may be paid already."""
    return "" if request.resend is Resend.ALWAYS else "no, nothing was sent"


def _refused(channel: Channel, what: str) -> TryFailed:
    name = channel.provider.name
    error = ProviderUnavailable(f"{name} cannot be asked: {what}.", fault="provider", retryable=False, provider=name)
    return TryFailed(Outcome.REFUSED, error)


def _no_room(channel: Channel, error: OSError) -> LedgerError:
    return LedgerError(
        f"What {channel.provider.name} delivered inside its answer could not be written ({error.strerror}).",
        hint="make room in the folder for temporary files, or name another by TMPDIR; then resume the job",
        charged="held",
        provider=channel.provider.name,
    )


def _asked_wait(state: tenacity.RetryCallState) -> float:
    again = state.outcome.exception() if state.outcome else None
    return again.wait_s if isinstance(again, _TryAgain) else 0.0


def _target(channel: Channel, url: str, location: str) -> str:
    try:
        if location:
            return urljoin(url, location)
    except ValueError:
        pass
    raise _refused(channel, "it redirects to no address") from None


def _encoded(request: WireRequest) -> tuple[dict[str, str], bytes]:
    """Headers without credentials, and the body."""
    headers = {
        "user-agent": f"multivideo/{__version__}",
        "accept": "application/json",
        "accept-encoding": "identity",
        **{name.lower(): value for name, value in request.headers.items()},
    }
    if request.parts:
        content_type, body = multipart(request.parts)
        return {**headers, "content-type": content_type}, body
    if request.json is not None:
        headers["content-type"] = "application/json"
        # ASCII, because JSON can hold half a surrogate pair and UTF-8 cannot
        return headers, json.dumps(request.json, allow_nan=False).encode()
    return headers, b""
