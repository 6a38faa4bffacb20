"""One configured provider as those who drive jobs see it."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from ..catalog.facts import ModelPath
from ..transport.sender import Channel
from ..values.credits import Credits
from .poller import Poller

__all__ = ["Site"]


@frozen
class Site:
    """Its channel and poller, what it serves under which prices."""

    channel: Channel
    poller: Poller
    vendor: str
    paths: Mapping[str, ModelPath] = field(repr=False)
    unit_prices: Mapping[str, Credits] = field(repr=False)
