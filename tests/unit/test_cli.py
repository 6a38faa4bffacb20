"""The command line: what it prints, where, and with which exit code."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

import multivideo as mv
from multivideo import cli, terminal
from multivideo.files.boxes import measure
from multivideo.sandbox import server

CLIP = ("--model", "veo-3.1-lite", "--duration", "4", "--sandbox")  # the smallest there is
Said = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def no_keys_and_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if re.match("KLING|GOOGLE_|GEMINI_|VERTEX_|OPENAI_|MULTIVIDEO_", name):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MULTIVIDEO_HOME", str(tmp_path / "home"))


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    def run(*words: str) -> tuple[int, str, str]:
        code = cli.main(words)
        out, err = capsys.readouterr()
        return code, out, err

    return run


# demo


def test_the_demo_makes_three_films_and_a_table(said: Said, tmp_path: Path) -> None:
    code, out, err = said("demo", "--out", str(tmp_path / "demo"), "--latency", "0")
    assert code == 0
    head, *rows = [re.split(r"\s{2,}", line) for line in out.splitlines()]
    assert head == ["model", "path", "charge", "time", "pixels", "seconds", "audio", "file"]
    assert [row[:3] for row in rows] == [
        ["sora-2", "openai", "80 credits (0.80 USD)"],
        ["kling-3.0", "kling", "100.8 credits (1.008 USD)"],
        ["veo-3.1", "vertex", "320 credits (3.20 USD)"],
    ]
    for model, _, _, _, pixels, seconds, audio, file in rows:
        film = measure(Path(file))
        assert Path(file) == tmp_path / "demo" / f"{model}.mp4"
        assert (pixels, audio) == (f"{film.width}x{film.height}", "yes") == ("1280x720", "yes")
        assert seconds == f"{film.duration:.2f}"
        told = [line for line in err.splitlines() if line.startswith(model)]
        assert 3 <= len(told) <= 6
        assert re.search(r" planned at \w+: 8 s 1280x720 \d\d fps with audio", told[0])
        assert told[1].endswith("submitted")
        assert told[-1].endswith(file)


def test_the_demo_asks_each_model_for_what_it_makes_next_to_the_wish(
    said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "DEMO_SECONDS", 1)
    code, out, err = said("demo", "--out", str(tmp_path), "--latency", "0", "--json", "--prompt", "a fox")
    made = json.loads(out)["videos"]
    assert (code, err) == (0, "")
    assert [(film["model"], round(film["duration"])) for film in made] == [
        ("sora-2", 4),
        ("kling-3.0", 3),
        ("veo-3.1", 4),
    ]
    assert made[0]["charge"] == {"usd": "0.4", "micro_usd": 400_000}


def test_a_demo_that_cannot_write_says_so_for_each_model_and_fails(said: Said, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, out, err = said("demo", "--out", str(tmp_path / "file" / "demo"), "--latency", "0")
    assert (code, out) == (2, "")
    assert err.count("\nInvalidRequest: save_to cannot be") == 1
    assert all(f"{name:<9}  InvalidRequest" in err for name in ("sora-2", "kling-3.0", "veo-3.1"))
    assert "  allowed: a file or a folder that can be written\n" in err


# generate


def test_generate_makes_a_file_and_says_what_it_is(said: Said, tmp_path: Path) -> None:
    target = tmp_path / "fox.mp4"
    code, out, err = said("generate", "a fox in snow", *CLIP, "--save-to", str(target))
    assert (code, out) == (0, f"4.0 s 1280x720 24 fps with audio  20 credits (0.20 USD)  {target}\n")
    assert measure(target).frames == 96
    assert [line.split("  ")[1].partition(" ")[0] for line in err.splitlines()][:2] == ["planned", "submitted"]


def test_generate_gives_one_json_object_and_no_progress(said: Said, tmp_path: Path) -> None:
    words = ("--audio", "--tag", "project=coast", "--tag", "by=me", "--budget", "0.40", "--strict", "--count", "2")
    code, out, err = said("generate", "a fox in snow", *CLIP, *words, "--json", "--save-to", f"{tmp_path}/clips/")
    film = json.loads(out)
    assert (code, err) == (0, "")
    assert film["tags"] == {"project": "coast", "by": "me"}
    assert film["charge"] == {"usd": "0.4", "micro_usd": 400_000}
    assert [Path(take).parent for take in film["takes"]] == [tmp_path / "clips"] * 2


def test_a_budget_in_dollars_stops_what_costs_more(said: Said) -> None:
    code, _, err = said("generate", "a fox in snow", *CLIP, "--budget", "0.19")
    assert code == 2
    assert err.startswith("BudgetExceeded: ")


def test_a_length_that_veo_cannot_make_is_refused_in_lines(said: Said) -> None:
    code, out, err = said("generate", "a fox in snow", "--model", "veo-3.1", "--duration", "7", "--sandbox")
    assert (code, out) == (2, "")
    what, asked, allowed, further, charged = err.splitlines()[:5]
    assert what == "UnsupportedFeature: veo-3.1 cannot make a 7 s clip."
    assert asked.startswith("  asked:   duration=7")
    assert allowed.startswith("  allowed: 4, 6 or 8 s at 720p; 8 s at 1080p and 4k (Vertex AI model card, read ")
    assert re.match("  next:    .*duration", further)
    assert charged == "  charged: no, nothing was sent"


def test_errors_are_one_json_object_on_standard_error_where_that_is_asked_for(said: Said) -> None:
    code, out, err = said("generate", "a fox", "--model", "veo-3.1", "--duration", "7", "--sandbox", "--json")
    told = json.loads(err)
    assert (code, out) == (2, "")
    assert (told["error"], told["field"], told["charged"], told["jobs"]) == ("UnsupportedFeature", "duration", "no", [])


def test_without_any_key_the_variables_and_the_sandbox_are_named(said: Said) -> None:
    code, _, err = said("generate", "a fox in snow")
    assert code == 2
    assert err.startswith("NoProviderConfigured: No provider is configured.\n")
    for name in ("KLING_API_KEY", "GOOGLE_CLOUD_PROJECT", "OPENAI_API_KEY", "sandbox"):
        assert name in err


def test_a_model_that_is_not_known_gets_the_nearest_name(said: Said) -> None:
    code, _, err = said("generate", "a fox in snow", "--model", "kling-3", "--sandbox")
    assert code == 2
    assert err.startswith("InvalidRequest: There is no model 'kling-3'.\n  asked:   model=\"kling-3\"\n")
    assert '  next:    model="kling-3.0' in err


def test_a_folder_that_cannot_be_written_is_found_before_anything_is_paid(said: Said, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, _, err = said("generate", "a fox", *CLIP, "--save-to", str(tmp_path / "file" / "fox.mp4"))
    assert code == 2
    assert "  allowed: a file or a folder that can be written\n" in err
    assert "  charged: no" in err


def test_vendor_options_are_read_as_json_or_as_plain_text(monkeypatch: pytest.MonkeyPatch, said: Said) -> None:
    asked: list[Any] = []

    def plan(self: mv.Client, prompt: str, **spec: Any) -> mv.Plan:
        asked.append(spec["options"])
        raise mv.InvalidRequest("enough")

    monkeypatch.setattr(mv.Client, "plan", plan)
    url, words = "https://example.com/hook", ("--option", "kling.n=2", "--option", "veo.enhance=false")
    said("plan", "a fox", "--sandbox", "--option", f"kling.callback_url={url}", *words)
    assert asked == [{"kling": {"callback_url": url, "n": 2}, "veo": {"enhance": False}}]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--budget", "much"), "Argument --budget: 'much' is no amount of US dollars such as 2.50."),
        (("--tag", "coast"), "Argument --tag: 'coast' is not NAME=VALUE."),
        (("--option", "kling=1"), "Argument --option: 'kling=1' is not VENDOR.NAME=JSON."),
        (("--duration", "long"), "Argument --duration: invalid float value: 'long'."),
        (("--dur", "8"), "Unrecognized arguments: --dur 8."),
        (("--aspect-ratio", "2:1"), 'aspect_ratio cannot be "2:1".'),
    ],
)
def test_what_cannot_be_parsed_is_told_like_every_other_error(said: Said, words: tuple[str, ...], what: str) -> None:
    code, out, err = said("generate", "a fox", "--sandbox", *words)
    assert (code, out) == (2, "")
    assert err.splitlines()[0] == f"InvalidRequest: {what}"


def test_no_command_at_all_points_to_the_help(said: Said) -> None:
    assert said() == (
        2,
        "",
        "InvalidRequest: The following arguments are required: COMMAND.\n"
        "  next:    multivideo --help\n  charged: no, nothing was sent\n",
    )


@pytest.fixture
def ctrl_c_after_the_submit(monkeypatch: pytest.MonkeyPatch) -> None:
    async def on_event(self: terminal.Row, event: mv.Event) -> None:
        if isinstance(event, mv.Submitted):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            await anyio.sleep_forever()

    monkeypatch.setattr(terminal.Row, "on_event", on_event)


@pytest.mark.usefixtures("ctrl_c_after_the_submit")
def test_ctrl_c_names_the_job_that_was_accepted_and_how_to_go_on(said: Said) -> None:
    code, out, err = said("generate", "a fox", *CLIP)
    first, second, reference = err.splitlines()
    assert (code, out, first) == (130, "", "Interrupted.")
    job = mv.JobRef.from_json(reference)
    assert second.startswith(f"Job {job.job_id} was accepted; client.resume() goes on with it")
    assert job.attempts[0].vendor.provider == "vertex"


@pytest.mark.usefixtures("ctrl_c_after_the_submit")
def test_ctrl_c_names_the_job_in_json_too(said: Said) -> None:
    code, _, err = said("generate", "a fox", *CLIP, "--json")
    told = json.loads(err)
    assert (code, told["error"]) == (130, "KeyboardInterrupt")
    assert mv.JobRef.from_json(json.dumps(told["jobs"][0])).attempts


@pytest.mark.usefixtures("deadline_after_the_submit")
def test_a_missed_deadline_names_the_job_too(said: Said) -> None:
    code, _, err = said("generate", "a fox", *CLIP, "--deadline", "0.0001")
    assert code == 1
    assert err.splitlines()[-2].startswith("Job mv-")
    assert mv.JobRef.from_json(err.splitlines()[-1]).attempts


# plan, models, sandbox


def test_plan_prints_the_plan(said: Said) -> None:
    code, out, err = said("plan", "a fox in snow", "--model", "veo-3.1", "--duration", "8", "--sandbox")
    assert (code, err) == (0, "")
    assert "route   veo-3.1 at vertex, 8 s, 1280x720, 24 fps, with sound\n" in out


def test_plan_works_without_any_key_and_says_what_is_missing(said: Said) -> None:
    code, out, _ = said("plan", "a fox in snow", "--as-of", "2026-08-01")
    assert code == 0
    assert "planned as of 2026-08-01" in out
    assert "route   none" in out
    assert "no key: set KLING_API_KEY" in out


def test_plan_as_json_has_every_candidate_and_every_reason(said: Said) -> None:
    words = ("--duration", "8", "--resolution", "720p", "--sandbox", "--json", "--as-of", "2026-11-01")
    code, out, _ = said("plan", "a fox in snow", *words)
    plan = json.loads(out)
    assert (code, plan["as_of"]) == (0, "2026-11-01")
    first = plan["candidates"][0]
    assert (first["model"], first["provider"]) == (plan["model"], plan["provider"])
    assert first["quote"]["amount"]["micro_usd"] > 0
    gone = next(row for row in plan["rejected"] if row["model"] == "sora-2")
    assert any("retired 2026-09-24" in reason["allowed"] for reason in gone["reasons"])
    assert "fox" not in out


def test_models_lists_every_model_on_every_path(said: Said) -> None:
    code, out, _ = said("models")
    paths = mv.Catalog.default().models()
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["model@path", *(path.name for path in paths)]
    sora = next(line for line in out.splitlines() if line.startswith("sora-2@openai"))
    assert re.split(r"\s{2,}", sora)[2:5] == ["4, 8, 12", "720p", "0.1 USD a second"]


def test_models_as_json_says_the_same(said: Said) -> None:
    rows = json.loads(said("models", "--json")[1])["models"]
    kling = next(row for row in rows if row["name"] == "kling-3.0@kling")
    assert (kling["seconds"], kling["resolutions"]) == ("3-15", "720p, 1080p, 4k")
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", row["read"]) for row in rows)


def test_a_model_is_served_until_its_last_day() -> None:
    catalog = mv.Catalog.default()
    states = {}
    for day in ("2026-09-23", "2026-09-24"):
        rows = terminal.models_json(catalog.on(dt.date.fromisoformat(day)))
        states[day] = next(row["state"] for row in rows if row["name"] == "sora-2@openai")
    assert states == {"2026-09-23": "served until 2026-09-24", "2026-09-24": "retired 2026-09-24"}


def test_models_has_the_scorecard_and_the_ways_in(said: Said) -> None:
    _, card, _ = said("models", "--scorecard")
    assert card.splitlines()[0].split() == ["stars,", "1", "to", "5", "sora-2", "kling-3.0", "veo-3.1"]
    assert json.loads(said("models", "--scorecard", "--json")[1])["scorecard"] == mv.Catalog.default().scorecard()
    _, ways, _ = said("models", "--access")
    assert "veo-3.1@vertex\n  entry    " in ways
    found = json.loads(said("models", "--access", "--json")[1])["access"]
    assert len(found) == len(mv.Catalog.default().access())


def test_sandbox_hands_its_options_to_the_server(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def run(*given: Any, post_callbacks: bool, webhook_secret: str | None) -> int:
        asked.append((*given, post_callbacks, webhook_secret))
        return 0

    monkeypatch.setattr(server, "run", run)
    assert said("sandbox", "--port", "0", "--latency", "1.5", "--file-uris", "self", "--json")[0] == 0
    assert said("sandbox", "--post-callbacks", "--webhook-secret", "whsec_c2VjcmV0")[0] == 0
    assert asked == [(0, 1.5, "self", True, False, None), (8090, None, "upstream", False, True, "whsec_c2VjcmV0")]
    assert "'99999' is no port from 0 to 65535" in said("sandbox", "--port", "99999")[2]


# around it all


def test_version_is_told() -> None:
    done = subprocess.run([sys.executable, "-m", "multivideo", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"multivideo {mv.__version__}\n"


def test_a_closed_pipe_ends_it_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "multivideo", "models"]
    with os.fdopen(writer) as nobody_reads:
        done = subprocess.run(command, stdout=nobody_reads, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(
    "words", [("demo",), ("sandbox", "--port", "0"), ("generate", "a fox", "--sandbox"), ("plan", "a fox", "--sandbox")]
)
def test_where_the_extra_is_missing_its_name_is_told(
    words: tuple[str, ...], said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("multivideo.sandbox", "multivideo.sandbox.server"):
        monkeypatch.setitem(sys.modules, name, None)
    code, out, err = said(*words)
    assert (code, out) == (2, "")
    assert err.startswith("UnsupportedFeature: The ")
    assert "  next:    pip install 'multivideo[sandbox]'\n" in err


def test_a_bare_install_is_told_which_library_is_missing() -> None:
    script = "import sys; sys.modules['av'] = None; from multivideo.cli import main; sys.exit(main(['demo']))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("UnsupportedFeature: The embedded emulator needs av, which is not installed.\n")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def look(percent: int | None, *, state: str = "running", eta_s: float | None = 100.0) -> mv.Progress:
    more: Any = {"state": state, "word": state, "percent": percent, "eta_s": eta_s}
    return mv.Progress(sequence=1, job_id="mv-1", at=0.0, elapsed_s=20.0, **more)


def test_on_a_terminal_the_lines_of_all_jobs_change_in_place() -> None:
    out = Terminal()
    board = terminal.Board(out, expected_s=32.0)
    one, two = board.row("one"), board.row("two")
    one.on_event(look(62))
    two.on_event(look(None, state="pending"))
    drawn = "\r\x1b[2Kone  running 62 % (about 0:12 left)\n"
    assert out.getvalue() == f"{drawn}\r\x1b[2Ktwo\n\x1b[2A{drawn}\r\x1b[2Ktwo  queued\n"


def test_elsewhere_a_line_comes_only_with_a_new_state() -> None:
    out = io.StringIO()
    row = terminal.Board(out).row("one")
    for percent in (1, 2, 3):
        row.on_event(look(percent))
    row.on_event(look(100, state="succeeded"))
    row.end("there")
    assert out.getvalue() == "one  running 1 % (about 1:40 left)\none  made, fetching the file\none  there\n"
