"""Which addresses may be asked, and which of them gets a key: pure."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit

__all__ = ["BadAddress", "checked", "is_loopback", "origin"]

_PORTS = {"https": 443, "http": 80}


class BadAddress(ValueError):
    """An address that is never asked; the text says why and does not repeat it."""


@lru_cache(maxsize=512)
def origin(url: str) -> str:
    """Scheme, host and port of an address: what a key belongs to."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{parts.port or _PORTS.get(parts.scheme, 0)}"


def is_loopback(url: str) -> bool:
    """Whether the address is this machine itself."""
    return _is_this_machine(urlsplit(url).hostname or "")


@lru_cache(maxsize=512)
def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def checked(url: str, *, loopback: bool) -> str:
    """The address, if it may be asked.

    https only; plain http and this machine itself only where `loopback` says that the provider lives there.
    Raises: BadAddress.
    """
    if any(sign <= " " or sign in "\\\x7f" for sign in url):
        raise BadAddress("an address with control characters, blanks or backslashes")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it checks it
    except ValueError:
        raise BadAddress("an address that cannot be read") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise BadAddress(f"an address of scheme {parts.scheme[:20]!r}")
    if parts.username is not None or parts.password is not None:
        raise BadAddress("an address with a user name in it")
    if is_loopback(url) and not loopback:
        raise BadAddress("an address on this machine itself")
    if parts.scheme == "http" and not is_loopback(url):
        raise BadAddress("an address without encryption (http)")
    return url
