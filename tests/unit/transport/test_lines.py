from __future__ import annotations

import asyncio

import anyio
import pytest
from anyio.lowlevel import checkpoint
from attrs import define, field

from multivideo.transport.lines import Lines

pytestmark = pytest.mark.anyio

HERE, THERE = "https://here.example:443", "https://there.example:443"


@define(eq=False)
class Line:
    """A line that only counts how often it was closed."""

    number: int
    closed: int = 0

    async def aclose(self) -> None:
        self.closed += 1
        await checkpoint()


@define(eq=False)
class World:
    """Lines, all that were ever made, and a clock that a test sets."""

    most: int = 2
    keep_s: float = 30
    most_idle: int = 64
    now: float = 0
    made: list[Line] = field(factory=list)
    lines: Lines[Line] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.lines = Lines(self._make, lambda: self.now, most=self.most, keep_s=self.keep_s, most_idle=self.most_idle)

    def _make(self) -> Line:
        self.made.append(Line(len(self.made)))
        return self.made[-1]

    async def take(self, origin: str = HERE) -> Line:
        return await self.lines.take(origin)

    async def back(self, line: Line, origin: str = HERE, *, whole: bool = True) -> None:
        await self.lines.give_back(origin, line, whole=whole)

    @property
    def open(self) -> list[int]:
        return [line.number for line in self.made if not line.closed]


async def test_the_line_that_came_back_last_is_lent_first() -> None:
    world = World()
    first, second = await world.take(), await world.take()
    await world.back(second)
    await world.back(first)
    assert await world.take() is first
    assert await world.take() is second
    assert len(world.made) == 2


async def test_no_line_is_shared_between_origins() -> None:
    world = World()
    here = await world.take(HERE)
    await world.back(here, HERE)
    assert await world.take(THERE) is not here
    assert await world.take(HERE) is here


async def test_a_line_whose_answer_was_not_read_whole_is_closed_and_its_place_is_free() -> None:
    world = World(most=1)
    line = await world.take()
    await world.back(line, whole=False)
    assert line.closed == 1
    assert await world.take() is not line


async def test_whoever_finds_all_lines_in_use_waits_and_they_get_their_turn_in_order() -> None:
    world, order = World(most=1), list[str]()

    async def use(name: str) -> None:
        line = await world.take()
        order.append(name)
        await checkpoint()
        await world.back(line)

    line = await world.take()
    async with anyio.create_task_group() as tasks:
        for name in "abcd":
            tasks.start_soon(use, name)
            await anyio.wait_all_tasks_blocked()
        assert order == []
        await world.back(line)
    assert order == ["a", "b", "c", "d"]
    assert len(world.made) == 1


async def test_another_origin_does_not_wait() -> None:
    world = World(most=1)
    await world.take(HERE)
    with anyio.fail_after(1):
        await world.take(THERE)


async def test_a_line_that_comes_back_broken_lets_the_next_one_in_too() -> None:
    world, got = World(most=1), list[Line]()

    async def use() -> None:
        got.append(await world.take())

    line = await world.take()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(use)
        await anyio.wait_all_tasks_blocked()
        await world.back(line, whole=False)
    assert got == [world.made[1]]


async def test_one_who_is_cancelled_while_waiting_is_passed_over() -> None:
    world, got = World(most=1), list[str]()

    async def use(name: str, scope: anyio.CancelScope) -> None:
        with scope:
            line = await world.take()
            got.append(name)
            await world.back(line)

    line = await world.take()
    scopes = [anyio.CancelScope() for _ in range(3)]
    async with anyio.create_task_group() as tasks:
        for name, scope in zip("abc", scopes, strict=True):
            tasks.start_soon(use, name, scope)
            await anyio.wait_all_tasks_blocked()
        scopes[0].cancel()
        await world.back(line)
    assert got == ["b", "c"]


async def test_a_turn_that_came_together_with_a_cancel_is_not_lost() -> None:
    world = World(most=1)

    async def use(scope: anyio.CancelScope) -> None:
        with scope:
            await world.back(await world.take())

    line, scope = await world.take(), anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(use, scope)
        await anyio.wait_all_tasks_blocked()
        await world.back(line)  # the turn is given away here, and the one that got it is cancelled before it runs
        scope.cancel()
    with anyio.fail_after(1):
        await world.take()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_cancel_of_asyncio_itself_loses_no_turn_either() -> None:
    world = World(most=1)
    line = await world.take()
    waiting = [asyncio.create_task(world.take()) for _ in range(3)]
    await anyio.wait_all_tasks_blocked()
    waiting[0].cancel()
    await world.back(line)
    waiting[1].cancel()
    assert await waiting[2] is line
    await world.back(line)
    assert await world.take() is line
    await asyncio.gather(*waiting[:2], return_exceptions=True)


async def test_of_a_crowd_in_which_every_third_is_cancelled_all_others_are_served_and_no_place_is_lost() -> None:
    world, served = World(most=4), list[int]()

    async def use(number: int, scope: anyio.CancelScope) -> None:
        with scope:
            line = await world.take()
            try:
                assert len(world.made) - sum(line.closed for line in world.made) <= 4
                for _ in range(number % 5):
                    await checkpoint()
                served.append(number)
            finally:
                await world.back(line, whole=number % 7 != 0)

    scopes = [anyio.CancelScope() for _ in range(90)]
    async with anyio.create_task_group() as tasks:
        for number, scope in enumerate(scopes):
            tasks.start_soon(use, number, scope)
        for scope in scopes[::3]:
            await checkpoint()
            scope.cancel()
    assert {number for number in range(90) if number % 3} <= set(served)
    with anyio.fail_after(1):
        taken = [await world.take() for _ in range(4)]
    assert len(set(taken)) == 4


async def test_a_line_that_was_idle_too_long_is_never_lent_and_is_closed_when_the_next_comes_back() -> None:
    world = World(keep_s=30)
    old = await world.take()
    await world.back(old)
    world.now = 29.9
    assert await world.take() is old
    await world.back(old)
    world.now = 60
    new = await world.take()
    assert new is not old
    assert old.closed == 0
    await world.back(new)
    assert old.closed == 1
    assert world.open == [new.number]


async def test_idle_lines_of_other_origins_grow_old_too() -> None:
    world = World()
    there = await world.take(THERE)
    await world.back(there, THERE)
    world.now = 31
    await world.back(await world.take(HERE), HERE)
    assert there.closed == 1


async def test_of_too_many_idle_lines_the_oldest_are_closed() -> None:
    world = World(most_idle=3)
    for number in range(5):
        origin = f"https://{number}.example:443"
        await world.back(await world.take(origin), origin)
    assert world.open == [2, 3, 4]


async def test_lines_that_are_kept_for_no_time_are_each_used_once() -> None:
    world = World(keep_s=0)
    for _ in range(3):
        await world.back(await world.take())
    assert [line.closed for line in world.made] == [1, 1, 1]


async def test_closing_closes_all_even_when_cancelled_and_what_is_lent_then_is_not_kept() -> None:
    world = World()
    idle, lent = await world.take(), await world.take()
    await world.back(idle)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await world.lines.aclose()
    assert (idle.closed, lent.closed) == (1, 1)
    await world.back(lent)
    after = await world.take()
    assert after not in {idle, lent}
    await world.back(after)
    assert world.open == [after.number]


async def test_giving_back_closes_even_when_cancelled() -> None:
    world = World()
    line = await world.take()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await world.back(line, whole=False)
    assert line.closed == 1


async def test_nothing_is_remembered_of_an_origin_that_nobody_uses_any_more() -> None:
    world = World(keep_s=30)
    for number in range(100):
        origin = f"https://{number}.example:443"
        await world.back(await world.take(origin), origin, whole=number % 2 == 0)
    world.now = 31
    await world.back(await world.take())
    assert list(world.lines._doors) == [HERE]
