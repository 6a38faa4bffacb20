"""Commands with `--sandbox` that are killed: the next command finds the job in the books, and at its pretend vendor."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve

from multivideo.files.boxes import measure
from multivideo.sandbox import Emulator

# The process kills itself where it is told: what comes then does not depend on how fast anything is.
AFTER_THE_SUBMIT = """
import os, signal, sys
from multivideo import Submitted, cli, terminal

def on_event(self, event):
    if isinstance(event, Submitted):
        os.kill(os.getpid(), signal.SIGKILL)

terminal.Row.on_event = on_event
sys.exit(cli.main())
"""
BEFORE_THE_ANSWER = """
import os, signal, sys
from multivideo import cli
from multivideo.sandbox.archive import Archive

add = Archive.add

def added(self, job):
    add(self, job)
    os.kill(os.getpid(), signal.SIGKILL)

Archive.add = added
sys.exit(cli.main())
"""
MODELS = {"openai": "sora-2", "kling": "kling-3.0", "vertex": "veo-3.1-lite"}
SECONDS = {"openai": 4, "kling": 3, "vertex": 4}


@define
class Commands:
    """The command line, a process for each command, in one home."""

    folder: Path
    environment: Mapping[str, str]

    def start(self, *words: str, script: str = "") -> subprocess.Popen[str]:
        how = ["-c", script] if script else ["-m", "multivideo"]
        return subprocess.Popen(
            [sys.executable, *how, *words],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, script: str = "") -> tuple[int, str, str]:
        with self.start(*words, script=script) as process:
            out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def told(self, *words: str) -> Any:
        code, out, err = self.run(*words, "--sandbox", "--json")
        assert code == 0, err
        return json.loads(out)

    def generate(self, vendor: str, *words: str, script: str = "") -> tuple[int, str, str]:
        wish = ("--model", MODELS[vendor], "--duration", str(SECONDS[vendor]), "--save-to", "clips/fox.mp4")
        return self.run("generate", "a fox in snow", *wish, "--sandbox", *words, script=script)


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    foreign = re.compile("KLING|GOOGLE_|GEMINI_|VERTEX_|OPENAI_|MULTIVIDEO_")
    environment = {name: value for name, value in os.environ.items() if not foreign.match(name)}
    return Commands(tmp_path, {**environment, "MULTIVIDEO_HOME": str(tmp_path / "home")})


@pytest.mark.parametrize("vendor", MODELS)
def test_recover_finishes_what_a_killed_generate_has_ordered(vendor: str, commands: Commands) -> None:
    code, out, _ = commands.generate(vendor, "--latency", "0.1", script=AFTER_THE_SUBMIT)
    assert (code, out) == (-signal.SIGKILL, "")
    [job] = commands.told("jobs")["jobs"]
    assert job["state"] == "open"
    film = commands.folder / "clips" / "fox.mp4"
    assert not film.exists()
    [video] = commands.told("recover")["videos"]
    assert Path(video["path"]) == film
    assert measure(film).duration == pytest.approx(SECONDS[vendor], abs=0.1)
    account = commands.told("credits")
    assert (account["spent"], account["held"]["micro_usd"]) == (video["charge"], 0)
    assert commands.told("credits", "verify")["agree"] is True


@pytest.mark.parametrize("vendor", ["openai", "kling"])  # those that can be asked for a job without its id
def test_a_job_whose_answer_was_never_read_is_found_at_its_vendor(vendor: str, commands: Commands) -> None:
    code, _, _ = commands.generate(vendor, "--latency", "0", script=BEFORE_THE_ANSWER)
    assert code == -signal.SIGKILL
    [video] = commands.told("recover")["videos"]
    assert Path(video["path"]).is_file()
    assert commands.told("credits", "verify")["agree"] is True


def test_two_commands_at_once_keep_their_jobs_apart(commands: Commands) -> None:
    by_environment = evolve(commands, environment={**commands.environment, "MULTIVIDEO_SANDBOX": "1"})
    both = [
        by_environment.start("generate", prompt, "--model", "veo-3.1-lite", "--duration", "4", "--save-to", name)
        for prompt, name in (("a fox", "fox.mp4"), ("a hare", "hare.mp4"))
    ]
    ends = [(process.communicate(timeout=120), process.returncode) for process in both]
    assert [code for _, code in ends] == [0, 0], ends
    jobs = Emulator()
    jobs.keep_in(commands.folder / "home" / "sandbox" / "emulator.sqlite")
    assert len({job.id for job in jobs.jobs(door="vertex")}) == 2
    jobs.close()
    assert (commands.folder / "fox.mp4").read_bytes() != (commands.folder / "hare.mp4").read_bytes()
    assert commands.told("credits", "verify")["agree"] is True


def test_a_killed_demo_is_finished_too(commands: Commands) -> None:
    assert commands.run("demo", "--latency", "0", script=AFTER_THE_SUBMIT)[0] == -signal.SIGKILL
    _, out, _ = commands.run("recover", "--sandbox", "--json")  # the others may have been killed before their answer
    videos = json.loads(out)["videos"]
    assert len(videos) >= 1
    assert {Path(video["path"]).parent for video in videos} == {commands.folder / "demo"}


def test_a_latency_is_for_pretend_jobs_alone(commands: Commands) -> None:
    code, out, err = commands.run("generate", "a fox", "--latency", "3")
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "InvalidRequest: --latency is of a pretend job.",
        "  next:    --sandbox",
        "  charged: no, nothing was sent",
    ]
