"""What is typed after the options of the command line, read into values."""

from __future__ import annotations

import argparse
import datetime as dt
import json
from decimal import Decimal, InvalidOperation
from typing import Any

from .values.credits import Credits

__all__ = ["day", "option", "pair", "port", "usd"]


def usd(text: str) -> Credits:
    """An amount of US dollars."""
    try:
        return Credits.from_usd(Decimal(text))
    except (InvalidOperation, ValueError):
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of US dollars such as 2.50") from None


def day(text: str) -> dt.date:
    """A day: 2026-08-01."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day such as 2026-08-01") from None


def port(text: str) -> int:
    """The number of a port."""
    if not (text.isdecimal() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is no port from 0 to 65535")
    return int(text)


def pair(text: str) -> tuple[str, str]:
    """A name and its value: NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def option(text: str) -> tuple[str, str, Any]:
    """A vendor's own parameter: VENDOR.NAME=JSON; plain text needs no quotes."""
    path, value = pair(text)
    vendor, dot, name = path.partition(".")
    if not (vendor and dot and name):
        raise argparse.ArgumentTypeError(f"{text!r} is not VENDOR.NAME=JSON")
    try:
        return vendor, name, json.loads(value)
    except ValueError:
        return vendor, name, value
