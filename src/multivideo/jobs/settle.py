"""What an attempt cost, once it has ended: reported by the vendor, derived from its price list, or assumed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from attrs import frozen

from ..catalog.facts import Certainty, FailureCharge
from ..values.credits import Credits, dollars
from ..values.refs import AttemptRef
from ..wire import Charge

__all__ = ["Settlement", "settle_failure", "settle_success", "shared"]


@frozen
class Settlement:
    """An amount and how sure it is: "reported", "derived" or "assumed"; `said` is the vendor's own figure."""

    amount: Credits
    certainty: str
    said: str | None = None


def settle_success(
    ref: AttemptRef, delivered: int, charge: Charge | None, unit_prices: Mapping[str, Credits], listed: bool
) -> Settlement:
    """What a finished attempt cost. `delivered` takes came; `listed`: its price stands in the vendor's list."""
    if (reported := _reported(charge, _frozen(ref, unit_prices))) is not None:
        return reported
    # never more than was held, whatever came; half a micro-USD goes to the even side
    share = round(Fraction(_price(ref) * min(delivered, ref.samples), ref.samples))
    return Settlement(Credits(micro_usd=share), "derived" if listed else "assumed")


def settle_failure(
    ref: AttemptRef,
    kind: str,
    charge: Charge | None,
    unit_prices: Mapping[str, Credits],
    rows: Sequence[FailureCharge],
) -> Settlement:
    """What an attempt without a video cost. `kind` is "failed" or "filtered"; nothing known: its whole price."""
    if (reported := _reported(charge, _frozen(ref, unit_prices))) is not None:
        return reported
    row = next((row for row in rows if row.kind == kind), None)
    charged = row is None or row.charged
    sure = row is not None and row.certainty is Certainty.DOCUMENTED
    return Settlement(Credits(micro_usd=_price(ref) if charged else 0), "derived" if sure else "assumed")


def shared(amount: Credits, takes: int) -> list[Credits]:
    """An amount divided among takes, to the last micro-USD."""
    each, rest = divmod(amount.micro_usd, max(1, takes))
    return [Credits(micro_usd=each + (number < rest)) for number in range(takes)]


def _price(ref: AttemptRef) -> int:
    return ref.held_micro_usd if ref.price_micro_usd is None else min(ref.held_micro_usd, ref.price_micro_usd)


def _frozen(ref: AttemptRef, unit_prices: Mapping[str, Credits]) -> Mapping[str, Credits]:
    """What a unit costs: as it was when the credits were held, where that is known."""
    return {**unit_prices, **{unit: Credits(micro_usd=price) for unit, price in ref.unit_prices}}


def _reported(charge: Charge | None, unit_prices: Mapping[str, Credits]) -> Settlement | None:
    """What the vendor says, its money and its units together; None where any part of it cannot be read."""
    if charge is None or (charge.amount is None and charge.units is None):
        return None
    amount = charge.amount or Credits(micro_usd=0)
    if charge.units is not None:
        unit_price = unit_prices.get(charge.unit or "")
        if unit_price is None:
            return None
        try:
            in_units = Credits.from_usd(Decimal(charge.units) * unit_price.usd)
        except (ArithmeticError, ValueError):  # no number, or none that money can be
            return None
        if in_units.micro_usd < 0:
            return None
        amount += in_units
    if amount.micro_usd < 0:
        return None
    cash = None if charge.amount is None else dollars(charge.amount)
    units = None if charge.units is None else f"{charge.units} {charge.unit}"
    return Settlement(amount, "reported", ", ".join(filter(None, (units, cash))))
