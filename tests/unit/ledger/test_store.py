"""The file of the books: made at the first write, for its owner alone, shared by processes, never by a fork."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from books import hold, hold_one, names, pay_one, proof
from multivideo.errors import LedgerError
from multivideo.ledger import sql
from multivideo.ledger.store import Db, Store

TESTS = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, sys.path)])}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some" / "home" / "ledger.db"


def test_nothing_is_written_before_the_first_write(path: Path) -> None:
    store = Store(path)
    assert names(store) == []
    store.close()
    assert not path.parent.exists()


def test_the_books_are_for_their_owner_alone(path: Path) -> None:
    before = os.umask(0)
    try:
        store = Store(path)
        modes: list[int] = []

        def look(db: Db) -> None:
            hold(db, "a")
            modes.extend(stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir())

        store.write(look)
    finally:
        os.umask(before)
    assert {file.name for file in path.parent.iterdir()} == {"ledger.db", "ledger.db-wal", "ledger.db-shm"}
    assert modes == [0o600] * 3
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_closed_books_open_again_by_themselves(path: Path) -> None:
    store = Store(path)
    store.write(hold_one("a"))
    store.close()
    store.close()
    assert names(store) == ["a"]
    store.write(hold_one("b"))
    assert names(store) == ["a", "b"]


def test_what_is_read_waits_for_no_write(path: Path) -> None:
    store = Store(path)
    store.write(hold_one("a"))
    read: list[list[str]] = []

    def slow(db: Db) -> None:
        hold(db, "b")
        other = threading.Thread(target=lambda: read.append(names(store)))
        other.start()
        other.join()

    store.write(slow)
    assert read == [["a"]]
    assert names(store) == ["a", "b"]


def test_two_stores_of_one_process_and_another_process_lose_nothing(path: Path) -> None:
    """Whoever opens and closes a file ends all locks of its process on it; another process then takes the log away."""
    first, second = Store(path), Store(path)
    first.write(hold_one("a"))
    second.write(hold_one("b"))
    command = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM jobs').fetchall(); c.close()"
    )
    subprocess.run([sys.executable, "-c", command, str(path)], check=True)
    first.write(hold_one("c"))
    found = sqlite3.connect(path)
    assert [row[0] for row in found.execute("SELECT id FROM jobs ORDER BY id")] == ["a", "b", "c"]
    found.close()


def test_a_child_has_connections_and_locks_of_its_own(path: Path) -> None:
    store = Store(path)
    store.write(hold_one("parent"))
    entered, leave = threading.Event(), threading.Event()

    def busy(db: Db) -> None:
        hold(db, "parent's thread")
        entered.set()
        leave.wait()

    writer = threading.Thread(target=store.write, args=(busy,))
    writer.start()
    entered.wait()
    child = os.fork()  # while a thread holds the lock, which no thread of the child will ever give back
    if child == 0:
        code = 1
        try:
            code = 0 if names(store) == ["parent"] else 2
            store.close()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    leave.set()
    writer.join()
    context = multiprocessing.get_context("fork")
    process = context.Process(target=lambda: store.write(hold_one("child")))
    process.start()
    process.join()
    assert process.exitcode == 0
    store.write(hold_one("parent again"))
    assert sorted(names(store)) == ["child", "parent", "parent again", "parent's thread"]
    assert proof(store) == []


def test_books_in_memory_end_with_a_fork() -> None:
    store = Store(None)
    store.write(hold_one("a"))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            store.write(hold_one("b"))
        except LedgerError as error:
            code = 0 if "fork" in error.what else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_store_that_finds_itself_in_a_child_lets_the_parents_connections_be(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(path)
    store.write(hold_one("parent"))
    kept, mine, number = store._connection, Store(None), os.getpid()
    mine.write(hold_one("a"))
    monkeypatch.setattr(os, "getpid", lambda: number + 1)
    assert names(store) == ["parent"]
    store.write(hold_one("child"))
    assert store._connection is not kept
    assert kept is not None
    assert kept.execute("SELECT COUNT(*) FROM jobs").fetchone() == (2,), "it is not closed"
    with pytest.raises(LedgerError, match="after a fork"):
        names(mine)
    mine.close()


FIRST = """
import sys
from pathlib import Path
from books import hold
from multivideo.ledger.store import Store
sys.stdin.read(1)
store = Store(Path(sys.argv[1]))
store.write(lambda db: hold(db, sys.argv[2]))
store.close()
"""


def test_many_processes_that_open_new_books_at_once_all_write(path: Path) -> None:
    made = [f"process-{number}" for number in range(6)]
    processes = [
        subprocess.Popen([sys.executable, "-c", FIRST, str(path), name], stdin=subprocess.PIPE, env=ENVIRONMENT)
        for name in made
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"g")
        process.stdin.close()
    assert [process.wait() for process in processes] == [0] * len(made)
    assert sorted(names(Store(path))) == made


def test_new_books_wait_for_another_who_is_about_to_make_them(path: Path) -> None:
    """The switch to WAL does not wait by itself: SQLite tells at once that the file is locked."""
    path.parent.mkdir(parents=True)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.05, other.execute, ["ROLLBACK"])
    release.start()
    store = Store(path)
    store.write(hold_one("a"))
    release.join()
    other.close()
    assert names(store) == ["a"]


def test_who_reads_cannot_write(path: Path) -> None:
    store = Store(path)
    store.write(hold_one("a"))
    with pytest.raises(LedgerError, match="readonly"):
        store.read(partial(_run, "UPDATE jobs SET ended_ms = 1"), None)
    assert store.write(lambda db: db.all("SELECT ended_ms FROM jobs")) == [(None,)]


def test_many_threads_that_open_new_books_at_once_all_write(path: Path) -> None:
    made, start = [f"thread-{number}" for number in range(12)], threading.Barrier(12)
    failed: list[LedgerError] = []

    def first(name: str) -> None:
        start.wait()
        try:
            store = Store(path)
            store.write(hold_one(name))
            store.close()
        except LedgerError as error:
            failed.append(error)

    threads = [threading.Thread(target=first, args=(name,)) for name in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sorted(names(Store(path))) == sorted(made)


def _run(statement: str, db: Db) -> object:
    return db.all(statement)


def test_entries_are_never_changed_deleted_or_put_between(path: Path) -> None:
    store = Store(path)
    store.write(pay_one("a"))
    columns = sql.ENTRY_COLUMNS.replace("amount_micro", "7")
    between = f"INSERT OR REPLACE INTO entries SELECT {columns} FROM entries WHERE number = 1"
    for statement in ("UPDATE entries SET note = 'x'", "DELETE FROM entries WHERE number = 2", between):
        with pytest.raises(LedgerError, match="an entry"):
            store.write(partial(_run, statement))
    assert proof(store) == []


def test_work_that_is_interrupted_writes_nothing(path: Path) -> None:
    store = Store(path)

    def interrupted(db: Db) -> None:
        hold(db, "a")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.write(interrupted)
    store.write(hold_one("b"))
    assert names(store) == ["b"]


def test_books_of_the_first_format_are_brought_to_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "books.db"
    for steps in (sql.MIGRATIONS[:1], sql.MIGRATIONS):
        monkeypatch.setattr(sql, "MIGRATIONS", steps)
        store = Store(path)
        store.write(lambda _: None)
        store.close()
        with sqlite3.connect(path) as raw:
            assert raw.execute("PRAGMA user_version").fetchone() == (len(steps),)
            columns = [row[1] for row in raw.execute("PRAGMA table_info(attempts)")]
            assert ("segment" in columns) is (len(steps) > 1)
