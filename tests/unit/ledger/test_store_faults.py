"""What may be wrong with a file: each is a LedgerError that says what to do, and nothing is written."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from books import NOW_MS, hold, hold_one, micro, names, pay_one, proof
from multivideo.errors import LedgerError
from multivideo.ledger import book, sql
from multivideo.ledger import store as store_module
from multivideo.ledger.store import APPLICATION, Db, Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "ledger.db"


def paid(path: Path, jobs: int = 3) -> None:
    """Books of some jobs, closed."""
    store = Store(path)
    for number in range(jobs):
        store.write(pay_one(f"job-{number}"))
    store.close()


def refused(store: Store) -> LedgerError:
    """How it tells the trouble when it is to be written, and when it is read."""
    with pytest.raises(LedgerError) as reading:
        names(store)
    with pytest.raises(LedgerError) as writing:
        store.write(hold_one("new"))
    assert reading.value.hint
    assert writing.value.hint
    assert writing.value.charged == "no"
    return writing.value


def change(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def test_a_ledger_of_a_newer_release_is_left_alone(path: Path) -> None:
    paid(path)
    change(path, f"PRAGMA user_version = {len(sql.MIGRATIONS) + 1}")
    before = path.read_bytes()
    error = refused(Store(path))
    assert "newer release" in error.what
    assert "pip install --upgrade" in error.hint
    assert path.read_bytes() == before


def test_a_refused_reader_is_refused_the_next_time_too(path: Path) -> None:
    paid(path)
    change(path, f"PRAGMA user_version = {len(sql.MIGRATIONS) + 1}")
    store = Store(path)
    for _ in range(2):
        with pytest.raises(LedgerError, match="newer release"):
            names(store)


@pytest.mark.parametrize("mark", ["PRAGMA application_id = 77", "CREATE TABLE bookmarks (url TEXT)"])
def test_a_database_of_another_program_is_left_alone(path: Path, mark: str) -> None:
    path.parent.mkdir()
    change(path, mark)
    before = path.read_bytes()
    assert "another program" in refused(Store(path)).what
    assert path.read_bytes() == before


def test_garbage_is_no_ledger(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"neither a database nor anything else " * 200)
    before = path.read_bytes()
    error = refused(Store(path))
    assert "not a database" in error.what
    assert "backup" in error.hint
    assert path.read_bytes() == before


def test_a_truncated_file_is_told(path: Path) -> None:
    paid(path, 40)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 // 4096 * 4096)
    store = Store(path)

    def use() -> None:
        for number in range(40):
            store.write(hold_one(f"new-{number}"))
            proof(store)

    with pytest.raises(LedgerError) as caught:
        use()
    assert "backup" in caught.value.hint


def test_an_empty_file_becomes_a_ledger(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    store = Store(path)
    assert names(store) == []
    store.write(hold_one("a"))
    store.close()
    assert proof(Store(path)) == []
    found = sqlite3.connect(path)
    assert found.execute("PRAGMA application_id").fetchone() == (APPLICATION,)
    found.close()


def test_the_books_of_the_emulator_and_live_ones_are_kept_apart(path: Path) -> None:
    paid(path)
    error = refused(Store(path, live=False))
    assert "live vendors" in error.what
    assert "home=" in error.hint


def test_a_folder_in_place_of_the_file_is_told(path: Path) -> None:
    path.mkdir(parents=True)
    refused(Store(path))


def test_a_file_in_place_of_the_folder_is_told(path: Path) -> None:
    path.parent.touch()
    with pytest.raises(LedgerError, match="ledger cannot be used") as caught:
        Store(path).write(hold_one("a"))
    assert "MULTIVIDEO_HOME" in caught.value.hint
    assert "MemoryLedger" in caught.value.hint


def test_a_link_in_a_circle_is_told(path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(path)
    with pytest.raises(LedgerError, match="ledger cannot be used"):
        Store(path).write(hold_one("a"))


def test_a_link_that_leads_nowhere_yet_makes_a_file_of_its_owner_alone(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    target = tmp_path / "disk" / "books.db"
    path.symlink_to(target)
    paid(path)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert path.is_symlink()


AS_ANOTHER_USER = """
import os, sys
from pathlib import Path
from books import hold_one
from multivideo.errors import LedgerError
from multivideo.ledger.store import Store
if os.getuid() == 0:  # who may do everything is refused nothing
    os.setgid(65534); os.setuid(65534)
try:
    Store(Path(sys.argv[1])).write(hold_one("a"))
except LedgerError as error:
    print(error)
"""


def in_another_process(script: str, *arguments: object) -> str:
    tests = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), *filter(None, sys.path)])}
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that another user can reach, as those of a test run are not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_a_folder_that_cannot_be_written_is_told(open_to_all: Path) -> None:
    home = open_to_all / "home"
    home.mkdir(mode=0o555)
    told = in_another_process(AS_ANOTHER_USER, home / "ledger.db")
    assert "Permission denied" in told
    assert "MemoryLedger" in told
    assert list(home.iterdir()) == []


def test_a_file_that_cannot_be_written_is_told(open_to_all: Path) -> None:
    path = open_to_all / "ledger.db"
    paid(path)
    path.chmod(0o444)
    before = path.read_bytes()
    told = in_another_process(AS_ANOTHER_USER, path)
    assert "The ledger cannot be used" in told
    assert "MULTIVIDEO_HOME" in told
    assert path.read_bytes() == before


FULL = """
import resource, signal, sys
from pathlib import Path
from books import pay_one
from multivideo.errors import LedgerError
from multivideo.ledger.store import Store
path = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store, written = Store(path), 0
store.write(pay_one("first"))
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
try:
    for number in range(10_000):
        store.write(pay_one(f"job-{number}"))
        written += 1
except LedgerError as error:
    print(written, error, sep="\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.write(pay_one("last"))  # there is room again
"""


def test_a_full_disk_is_told_and_keeps_what_was_written(path: Path) -> None:
    number, *told = in_another_process(FULL, path).splitlines()
    assert "make room on the disk" in "".join(told)
    store = Store(path)
    assert proof(store) == []
    jobs = set(names(store))
    assert jobs == {"first", "last", *(f"job-{done}" for done in range(int(number)))}


def test_a_full_file_of_sqlite_is_told_and_keeps_what_was_written(path: Path) -> None:
    store = Store(path)
    store.write(pay_one("first"))
    assert store._connection is not None
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")

    def fill() -> None:
        for number in range(200):
            store.write(pay_one(f"job-{number}"))

    with pytest.raises(LedgerError, match="full") as caught:
        fill()
    assert "make room" in caught.value.hint
    assert proof(store) == []


def test_a_writer_that_never_ends_is_told(path: Path) -> None:
    paid(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store = Store(path, busy_s=0.01)
    with pytest.raises(LedgerError, match="locked") as caught:
        store.write(hold_one("new"))
    assert caught.value.retryable
    assert "another process" in caught.value.hint
    assert len(names(store)) == 3, "who reads waits for no writer"
    other.execute("ROLLBACK")
    other.close()
    store.write(hold_one("new"))


def test_a_file_that_is_deleted_under_way_is_told_before_anything_is_lost(path: Path) -> None:
    store = Store(path)
    store.write(hold_one("a"))
    path.unlink()
    with pytest.raises(LedgerError, match="moved or deleted"):
        store.write(hold_one("b"))
    store.write(hold_one("c"))
    store.close()
    assert names(Store(path)) == ["c"]


def test_one_refusal_leaves_the_others_of_a_commit(path: Path) -> None:
    store = Store(path)

    def broken(db: object) -> None:
        hold(db, "half")  # type: ignore[arg-type]
        raise RuntimeError("a fault of the program")

    works = [hold_one("a"), broken, lambda db: hold(db, "b", -1), lambda db: hold(db, "c", note=1)]
    first, fault, constraint, mistake = store.write_all(works)
    assert first is None
    assert isinstance(fault, RuntimeError)
    assert isinstance(constraint, LedgerError)
    assert isinstance(mistake, TypeError)
    assert names(store) == ["a"]
    assert proof(store) == []


def test_more_than_64_bits_are_refused_and_not_rounded() -> None:
    store, most = Store(None), 2**63 - 1
    store.write(lambda db: book.fund(db, micro(most), "all", now_ms=NOW_MS, live=True))
    with pytest.raises(LedgerError, match="would pass what the books can hold"):
        store.write(lambda db: book.fund(db, micro(most), "twice", now_ms=NOW_MS, live=True))
    assert store.write(lambda db: book.balance(db, book.WALLET)).micro_usd == most


def test_work_that_lost_the_whole_commit_is_an_error_of_all(path: Path) -> None:
    store = Store(path)

    def lost(db: Db) -> None:
        hold(db, "b")
        db.all("ROLLBACK")  # as SQLite does by itself where the disk fails
        raise ValueError("no room")

    with pytest.raises(ValueError, match="no room"):
        store.write_all([lambda db: hold(db, "a"), lost])
    assert names(store) == []
    store.write(hold_one("c"))
    assert names(store) == ["c"]


def test_what_another_process_has_made_meanwhile_is_not_made_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paid(path)
    version = store_module._version
    seen = iter([len(sql.MIGRATIONS), 0])  # by who looks for a newer one, and by who then comes second
    monkeypatch.setattr(store_module, "_version", lambda connection: next(seen, version(connection)))
    store = Store(path)
    store.write(hold_one("new"))
    assert len(names(store)) == 4
    assert proof(store) == []


def test_books_that_another_process_makes_between_two_looks_are_not_taken_for_foreign_ones(path: Path) -> None:
    class Slow:
        def __init__(self) -> None:
            path.parent.mkdir(parents=True)
            self.connection = sqlite3.connect(path, isolation_level=None)

        def execute(self, statement: str) -> list[tuple[object, ...]]:
            seen = Rows(self.connection.execute(statement).fetchall())
            if path.stat().st_size == 0:
                paid(path, 1)
            return seen

    class Rows(list[tuple[object, ...]]):
        def fetchone(self) -> tuple[object, ...] | None:
            return self[0] if self else None

    slow = Slow()
    store_module._stop_if_foreign(slow, path)  # type: ignore[arg-type] # only what it asks of a connection
    slow.connection.close()
    assert len(names(Store(path))) == 1


def test_a_schema_that_cannot_be_written_is_taken_back_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "TRIGGERS", "CREATE TRIGGER nonsense;\nEND")
    with pytest.raises(LedgerError, match="cannot be used"):
        Store(path).write(hold_one("a"))
    monkeypatch.undo()
    store = Store(path)
    store.write(hold_one("a"))
    assert proof(store) == []


def test_a_file_that_can_be_no_log_ahead_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stubborn:
        def execute(self, statement: str) -> None:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorname = "SQLITE_IOERR"
            raise error

    with pytest.raises(sqlite3.OperationalError, match="disk"):
        store_module._log_ahead(Stubborn())  # type: ignore[arg-type] # only what it asks of a connection
