"""How one provider does under one key: what may be tried again, and whether it is asked at all. Pure, told the time."""

from __future__ import annotations

from attrs import define, field

from .breaker import Breaker
from .retry import Outcome, StepKind

__all__ = ["Condition"]

MOST_TOKENS = 140
COSTS = {Outcome.NOT_SENT: 0, Outcome.THROTTLED: 5}  # what never left burdens nobody
RETRY_COSTS = 14


@define(eq=False)
class Condition:
    """The retry tokens and the breakers of a channel.

    A retry costs 14 tokens of 140, 5 after a 429; each call that works earns one, and a retry that works gets back
    what it cost. So a provider that fails half of its calls gets a twelfth more of them, not twice as many.
    """

    tokens: int = MOST_TOKENS
    breakers: dict[StepKind, Breaker] = field(init=False)

    def __attrs_post_init__(self) -> None:
        reading = Breaker()
        self.breakers = {
            StepKind.SUBMIT: Breaker(),
            StepKind.POLL: reading,
            StepKind.LOOK_UP: reading,
            StepKind.DOWNLOAD: Breaker(),
        }

    def pays(self, outcome: Outcome) -> bool:
        """Whether there are tokens for a retry after such a failure."""
        return self.tokens >= cost(outcome)

    def take(self, outcome: Outcome) -> int:
        """Take the tokens of a retry; how many that were."""
        taken = min(self.tokens, cost(outcome))
        self.tokens -= taken
        return taken

    def worked(self, kind: StepKind, now: float, taken: int) -> None:
        """A call worked; `taken`: what its last retry took."""
        self.tokens = min(MOST_TOKENS, self.tokens + taken + 1)
        self.breakers[kind].worked(now)

    def failed(self, kind: StepKind, outcome: Outcome, now: float, dice: float) -> None:
        """A call failed: only what a provider that is down does counts against it."""
        breaker = self.breakers[kind]
        if outcome in {Outcome.REFUSED, Outcome.THROTTLED}:
            breaker.worked(now)
        elif kind is not StepKind.DOWNLOAD or outcome is not Outcome.FAULTY:  # one bad file is not a bad provider
            breaker.failed(now, dice)


def cost(outcome: Outcome) -> int:
    """Tokens that a retry after such a failure costs."""
    return COSTS.get(outcome, RETRY_COSTS)
