"""Sends what providers describe: signs it, reads the answer under caps, tries again only where that costs nothing."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import urljoin

import anyio
import tenacity
from attrs import define, field, frozen

from .._version import __version__
from ..clock import Clock
from ..errors import DownloadFailed, MultiVideoError, OutcomeUnknown, ProviderUnavailable, RateLimited
from ..wire import Exchange, Provider, Resend, Signer, Step, WireRequest, WireResponse
from .carrier import Carrier, CarrierFault, Incoming, Outgoing
from .guard import BadAddress, checked, is_loopback, origin
from .http import multipart
from .retry import Failure, Outcome, StepKind, decide
from .spill import Spiller

__all__ = ["Channel", "OnRetry", "Retry", "Sender", "TryFailed"]

T = TypeVar("T")

MOST_JSON_BYTES = 8 * 1024 * 1024
MOST_REDIRECTS = 5
_TRY_SECONDS = {StepKind.SUBMIT: 120.0, StepKind.POLL: 600.0, StepKind.LOOK_UP: 120.0, StepKind.DOWNLOAD: 900.0}


@frozen
class Channel:
    """One configured provider with its key."""

    provider: Provider
    signer: Signer = field(repr=False)


@frozen
class Retry:
    """A try that failed at no cost and will be made again."""

    step: StepKind
    tries: int
    wait_s: float
    why: str


class _TryAgain(Exception):
    def __init__(self, wait_s: float, why: str) -> None:
        self.wait_s, self.why = wait_s, why


class TryFailed(Exception):
    """One failed try, before it is known whether another follows."""

    def __init__(self, outcome: Outcome, error: MultiVideoError) -> None:
        self.outcome, self.error = outcome, error


OnRetry = Callable[[Retry], Awaitable[None]]


@define
class Sender:
    """The one that sends for all providers of a client."""

    carrier: Carrier
    clock: Clock
    random: Callable[[], float]

    async def take(self, channel: Channel, step: Step[T], kind: StepKind, on_retry: OnRetry | None = None) -> T:
        """Do a whole step: its free exchanges first, then the one that counts."""
        known = tuple([await self.run(channel, exchange, kind, on_retry) for exchange in step.before])
        return await self.run(channel, step.last(known), kind, on_retry)

    async def run(self, channel: Channel, exchange: Exchange[T], kind: StepKind, on_retry: OnRetry | None = None) -> T:
        """Send one exchange and read its answer.

        Raises: OutcomeUnknown for a paid request that left and got no clear answer; else the error of the last try.
        """
        paid = exchange.request.resend is not Resend.ALWAYS

        async def once() -> T:
            try:
                # a paid request that is under way is not cut off: its answer holds the only name of a paid job
                with anyio.CancelScope(shield=paid), self.clock.fail_after(_TRY_SECONDS[kind]):
                    response = await self._exchange(channel, exchange.request)
            except TimeoutError:  # of a paid request it is not known any more whether it left: as if it had
                raise _lost(channel, exchange.request, "no whole answer in time", sent=True) from None
            return _read(exchange, response, self.clock)

        return await self.persist(once, kind, exchange.request.resend, on_retry)

    async def persist(
        self, once: Callable[[], Awaitable[T]], kind: StepKind, resend: Resend, on_retry: OnRetry | None = None
    ) -> T:
        """Call `once` until it succeeds or the rules say stop; tenacity keeps the loop, `decide` makes the decision."""
        began = self.clock.monotonic()
        tries = 0

        async def attempt() -> T:
            nonlocal tries
            tries += 1
            try:
                return await once()
            except TryFailed as failed:
                elapsed = self.clock.monotonic() - began
                failure = Failure(kind, resend, failed.outcome, tries, elapsed, failed.error.retry_after)
                wait_s = decide(failure, self.random)
                if wait_s is None:
                    raise failed.error from None
                raise _TryAgain(wait_s, failed.error.what) from None

        async def tell(state: tenacity.RetryCallState) -> None:
            again = state.outcome.exception() if state.outcome else None
            if on_retry is not None and isinstance(again, _TryAgain):
                await on_retry(Retry(kind, tries, again.wait_s, again.why))

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(_TryAgain),
            wait=_asked_wait,
            stop=tenacity.stop_never,
            sleep=self.clock.sleep,
            before_sleep=tell,
            reraise=True,
        )
        return await retrying(attempt)

    @asynccontextmanager
    async def stream(self, channel: Channel, request: WireRequest) -> AsyncIterator[Incoming]:
        """Open an answer for reading it piece by piece, following redirects; the key stays at its own origin.

        Raises: TryFailed through `persist`.
        """
        url = request.url
        for _ in range(MOST_REDIRECTS + 1):
            async with self._open(channel, request, url) as incoming:
                if incoming.status not in {301, 302, 303, 307, 308}:
                    yield incoming
                    return
                url = _target(url, incoming.headers.get("location", ""))
        raise TryFailed(Outcome.REFUSED, DownloadFailed(f"More than {MOST_REDIRECTS} redirects."))

    @asynccontextmanager
    async def _open(self, channel: Channel, request: WireRequest, url: str) -> AsyncIterator[Incoming]:
        provider = channel.provider
        try:
            checked(url, loopback=any(is_loopback(home) for home in provider.origins))
        except BadAddress as bad:
            error = ProviderUnavailable(f"{provider.name} named {bad}, which is not asked.", provider=provider.name)
            raise TryFailed(Outcome.REFUSED, error) from None
        headers, body = _encoded(request)
        if request.signed and origin(url) in {origin(home) for home in provider.origins}:
            headers = {**headers, **await channel.signer.headers()}
        paid = request.resend is not Resend.ALWAYS
        try:
            async with self.carrier.open(Outgoing(request.method, url, headers, body, paid)) as incoming:
                yield incoming
        except CarrierFault as fault:
            raise _lost(channel, request, fault.what, sent=fault.sent) from None

    async def _exchange(self, channel: Channel, request: WireRequest) -> WireResponse:
        async with self._open(channel, request, request.url) as incoming:
            spiller = Spiller(request.spill)
            try:
                body, files = await _whole(incoming, spiller if request.spill else None)
            except BaseException as error:
                spiller.discard()
                if isinstance(error, ValueError):
                    raise _lost(channel, request, str(error), sent=True) from None
                raise
        if incoming.status >= 400 and request.signed:  # a refusal may repeat the key, and its text goes into an error
            body = _masked(body, await channel.signer.headers())
        return WireResponse(incoming.status, incoming.headers, body, files)


def _masked(body: bytes, signed: Mapping[str, str]) -> bytes:
    for value in signed.values():
        body = body.replace(value.rpartition(" ")[2].encode(), b"***")
    return body


async def _whole(incoming: Incoming, spiller: Spiller | None) -> tuple[bytes, tuple[Path, ...]]:
    """The body, under the cap. Raises: ValueError where it is too large or not as it says it is."""
    unzip = zlib.decompressobj(31) if incoming.headers.get("content-encoding", "") == "gzip" else None
    kept = bytearray()
    async with aclosing(incoming.chunks()) as chunks:
        async for chunk in chunks:
            try:
                plain = chunk if unzip is None else unzip.decompress(chunk, MOST_JSON_BYTES + 1)
            except zlib.error:
                raise ValueError("a body that is no gzip") from None
            if spiller is None:
                kept += plain
            else:
                spiller.feed(plain)
            if (len(kept) if spiller is None else spiller.kept_bytes) > MOST_JSON_BYTES:
                raise ValueError(f"an answer of more than {MOST_JSON_BYTES} bytes")
    return (bytes(kept), ()) if spiller is None else spiller.finish()


def _read(exchange: Exchange[T], response: WireResponse, clock: Clock) -> T:
    """What an answer says, or the failed try that it is."""
    try:
        return exchange.read(response)
    except OutcomeUnknown as unknown:
        raise TryFailed(Outcome.LOST, unknown) from None
    except MultiVideoError as error:
        if error.retry_after is None:
            error.retry_after = _retry_after(response.headers, clock)
        if not error.retryable or response.headers.get("x-should-retry") == "false":
            raise TryFailed(Outcome.REFUSED, error) from None
        # of a paid request every other error is a clean no: nothing was made, and it may be asked again
        clean = isinstance(error, RateLimited) or exchange.request.resend is not Resend.ALWAYS
        raise TryFailed(Outcome.THROTTLED if clean else Outcome.FAULTY, error) from None


def _lost(channel: Channel, request: WireRequest, what: str, *, sent: bool) -> TryFailed:
    provider = channel.provider
    if not sent:
        text = f"{provider.name} cannot be reached: {what}."
        return TryFailed(
            Outcome.NOT_SENT, ProviderUnavailable(text, cost="no, nothing was sent", provider=provider.name)
        )
    if request.resend is Resend.IF_UNSENT:
        return TryFailed(Outcome.LOST, _unknown(provider, f"The answer of {provider.name} was lost: {what}."))
    return TryFailed(
        Outcome.LOST, ProviderUnavailable(f"{provider.name} gave no answer: {what}.", provider=provider.name)
    )


def _unknown(provider: Provider, said: str, request_id: str | None = None) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"{said.rstrip('.')}. Whether a job was made is not known.",
        hint="do not send it again; look into the vendor's console for a job of this minute first",
        cost="unknown: the request left this machine, and it is never sent a second time by itself",
        provider=provider.name,
        request_id=request_id,
    )


def _asked_wait(state: tenacity.RetryCallState) -> float:
    again = state.outcome.exception() if state.outcome else None
    return again.wait_s if isinstance(again, _TryAgain) else 0.0


def _retry_after(headers: Mapping[str, str], clock: Clock) -> float | None:
    """Seconds that the vendor asked to wait, by either header and in either form."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "").strip()
        try:
            return max(0.0, float(text) * unit)
        except ValueError:
            pass
    try:
        return max(0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - clock.wall())
    except (ValueError, TypeError):
        return None


def _target(url: str, location: str) -> str:
    if not location:
        raise TryFailed(Outcome.REFUSED, DownloadFailed("A redirect without an address."))
    return urljoin(url, location)


def _encoded(request: WireRequest) -> tuple[dict[str, str], bytes]:
    """Headers without credentials, and the body."""
    headers = {
        "user-agent": f"multivideo/{__version__}",
        "accept": "application/json",
        "accept-encoding": "identity",
        **request.headers,
    }
    if request.parts:
        content_type, body = multipart(request.parts)
        return {**headers, "content-type": content_type}, body
    if request.json is not None:
        headers["content-type"] = "application/json"
        return headers, json.dumps(request.json, ensure_ascii=False, allow_nan=False).encode()
    return headers, b""
