"""The jobs of an emulator in a file, for processes to come and for those beside it.

A SQLite file with a rollback journal: what `add` and `note` were given is on the disk when they return, whole or not at
all, and processes wait for each other. Prompts and pictures stand in it as they were sent, since the films are rendered
from them: only its owner may read it, and jobs that were over a week ago are thrown away.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from attrs import astuple, define, field

from multivideo.sandbox.clip import Clip
from multivideo.sandbox.jobs import Job
from multivideo.sandbox.packing import (
    Packed,
    pack_clips,
    pack_order,
    pack_script,
    unpack_clips,
    unpack_order,
    unpack_script,
)
from multivideo.sandbox.pool import Outcome
from multivideo.sandbox.revived import Record

__all__ = ["KEPT_S", "Archive", "ArchiveFault"]

logger = logging.getLogger("multivideo")

KEPT_S = 7 * 86_400
_APPLICATION = 0x6D766A62
_LAYOUT = 1
_WAIT_S = 30.0
# A number that grows with every change tells another process what it has not seen: the sequence cannot, since rows are
# changed and thrown away.
_TABLES = (
    "CREATE TABLE facts (secret BLOB NOT NULL, changes INTEGER NOT NULL)",
    """CREATE TABLE jobs (
        place INTEGER PRIMARY KEY AUTOINCREMENT, door TEXT NOT NULL, id TEXT NOT NULL, credential TEXT NOT NULL,
        due REAL NOT NULL, told TEXT NOT NULL, count INTEGER NOT NULL, clips TEXT NOT NULL, script TEXT NOT NULL,
        made TEXT, deleted INTEGER NOT NULL, change INTEGER NOT NULL, UNIQUE (door, id)
    )""",
    "CREATE INDEX jobs_by_change ON jobs (change)",
    "CREATE INDEX jobs_by_due ON jobs (due)",
    "CREATE TABLE pictures (digest TEXT PRIMARY KEY, data BLOB NOT NULL)",
    "CREATE TABLE shown (place INTEGER NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (place, digest))",
)
_NEWS = """
    SELECT change, door, id, credential, told, script, count, made, deleted FROM jobs WHERE change > ? ORDER BY place
"""
_ADD = """
    INSERT INTO jobs (door, id, credential, due, told, count, clips, script, deleted, change)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?)
"""
_NOTE = """
    UPDATE jobs SET script = ?, made = coalesce(made, ?), deleted = max(deleted, ?), change = ?
    WHERE door = ? AND id = ?
"""
_CLIPS = "SELECT place, clips FROM jobs WHERE door = ? AND id = ?"
_PICTURES = "SELECT digest, data FROM pictures JOIN shown USING (digest) WHERE place = ?"
_SWEEP = (
    "DELETE FROM shown WHERE place NOT IN (SELECT place FROM jobs)",
    "DELETE FROM pictures WHERE digest NOT IN (SELECT digest FROM shown)",
)
# What SQLite says of a file that may be whole all the same.
_TROUBLE = {
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY),
    *(sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM),
}


class ArchiveFault(Exception):
    """The file cannot be used."""


class _Unreadable(Exception):
    """The file is none of this layout, or it is damaged."""


@define(eq=False)
class Archive:
    """All jobs of the emulators that share a file, of any process. The first `add` makes it."""

    path: Path
    _connection: sqlite3.Connection | None = None
    _secret: bytes = field(default=b"", repr=False)
    _unread: list[Record] = field(factory=list)
    _seen: int = 0
    _version: int = 0
    _lock: threading.RLock = field(factory=threading.RLock)

    @property
    def secret(self) -> bytes:
        """What links are signed with, the same in every process; nothing as long as no link can have been given."""
        if not self._is_there:
            return b""
        with self._using():
            return self._secret

    def news(self) -> list[Record]:
        """What was added or changed since the last time, oldest first; all there is the first time."""
        if not self._is_there:
            return []
        with self._using() as connection:
            if self._version != (version := _number(connection, "data_version")):  # another process has written
                self._unread += self._read(connection)
                self._version = version
            found, self._unread = self._unread, []
            return found

    def clips(self, door: str, job_id: str) -> tuple[Clip, ...]:
        """The clips of a job."""
        with self._using() as connection:
            row = connection.execute(_CLIPS, (door, job_id)).fetchone()
            if row is None:
                raise ArchiveFault(f"job {job_id} was thrown away")
            place, text = row
            return unpack_clips(Packed(text, dict(connection.execute(_PICTURES, (place,)).fetchall())))

    def add(self, job: Job) -> None:
        """Write down a job, before anybody is told that there is one."""
        packed = pack_clips(job.clips)
        told = (job.created + job.latency, pack_order(job), len(job.clips), packed.text, pack_script(job.script))
        with self._using() as connection, _transaction(connection):
            place = connection.execute(
                _ADD, (job.door, job.id, job.credential, *told, _next_change(connection))
            ).lastrowid
            connection.executemany("INSERT OR IGNORE INTO pictures VALUES (?, ?)", packed.pictures.items())
            connection.executemany("INSERT INTO shown VALUES (?, ?)", [(place, digest) for digest in packed.pictures])
            if connection.execute("DELETE FROM jobs WHERE due < ?", (job.created - KEPT_S,)).rowcount:
                for statement in _SWEEP:
                    connection.execute(statement)

    def note(self, job: Job) -> None:
        """Write down what has become of a job: its faults, its files, its end."""
        made = None if job.made is None else json.dumps([astuple(outcome) for outcome in job.made])
        with self._using() as connection, _transaction(connection):
            change = _next_change(connection)
            connection.execute(_NOTE, (pack_script(job.script), made, job.deleted, change, job.door, job.id))

    @property
    def _is_there(self) -> bool:
        return self._connection is not None or self.path.exists()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        """The open file, for one thread at a time; what goes wrong with it is an ArchiveFault."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._opened()
                yield self._connection
            except (sqlite3.Error, OSError, ValueError, LookupError, TypeError) as error:
                raise ArchiveFault(f"{self.path}: {error}") from error

    def _opened(self) -> sqlite3.Connection:
        """A connection to a file that can be read. One that cannot is set aside: it is only a pretend vendor's."""
        try:
            return self._tried()
        except _Unreadable:
            # Another process may have found the same, and made a new file that must not be set aside in its turn.
            with closing(sqlite3.connect(self.path.with_suffix(".lock"), timeout=_WAIT_S)) as guard:
                guard.execute("BEGIN EXCLUSIVE")
                try:
                    return self._tried()
                except _Unreadable as why:
                    aside = self._set_aside()
                    logger.warning("The emulator begins anew: %s; the old file is %s", why, aside)
                    return self._tried()

    def _tried(self) -> sqlite3.Connection:
        _make_private(self.path)
        connection = sqlite3.connect(self.path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
        try:
            _lay_out(connection)
            if (found := connection.execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
                raise ValueError(found)
            self._secret = connection.execute("SELECT secret FROM facts").fetchone()[0]
            self._version, self._seen = _number(connection, "data_version"), 0
            self._unread = self._read(connection)
        except Exception as error:
            connection.close()
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _TROUBLE:
                raise
            raise _Unreadable(f"{self.path.name} cannot be read ({error})") from error
        return connection

    def _read(self, connection: sqlite3.Connection) -> list[Record]:
        rows = connection.execute(_NEWS, (self._seen,)).fetchall()
        self._seen = max([self._seen, *(row[0] for row in rows)])
        return [
            Record(
                door=door,
                id=job_id,
                credential=credential,
                order=unpack_order(told),
                script=unpack_script(script),
                count=count,
                made=None if made is None else tuple(Outcome(*outcome) for outcome in json.loads(made)),
                deleted=bool(deleted),
            )
            for _, door, job_id, credential, told, script, count, made, deleted in rows
        ]

    def _set_aside(self) -> Path:
        names = (self.path.with_suffix(f".{number}.old") for number in itertools.count(1))
        aside = next(name for name in names if not name.exists())
        with suppress(FileNotFoundError):  # of a writer that was killed; it belongs to that file
            Path(f"{self.path}-journal").rename(f"{aside}-journal")
        return self.path.rename(aside)


def _make_private(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _lay_out(connection: sqlite3.Connection) -> None:
    """Make the tables in a file that has none; ValueError for one of another layout."""
    connection.execute("PRAGMA synchronous = EXTRA")  # with FULL the end of a transaction may be lost with the power
    if not _number(connection, "page_count"):  # said again, it would be written again
        connection.execute("PRAGMA auto_vacuum = FULL")  # pictures that are thrown away leave no hole behind
    with _transaction(connection):
        layout = _number(connection, "application_id"), _number(connection, "user_version")
        if layout == (0, 0) and not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            for statement in _TABLES:
                connection.execute(statement)
            connection.execute("INSERT INTO facts VALUES (?, 0)", (secrets.token_bytes(32),))
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {_LAYOUT}")
        elif layout != (_APPLICATION, _LAYOUT):
            raise ValueError(f"its layout is {layout[1]} and not {_LAYOUT}")


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _next_change(connection: sqlite3.Connection) -> int:
    connection.execute("UPDATE facts SET changes = changes + 1")
    return int(connection.execute("SELECT changes FROM facts").fetchone()[0])


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
