from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multivideo.transport.part_files import PartFile, remove_leftovers


def dead(folder: Path, name: str) -> Path:
    """What a killed process leaves: a file that nobody holds."""
    part = PartFile.create(folder, name)
    part.write(b"half")
    part.close()
    return part.path


def test_only_dead_files_of_just_this_name_are_removed(tmp_path: Path) -> None:
    living = PartFile.create(tmp_path, "a-1")
    others = [dead(tmp_path, "a-10"), dead(tmp_path, "a"), tmp_path / ".multivideo-a-1-clip.part", tmp_path / "a.mp4"]
    for path in others[2:]:
        path.write_bytes(b"the user's own")
    gone = [dead(tmp_path, "a-1"), dead(tmp_path, "a-1")]
    remove_leftovers(tmp_path, "a-1")
    assert not [path for path in gone if path.exists()]
    assert set(tmp_path.iterdir()) == {living.path, *others}
    living.discard()


def test_what_only_looks_like_a_leftover_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"the user's own")
    (tmp_path / f".multivideo-a-{'0' * 16}.part").symlink_to(tmp_path / "film.mp4")
    (tmp_path / f".multivideo-a-{'1' * 16}.part").mkdir()
    remove_leftovers(tmp_path, "a")
    assert len(list(tmp_path.iterdir())) == 3


def test_a_folder_that_is_not_there_has_no_leftovers(tmp_path: Path) -> None:
    remove_leftovers(tmp_path / "missing", "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../../etc/x", "a/b", "\0", "x" * 300, "ü*?[", ""])
def test_a_name_from_a_foreign_reference_stays_in_its_folder(name: str, tmp_path: Path) -> None:
    path = dead(tmp_path, name)
    assert path.parent == tmp_path
    assert os.listdir(tmp_path) == [path.name]
    remove_leftovers(tmp_path, name)
    assert os.listdir(tmp_path) == []


def locking(act: Callable[[int], None]) -> Callable[[Any, int], None]:
    """A `flock` that does something else at each call, counted from 1."""
    calls: list[int] = []
    really = fcntl.flock

    def flock(file: Any, how: int) -> None:
        calls.append(how)
        act(len(calls))
        really(file, how)

    return flock


def test_a_file_that_is_cleared_away_before_it_is_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def clear(call: int) -> None:
        if call == 1:
            [path] = tmp_path.iterdir()
            path.unlink()
        elif call == 2:  # whoever clears holds it just now
            raise BlockingIOError(errno.EWOULDBLOCK, "held")

    monkeypatch.setattr(fcntl, "flock", locking(clear))
    part = PartFile.create(tmp_path, "a")
    assert part.path.exists()
    part.discard()


def test_where_the_file_system_knows_no_locks_files_are_written_and_none_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(call: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", locking(refuse))
    part = PartFile.create(tmp_path, "a")
    remove_leftovers(tmp_path, "a")
    assert part.path.exists()
    part.discard()
    assert os.listdir(tmp_path) == []


def test_a_file_that_starts_anew_holds_and_hashes_only_what_follows(tmp_path: Path) -> None:
    part, fresh = PartFile.create(tmp_path, "a"), PartFile.create(tmp_path, "a")
    part.write(b"x" * 300_000)
    part.restart()
    for each in (part, fresh):
        each.write(b"clip")
        each.flush()
    assert part.path.read_bytes() == b"clip"
    assert (part.size_bytes, part.sha256) == (4, fresh.sha256)
    part.discard()
    fresh.discard()
    part.discard()
    assert os.listdir(tmp_path) == []
