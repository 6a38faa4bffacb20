"""What every test may ask for."""

from __future__ import annotations

import pytest

pytest_plugins = ["recordings", "scenes"]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every async test runs on both event loops."""
    return str(request.param)
