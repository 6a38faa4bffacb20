"""The two commands and the terminal examples of the README are true; links and names in the pages lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import multivideo as mv
from multivideo import errors
from multivideo.cli import main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?://)([^)#\s]+)")


def shell_lines(text: str) -> list[str]:
    """Every line of the sh and console blocks, without prompts, comments and what was printed."""
    found: list[str] = []
    for kind, block in re.findall(r"^```(sh|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        lines = block.splitlines()
        found += lines if kind == "sh" else [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return found


def multivideo_calls(text: str) -> list[list[str]]:
    """The arguments of every `multivideo ...` in those lines."""
    parts = [part.strip() for line in shell_lines(text) for part in line.split("&&")]
    words = [shlex.split(part, comments=True) for part in parts]
    return [word[1:] for word in words if word and Path(word[0]).name == "multivideo"]


def test_ci_runs_the_second_command_word_for_word() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert script[-1] in shell_lines(README)
    assert script[-1].endswith("nox")
    assert script[-1] in shell_lines((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("arguments", multivideo_calls(README), ids=" ".join)
def test_the_command_line_does_what_the_readme_types(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if arguments[0] == "sandbox":  # serves for ever: only its options are read
        with pytest.raises(SystemExit, match="0"):
            main([*arguments, "--help"])
        return
    hurry = ["--latency", "0"] if arguments[0] == "demo" else []
    assert main([*arguments, *hurry]) == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_page_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [str(page.relative_to(ROOT / "docs")) for page in PAGES if page.is_relative_to(ROOT / "docs")]
    assert [page for page in pages if f": {page}\n" not in menu] == []


def test_the_page_of_errors_names_every_error() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    everything = [getattr(errors, name) for name in errors.__all__]
    kinds = {kind.__name__ for kind in everything if isinstance(kind, type) and issubclass(kind, Exception)}
    assert kinds - set(re.findall(r"`(?:mv\.)?(\w+)`", page)) == set()


def test_the_page_of_options_names_every_option_and_no_other() -> None:
    page = (ROOT / "docs" / "options.md").read_text(encoding="utf-8")
    tables = page.partition("## All of them")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", tables, re.MULTILINE)) == sorted(mv.VideoSpec.__annotations__)
    documented = re.findall(r"^        (\w+): ", mv.VideoSpec.__doc__ or "", re.MULTILINE)
    assert documented == list(mv.VideoSpec.__annotations__)


def test_pages_use_only_names_that_are_there() -> None:
    used = {name for page in PAGES for name in re.findall(r"\bmv\.([A-Za-z_]+)", page.read_text(encoding="utf-8"))}
    assert used - set(mv.__all__) == set()


def test_the_page_of_the_house_names_every_room() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    files = {file.name for file in (ROOT / "src" / "multivideo").rglob("*.py") if "sandbox" not in file.parts}
    assert files - {"__init__.py", "__main__.py", "_version.py"} - set(re.findall(r"[a-z_]+\.py", page)) == set()
