"""One configured provider as those who drive jobs see it."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from ..catalog.facts import ModelPath
from ..transport.retry import StepKind
from ..transport.sender import Channel
from ..values.credits import Credits
from ..values.health import ProviderHealth, SlotUse
from .poller import Poller
from .slots import Gate

__all__ = ["Site"]


@frozen
class Site:
    """Its channel, poller and gate, what it serves under which prices."""

    channel: Channel
    poller: Poller
    gate: Gate
    vendor: str
    paths: Mapping[str, ModelPath] = field(repr=False)
    unit_prices: Mapping[str, Credits] = field(repr=False)

    def health(self, now: float) -> ProviderHealth:
        """How it does, at that monotonic time."""
        condition = self.channel.condition
        kinds = {"submit": StepKind.SUBMIT, "read": StepKind.POLL, "download": StepKind.DOWNLOAD}
        breakers = {name: condition.breakers[kind] for name, kind in kinds.items()}
        return ProviderHealth(
            provider=self.channel.provider.name,
            breakers={name: breaker.state(now) for name, breaker in breakers.items()},
            rests_s={name: rest for name, breaker in breakers.items() if (rest := breaker.rest(now)) > 0},
            retry_tokens=condition.tokens,
            slots={
                model: SlotUse(slots.taken, None if slots.limit is None else max(1, int(slots.limit)), slots.waiting)
                for model, slots in self.gate.slots.items()
            },
        )
