"""Any request that the catalog allows, in any mode, at any door, goes the whole way and comes back as ordered."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

import multivideo as mv
from multivideo.catalog.facts import ReferenceRule
from multivideo.clock import VirtualClock
from multivideo.sandbox import Emulator
from orders import (
    DOORS,
    OFFERED,
    PROMPT,
    Cell,
    Spec,
    introduced,
    kept,
    least,
    picture,
    plain_render,
    shots,
    source,
    ways,
)

EXAMPLES = int(os.environ.get("MULTIVIDEO_EXAMPLES", "80"))


@st.composite
def wishes(draw: st.DrawFn) -> tuple[Cell, Spec, str]:
    """Any of what a mode offers, all together: a door and a mode, what to ask of it, and how a clip comes along."""
    cell = draw(st.sampled_from(OFFERED))
    facts = cell.facts
    assert facts is not None
    row = draw(st.sampled_from([row for row in facts.formats if row.resolution != "4k"] * 3 + list(facts.formats)))
    ratio, size = draw(st.sampled_from(sorted(row.sizes.items())))
    seconds = draw(st.sampled_from(row.seconds))
    spec = least(cell, size, seconds)
    if facts.references is not None and (draw(st.booleans()) or "reference_images" not in spec):
        spec["reference_images"] = draw(references(facts.references, cell, size)) or spec.get("reference_images", [])
    if facts.shots_max and draw(st.booleans()):
        spec["shots"] = shots(seconds, draw(st.integers(1, facts.shots_max)))
    as_long = facts.clip is not None and facts.clip.as_long
    spec |= {} if as_long else {"duration": seconds}
    spec["resolution"] = row.resolution if row.resolution in {"720p", "1080p", "4k"} else f"{size[0]}x{size[1]}"
    framed = cell.mode in {mv.Mode.FIRST_FRAME, mv.Mode.FIRST_LAST}
    if not framed and facts.clip is None and spec["resolution"] == row.resolution and ratio in {"16:9", "9:16", "1:1"}:
        spec["aspect_ratio"] = ratio
    may: dict[str, Any] = {
        "audio": st.sampled_from(row.audio),
        "watermark": st.sampled_from([False, True] if facts.watermark else [False]),
        "count": st.sampled_from([1, 2, facts.samples_max + 1]),
        **({"negative_prompt": st.just("text, logos")} if facts.negative_prompt else {}),
        **({"seed": st.integers(0, facts.seed_max)} if facts.seed_max is not None else {}),
    }
    spec |= {name: draw(values) for name, values in may.items() if draw(st.booleans())}
    return cell, spec, draw(st.sampled_from(ways(facts.clip))) if facts.clip else ""


@st.composite
def references(draw: st.DrawFn, rule: ReferenceRule, cell: Cell, size: tuple[int, int]) -> list[Any]:
    """Pictures and elements, as many as may come together."""
    most = rule.pictures + rule.elements if rule.together is None else rule.together
    pictures = draw(st.integers(rule.fewest_pictures, rule.pictures))
    elements = draw(st.integers(0, max(0, min(rule.elements, most - pictures, 2))))
    if not pictures + elements and cell.mode is mv.Mode.REFERENCE:
        pictures, elements = min(1, rule.pictures), int(not rule.pictures)
    return [*[picture(*size)] * pictures, *kept(cell.path)[:elements]]


async def made(cell: Cell, spec: Spec, way: str, home: Path) -> None:
    clock = VirtualClock()
    async with Emulator(clock=clock, latency=60.0, render=plain_render) as emulator:
        client = mv.AsyncClient(providers=[DOORS[cell.door]], clock=clock, home=home)
        client._emulator = emulator
        clip = await source(client, cell, way, spec) if way else {}
        spec = await introduced(client, spec)
        paid = emulator.charged()
        plan = client.plan(PROMPT, model=cell.model, **spec, **clip)
        assert plan.ranked, [str(reason) for row in plan.rejected for reason in row.reasons]
        [segment] = plan.segments
        video = await client.generate(plan)
        assert video.check.ok, [str(fault) for fault in video.check.faults]
        assert (segment.mode, len(video.takes)) == (cell.mode, spec.get("count", 1))
        assert segment.width in {None, video.width}
        assert video.has_audio is spec.get("audio", video.has_audio)
        assert "duration" not in spec or segment.seconds == spec["duration"]
        assert video.charge == plan.first.quote.amount
        assert video.charge.micro_usd == emulator.charged() - paid


@given(wishes())
@settings(max_examples=EXAMPLES, deadline=None)
def test_whatever_the_catalog_allows_comes_back_as_ordered(wish: tuple[Cell, Spec, str]) -> None:
    with tempfile.TemporaryDirectory() as home:
        anyio.run(made, *wish, Path(home))
