"""What `pip install multivideo` really brings: read from a built wheel, and run with nothing else beside it."""

from __future__ import annotations

import email
import email.message
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from multivideo.sandbox import Emulator
from multivideo.sandbox.server import running

ROOT = Path(__file__).parents[2]
SIX = {"anyio", "attrs", "cattrs", "httpx", "platformdirs", "tenacity"}

SCRIPT = """
import asyncio, importlib.util, json, sys
import multivideo as mv

async def main(url):
    providers = [
        mv.OpenAIVideos(api_key="any", base_url=url + "/openai/v1"),
        mv.Kling(api_key="any", base_url=url + "/kling"),
        mv.Veo(project="demo", credentials=mv.BearerToken("any"), base_url=url + "/vertex"),
    ]
    async with mv.AsyncClient(providers=providers, home="home") as client:
        models = {"sora-2": 4, "kling-3.0": 3, "veo-3.1": 4}
        videos = [
            await client.generate("a lean fox", model=model, duration=seconds, poll_interval=0.05)
            for model, seconds in models.items()
        ]
    made = [[v.model, v.provider, v.width, v.height, v.path.exists(), v.check.how] for v in videos]
    extras = [name for name in ("av", "numpy", "PIL", "google") if importlib.util.find_spec(name)]
    print(json.dumps({"made": made, "extras": extras}))

asyncio.run(main(sys.argv[1]))
"""


def run(*command: str, **more: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr[-2000:]
    return str(done.stdout)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT))
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(archive.read(name))


def test_six_libraries_are_required_and_no_other(metadata: email.message.Message) -> None:
    required = [text for text in metadata.get_all("Requires-Dist", []) if "extra ==" not in text]
    assert {re.split(r"[^A-Za-z0-9_-]", text)[0] for text in required} == SIX
    assert len(required) == len(SIX)


def test_the_readme_and_the_oldest_python_are_told(metadata: email.message.Message) -> None:
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata.get_payload() == (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_types_go_along_and_the_tests_do_not(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "multivideo/py.typed" in names
    assert {name.partition("/")[0] for name in names if "dist-info" not in name} == {"multivideo"}


def test_the_bare_wheel_makes_videos_on_all_three_protocols(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", str(site)]
    run(*pip, str(wheel))
    with running(Emulator(latency=0)) as url:
        environment = {"PYTHONPATH": str(site), "PATH": os.environ["PATH"]}
        said = json.loads(run(sys.executable, "-S", "-c", SCRIPT, url, env=environment, cwd=tmp_path))
    assert said["extras"] == []  # no decoder is here, so the files are measured by their own headers
    assert said["made"] == [
        ["sora-2", "openai", 1280, 720, True, "headers"],
        ["kling-3.0", "kling", 1280, 720, True, "headers"],
        ["veo-3.1", "vertex", 1280, 720, True, "headers"],
    ]
