"""The account of a machine that does anything in any order: in memory and in a file, the same as its model."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis.stateful import rule

from ledger_machine import LedgerMachine, examples
from multivideo.ledger.store import Store


class InMemory(LedgerMachine):
    def open(self) -> Store:
        return Store(None)


class InFile(LedgerMachine):
    def open(self) -> Store:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "ledger.db"
        return Store(self.path)

    @rule()
    def come_back_later(self) -> None:
        """Closed and opened again, as by another process."""
        self.books.close()
        self.books = Store(self.path)
        assert self.dump() == self.dumped

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "folder"):
            self.folder.cleanup()


TestInMemory = InMemory.TestCase
TestInMemory.settings = examples(250)
TestInFile = InFile.TestCase
TestInFile.settings = examples(60)
