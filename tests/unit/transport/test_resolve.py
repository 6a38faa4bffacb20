from __future__ import annotations

import socket
from collections.abc import Sequence

import anyio
import pytest
from attrs import define, field

from multivideo.clock import SystemClock, VirtualClock
from multivideo.transport.carrier import CarrierFault, Reach
from multivideo.transport.guard import BadAddress
from multivideo.transport.resolve import Resolve, addresses, look_up

pytestmark = pytest.mark.anyio


@define
class Names:
    """A directory that answers the same to every question, and counts them."""

    found: Sequence[str] = ()
    asked: list[str] = field(factory=list)

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        return self.found


async def ways(host: str, resolve: Resolve, reach: Reach = Reach.PUBLIC) -> list[str]:
    return list(await addresses(host, reach, resolve=resolve, clock=SystemClock(), limit_s=5))


async def test_a_name_is_looked_up_once() -> None:
    names = Names(["8.8.8.8"])
    assert await ways("files.example", names) == ["8.8.8.8"]
    assert names.asked == ["files.example"]


@pytest.mark.parametrize("host", ["8.8.8.8", "2606:4700::1111"])
async def test_an_address_is_taken_as_it_is(host: str) -> None:
    names = Names()
    assert await ways(host, names) == [host]
    assert names.asked == []


@pytest.mark.parametrize("host", ["10.0.0.1", "::1", "metadata.google.internal"])
async def test_a_host_that_may_not_be_asked_is_not_even_looked_up(host: str) -> None:
    names = Names(["8.8.8.8"])
    with pytest.raises(BadAddress):
        await ways(host, names)
    assert names.asked == []


@pytest.mark.parametrize("bad", ["10.0.0.1", "127.0.0.1", "64:ff9b::7f00:1", "169.254.169.254"])
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_one_bad_address_refuses_the_whole_name(bad: str, place: int) -> None:
    found = ["8.8.8.8", "2606:4700::1111"]
    found.insert(place, bad)
    with pytest.raises(BadAddress) as caught:
        await ways("rebinding.example", Names(found))
    assert "rebinding" not in str(caught.value)
    assert bad not in str(caught.value)


async def test_a_bad_address_behind_the_ones_that_would_be_tried_counts_too() -> None:
    found = [*(f"8.8.8.{number}" for number in range(9)), "10.0.0.1"]
    with pytest.raises(BadAddress):
        await ways("many.example", Names(found))


async def test_a_users_own_host_may_lie_in_a_private_network_but_not_at_the_metadata() -> None:
    assert await ways("gateway.lan", Names(["10.0.0.1"]), Reach.ANYWHERE) == ["10.0.0.1"]
    with pytest.raises(BadAddress):
        await ways("gateway.lan", Names(["169.254.169.254"]), Reach.ANYWHERE)


async def test_this_machine_is_open_to_a_provider_that_lives_on_it() -> None:
    assert await ways("localhost", Names(["::1", "127.0.0.1"]), Reach.HOME) == ["::1", "127.0.0.1"]


@pytest.mark.parametrize(
    ("found", "tried"),
    [
        (["::1", "::2", "1.1.1.1", "1.1.1.2"], ["::1", "1.1.1.1", "::2", "1.1.1.2"]),
        (["1.1.1.1", "1.1.1.2", "::1"], ["1.1.1.1", "::1", "1.1.1.2"]),
        (["1.1.1.1", "1.1.1.1", "1.1.1.2"], ["1.1.1.1", "1.1.1.2"]),
        ([f"1.1.1.{number}" for number in range(9)], [f"1.1.1.{number}" for number in range(4)]),
    ],
)
async def test_both_families_are_tried_by_turns_and_four_addresses_at_most(found: list[str], tried: list[str]) -> None:
    assert await ways("gateway.lan", Names(found), Reach.ANYWHERE) == tried


@pytest.mark.parametrize("error", [socket.gaierror(-2, "Name or service not known"), OSError(), UnicodeError()])
async def test_a_name_without_an_address_is_a_fault_that_sent_nothing(error: Exception) -> None:
    async def fail(host: str) -> Sequence[str]:
        raise error

    for resolve in (fail, Names([])):
        with pytest.raises(CarrierFault) as caught:
            await ways("nothing.example", resolve)
        assert (caught.value.what, caught.value.sent) == ("its name has no address", False)


async def test_a_directory_that_does_not_answer_is_not_waited_for_longer_than_the_limit() -> None:
    clock = VirtualClock()

    async def silent(host: str) -> Sequence[str]:
        await clock.sleep(3600)
        return ["8.8.8.8"]

    with pytest.raises(CarrierFault, match="within 5 s") as caught:
        await addresses("slow.example", Reach.PUBLIC, resolve=silent, clock=clock, limit_s=5)
    assert caught.value.sent is False
    assert clock.monotonic() == 5


async def test_the_system_knows_this_machine_and_no_name_that_cannot_be() -> None:
    assert {"127.0.0.1", "::1"} & set(await look_up("localhost"))
    for host in ("nothing.invalid", "a..b", "a" * 64 + ".invalid"):
        with pytest.raises((OSError, UnicodeError)):
            with anyio.fail_after(20):
                await look_up(host)
