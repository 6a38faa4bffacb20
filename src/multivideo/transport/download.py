"""Fetches a finished take to disk: streamed, hashed, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from contextlib import aclosing
from pathlib import Path
from typing import BinaryIO

from anyio import to_thread
from attrs import frozen

from ..errors import DownloadFailed, LedgerError, ProviderError
from ..wire import Asset, Resend, WireResponse
from .carrier import CarrierFault, Incoming
from .retry import Outcome, StepKind
from .sender import Channel, OnRetry, Sender, TryFailed

__all__ = ["Fetched", "fetch", "keep"]

MOST_VIDEO_BYTES = 4 * 1024**3


@frozen
class Fetched:
    """A take that lies whole beside its target, under a temporary name."""

    part: Path
    size_bytes: int
    sha256: str

    def discard(self) -> None:
        """Remove the file; harmless after it was kept."""
        self.part.unlink(missing_ok=True)


async def fetch(
    sender: Sender, channel: Channel, asset: Asset, folder: Path, on_retry: OnRetry | None = None
) -> Fetched:
    """The take, in a temporary file of that folder, flushed to the disk.

    Raises: DownloadFailed, or LedgerError where the folder cannot be written.
    """
    if asset.file is not None:
        with sender.clock.working():
            return await to_thread.run_sync(_adopt, asset.file, folder)

    async def once() -> Fetched:
        request = channel.provider.download(asset)
        async with sender.stream(channel, request) as incoming:
            await _refuse_answer(channel, incoming)
            return await _to_disk(sender, incoming, folder)

    try:
        return await sender.persist(once, StepKind.DOWNLOAD, Resend.ALWAYS, on_retry)
    except (DownloadFailed, LedgerError):
        raise
    except ProviderError as error:
        raise _failed(channel, error.what.rstrip(".")) from None


async def keep(sender: Sender, fetched: Fetched, target: Path) -> None:
    """Give the file its name at once, and make the name itself durable."""
    with sender.clock.working():
        await to_thread.run_sync(_rename, fetched.part, target)


async def _refuse_answer(channel: Channel, incoming: Incoming) -> None:
    """Raise where the answer is no video at all, before a byte is written."""
    kind = incoming.headers.get("content-type", "").partition(";")[0].strip()
    if incoming.status != 200:
        head = bytearray()
        async with aclosing(incoming.chunks()) as chunks:
            async for chunk in chunks:
                head += chunk
                if len(head) > 64 * 1024:
                    break
        error = channel.provider.refusal(WireResponse(incoming.status, incoming.headers, bytes(head)))
        what = error.what.rstrip(".") if error is not None else f"the file's address answered {incoming.status}"
        passing = incoming.status in {404, 408, 425, 429} or incoming.status >= 500
        raise TryFailed(Outcome.FAULTY if passing else Outcome.REFUSED, _failed(channel, what))
    if kind in {"text/html", "application/json"}:
        raise TryFailed(Outcome.FAULTY, _failed(channel, f"the file's address answered {kind} instead of a video"))


async def _to_disk(sender: Sender, incoming: Incoming, folder: Path) -> Fetched:
    part, handle = _temporary(folder)
    size, digest = 0, hashlib.sha256()
    try:
        with os.fdopen(handle, "wb") as out:
            async with aclosing(incoming.chunks()) as chunks:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > MOST_VIDEO_BYTES:
                        raise TryFailed(Outcome.REFUSED, DownloadFailed(f"The file is over {MOST_VIDEO_BYTES} bytes."))
                    digest.update(chunk)
                    out.write(chunk)
            promised = incoming.headers.get("content-length", "")
            if promised.isdigit() and int(promised) != size:
                raise CarrierFault(f"{size} of {promised} bytes came", sent=True)
            with sender.clock.working():
                await to_thread.run_sync(_flush, out)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise _unwritable(folder, error) from None
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return Fetched(part, size, digest.hexdigest())


def _flush(out: BinaryIO) -> None:
    out.flush()
    os.fsync(out.fileno())


def _temporary(folder: Path) -> tuple[Path, int]:
    part = folder / f".multivideo-{secrets.token_hex(8)}.part"
    try:
        return part, os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        raise _unwritable(folder, error) from None


def _adopt(file: Path, folder: Path) -> Fetched:
    """Take over a file that came inside an answer."""
    part, handle = _temporary(folder)
    try:
        with file.open("rb") as source, os.fdopen(handle, "wb") as out:
            shutil.copyfileobj(source, out, 1024 * 1024)
            _flush(out)
            size = out.tell()
        with part.open("rb") as done:
            sha256 = hashlib.file_digest(done, "sha256").hexdigest()
    except OSError as error:
        part.unlink(missing_ok=True)
        raise _unwritable(folder, error) from None
    file.unlink(missing_ok=True)
    return Fetched(part, size, sha256)


def _rename(part: Path, target: Path) -> None:
    try:
        part.replace(target)
        if os.name == "posix":
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise _unwritable(target.parent, error) from None


def _unwritable(folder: Path, error: OSError) -> LedgerError:
    return LedgerError(
        f"The video could not be written to {folder} ({error.strerror}).",
        field="save_to",
        hint="make room or choose another folder; resume the job to fetch it again without paying",
        charged="yes",
    )


def _failed(channel: Channel, what: str) -> DownloadFailed:
    return DownloadFailed(
        f"The video of {channel.provider.name} could not be fetched: {what}.",
        hint="the job is made and paid: resume it to fetch the file again, at no further cost",
        provider=channel.provider.name,
    )
