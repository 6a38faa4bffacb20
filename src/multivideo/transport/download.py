"""Fetches a finished take to disk: streamed, hashed, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from anyio import to_thread
from attrs import frozen

from ..errors import DownloadFailed, LedgerError, ProviderError
from ..wire import Asset, Resend, WireResponse
from .carrier import CarrierFault, Incoming, Outgoing
from .retry import Outcome, StepKind, asked_wait
from .sender import Channel, OnRetry, Sender, TryFailed

__all__ = ["Fetched", "fetch", "keep"]

MOST_VIDEO_BYTES = 4 * 1024**3
LIMIT_S = 900.0


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
        return await _adopted(sender, channel, asset.file, folder)

    async def once() -> Fetched:
        request = channel.provider.download(asset)
        try:
            with sender.clock.fail_after(LIMIT_S):
                async with sender.stream(channel, request) as (message, incoming):
                    await _refuse_answer(sender, channel, message, incoming)
                    return await _to_disk(sender, channel, incoming, folder)
        except TimeoutError:
            raise TryFailed(Outcome.LOST, _failed(channel, f"it was not whole after {LIMIT_S:.0f} s")) from None

    try:
        return await sender.persist(once, StepKind.DOWNLOAD, Resend.ALWAYS, on_retry)
    except (DownloadFailed, LedgerError):
        raise
    except ProviderError as error:
        raise _failed(channel, error.what.rstrip(".")) from None


async def keep(sender: Sender, fetched: Fetched, target: Path) -> None:
    """Give the file its name at once, and make the name itself durable.

    Raises: LedgerError; then, as when it is cancelled before, nothing is left under the temporary name.
    """
    try:
        with sender.clock.working():
            await to_thread.run_sync(_rename, fetched.part, target)
    finally:
        fetched.discard()


async def _refuse_answer(sender: Sender, channel: Channel, message: Outgoing, incoming: Incoming) -> None:
    """Raise where the answer is no video at all, before a byte is written."""
    kind = incoming.headers.get("content-type", "").partition(";")[0].strip().lower()
    if incoming.status != 200:
        head = bytearray()
        async with aclosing(incoming.chunks()) as chunks:
            async for chunk in chunks:
                head += chunk
                if len(head) > 64 * 1024:
                    break
        body = message.masked(bytes(head))
        error = channel.provider.refusal(WireResponse(incoming.status, incoming.headers, body))
        failed = _failed(channel, error.what.rstrip(".") if error else f"its address answered {incoming.status}")
        failed.retry_after = asked_wait(incoming.headers, sender.clock.wall())
        passing = incoming.status in {404, 408, 425, 429} or incoming.status >= 500
        raise TryFailed(Outcome.FAULTY if passing else Outcome.REFUSED, failed)
    if kind.startswith("text/") or kind.endswith(("json", "xml")):
        raise TryFailed(Outcome.FAULTY, _failed(channel, f"its address answered {kind} instead of a video"))


async def _to_disk(sender: Sender, channel: Channel, incoming: Incoming, folder: Path) -> Fetched:
    part, out = _temporary(folder)
    size, digest = 0, hashlib.sha256()
    try:
        async with aclosing(incoming.chunks()) as chunks:
            async for chunk in chunks:
                size += len(chunk)
                if size > MOST_VIDEO_BYTES:
                    what = f"it is larger than {MOST_VIDEO_BYTES} bytes"
                    raise TryFailed(Outcome.REFUSED, _failed(channel, what))
                digest.update(chunk)
                with _writing(folder):
                    out.write(chunk)
        promised = incoming.headers.get("content-length", "")
        if promised.isdecimal() and int(promised) != size:
            raise CarrierFault(f"{size} of {promised} bytes came", sent=True)
        with _writing(folder), sender.clock.working():
            await to_thread.run_sync(_flush, out)
    except BaseException:
        with suppress(OSError):  # a full disk says so once more
            out.close()
        part.unlink(missing_ok=True)
        raise
    return Fetched(part, size, digest.hexdigest())


def _flush(out: BinaryIO) -> None:
    with out:
        out.flush()
        os.fsync(out.fileno())


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Around what touches the disk, and nothing that touches the network, whose errors look alike."""
    try:
        yield
    except OSError as error:
        raise _unwritable(folder, error) from None


def _temporary(folder: Path) -> tuple[Path, BinaryIO]:
    part = folder / f".multivideo-{secrets.token_hex(8)}.part"
    with _writing(folder):
        return part, part.open("xb")


async def _adopted(sender: Sender, channel: Channel, file: Path, folder: Path) -> Fetched:
    """A copy of a file that came inside an answer; the file itself is its owner's, who may want it once more."""
    part, out = _temporary(folder)
    try:
        with sender.clock.working():
            return await to_thread.run_sync(_copy, channel, file, part, out)
    except BaseException:  # asyncio's own cancel does not wait for the thread, which goes on with a closed file
        with suppress(OSError):
            out.close()
        part.unlink(missing_ok=True)
        raise


def _copy(channel: Channel, file: Path, part: Path, out: BinaryIO) -> Fetched:
    try:
        source = file.open("rb")
    except OSError as error:
        raise _failed(channel, f"the file that came inside its answer is gone ({error.strerror})") from None
    with source, _writing(part.parent):
        with out:
            shutil.copyfileobj(source, out, 1024 * 1024)
            size = out.tell()
            _flush(out)
        with part.open("rb") as done:
            sha256 = hashlib.file_digest(done, "sha256").hexdigest()
    return Fetched(part, size, sha256)


def _rename(part: Path, target: Path) -> None:
    with _writing(target.parent):
        part.replace(target)
    if os.name == "posix":
        with suppress(OSError):  # some network file systems cannot flush a folder; the file is there all the same
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _unwritable(folder: Path, error: OSError) -> LedgerError:
    return LedgerError(
        f"The video could not be written to {folder} ({error.strerror}).",
        field="save_to",
        hint="make room or choose another folder; resume error.ref to fetch it again without paying",
        charged="yes",
    )


def _failed(channel: Channel, what: str) -> DownloadFailed:
    return DownloadFailed(
        f"The video of {channel.provider.name} could not be fetched: {what}.",
        hint="the job is made and paid: resume error.ref to fetch the file again, at no further cost",
        provider=channel.provider.name,
    )
