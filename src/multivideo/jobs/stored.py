"""A job of the books as one to go on with: what is still to come, and what an earlier process had finished."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from anyio import to_thread
from attrs import evolve

from ..errors import (
    ContentFiltered,
    DownloadFailed,
    GenerationFailed,
    LedgerError,
    MultiVideoError,
    OutcomeUnknown,
    ProviderError,
)
from ..files.boxes import NotAVideo
from ..files.inspect import Expected, inspect
from ..ledger.records import CHARGED, AttemptRow, AttemptState, JobRow
from ..shapes import Unreadable, read
from ..transport.retry import StepKind
from ..values.credits import Credits
from ..values.plan import Segment
from ..values.refs import AttemptRef, VendorHandle
from ..values.result import Video
from ..values.words import Mode
from .job import Attempt, Job
from .settle import Settlement, shared
from .target import target

if TYPE_CHECKING:
    from .driver import Driver

__all__ = ["attempt_ref", "segment_of", "stored_as", "stored_job", "take_up"]

J = TypeVar("J", bound=Job)
ZERO = Credits(micro_usd=0)
_S = AttemptState
_ENDS: Mapping[AttemptState, tuple[type[MultiVideoError], str]] = {
    _S.SUCCEEDED: (OutcomeUnknown, "was said to be charged, and its video is not known here"),
    _S.FAILED: (GenerationFailed, "was ended by its vendor without a video"),
    _S.FILTERED: (ContentFiltered, "was ended by its vendor's content rules"),
    _S.REJECTED: (ProviderError, "was refused by its vendor"),
    _S.ABSENT: (ProviderError, "never reached its vendor"),
    _S.VOID: (ProviderError, "was never sent"),
}
_AGAIN = "ask for it again, if it is still wanted: nothing is sent again by itself"


def stored_job(driver: Driver, row: JobRow, rows: Sequence[AttemptRow]) -> Job:
    """The job as far as the books know it: to be waited for, and to be ended where nothing is left to wait for."""
    return stored_as(Job, driver, row, rows)


def stored_as(kind: type[J], driver: Driver, row: JobRow, rows: Sequence[AttemptRow]) -> J:
    """The same as a job of its own kind."""
    accepted = [Attempt(attempt_ref(each)) for each in rows if each.state is _S.ACCEPTED]
    began = driver.sender.clock.monotonic()
    job = kind(row.id, driver, None, None, row.save_to, tuple(row.tags.items()), accepted, began)
    job.wanted = sum(attempt_ref(each).samples for each in rows)
    job.kept = [each for each in rows if each.state is _S.SUCCEEDED and each.remote_id is not None]
    ended = [each for each in rows if each.ended_ms is not None and each not in job.kept]
    job.shortfalls = [_ended(each) for each in ended]
    job.settlements = [_settlement(each) for each in ended if each.state in CHARGED]
    job.unknown = any(each.state in {_S.SENDING, _S.UNKNOWN} for each in rows)
    return job


async def take_up(driver: Driver, job: Job, files: Sequence[Path] = ()) -> None:
    """The takes that an earlier process had fetched: each lay under its name before its end was written.

    `files`: those names, where they are known; what is not among them is looked for where it was ordered.
    """
    takes: list[Video] = []
    gone: list[MultiVideoError] = []
    for row in job.kept:
        ref = attempt_ref(row)
        found: list[Video] = []
        for _ in range(ref.samples):
            number = len(takes) + len(found) + 1
            ordered = target(job.save_to, driver.home, ref.vendor.model, job.id, number)
            path = files[number - 1] if number <= len(files) else ordered
            with driver.sender.clock.working():
                take = await to_thread.run_sync(_lying, job, row, ref, path, len(found))
            if take is None:
                gone += [] if found else [_gone(row, path)]
                break
            found.append(take)
        prices = shared(row.charge or ZERO, len(found))
        takes += [evolve(take, charge=price) for take, price in zip(found, prices, strict=True)]
    job.settlements += map(_settlement, job.kept)
    job.takes += takes
    job.shortfalls += gone
    job.kept = []


def _lying(job: Job, row: AttemptRow, ref: AttemptRef, path: Path, number: int) -> Video | None:
    """The take as it lies there, measured; None: there is no whole video of that name."""
    expected = Expected(seconds=ref.file_seconds, width=ref.width, height=ref.height, fps=ref.fps, audio=ref.file_audio)
    try:
        measured, check = inspect(path, expected)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size_bytes = path.stat().st_size
    except (OSError, NotAVideo):
        return None
    return Video(
        path=path,
        model=ref.vendor.model,
        provider=ref.vendor.provider,
        job_id=job.id,
        prompt=None,
        duration=measured.duration,
        width=measured.width,
        height=measured.height,
        fps=measured.fps,
        has_audio=measured.has_audio,
        size_bytes=size_bytes,
        sha256=sha256,
        check=check,
        charge=ZERO,
        certainty=row.certainty or "assumed",
        plan=None,
        segments=(),
        created_at=dt.datetime.fromtimestamp((row.ended_ms or row.prepared_ms) / 1000, dt.UTC),
        tags=dict(job.tags),
        handle=VendorHandle(ref.vendor, number),
        raw=None,
    )


def _settlement(row: AttemptRow) -> Settlement:
    return Settlement(row.charge or ZERO, row.certainty or "assumed", row.said)


def _ended(row: AttemptRow) -> MultiVideoError:
    """What became of an attempt that ended without a video, for who was not told by the process that saw it."""
    kind, how = _ENDS[row.state]
    charge = row.charge or ZERO
    charged = "no" if not charge else "yes" if row.certainty != "assumed" else "unknown"
    said = f" ({row.said})" if row.said else ""
    error = kind(f"The call {row.id} to {row.provider} {how}{said}.", hint=_AGAIN, provider=row.provider)
    error.charge, error.job_id, error.attempt_id = charge, row.job_id, row.id
    error.step = (StepKind.POLL if row.state in {_S.FAILED, _S.FILTERED} else StepKind.SUBMIT).value
    error.charged = charged  # type: ignore[assignment] # mypy takes the three words for any
    error.cost = f"{charged}, {row.certainty}: {charge}" if charge else "no"
    return error


def _gone(row: AttemptRow, path: Path) -> DownloadFailed:
    return DownloadFailed(
        f"The video of {row.provider} was fetched, and does not lie at {path} any more.",
        hint="look for it where you may have moved it",
        provider=row.provider,
        job_id=row.job_id,
        attempt_id=row.id,
    )


def attempt_ref(row: AttemptRow) -> AttemptRef:
    """The call as it was ordered, with the vendor's id if that is known. Raises: LedgerError for a damaged row."""
    try:
        ref = read(AttemptRef, json.loads(row.call))
    except (ValueError, Unreadable) as why:
        raise LedgerError(f"What attempt {row.id} ordered cannot be read.", hint="restore a backup") from why
    at = row.accepted_ms or row.sent_ms or row.prepared_ms
    vendor = evolve(ref.vendor, remote_id=row.remote_id or "")
    return evolve(ref, vendor=vendor, submitted_at=at / 1000, segment=row.segment)


def segment_of(ref: AttemptRef) -> Segment:
    """The call as a plan would say it, as far as it is kept."""
    shape = f"{ref.width}:{ref.height}" if ref.width and ref.height else ""
    return Segment(
        mode=Mode(ref.mode),
        seconds=ref.seconds,
        resolution=ref.resolution,
        aspect_ratio=shape,
        width=ref.width,
        height=ref.height,
        fps=ref.fps,
        audio=ref.audio,
        samples=(ref.samples,),
    )
