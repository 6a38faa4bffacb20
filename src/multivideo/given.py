"""What a client is given, looked at before anything is done with it: every fault is told at once, by its name."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

from .catalog.book import Catalog
from .errors import InvalidRequest, Problem
from .values.fields import READERS, Wrong
from .values.media import with_article

__all__ = [
    "bad_emulator",
    "bad_latency",
    "check_seconds",
    "check_settings",
    "kind_of",
    "stop",
    "together",
    "wrong_kind",
]

One = TypeVar("One")
Other = TypeVar("Other")


def check_settings(
    providers: Any, policy: Any, ledger: Any, home: Any, catalog: Any, proxy: Any, ssl_context: Any, clock: Any
) -> None:
    """Raise InvalidRequest naming every argument of a client that cannot be."""
    books = "multivideo.Ledger(path) or multivideo.MemoryLedger()"
    problems = [] if ledger is None or hasattr(ledger, "path") else [Problem("ledger", kind_of(ledger), books)]
    problems += [*_bad_providers(providers), *_bad_home(home), *_bad_policy(policy), *_bad_proxy(proxy)]
    problems += [] if catalog is None else wrong_kind("catalog", catalog, Catalog, "a multivideo.Catalog")
    problems += (
        [] if ssl_context is None else wrong_kind("ssl_context", ssl_context, ssl.SSLContext, "an ssl.SSLContext")
    )
    if clock is not None and not callable(getattr(clock, "monotonic", None)):
        problems.append(Problem("clock", kind_of(clock), "a multivideo.clock.Clock"))
    stop(problems)


def _bad_providers(providers: Any) -> list[Problem]:
    allowed = "a list of multivideo.Kling(...), Veo(...) and OpenAIVideos(...)"
    if providers is None:
        return []
    if not isinstance(providers, Sequence):
        return [Problem("providers", kind_of(providers), allowed)]
    for account in providers:
        if isinstance(account, type) or not callable(getattr(account, "backend", None)):
            return [Problem("providers", f"a list with {kind_of(account)}", allowed)]
    names = [account.name for account in providers]
    twice = sorted({name for name in names if names.count(name) > 1})
    alike = "a name= of its own for each of two that are alike"
    return [Problem("providers", f"two named {', '.join(twice)}", alike)] if twice else []


def _bad_home(home: Any) -> list[Problem]:
    path = os.fspath(home) if isinstance(home, str | os.PathLike) else home
    if path is None or (isinstance(path, str) and "\0" not in path):
        return []
    return [Problem("home", kind_of(home), "a path of a folder, as str or Path")]


def _bad_policy(policy: Any) -> list[Problem]:
    try:
        READERS["policy"](policy)
    except Wrong as wrong:
        return [Problem("policy", wrong.asked, wrong.allowed)]
    return []


def _bad_proxy(proxy: Any) -> list[Problem]:
    try:
        parts = urlsplit(proxy) if isinstance(proxy, str) else None
        good = proxy is None or (parts is not None and parts.scheme in {"http", "https"} and bool(parts.hostname))
    except ValueError:
        good = False
    allowed = '"http://host:port", with "user:password@" if it asks'
    return [] if good else [Problem("proxy", "an address that is none", allowed)]


def bad_latency(latency: Any) -> list[Problem]:
    """What is wrong with how long a pretend job shall take."""
    number = isinstance(latency, int | float) and not isinstance(latency, bool) and 0 <= latency < float("inf")
    if latency is None or number:
        return []
    return [Problem("latency", kind_of(latency), "seconds from 0, or None: about as long as real jobs")]


def bad_emulator(emulator: Any) -> list[Problem]:
    """What is wrong with an emulator to share."""
    if emulator is None or hasattr(emulator, "kling_slots"):
        return []
    return [Problem("emulator", kind_of(emulator), "a multivideo.sandbox.Emulator")]


def kind_of(value: object) -> str:
    """A value by its kind, with nothing of what it holds."""
    return with_article(type(value).__name__)


def wrong_kind(name: str, value: object, kind: type, allowed: str) -> list[Problem]:
    """What is wrong with a value that is not of its kind."""
    return [] if isinstance(value, kind) else [Problem(name, kind_of(value), allowed)]


def check_seconds(name: str, value: Any) -> None:
    """Raise InvalidRequest for what is no number of seconds."""
    try:
        READERS["deadline"](value)
    except Wrong as wrong:
        raise InvalidRequest.of([Problem(name, wrong.asked, wrong.allowed)]) from None


def stop(problems: Sequence[Problem]) -> None:
    """Raise InvalidRequest naming all of them, if there are any."""
    if problems:
        raise InvalidRequest.of(problems)


def together(one: Callable[[], One], other: Callable[[], Other]) -> tuple[One, Other]:
    """Both results, or one error that names the faults of both."""
    problems: list[Problem] = []
    results: list[Any] = []
    for read in (one, other):
        try:
            results.append(read())
        except InvalidRequest as error:
            problems += error.problems
    stop(problems)
    return results[0], results[1]
