"""Money: exact, integer micro-USD inside, `Decimal` at the border, one unit over all providers."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from functools import total_ordering

__all__ = ["Credits", "usd"]

_MICRO = Decimal(1_000_000)
_MICRO_PER_CREDIT = 10_000  # 1 credit = 0.01 USD


@total_ordering
class Credits:
    """An amount of money. 1 credit = 0.01 USD; exact to a millionth of a dollar; never a float.

    Adds, subtracts and compares with other `Credits`, multiplies by whole numbers.
    """

    __slots__ = ("_micro_usd",)

    def __init__(self, *, micro_usd: int) -> None:
        if isinstance(micro_usd, bool) or not isinstance(micro_usd, int):
            raise TypeError(f"micro_usd is a whole number, not {type(micro_usd).__name__}")
        self._micro_usd = micro_usd

    @classmethod
    def from_usd(cls, amount: Decimal | int | str, *, round_up: bool = False) -> Credits:
        """That many US dollars. Fractions of a micro-USD are rounded half-even, or up for a hold."""
        if isinstance(amount, bool) or not isinstance(amount, Decimal | int | str):
            raise TypeError(f"money is given as str, int or Decimal, not {type(amount).__name__}")
        value = Decimal(amount)
        if not value.is_finite():
            raise ValueError(f"money is a finite number, not {amount}")
        rounding = ROUND_CEILING if round_up else ROUND_HALF_EVEN
        return cls(micro_usd=int((value * _MICRO).to_integral_value(rounding)))

    @property
    def micro_usd(self) -> int:
        """The same amount in millionths of a US dollar."""
        return self._micro_usd

    @property
    def usd(self) -> Decimal:
        """The same amount in US dollars, exact."""
        return Decimal(self._micro_usd) / _MICRO

    @property
    def amount(self) -> Decimal:
        """How many credits of 0.01 USD, exact."""
        return Decimal(self._micro_usd) / _MICRO_PER_CREDIT

    def __add__(self, other: Credits) -> Credits:
        return Credits(micro_usd=self._micro_usd + other._micro_usd) if isinstance(other, Credits) else NotImplemented

    def __radd__(self, other: object) -> Credits:
        return self if other == 0 and not isinstance(other, Credits) else NotImplemented  # for sum()

    def __sub__(self, other: Credits) -> Credits:
        return Credits(micro_usd=self._micro_usd - other._micro_usd) if isinstance(other, Credits) else NotImplemented

    def __mul__(self, times: int) -> Credits:
        if isinstance(times, bool) or not isinstance(times, int):
            return NotImplemented
        return Credits(micro_usd=self._micro_usd * times)

    __rmul__ = __mul__

    def __neg__(self) -> Credits:
        return Credits(micro_usd=-self._micro_usd)

    def __bool__(self) -> bool:
        return self._micro_usd != 0

    def __eq__(self, other: object) -> bool:
        return self._micro_usd == other._micro_usd if isinstance(other, Credits) else NotImplemented

    def __lt__(self, other: Credits) -> bool:
        return self._micro_usd < other._micro_usd if isinstance(other, Credits) else NotImplemented

    def __hash__(self) -> int:
        return hash((Credits, self._micro_usd))

    def __str__(self) -> str:
        return f"{_plain(self.amount)} credits ({_dollars(self.usd)} USD)"

    def __repr__(self) -> str:
        return f"Credits.from_usd('{_plain(self.usd)}')"


def usd(amount: Decimal | int | str) -> Credits:
    """That many US dollars as `Credits`: `mv.usd("5")`. A float is refused, since it is not exact."""
    return Credits.from_usd(amount)


def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _dollars(value: Decimal) -> str:
    cents = value.quantize(Decimal("0.01"))
    return f"{cents:f}" if cents == value else _plain(value)
