"""Every Python example of the README and the pages runs as it stands, and prints what the page says it prints."""

from __future__ import annotations

import doctest
import io
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser

ROOT = Path(__file__).parents[2]
NAMES = ("tutorial", "options", "results", "credits", "webhooks", "configuration", "errors")
PAGES = ["README.md", *(f"docs/{name}.md" for name in NAMES)]
KEYS = ("KLING", "KLINGAI", "GOOGLE", "GEMINI", "VERTEX", "OPENAI", "MULTIVIDEO")
FORGIVING = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def run_python(example: Example) -> None:
    """Run a block in the page's own namespace and keep what it printed for the block that follows."""
    printed = io.StringIO()
    code = compile("\n" * (example.line + example.parsed.line_offset) + example.parsed, example.path, "exec")
    with redirect_stdout(printed):
        exec(code, example.namespace)
    example.namespace["printed"] = printed.getvalue()


def check_text(example: Example) -> None:
    """What the page says was printed, "..." standing for what may differ or was left out."""
    got, want = example.namespace.pop("printed"), example.parsed
    assert doctest.OutputChecker().check_output(want, got, FORGIVING), f"the page says\n{want}\nand it prints\n{got}"


SYBIL = Sybil(parsers=[CodeBlockParser("python", run_python), CodeBlockParser("text", check_text)])


@pytest.fixture(autouse=True)
def newcomer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder and no keys."""
    import os

    for name in os.environ:
        if name.partition("_")[0] in KEYS:
            monkeypatch.delenv(name)
    monkeypatch.setenv("MULTIVIDEO_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", PAGES)
def test_examples_run_and_print_what_the_page_says(page: str) -> None:
    examples = list(SYBIL.parse(ROOT / page).examples())
    for example in examples:
        example.evaluate()
    assert examples, "a page in this list has examples"


def test_the_first_example_of_the_emulator_runs_without_a_vendors_client() -> None:
    example, printed, *_ = SYBIL.parse(ROOT / "docs" / "sandbox.md").examples()
    example.evaluate()
    printed.evaluate()
    assert "printed" not in example.namespace, "what it printed was compared"
