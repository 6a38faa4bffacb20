"""Fetches a finished take to disk: streamed, hashed, gone on with where the line broke, whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

from anyio import to_thread
from attrs import define, evolve, field, frozen

from ..errors import DownloadFailed, ProviderError
from ..wire import Asset, Resend, WireResponse
from .carrier import CarrierFault, Incoming, Outgoing
from .part_files import PartFile, remove_leftovers
from .ranges import Edition
from .retry import Outcome, StepKind, asked_wait
from .sender import Channel, OnRetry, Sender, TryFailed

__all__ = ["Alive", "Fetched", "fetch", "keep"]

MOST_VIDEO_BYTES = 4 * 1024**3
BEGIN_S = 900.0  # for an answer to begin: many downloads share few lines and take turns
WINDOW_S = 60.0
FLOOR_BYTES_PER_S = 1024  # below it a line that drips would hold a paid video for hours
PROGRESS_BYTES = 64 * 1024  # a try that brought less further than any before has brought nothing

Alive = Callable[[], Awaitable[None]]


@frozen
class Fetched:
    """A take that lies whole beside its target, under a temporary name, and locked: nobody takes it for a leftover."""

    part: Path
    size_bytes: int
    sha256: str
    _file: PartFile = field(eq=False, repr=False)

    @classmethod
    def of(cls, file: PartFile) -> Fetched:
        """What was written to that file."""
        return cls(file.path, file.size_bytes, file.sha256, file)

    def discard(self) -> None:
        """Remove the file; harmless after it was kept."""
        self._file.discard()

    def rename(self, target: Path) -> None:
        """Give the file its name. Raises: LedgerError."""
        self._file.rename(target)


async def fetch(
    sender: Sender,
    channel: Channel,
    asset: Asset,
    folder: Path,
    name: str,
    on_retry: OnRetry | None = None,
    alive: Alive | None = None,
    *,
    is_new: bool = False,
) -> Fetched:
    """The take, in a temporary file of that folder, flushed to the disk.

    `name` says which take it is: what a killed process left of the same is removed first, unless it `is_new` and
    nobody can have begun with it. `alive` is awaited before each try and about once a minute while bytes come; what it
    raises ends the download.

    Raises: DownloadFailed, or LedgerError where the folder cannot be written.
    """
    if not is_new:
        with sender.clock.working():
            await to_thread.run_sync(remove_leftovers, folder, name)
    if asset.file is not None:
        return await _adopted(sender, channel, asset.file, PartFile.create(folder, name))
    download = _Download(sender, channel, asset, folder, name, alive)
    try:
        return await sender.persist(channel, download.once, StepKind.DOWNLOAD, Resend.ALWAYS, on_retry)
    except BaseException as error:
        if download.part is not None:
            download.part.discard()
        if isinstance(error, ProviderError) and not isinstance(error, DownloadFailed):
            raise _failed(channel, error.what.rstrip(".")) from None
        raise


async def keep(sender: Sender, fetched: Fetched, target: Path) -> None:
    """Give the file its name at once, and make the name itself durable.

    Raises: LedgerError; then, as when it is cancelled before, nothing is left under the temporary name.
    """
    try:
        with sender.clock.working():
            await to_thread.run_sync(fetched.rename, target)
    finally:
        fetched.discard()


@define(eq=False)
class _Download:
    """One take on its way, over as many tries as it needs: what came stays, and the next asks for the rest."""

    sender: Sender
    channel: Channel
    asset: Asset
    folder: Path
    name: str
    alive: Alive | None
    part: PartFile | None = None
    edition: Edition = field(factory=Edition)
    ranges: bool = True
    furthest: int = 0

    async def once(self) -> Fetched:
        """One try. Raises: TryFailed, which says whether it brought a part of the whole; LedgerError."""
        try:
            return await self._try()
        except TryFailed as failed:
            failed.progress = self._progressed()
            raise

    def _progressed(self) -> bool:
        """Whether more is kept for the next try than ever before: a large file over a bad line ends some day."""
        kept = self.part.size_bytes if self.part is not None and self._rest() else 0
        if kept - self.furthest < PROGRESS_BYTES:
            return False
        self.furthest = kept
        return True

    def _rest(self) -> dict[str, str]:
        return self.edition.rest(self.part.size_bytes) if self.part is not None and self.ranges else {}

    async def _try(self) -> Fetched:
        rest = self._rest()
        request = self.channel.provider.download(self.asset)
        request = evolve(request, headers={"accept": "*/*", **request.headers, **rest})
        if self.alive is not None:
            await self.alive()
        async with AsyncExitStack() as stack:
            try:
                with self.sender.clock.fail_after(BEGIN_S):
                    stream = self.sender.stream(self.channel, request)
                    message, incoming = await stack.enter_async_context(stream)
                    await self._refuse_answer(message, incoming, asked=bool(rest))
            except TimeoutError:
                raise self._lost(f"no answer within {BEGIN_S:.0f} s") from None
            part = self._begin(incoming)
            await self._read(incoming, part)
        with self.sender.clock.working():
            await to_thread.run_sync(part.flush)
        return Fetched.of(part)

    async def _refuse_answer(self, message: Outgoing, incoming: Incoming, *, asked: bool) -> None:
        """Raise where the answer is no video at all, before a byte is written; `asked`: for the rest of one."""
        status = incoming.status
        if asked and status in {206, 416}:
            return
        if status != 200:
            body = message.masked(await _head(incoming))
            error = self.channel.provider.refusal(WireResponse(status, incoming.headers, body))
            failed = _failed(self.channel, error.what.rstrip(".") if error else f"its address answered {status}")
            failed.retry_after = asked_wait(incoming.headers, self.sender.clock.wall())
            # 404 and 410, as 403, may be an address that is over: its vendor knows whether there is another
            passing = status in {408, 425, 429} or status >= 500
            raise TryFailed(Outcome.FAULTY if passing else Outcome.REFUSED, failed)
        kind = incoming.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind.startswith("text/") or kind.endswith(("json", "xml")):
            raise self._faulty(f"its address answered {kind} instead of a video")

    def _begin(self, incoming: Incoming) -> PartFile:
        """The file to write to, where the answer's first byte belongs. Raises: TryFailed."""
        part = self.part
        if part is not None and incoming.status != 200:
            edition = self.edition.continued(part.size_bytes, incoming.headers) if incoming.status == 206 else None
            if edition is None:  # whoever names ranges wrongly once is not asked for one again
                self.ranges = False
                raise self._faulty("the rest of it is no longer to be had, or of another file")
            self.edition = edition
            return part
        self.edition = Edition.of(incoming.headers)
        self._refuse_size(self.edition.total or 0)
        if part is None:
            self.part = part = PartFile.create(self.folder, self.name)
        else:
            part.restart()
        return part

    async def _read(self, incoming: Incoming, part: PartFile) -> None:
        """Write the body to its end. Raises: TryFailed, CarrierFault."""
        async with aclosing(incoming.chunks()) as chunks:
            while not await self._ended(chunks, part):
                if self.alive is not None:
                    await self.alive()
        total = self.edition.total
        if total is not None and part.size_bytes > total:
            self.ranges = False
            raise self._faulty(f"{part.size_bytes} bytes came of a file of {total}")
        if total is not None and part.size_bytes < total:
            raise CarrierFault(f"{part.size_bytes} of {total} bytes came", sent=True)

    async def _ended(self, chunks: AsyncGenerator[bytes, None], part: PartFile) -> bool:
        """Write what comes for a while: whether it was the end. Raises: TryFailed where too little came."""
        monotonic = self.sender.clock.monotonic
        before, until = part.size_bytes, monotonic() + WINDOW_S
        try:
            with self.sender.clock.fail_after(2 * WINDOW_S):
                async for chunk in chunks:
                    self._refuse_size(part.size_bytes + len(chunk))
                    part.write(chunk)
                    if monotonic() >= until:
                        break
                else:
                    return True
        except TimeoutError:
            raise self._lost(f"no byte came for {WINDOW_S:.0f} s") from None
        if part.size_bytes - before < FLOOR_BYTES_PER_S * WINDOW_S:
            raise self._lost(f"less than {FLOOR_BYTES_PER_S} bytes a second came for {WINDOW_S:.0f} s")
        return False

    def _refuse_size(self, size_bytes: int) -> None:
        if size_bytes > MOST_VIDEO_BYTES:
            failed = _failed(self.channel, f"it is larger than {MOST_VIDEO_BYTES} bytes")
            failed.retryable = False  # it will be as large the next time, and each time costs its bytes
            raise TryFailed(Outcome.REFUSED, failed)

    def _lost(self, what: str) -> TryFailed:
        return TryFailed(Outcome.LOST, _failed(self.channel, what))

    def _faulty(self, what: str) -> TryFailed:
        return TryFailed(Outcome.FAULTY, _failed(self.channel, what))


async def _head(incoming: Incoming) -> bytes:
    """The beginning of a refusal, as far as anybody reads it."""
    head = bytearray()
    async with aclosing(incoming.chunks()) as chunks:
        async for chunk in chunks:
            head += chunk
            if len(head) > 64 * 1024:
                break
    return bytes(head)


async def _adopted(sender: Sender, channel: Channel, file: Path, part: PartFile) -> Fetched:
    """A copy of a file that came inside an answer; the file itself is its owner's, who may want it once more."""
    try:
        with sender.clock.working():
            await to_thread.run_sync(_copy, channel, file, part)
    except BaseException:  # asyncio's own cancel does not wait for the thread, which goes on with a closed file
        part.discard()
        raise
    return Fetched.of(part)


def _copy(channel: Channel, file: Path, part: PartFile) -> None:
    try:
        with file.open("rb") as source:
            shutil.copyfileobj(source, part, 1024 * 1024)
    except OSError as error:
        raise _failed(channel, f"the file that came inside its answer is gone ({error.strerror})") from None
    part.flush()


def _failed(channel: Channel, what: str) -> DownloadFailed:
    return DownloadFailed(
        f"The video of {channel.provider.name} could not be fetched: {what}.",
        hint="the job is made and paid: resume error.ref to fetch the file again, at no further cost",
        provider=channel.provider.name,
    )
