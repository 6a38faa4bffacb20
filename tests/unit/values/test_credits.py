"""Money is exact, whatever is added, read or rounded, and is never a float."""

from __future__ import annotations

import copy
import operator
import pickle
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import multivideo as mv
from multivideo.values.credits import Credits, dollars, usd

LIMIT = 2**63
MICRO = st.integers(-(2**60), 2**60)
AMOUNTS = MICRO.map(lambda micro: Credits(micro_usd=micro))
NOTHING = Credits(micro_usd=0)


def test_a_credit_is_a_cent() -> None:
    assert usd("1.344").amount == Decimal("134.4")
    assert usd("1.344").usd == Decimal("1.344")
    assert usd("1.344").micro_usd == 1_344_000
    assert usd(5) == usd("5.00") == usd(Decimal(5)) == Credits.from_usd("5") == mv.usd("5")


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_sums_are_exact_in_any_order(a: Credits, b: Credits, c: Credits) -> None:
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert a + b - b == a
    assert a + NOTHING == a
    assert a - a == NOTHING
    assert sum([a, b, c]) == a + b + c
    assert (a + b).usd == a.usd + b.usd


@given(AMOUNTS, st.integers(-7, 7))
def test_multiples_are_sums(a: Credits, times: int) -> None:
    assert a * times == times * a
    assert (a * times).micro_usd == a.micro_usd * times
    assert -a == a * -1


@given(MICRO, MICRO)
def test_amounts_compare_as_their_numbers_do(a: int, b: int) -> None:
    one, other = Credits(micro_usd=a), Credits(micro_usd=b)
    assert (one < other, one <= other, one > other, one >= other) == (a < b, a <= b, a > b, a >= b)
    assert (one == other, one != other) == (a == b, a != b)
    assert max(one, other).micro_usd == max(a, b)
    assert (hash(one) == hash(other)) or a != b


@given(st.integers(1 - LIMIT, LIMIT - 1))
def test_an_amount_comes_back_from_all_its_forms(micro: int) -> None:
    money = Credits(micro_usd=micro)
    assert Credits.from_usd(money.usd) == money
    assert usd(str(money.usd)) == money
    assert eval(repr(money), {"Credits": Credits}) == money
    assert pickle.loads(pickle.dumps(money)) == copy.deepcopy(money) == money
    assert usd(dollars(money).removesuffix(" USD")) == money
    assert money.amount * 100 == money.usd * 10_000


@given(st.decimals("-1000000", "1000000", allow_nan=False))
def test_rounding_is_to_the_even_side_and_a_hold_is_never_less(amount: Decimal) -> None:
    exact = Fraction(amount) * 1_000_000
    assert usd(amount).micro_usd == round(exact)
    held = Credits.from_usd(amount, round_up=True).micro_usd
    assert 0 <= held - exact < 1


@pytest.mark.parametrize(
    ("text", "even", "up"),
    [
        ("0.0000005", 0, 1),
        ("0.0000015", 2, 2),
        ("0.0000025", 2, 3),
        ("-0.0000005", 0, 0),
        ("0.00000049999999999999999999999999999999999999", 0, 1),
        ("0.00000050000000000000000000000000000000000001", 1, 1),
        ("1.00000000000000000000000000000000000000000001", 1_000_000, 1_000_001),
        ("1e-999999", 0, 1),
    ],
)
def test_no_digit_is_lost_before_rounding(text: str, even: int, up: int) -> None:
    assert usd(text).micro_usd == even
    assert Credits.from_usd(text, round_up=True).micro_usd == up


def test_a_narrow_decimal_context_of_the_program_changes_no_amount() -> None:
    with localcontext(prec=3):
        money = usd("123456.789012")
        assert money.micro_usd == 123_456_789_012
        assert str(money.usd) == "123456.789012"
        assert str(money) == "12345678.9012 credits (123456.789012 USD)"


@pytest.mark.parametrize("amount", [1.5, 0.0, float("nan"), True, False, None, b"5", [5], Fraction(1, 2)])
def test_what_is_not_exact_is_no_money(amount: Any) -> None:
    with pytest.raises(TypeError, match="str, int or Decimal"):
        usd(amount)


@pytest.mark.parametrize("amount", ["nan", "-nan", "sNaN", "inf", "-Infinity", Decimal("nan"), Decimal("inf")])
def test_money_is_finite(amount: Any) -> None:
    with pytest.raises(ValueError, match="finite"):
        usd(amount)


@pytest.mark.parametrize("amount", ["", "five", "5 USD", "$5", "5,00", "0x10", "1e99999999999999999999", "x" * 10_000])
def test_what_is_no_number_is_told_with_an_example(amount: str) -> None:
    with pytest.raises(ValueError, match=r'money is a number such as "4\.99"') as caught:
        usd(amount)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("amount", ["1e400", "-1e400", "1e999999", "9223372036854.775808", 10**30, Decimal("1e13")])
def test_an_amount_that_no_ledger_holds_is_refused(amount: Any) -> None:
    with pytest.raises(ValueError, match="beyond what the books can hold"):
        usd(amount)


def test_the_largest_amount_is_that_of_a_64_bit_integer() -> None:
    assert usd("9223372036854.775807").micro_usd == LIMIT - 1
    with pytest.raises(ValueError, match="beyond"):
        usd("9223372036854.775807") + Credits(micro_usd=1)


@pytest.mark.parametrize("micro", [True, 1.0, "1", Decimal(1), None])
def test_micro_usd_is_a_whole_number(micro: Any) -> None:
    with pytest.raises(TypeError, match="whole number"):
        Credits(micro_usd=micro)


@pytest.mark.parametrize("other", [0.0, 1, 1.5, True, False, Decimal(1), "1", None])
def test_nothing_but_money_is_added_or_compared(other: Any) -> None:
    money = usd(1)
    for act in (operator.add, operator.sub, operator.lt, operator.le, operator.gt, operator.ge):
        with pytest.raises(TypeError):
            act(money, other)
        with pytest.raises(TypeError):
            act(other, money)
    assert money != other


@pytest.mark.parametrize("zero", [0.0, False, Decimal(0)])
def test_only_the_whole_zero_of_sum_is_added_to(zero: Any) -> None:
    assert 0 + usd(1) == usd(1)
    with pytest.raises(TypeError):
        zero + usd(1)


@pytest.mark.parametrize("times", [1.5, 2.0, True, Decimal(2), "2", usd(1)])
def test_money_is_multiplied_by_whole_numbers_only(times: Any) -> None:
    with pytest.raises(TypeError):
        usd(1) * times
    with pytest.raises(TypeError):
        times * usd(1)


@pytest.mark.parametrize(
    ("amount", "text", "short"),
    [
        ("3.2", "320 credits (3.20 USD)", "3.20 USD"),
        ("1.344", "134.4 credits (1.344 USD)", "1.344 USD"),
        ("0.01", "1 credit (0.01 USD)", "0.01 USD"),
        ("0", "0 credits (0.00 USD)", "0.00 USD"),
        ("0.000001", "0.0001 credits (0.000001 USD)", "0.000001 USD"),
        ("-5", "-500 credits (-5.00 USD)", "-5.00 USD"),
        ("1000000", "100000000 credits (1000000.00 USD)", "1000000.00 USD"),
    ],
)
def test_money_is_shown_exactly_with_cents_at_least(amount: str, text: str, short: str) -> None:
    assert str(usd(amount)) == text
    assert dollars(usd(amount)) == short


def test_a_repr_can_be_typed_again() -> None:
    assert repr(usd("1.3440")) == "Credits.from_usd('1.344')"


def test_nothing_is_false() -> None:
    assert not NOTHING
    assert usd("0.000001")
