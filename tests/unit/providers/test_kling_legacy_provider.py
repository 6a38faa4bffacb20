"""Kling's legacy protocol, by == on requests and on what is read."""

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
    ProviderUnavailable,
    RateLimited,
    UnsupportedFeature,
)
from multivideo.providers.kling_legacy import KINDS, KlingLegacyBackend
from multivideo.values.credits import usd
from multivideo.values.media import Media
from multivideo.values.refs import VendorRef
from multivideo.wire import Asset, Charge, JobState, JobStatus, LookUp, Order, Resend, WireRequest, WireResponse

BASE = "https://api-singapore.klingai.com"
KLING = KlingLegacyBackend("kling", BASE)
TASK = "900000000000000010"
REF = VendorRef("kling", "kling-legacy", "kling-v3", "kling-v3", f"text2video/{TASK}")

Answers = Callable[..., WireResponse]
Orders = Callable[..., Order]


def sent(order: Order) -> WireRequest:
    return KLING.submit(order).last(()).request


def body(order: Order) -> dict[str, Any]:
    found = sent(order).json
    assert found is not None
    return dict(found)


def accepted(order: Order, response: WireResponse) -> VendorRef:
    return KLING.submit(order).last(()).read(response)


def polled(response: WireResponse, backend: KlingLegacyBackend = KLING) -> JobStatus:
    return backend.poll(REF).read(response)


def test_submit_says_model_tier_seconds_as_text_and_sound(order: Orders) -> None:
    assert sent(order("kling-v3")) == WireRequest(
        "POST",
        f"{BASE}/v1/videos/text2video",
        json={
            "model_name": "kling-v3",
            "prompt": "A kite over dunes",
            "mode": "std",
            "duration": "8",
            "external_task_id": "mv-attempt-1",
            "sound": "on",
            "aspect_ratio": "16:9",
        },
        resend=Resend.IF_UNSENT,
    )


@pytest.mark.parametrize(("resolution", "mode"), [("720p", "std"), ("1080p", "pro"), ("4k", "4k")])
def test_a_resolution_is_a_tier_here(order: Orders, resolution: str, mode: str) -> None:
    plain = order("kling-v3")
    assert body(evolve(plain, segment=evolve(plain.segment, resolution=resolution)))["mode"] == mode


def test_a_first_frame_goes_to_an_address_of_its_own_and_decides_the_shape(order: Orders, frame: Media) -> None:
    request = sent(order("kling-v3", first_frame=frame))
    assert request.url == f"{BASE}/v1/videos/image2video"
    assert request.json is not None
    assert request.json["image"] == base64.b64encode(frame.data or b"").decode()
    assert "aspect_ratio" not in request.json


def test_omni_takes_its_first_frame_in_a_list_and_by_address_too(order: Orders, frame: Media) -> None:
    request = sent(order("kling-v3-omni", first_frame=Media(url="https://media.example/a.png")))
    assert request.url == f"{BASE}/v1/videos/omni-video"
    assert request.json is not None
    assert request.json["image_list"] == [{"image_url": "https://media.example/a.png", "type": "first_frame"}]
    assert "aspect_ratio" not in request.json
    assert body(order("kling-v3-omni"))["aspect_ratio"] == "16:9"
    assert sent(order("kling-v3-omni")).url == request.url


@pytest.mark.parametrize(
    ("model", "sound"), [("kling-v3", True), ("kling-v3-omni", True), ("kling-v2-6", True), ("kling-v2-5-turbo", False)]
)
def test_sound_is_switched_in_words_where_there_is_a_switch(order: Orders, model: str, sound: bool) -> None:
    assert body(order(model, audio=False)).get("sound") == ("off" if sound else None)


def test_a_negative_prompt_has_a_field_but_on_omni_and_a_seed_has_none(order: Orders) -> None:
    assert body(order("kling-v3", negative_prompt="rain"))["negative_prompt"] == "rain"
    for wrong in (order("kling-v3-omni", negative_prompt="rain"), order("kling-v3", seed=1)):
        with pytest.raises(UnsupportedFeature):
            KLING.submit(wrong)


def test_a_storage_address_is_refused_naming_the_first_frame(order: Orders) -> None:
    with pytest.raises(UnsupportedFeature) as refused:
        KLING.submit(order("kling-v3", first_frame=Media(url="gs://bucket/a.png")))
    assert refused.value.field == "first_frame"


def test_options_add_what_only_kling_has_and_change_none_of_ours(order: Orders) -> None:
    extra = {"callback_url": "https://hooks.example/k", "multi_shot": False}
    assert body(order("kling-v3", options=extra)).items() >= extra.items()
    with pytest.raises(InvalidRequest, match="model_name, mode"):
        KLING.submit(order("kling-v3", options={"model_name": "kling-v1", "mode": "pro"}))


def test_the_reference_of_a_created_task_holds_its_kind(answer: Answers, order: Orders, frame: Media) -> None:
    assert accepted(order("kling-v3"), answer("kling_legacy/created")) == REF
    framed = accepted(order("kling-v3", first_frame=frame), answer("kling_legacy/created_at_top_level"))
    assert framed == evolve(REF, remote_id=f"image2video/{TASK}")
    omni = accepted(order("kling-v3-omni"), answer("kling_legacy/created"))
    assert omni.remote_id == f"omni-video/{TASK}"


@pytest.mark.parametrize("said", [{}, {"code": 0}, {"code": 0, "data": {}}, {"code": 0, "data": {"task_id": 9}}, []])
def test_a_success_without_a_readable_id_has_an_unknown_outcome(answer: Answers, order: Orders, said: object) -> None:
    with pytest.raises(OutcomeUnknown):
        accepted(order("kling-v3"), answer(body=said))


@pytest.mark.parametrize(
    ("code", "kind", "retryable"),
    [
        (1002, AuthenticationFailed, False),
        (1003, AuthenticationFailed, False),
        (1004, AuthenticationFailed, False),
        (1102, RateLimited, False),
        (1201, InvalidRequest, False),
        (1301, ContentFiltered, False),
        (1303, RateLimited, True),
        (5002, OutcomeUnknown, False),
    ],
)
def test_codes_mean_what_they_mean_in_the_other_protocol(
    answer: Answers, order: Orders, code: int, kind: type[MultiVideoError], retryable: bool
) -> None:
    with pytest.raises(kind) as refused:
        accepted(order("kling-v3"), answer(f"kling_legacy/error_{code}"))
    assert type(refused.value) is kind
    assert refused.value.retryable is retryable
    assert refused.value.charged == ("unknown" if kind is OutcomeUnknown else "no")


@pytest.mark.parametrize("where", [{"data": {"task_id": TASK}}, {"task_id": TASK}])
def test_a_refusal_that_names_a_task_proves_nothing(answer: Answers, order: Orders, where: dict[str, object]) -> None:
    with pytest.raises(OutcomeUnknown):
        accepted(order("kling-v3"), answer(status=429, body={"code": 1303, **where}))


@pytest.mark.parametrize(("code", "word"), [(1003, "ahead"), (1004, "behind")])
def test_a_token_that_came_too_early_or_too_late_is_signed_once_more(
    answer: Answers, order: Orders, code: int, word: str
) -> None:
    step = KLING.submit(order("kling-v3"))
    error = KLING.refusal(answer(f"kling_legacy/error_{code}"))
    assert error is not None
    assert word in error.hint
    assert step.instead is not None
    again = step.instead(error)
    assert again is not None
    assert again.request == step.last(()).request


@pytest.mark.parametrize("code", [1002, 1102, 1201, 1303])
def test_nothing_else_is_sent_once_more(answer: Answers, order: Orders, code: int) -> None:
    step, error = KLING.submit(order("kling-v3")), KLING.refusal(answer(f"kling_legacy/error_{code}"))
    assert step.instead is not None
    assert error is not None
    assert step.instead(error) is None


def test_poll_asks_under_the_kind_that_the_reference_names() -> None:
    for kind in KINDS:
        ref = evolve(REF, remote_id=f"{kind}/Cgtkl-a?b")
        assert KLING.poll(ref).request == WireRequest("GET", f"{BASE}/v1/videos/{kind}/Cgtkl-a%3Fb")


def test_a_reference_without_a_kind_is_asked_for_under_that_of_its_model() -> None:
    bare, omni = (evolve(REF, remote_id=TASK, wire_model=model) for model in ("kling-v3", "kling-v3-omni"))
    assert KLING.poll(bare).request.url == f"{BASE}/v1/videos/text2video/{TASK}"
    assert KLING.poll(omni).request.url == f"{BASE}/v1/videos/omni-video/{TASK}"


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("submitted", JobState.PENDING),
        ("processing", JobState.RUNNING),
        ("unknown_word", JobState.UNKNOWN),
        ("not_there", JobState.MISSING),
    ],
)
def test_words_are_read(answer: Answers, name: str, state: JobState) -> None:
    assert polled(answer(f"kling_legacy/{name}")).state is state


def test_a_finished_task_has_an_unsigned_address_for_30_days_and_its_bill(answer: Answers) -> None:
    status = polled(answer("kling_legacy/succeed"))
    url = "https://cdn.example.org/711.mp4?sig=aGk"
    assert (status.state, status.remote_id, status.word) == (JobState.SUCCEEDED, REF.remote_id, "succeed")
    assert status.assets == (Asset(url, expires_at=1795000120.0 + 30 * 86400),)
    assert status.external_id == "mv-attempt-1"
    charge = KLING.charge(status)
    assert charge is not None
    assert (charge.amount, charge.units, charge.unit) == (None, "5.6", UNIT)
    assert KLING.download(status.assets[0]) == WireRequest("GET", url, signed=False)


def test_the_word_of_the_other_protocol_is_read_and_missing_fields_are_borne(answer: Answers) -> None:
    status = polled(answer("kling_legacy/succeeded_bare"))
    assert (status.state, status.charge, status.external_id) == (JobState.SUCCEEDED, None, None)


def test_a_success_without_an_address_is_looked_at_again_and_told(answer: Answers) -> None:
    data = {"task_id": TASK, "task_status": "succeed", "task_result": {"videos": [{"url": ""}]}}
    status = polled(answer(body={"code": 0, "data": data}))
    assert (status.state, status.assets) == (JobState.UNKNOWN, ())
    assert "task_result" in status.word


def test_another_task_than_was_asked_for_is_not_taken_for_it(answer: Answers) -> None:
    data = {"task_id": "900000000000000099", "task_status": "succeed"}
    for said in (data, [data], None, {"task_id": 9}):
        with pytest.raises(ProviderUnavailable, match="another task"):
            polled(answer(body={"code": 0, "data": said}))


def test_a_refusal_by_risk_control_is_filtered_and_any_other_failure_is_not(answer: Answers) -> None:
    filtered, failed = polled(answer("kling_legacy/failed_risk_control")), polled(answer("kling_legacy/failed_other"))
    assert (filtered.state, failed.state) == (JobState.FILTERED, JobState.FAILED)
    assert isinstance(filtered.error, ContentFiltered)
    assert isinstance(failed.error, GenerationFailed)


def test_cash_is_dollars_where_kling_bills_in_dollars_and_kept_as_text_elsewhere(answer: Answers) -> None:
    charge = polled(answer("kling_legacy/succeed_cash")).charge
    assert charge is not None
    assert (charge.amount, charge.units, charge.unit) == (usd("0.784"), None, None)
    for region in ("beijing", ""):
        foreign = polled(answer("kling_legacy/succeed_cash"), evolve(KLING, region=region)).charge
        assert foreign is not None
        assert (foreign.amount, foreign.units) == (None, None)
        assert "0.784" in foreign.raw


def billed(answer: Answers, **deduction: object) -> Charge | None:
    data = {"task_id": TASK, "task_status": "failed", **deduction}
    return polled(answer(body={"code": 0, "data": data})).charge


@pytest.mark.parametrize("nothing", [{}, {"final_unit_deduction": ""}, {"final_unit_deduction": None}])
def test_no_deduction_is_no_bill(answer: Answers, nothing: dict[str, object]) -> None:
    assert billed(answer, **nothing) is None


@pytest.mark.parametrize(("amount", "units"), [("0", "0"), (0, "0"), ("1.50", "1.50"), (2, "2")])
def test_units_are_exact_and_nothing_is_an_amount_too(answer: Answers, amount: object, units: str) -> None:
    charge = billed(answer, final_unit_deduction=amount)
    assert charge is not None
    assert (charge.amount, charge.units, charge.unit) == (None, units, UNIT)


def test_units_and_cash_stand_beside_each_other(answer: Answers) -> None:
    charge = billed(answer, final_unit_deduction="2", final_balance_deduction={"quota": "0.10"})
    assert charge is not None
    assert (charge.amount, charge.units) == (usd("0.10"), "2")


@pytest.mark.parametrize(
    "deduction",
    [
        {"final_unit_deduction": "-1"},
        {"final_unit_deduction": "1e9"},
        {"final_unit_deduction": True},
        {"final_unit_deduction": "2", "final_balance_deduction": "0.10"},
        {"final_unit_deduction": "2", "final_balance_deduction": {"list_price": "0.10"}},
    ],
)
def test_an_amount_of_another_form_spoils_the_bill(answer: Answers, deduction: dict[str, object]) -> None:
    charge = billed(answer, **deduction)
    assert charge is not None
    assert (charge.amount, charge.units, charge.unit) == (None, None, None)


def lost(order: Order) -> LookUp:
    return LookUp("mv-attempt-1", order.wire_model, order.segment, 0, 0, lambda _: False)


def test_a_lost_task_is_found_by_the_attempt_id_in_the_place_of_its_own(
    answer: Answers, order: Orders, frame: Media
) -> None:
    exchange = KLING.look_up(lost(order("kling-v3")))
    assert exchange.request == WireRequest("GET", f"{BASE}/v1/videos/text2video/mv-attempt-1")
    [found] = exchange.read(answer("kling_legacy/found_by_own_id"))
    assert (found.remote_id, found.state) == (REF.remote_id, JobState.RUNNING)
    assert exchange.read(answer("kling_legacy/not_there")) == ()
    framed = KLING.look_up(lost(order("kling-v3", first_frame=frame)))
    assert framed.request.url == f"{BASE}/v1/videos/image2video/mv-attempt-1"


def test_a_task_of_another_attempt_is_not_the_lost_one_and_one_without_an_id_is_told(
    answer: Answers, order: Orders
) -> None:
    read = KLING.look_up(lost(order("kling-v3"))).read
    other = {"task_id": TASK, "task_status": "submitted", "task_info": {"external_task_id": "mv-attempt-2"}}
    assert read(answer(body={"code": 0, "data": other})) == ()
    with pytest.raises(ProviderUnavailable, match="without an id"):
        read(answer(body={"code": 0, "data": {}}))


def test_a_proxys_404_says_nothing_about_a_task(answer: Answers, order: Orders) -> None:
    page = answer(status=404, body="no such page")
    with pytest.raises(ProviderUnavailable):
        polled(page)
    with pytest.raises(ProviderUnavailable):
        KLING.look_up(lost(order("kling-v3"))).read(page)


def test_a_sweep_goes_through_all_kinds_and_leaves_out_what_is_older(answer: Answers) -> None:
    asked, cursor = [], None
    for _ in KINDS:
        exchange = KLING.sweep(since=1794999999.0, cursor=cursor)
        asked.append(exchange.request.url)
        page = exchange.read(answer("kling_legacy/list"))
        assert len(page.statuses) == 1
        cursor = page.cursor
    assert asked == [f"{BASE}/v1/videos/{kind}?pageNum=1&pageSize=100" for kind in KINDS]
    assert cursor is None


def test_a_sweep_turns_the_page_while_pages_are_full(answer: Answers) -> None:
    rows = [{"task_id": str(n), "task_status": "submitted"} for n in range(1, 100)] + [{"strange": 1}]
    full = answer(body={"code": 0, "data": rows})
    page = KLING.sweep(since=0.0).read(full)
    assert (len(page.statuses), page.cursor) == (99, "text2video:2")
    assert KLING.sweep(since=0.0, cursor="text2video:2").request.url.endswith("text2video?pageNum=2&pageSize=100")
    assert KLING.sweep(since=0.0, cursor="image2video:1000").read(full).cursor == "omni-video:1"
    assert (
        KLING.sweep(since=0.0, cursor="omni-video:1").read(answer("kling_legacy/list_empty")).cursor
        == "motion-control:1"
    )
    assert KLING.sweep(since=0.0, cursor="motion-control:1").read(answer("kling_legacy/list_empty")).cursor is None


def test_the_probe_is_a_list_of_one_and_tells_a_bad_key(answer: Answers) -> None:
    probe = KLING.probe()
    assert probe.request == WireRequest("GET", f"{BASE}/v1/videos/text2video?pageNum=1&pageSize=1")
    probe.read(answer("kling_legacy/list_empty"))
    with pytest.raises(AuthenticationFailed) as refused:
        probe.read(answer("kling_legacy/error_1002"))
    assert "region='beijing'" in refused.value.hint
