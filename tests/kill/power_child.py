"""Pays for jobs and writes down each commit that was acknowledged; run under power.c.

Arguments: the folder, how many jobs, how SQLite is to be synchronous, after how many pages it writes its log back.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from books import AT, NOW_MS, hold, micro
from multivideo.ledger import book
from multivideo.ledger.records import AttemptState
from multivideo.ledger.store import Store, Work


def steps(name: str) -> dict[str, Work[None]]:
    """The four commits of a paid submit."""
    return {
        "prepared": lambda db: hold(db, name),
        "sending": lambda db: book.sending(db, name, now_ms=NOW_MS),
        "accepted": lambda db: book.accept(db, name, f"vendor's {name}", now_ms=NOW_MS),
        "succeeded": lambda db: book.end(db, name, AttemptState.SUCCEEDED, micro(90), "reported", **AT),
    }


def main(folder: Path, jobs: int, synchronous: str, pages: int) -> None:
    store, said = Store(folder / "ledger.db"), os.open(folder / "said", os.O_WRONLY | os.O_CREAT)
    for number in range(jobs):
        for state, work in steps(f"job-{number}").items():
            store.write(work)
            os.write(said, f"job-{number} {state}\n".encode())
            assert store._connection is not None
            if synchronous != "as ever":
                store._connection.execute(f"PRAGMA synchronous = {synchronous}")
            store._connection.execute(f"PRAGMA wal_autocheckpoint = {pages}")
        if number % 5 == 4:
            store.close()  # the log is written back and taken away


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
