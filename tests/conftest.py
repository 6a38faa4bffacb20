"""What every test may ask for."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

pytest_plugins = ["recordings", "scenes"]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every async test runs on both event loops."""
    return str(request.param)


@pytest.fixture(scope="session", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test keeps its books in the home of whoever runs it."""
    before = os.environ.get("MULTIVIDEO_HOME")
    os.environ["MULTIVIDEO_HOME"] = str(tmp_path_factory.mktemp("nobody"))
    yield
    if before is None:
        del os.environ["MULTIVIDEO_HOME"]
    else:
        os.environ["MULTIVIDEO_HOME"] = before
