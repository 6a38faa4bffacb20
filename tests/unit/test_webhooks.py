"""Callbacks: what is signed and fresh is read, and nothing else is believed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multivideo.errors import AuthenticationFailed, InvalidRequest, MultiVideoError
from multivideo.secrets import Secret
from multivideo.values.refs import VendorRef
from multivideo.webhooks import MOST_BYTES, WebhookEvent, verify_kling, verify_openai

# the example of Kling's own callback page (after 2026-08-07)
KLING_SECRET = "whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI="
KLING_NOW = 1781080794
KLING_HEADERS = {
    "webhook-id": "9876543210",
    "webhook-timestamp": str(KLING_NOW),
    "webhook-signature": "v1,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4=",
}
KLING_BODY = (
    b'{"id":"1234567890","status":"succeeded","message":"","create_time":1781080778802,"update_time":1781080794151}'
)
KLING_EVENT = WebhookEvent("9876543210", "1234567890", "succeeded", "kling")

# a vector of our own, made by hand from the rules of OpenAI's guide (read 2026-10-02)
OPENAI_SECRET = "whsec_bXVsdGl2aWRlby1lbXVsYXRvci10ZXN0LXNlY3JldCE="
OPENAI_NOW = 1790000000
OPENAI_HEADERS = {
    "webhook-id": "wh_0001",
    "webhook-timestamp": str(OPENAI_NOW),
    "webhook-signature": "v1,OvjkUNySyldi+fIjCLcGB51HZvVO8703Wv3yz0n1YNM=",
}
OPENAI_BODY = (
    b'{"id":"evt_0001","object":"event","created_at":1790000000,"type":"video.completed","data":{"id":"video_0001"}}'
)
OPENAI_EVENT = WebhookEvent("wh_0001", "video_0001", "completed", "openai-videos")


def signed(
    body: bytes, *, secret: str = KLING_SECRET, stamp: str = str(KLING_NOW), name: str = "d-1"
) -> dict[str, str]:
    """The headers of a vendor that signs this body, by the rules and without the library."""
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    digest = hmac.digest(key, f"{name}.{stamp}.".encode() + body, hashlib.sha256)
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": name, "webhook-timestamp": stamp, "webhook-signature": signature}


def of_kling(body: bytes = KLING_BODY, headers: Mapping[str, Any] = KLING_HEADERS, **more: Any) -> WebhookEvent:
    return verify_kling(**{"secret": KLING_SECRET, "headers": headers, "body": body, "now": KLING_NOW, **more})


def of_openai(body: bytes = OPENAI_BODY, headers: Mapping[str, Any] = OPENAI_HEADERS, **more: Any) -> WebhookEvent:
    return verify_openai(**{"secret": OPENAI_SECRET, "headers": headers, "body": body, "now": OPENAI_NOW, **more})


def test_the_example_of_klings_page_is_read() -> None:
    assert of_kling() == KLING_EVENT
    assert of_kling(secret=Secret(KLING_SECRET)) == KLING_EVENT


def test_a_failed_task_is_read_from_a_second_vector() -> None:
    body = (
        b'{"id":"900000000000000001","status":"failed","message":"Failure to pass the risk control system",'
        b'"create_time":1795000000000,"update_time":1795000042000,"external_id":"mv-7f3a","outputs":[],"billing":[]}'
    )
    headers = {
        "webhook-id": "evt-0001",
        "webhook-timestamp": "1795000042",
        "webhook-signature": "v1,xE+IwWxvxpiAYX4OczCs8WpNgGIKYhRS0xv8vaeQW94=",
    }
    secret = "whsec_bXVsdGl2aWRlby1sb2NhbC1lbXVsYXRvci1zZWNyZXQ="
    event = verify_kling(secret, headers, body, now=1795000042.0)
    assert event == WebhookEvent("evt-0001", "900000000000000001", "failed", "kling")


def test_a_callback_of_openai_is_read() -> None:
    assert of_openai() == OPENAI_EVENT


def test_a_secret_of_openai_without_its_prefix_is_the_key_itself() -> None:
    headers = signed(OPENAI_BODY, secret="plain-secret", stamp=str(OPENAI_NOW), name="wh_0001")
    assert of_openai(headers=headers, secret="plain-secret") == OPENAI_EVENT


def test_a_task_of_the_legacy_protocol_is_told_from_one_of_the_new() -> None:
    body = json.dumps({"task_id": "9001", "task_status": "succeed", "task_result": {}}).encode()
    event = of_kling(body, signed(body))
    assert event == WebhookEvent("d-1", "9001", "succeed", "kling-legacy")


def test_an_event_knows_which_job_it_is_about() -> None:
    def job(family: str, remote_id: str) -> VendorRef:
        return VendorRef("any-name", family, "m", "m", remote_id)

    assert KLING_EVENT.is_about(job("kling", "1234567890"))
    assert not KLING_EVENT.is_about(job("kling", "1234567891"))
    assert not KLING_EVENT.is_about(job("kling-legacy", "text2video/1234567890"))
    legacy = WebhookEvent("d-1", "9001", "succeed", "kling-legacy")
    assert legacy.is_about(job("kling-legacy", "image2video/9001"))
    assert not legacy.is_about(job("kling", "9001"))


def test_capitals_of_header_names_do_not_matter() -> None:
    assert of_kling(headers={name.title(): value for name, value in KLING_HEADERS.items()}) == KLING_EVENT


@pytest.mark.parametrize("at", [0, 1, 2])
def test_one_good_signature_of_several_is_enough(at: int) -> None:
    several = ["v1,b2xkIHNlY3JldA==", "v2,whatever", "strange"]
    several.insert(at, KLING_HEADERS["webhook-signature"])
    assert of_kling(headers={**KLING_HEADERS, "webhook-signature": " ".join(several)}) == KLING_EVENT


@pytest.mark.parametrize(
    "signature",
    ["", " ", "v1", "v1,", "v1,AAAA", "v2,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4=", "v1,é", "v1,\ud800", "," * 50],
)
def test_a_signature_that_is_none_or_another_is_refused(signature: str) -> None:
    with pytest.raises(AuthenticationFailed, match="no signature fits"):
        of_kling(headers={**KLING_HEADERS, "webhook-signature": signature})


@pytest.mark.parametrize(
    "change",
    [
        {"body": KLING_BODY.replace(b"succeeded", b"failed")},
        {"body": KLING_BODY + b" "},
        {"headers": {**KLING_HEADERS, "webhook-id": "9876543211"}},
        {"headers": {**KLING_HEADERS, "webhook-timestamp": str(KLING_NOW + 1)}},
        {"secret": OPENAI_SECRET},
    ],
)
def test_whatever_was_changed_after_it_was_signed_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(AuthenticationFailed) as refused:
        of_kling(**change)
    assert "401" in refused.value.hint


@pytest.mark.parametrize("away", [-300, -1, 0.5, 300])
def test_five_minutes_to_either_side_are_fresh(away: float) -> None:
    assert of_kling(now=KLING_NOW + away) == KLING_EVENT


@pytest.mark.parametrize("away", [-301, 300.5, 86_400, float("nan"), float("inf")])
def test_what_is_older_or_newer_is_refused_though_it_is_signed(away: float) -> None:
    with pytest.raises(AuthenticationFailed, match="300 s are allowed"):
        of_kling(now=KLING_NOW + away)


@pytest.mark.parametrize("name", KLING_HEADERS)
@pytest.mark.parametrize("value", [None, 7, b"x"])
def test_a_header_that_is_missing_or_no_text_is_refused(name: str, value: object) -> None:
    with pytest.raises(AuthenticationFailed, match="a header is missing"):
        of_kling(headers={**KLING_HEADERS, name: value})


@pytest.mark.parametrize(
    "stamp", ["", "0", "-1", "1781080794.0", " 1781080794", "1e9", "٣", "9" * 13, "0" + "1781080794"]
)
def test_a_time_of_another_form_is_refused(stamp: str) -> None:
    with pytest.raises(AuthenticationFailed, match="of no form"):
        of_kling(headers=signed(KLING_BODY, stamp=stamp))


@pytest.mark.parametrize("body", ["text", bytearray(KLING_BODY), {"id": "1"}, None])
def test_only_the_raw_bytes_are_taken(body: Any) -> None:
    with pytest.raises(InvalidRequest, match="cannot be read") as refused:
        of_kling(body)
    assert "raw bytes" in refused.value.allowed


def test_a_body_of_a_mebibyte_is_read_and_a_larger_one_is_not_looked_at() -> None:
    padded = KLING_BODY[:-1] + b',"x":"' + b"a" * (MOST_BYTES - len(KLING_BODY) - 7) + b'"}'
    assert len(padded) == MOST_BYTES
    assert of_kling(padded, signed(padded)).remote_id == KLING_EVENT.remote_id
    with pytest.raises(InvalidRequest, match="cannot be read"):
        of_kling(padded + b" ", {})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"<html>",
        b'{"id":5,"status":"succeeded"}',
        b'{"id":"","status":"succeeded"}',
        b'{"id":"1"}',
        b'{"task_id":"1","status":"succeeded"}',
        b"[" * 100_000,
    ],
)
def test_what_is_signed_and_no_event_cannot_be_read(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        of_kling(body, signed(body))
    with pytest.raises(InvalidRequest):
        of_openai(body, signed(body, secret=OPENAI_SECRET, stamp=str(OPENAI_NOW)))


@pytest.mark.parametrize("kind", ["batch.completed", "video", "video.", "Video.completed"])
def test_an_event_of_something_else_is_no_news_of_a_video(kind: str) -> None:
    body = OPENAI_BODY.replace(b"video.completed", kind.encode())
    with pytest.raises(InvalidRequest):
        of_openai(body, signed(body, secret=OPENAI_SECRET, stamp=str(OPENAI_NOW)))


def test_a_word_that_nobody_knows_is_carried_and_cut() -> None:
    body = json.dumps({"id": "1", "status": "warming\nup " + "x" * 900}).encode()
    event = of_kling(body, signed(body))
    assert event.word.startswith("warming up")
    assert len(event.word) <= 60


def test_bytes_that_are_no_text_were_signed_by_nobody() -> None:
    body = b"\xff\xfe"
    with pytest.raises(AuthenticationFailed):
        of_kling(body, signed(body))


@pytest.mark.parametrize("secret", ["", " ", "whsec_", "whsec_x", "whsec_!!!!", None, 7, b"whsec_AAAA", Secret("")])
def test_what_is_no_secret_is_refused_and_not_shown(secret: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        of_kling(secret=secret)
    assert refused.value.field == "secret"
    assert "whsec_x" not in str(refused.value)


@pytest.mark.parametrize("check", [of_kling, of_openai])
def test_without_the_library_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch, check: Any) -> None:
    monkeypatch.setitem(sys.modules, "standardwebhooks", None)
    with pytest.raises(AuthenticationFailed) as refused:
        check()
    assert "multivideo[webhooks]" in refused.value.hint


@given(st.binary(max_size=60), st.dictionaries(st.sampled_from([*KLING_HEADERS, "x"]), st.text(max_size=30)))
def test_nothing_that_comes_in_crashes_or_passes(body: bytes, headers: dict[str, str]) -> None:
    for check in (of_kling, of_openai):
        with pytest.raises(MultiVideoError):
            check(body, headers)
