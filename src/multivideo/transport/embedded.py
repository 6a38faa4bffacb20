"""The emulator in this process, as a carrier: no socket below it, every rule above it as with real vendors."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .carrier import CarrierFault, Incoming, Outgoing

if TYPE_CHECKING:
    from ..sandbox import Emulator, Reply

__all__ = ["HOME", "EmbeddedCarrier"]

HOME = "http://localhost"  # where the emulator in this process pretends to be


class EmbeddedCarrier:
    """Hands each request to an emulator and its answer back, piece by piece."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator

    @asynccontextmanager
    async def open(self, message: Outgoing) -> AsyncIterator[Incoming]:
        """Ask the emulator."""
        from ..sandbox import ConnectionLost

        parts = urlsplit(message.url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        try:
            reply = await self.emulator(message.method, path, {"host": parts.netloc, **message.headers}, message.body)
        except ConnectionLost as lost:
            raise CarrierFault("the connection broke", sent=lost.sent) from None
        yield _Answer(reply, ConnectionLost)

    async def aclose(self) -> None:
        """Stop the emulator's rendering."""
        await self.emulator.aclose()


class _Answer:
    def __init__(self, reply: Reply, lost: type[Exception]) -> None:
        self._reply, self._lost = reply, lost
        self.status = reply.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in reply.headers}

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in self._reply.body:
                yield chunk
        except self._lost:
            raise CarrierFault("the connection ended in the middle of an answer", sent=True) from None
