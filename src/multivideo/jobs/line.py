"""Those who wait for a look, in the order in which they are due."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack

import anyio
from attrs import define, field

from ..transport.sender import OnRetry
from ..values.refs import VendorRef
from ..wire import JobStatus
from .schedule import Kind

__all__ = ["NOW", "Course", "Line", "Watch"]

NOW = -math.inf  # due before all that is merely late


@define(eq=False)
class Course:
    """What was seen of a job since it was first waited for, in the clock's monotonic time."""

    began: float
    kind: Kind
    is_learned: bool = False
    """Whether its time will be learned."""
    unready: float | None = None
    """When it was last seen unfinished."""
    missing: float | None = None
    """Since when its vendor has not known it."""
    is_paced: bool = False
    """Its vendor has said when to look again."""
    is_told_stuck: bool = False


@define(eq=False)
class Watch:
    """One wait for one look."""

    ref: VendorRef
    due: float
    alone_due: float
    """When it would be due without a crowd."""
    ripe: float
    """From then on its job may have ended: it is seen in each look at a crowd."""
    early: bool
    """Whether it may be put off for a crowd."""
    on_retry: OnRetry | None
    course: Course | None
    place: ExitStack | None = None
    """What it holds while it asks for itself."""
    is_its_turn: bool = False
    """It asks for itself, now."""
    turn: anyio.Event = field(factory=anyio.Event)
    answer: JobStatus | Exception | None = None

    @property
    def waits(self) -> bool:
        """Whether it is still to be asked for by somebody."""
        return self.answer is None and not self.is_its_turn

    def tell(self, answer: JobStatus | Exception) -> None:
        """Give it its answer and wake it."""
        self.answer = answer
        self.turn.set()


@define(eq=False)
class Line:
    """All watches: by job, and by the time at which they are due."""

    _heap: list[tuple[float, int, Watch]] = field(factory=list)
    _by_job: dict[str, list[Watch]] = field(factory=dict)
    _order: Callable[[], int] = field(factory=lambda: itertools.count().__next__)
    size: int = 0

    def join(self, watch: Watch) -> None:
        """Let it wait for its turn."""
        self._by_job.setdefault(watch.ref.remote_id, []).append(watch)
        self.size += 1
        self.put(watch)

    def leave(self, watch: Watch) -> None:
        """Forget it."""
        others = self._by_job[watch.ref.remote_id]
        others.remove(watch)
        if not others:
            del self._by_job[watch.ref.remote_id]
        self.size -= 1
        watch.is_its_turn = True
        if watch.place is not None:
            watch.place.close()

    def put(self, watch: Watch) -> None:
        """Give it the place that its time has; once more, where that has become another."""
        heapq.heappush(self._heap, (watch.due, self._order(), watch))

    def of(self, remote_id: str) -> list[Watch]:
        """All who wait for that job."""
        return list(self._by_job.get(remote_id, ()))

    def first(self) -> Watch | None:
        """Who is due first."""
        while self._heap and not self._counts(*self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][2] if self._heap else None

    def take(self, until: float, most: int) -> list[Watch]:
        """Those who are due until then, out of the line, as many as that."""
        taken: list[Watch] = []
        while len(taken) < most and (watch := self.first()) is not None and watch.due <= until:
            heapq.heappop(self._heap)
            taken.append(watch)
        return taken

    @property
    def jobs(self) -> Collection[str]:
        """The jobs that are waited for."""
        return self._by_job.keys()

    def __iter__(self) -> Iterator[Watch]:
        return (watch for watches in self._by_job.values() for watch in watches if watch.waits)

    def _counts(self, due: float, _: int, watch: Watch) -> bool:
        return watch.waits and due == watch.due
