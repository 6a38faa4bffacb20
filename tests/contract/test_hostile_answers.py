"""Answers that no vendor documents: each is read as a status that its words allow, or as one of our errors.

A wrong "succeeded" fetches nothing and is settled; a wrong "rejected" is sent again and paid twice: both are worse
than any error, so each rule here names what an answer must say before it may be read as one of them.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Iterator
from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve
from test_provider_contract import CASES, EVERY_CASE, PROMPT, Case, exchanges, outcome, response_of

from multivideo.catalog.facts import Certainty, FailureCharge, Source
from multivideo.catalog.kling import UNIT, UNIT_PRICE
from multivideo.errors import ContentFiltered, MultiVideoError, OutcomeUnknown, ProviderError
from multivideo.jobs.settle import settle_failure, settle_success
from multivideo.providers.common import MOST_TAKES
from multivideo.values.refs import AttemptRef, VendorRef
from multivideo.wire import JobState, JobStatus, SweepPage, WireResponse

VENDORS = pytest.mark.parametrize("case", [case for case in CASES.values() if case.account], ids=lambda case: case.door)
A_TEST = Source("this test", dt.date(2026, 11, 22))
FREE = FailureCharge(kind="failed", charged=False, source=A_TEST, certainty=Certainty.UNCERTAIN)
ABSURD: list[Any] = [
    None, True, False, 0, -1, 1.5, -0.0, 10**30, -(10**30), 1e300, "", " ", "0", "1", "-1", "true", "null", "NaN",
    "1e999", [], {}, [[]], [{}], [None], {"id": 1}, "\ud800", "a\x00b\n", "../../etc", "ünï-✓", "9" * 400,
    "javascript:alert(1)", "http://169.254.169.254/", "file:///etc/passwd", "https://user:pw@h/", "https://[::1",
    "2026-11-22T10:00:00Z", "succeeded", "completed", "failed", "processing", PROMPT, [1] * 3,
    "gs://bucket/\ud800.mp4", "gs://bucket/../../x.mp4",
    {"code": 0, "message": "success"}, {"message": PROMPT}, {"code": 13}, {"code": "moderation_blocked"},
    json.loads("[" * 400 + "]" * 400),
]  # fmt: skip
HUGE: list[Any] = [
    "x" * 1_000_000, ["x"] * 10_000, 10**4000,
    [{"type": "video", "url": f"https://c.example/{n}"} for n in range(10_000)],
    [{"gcsUri": f"gs://bucket/{n}.mp4"} for n in range(10_000)],
    [{"charge_type": "cash", "currency": "USD", "amount": "9" * 12}] * 10_000,
]  # fmt: skip
BODIES = [
    b"", b" ", b"null", b"true", b"0", b'""', b"[]", b"{}", b"[{}]", b"<html><body>503 busy</body></html>", b"OK",
    b'{"data":[]}', b'{"data":{}}', b'{"data":null}', b'{"error":"no"}', b'{"error":null}', b'{"error":[]}',
    b'{"code":"0"}', b'{"code":"1303"}', b'{"code":1.5}', b'{"code":-1}', b'{"code":[]}', b'{"done":"true"}',
    b'{"id":"a","id":"b"}', b'{"name":null,"done":true}', b"\xef\xbb\xbf{}", b'{"a":' * 900 + b"1" + b"}" * 900,
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside a body."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def put(body: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The body with another value at a place; `...` takes the field away."""
    body = deepcopy(body)
    holder = body
    for key in path[:-1]:
        holder = holder[key]
    if new is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = new
    return body


def spoilt(case: Case) -> Iterator[tuple[dict[str, Any], Any, WireResponse]]:
    """Every sample with every field in turn taken away or made absurd: the sample, the body, the answer."""
    for name, sample in case.samples().items():
        if "body" not in sample:
            continue
        absurd = (..., *ABSURD, *(HUGE if name in {case.created, case.done} else ()))
        for path in places(sample["body"]):
            for new in absurd:
                body = put(sample["body"], path, new)
                yield sample, body, WireResponse(sample["status"], sample["headers"], json.dumps(body).encode())


def texts(value: Any) -> Iterator[str]:
    """Every text in a body, in lower case."""
    if isinstance(value, str):
        yield value.strip().lower()
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in inner:
        yield from texts(item)


SUCCESS = {"succeeded", "succeed", "completed", "complete", "success", "finished", "done"}


def statuses(found: Any) -> tuple[JobStatus, ...]:
    """The readings in whatever a reader gave."""
    if isinstance(found, JobStatus):
        return (found,)
    if isinstance(found, SweepPage):
        return found.statuses
    many = found.values() if isinstance(found, dict) else found if isinstance(found, tuple) else ()
    return tuple(status for status in many if isinstance(status, JobStatus))


def check_status(status: JobStatus, body: Any, response: WireResponse) -> None:
    """A reading that a driver can rely on."""
    assert status.remote_id.strip()
    assert status.remote_id.isprintable()
    assert len(status.remote_id) <= 1000
    assert status.word.isprintable()
    assert len(status.word) <= 400
    assert status.percent is None or 0 <= status.percent <= 100
    assert 0 <= status.filtered <= MOST_TAKES
    assert status.poll_after_s is None or 1 <= status.poll_after_s <= 120
    assert (status.state is JobState.SUCCEEDED) == bool(status.assets)
    assert len(status.assets) <= MOST_TAKES
    assert len(set(status.assets)) == len(status.assets)
    if status.state is JobState.SUCCEEDED:
        assert response.status < 300
        listed = isinstance(body, dict) and "items" in body  # a file in the attempt's own folder is proof enough
        assert listed or (isinstance(body, dict) and body.get("done") is True) or SUCCESS & set(texts(body))
    elif status.state.ended:
        assert status.error is not None
        assert len(str(status.error)) < 1500
        free = isinstance(status.error, ContentFiltered) and status.remote_id.startswith(("projects/", "models/"))
        assert status.error.charged == ("no" if free else "yes" if status.state is JobState.EXPIRED else "held")
    check_money(status)


def check_money(status: JobStatus) -> None:
    """Whatever the bill says, it is booked as an amount that the books can hold, and never as less than nothing."""
    ref = AttemptRef("a-1", VendorRef("v", "v", "m", "m", "1"), "text", "720p", 8, 1280, 720, 24, True, 1, 900_000, 0.0)
    prices = {UNIT: UNIT_PRICE}
    made = settle_success(ref, len(status.assets), status.charge, prices, True)
    lost = settle_failure(ref, "failed", status.charge, prices, [FREE])
    assert made.amount.micro_usd >= 0
    assert lost.amount.micro_usd >= 0
    if status.charge is None or (status.charge.amount, status.charge.units) == (None, None):
        assert (made.certainty, lost.amount.micro_usd) == ("derived", 0)
        assert made.amount.micro_usd <= 900_000
    elif status.charge.units is not None:
        assert math.isfinite(float(Decimal(status.charge.units)))


def check_error(error: MultiVideoError) -> None:
    """An error that says little enough."""
    assert len(str(error)) < 1500
    assert "\x00" not in str(error)
    str(error).encode()  # no half characters
    assert error.retry_after is None or error.retry_after >= 0
    assert error.request_id is None or len(error.request_id) <= 100


@VENDORS
def test_every_field_may_be_missing_or_absurd_and_no_reader_is_fooled(case: Case) -> None:
    asked, seen = exchanges(case), 0
    for sample, body, response in spoilt(case):
        found = outcome(asked[sample["read"]].read, response)
        seen += 1
        if isinstance(found, MultiVideoError):
            check_error(found)
            assert sample["read"] != "submit" or PROMPT not in str(found)  # a look does not know what was asked for
        for status in statuses(found):
            check_status(status, body, response)
        if sample["read"] == "submit" and isinstance(found, VendorRef):
            assert found.remote_id.isprintable()
            assert response.status < 300
    assert seen > 2000


@VENDORS
def test_a_submit_that_was_accepted_is_never_read_as_rejected_however_its_answer_is_spoilt(case: Case) -> None:
    sample = case.samples()[case.created]
    read = exchanges(case)["submit"].read
    for path in places(sample["body"]):
        for new in (..., *ABSURD):
            found = outcome(read, response_of(sample, put(sample["body"], path, new)))
            if path == ("code",) and type(new) is int and new != 0:
                continue  # Kling's own way to say no inside a success
            assert isinstance(found, VendorRef | OutcomeUnknown), (path, new)


@EVERY_CASE
@pytest.mark.parametrize("status", [200, 201, 202, 204, 206])
@pytest.mark.parametrize("body", BODIES)
def test_a_success_of_another_form_is_no_reference_and_no_refusal(case: Case, status: int, body: bytes) -> None:
    asked, response = exchanges(case), WireResponse(status, {}, body)
    submitted = outcome(asked["submit"].read, response)
    if b"1303" in body and case.door.startswith("kling"):
        assert isinstance(submitted, ProviderError)
    elif b'"id":"b"' not in body or case.door.startswith("kling"):
        assert isinstance(submitted, OutcomeUnknown | MultiVideoError)
        assert submitted.charged == "unknown"
    polled = outcome(asked["poll"].read, response)
    if isinstance(polled, JobStatus):
        assert not polled.state.ended or polled.state is JobState.FAILED
    else:
        assert isinstance(polled, MultiVideoError)


@VENDORS
@pytest.mark.parametrize("status", [300, 302, 400, 401, 403, 404, 409, 429, 500, 502, 503, 504, 529])
def test_a_finished_job_inside_an_http_error_is_no_success(case: Case, status: int) -> None:
    response = response_of({**case.samples()[case.done], "status": status})
    for name, exchange in exchanges(case).items():
        found = outcome(exchange.read, response)
        if name == "poll" and isinstance(found, JobStatus):
            assert found.state is JobState.MISSING
        elif name != "submit":
            assert isinstance(found, MultiVideoError), name


@VENDORS
@pytest.mark.parametrize("status", [500, 502, 504, 409, 408])
def test_no_error_in_a_foreign_voice_is_sent_again(case: Case, status: int) -> None:
    for code in ("rate_limit_exceeded", "UNAVAILABLE", "insufficient_quota", 429):
        body = {"error": {"code": code, "status": code, "message": "later"}, "code": 429, "message": "later"}
        found = outcome(exchanges(case)["submit"].read, WireResponse(status, {}, json.dumps(body).encode()))
        assert isinstance(found, OutcomeUnknown)


@VENDORS
@pytest.mark.parametrize("name", ["\ud800", "a/../b", "?x=1", "#", "a b\n", "..", "ünï", "x" * 5000])
def test_a_stored_reference_to_anything_is_asked_for_inside_its_own_path(case: Case, name: str) -> None:
    ref = evolve(case.ref, remote_id=name)
    asked, plain = case.provider.poll(ref).request, case.provider.poll(case.ref).request
    assert asked.url.isascii()
    assert asked.url.isprintable()
    assert asked.url.count("/") == plain.url.count("/")
    assert asked.url.count("?") == plain.url.count("?")
    assert "#" not in asked.url


def test_nested_bills_of_any_depth_are_read_or_left() -> None:
    read = exchanges(CASES["kling"])["poll"].read
    for depth in range(700, 1000):  # somewhere in here it is read, and too deep to be written again
        row = "[" * depth + "]" * depth
        body = f'{{"code":0,"data":[{{"id":"900000000000000001","status":"failed","billing":[{row}]}}]}}'
        found = outcome(read, WireResponse(200, {}, body.encode()))
        assert isinstance(found, JobStatus | MultiVideoError)
