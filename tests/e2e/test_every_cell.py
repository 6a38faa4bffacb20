"""Every cell of the feature table: what it offers comes back as ordered, what it refuses is refused unsent."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

import multivideo as mv
from multivideo.clock import VirtualClock
from multivideo.sandbox import Emulator
from orders import (
    DOORS,
    OF_A_CLIP,
    OFFERED,
    PROMPT,
    REFUSED,
    Cell,
    Spec,
    covering,
    introduced,
    least,
    picture,
    plain_render,
    ways,
)
from orders import source as clip_for

pytestmark = pytest.mark.anyio


@pytest.fixture
def emulator(clock: VirtualClock) -> Iterator[Emulator]:
    made = Emulator(clock=clock, latency=60.0, render=plain_render)
    yield made
    made.close()


@pytest.fixture
def anyio_backend(cell: Cell) -> str:
    """The loops take turns: what differs between cells is no matter of the loop."""
    return "trio" if (OFFERED + REFUSED).index(cell) % 2 else "asyncio"


def client_of(cell: Cell, emulator: Emulator, clock: VirtualClock, home: Path) -> mv.AsyncClient:
    client = mv.AsyncClient(providers=[DOORS[cell.door]], clock=clock, home=home)
    client._emulator = emulator
    return client


@pytest.mark.parametrize("cell", OFFERED, ids=str)
async def test_what_is_offered_comes_back_as_ordered(
    cell: Cell, emulator: Emulator, clock: VirtualClock, tmp_path: Path
) -> None:
    client = client_of(cell, emulator, clock, tmp_path)
    facts = cell.facts
    assert facts is not None
    bring = ways(facts.clip) if facts.clip else [""]
    paid: list[int] = []

    async def order(spec: Spec, way: str) -> None:
        clip = await clip_for(client, cell, way, spec) if way else {}
        wish = {**await introduced(client, spec), **clip}
        plan = client.plan(PROMPT, model=cell.model, **wish)
        assert plan.ranked, [str(reason) for row in plan.rejected for reason in row.reasons]
        video = await client.generate(plan)
        assert video.check.ok, [str(fault) for fault in video.check.faults]
        assert len(video.takes) == spec.get("count", 1)
        assert plan.segments[0].mode is cell.mode
        assert video.charge == plan.first.quote.amount
        made = clip.get("source_video")
        paid.append(video.charge.micro_usd)
        if isinstance(made, mv.Video):
            paid.append(made.charge.micro_usd)

    async with anyio.create_task_group() as group:
        for number, spec in enumerate(covering(cell)):
            group.start_soon(partial(order, spec, bring[number % len(bring)]))
    assert len(paid) >= 1


def things(cell: Cell) -> dict[str, Any]:
    clip = {"source_video": "https://media.example.org/dance.mp4", "duration": 4} if cell.mode in OF_A_CLIP else {}
    return {**least(cell, (1280, 720)), **clip}


@pytest.mark.parametrize("cell", REFUSED, ids=str)
async def test_what_is_not_offered_is_refused_before_anything_is_sent(
    cell: Cell, emulator: Emulator, clock: VirtualClock, tmp_path: Path
) -> None:
    client = client_of(cell, emulator, clock, tmp_path)
    with pytest.raises(mv.UnsupportedFeature) as caught:
        await client.generate(PROMPT, model=cell.model, **things(cell))
    assert caught.value.charged == "no"
    assert "does not know" in caught.value.what or "cannot do" in caught.value.what
    assert emulator.count() == 0


def refused_options(cell: Cell) -> dict[str, Spec]:
    """The options of the table that say "refused" for a mode."""
    facts = cell.facts
    assert facts is not None
    sounds = {sound for row in facts.formats for sound in row.audio}
    found: dict[str, Spec] = {
        "negative_prompt": {} if facts.negative_prompt else {"negative_prompt": "text"},
        "seed": {"seed": 7} if facts.seed_max is None else {},
        "watermark": {} if facts.watermark else {"watermark": True},
        "shots": {} if facts.shots_max else {"shots": [mv.Shot("a door", 4)]},
        "reference_images": {} if facts.references else {"reference_images": [picture(1280, 720)]},
        "audio": {} if len(sounds) == 2 else {"audio": not next(iter(sounds))},
        "fps": {"fps": 17},
        "duration": {} if facts.clip and facts.clip.as_long else {"duration": 97},
    }
    modes_of_their_own = {"shots", "reference_images"} if cell.mode in {mv.Mode.TEXT, mv.Mode.SHOTS} else set()
    return {name: spec for name, spec in found.items() if spec and name not in modes_of_their_own}


@pytest.mark.parametrize("cell", OFFERED, ids=str)
async def test_every_option_that_a_mode_refuses_is_named_and_nothing_is_sent(
    cell: Cell, emulator: Emulator, clock: VirtualClock, tmp_path: Path
) -> None:
    client = client_of(cell, emulator, clock, tmp_path)
    for name, spec in refused_options(cell).items():
        with pytest.raises(mv.MultiVideoError) as caught:
            await client.generate(PROMPT, model=cell.model, **{**things(cell), **spec})
        assert caught.value.charged == "no"
        assert name in str(caught.value.field) or name in str(caught.value), (name, str(caught.value))
    assert emulator.count() == 0
