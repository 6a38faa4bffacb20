"""What lives between calls: names of jobs, small enough to store and good enough to go on from."""

from __future__ import annotations

import json
from typing import Any

from attrs import asdict, frozen

from ..errors import InvalidRequest, Problem

__all__ = ["AttemptRef", "JobRef", "VendorRef"]

FORMAT = 1  # of the JSON; every release reads what any earlier one wrote


@frozen
class VendorRef:
    """A job as its vendor knows it.

    `provider` is the name of the configured provider, `family` its protocol ("openai-videos", "kling", "veo-vertex"),
    `wire_model` the vendor's own id of the model.
    """

    provider: str
    family: str
    model: str
    wire_model: str
    remote_id: str


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
    submitted_at: float


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
            return _read(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise _unreadable(f"{type(error).__name__}: {error}") from None


def _read(data: Any) -> JobRef:
    if data["multivideo"] > FORMAT:
        raise _unreadable(f"format {data['multivideo']} of a newer release")
    attempts = tuple(
        AttemptRef(**{**attempt, "vendor": VendorRef(**attempt["vendor"])}) for attempt in data["attempts"]
    )
    tags = tuple((str(name), str(value)) for name, value in data.get("tags", ()))
    return JobRef(str(data["job_id"]), attempts, data.get("save_to"), tags)


def _unreadable(why: str) -> InvalidRequest:
    problem = Problem("ref", f"text that is no job reference ({why})", "what job.ref.to_json() wrote, or a job id")
    return InvalidRequest.of([problem], what="This job reference cannot be read.")
