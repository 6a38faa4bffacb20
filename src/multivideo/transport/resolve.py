"""From the name of a host to the addresses that may be connected to, looked up once and each of them checked."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain, zip_longest

import anyio

from ..clock import Clock
from .carrier import CarrierFault, Reach
from .guard import is_ip, pass_host, pass_ip

__all__ = ["Resolve", "addresses", "look_up"]

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""From a name to its addresses, in the order of the system. Raises: OSError, UnicodeError."""

_MOST_TRIED = 4


async def look_up(host: str) -> Sequence[str]:
    """What the system knows of a name."""
    return [found[4][0] for found in await anyio.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


async def addresses(host: str, reach: Reach, *, resolve: Resolve, clock: Clock, limit_s: float) -> Sequence[str]:
    """The addresses of a host to connect to, in the order in which they should be tried.

    A name is refused whole as soon as one of its addresses may not be asked: an honest name has none, and whoever
    mixes them hopes that the next look-up brings another one than the one that was checked.

    Raises: BadAddress, CarrierFault.
    """
    pass_host(host, reach)
    if is_ip(host):
        return (host,)
    try:
        with clock.fail_after(limit_s):
            found = await resolve(host)
    except TimeoutError:
        raise CarrierFault(f"no address of its name was found within {limit_s:g} s", sent=False) from None
    except (OSError, UnicodeError):
        found = ()
    if not found:
        raise CarrierFault("its name has no address", sent=False)
    for address in found:
        pass_ip(address, reach)
    return _by_turns(found)[:_MOST_TRIED]


def _by_turns(found: Sequence[str]) -> list[str]:
    """Both families by turns, the system's first choice first: often one of them leads nowhere (RFC 8305, 4)."""
    first = [address for address in dict.fromkeys(found) if (":" in address) == (":" in found[0])]
    other = [address for address in dict.fromkeys(found) if address not in first]
    pairs = chain.from_iterable(zip_longest(first, other))
    return [address for address in pairs if address is not None]
