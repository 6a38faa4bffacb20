from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, cast

import pytest

from multivideo.sandbox import ConnectionLost, Emulator, Reply
from multivideo.transport.carrier import CarrierFault, Outgoing
from multivideo.transport.embedded import HOME, EmbeddedCarrier

pytestmark = pytest.mark.anyio

Call = tuple[str, str, Mapping[str, str], bytes]


class FakeEmulator:
    """Records what it is asked and gives what it was given."""

    def __init__(self, answer: Callable[[], Awaitable[Reply]]) -> None:
        self.answer, self.calls, self.closed = answer, list[Call](), False

    async def __call__(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        self.calls.append((method, path, headers, body))
        return await self.answer()

    async def aclose(self) -> None:
        self.closed = True


def carrier(answer: Callable[[], Awaitable[Reply]]) -> tuple[EmbeddedCarrier, FakeEmulator]:
    emulator = FakeEmulator(answer)
    return EmbeddedCarrier(cast(Any, emulator)), emulator


def message(url: str = f"{HOME}/openai/v1/videos?after=a%2Fb&limit=2") -> Outgoing:
    return Outgoing("POST", url, {"authorization": "Bearer sandbox"}, b"body", paid=True)


async def pieces() -> AsyncIterator[bytes]:
    yield b"one "
    yield b"two"


async def test_a_request_arrives_as_it_was_sent_and_its_answer_comes_in_pieces() -> None:
    async def answer() -> Reply:
        return Reply(207, (("Content-Type", "video/mp4"), ("X-Request-Id", "r-1")), pieces())

    through, emulator = carrier(answer)
    async with through.open(message()) as incoming:
        assert incoming.status == 207
        assert incoming.headers == {"content-type": "video/mp4", "x-request-id": "r-1"}
        assert [chunk async for chunk in incoming.chunks()] == [b"one ", b"two"]
    headers = {"host": "localhost", "authorization": "Bearer sandbox"}
    assert emulator.calls == [("POST", "/openai/v1/videos?after=a%2Fb&limit=2", headers, b"body")]


@pytest.mark.parametrize("sent", [True, False])
async def test_a_lost_connection_says_whether_the_request_had_left(sent: bool) -> None:
    async def answer() -> Reply:
        raise ConnectionLost(sent=sent)

    through, _ = carrier(answer)
    with pytest.raises(CarrierFault) as caught:
        async with through.open(message()):
            raise AssertionError
    assert caught.value.sent is sent


async def test_an_answer_that_is_cut_is_a_fault_in_the_middle() -> None:
    async def answer() -> Reply:
        return Reply.of(200, bytes(200_000), "video/mp4", cut_at=100_000)

    through, _ = carrier(answer)
    got = []

    async def read() -> None:
        async with through.open(message()) as incoming:
            async for chunk in incoming.chunks():
                got.append(len(chunk))

    with pytest.raises(CarrierFault, match="middle") as caught:
        await read()
    assert caught.value.sent is True
    assert sum(got) == 100_000


async def test_the_real_emulator_answers_through_it() -> None:
    through = EmbeddedCarrier(Emulator(latency=0))
    try:
        asked = Outgoing("GET", f"{HOME}/openai/v1/videos", {"authorization": "Bearer sandbox"})
        async with through.open(asked) as incoming:
            assert incoming.status == 200
            assert b'"object":"list"' in b"".join([chunk async for chunk in incoming.chunks()])
    finally:
        await through.aclose()


async def test_closing_it_stops_the_emulator() -> None:
    through, emulator = carrier(pieces_reply)
    await through.aclose()
    assert emulator.closed


async def pieces_reply() -> Reply:
    return Reply(200, (), pieces())
