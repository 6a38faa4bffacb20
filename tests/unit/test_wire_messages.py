"""The messages between providers and driver: what an answer reads as, and what no repr shows."""

from __future__ import annotations

from decimal import Decimal

import pytest

from multivideo.values.plan import Segment
from multivideo.values.words import Mode
from multivideo.wire import Asset, JobState, Order, Part, WireRequest, WireResponse


def answer(body: bytes, **headers: str) -> WireResponse:
    return WireResponse(200, headers, body)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"price": 1.10}', {"price": Decimal("1.10")}),
        (b'{"price": 1e2}', {"price": Decimal("1e2")}),
        (b'\xef\xbb\xbf{"seconds": 8}', {"seconds": 8}),
        (b"[]", []),
    ],
)
def test_a_number_with_a_point_is_exact(body: bytes, value: object) -> None:
    found = answer(body).json()
    assert (found, repr(found)) == (value, repr(value))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff\xfe",
        b"NaN",
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e99999999999999999999}',
        b"9" * 5000,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"{} {}",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_no_json_is_one_kind_of_error(body: bytes) -> None:
    with pytest.raises(ValueError):
        answer(body).json()


def test_a_vendors_name_for_an_exchange_is_found_in_either_header() -> None:
    assert answer(b"", **{"x-request-id": "a"}).request_id == "a"
    assert answer(b"", **{"x-goog-request-id": "b"}).request_id == "b"
    assert answer(b"").request_id is None


def test_no_repr_shows_a_prompt_a_body_or_a_signed_address() -> None:
    segment = Segment(Mode.TEXT, 8, "720p", "16:9", 1280, 720, 24, True)
    shown = repr(
        [
            WireRequest("GET", "https://cdn.example/clip.mp4?signature=canary", json={"prompt": "canary"}),
            Part("prompt", "canary"),
            Asset(url="https://cdn.example/canary.mp4"),
            answer(b"canary"),
            Order("mv-1-1", "veo-3.1", "veo", "canary", segment, negative_prompt="canary", options={"x": "canary"}),
        ]
    )
    assert "https://cdn.example/clip.mp4" in shown
    assert "canary" not in shown


def test_a_job_has_ended_when_its_vendor_will_change_nothing_more() -> None:
    open_states = {JobState.PENDING, JobState.RUNNING, JobState.UNKNOWN, JobState.MISSING}
    assert {state for state in JobState if not state.ended} == open_states
