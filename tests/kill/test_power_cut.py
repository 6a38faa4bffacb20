"""The power goes at every single I/O: what was not synced is lost, or part of it; what was acknowledged is there.

A process pays for jobs under a shim that writes down all it does to its files. From that the files are built as a
disk may hold them at each moment: bytes count when their file was synced, names when their folder was.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from attrs import define, field, frozen

from books import AT, micro, proof
from multivideo.ledger import book, sql
from multivideo.ledger.store import Store

HERE = Path(__file__).parent
JOBS = int(os.environ.get("MULTIVIDEO_POWER_JOBS", "6"))
LUCK = int(os.environ.get("MULTIVIDEO_POWER_LUCK", "1"))
ATTEMPTS = f"SELECT {sql.ATTEMPT_COLUMNS} FROM attempts"
ORDER = ("prepared", "sending", "accepted", "succeeded")
SECTOR = 512
# A system that preloads no C library of ours cannot play a power cut. The project's own checks run on one that does,
# and there it is never skipped: a missing compiler fails.
pytestmark = pytest.mark.skipif(
    "CI" not in os.environ and (sys.platform != "linux" or shutil.which("cc") is None),
    reason="the shim is C for Linux, and no compiler is here",
)


@frozen
class Io:
    """One thing that was done to a file."""

    what: str
    name: str
    first: int
    data: bytes


def record(folder: Path, jobs: int, synchronous: str) -> list[Io]:
    """Everything that paying for so many jobs does to the files."""
    home, log, shim = folder / "home", folder / "log", folder / "power.so"
    home.mkdir()
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", shim, HERE / "power.c"], check=True)
    paths = [str(HERE.parent), str(HERE), *filter(None, sys.path)]
    environment = {"PYTHONPATH": os.pathsep.join(paths), "LD_PRELOAD": str(shim)}
    environment |= {"POWER_LOG": str(log), "POWER_FOLDER": str(home)}
    command = [sys.executable, str(HERE / "power_child.py"), str(home), str(jobs), synchronous, "20"]
    subprocess.run(command, check=True, env={**os.environ, **environment})
    return list(read(log.read_bytes()))


def read(log: bytes) -> Iterator[Io]:
    at = 0
    while at < len(log):
        end = log.index(b"\n", at)
        what, name, first, second = log[at:end].decode().split(" ")
        length = int(second) if what == "W" else 0
        yield Io(what, name, int(first), log[end + 1 : end + 1 + length])
        at = end + 1 + length


def applied(content: bytes, done: Sequence[Io]) -> bytes:
    changed = bytearray(content)
    for io in done:
        if io.what == "T":
            changed = changed[: io.first].ljust(io.first, b"\0")
        else:
            changed = changed.ljust(io.first, b"\0")
            changed[io.first : io.first + len(io.data)] = io.data
    return bytes(changed)


@define(eq=False)
class File:
    """What of a file is safe, and what is only on its way."""

    safe: bytes = b""
    coming: list[Io] = field(factory=list)

    def sync(self) -> None:
        self.safe, self.coming = applied(self.safe, self.coming), []


@define
class Disk:
    """Files by name: as a program sees them now, and as they were when the folder was synced."""

    now: dict[str, File] = field(factory=dict)
    then: dict[str, File] = field(factory=dict)
    said: bytes = b""

    def do(self, io: Io) -> None:
        if io.name == "said":
            self.said += io.data
        elif io.what == "S" and io.name == ".":
            self.then = dict(self.now)
        elif io.what == "S":
            self.now.setdefault(io.name, File()).sync()
        elif io.what == "U":
            self.now.pop(io.name, None)
        else:
            self.now.setdefault(io.name, File()).coming.append(io)

    def after_the_cut(self, luck: random.Random | None) -> dict[str, bytes]:
        """The files that are found; with luck some of what was on its way has arrived, in part or in whole."""
        found = {}
        for name in sorted({*self.then, *self.now}):
            file = (self.now if luck is not None and luck.random() < 0.5 else self.then).get(name)
            if file is not None:
                arrived = [torn(io, luck) for io in file.coming if luck.random() < 0.5] if luck is not None else []
                found[name] = applied(file.safe, arrived)
        return found


def torn(io: Io, luck: random.Random) -> Io:
    """Now and then only the first sectors of a write arrive."""
    if io.what != "W" or luck.random() < 0.7:
        return io
    return Io("W", io.name, io.first, io.data[: luck.randrange(0, len(io.data) + 1, SECTOR)])


def lost(files: dict[str, bytes], said: bytes, folder: Path) -> list[str]:
    """What was acknowledged and is not there when the books are opened again; they must take a new entry, too."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    store = Store(folder / "ledger.db")
    none: dict[str, str] = {}
    states = store.read(lambda db: {row[0]: row[2] for row in db.all(ATTEMPTS)}, none)
    store.write(lambda db: book.fund(db, micro(1), "later", **AT))
    missing = proof(store)
    for line in said.decode().splitlines():
        name, state = line.split(" ")
        if name not in states or ORDER.index(states[name]) < ORDER.index(state):
            missing.append(line)
    store.close()
    shutil.rmtree(folder)
    return missing


def test_no_acknowledged_entry_is_lost_wherever_the_power_goes(tmp_path: Path) -> None:
    ios, disk, cuts = record(tmp_path, JOBS, "as ever"), Disk(), 0
    for number, io in enumerate(ios):
        if io.what in "SU":  # between two of them what is safe stays the same: the last moment has most to lose
            assert lost(disk.after_the_cut(None), disk.said, tmp_path / "cut") == [], f"before {number}, {io.what}"
            cuts += 1
        for seed in range(LUCK):
            luck = random.Random(1000 * number + seed)
            assert lost(disk.after_the_cut(luck), disk.said, tmp_path / "cut") == [], f"before {number}, luck {seed}"
            cuts += 1
        disk.do(io)
    assert lost(disk.after_the_cut(None), disk.said, tmp_path / "cut") == []
    assert disk.said.count(b"\n") == 4 * JOBS
    print(f"{cuts} power cuts, {disk.said.count(b'succeeded')} jobs, 0 lost")


def test_the_shim_shows_what_is_lost_with_less_care(tmp_path: Path) -> None:
    ios, disk, bad = record(tmp_path, JOBS, "NORMAL"), Disk(), 0
    for io in ios:
        if io.what == "S":
            bad += bool(lost(disk.after_the_cut(None), disk.said, tmp_path / "cut"))
        disk.do(io)
    assert bad > 0
