"""When a provider that fails is left in peace, and when it may be tried again: pure, told the time."""

from __future__ import annotations

from collections import deque

from attrs import define, field

__all__ = ["Breaker"]

IN_A_ROW = 5
WINDOW_S = 30.0
FEWEST_IN_WINDOW = 10
REST_S, LONGEST_REST_S = 30.0, 300.0
JITTER = 0.2
TRIAL_S = 150.0  # a trial that was never told of, of a task that was killed, is over by then


@define(eq=False)
class Breaker:
    """Opens after 5 failures in a row, or when half of at least 10 calls within 30 s fail.

    It stays open for 30 s, each time in a row 30 s longer, at most 300 s, a fifth more or less. Then it is half open:
    one call tries, and closes it or opens it again. All times are of one monotonic clock.
    """

    _calls: deque[tuple[float, bool]] = field(factory=lambda: deque(maxlen=200))
    _in_a_row: int = 0
    _rests: int = 0
    _open_until: float | None = None
    _trial_until: float = float("-inf")

    def state(self, now: float) -> str:
        """In the words of the trade: "closed", "open" or "half-open"."""
        if self._open_until is None:
            return "closed"
        return "open" if now < self._open_until else "half-open"

    def rest(self, now: float) -> float:
        """Seconds for which it is not to be asked; 0: ask."""
        if self._open_until is None:
            return 0.0
        return max(0.0, self._open_until - now, self._trial_until - now)

    def begin(self, now: float) -> bool:
        """A call leaves; whether it is the one that tries a provider that has failed."""
        tries = self._open_until is not None
        if tries:
            self._trial_until = now + TRIAL_S
        return tries

    def worked(self, now: float) -> None:
        """It answered: a call worked, or it was a clean no."""
        self._calls.append((now, True))
        self._in_a_row = self._rests = 0
        if self._open_until is not None:
            self._turn(None)

    def failed(self, now: float, dice: float) -> None:
        """A call failed as it does where a provider is down; `dice`, from 0 to 1, varies the rest that may follow."""
        self._calls.append((now, False))
        self._in_a_row += 1
        if self._open_until is not None:
            if now >= self._open_until:  # the trial; what left before it opened says nothing new
                self._open(now, dice)
        elif self._in_a_row >= IN_A_ROW or self._half_fail(now):
            self._open(now, dice)

    def abandoned(self) -> None:
        """The trial was cancelled: the next call tries."""
        self._trial_until = float("-inf")

    def _half_fail(self, now: float) -> bool:
        recent = [ok for at, ok in self._calls if at > now - WINDOW_S]
        return len(recent) >= FEWEST_IN_WINDOW and 2 * sum(recent) <= len(recent)

    def _open(self, now: float, dice: float) -> None:
        self._rests += 1
        rest = min(LONGEST_REST_S, REST_S * self._rests)
        self._turn(now + rest * (1 - JITTER + 2 * JITTER * dice))

    def _turn(self, open_until: float | None) -> None:
        self._open_until, self._trial_until = open_until, float("-inf")
        self._calls.clear()
