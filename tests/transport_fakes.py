"""A carrier that answers by a script, and a vendor simple enough to see through."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
from attrs import define, field, frozen

from multivideo.clock import Clock, VirtualClock
from multivideo.errors import (
    AuthenticationFailed,
    MultiVideoError,
    OutcomeUnknown,
    ProviderUnavailable,
    RateLimited,
)
from multivideo.transport.carrier import CarrierFault, Incoming, Outgoing
from multivideo.transport.sender import Channel, Sender
from multivideo.values.clips import Clip
from multivideo.values.refs import VendorRef
from multivideo.wire import (
    AnswerRule,
    Asset,
    Charge,
    Exchange,
    JobState,
    JobStatus,
    LookUp,
    Order,
    Resend,
    Signer,
    Step,
    SweepPage,
    WireRequest,
    WireResponse,
)

HOME = "https://api.toy.example"
KEY = "sk-canary-1f6b0e"
PROMPT = "canary: a heron walks on the moon"


@frozen
class Reply:
    """A scripted answer. After `chunks` the line breaks where `fault` says so, or stalls for ever."""

    status: int = 200
    chunks: tuple[bytes, ...] = ()
    headers: Mapping[str, str] = field(factory=dict)
    fault: CarrierFault | None = None
    stalls: bool = False
    pause: Callable[[], Any] | None = None
    """Awaited before each chunk."""

    async def body(self, clock: Clock) -> AsyncGenerator[bytes, None]:
        for chunk in self.chunks:
            if self.pause is not None:
                await self.pause()
            yield chunk
        if self.stalls:
            await clock.sleep(10**6)  # virtual time passes only while somebody sleeps
        if self.fault is not None:
            raise self.fault


def said(body: object, status: int = 200, **headers: str) -> Reply:
    """An answer in JSON; underscores in header names become hyphens."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, (json.dumps(body).encode(),), names)


def lost(*, sent: bool) -> CarrierFault:
    return CarrierFault("the line broke", sent=sent)


@define
class _Incoming:
    status: int
    headers: Mapping[str, str]
    _reply: Reply
    _clock: Clock

    def chunks(self) -> AsyncGenerator[bytes, None]:
        return self._reply.body(self._clock)


Act = Reply | CarrierFault | Callable[[Outgoing], Any]


@define
class ScriptedCarrier:
    """Plays its script in order, the last act for ever; a coroutine function may wait before it answers."""

    script: list[Act]
    seen: list[Outgoing] = field(factory=list)
    open_now: int = 0
    clock: Clock = field(factory=VirtualClock)

    @asynccontextmanager
    async def open(self, message: Outgoing) -> AsyncIterator[Incoming]:
        self.seen.append(message)
        act = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        await anyio.lowlevel.checkpoint()
        if callable(act):
            act = await act(message)
        if isinstance(act, CarrierFault):
            raise act
        self.open_now += 1
        try:
            yield _Incoming(act.status, act.headers, act, self.clock)
        finally:
            self.open_now -= 1

    async def aclose(self) -> None: ...


@frozen
class KeySigner:
    """Signs with the canary key."""

    async def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {KEY}"}


def read_toy(paid: bool) -> Callable[[WireResponse], Any]:
    """A reader as providers have them: the body, or the typed error that the answer is."""

    def read(response: WireResponse) -> Any:
        error = refusal(response)
        if error is not None and paid and response.status == 500:
            raise OutcomeUnknown("toy may have taken the job.")
        if error is not None:
            raise error
        try:
            return response.json()
        except ValueError:
            kind = OutcomeUnknown if paid else ProviderUnavailable
            raise kind("toy gave an answer that cannot be read.") from None

    return read


def refusal(response: WireResponse) -> MultiVideoError | None:
    match response.status:
        case 200 | 206:
            return None
        case 401 | 403:
            return AuthenticationFailed("toy refuses the key.")
        case 429:
            return RateLimited("toy takes no more for now.")
        case _:
            return ProviderUnavailable("toy has a fault of its own.")


def exchange(resend: Resend = Resend.ALWAYS, path: str = "/jobs", **more: Any) -> Exchange[Any]:
    method = "GET" if resend is Resend.ALWAYS else "POST"
    body = None if resend is Resend.ALWAYS else {"prompt": PROMPT}
    return Exchange(
        WireRequest(method, HOME + path, body, resend=resend, **more), read_toy(resend is not Resend.ALWAYS)
    )


def ref(remote_id: str) -> VendorRef:
    return VendorRef("toy", "toy", "toy-1", "toy-1", remote_id)


@define(eq=False)
class Toy:
    """A vendor of one door. With `batches` it can be asked for many jobs at once."""

    batches: bool = False
    origins: tuple[str, ...] = (HOME,)
    name: str = "toy"
    family: str = "toy"
    looks_up_by_id: bool = False
    rules: Sequence[AnswerRule] = ()

    def submit(self, order: Order) -> Step[VendorRef]:
        request = WireRequest("POST", f"{HOME}/jobs", {"prompt": order.prompt}, resend=Resend.IF_UNSENT)
        return Step.of(Exchange(request, lambda response: ref(read_toy(True)(response)["id"])))

    def poll(self, job: VendorRef) -> Exchange[JobStatus]:
        request = WireRequest("GET", f"{HOME}/jobs/{job.remote_id}")
        return Exchange(request, lambda response: _status(read_toy(False)(response)))

    def poll_many(self, refs: Sequence[VendorRef]) -> Exchange[Mapping[str, JobStatus]] | None:
        if not self.batches:
            return None
        request = WireRequest("GET", f"{HOME}/jobs?ids={','.join(one.remote_id for one in refs)}")
        return Exchange(
            request, lambda response: {row["id"]: _status(row) for row in read_toy(False)(response)["jobs"]}
        )

    def download(self, asset: Asset) -> WireRequest:
        return WireRequest("GET", asset.url or "", signed=asset.signed)

    def refusal(self, response: WireResponse) -> MultiVideoError | None:
        return refusal(response)

    def sweep(self, *, since: float, cursor: str | None = None) -> Exchange[SweepPage] | None:
        return None

    def look_up(self, lost: LookUp) -> Exchange[tuple[JobStatus, ...]] | None:
        return None

    def cancel(self, ref: VendorRef) -> Exchange[None] | None:
        return None

    def probe(self) -> Exchange[None] | None:
        return None

    def extend(self, order: Order) -> Step[VendorRef] | None:
        return None

    def edit(self, order: Order) -> Step[VendorRef] | None:
        return None

    def charge(self, status: JobStatus) -> Charge | None:
        return None

    def character(self, name: str, clip: Clip, wire_model: str) -> Exchange[str] | None:
        return None


def _status(row: Mapping[str, Any]) -> JobStatus:
    return JobStatus(row["id"], JobState(row["state"]), row["state"])


def channel(provider: Toy | None = None, signer: Signer | None = None) -> Channel:
    return Channel(provider or Toy(), signer or KeySigner())


def sender(carrier: ScriptedCarrier, clock: Clock | None = None, random: Callable[[], float] = lambda: 1.0) -> Sender:
    """A sender over the script; both live by the same clock."""
    carrier.clock = clock or carrier.clock
    return Sender(carrier, carrier.clock, random)
