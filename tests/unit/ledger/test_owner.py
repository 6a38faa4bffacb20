"""Who drives a job, and whether that process is gone for certain."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from multivideo.ledger.owner import is_dead, owner


def test_an_owner_lives_as_long_as_its_process() -> None:
    assert not is_dead(owner())
    assert owner() != owner(), "two clients of one process are two owners"


def test_the_owner_of_a_process_that_ended_is_dead() -> None:
    command = [sys.executable, "-c", "from multivideo.ledger.owner import owner; print(owner())"]
    assert is_dead(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())


def test_a_killed_process_that_nobody_has_waited_for_is_dead_too() -> None:
    command = [sys.executable, "-c", "from multivideo.ledger.owner import owner; print(owner(), flush=True); input()"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    name = process.stdout.readline().strip()
    assert not is_dead(name)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays in the table as a zombie
    try:
        assert is_dead(name)
    finally:
        process.communicate()


def test_a_process_of_the_same_number_that_began_at_another_time_is_another() -> None:
    host, pid, began, number = owner().split("|")
    assert is_dead(f"{host}|{pid}|{int(began) - 1}|{number}")


@pytest.mark.parametrize("name", [None, "", "x", "a|b|c", "elsewhere|1|2|3", "||||"])
def test_of_what_cannot_be_known_nobody_says_that_it_is_dead(name: str | None) -> None:
    assert not is_dead(name)
