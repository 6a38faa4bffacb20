"""Kling's current protocol, by == on requests and on what is read."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from multivideo.catalog.kling import UNIT
from multivideo.errors import (
    AuthenticationFailed,
    ContentFiltered,
    GenerationFailed,
    InvalidRequest,
    MultiVideoError,
    OutcomeUnknown,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    UnsupportedFeature,
)
from multivideo.jobs.settle import Settlement, settle_success
from multivideo.providers.common import MOST_TAKES
from multivideo.providers.kling import KlingBackend
from multivideo.values.credits import usd
from multivideo.values.media import Media
from multivideo.values.refs import AttemptRef, VendorRef
from multivideo.wire import Asset, Charge, JobState, JobStatus, LookUp, Order, Resend, WireRequest, WireResponse

BASE = "https://api-singapore.klingai.com"
KLING = KlingBackend("kling", BASE)
TASK = "900000000000000001"
REF = VendorRef("kling", "kling", "kling-3.0", "kling-3.0", TASK)

Answers = Callable[..., WireResponse]
Orders = Callable[..., Order]


def sent(order: Order) -> WireRequest:
    return KLING.submit(order).last(()).request


def settings(order: Order) -> dict[str, Any]:
    body = sent(order).json
    assert body is not None
    return dict(body["settings"])


def accepted(order: Order, response: WireResponse) -> VendorRef:
    return KLING.submit(order).last(()).read(response)


def polled(response: WireResponse) -> JobStatus:
    return KLING.poll(REF).read(response)


def test_submit_says_everything_and_multi_shot_is_never_left_to_its_default_of_true(order: Orders) -> None:
    assert sent(order("kling-3.0")) == WireRequest(
        "POST",
        f"{BASE}/text-to-video/kling-3.0",
        json={
            "prompt": "A kite over dunes",
            "settings": {
                "resolution": "720p",
                "duration": 8,
                "aspect_ratio": "16:9",
                "audio": "native",
                "multi_shot": False,
            },
            "options": {"external_task_id": "mv-attempt-1"},
        },
        resend=Resend.IF_UNSENT,
    )


def test_sound_that_is_not_wanted_is_switched_off_in_words(order: Orders) -> None:
    assert settings(order("kling-3.0", audio=False))["audio"] == "off"


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ("kling-3.0-omni", {"resolution", "duration", "aspect_ratio", "audio", "multi_shot"}),
        ("kling-3.0-turbo", {"resolution", "duration", "aspect_ratio"}),
        ("kling-2.6", {"resolution", "duration", "aspect_ratio", "audio"}),
        ("kling-2.5-turbo", {"resolution", "duration", "aspect_ratio"}),
    ],
)
def test_a_setting_that_a_model_does_not_have_is_not_sent(order: Orders, model: str, names: set[str]) -> None:
    assert set(settings(order(model))) == names


def test_the_first_frame_decides_the_shape_and_comes_without_a_data_uri_prefix(order: Orders, frame: Media) -> None:
    request = sent(order("kling-3.0", first_frame=frame))
    assert request.url == f"{BASE}/image-to-video/kling-3.0"
    assert request.json is not None
    assert request.json["contents"] == [
        {"type": "prompt", "text": "A kite over dunes"},
        {"type": "first_frame", "url": base64.b64encode(frame.data or b"").decode()},
    ]
    assert "aspect_ratio" not in request.json["settings"]
    assert "prompt" not in request.json


def test_a_picture_by_address_goes_as_it_is_and_a_storage_address_is_refused(order: Orders) -> None:
    request = sent(order("kling-3.0", first_frame=Media(url="https://media.example/a.png")))
    assert request.json is not None
    assert request.json["contents"][1] == {"type": "first_frame", "url": "https://media.example/a.png"}
    with pytest.raises(UnsupportedFeature) as refused:
        KLING.submit(order("kling-3.0", first_frame=Media(url="gs://bucket/a.png")))
    assert refused.value.field == "first_frame"


def test_omni_has_one_endpoint_for_text_and_pictures(order: Orders, frame: Media) -> None:
    for request in (sent(order("kling-3.0-omni")), sent(order("kling-3.0-omni", first_frame=frame))):
        assert request.url == f"{BASE}/omni-video/kling-3.0-omni"
        assert request.json is not None
        assert request.json["contents"][0] == {"type": "prompt", "text": "A kite over dunes"}


def test_options_reach_deep_and_change_none_of_ours(order: Orders) -> None:
    extra = {"options": {"callback_url": "https://hooks.example/k"}}
    request = sent(order("kling-3.0", options=extra))
    assert request.json is not None
    assert request.json["options"] == {
        "external_task_id": "mv-attempt-1",
        "callback_url": "https://hooks.example/k",
    }
    with pytest.raises(InvalidRequest, match=r"settings\.multi_shot") as refused:
        KLING.submit(order("kling-3.0", options={"settings": {"multi_shot": True}}))
    assert refused.value.field == "options"


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), b"x"])
def test_options_that_are_no_json_are_refused(order: Orders, value: object) -> None:
    with pytest.raises(InvalidRequest, match="no JSON"):
        KLING.submit(order("kling-3.0", options={"note": value}))


def test_a_negative_prompt_and_a_seed_have_no_field_here(order: Orders) -> None:
    with pytest.raises(UnsupportedFeature):
        KLING.submit(order("kling-3.0", negative_prompt="rain"))
    with pytest.raises(UnsupportedFeature):
        KLING.submit(order("kling-3.0", seed=5))


def test_ids_beyond_2_to_the_53_are_kept_exactly(answer: Answers, order: Orders) -> None:
    huge = "829836802793406551"
    body = {"code": 0, "data": {"id": huge, "status": "submitted"}}
    assert accepted(order("kling-3.0"), answer(body=body)).remote_id == huge
    number = {"code": 0, "data": [{"id": 829836802793406551, "status": "submitted"}]}
    assert polled(answer(body=number)).state is JobState.UNKNOWN  # rounded by somebody on the way: not ours to guess


def test_a_created_task_is_read_as_its_reference(answer: Answers, order: Orders) -> None:
    assert accepted(order("kling-3.0"), answer("kling/created")) == REF


@pytest.mark.parametrize("body", [{}, {"code": 0}, {"code": 0, "data": {}}, {"code": 0, "data": []}, []])
def test_a_success_without_a_readable_id_has_an_unknown_outcome(answer: Answers, order: Orders, body: object) -> None:
    with pytest.raises(OutcomeUnknown):
        accepted(order("kling-3.0"), answer(body=body))


@pytest.mark.parametrize(
    ("code", "kind", "retryable"),
    [
        (1000, AuthenticationFailed, False),
        (1001, AuthenticationFailed, False),
        (1002, AuthenticationFailed, False),
        (1103, AuthenticationFailed, False),
        (1200, InvalidRequest, False),
        (1201, InvalidRequest, False),
        (1203, UnsupportedFeature, False),
        (1300, ContentFiltered, False),
        (1301, ContentFiltered, False),
        (5001, ProviderUnavailable, True),
    ],
)
def test_a_code_of_the_table_proves_that_nothing_is_charged(
    answer: Answers, order: Orders, code: int, kind: type[MultiVideoError], retryable: bool
) -> None:
    response = answer(f"kling/error_{code}")
    with pytest.raises(kind, match=str(code)) as refused:
        accepted(order("kling-3.0"), response)
    assert type(refused.value) is kind
    assert (refused.value.charged, refused.value.retryable) == ("no", retryable)


@pytest.mark.parametrize(
    ("code", "kind", "retryable", "step"),
    [
        (1100, AuthenticationFailed, False, "ask Kling why"),
        (1101, RateLimited, False, "pay what the account owes"),
        (1102, RateLimited, False, "buy a pack"),
        (1304, AuthenticationFailed, False, "list the address"),
        (1302, RateLimited, True, "try again later"),
        (1303, RateLimited, True, "try again later"),
    ],
)
@pytest.mark.parametrize("form", [int, str])
def test_429_alone_says_nothing_only_1302_and_1303_are_worth_waiting(
    answer: Answers, order: Orders, code: int, kind: type[ProviderError], retryable: bool, step: str, form: Any
) -> None:
    body = {**answer(f"kling/error_{code}").json(), "code": form(code)}  # gateways write it as text
    with pytest.raises(kind) as refused:
        accepted(order("kling-3.0"), answer(status=429, body=body))
    assert type(refused.value) is kind
    assert refused.value.retryable is retryable
    assert step in refused.value.hint
    assert str(code) in str(refused.value)


def test_a_missing_balance_under_the_code_of_too_many_tasks_is_not_waited_for(answer: Answers, order: Orders) -> None:
    with pytest.raises(RateLimited) as refused:
        accepted(order("kling-3.0"), answer(status=429, body={"code": 1303, "message": "balance not sufficient"}))
    assert not refused.value.retryable


@pytest.mark.parametrize("code", [0, "0"])
@pytest.mark.parametrize("status", [400, 429, 503])
def test_an_http_error_that_says_all_well_proves_nothing(
    answer: Answers, order: Orders, status: int, code: object
) -> None:
    with pytest.raises(OutcomeUnknown):
        accepted(order("kling-3.0"), answer(status=status, body={"code": code, "message": "SUCCEED"}))


@pytest.mark.parametrize("status", [200, 400, 429, 503])
def test_a_refusal_that_names_a_task_proves_nothing(answer: Answers, order: Orders, status: int) -> None:
    for code in (1303, 1201, 5001):
        with pytest.raises(OutcomeUnknown):
            accepted(order("kling-3.0"), answer(status=status, body={"code": code, "data": {"id": TASK}}))


def test_an_error_names_the_request_id_that_kling_puts_into_the_body(answer: Answers, order: Orders) -> None:
    for name, kind in (("error_1201", InvalidRequest), ("error_5000", OutcomeUnknown)):
        with pytest.raises(kind) as refused:
            accepted(order("kling-3.0"), answer(f"kling/{name}"))
        assert refused.value.request_id == answer(f"kling/{name}").json()["request_id"]


@pytest.mark.parametrize("code", [5000, 5002])
def test_an_internal_error_or_timeout_on_a_create_may_have_made_the_task(
    answer: Answers, order: Orders, code: int
) -> None:
    with pytest.raises(OutcomeUnknown):
        accepted(order("kling-3.0"), answer(f"kling/error_{code}"))


def test_a_200_with_a_code_is_an_error(answer: Answers, order: Orders) -> None:
    response = answer("kling/error_inside_200")
    assert isinstance(KLING.refusal(response), RateLimited)
    with pytest.raises(RateLimited):
        accepted(order("kling-3.0"), response)


def test_an_unknown_code_in_a_200_proves_nothing(answer: Answers, order: Orders) -> None:
    with pytest.raises(OutcomeUnknown):
        accepted(order("kling-3.0"), answer(body={"code": 7777, "message": "new"}))


def test_a_proxys_503_proves_nothing_even_if_it_repeats_the_status_as_a_code(answer: Answers, order: Orders) -> None:
    for response in (answer("kling/gateway_html"), answer(status=503, body={"code": 503, "message": "busy"})):
        with pytest.raises(OutcomeUnknown):
            accepted(order("kling-3.0"), response)


def test_a_refused_key_names_the_region_that_it_was_shown_to(answer: Answers) -> None:
    error = KLING.refusal(answer("kling/error_1002"))
    assert error is not None
    assert error.hint == "a key works in one region only: this one was shown to singapore; region='beijing'?"
    other = evolve(KLING, base_url="https://relay.example", region="").refusal(answer("kling/error_1002"))
    assert other is not None
    assert other.hint == "check the key and what its account may do"


def test_a_look_that_is_refused_blames_no_request_and_leaves_the_money_open(answer: Answers) -> None:
    for response in (answer("kling/error_1201"), answer(status=400, body="no"), answer(status=422, body={})):
        with pytest.raises(ProviderUnavailable) as refused:
            polled(response)
        assert (refused.value.fault, refused.value.retryable) == ("provider", False)


def test_poll_asks_by_id_in_the_query() -> None:
    assert KLING.poll(REF).request == WireRequest("GET", f"{BASE}/tasks?task_ids={TASK}")


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("submitted", JobState.PENDING),
        ("processing", JobState.RUNNING),
        ("unknown_word", JobState.UNKNOWN),
        ("unknown_id", JobState.MISSING),
    ],
)
def test_words_are_read_and_an_unknown_id_is_an_empty_list(answer: Answers, name: str, state: JobState) -> None:
    assert polled(answer(f"kling/{name}")).state is state


def test_a_succeeded_task_has_an_unsigned_address_for_30_days_and_its_bill(answer: Answers) -> None:
    status = polled(answer("kling/succeeded"))
    url = "https://cdn.example.org/900000000000000777.mp4?sig=aGk"
    assert status.state is JobState.SUCCEEDED
    assert status.assets == (Asset(url, signed=False, expires_at=1795000131.0 + 30 * 86400),)
    assert status.external_id == "mv-attempt-1"
    charge = KLING.charge(status)
    assert charge is not None
    assert (charge.amount, charge.units, charge.unit) == (None, "9.6", UNIT)
    assert KLING.download(status.assets[0]) == WireRequest("GET", url, signed=False)


def test_both_spellings_of_success_are_read_and_missing_fields_borne(answer: Answers) -> None:
    status = polled(answer("kling/succeeded_bare"))
    assert (status.state, status.charge, status.external_id) == (JobState.SUCCEEDED, None, None)


@pytest.mark.parametrize(
    "outputs",
    [[], None, [{"type": "image", "url": "https://cdn.example/a.png"}], [{"type": "video", "url": ""}], ["x"]],
)
def test_a_success_without_an_address_is_looked_at_again_and_told(answer: Answers, outputs: object) -> None:
    status = polled(answer(body={"code": 0, "data": [{"id": TASK, "status": "succeeded", "outputs": outputs}]}))
    assert (status.state, status.assets) == (JobState.UNKNOWN, ())
    assert "outputs" in status.word


def test_more_files_than_a_call_can_make_and_files_named_twice_are_not_fetched(answer: Answers) -> None:
    outputs = [{"type": "video", "url": f"https://cdn.example/{n // 2}.mp4"} for n in range(10_000)]
    status = polled(answer(body={"code": 0, "data": [{"id": TASK, "status": "succeeded", "outputs": outputs}]}))
    assert [asset.url for asset in status.assets] == [f"https://cdn.example/{n}.mp4" for n in range(MOST_TAKES)]


def test_a_refusal_by_risk_control_is_filtered_and_any_other_failure_is_not(answer: Answers) -> None:
    filtered, failed = polled(answer("kling/failed_risk_control")), polled(answer("kling/failed_other"))
    assert (filtered.state, failed.state) == (JobState.FILTERED, JobState.FAILED)
    assert isinstance(filtered.error, ContentFiltered)
    assert isinstance(failed.error, GenerationFailed)
    assert "Service internal error" in str(failed.error)


def billed(answer: Answers, *rows: object) -> Charge | None:
    task = {"id": TASK, "status": "failed", "billing": list(rows)}
    return polled(answer(body={"code": 0, "data": [task]})).charge


def test_a_bill_in_dollars_is_money(answer: Answers) -> None:
    charge = polled(answer("kling/succeeded_cash")).charge
    assert charge is not None
    assert (charge.amount, charge.units) == (usd("1.12"), None)


def test_a_bill_in_another_currency_has_no_amount_and_is_kept_as_it_came(answer: Answers) -> None:
    charge = polled(answer("kling/succeeded_yuan")).charge
    assert charge is not None
    assert (charge.amount, charge.units) == (None, None)
    assert "8.00" in charge.raw


def test_rows_of_units_are_added_up_and_cash_stands_beside_them(answer: Answers) -> None:
    unit, cash = {"charge_type": "unit", "amount": "1.5"}, {"charge_type": "cash", "amount": "0.10", "currency": "USD"}
    charge = billed(answer, unit, unit, cash)
    assert charge is not None
    assert (charge.units, charge.amount) == ("3.0", usd("0.10"))


@pytest.mark.parametrize(
    "row",
    [
        {"amount": "8"},
        {"charge_type": "points", "amount": "8"},
        {"charge_type": "unit", "amount": "NaN"},
        {"charge_type": "unit", "amount": "-1"},
        {"charge_type": "unit", "amount": "1e999999999"},
        {"charge_type": "unit", "amount": True},
        {"charge_type": "unit", "amount": "1", "package_type": "image"},
        {"charge_type": "unit", "amount": "٣"},
        {"charge_type": "unit", "amount": "9" * 13},
        {"charge_type": "cash", "amount": "8"},
        {"charge_type": "cash", "amount": "8", "currency": "usd"},
        "8",
    ],
)
def test_a_billing_amount_without_a_meaning_spoils_the_sum(answer: Answers, row: object) -> None:
    charge = billed(answer, {"charge_type": "unit", "amount": "2"}, row)
    assert charge is not None
    assert (charge.amount, charge.units, charge.unit) == (None, None, None)


def test_a_sum_beyond_all_money_has_no_amount_and_is_no_crash(answer: Answers) -> None:
    row = {"charge_type": "cash", "currency": "USD", "amount": "999999999999"}
    charge = billed(answer, *[row] * 100)
    assert charge is not None
    assert (charge.amount, charge.units) == (None, None)


def test_a_bill_in_units_and_dollars_is_booked_with_both(answer: Answers) -> None:
    unit, cash = {"charge_type": "unit", "amount": "2"}, {"charge_type": "cash", "amount": "0.10", "currency": "USD"}
    ref = AttemptRef("a-1", REF, "text", "720p", 8, 1280, 720, 24, True, 1, 5_000_000, 0.0)
    booked = settle_success(ref, 1, billed(answer, unit, cash), {UNIT: usd("0.14")}, True)
    assert booked == Settlement(usd("0.38"), "reported", "2 Kling unit, 0.10 USD")


def test_several_tasks_are_matched_by_id_and_not_by_place(answer: Answers) -> None:
    second, absent = (evolve(REF, remote_id=f"90000000000000000{n}") for n in (2, 3))
    exchange = KLING.poll_many([REF, second, absent])
    assert exchange.request.url == f"{BASE}/tasks?task_ids={TASK},{second.remote_id},{absent.remote_id}"
    found = exchange.read(answer("kling/several"))
    assert [found[ref.remote_id].state for ref in (REF, second, absent)] == [
        JobState.SUCCEEDED,
        JobState.RUNNING,
        JobState.MISSING,
    ]


def test_of_two_rows_for_one_task_the_first_counts_however_it_is_asked_for(answer: Answers) -> None:
    rows = [{"id": TASK, "status": "processing"}, {"id": TASK, "status": "failed"}]
    response = answer(body={"code": 0, "data": rows})
    assert KLING.poll_many([REF]).read(response)[TASK].state is JobState.RUNNING
    assert polled(response).state is JobState.RUNNING


def test_a_row_that_cannot_be_read_makes_no_other_task_missing(answer: Answers) -> None:
    other = evolve(REF, remote_id="900000000000000002")
    body = {"code": 0, "data": [{"id": TASK, "status": "processing"}, {"id": 900000000000000002, "status": 1}]}
    found = KLING.poll_many([REF, other]).read(answer(body=body))
    assert found[TASK].state is JobState.RUNNING
    assert found[other.remote_id].state is JobState.UNKNOWN


def test_a_lost_submit_is_looked_up_by_our_own_id(answer: Answers, order: Orders) -> None:
    lost = LookUp("mv-attempt-1", "kling-3.0", order("kling-3.0").segment, 0, 0, lambda _: False)
    exchange = KLING.look_up(lost)
    assert exchange.request == WireRequest("GET", f"{BASE}/tasks?external_task_ids=mv-attempt-1")
    [found] = exchange.read(answer("kling/found_by_own_id"))
    assert found.remote_id == TASK
    assert exchange.read(answer("kling/unknown_id")) == ()


def test_a_sweep_begins_with_a_time_as_a_string_and_goes_on_by_cursor(answer: Answers) -> None:
    videos = [{"key": "product_type", "values": ["video"]}]
    first = KLING.sweep(since=1794900000.5)
    assert first.request == WireRequest(
        "POST",
        f"{BASE}/tasks",
        json={"limit": 100, "filters": videos, "start_time": "1794900000500", "cursor": ""},
    )
    page = first.read(answer("kling/list"))
    assert ([status.remote_id for status in page.statuses], page.cursor) == ([TASK], "c2")
    following = KLING.sweep(since=0, cursor="c2")
    assert following.request.json == {"limit": 100, "filters": videos, "cursor": "c2"}
    assert following.read(answer("kling/list_empty")).statuses == ()
    assert KLING.sweep(since=0, cursor="c2").read(answer("kling/list")).cursor is None  # the same page for ever


def test_the_probe_is_free_and_tells_a_bad_key(answer: Answers) -> None:
    probe = KLING.probe()
    assert probe.request.method == "GET"
    assert probe.request.url.startswith(f"{BASE}/account/costs?start_time=")
    probe.read(answer("kling/costs"))
    with pytest.raises(AuthenticationFailed):
        probe.read(answer("kling/error_1002"))
