"""Which addresses may be asked, and which of them gets a key: pure."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from urllib.parse import urlsplit

__all__ = ["BadAddress", "checked", "is_loopback", "origin"]

_PORTS = {"https": 443, "http": 80}
_ODD_SIGN = re.compile(r"[\x00-\x20\\\x7f]")
_HOST = re.compile(r"[A-Za-z0-9._:-]+")  # plain ASCII: of other letters two readers may make two hosts
_ODD_NUMBER = re.compile(r"(0[xX][0-9A-Fa-f]*|\d+)(\.(0[xX][0-9A-Fa-f]*|\d+))*")  # 127.1, 0x7f000001, 2130706433


class BadAddress(ValueError):
    """An address that is never asked; the text says why and does not repeat it."""


@lru_cache(maxsize=512)
def origin(url: str) -> str:
    """Scheme, host and port of an address: what a key belongs to."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{parts.port or _PORTS.get(parts.scheme, 0)}"


def is_loopback(url: str) -> bool:
    """Whether the address is this machine itself, by any of the ways to write that."""
    return _is_this_machine((urlsplit(url).hostname or "").rstrip("."))


@lru_cache(maxsize=512)
def _is_this_machine(host: str) -> bool:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    inner = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return any(one.is_loopback or one.is_unspecified for one in (ip, inner or ip))  # 0.0.0.0 connects to this machine


def checked(url: str, *, loopback: bool) -> str:
    """The address, if it may be asked.

    https only; plain http and this machine itself only where `loopback` says that the provider lives there.
    Raises: BadAddress.
    """
    if _ODD_SIGN.search(url):
        raise BadAddress("an address with control characters, blanks or backslashes")
    try:
        parts = urlsplit(url)
        port, host = parts.port, (parts.hostname or "").rstrip(".")
    except ValueError:
        raise BadAddress("an address that cannot be read") from None
    if parts.scheme not in _PORTS:
        raise BadAddress("an address that is neither https nor http")
    if parts.username is not None or parts.password is not None:
        raise BadAddress("an address with a user name in it")
    if port == 0 or not parts.netloc.isascii() or not _HOST.fullmatch(host):
        raise BadAddress("an address with a host name or a port that cannot be")
    if _ODD_NUMBER.fullmatch(host) and not _is_ip(host):
        raise BadAddress("an address with a number for a host that systems read differently")
    if _is_this_machine(host) and not loopback:
        raise BadAddress("an address on this machine itself")
    if parts.scheme == "http" and not _is_this_machine(host):
        raise BadAddress("an address without encryption (http)")
    return url


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
