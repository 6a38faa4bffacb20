"""Whoever waits, waits by the clock that was handed in; else no test could live through an hour in a second."""

from __future__ import annotations

import ast
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "multivideo"
LIBRARIES = {"anyio", "asyncio", "time", "trio"}
WAYS_TO_WAIT = {"fail_after", "fail_at", "move_on_after", "move_on_at", "sleep", "sleep_until", "timeout", "wait_for"}
ALLOWED = {"clock.py"}  # it is what the others are handed


def waits(source: str) -> list[str]:
    """Every way to wait that is used or imported straight from a library."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in LIBRARIES:
            found += [f"{node.value.id}.{node.attr}"] if node.attr in WAYS_TO_WAIT else []
        elif isinstance(node, ast.ImportFrom) and node.module in LIBRARIES:
            found += [f"{node.module}.{alias.name}" for alias in node.names if alias.name in WAYS_TO_WAIT]
    return found


def test_only_the_clock_waits() -> None:
    files = [file for file in SOURCE.rglob("*.py") if str(file.relative_to(SOURCE)) not in ALLOWED]
    used = {str(file.relative_to(SOURCE)): waits(file.read_text(encoding="utf-8")) for file in files}
    assert {name: found for name, found in used.items() if found} == {}


def test_both_spellings_are_found() -> None:
    assert waits("import anyio\nawait anyio.sleep(1)") == ["anyio.sleep"]
    assert waits("from time import sleep") == ["time.sleep"]
    assert waits((SOURCE / "clock.py").read_text(encoding="utf-8")) != []
