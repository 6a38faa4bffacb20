"""What a sender does with a provider that fails: tokens for its retries, and peace."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio
import pytest

from multivideo.clock import VirtualClock
from multivideo.errors import AuthenticationFailed, OutcomeUnknown, ProviderUnavailable, RateLimited
from multivideo.transport.carrier import Outgoing
from multivideo.transport.retry import StepKind
from multivideo.transport.sender import Channel, Retry
from multivideo.wire import Exchange, Resend, WireRequest
from transport_fakes import HOME, Act, ScriptedCarrier, Toy, channel, exchange, lost, read_toy, said, sender

pytestmark = pytest.mark.anyio
SUBMIT, POLL, DOWNLOAD = StepKind.SUBMIT, StepKind.POLL, StepKind.DOWNLOAD
PAID = exchange(Resend.IF_UNSENT)


class Probed(Toy):
    """A vendor with a free request that tells whether it is there."""

    def probe(self) -> Exchange[None]:
        return Exchange(WireRequest("GET", f"{HOME}/probe"), read_toy(False))


class Line:
    """A sender over a script, with everything that went out and when."""

    def __init__(self, script: list[Act], toy: Toy | None = None) -> None:
        self.clock = VirtualClock()
        self.carrier = ScriptedCarrier(script, clock=self.clock)
        self.channel: Channel = channel(toy)
        self.sender = sender(self.carrier, self.clock, lambda: 0.5)
        self.told: list[Retry] = []

    async def ask(self, kind: StepKind, wanted: Exchange[Any] | None = None) -> Any:
        return await self.sender.run(self.channel, wanted or exchange(), kind, self.note)

    async def note(self, retry: Retry) -> None:
        self.told.append(retry)

    async def order(self) -> Any:
        return await self.ask(SUBMIT, PAID)

    @property
    def paths(self) -> list[str]:
        return [message.url.removeprefix(HOME) for message in self.carrier.seen]


async def broken(script: list[Act], toy: Toy | None = None) -> Line:
    """A line whose last five submits were lost."""
    line = Line([*[lost(sent=True)] * 5, *script], toy)
    for _ in range(5):
        with pytest.raises(OutcomeUnknown):
            await line.order()
    return line


async def test_after_five_lost_submits_the_next_is_not_sent_and_says_for_how_long() -> None:
    line = await broken([said({"id": "1"})])
    with pytest.raises(ProviderUnavailable) as caught:
        await line.order()
    assert len(line.carrier.seen) == 5
    assert (caught.value.charged, caught.value.retryable, caught.value.retry_after) == ("no", True, 30)
    assert caught.value.what == "toy has failed many times in a row and is left in peace for another 30 s."
    assert line.channel.condition.breakers[SUBMIT].state(line.clock.monotonic()) == "open"
    assert await line.ask(POLL) == {"id": "1"}, "reads go on"


async def test_after_the_rest_one_submit_tries_and_closes_the_breaker() -> None:
    line = await broken([said({"id": "1"})])
    await line.clock.sleep(30)
    assert [await line.order(), await line.order()] == [{"id": "1"}] * 2
    assert len(line.carrier.seen) == 7


async def test_of_many_that_come_at_once_after_the_rest_only_one_tries() -> None:
    line = await broken([lost(sent=True)])
    await line.clock.sleep(30)
    errors: list[Exception] = []

    async def order() -> None:
        try:
            await line.order()
        except (OutcomeUnknown, ProviderUnavailable) as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(order)
    assert len(line.carrier.seen) == 6
    assert sorted(type(error).__name__ for error in errors) == ["OutcomeUnknown", *["ProviderUnavailable"] * 19]
    assert line.channel.condition.breakers[SUBMIT].rest(line.clock.monotonic()) == pytest.approx(60)


async def test_a_provider_with_something_free_to_ask_is_asked_that_before_money_is_risked() -> None:
    line = await broken([lost(sent=True), said({}), said({"id": "1"})], Probed())
    await line.clock.sleep(30)
    with pytest.raises(ProviderUnavailable) as caught:
        await line.order()
    assert caught.value.charged == "no"
    assert line.paths[5:] == ["/probe"]
    await line.clock.sleep(60)
    assert await line.order() == {"id": "1"}
    assert line.paths[6:] == ["/probe", "/jobs"]


@pytest.mark.parametrize(("answer", "error"), [(said({}, 401), AuthenticationFailed), (said({}, 429), RateLimited)])
async def test_a_probe_that_is_answered_by_a_no_shows_that_somebody_is_there(
    answer: Act, error: type[Exception]
) -> None:
    line = await broken([answer, said({"id": "1"})], Probed())
    await line.clock.sleep(30)
    assert await line.order() == {"id": "1"}, error


async def test_a_trial_that_is_cancelled_leaves_the_next_one_to_try() -> None:
    async def never(_: Outgoing) -> Any:
        await line.clock.sleep(10**6)

    line = await broken([never, said({"id": "1"})])
    await line.clock.sleep(30)
    with pytest.raises(TimeoutError), line.clock.fail_after(1):
        await line.ask(SUBMIT)  # a free request of a submit, as an upload is
    assert await line.order() == {"id": "1"}


async def test_reads_wait_until_the_rest_is_over_and_are_never_given_up() -> None:
    line = Line([*[lost(sent=True)] * 5, said({"state": "running"})])
    assert await line.ask(POLL) == {"state": "running"}
    waits = [retry.wait_s for retry in line.told]
    assert waits == [0.5, 1, 2, 4, 8, 22], "half of 1, 2, 4, 8 and 16 s, and then what is left of the rest of 30 s"
    assert line.told[-1].why == "toy fails, and is left in peace"


async def test_clean_faults_of_a_vendor_are_tried_again_as_long_as_there_are_tokens() -> None:
    line = Line([said({}, 503)])
    line.channel.condition.tokens = 30
    with pytest.raises(ProviderUnavailable):
        await line.order()
    assert len(line.carrier.seen) == 3, "two retries for 28 tokens"
    with pytest.raises(ProviderUnavailable):
        await line.order()
    assert len(line.carrier.seen) == 4


async def test_who_must_wait_its_turn_is_slowed_without_tokens_and_not_given_up() -> None:
    line = Line([*[said({}, 429)] * 3, said({"id": "1"})])
    line.channel.condition.tokens = 5
    assert await line.order() == {"id": "1"}
    assert [(retry.wait_s, retry.throttled) for retry in line.told] == [(1, True), (60, True), (60, True)]


async def test_reads_are_slowed_without_tokens_and_not_given_up() -> None:
    line = Line([*[said({}, 500)] * 3, said({"state": "running"})])
    line.channel.condition.tokens = 0
    assert await line.ask(POLL) == {"state": "running"}
    assert [retry.wait_s for retry in line.told] == [30, 30, 30]


async def test_a_credential_that_cannot_be_had_is_no_fault_of_the_vendor() -> None:
    class Refused:
        async def headers(self) -> dict[str, str]:
            raise AuthenticationFailed("no token", retryable=False)

    line = Line([said({})])
    line.channel = Channel(Toy(), Refused())
    for _ in range(9):
        with pytest.raises(AuthenticationFailed):
            await line.order()
    assert line.channel.condition.breakers[SUBMIT].state(0) == "closed"


async def amplification(bad: float, calls: int, kind: StepKind) -> float:
    """Requests that reach a vendor which fails that share of them, for each one that was wanted; one call a second."""
    line, number = Line([]), 0

    async def vendor(_: Outgoing) -> Any:
        nonlocal number
        number += 1
        failed = int(number * bad) > int((number - 1) * bad)
        return said({}, 503) if failed else said({"id": "1"})

    line.carrier.script = [vendor]
    wanted = PAID if kind is SUBMIT else exchange()

    async def call() -> None:
        with suppress(ProviderUnavailable):
            await line.ask(kind, wanted)

    async with anyio.create_task_group() as tasks:
        for _ in range(calls):
            tasks.start_soon(call)
            await line.clock.sleep(1)
        sent = number
        tasks.cancel_scope.cancel()
    return sent / calls


@pytest.mark.parametrize("kind", [SUBMIT, POLL])
async def test_a_vendor_that_is_down_gets_no_more_than_a_twentieth_more_requests(kind: StepKind) -> None:
    assert await amplification(1.0, 1000, kind) <= 1.05


@pytest.mark.parametrize("kind", [SUBMIT, POLL])
async def test_a_vendor_that_fails_half_of_its_calls_gets_no_more_than_a_seventh_more(kind: StepKind) -> None:
    assert await amplification(0.5, 1000, kind) <= 1.15
