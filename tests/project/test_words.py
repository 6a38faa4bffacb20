"""The project speaks of itself: no file names a machine that it was written on."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOREIGN = {
    "a folder of somebody's machine": re.compile(r"(?<![\w.:/])/(?:home|root|work|Users)/[\w.-]"),
    "a host of a package index": re.compile(r"(?:pypi|pythonhosted|npmjs)\.(?:org|com)|registry\.npm"),
}
NOT_OURS = {"LICENSE"}


def files() -> list[Path]:
    """Every file that is or would be committed."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in listed if name and name not in NOT_OURS and (ROOT / name).is_file()]


def test_no_file_names_a_machine() -> None:
    found = []
    for file in files():
        if file == Path(__file__):
            continue
        text = file.read_bytes().decode("utf-8", "ignore")
        found += [f"{file.relative_to(ROOT)}: {what}" for what, pattern in FOREIGN.items() if pattern.search(text)]
    assert len(files()) > 100
    assert found == []


def test_the_patterns_find_what_they_are_for() -> None:
    examples = ["see /home/ann/notes", "https://pypi.org/simple"]
    assert [bool(p.search(text)) for p, text in zip(FOREIGN.values(), examples, strict=True)] == [True, True]
    assert not any(pattern.search("https://host.example/home/page and ../shop/file") for pattern in FOREIGN.values())
