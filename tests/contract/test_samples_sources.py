"""Every recorded answer says where its shape was read and when, and the folder's page names every such place."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

import pytest

WIRE = Path(__file__).parents[1] / "wire"
SAMPLES = sorted(WIRE.rglob("*.json"))
NOBODY_KNEW = dt.date(2025, 10, 1)  # before the first of the protocols was published


def sources(page: str) -> set[tuple[str, str, str]]:
    """Folder, source and date of each row of the page."""
    found, folder = set(), ""
    for line in page.splitlines():
        folder = line.removeprefix("## ").strip() if line.startswith("## ") else folder
        row = re.fullmatch(r"\| (.+) \| (\d{4}-\d\d-\d\d) \|", line)
        if row:
            found.add((folder, row[1], row[2]))
    return found


def said(file: Path) -> tuple[str, str, str]:
    """Folder, source and date as a sample gives them, "" where it does not."""
    sample: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return file.parent.name, sample.get("source", ""), sample.get("date", "")


@pytest.mark.parametrize("file", SAMPLES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_sample_says_where_and_when_its_shape_was_read(file: Path) -> None:
    folder, source, date = said(file)
    assert file.parent.parent == WIRE, "samples lie one folder deep"
    assert len(source.split()) >= 3, "a source is named so that it can be found again"
    assert dt.date.fromisoformat(date) > NOBODY_KNEW
    assert (folder, source, date) in sources((WIRE / "README.md").read_text(encoding="utf-8"))


def test_the_page_names_no_source_that_no_sample_has() -> None:
    assert sources((WIRE / "README.md").read_text(encoding="utf-8")) - {said(file) for file in SAMPLES} == set()
    assert len(SAMPLES) > 100


def test_the_page_is_read_row_by_row() -> None:
    page = "| a | 2026-01-01 |\n## veo\n| source | read |\n|---|---|\n| a | b | 2026-01-02 |\n## kling\n| c | soon |\n"
    assert sources(page) == {("", "a", "2026-01-01"), ("veo", "a | b", "2026-01-02")}
