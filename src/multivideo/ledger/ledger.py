"""The books of one credit account, as users name them: a file of their own, or memory."""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

from ..errors import InvalidRequest, LedgerError, Problem
from ..values.media import with_article
from . import sql
from .store import Db, Store

__all__ = ["Ledger", "MemoryLedger"]


class Ledger:
    """The books in one SQLite file: `AsyncClient(ledger=Ledger("team.db"))`.

    The file is made at the first paid call, readable by its owner alone. Several processes of one host may share it;
    a network file system will not do. It holds no prompt and no key of a vendor.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if not isinstance(path, str | os.PathLike):
            asked = with_article(type(path).__name__)
            raise InvalidRequest.of(
                [Problem("path", asked, "a path of a file, as str or Path; MemoryLedger() has none")]
            )
        self._store = Store(Path(path).expanduser())

    @property
    def path(self) -> Path | None:
        """The file; None: in memory."""
        return self._store.path

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"


class MemoryLedger(Ledger):
    """Books that are gone when the program ends: for tests, and where nothing may be written to disk.

    A job that is paid is then lost if the program dies, unless `job.ref.to_json()` was stored.
    """

    def __init__(self) -> None:
        self._store = Store(None)

    def __repr__(self) -> str:
        return "MemoryLedger()"


def store_of(ledger: Ledger) -> Store:
    """Where its books lie."""
    return ledger._store


def print_of(db: Db, text: str) -> str:
    """A keyed hash: the same text has the same print in these books, and nobody without them can tell the text."""
    row = db.one(sql.META, name="key")
    if row is None:
        raise LedgerError("The ledger has lost its key.", hint="restore a backup of the file")
    return hmac.new(bytes.fromhex(row[0]), text.encode(), hashlib.sha256).hexdigest()
