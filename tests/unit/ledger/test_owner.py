"""Who drives a job, and whether that process is gone for certain."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from multivideo.ledger import owner as owner_module
from multivideo.ledger.owner import is_dead, owner, same_process


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


def test_clients_of_one_process_are_told_from_others() -> None:
    mine, (host, pid, began, _) = owner(), owner().split("|")
    assert same_process(mine, owner())
    assert not same_process(mine, f"{host}|{pid}|{int(began) - 1}|x")
    assert not same_process(None, None)


def test_a_number_that_no_process_can_have_is_not_said_to_be_dead() -> None:
    host, _, began, number = owner().split("|")
    assert not is_dead(f"{host}|{10**30}|{began}|{number}")


def test_a_process_that_another_user_owns_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", forbidden)
    host, pid, _, number = owner().split("|")
    assert not is_dead(f"{host}|{pid}|1|{number}")


def test_where_the_system_tells_nothing_of_processes_an_owner_has_a_name_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nothing(self: Path, *words: object, **more: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "readlink", nothing)
    monkeypatch.setattr(Path, "read_text", nothing)
    monkeypatch.setattr(owner_module, "_process", owner_module._process.__wrapped__)
    name = owner()
    assert name.startswith(f"{socket.gethostname()}|{os.getpid()}||")
    assert not is_dead(name)


@pytest.mark.parametrize("name", [None, "", "x", "a|b|c", "elsewhere|1|2|3", "||||"])
def test_of_what_cannot_be_known_nobody_says_that_it_is_dead(name: str | None) -> None:
    assert not is_dead(name)
