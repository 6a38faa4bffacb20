from __future__ import annotations

from typing import Any

import anyio
import pytest

from multivideo.clock import VirtualClock
from multivideo.jobs.poller import Poller
from multivideo.jobs.slots import Gate, Slots
from multivideo.transport.carrier import Outgoing
from transport_fakes import ScriptedCarrier, Toy, channel, ref, said, sender

pytestmark = pytest.mark.anyio


class Account:
    """A vendor whose jobs end when they are told to, and the places of its account."""

    def __init__(self, most: int | None) -> None:
        self.clock = VirtualClock()
        self.over: set[str] = set()
        self.asked: list[str] = []
        carrier = ScriptedCarrier([self._answer], clock=self.clock)
        poller = Poller(sender(carrier, self.clock), channel(Toy()), self.clock)
        self.slots: Slots = Gate(most, poller, self.clock).of("toy-1")
        self.began: list[str] = []
        self.alive = 0

    async def _answer(self, message: Outgoing) -> Any:
        job = message.url.rpartition("/")[2]
        self.asked.append(job)
        return said({"id": job, "state": "succeeded" if job in self.over else "running"})

    async def submit(self, name: str, *, accept: bool = True) -> None:
        await self.slots.take(name, self.live)
        self.began.append(name)
        if accept:
            self.slots.accepted(name, ref(name))
        self.slots.sent(name)

    async def live(self) -> None:
        self.alive += 1

    async def waiting(self, submits: int) -> None:
        """Return as soon as so many wait for a place."""
        while self.slots.waiting < submits:
            await anyio.lowlevel.checkpoint()


async def test_the_third_of_two_places_waits_until_one_is_free_and_the_first_comes_first() -> None:
    account = Account(2)
    await account.submit("a")
    await account.submit("b")
    order: list[str] = []

    async def later(name: str) -> None:
        await account.submit(name)
        order.append(name)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(later, "c")
        await account.waiting(1)
        tasks.start_soon(later, "d")
        await account.waiting(2)
        assert (account.began, account.slots.taken) == (["a", "b"], 2)
        account.slots.leave("a")
        await account.clock.sleep(1)
        assert account.began == ["a", "b", "c"]
        account.slots.leave("b")
    assert order == ["c", "d"]


async def test_a_job_that_nobody_waits_for_frees_its_place_all_the_same_once_it_has_ended() -> None:
    account = Account(2)
    await account.submit("a")
    await account.submit("b")
    account.over = {"b"}
    await account.submit("c")
    assert account.asked == ["a", "b"], "the one that ran longest was looked at first, then the next"
    assert account.alive == 2
    assert account.clock.monotonic() == pytest.approx(10, abs=1)


async def test_a_job_that_is_stuck_for_an_hour_blocks_nobody_for_ever() -> None:
    account = Account(1)
    await account.submit("a")
    await account.submit("b")
    assert 3600 < account.clock.monotonic() < 3700
    assert account.slots.taken == 1


async def test_a_submit_of_which_no_job_came_gives_its_place_back() -> None:
    account = Account(1)
    await account.submit("a", accept=False)
    await account.submit("b")
    assert account.slots.taken == 1


async def test_who_is_cancelled_while_it_waits_leaves_its_turn_to_the_next() -> None:
    account = Account(1)
    await account.submit("a")
    scope = anyio.CancelScope()

    async def waits() -> None:
        with scope:
            await account.submit("b")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(waits)
        await account.waiting(1)
        tasks.start_soon(account.submit, "c")
        await account.waiting(2)
        scope.cancel()
        await account.clock.sleep(0.1)
        assert account.slots.waiting == 1
        account.slots.leave("a")
    assert account.began == ["a", "c"]


async def test_a_job_of_earlier_takes_a_place_once() -> None:
    account = Account(2)
    account.slots.joined("old", ref("old"))
    account.slots.joined("old", ref("old"))
    assert account.slots.taken == 1
    account.slots.leave("old")
    account.slots.leave("old")
    assert account.slots.taken == 0


async def test_without_a_number_only_a_submit_under_way_takes_a_place_and_nobody_waits() -> None:
    account = Account(None)
    for name in map(str, range(100)):
        await account.submit(name)
    account.slots.joined("old", ref("old"))
    assert (account.slots.taken, account.slots.limit) == (0, None)


async def test_a_vendor_that_says_too_many_gets_fewer_at_once_and_more_again_later() -> None:
    account = Account(20)
    for name in map(str, range(10)):
        await account.submit(name)
    account.slots.throttled()
    account.slots.throttled()
    assert account.slots.limit == 7, "two that say so at once mean it once"
    await account.clock.sleep(6)
    account.slots.throttled()
    assert account.slots.limit == 7
    for name in map(str, range(10)):
        account.slots.leave(name)
    for name in map(str, range(7)):
        await account.submit(name)
    assert 7.9 < (account.slots.limit or 0) < 8
    for _ in range(500):
        account.slots.accepted("0", ref("0"))
    assert 20 <= (account.slots.limit or 0) < 21


async def test_one_place_always_stays() -> None:
    account = Account(None)
    account.slots.throttled()
    assert account.slots.limit == 1
    await account.submit("a")
