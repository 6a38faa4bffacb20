"""What an attempt cost: the vendor's word first, then its list, then the careful reading."""

from __future__ import annotations

import datetime as dt

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

import multivideo as mv
from multivideo.catalog.book import UNIT_PRICES, Catalog
from multivideo.catalog.facts import Certainty, FailureCharge, Source
from multivideo.catalog.kling import UNIT
from multivideo.jobs.settle import Settlement, settle_failure, settle_success
from multivideo.values.refs import AttemptRef, VendorRef
from multivideo.wire import Charge

REF = AttemptRef(
    attempt_id="mv-1-1",
    vendor=VendorRef("vertex", "veo-vertex", "veo-3.1", "veo-3.1-generate-001", "operations/7"),
    mode="text",
    resolution="720p",
    seconds=8,
    width=1280,
    height=720,
    fps=24,
    audio=True,
    samples=4,
    held_micro_usd=12_800_000,
    submitted_at=0.0,
)
HELD, NOTHING = mv.usd("12.80"), mv.usd(0)
PRICES = {UNIT: mv.usd("0.14")}
SOURCE = Source("price page", dt.date(2026, 9, 2))


def said(amount: mv.Credits | None = None, units: str | None = None, unit: str | None = UNIT) -> Charge:
    return Charge(amount, units, unit if units is not None else None, "as it came")


def row(kind: str, certainty: Certainty, *, charged: bool) -> FailureCharge:
    return FailureCharge(kind=kind, charged=charged, source=SOURCE, certainty=certainty)


@pytest.mark.parametrize(
    ("charge", "amount", "figure"),
    [
        (said(mv.usd("1.10")), "1.10", "1.10 USD"),
        (said(mv.usd(0)), "0", "0.00 USD"),
        (said(units="9.6"), "1.344", "9.6 Kling unit"),
        (said(units="0"), "0", "0 Kling unit"),
        (said(mv.usd("1"), "10"), "2.40", "10 Kling unit, 1.00 USD"),
    ],
)
def test_what_the_vendor_reports_is_what_it_cost(charge: Charge, amount: str, figure: str) -> None:
    expected = Settlement(mv.usd(amount), "reported", figure)
    assert settle_success(REF, 4, charge, PRICES, True) == expected
    assert settle_failure(REF, "failed", charge, PRICES, ()) == expected


def test_a_unit_costs_what_it_did_when_the_credits_were_held() -> None:
    ref = evolve(REF, unit_prices=(("Kling unit", 126_000),))
    assert settle_success(ref, 4, said(units="10"), PRICES, True).amount == mv.usd("1.26")


@pytest.mark.parametrize(
    "charge",
    [
        None,
        said(),
        said(units=""),
        said(units="many"),
        said(units="NaN"),
        said(units="sNaN"),
        said(units="Infinity"),
        said(units="-1"),
        said(units="1e400"),
        said(units="1e999999"),
        said(units="5", unit="coins"),
        said(units="5", unit=None),
        said(mv.usd("-1")),
        said(mv.usd("5"), "-1"),
    ],
)
def test_a_report_that_cannot_be_a_charge_is_none(charge: Charge | None) -> None:
    assert settle_success(REF, 4, charge, PRICES, True) == Settlement(HELD, "derived")
    assert settle_failure(REF, "failed", charge, PRICES, ()) == Settlement(HELD, "assumed")


@pytest.mark.parametrize(("listed", "certainty"), [(True, "derived"), (False, "assumed")])
def test_without_a_report_the_price_of_what_came_is_charged(listed: bool, certainty: str) -> None:
    assert settle_success(REF, 4, None, {}, listed) == Settlement(HELD, certainty)
    assert settle_success(REF, 3, None, {}, listed) == Settlement(mv.usd("9.60"), certainty)
    assert settle_success(REF, 0, None, {}, listed) == Settlement(NOTHING, certainty)


def test_takes_that_nobody_asked_for_are_not_charged_above_the_hold() -> None:
    assert settle_success(REF, 7, None, {}, True).amount == HELD


@pytest.mark.parametrize(("held", "share"), [(1, 0), (3, 2), (5, 2), (7, 4)])
def test_half_a_micro_dollar_goes_to_the_even_side(held: int, share: int) -> None:
    ref = evolve(REF, samples=2, held_micro_usd=held)
    assert settle_success(ref, 1, None, {}, True).amount.micro_usd == share


@given(st.integers(0, 2**62), st.integers(1, 100), st.integers(0, 200))
def test_a_settlement_is_never_more_than_the_hold(held: int, samples: int, delivered: int) -> None:
    ref = evolve(REF, samples=samples, held_micro_usd=held)
    amount = settle_success(ref, delivered, None, {}, True).amount.micro_usd
    assert 0 <= amount <= held
    assert amount == held or delivered < samples


@pytest.mark.parametrize("kind", ["failed", "filtered"])
@pytest.mark.parametrize(
    ("charged", "certainty", "amount", "word"),
    [
        (False, Certainty.DOCUMENTED, NOTHING, "derived"),
        (False, Certainty.OBSERVED, NOTHING, "assumed"),
        (False, Certainty.UNCERTAIN, NOTHING, "assumed"),
        (True, Certainty.DOCUMENTED, HELD, "derived"),
        (True, Certainty.OBSERVED, HELD, "assumed"),
        (True, Certainty.UNCERTAIN, HELD, "assumed"),
    ],
)
def test_a_failure_costs_what_the_fact_says_as_surely_as_it_says_it(
    kind: str, charged: bool, certainty: Certainty, amount: mv.Credits, word: str
) -> None:
    other = "filtered" if kind == "failed" else "failed"
    rows = [row(other, Certainty.DOCUMENTED, charged=not charged), row(kind, certainty, charged=charged)]
    assert settle_failure(REF, kind, None, {}, rows) == Settlement(amount, word)


def test_a_failure_of_which_nothing_is_known_costs_its_price() -> None:
    assert settle_failure(REF, "failed", None, {}, ()) == Settlement(HELD, "assumed")


@pytest.mark.parametrize(
    ("name", "kind", "amount", "certainty"),
    [
        ("veo-3.1@vertex", "filtered", NOTHING, "derived"),
        ("veo-3.1@vertex", "failed", HELD, "assumed"),
        ("kling-3.0@kling", "filtered", NOTHING, "assumed"),
        ("kling-3.0@kling", "failed", NOTHING, "assumed"),
        ("sora-2@openai", "filtered", HELD, "assumed"),
        ("sora-2@openai", "failed", HELD, "assumed"),
    ],
)
def test_failures_of_the_three_vendors_cost_what_is_known_of_them(
    name: str, kind: str, amount: mv.Credits, certainty: str
) -> None:
    path = Catalog.default().path(name)
    assert settle_failure(REF, kind, None, UNIT_PRICES, path.failures) == Settlement(amount, certainty)


def test_where_more_is_held_than_the_list_price_that_price_is_what_it_costs() -> None:
    ref = evolve(REF, samples=2, held_micro_usd=9_000_000, price_micro_usd=4_000_000)
    assert settle_success(ref, 2, None, {}, False) == Settlement(mv.usd(4), "assumed")
    assert settle_success(ref, 1, None, {}, False) == Settlement(mv.usd(2), "assumed")
    assert settle_failure(ref, "failed", None, {}, ()) == Settlement(mv.usd(4), "assumed")
