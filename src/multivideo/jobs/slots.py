"""How many jobs of a model an account runs at once: what its pack allows, and fewer once its vendor says so."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

from attrs import define, field

from ..clock import Clock, Nap
from ..errors import ProviderError
from ..values.refs import VendorRef
from ..wire import JobState
from .poller import Poller

__all__ = ["Gate", "Slots"]

LOOK_S = 5.0  # a place may be free since somebody else's job has ended, or one that nobody waits for
FEWER, CALM_S = 0.7, 5.0
FRESH_S, LONGEST_S = 60.0, 3600.0  # a young job may be invisible; one that is stuck for an hour blocks nobody
Alive = Callable[[], Awaitable[object]]


@define(eq=False)
class _Waiter:
    nap: Nap | None = None


@define(eq=False)
class Slots:
    """The places of one model. Whoever comes first waits first.

    With `most`, a place is taken from the submit to the job's end, as Kling counts; without, only while the submit is
    under way. A vendor that says "too many" lowers the limit to seven tenths of what is taken; each accepted job
    raises it again, by one for as many as there are places.
    """

    most: int | None
    _poller: Poller
    _clock: Clock
    limit: float | None = None
    """At most so many at once; None: nobody has said a number."""
    _taken: dict[str, VendorRef | None] = field(factory=dict)
    _since: dict[str, float] = field(factory=dict)
    """Since when each that was accepted has its place, by the monotonic clock."""
    _waiting: deque[_Waiter] = field(factory=deque)
    _calm_at: float = float("-inf")

    def __attrs_post_init__(self) -> None:
        self.limit = self.most

    @property
    def taken(self) -> int:
        """How many run, as far as is known here."""
        return len(self._taken)

    @property
    def waiting(self) -> int:
        """How many submits wait for a place."""
        return len(self._waiting)

    async def take(self, attempt_id: str, alive: Alive) -> None:
        """Wait for a place. `alive` is called now and then, to say that the job is not forgotten."""
        me = _Waiter()
        self._waiting.append(me)
        try:
            while self._waiting[0] is not me or self._full():
                me.nap = self._clock.nap(LOOK_S)
                await me.nap.sleep()
                await alive()
                if self._waiting[0] is me and self._full():
                    await self._look_at_oldest()
            self._taken[attempt_id] = None
        finally:
            self._waiting.remove(me)
            self._wake()

    def accepted(self, attempt_id: str, ref: VendorRef) -> None:
        """The vendor took it: with a limit on what runs, it keeps its place until it has ended."""
        if self.limit is not None and (self.most is None or self.limit < self.most):
            self.limit += 1 / self.limit
        if self.most is None:
            self.leave(attempt_id)
        else:
            self._taken[attempt_id] = ref
            self._since[attempt_id] = self._clock.monotonic()

    def joined(self, attempt_id: str, ref: VendorRef) -> None:
        """A job of earlier runs there too."""
        if self.most is not None and attempt_id not in self._taken:
            self._taken[attempt_id] = ref
            self._since[attempt_id] = self._clock.monotonic()

    def sent(self, attempt_id: str) -> None:
        """The submit is over: where no job came of it, its place is free."""
        if self._taken.get(attempt_id, "") is None:
            self.leave(attempt_id)

    def leave(self, attempt_id: str) -> None:
        """It has ended."""
        if attempt_id in self._taken:
            del self._taken[attempt_id]
            self._since.pop(attempt_id, None)
            self._wake()

    def throttled(self) -> None:
        """The vendor said that it is too many; several that say so at once mean it once."""
        now = self._clock.monotonic()
        if now >= self._calm_at:
            self.limit = max(1.0, FEWER * len(self._taken))
            self._calm_at = now + CALM_S

    def _full(self) -> bool:
        return self.limit is not None and len(self._taken) >= max(1, int(self.limit))

    def _wake(self) -> None:
        if self._waiting and self._waiting[0].nap is not None:
            self._waiting[0].nap.wake()

    async def _look_at_oldest(self) -> None:
        """See whether the job that runs longest has ended: its own waiter may be gone, or busy with another one."""
        attempt_id, ref = next(((one, ref) for one, ref in self._taken.items() if ref is not None), ("", None))
        if ref is None:
            return
        try:
            status = await self._poller.look(ref, 0)
        except ProviderError:
            return
        age = self._clock.monotonic() - self._since.get(attempt_id, self._clock.monotonic())
        vanished = status.state is JobState.MISSING and age > FRESH_S
        if status.state.ended or vanished or age > LONGEST_S:
            self.leave(attempt_id)
        elif attempt_id in self._taken:  # the next look is at another one
            self._taken[attempt_id] = self._taken.pop(attempt_id)


@define(eq=False)
class Gate:
    """The places of an account, counted for each of its models."""

    most: int | None
    _poller: Poller
    _clock: Clock
    slots: dict[str, Slots] = field(factory=dict)

    def of(self, model: str) -> Slots:
        """The places of that model."""
        if model not in self.slots:
            self.slots[model] = Slots(self.most, self._poller, self._clock)
        return self.slots[model]
