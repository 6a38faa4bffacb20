"""A finished take on disk: fetched, measured, and asked for anew at its vendor where its address does not give it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from anyio import to_thread
from attrs import evolve

from ..errors import DownloadFailed, LedgerError, MultiVideoError, ProviderError
from ..files.boxes import Measured, NotAVideo
from ..files.inspect import Check, Expected, inspect
from ..transport.download import Fetched, fetch
from ..transport.retry import StepKind
from ..transport.sender import Retry
from ..values.refs import AttemptRef
from ..wire import Asset, JobState, JobStatus
from .job import Attempt, Job, elsewhere

if TYPE_CHECKING:
    from .driver import Driver

__all__ = ["FETCH_LEASE_S", "delivered", "drop_files"]

PAUSES_S = (2.0, 10.0, 30.0)  # before each look for a fresh address
FETCH_LEASE_S = 1000.0  # renewed while bytes come: some more than the longest silence of a download


async def delivered(
    driver: Driver, job: Job, attempt: Attempt, status: JobStatus, number: int, path: Path
) -> tuple[Fetched, Measured, Check]:
    """A take of a finished attempt: a whole video, beside its path under a temporary name.

    An address may be over, or give something else than a video for a while: then the vendor is looked at again, up
    to three times, and what it says by then is the attempt's status.

    Raises: DownloadFailed where that does not help; LedgerError.
    """
    waits_s = [pause_s * (0.5 + driver.sender.random() / 2) for pause_s in PAUSES_S]
    while True:
        try:
            asset = _ordered(status.assets[number], attempt.ref)
            return await _fetched(driver, job, attempt.ref, f"{attempt.ref.attempt_id}-{number}", asset, path)
        except DownloadFailed as error:
            if not waits_s or not error.retryable:
                raise
            tries, wait_s = len(PAUSES_S) + 1 - len(waits_s), waits_s.pop(0)
            tell = job.retried(attempt.ref.attempt_id)
            await tell(Retry(StepKind.DOWNLOAD, tries, wait_s, error.what))
            fresh = await _named_again(driver, job, attempt, number, wait_s)
            if fresh is None:
                raise
            status = fresh


def drop_files(status: JobStatus | None) -> None:
    """Remove the files that came inside an answer, once nobody needs them any more."""
    for asset in status.assets if status is not None else ():
        if asset.file is not None:
            asset.file.unlink(missing_ok=True)


async def _fetched(
    driver: Driver, job: Job, ref: AttemptRef, name: str, asset: Asset, path: Path
) -> tuple[Fetched, Measured, Check]:
    """The take from where it is said to be. Raises: DownloadFailed, also for a file that is no whole video."""
    clock, channel = driver.sender.clock, driver.sites[ref.vendor.provider].channel

    async def alive() -> None:
        mine = True
        with suppress(LedgerError):  # books that are busy now stop no download
            mine = await driver.journal.claim(job.id, FETCH_LEASE_S)
        if not mine:
            raise elsewhere(job.id)

    try:
        told, is_new = job.retried(ref.attempt_id), job.request is not None
        fetched = await fetch(driver.sender, channel, asset, path.parent, name, told, alive, is_new=is_new)
        try:
            with clock.working():
                return fetched, *await to_thread.run_sync(inspect, fetched.part, _expected(ref))
        except BaseException as error:
            fetched.discard()
            if isinstance(error, NotAVideo):
                raise _no_video(ref, error) from None
            raise
    except MultiVideoError as error:
        error.job_id, error.attempt_id, error.step = job.id, ref.attempt_id, StepKind.DOWNLOAD.value
        raise


async def _named_again(driver: Driver, job: Job, attempt: Attempt, number: int, wait_s: float) -> JobStatus | None:
    """What the vendor says of the job in that many seconds; None where it does not name the take."""
    vendor = attempt.ref.vendor
    try:
        status = await driver.sites[vendor.provider].poller.look(vendor, wait_s, job.retried(attempt.ref.attempt_id))
    except ProviderError:  # it failed to say where the take is: that the take is not here says more
        return None
    if status.state is not JobState.SUCCEEDED or len(status.assets) <= number:
        drop_files(status)
        return None
    drop_files(attempt.status)
    attempt.status = status
    return status


def _ordered(asset: Asset, ref: AttemptRef) -> Asset:
    """The copy of a take that was ordered: with the vendor's visible mark, or without."""
    return evolve(asset, url=asset.marked_url) if ref.watermark and asset.marked_url is not None else asset


def _expected(ref: AttemptRef) -> Expected:
    return Expected(seconds=ref.file_seconds, width=ref.width, height=ref.height, fps=ref.fps, audio=ref.file_audio)


def _no_video(ref: AttemptRef, bad: NotAVideo) -> DownloadFailed:
    return DownloadFailed(
        f"What {ref.vendor.provider} delivered is no whole video: {bad}.",
        hint="the job is made and paid: resume error.ref to fetch the file again, at no further cost",
        provider=ref.vendor.provider,
    )
