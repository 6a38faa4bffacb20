"""What happens to a job, told as it happens: one class for each kind."""

from __future__ import annotations

from attrs import frozen

from .credits import Credits
from .plan import Plan
from .refs import JobRef

__all__ = [
    "Downloaded",
    "Event",
    "Failed",
    "Finished",
    "LeftOpen",
    "Planned",
    "Progress",
    "Retried",
    "Settled",
    "Submitted",
]


@frozen(kw_only=True)
class Event:
    """Anything that happened to a job.

    `sequence` counts the events of the job from 1; `at` is wall time in Unix seconds. `segment` and `attempt_id` say
    which part of the job is meant, where one is.
    """

    sequence: int
    job_id: str
    at: float
    segment: int | None = None
    attempt_id: str | None = None


@frozen(kw_only=True)
class LeftOpen(Event):
    """An earlier process left paid jobs behind: `client.recover()` goes on with them. Told once, at the first call."""

    job_ids: tuple[str, ...]


@frozen(kw_only=True)
class Planned(Event):
    """The model is chosen; nothing was sent yet."""

    plan: Plan


@frozen(kw_only=True)
class Submitted(Event):
    """The vendor has accepted one paid call. `ref` is what to store: with it the job can be resumed."""

    model: str
    provider: str
    ref: JobRef


@frozen(kw_only=True)
class Progress(Event):
    """One look at the vendor.

    `percent` only where the vendor tells it; `eta_s` is a guess from how long such jobs take; `word` is the vendor's
    own status word.
    """

    state: str
    word: str
    elapsed_s: float
    percent: int | None = None
    eta_s: float | None = None


@frozen(kw_only=True)
class Retried(Event):
    """A step failed in a way that costs nothing and is tried again after `wait_s` seconds."""

    step: str
    tries: int
    wait_s: float
    why: str


@frozen(kw_only=True)
class Downloaded(Event):
    """One take is on disk, whole."""

    path: str
    size_bytes: int
    sha256: str


@frozen(kw_only=True)
class Settled(Event):
    """What an attempt cost. `certainty`: "reported" by the vendor, "derived" from its price list, or "assumed"."""

    charge: Credits
    certainty: str


@frozen(kw_only=True)
class Failed(Event):
    """The job ended without a video; waiting for it raises the same error."""

    error: Exception


@frozen(kw_only=True)
class Finished(Event):
    """The video is there, measured and paid."""

    path: str
