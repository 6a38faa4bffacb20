"""Money: exact, integer micro-USD inside, `Decimal` at the border, one unit over all providers."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from functools import total_ordering

__all__ = ["Credits", "dollars", "usd"]

_LIMIT = 2**63  # what the books can hold: a signed integer of 64 bits, about 9.2 trillion dollars
_MICRO = Decimal("0.000001")
_EXACT = Context(prec=40)  # the program's own decimal context may be too narrow, and must not change an amount


@total_ordering
class Credits:
    """An amount of money. 1 credit = 0.01 USD; exact to a millionth of a dollar; never a float.

    Adds, subtracts and compares with other `Credits`, multiplies by whole numbers.
    """

    __slots__ = ("_micro_usd",)

    def __init__(self, *, micro_usd: int) -> None:
        if isinstance(micro_usd, bool) or not isinstance(micro_usd, int):
            raise TypeError(f"micro_usd is a whole number, not {type(micro_usd).__name__}")
        if not -_LIMIT < micro_usd < _LIMIT:
            raise ValueError("an amount of money beyond what the books can hold (9.2 trillion US dollars)")
        self._micro_usd = micro_usd

    @classmethod
    def from_usd(cls, amount: Decimal | int | str, *, round_up: bool = False) -> Credits:
        """That many US dollars. Fractions of a micro-USD are rounded half-even, or up for a hold.

        Raises: TypeError for a float or a bool, ValueError for what is no finite number or beyond all books.
        """
        if isinstance(amount, bool) or not isinstance(amount, Decimal | int | str):
            raise TypeError(f"money is given as str, int or Decimal, not {type(amount).__name__}")
        try:
            value = Decimal(amount)
        except InvalidOperation:
            raise ValueError(f'money is a number such as "4.99", not {str(amount)[:40]!r}') from None
        if not value.is_finite():
            raise ValueError(f"money is a finite number, not {value}")
        if value.adjusted() > len(str(_LIMIT)):  # before a large exponent is written out in digits
            return cls(micro_usd=_LIMIT)
        rounded = value.quantize(_MICRO, ROUND_CEILING if round_up else ROUND_HALF_EVEN, context=_EXACT)
        return cls(micro_usd=int(rounded.scaleb(6, context=_EXACT)))

    @property
    def micro_usd(self) -> int:
        """The same amount in millionths of a US dollar."""
        return self._micro_usd

    @property
    def usd(self) -> Decimal:
        """The same amount in US dollars, exact."""
        return Decimal(self._micro_usd).scaleb(-6, context=_EXACT)

    @property
    def amount(self) -> Decimal:
        """How many credits of 0.01 USD, exact."""
        return Decimal(self._micro_usd).scaleb(-4, context=_EXACT)  # 1 credit = 0.01 USD

    def __add__(self, other: Credits) -> Credits:
        return Credits(micro_usd=self._micro_usd + other._micro_usd) if isinstance(other, Credits) else NotImplemented

    def __radd__(self, other: object) -> Credits:
        return self if type(other) is int and other == 0 else NotImplemented  # for sum()

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
        amount = _plain(self.amount)
        return f"{amount} {'credit' if amount == '1' else 'credits'} ({dollars(self)})"

    def __repr__(self) -> str:
        return f"Credits.from_usd('{_plain(self.usd)}')"


def usd(amount: Decimal | int | str) -> Credits:
    """That many US dollars as `Credits`: `mv.usd("5")`. A float is refused, since it is not exact."""
    return Credits.from_usd(amount)


def dollars(amount: Credits) -> str:
    """The amount in US dollars for people, exact, with at least two decimals: "0.40 USD", "1.344 USD"."""
    cents = amount.usd.quantize(Decimal("0.01"), context=_EXACT)
    return f"{cents:f} USD" if cents == amount.usd else f"{_plain(amount.usd)} USD"


def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
