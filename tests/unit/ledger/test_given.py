"""What users give is told wrong by field and by what it was."""

from __future__ import annotations

from typing import Any

import pytest

from multivideo.ledger import given


@pytest.mark.parametrize("state", ["open", "finished", "failed", "all"])
@pytest.mark.parametrize("limit", [None, 1, 10_000])
def test_jobs_are_listed_by_state_and_up_to_a_number(state: str, limit: int | None) -> None:
    assert given.listing(state, limit) == []


@pytest.mark.parametrize(
    ("state", "limit", "told"),
    [
        ("done", 1, ['state "done"']),
        (None, 1, ["state None"]),
        ("open", 0, ["limit 0"]),
        ("open", -3, ["limit -3"]),
        ("open", True, ["limit a bool"]),
        ("open", 2.0, ["limit a float"]),
        (7, "7", ["state an int", 'limit "7"']),
    ],
)
def test_a_list_that_cannot_be_is_told(state: Any, limit: Any, told: list[str]) -> None:
    assert [f"{problem.field} {problem.asked}" for problem in given.listing(state, limit)] == told
