"""The public names: one list said in three ways, all of it loaded only when asked for."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import multivideo as mv

INIT = Path(mv.__file__)
SNAPSHOT = Path(__file__).parent / "surface.txt"
HEAVY = ["PIL", "anyio", "asyncio", "av", "cattrs", "google", "httpx", "numpy", "rich", "ssl", "tenacity", "trio"]


def names_for_types() -> dict[str, str]:
    """Name to module, as the TYPE_CHECKING block tells the type checkers."""
    tree = ast.parse(INIT.read_text(encoding="utf-8"))
    [block] = [node for node in tree.body if isinstance(node, ast.If) and isinstance(node.test, ast.Name)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name: node.module or "" for node in imports for alias in node.names}


def loaded_by(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after that code."""
    tail = "import sys, json; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    out = subprocess.run([sys.executable, "-c", f"{code}\n{tail}"], capture_output=True, text=True, check=True)
    return set(json.loads(out.stdout))


def test_what_loads_lazily_is_what_type_checkers_see() -> None:
    assert names_for_types() == mv._HOMES


def test_all_is_sorted_and_complete() -> None:
    assert mv.__all__ == sorted(mv.__all__)
    assert set(mv.__all__) == {*mv._HOMES, "__version__"}


@pytest.mark.parametrize("name", mv.__all__)
def test_every_public_name_is_there(name: str) -> None:
    value = getattr(mv, name)
    assert getattr(value, "__name__", name) == name
    assert name in dir(mv)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    name = "Sora"
    with pytest.raises(AttributeError, match="no attribute 'Sora'"):
        getattr(mv, name)


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert sorted(loaded_by("import multivideo").intersection(HEAVY)) == []
    assert "httpx" in loaded_by("import httpx")  # the reading itself works


def test_a_plan_needs_no_http_and_no_codecs() -> None:
    code = "import multivideo as mv\nmv.AsyncClient(providers=[mv.Kling(api_key='k')]).plan('a fox')"
    unwanted = {"PIL", "av", "google", "httpx", "numpy", "platformdirs", "rich", "tenacity", "trio"}
    assert sorted(loaded_by(code) & unwanted) == []


def test_no_public_name_goes_or_comes_unnoticed() -> None:
    """Adding one: add it to surface.txt. Removing one: it is deprecated for 12 months first."""
    assert mv.__all__ == SNAPSHOT.read_text(encoding="utf-8").splitlines()
