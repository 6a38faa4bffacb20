"""When many jobs are looked at together, and which: decisions without a request."""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Sequence

from attrs import define, field

from .line import Watch
from .lists import PAGE, Places, Reading

__all__ = ["COVERED_S", "CROWD", "Crowd"]

CROWD = 20  # so many jobs are looked at together; fewer cost less one by one
REST = 1 / 30  # of their age, between two looks at a crowd
LEAST_REST_S, MOST_REST_S = 1.0, 15.0
AFTER_S = 0.25  # between the end of a round and the next
COVERED_S = 10.0  # who waits for a job in a crowd hears that much later that it still runs
OFF_S = 60.0  # after a look that failed or did not pay


@define(eq=False)
class Crowd:
    """The jobs of an account that may have ended, where its vendor has a request for many or lists all."""

    can_batch: bool
    can_list: bool
    at: float = math.inf
    """When the next round may begin."""
    is_on: bool = False
    """Whether rounds see to all who may be put off."""
    ripe: list[Watch] = field(factory=list)
    """Those who are still to be looked at in this round, by requests for many."""
    reading: Reading | None = None
    """The round under way, by the list."""
    oldest_s: float = 0.0
    """The greatest age of all who wait."""
    began: float = -math.inf
    """When the last round began."""
    places: Places = field(factory=Places)
    _rest_s: float = LEAST_REST_S
    _off_until: float = -math.inf
    _new: int = 0

    def tells(self, watch: Watch, now: float) -> bool:
        """Whether somebody is to hear that a job still runs: who is due, or would be before the next round."""
        return watch.due <= now + (2 * self._rest_s + LEAST_REST_S if watch.early else 0)

    @property
    def is_busy(self) -> bool:
        """Whether a round is under way."""
        return bool(self.ripe) or self.reading is not None

    def joined(self, watch: Watch, size: int, now: float) -> None:
        """Somebody began to wait, and is one of that many: there may be a crowd once that job is ripe.

        Many new ones are looked for in the list while they still stand at its top.
        """
        if size < CROWD or not (self.can_batch or self.can_list):
            return
        self._new += self.can_list and not self.places.knows(watch.ref.remote_id)
        wanted = now if self._new >= PAGE else watch.ripe
        self.at = min(self.at, max(wanted, self.began + self._rest_s, self._off_until))

    def patience_s(self, size: int, now: float) -> float:
        """How much longer one of that many waits to be asked for alone: a round should see its job before."""
        if self.is_on:
            return COVERED_S
        comes = size >= CROWD and (self.can_batch or self.can_list) and now >= self._off_until
        return 1.5 * LEAST_REST_S if comes else 0.0

    def begin(self, watches: Sequence[Watch], now: float) -> None:
        """Start a round where there is a crowd and a look at it pays, and set the time of the next."""
        ages = sorted(0.0 if watch.course is None else now - watch.course.began for watch in watches)
        self.oldest_s = ages[-1] if ages else 0.0
        ripe = [watch for watch in watches if watch.ripe <= now]
        self.began, self._new = now, 0
        self.is_on = len(ripe) >= CROWD
        if self.is_on:
            # of the one in the middle: a stuck job slows nobody down
            ages = sorted(0.0 if watch.course is None else now - watch.course.began for watch in ripe)
            self._rest_s = min(MOST_REST_S, max(LEAST_REST_S, REST * ages[len(ages) // 2]))
            self.at = now + self._rest_s
        else:
            self.at = self._crowd_from([watch.ripe for watch in watches], now)
        if self.can_batch:
            self.ripe = ripe if self.is_on else []
            return
        wanted = {watch.ref.remote_id for watch in ripe} if self.is_on else set()
        self.reading = self.places.plan(wanted, {watch.ref.remote_id for watch in watches})
        self.is_on = self.is_on and self.reading is not None

    def _crowd_from(self, ripe_at: list[float], now: float) -> float:
        if len(ripe_at) < CROWD:
            return math.inf
        return max(now + LEAST_REST_S, heapq.nsmallest(CROWD, ripe_at)[-1])

    def end(self, waiting: Collection[str], now: float) -> None:
        """The round is over; before the next others have their turn."""
        pays = True
        if self.reading is not None:
            pays = self.reading.pays
            self.places.end(self.reading, waiting)
        self.reading, self.ripe = None, []
        self.at = max(self.at, now + AFTER_S)
        if not pays:
            self.stop(now)

    def stop(self, now: float) -> None:
        """No rounds for a while: one has failed, or shows too little."""
        self.reading, self.ripe, self.is_on = None, [], False
        self._off_until = self.at = now + OFF_S
