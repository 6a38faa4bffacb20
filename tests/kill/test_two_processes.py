"""Two processes of fifty tasks each on one budget and one wallet: not a micro-USD too much, at no moment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from books import AT, NOW_MS, micro, proof
from multivideo.ledger import book, sql
from multivideo.ledger.records import OPEN, Budget
from multivideo.ledger.store import Db, Store

HERE = Path(__file__).parent
ROUNDS = int(os.environ.get("MULTIVIDEO_ROUNDS", "6"))
BUDGET, FUNDS = 150 * ROUNDS, 160 * ROUNDS


def set_up(db: Db) -> None:
    book.fund(db, micro(FUNDS), "all there is", **AT)
    book.add_budget(db, Budget(id="all", amount=micro(BUDGET)), now_ms=NOW_MS)


def run_both(path: Path) -> dict[str, int]:
    """What both processes saw, added up."""
    paths = [str(HERE.parent), *filter(None, sys.path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, str(HERE / "crowd_child.py"), str(path)]
    processes = [
        subprocess.Popen(
            [*command, name, str(ROUNDS), backend], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        for name, backend in (("first", "asyncio"), ("second", "trio"))
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    seen: dict[str, int] = {}
    for process in processes:
        said, _ = process.communicate()
        assert process.returncode == 0
        for word in said.decode().split():
            what, _, count = word.partition("=")
            seen[what] = seen.get(what, 0) + int(count)
    return seen


def test_two_processes_of_fifty_tasks_never_overspend(tmp_path: Path) -> None:
    store = Store(tmp_path / "ledger.db")
    store.write(set_up)
    seen = run_both(store.path or tmp_path)
    assert sum(seen.values()) == 2 * 50 * ROUNDS
    assert seen["held"] > 0
    assert seen["BudgetExceeded"] > 0
    assert proof(store) == []
    wallet = used = 0
    charged = {"hold": 1, "release": -1, "void": -1}
    for entry in store.write(lambda db: list(map(book.entry_of, db.all("SELECT * FROM entries ORDER BY number")))):
        amount = entry.amount.micro_usd
        wallet += amount * ((entry.debit == book.WALLET) - (entry.credit == book.WALLET))
        used += amount * charged.get(entry.kind, 0)
        assert 0 <= wallet <= FUNDS, f"entry {entry.number}"
        assert 0 <= used <= BUDGET, f"entry {entry.number}"
    attempts = store.write(lambda db: db.all(f"SELECT {sql.ATTEMPT_COLUMNS} FROM attempts"))
    assert len(attempts) == seen["held"]
    assert not any(book.attempt_of(row).state in OPEN for row in attempts)
    print(f"{seen}, {used} of {BUDGET} micro-USD used, overspent 0")
