"""Jobs that another process has accepted, as far as this one knows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from attrs import define, field, frozen

from multivideo.sandbox.clip import Clip
from multivideo.sandbox.faults import Script
from multivideo.sandbox.jobs import Job
from multivideo.sandbox.pool import Outcome, Rendering, RenderPool

__all__ = ["Record"]


@define(eq=False)
class _Revived:
    """A file of such a job. How it came out may be known; else it is rendered once somebody asks whether it is there.

    So a crowd of old jobs costs nothing, and a job whose process died before its file was made goes on all the same.
    """

    _load: Callable[[], Clip]
    _begin: Callable[[Clip], Rendering]
    _known: Outcome | None
    _clip: Clip | None = None
    _rendering: Rendering | None = None

    @property
    def clip(self) -> Clip:
        """What to render."""
        if self._clip is None:
            self._clip = self._load()
        return self._clip

    @property
    def outcome(self) -> Outcome | None:
        """As far as it is known without rendering."""
        return self._rendering.outcome if self._rendering is not None else self._known

    @property
    def finished(self) -> float | None:
        """Wall time at which it was made; None: not yet."""
        if self.outcome is None and self._rendering is None:
            self._rendering = self._begin(self.clip)
        return None if self.outcome is None else self.outcome.at

    @property
    def error(self) -> str | None:
        """Why there is none."""
        return None if self.outcome is None else self.outcome.error


@frozen(kw_only=True)
class Record:
    """A job as it stands in a file.

    Args:
        order: arguments of `Job` that never change.
        count: how many files it has.
        made: how they came out; None: nobody was told yet.
    """

    door: str
    id: str
    credential: str
    order: Mapping[str, Any] = field(repr=False)
    script: Script
    count: int
    made: tuple[Outcome, ...] | None
    deleted: bool

    def job(self, place: int, pool: RenderPool, load: Callable[[str, str], tuple[Clip, ...]]) -> Job:
        """The job itself. Its clips are loaded once they are needed; its draft has none."""

        def one(number: int) -> Clip:
            return load(self.door, self.id)[number]

        known = self.made or (None,) * self.count
        return Job(
            id=self.id,
            door=self.door,
            credential=self.credential,
            place=place,
            **self.order,
            script=self.script,
            renderings=tuple(_Revived(partial(one, number), pool.start, out) for number, out in enumerate(known)),
            deleted=self.deleted,
        )
