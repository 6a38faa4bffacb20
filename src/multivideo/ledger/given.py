"""What users give to the credit account: each reader tells what is wrong with one field, nothing where all is well."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import InvalidRequest, Problem
from ..values.credits import Credits, dollars
from ..values.media import with_article
from .reports import EPOCH, GROUPS, Span

__all__ = [
    "Moment",
    "amount",
    "charged",
    "group",
    "listing",
    "outcome",
    "path",
    "period",
    "shown",
    "span",
    "stop",
    "tags",
    "text",
    "word",
]

Moment = dt.date | dt.datetime | None
ZERO = Credits(micro_usd=0)


def stop(problems: Sequence[Problem]) -> None:
    """Raise InvalidRequest naming all of them, if there are any."""
    if problems:
        raise InvalidRequest.of(problems)


def shown(value: object) -> str:
    """A short value as it was written, anything else by its kind."""
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 60 and value.isprintable() else f"text of {len(value)} characters"
    return "None" if value is None else with_article(type(value).__name__)


def amount(value: object, *, above_nothing: bool = False) -> list[Problem]:
    """Of money: `Credits` alone, since a bare number does not say of what."""
    allowed = f'credits {"above" if above_nothing else "from"} 0, such as multivideo.usd("20")'
    if not isinstance(value, Credits):
        return [Problem("amount", shown(value), allowed)]
    enough = value > ZERO if above_nothing else value >= ZERO
    return [] if enough else [Problem("amount", dollars(value), allowed)]


def charged(value: object, outcome: object) -> list[Problem]:
    """Of what an attempt did cost, where that is said."""
    if value is None:
        return []
    if outcome == "not_charged":
        asked = dollars(value) if isinstance(value, Credits) else shown(value)
        return [Problem("amount", asked, 'none, or outcome="charged"')]
    return amount(value, above_nothing=True)


def text(name: str, value: object, *, needed: bool = True) -> list[Problem]:
    """Of words for people."""
    if isinstance(value, str) and not _unwritable(value) and (value.strip() or not needed):
        return []
    asked = "empty" if isinstance(value, str) and not value.strip() else shown(value)
    return [Problem(name, asked, "text of at least one character" if needed else "text")]


def word(name: str, value: object) -> list[Problem]:
    """Of the model or the provider of a budget, which would count nothing under a name that no job has."""
    if value is None:
        return []
    allowed = {"model": 'a model such as "veo-3.1"; its path is the provider', "provider": 'such as "vertex"'}[name]
    if not isinstance(value, str) or not value.strip() or _unwritable(value) or "@" in value or value == "auto":
        return [Problem(name, shown(value), allowed)]
    return []


def tags(value: object) -> list[Problem]:
    """Of the tags of a budget."""
    if value is None:
        return []
    pairs = list(value.items()) if isinstance(value, Mapping) else [(None, None)]
    if all(isinstance(part, str) and not _unwritable(part) for pair in pairs for part in pair):
        return []
    return [Problem("tags", shown(value), "a mapping of str to str")]


def period(value: object) -> list[Problem]:
    """Of how long a budget lasts."""
    return _one_of("period", value, ("ever", "day", "month"))


def outcome(value: object) -> list[Problem]:
    """Of what became of an attempt."""
    return _one_of("outcome", value, ("charged", "not_charged"))


def listing(state: object, limit: object) -> list[Problem]:
    """Of which jobs are listed, and how many."""
    problems = _one_of("state", state, ("open", "finished", "failed", "all"))
    if limit is not None and (type(limit) is not int or limit < 1):
        asked = f"{limit}" if type(limit) is int else shown(limit)
        problems.append(Problem("limit", asked, "a whole number from 1"))
    return problems


def group(value: object) -> list[Problem]:
    """Of what spending is told by."""
    if value is None or (
        isinstance(value, str) and re.fullmatch("tag:.+", value, re.DOTALL) and not _unwritable(value)
    ):
        return []
    return _one_of("by", value, (*GROUPS, "tag:..."))


def path(value: object) -> list[Problem]:
    """Of the file of an export."""
    name = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if isinstance(name, str) and not _unwritable(name) and Path(name).suffix.lower() in {".csv", ".json"}:
        return []
    return [Problem("path", shown(value), "a file that ends with .csv or .json")]


def span(since: Moment, until: Moment, problems: Sequence[Problem] = ()) -> Span:
    """The time meant. Raises: InvalidRequest naming these problems and those of its own."""
    found = list(problems)
    bounds = {"since": since, "until": until}
    strange = {name: value for name, value in bounds.items() if not isinstance(value, dt.date | None)}
    found += [Problem(name, shown(value), "a date or a datetime, by UTC") for name, value in strange.items()]
    if not strange and since is not None and until is not None and _millis(since) > _millis(until):
        found.append(Problem("since", f"{since}", f"a time before until={until}"))
    stop(found)
    return Span(**{name: _millis(value) for name, value in bounds.items() if value is not None})


def _one_of(name: str, value: object, words: tuple[str, ...]) -> list[Problem]:
    if isinstance(value, str) and value in words:
        return []
    *most, last = (f'"{word}"' for word in words)
    return [Problem(name, shown(value), f"{', '.join(most)} or {last}")]


def _unwritable(value: str) -> bool:
    """Whether a database could not keep it: a lone surrogate or a NUL."""
    return any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value)


def _millis(moment: dt.date) -> int:
    if not isinstance(moment, dt.datetime):
        moment = dt.datetime(moment.year, moment.month, moment.day, tzinfo=dt.UTC)
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
    return (aware - EPOCH) // dt.timedelta(milliseconds=1)
