"""The project's chores. `nox` alone runs lint, types and tests, in the environment that nox itself is installed in."""

from __future__ import annotations

import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.2"
nox.options.sessions = ["lint", "types", "tests"]

PYTHON = (sys.executable, "-m")
GEMINI = "test_gemini_client.py"  # its client and the newest one exclude each other
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
    """Every test but the vendors' own clients; arguments go to pytest: `nox -s tests -- -k floors`."""
    session.run(*PYTHON, "pytest", *session.posargs)


@nox.session
def conformance(session: nox.Session) -> None:
    """The emulator against the vendors' own Python clients, which nothing else of this project installs."""
    session.install(
        ".[sandbox,kling,webhooks]", "openai>=2.27,<3", "google-genai", "cryptography", "pytest>=9.0", "anyio", "trio"
    )
    session.install("mypy>=2.0")
    files = [str(path) for path in sorted(Path("tests/conformance").glob("*.py")) if path.name != GEMINI]
    session.run("pytest", "-p", "no:cacheprovider", *files, *session.posargs)
    session.run("mypy", *files)


@nox.session(name="conformance-gemini")
def conformance_gemini(session: nox.Session) -> None:
    """The emulator against the last of Google's Python clients that makes videos on the Gemini API."""
    session.install(".[sandbox,kling,webhooks]", "google-genai==2.34.0", "pytest>=9.0", "anyio", "trio", "mypy>=2.0")
    session.run("pytest", "-p", "no:cacheprovider", f"tests/conformance/{GEMINI}", *session.posargs)
    session.run("mypy", f"tests/conformance/{GEMINI}")


@nox.session(venv_backend="none")
def bench(session: nox.Session) -> None:
    """What it costs to import, to plan, to render and to wait for 2,000 jobs, as ratios within one run."""
    session.run(sys.executable, "bench/run.py", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The pages as a site, in `site/`."""
    session.install("zensical")
    session.run("zensical", "build", "--clean", *session.posargs)
