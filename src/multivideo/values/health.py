"""How a provider does, as this client has seen it."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

__all__ = ["ProviderHealth", "SlotUse"]


@frozen
class SlotUse:
    """Jobs of one model: how many take a place, how many may at once (None: nobody has said), how many wait for one."""

    used: int
    limit: int | None
    waiting: int


@frozen(kw_only=True)
class ProviderHealth:
    """What this client knows of a provider by its own calls; asking costs nothing and sends nothing.

    Attributes:
        provider: its name, as in the plan.
        breakers: for "submit", "read" and "download": "closed" (it is asked), "open" (it failed, and is left in peace)
            or "half-open" (the next call tries it).
        rests_s: seconds until an open one may be tried.
        retry_tokens: of 140; a retry costs 14, or 5 after a 429, and there is none without them.
        slots: by model, as far as any was used.
    """

    provider: str
    breakers: Mapping[str, str]
    rests_s: Mapping[str, float]
    retry_tokens: int
    slots: Mapping[str, SlotUse] = field(factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every kind of call is let through."""
        return all(state == "closed" for state in self.breakers.values())

    def __str__(self) -> str:
        calls = ", ".join(
            f"{kind} {state}{f' for {self.rests_s[kind]:.0f} s' if self.rests_s.get(kind) else ''}"
            for kind, state in self.breakers.items()
        )
        places = "".join(
            f"; {model} {use.used} of {use.limit if use.limit is not None else 'any number'} at once"
            f"{f', {use.waiting} waiting' if use.waiting else ''}"
            for model, use in self.slots.items()
        )
        return f"{self.provider}: {calls}; {self.retry_tokens} retry tokens{places}"
