"""The books on PostgreSQL, for the tests: a thin stand-in for the store."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

from multivideo.ledger import sql
from multivideo.ledger.store import Db, Row

__all__ = ["Postgres"]

T = TypeVar("T")
# PostgreSQL has no RAISE in a trigger of SQL alone; a release would take the rights to change and delete away as well.
GUARD = """
CREATE FUNCTION entries_stay() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'an entry is never changed or deleted'; END $$;
CREATE TRIGGER entries_stay BEFORE UPDATE OR DELETE ON entries FOR EACH ROW EXECUTE FUNCTION entries_stay();
"""
_NAME = re.compile(r"(?<![:\w]):(\w+)")


class _Postgres:
    """The statements of the books with parameters as its driver writes them."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def all(self, statement: str, /, **values: Any) -> list[Row]:
        cursor = self._connection.execute(_NAME.sub(r"%(\1)s", statement), values)
        return cursor.fetchall() if cursor.description else []

    def one(self, statement: str, /, **values: Any) -> Row | None:
        rows = self.all(statement, **values)
        return rows[0] if rows else None


class Postgres:
    """Books in a schema of their own: each piece of work whole or not at all, one after the other."""

    def __init__(self, uri: str, schema: str) -> None:
        self._connection = import_module("psycopg").connect(uri, autocommit=True)
        self.schema = schema
        self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        self._connection.execute(f"SET search_path TO {schema}")
        if not self._connection.execute("SELECT to_regclass('entries')").fetchone()[0]:
            self._make()

    def _make(self) -> None:
        with self._connection.transaction():
            for script in sql.MIGRATIONS:
                self._connection.execute(script)
            self._connection.execute(GUARD)
            _Postgres(self._connection).all(sql.KEEP_META, name="live", value="yes")

    def write(self, work: Callable[[Db], T]) -> T:
        """Do a piece of work, alone: the chain of the entries has one end."""
        with self._connection.transaction():
            self._connection.execute("SELECT pg_advisory_xact_lock(1)")
            return work(_Postgres(self._connection))

    def close(self) -> None:
        """Let go of it, and of what was written."""
        self._connection.execute(f"DROP SCHEMA {self.schema} CASCADE")
        self._connection.close()

    def leave(self) -> None:
        """Let go of it; what was written stays."""
        self._connection.close()
