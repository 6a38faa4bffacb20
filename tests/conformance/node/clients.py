"""Asks the scripts of this folder, each of which makes one call with one of npm's clients; measures their files."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
from attrs import frozen


@frozen
class Scripts:
    """The scripts, copied to where their packages are."""

    folder: Path

    def ask(self, script: str, question: Mapping[str, object]) -> dict[str, Any]:
        """What the script answers; `{"error": ...}` when its client gave up."""
        ran = subprocess.run(
            ["node", script],
            cwd=self.folder,
            input=json.dumps(question),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        told: dict[str, Any] = json.loads(ran.stdout)
        return told


def measure(file: Path) -> tuple[int, int, float, float, bool]:
    """Width, height, seconds, frame rate and whether there is sound."""
    with av.open(str(file), "r") as container:
        video = container.streams.video[0]
        frames = sum(1 for _ in container.decode(video))
        rate = float(video.average_rate or 0)
        return video.width, video.height, frames / rate, rate, bool(container.streams.audio)
