"""The narrow place where bytes leave and arrive: HTTP below it, rules about money and keys above it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager
from enum import Enum
from typing import Protocol

from attrs import field, frozen

__all__ = ["Carrier", "CarrierFault", "Incoming", "Outgoing", "Reach"]


class Reach(Enum):
    """Where the host of an address may lie, once its name is resolved."""

    PUBLIC = "public"  # an address that a vendor named: the open internet only
    HOME = "home"  # the same, or this machine itself, where the provider lives on it
    ANYWHERE = "anywhere"  # the host that the user configured, a private network too


@frozen
class Outgoing:
    """One HTTP request, byte for byte; `paid` marks the ones that may cost money."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=lambda headers: f"<{len(headers)} headers>")
    body: bytes = field(default=b"", repr=lambda body: f"<{len(body)} bytes>")
    paid: bool = False
    secrets: frozenset[bytes] = field(default=frozenset(), repr=False)
    """What the credential headers hold; never to be seen in an answer."""
    reach: Reach = Reach.PUBLIC
    long: bool = False
    """Whether the answer is a file that is read piece by piece, which may take minutes."""

    def masked(self, body: bytes) -> bytes:
        """The body without the secrets, which a refusal may repeat and whose text goes into an error.

        A "key" as short as a word (gateways of one's own take "none" or "x") is no secret, and may stand anywhere.
        """
        for secret in self.secrets:
            body = body.replace(secret, b"***") if len(secret) >= 8 else body
        return body


class Incoming(Protocol):
    """An answer whose head has arrived; header names are lower case."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's headers."""
        ...

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it arrives, raw. Raises CarrierFault."""
        ...


class Carrier(Protocol):
    """Whoever can take one request to where its URL points, once: never again, never elsewhere."""

    def open(self, message: Outgoing) -> AbstractAsyncContextManager[Incoming]:
        """Send and wait for the head of the answer. Raises CarrierFault, BadAddress."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class CarrierFault(Exception):
    """The line broke. `sent` says whether a byte of the request may have left this machine."""

    def __init__(self, what: str, *, sent: bool) -> None:
        super().__init__(what)
        self.what, self.sent = what, sent
