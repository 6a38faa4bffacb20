"""No paid job is lost, doubled or orphaned, wherever its process is killed: real processes, real SIGKILL."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from trials import Comparison, arena


@pytest.mark.parametrize("door", ["kling", "openai"])
def test_a_job_survives_its_process_at_every_point(tmp_path: Path, door: str) -> None:
    with arena(tmp_path) as ground:
        points = ground.every_point(door)
    assert points > 100
    assert ground.tally.faults == []


def test_a_job_survives_crashes_of_its_recovery_too(tmp_path: Path) -> None:
    dice = random.Random(20261122)
    with arena(tmp_path, latency=0.02) as ground:
        for _ in range(60):
            ground.at_random(dice)
    assert ground.tally.kills >= 100
    assert ground.tally.faults == []


def test_the_comparison_sees_a_job_that_is_not_in_the_books(tmp_path: Path) -> None:
    with arena(tmp_path) as ground:
        ground.trial("kling", [None])
        [home] = tmp_path.iterdir()
        (home / "ledger.db").unlink()
        [job] = ground.emulator.jobs()
        lives = [{"killed": False, "over": False, "said": {"videos": []}}]
        found = list(Comparison.of((job,), "kling", home, lives).faults())
    assert any(fault.startswith("lost:") for fault in found)
