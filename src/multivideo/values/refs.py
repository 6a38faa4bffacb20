"""What lives between calls: names of jobs, small enough to store and good enough to go on from."""

from __future__ import annotations

import json
import math
import re

from attrs import Factory, asdict, field, frozen
from attrs.converters import optional

from ..errors import InvalidRequest, Problem
from ..shapes import Unreadable, read

__all__ = ["AttemptRef", "JobRef", "VendorHandle", "VendorRef"]

FORMAT = 1  # of the JSON; every release reads what any earlier one wrote


@frozen
class VendorRef:
    """A job as its vendor knows it.

    `provider` is the name of the configured provider, `family` its protocol ("openai-videos", "kling", "kling-legacy",
    "veo-vertex" or "veo-gemini"), `wire_model` the vendor's own id of the model.
    """

    provider: str
    family: str
    model: str
    wire_model: str
    remote_id: str


@frozen
class VendorHandle:
    """A finished take as its vendor knows it: what extends or edits it there without sending its bytes back.

    `take` counts from 0. `url` is where the vendor keeps the file, None: it does not; it may end at `expires_at`, Unix
    seconds.
    """

    ref: VendorRef
    take: int = 0
    url: str | None = field(default=None, repr=lambda url: "None" if url is None else "<url>")
    expires_at: float | None = None


@frozen
class AttemptRef:
    """One accepted submit: what was ordered, and what it may cost."""

    attempt_id: str
    vendor: VendorRef
    mode: str
    resolution: str
    seconds: int
    width: int | None
    height: int | None
    fps: int
    audio: bool
    samples: int
    held_micro_usd: int
    submitted_at: float = field(converter=float)
    file_seconds: float | None = field(
        default=Factory(lambda self: float(self.seconds), takes_self=True), converter=optional(float)
    )
    file_audio: bool | None = field(default=Factory(lambda self: self.audio, takes_self=True))
    watermark: bool = False
    unit_prices: tuple[tuple[str, int], ...] = ()
    """What a vendor's own unit cost in micro-USD when the credits were held."""
    listed: bool = False
    """Whether the price stood in the vendor's own list then."""
    price_micro_usd: int | None = None
    """What it costs where the vendor does not say; None: what is held, which may be more than the list price."""
    segment: int = 1
    """The part of the job's plan that it makes, from 1."""


@frozen
class JobRef:
    """Everything another process needs to go on with a paid job. `to_json()` is what to store.

    It holds no prompt and no key. `AsyncClient.resume()` takes it, or its JSON.
    """

    job_id: str
    attempts: tuple[AttemptRef, ...]
    save_to: str | None = None
    tags: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps({"multivideo": FORMAT, **asdict(self)}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> JobRef:
        """The reference that `to_json` wrote, in this or an earlier release.

        Raises: InvalidRequest if it is something else.
        """
        try:
            data = json.loads(text)
        except (ValueError, TypeError, RecursionError):
            raise _unreadable("no JSON") from None
        number = data.get("multivideo") if isinstance(data, dict) else None
        if type(number) is not int or number < 1:
            raise _unreadable("JSON of something else")
        if number > FORMAT:
            hint = "pip install --upgrade multivideo"
            raise _unreadable(f"format {str(number)[:20]} of a newer release; this one reads up to {FORMAT}", hint)
        try:
            ref = read(cls, data)
        except Unreadable as error:
            raise _unreadable(str(error)) from None
        if wrong := _senseless(ref):
            raise _unreadable(wrong)
        return ref


def _senseless(ref: JobRef) -> str:
    """What no release ever wrote, and what would do harm later: ids become file names, amounts become money."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", ref.job_id):
        return "its job_id is none of ours"
    if not ref.attempts:
        return "it has no attempts"
    for attempt in ref.attempts:
        sane = attempt.samples >= 1 and attempt.seconds >= 1 and 0 <= attempt.held_micro_usd < 2**63
        if not sane or not math.isfinite(attempt.submitted_at):
            return f"an impossible number in attempt {attempt.attempt_id[:40]!r}"
    return ""


def _unreadable(why: str, hint: str = "") -> InvalidRequest:
    allowed = "what job.ref.to_json() wrote, or a job id of this client"
    problem = Problem("ref", f"text that is no job reference ({why})", allowed, hint=hint)
    return InvalidRequest.of([problem], what="This job reference cannot be read.")
