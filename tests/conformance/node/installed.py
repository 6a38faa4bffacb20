"""A pytest plugin: npm's packages, installed once for all tests into a folder that pytest throws away."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from node.clients import Scripts

HERE = Path(__file__).parent
# Nothing but the packages: no lock file, no scripts that come with them, and no questions to the index but theirs.
INSTALL = "npm install --no-audit --no-fund --no-package-lock --ignore-scripts --prefer-offline --loglevel=error"


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Scripts:
    """The scripts beside the packages in the versions that `package.json` names."""
    folder = tmp_path_factory.mktemp("node")
    for file in (HERE / "package.json", *HERE.glob("*.mjs")):
        shutil.copy(file, folder)
    subprocess.run(INSTALL.split(), cwd=folder, check=True)
    return Scripts(folder)
