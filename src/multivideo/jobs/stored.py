"""A job of the books as a reference to go on from."""

from __future__ import annotations

import json
from collections.abc import Sequence

from attrs import evolve

from ..errors import LedgerError
from ..ledger.records import AttemptRow, AttemptState, JobRow
from ..shapes import Unreadable, read
from ..values.plan import Segment
from ..values.refs import AttemptRef, JobRef
from ..values.words import Mode

__all__ = ["attempt_ref", "job_ref", "segment_of"]


def job_ref(job: JobRow, attempts: Sequence[AttemptRow]) -> JobRef | None:
    """What there is to wait for: every call that was accepted. None: nothing was."""
    accepted = tuple(attempt_ref(row) for row in attempts if row.state is AttemptState.ACCEPTED)
    return JobRef(job.id, accepted, job.save_to, tuple(job.tags.items())) if accepted else None


def attempt_ref(row: AttemptRow) -> AttemptRef:
    """The call as it was ordered, with the vendor's id if that is known. Raises: LedgerError for a damaged row."""
    try:
        ref = read(AttemptRef, json.loads(row.call))
    except (ValueError, Unreadable) as why:
        raise LedgerError(f"What attempt {row.id} ordered cannot be read.", hint="restore a backup") from why
    at = row.accepted_ms or row.sent_ms or row.prepared_ms
    return evolve(ref, vendor=evolve(ref.vendor, remote_id=row.remote_id or ""), submitted_at=at / 1000)


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
