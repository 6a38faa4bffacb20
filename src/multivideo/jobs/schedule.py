"""When to look at a job: by how long such jobs have taken lately, as far as that is known. Pure."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable

from attrs import define, field, frozen

__all__ = ["Durations", "Kind", "Schedule", "pace"]

KEPT = 50  # and no more are learned from at once: of a burst the first that began, not the last that ended
FEWEST = 5  # so many must have been seen before their times count
FIRST = 0.98  # of p10; simulated for jobs of 24 to 36 s: from 0.9 on a look and a half more, for the same lag
GAP = 0.048  # of the elapsed time
LEAST_GAP_S, MOST_GAP_S, LATE_GAP_S = 1.0, 15.0, 60.0
LATE_GROWTH = 0.3  # each gap after p95 is 1.3 of the one before
STUCK = 3.0  # times p95


@frozen
class Kind:
    """What the time of a job depends on, at one vendor."""

    model: str
    seconds: int
    resolution: str


@frozen
class Durations:
    """Seconds from accepted to ready, that a tenth, half and all but a twentieth of the last jobs took at most."""

    p10_s: float
    p50_s: float
    p95_s: float


def pace(elapsed_s: float, random: Callable[[], float], asked_s: float | None = None) -> float:
    """Seconds to the next look: what was asked for, else half of the elapsed time, 1 to 10 s, a tenth of it random."""
    if asked_s is not None:
        return asked_s
    return min(10.0, max(1.0, 0.5 * elapsed_s)) * (0.95 + 0.1 * random())


@define
class Schedule:
    """How long jobs take, learned from those that were waited for, and when to look at the next."""

    _seen: dict[Kind, deque[float]] = field(factory=dict)
    _known: dict[Kind, Durations] = field(factory=dict)
    _under_way: dict[Kind, int] = field(factory=dict)

    def durations(self, kind: Kind) -> Durations | None:
        """What is known of such jobs; None: not enough."""
        return self._known.get(kind)

    def enroll(self, kind: Kind) -> bool:
        """Whether a job that begins now shall be learned from: chosen by its begin, since short ones end first.

        Each that is enrolled is to be dismissed, when it is learned or when nobody waits for it any more.
        """
        if (under_way := self._under_way.get(kind, 0)) >= KEPT:
            return False
        self._under_way[kind] = under_way + 1
        return True

    def dismiss(self, kind: Kind) -> None:
        """Give the place of an enrolled job to the next."""
        self._under_way[kind] -= 1

    def learn(self, kind: Kind, unready_s: float | None, ready_s: float) -> None:
        """Note a finished job by its age when it was last seen unfinished (None: never) and when it was seen ready.

        What lies between is our own lag: the middle counts. A job of which we know too little counts not at all.
        """
        took = self._took(kind, unready_s, ready_s)
        if took is None:
            return
        seen = self._seen.setdefault(kind, deque(maxlen=KEPT))
        seen.append(took)
        if len(seen) >= max(FEWEST, self._under_way.get(kind, 0)):  # while most still run, only the short ones are seen
            cuts = statistics.quantiles(seen, n=20, method="inclusive")
            self._known[kind] = Durations(cuts[1], cuts[9], cuts[18])

    def _took(self, kind: Kind, unready_s: float | None, ready_s: float) -> float | None:
        if unready_s is not None:
            lag = ready_s - unready_s
            return unready_s + lag / 2 if lag <= max(2.0, 0.4 * ready_s) else None
        # ready at the first look: at most so long. It counts where the look came as planned, and a little lower, so
        # that the looks come earlier, step by step, while a vendor gets faster.
        return 0.9 * ready_s if ready_s <= 1.1 * self.first_s(kind) + 1 else None

    def first_s(self, kind: Kind) -> float:
        """The age at which a look at such a job begins to pay."""
        known = self._known.get(kind)
        return FIRST * known.p10_s if known is not None else LEAST_GAP_S

    def wait_s(self, kind: Kind, elapsed_s: float, random: Callable[[], float]) -> float:
        """Seconds to the next look at a job of that age, a tenth of each gap random."""
        known = self._known.get(kind)
        if known is None:
            return pace(elapsed_s, random)
        first = self.first_s(kind)
        sway = _gap_s(first) / 4
        if elapsed_s < first - sway:  # else the first look was just taken
            return first - elapsed_s + sway * (2 * random() - 1)
        late = elapsed_s - known.p95_s
        gap = _gap_s(elapsed_s) if late <= 0 else min(LATE_GAP_S, _gap_s(known.p95_s) + LATE_GROWTH * late)
        return gap * (0.95 + 0.1 * random())

    def left_s(self, kind: Kind, elapsed_s: float, typical_s: float | None = None) -> float | None:
        """Seconds until such a job is likely to be ready; `typical_s` counts where nothing is learned."""
        known = self._known.get(kind)
        if known is None:
            return None if typical_s is None else max(0.0, typical_s - elapsed_s)
        return max(0.0, (known.p50_s if elapsed_s < known.p50_s else known.p95_s) - elapsed_s)

    def stuck_s(self, kind: Kind, high_s: float | None = None) -> float | None:
        """The age from which on a job takes far longer than such jobs do; `high_s` counts where nothing is learned."""
        known = self._known.get(kind)
        longest = high_s if known is None else known.p95_s
        return None if longest is None else STUCK * longest + LATE_GAP_S


def _gap_s(elapsed_s: float) -> float:
    return min(MOST_GAP_S, max(LEAST_GAP_S, GAP * elapsed_s))
