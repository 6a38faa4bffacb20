"""What an attempt cost, once it has ended: reported by the vendor, derived from its price list, or assumed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation

from attrs import frozen

from ..catalog.facts import Certainty, FailureCharge
from ..values.credits import Credits
from ..values.refs import AttemptRef
from ..wire import Charge

__all__ = ["Settlement", "settle_failure", "settle_success"]


@frozen
class Settlement:
    """An amount and how sure it is: "reported", "derived" or "assumed"."""

    amount: Credits
    certainty: str


def settle_success(
    ref: AttemptRef, delivered: int, charge: Charge | None, unit_prices: Mapping[str, Credits], listed: bool
) -> Settlement:
    """What a finished attempt cost. `delivered` takes came; `listed`: its price stands in the vendor's list."""
    if (reported := _reported(charge, unit_prices)) is not None:
        return reported
    share = Credits(micro_usd=ref.held_micro_usd * delivered // ref.samples)
    return Settlement(share, "derived" if listed else "assumed")


def settle_failure(
    ref: AttemptRef,
    kind: str,
    charge: Charge | None,
    unit_prices: Mapping[str, Credits],
    rows: Sequence[FailureCharge],
) -> Settlement:
    """What an attempt without a video cost. `kind` is "failed" or "filtered"; nothing known: its whole price."""
    if (reported := _reported(charge, unit_prices)) is not None:
        return reported
    row = next((row for row in rows if row.kind == kind), None)
    if row is None or row.charged:
        return Settlement(Credits(micro_usd=ref.held_micro_usd), "assumed")
    return Settlement(Credits(micro_usd=0), "derived" if row.certainty is Certainty.DOCUMENTED else "assumed")


def _reported(charge: Charge | None, unit_prices: Mapping[str, Credits]) -> Settlement | None:
    """What the vendor says, its money and its units together; None where any part of it cannot be read."""
    if charge is None or (charge.amount is None and charge.units is None):
        return None
    amount = charge.amount or Credits(micro_usd=0)
    if charge.units is not None:
        unit_price = unit_prices.get(charge.unit or "")
        try:
            units = Decimal(charge.units)
        except InvalidOperation:
            return None
        if unit_price is None or not units.is_finite() or units < 0:
            return None
        amount += Credits.from_usd(units * unit_price.usd)
    return Settlement(amount, "reported")
