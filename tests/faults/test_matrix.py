"""Every fault at every step at every door: what the caller gets, what it costs, and that nothing is paid twice."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from fault_cell import Seen, seen
from fault_page import COMMAND, page
from fault_rig import DOORS, Row, of_door
from fault_rows import ROWS

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).parents[2] / "docs" / "fault-matrix.md"
CELLS = {row: [door for door in DOORS if of_door(row.unfit, door) is None] for row in ROWS}
# What breaks a socket is played on both event loops, and all else by turns on one of them.
LOOPS = [
    (loop, row)
    for number, row in enumerate(ROWS)
    for loop in (("asyncio", "trio") if row.by_sockets else ("asyncio",) if number % 2 else ("trio",))
]
_known: dict[Row, dict[str, Seen]] = {}


async def observed(row: Row, folder: Path) -> dict[str, Seen]:
    """Each cell of a row, lived through now."""
    found = {}
    for door in CELLS[row]:
        place = folder / door
        try:
            found[door] = await seen(row, door, place)
        except Exception as error:
            error.add_note(f"{row.step}, {row.name}, at {door}")
            raise
        shutil.rmtree(place)
    _known[row] = found
    return found


@pytest.mark.parametrize(
    ("anyio_backend", "row"), LOOPS, ids=[f"{loop}: {row.step}: {row.name}" for loop, row in LOOPS]
)
async def test_a_fault_ends_as_the_page_says(row: Row, anyio_backend: str, tmp_path: Path) -> None:
    found = await observed(row, tmp_path)
    assert {door: each.text for door, each in found.items()} == {door: of_door(row.want, door) for door in CELLS[row]}
    sends = {door: number for door in CELLS[row] if (number := of_door(row.sends, door)) is not None}
    assert {door: each.sends for door, each in found.items() if door in sends} == sends


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_page_says_what_is_seen(anyio_backend: str, tmp_path: Path) -> None:
    cells: dict[tuple[Row, str], str] = {}
    for number, row in enumerate(ROWS):
        found = _known.get(row) or await observed(row, tmp_path / str(number))
        cells |= {(row, door): each.text for door, each in found.items()}
    text = page(ROWS, cells)
    if os.environ.get("MULTIVIDEO_WRITE"):
        PAGE.write_text(text, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == text, f"docs/fault-matrix.md is old: {COMMAND}"


def test_every_row_has_a_name_of_its_own_and_says_something_of_every_door() -> None:
    names = [(row.step, row.name) for row in ROWS]
    assert len(set(names)) == len(names)
    for row in ROWS:
        for door in DOORS:
            said = of_door(row.unfit, door), of_door(row.want, door)
            assert any(said), f"{row.step}, {row.name}: nothing is said of {door}"
