"""Which addresses may be asked, and which of them gets a key: pure."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import urlsplit

from .carrier import Reach

__all__ = ["BadAddress", "checked", "is_ip", "is_loopback", "origin", "pass_host", "pass_ip"]

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
    if _ODD_NUMBER.fullmatch(host) and not is_ip(host):
        raise BadAddress("an address with a number for a host that systems read differently")
    if _is_this_machine(host) and not loopback:
        raise BadAddress("an address on this machine itself")
    if parts.scheme == "http" and not _is_this_machine(host):
        raise BadAddress("an address without encryption (http)")
    return url


def is_ip(host: str) -> bool:
    """Whether a host is written as an address and not as a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


# What a cloud tells, keys included, to whoever asks from one of its machines. Link-local addresses belong to it as a
# whole; the others, by the clouds' own pages: Amazon (IPv6: instances, then containers), Google (IPv6), Oracle,
# Alibaba, and the host of every machine at Azure, whose number is a public one.
_METADATA = {
    ipaddress.ip_address(address)
    for address in (
        "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "192.0.0.192", "100.100.100.200", "168.63.129.16",
    )
}  # fmt: skip
_METADATA_NAMES = {"metadata", "metadata.google.internal", "metadata.goog", "instance-data"}

# What `is_global` of Python 3.11 to 3.14 takes for public, in one release or another, though it is not: addresses
# for protocols (the home router answers on 192.0.0.9), the relays of 6to4, examples (RFC 9637).
_NOT_PUBLIC_4 = tuple(map(IPv4Network, ("192.0.0.0/24", "192.88.99.0/24")))
_NOT_PUBLIC_6 = tuple(map(IPv6Network, ("2001::/23", "3fff::/20")))
_UNICAST = IPv6Network("2000::/3")  # all that has ever been given out (RFC 4291, IANA's registry)
_NAT64 = IPv6Network("64:ff9b::/96")  # the well-known prefix; 64:ff9b:1::/48 is for networks of one's own
_COMPATIBLE = IPv6Network("::/96")


def pass_host(host: str, reach: Reach) -> None:
    """Let a host through as it is written, before or without a look at the addresses of its name.

    Raises: BadAddress.
    """
    if is_ip(host):
        pass_ip(host, reach)
    elif host.rstrip(".").lower() in _METADATA_NAMES:
        raise BadAddress("a host where a cloud keeps its metadata")


def pass_ip(address: str, reach: Reach) -> None:
    """Let an IP address through that a connection of that reach may go to.

    An IPv6 address that only carries an IPv4 address through a tunnel or a translator counts as that one.

    Raises: BadAddress.
    """
    ip = _meant(ipaddress.ip_address(address.partition("%")[0]))
    if ip in _METADATA or ip.is_link_local:
        raise BadAddress("a host where a cloud keeps its metadata")
    if reach is Reach.ANYWHERE:
        return
    if ip.is_loopback or ip.is_unspecified:  # 0.0.0.0 connects to this machine
        if reach is not Reach.HOME:
            raise BadAddress("a host on this machine itself")
    elif not _is_public(ip):
        raise BadAddress("a host that is not on the public internet")


def _meant(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Where a connection to that address ends."""
    if isinstance(ip, IPv4Address):
        return ip
    carried = ip.ipv4_mapped or ip.sixtofour
    if carried is not None:
        return carried
    if ip in _NAT64 or (ip in _COMPATIBLE and int(ip) > 1):
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    if not ip.is_global or ip.is_multicast:
        return False
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in _NOT_PUBLIC_4)
    return ip in _UNICAST and not any(ip in network for network in _NOT_PUBLIC_6)
