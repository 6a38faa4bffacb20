"""The books as users name them."""

from __future__ import annotations

from pathlib import Path

import pytest

import multivideo as mv
from books import hold_one
from multivideo.ledger.ledger import print_of, store_of
from multivideo.ledger.store import Store


def test_a_ledger_says_where_it_is_and_makes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    ledger = mv.Ledger("~/team.db")
    assert ledger.path == tmp_path / "team.db"
    assert repr(ledger) == f"Ledger({str(tmp_path / 'team.db')!r})"
    assert store_of(ledger).path == ledger.path
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_in_memory_says_so() -> None:
    ledger = mv.MemoryLedger()
    assert (ledger.path, repr(ledger)) == (None, "MemoryLedger()")


def test_a_print_is_the_same_in_the_same_books_alone(tmp_path: Path) -> None:
    one, two = Store(tmp_path / "one.db"), Store(tmp_path / "two.db")
    printed = [store.write(lambda db: print_of(db, "a boat")) for store in (one, one, two)]
    assert printed[0] == printed[1] != printed[2]
    assert "boat" not in printed[0]


def test_books_without_their_key_are_told() -> None:
    store = Store(None)
    store.write(hold_one("a"))
    store.write(lambda db: db.all("DELETE FROM meta WHERE name = 'key'"))
    with pytest.raises(mv.LedgerError, match="lost its key"):
        store.write(lambda db: print_of(db, "a boat"))
