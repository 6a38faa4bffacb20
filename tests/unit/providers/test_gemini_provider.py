"""Veo on the Gemini API, by == on requests and on what is read."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

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
from multivideo.providers.gemini import GeminiBackend
from multivideo.values.clips import Clip
from multivideo.values.media import Media
from multivideo.values.refs import VendorHandle, VendorRef
from multivideo.values.words import Mode
from multivideo.wire import Asset, JobState, JobStatus, Order, Resend, WireRequest, WireResponse

HOST = "https://generativelanguage.googleapis.com"
MODEL = "veo-3.1-generate-preview"
OPERATION = f"models/{MODEL}/operations/q7m2c0d9x4ja"
VEO = GeminiBackend("gemini")
GATEWAY = GeminiBackend("gemini", "https://gateway.example/google")
REF = VendorRef("gemini", "veo-gemini", MODEL, MODEL, OPERATION)
FILE = "/v1beta/files/k3v9p2q8x1ab:download?alt=media"

Answers = Callable[..., WireResponse]
Orders = Callable[..., Order]


def sent(order: Order) -> WireRequest:
    return VEO.submit(order).last(()).request


def accepted(order: Order, response: WireResponse) -> VendorRef:
    return VEO.submit(order).last(()).read(response)


def polled(response: WireResponse, backend: GeminiBackend = VEO) -> JobStatus:
    return backend.poll(REF).read(response)


def test_submit_has_no_switch_for_sound_and_no_number_of_takes(order: Orders) -> None:
    assert sent(order(MODEL)) == WireRequest(
        "POST",
        f"{HOST}/v1beta/models/{MODEL}:predictLongRunning",
        json={
            "instances": [{"prompt": "A kite over dunes"}],
            "parameters": {"aspectRatio": "16:9", "durationSeconds": 8, "resolution": "720p"},
        },
        resend=Resend.IF_UNSENT,
    )


def test_seed_and_negative_prompt_are_sent_where_given_and_a_second_take_is_refused(order: Orders) -> None:
    wanted = sent(order(MODEL, seed=0, negative_prompt="rain")).json
    assert wanted is not None
    assert wanted["parameters"] | {"seed": 0, "negativePrompt": "rain"} == wanted["parameters"]
    with pytest.raises(UnsupportedFeature):
        VEO.submit(order(MODEL, samples=2))


def test_a_picture_goes_as_plain_base64_with_its_type(order: Orders, frame: Media) -> None:
    wanted = sent(order(MODEL, first_frame=frame)).json
    assert wanted is not None
    encoded = base64.b64encode(frame.data or b"").decode()
    assert wanted["instances"][0]["image"] == {"bytesBase64Encoded": encoded, "mimeType": "image/png"}


def of_mode(order: Order, mode: Mode) -> Order:
    return evolve(order, segment=evolve(order.segment, mode=mode))


def instance(order: Order) -> dict[str, Any]:
    body = sent(order).json
    assert body is not None
    [found] = body["instances"]
    return dict(found)


def as_sent(frame: Media) -> dict[str, str]:
    return {"bytesBase64Encoded": base64.b64encode(frame.data or b"").decode(), "mimeType": "image/png"}


def test_a_last_frame_goes_beside_the_image(order: Orders, frame: Media) -> None:
    both = of_mode(order(MODEL, first_frame=frame, last_frame=frame), Mode.FIRST_LAST)
    assert instance(both) == {"prompt": "A kite over dunes", "image": as_sent(frame), "lastFrame": as_sent(frame)}


def test_references_are_assets_and_have_no_image_beside_them(order: Orders, frame: Media) -> None:
    seen = of_mode(order(MODEL, references=(frame, frame)), Mode.REFERENCE)
    asset = {"image": as_sent(frame), "referenceType": "asset"}
    assert instance(seen) == {"prompt": "A kite over dunes", "referenceImages": [asset, asset]}


@pytest.mark.parametrize("url", ["https://media.example/a.png", "gs://demo-in/a.png"])
@pytest.mark.parametrize(
    ("field", "mode"),
    [("first_frame", Mode.FIRST_FRAME), ("last_frame", Mode.FIRST_LAST), ("reference_images", Mode.REFERENCE)],
)
def test_a_picture_by_any_address_is_refused_naming_what_it_came_by(
    order: Orders, frame: Media, url: str, field: str, mode: Mode
) -> None:
    address = Media(url=url)
    several: dict[str, dict[str, Any]] = {
        "first_frame": {"first_frame": address},
        "last_frame": {"first_frame": frame, "last_frame": address},
        "reference_images": {"references": (frame, address)},
    }
    with pytest.raises(UnsupportedFeature) as refused:
        VEO.submit(of_mode(order(MODEL, **several[field]), mode))
    assert refused.value.field == field
    assert refused.value.charged == "no"
    assert "a file or bytes" in refused.value.allowed


URI = f"{HOST}{FILE}"
OURS = Clip(Media(data=b"clip"), VendorHandle(REF, 0, URI), 8.0, 1280, 720)


def extended(order: Order, source: Clip, backend: GeminiBackend = VEO) -> WireRequest:
    step = backend.extend(of_mode(evolve(order, source=source), Mode.EXTEND))
    return step.last(()).request


def test_an_extension_names_the_file_that_it_goes_on_from_and_nothing_that_the_file_decides(order: Orders) -> None:
    assert extended(order(MODEL, seed=7), OURS) == WireRequest(
        "POST",
        f"{HOST}/v1beta/models/{MODEL}:predictLongRunning",
        json={
            "instances": [{"prompt": "A kite over dunes", "video": {"uri": URI, "encoding": "video/mp4"}}],
            "parameters": {"resolution": "720p", "seed": 7},
        },
        resend=Resend.IF_UNSENT,
    )


@pytest.mark.parametrize(
    "uri", [URI, f"https://gateway.example/google{FILE}", "files/k3v9p2q8x1ab", "https://cdn.example/take.mp4"]
)
def test_a_take_is_extended_by_the_very_address_that_the_service_gave_it(
    answer: Answers, order: Orders, uri: str
) -> None:
    [asset] = taken(answer, uri)
    handle = VendorHandle(REF, 0, asset.url, asset.expires_at)
    body = extended(order(MODEL), evolve(OURS, handle=handle), GATEWAY).json
    assert body is not None
    assert body["instances"][0]["video"]["uri"] == uri


@pytest.mark.parametrize(
    "source",
    [
        evolve(OURS, handle=None),
        evolve(OURS, handle=VendorHandle(evolve(REF, provider="vertex"), 0, URI)),
        evolve(OURS, handle=VendorHandle(REF)),
        Clip(Media(url="gs://demo-in/a.mp4")),
        Clip(Media(url="https://media.example/a.mp4")),
    ],
    ids=["bytes", "of-another", "nowhere", "gs", "https"],
)
def test_a_video_that_was_not_made_here_is_refused_before_anything_is_sent(order: Orders, source: Clip) -> None:
    with pytest.raises(UnsupportedFeature) as refused:
        extended(order(MODEL), source)
    assert refused.value.field == "source_video"
    assert refused.value.allowed == "a Video that gemini made within the last two days"


def test_options_add_what_only_google_has_and_change_none_of_ours(order: Orders) -> None:
    extra = {"parameters": {"personGeneration": "allow_adult"}, "webhookConfig": {"uris": ["https://hooks.example"]}}
    wanted = sent(order(MODEL, options=extra)).json
    assert wanted is not None
    assert wanted["parameters"]["personGeneration"] == "allow_adult"
    assert wanted["webhookConfig"] == extra["webhookConfig"]


@pytest.mark.parametrize("mode", [Mode.TEXT, Mode.EXTEND])
@pytest.mark.parametrize("name", ["durationSeconds", "aspectRatio", "resolution", "sampleCount", "generateAudio"])
def test_options_change_nothing_that_was_priced_whether_it_is_sent_or_not(order: Orders, mode: Mode, name: str) -> None:
    source = OURS if mode is Mode.EXTEND else None
    with pytest.raises(InvalidRequest, match=rf"parameters\.{name}"):
        VEO.submit(of_mode(order(MODEL, source=source, options={"parameters": {name: 2}}), mode))


def test_a_started_operation_is_read_as_its_reference(answer: Answers, order: Orders) -> None:
    assert accepted(order(MODEL), answer("gemini/started")) == REF


@pytest.mark.parametrize(
    ("name", "kind", "retryable"),
    [
        ("model_gone", UnsupportedFeature, False),
        ("refused_key", AuthenticationFailed, False),
        ("refused_switch", InvalidRequest, False),
        ("refused_use_case", InvalidRequest, False),
        ("refused_bytes_of_a_video", InvalidRequest, False),
        ("prepaid_used_up", RateLimited, False),
        ("quota_a_minute", RateLimited, True),
        ("internal", OutcomeUnknown, False),
    ],
)
def test_a_refused_start_is_judged(
    answer: Answers, order: Orders, name: str, kind: type[MultiVideoError], retryable: bool
) -> None:
    with pytest.raises(kind) as refused:
        accepted(order(MODEL), answer(f"gemini/{name}"))
    assert type(refused.value) is kind
    assert refused.value.retryable is retryable
    assert refused.value.charged == ("unknown" if kind is OutcomeUnknown else "no")


def test_a_wrong_key_is_told_by_its_text_where_the_details_are_missing(answer: Answers) -> None:
    error = {"code": 400, "status": "INVALID_ARGUMENT", "message": "API key not valid. Please pass a valid API key."}
    assert isinstance(VEO.refusal(answer(status=400, body={"error": error})), AuthenticationFailed)
    plain = {**error, "message": "the prompt is too long"}
    assert not isinstance(VEO.refusal(answer(status=400, body={"error": plain})), AuthenticationFailed)


def test_poll_asks_for_the_operation_by_its_name() -> None:
    assert VEO.poll(REF).request == WireRequest("GET", f"{HOST}/v1beta/{OPERATION}")
    short = evolve(REF, remote_id="operations/generate_12")
    assert GATEWAY.poll(short).request.url == "https://gateway.example/google/v1beta/operations/generate_12"


@pytest.mark.parametrize("name", ["../../secrets/operations/1", "op-1", f"{OPERATION}?x=1", f"{OPERATION}/../y"])
def test_an_operation_name_of_another_form_goes_into_no_address(name: str) -> None:
    url = VEO.poll(evolve(REF, remote_id=name)).request.url
    assert url.startswith(f"{HOST}/v1beta/models/{MODEL}/operations/")
    assert url.count("/") == 7


@pytest.mark.parametrize("name", ["running", "running_said"])
def test_done_that_is_absent_or_false_means_running(answer: Answers, name: str) -> None:
    assert polled(answer(f"gemini/{name}")).state is JobState.RUNNING


@pytest.mark.parametrize(("backend", "base"), [(VEO, HOST), (GATEWAY, "https://gateway.example/google")])
@pytest.mark.parametrize("name", ["done", "done_extended", "done_without_verb"])
def test_a_file_of_google_is_fetched_with_the_key_at_the_address_that_is_asked(
    answer: Answers, backend: GeminiBackend, base: str, name: str
) -> None:
    sample = answer(f"gemini/{name}")
    [made] = sample.json()["response"]["generateVideoResponse"]["generatedSamples"]
    status = polled(sample, backend)
    assert status.state is JobState.SUCCEEDED
    assert status.assets == (Asset(made["video"]["uri"], signed=True),)
    url = f"{base}/v1beta/files/{'n8w2d5t1z7qe' if name == 'done_extended' else 'k3v9p2q8x1ab'}:download?alt=media"
    assert backend.download(status.assets[0]) == WireRequest("GET", url, signed=True)


def taken(answer: Answers, *uris: object, backend: GeminiBackend = GATEWAY) -> tuple[Asset, ...]:
    samples = [{"video": {"uri": uri}} for uri in uris]
    body = {"done": True, "response": {"generateVideoResponse": {"generatedSamples": samples}}}
    return polled(answer(body=body), backend).assets


@pytest.mark.parametrize(
    "uri",
    [
        "files/k3v9p2q8x1ab",
        f"{HOST}/v1beta/files/k3v9p2q8x1ab",
        f"{HOST}/download/v1beta/files/k3v9p2q8x1ab:download?alt=media",
        "https://gateway.example/google/v1beta/files/k3v9p2q8x1ab:download?alt=media",
    ],
)
def test_a_file_is_known_in_every_form_that_was_seen(answer: Answers, uri: str) -> None:
    [asset] = taken(answer, uri)
    assert asset == Asset(uri, signed=True)
    assert GATEWAY.download(asset) == WireRequest("GET", f"https://gateway.example/google{FILE}", signed=True)


@pytest.mark.parametrize(
    "uri",
    [
        "https://cdn.example/v1beta/files/k3v9p2q8x1ab:download?alt=media",
        "https://generativelanguage.googleapis.com.example/v1beta/files/k3v9p2q8x1ab",
        "https://gateway.example:8443/v1beta/files/k3v9p2q8x1ab",
        "https://gateway.example/results/take.mp4?sig=1",
    ],
)
def test_anything_else_is_fetched_as_it_is_and_without_the_key(answer: Answers, uri: str) -> None:
    [asset] = taken(answer, uri)
    assert asset == Asset(uri)
    assert GATEWAY.download(asset) == WireRequest("GET", uri, signed=False)


def test_a_take_without_an_address_hides_no_other_and_alone_is_looked_at_again(answer: Answers) -> None:
    strange: list[object] = ["", 5, "https://[::1", "javascript:alert(1)", "take.mp4"]
    assert len(taken(answer, *strange, "files/k3v9p2q8x1ab", "files/k3v9p2q8x1ab")) == 1
    for bad in strange:
        with pytest.raises(ProviderUnavailable, match="generatedSamples"):
            taken(answer, bad)


def test_filtered_without_an_error_is_filtered_and_free(answer: Answers) -> None:
    status = polled(answer("gemini/filtered"))
    assert (status.state, status.filtered) == (JobState.FILTERED, 1)
    assert isinstance(status.error, ContentFiltered)
    assert status.error.charged == "no"
    assert "for video safety" in str(status.error)


def test_a_filtered_sound_that_cannot_be_switched_off_may_pass_unchanged(answer: Answers) -> None:
    error = polled(answer("gemini/filtered_sound")).error
    assert error is not None
    assert error.hint == "the same may pass when it is asked again"


def test_the_ends_without_a_video_are_failures(answer: Answers) -> None:
    internal, nothing = polled(answer("gemini/error_in_operation")), polled(answer("gemini/done_with_nothing"))
    for status in (internal, nothing):
        assert status.state is JobState.FAILED
        assert isinstance(status.error, GenerationFailed)
        assert status.error.charged == "held"
    assert "INTERNAL" in str(internal.error)


def test_an_error_without_a_word_takes_no_delivered_video_away(answer: Answers) -> None:
    done = answer("gemini/done").json()
    assert polled(answer(body={**done, "error": {}})).state is JobState.SUCCEEDED
    assert polled(answer(body={**done, "error": {"code": 13}})).state is JobState.FAILED


def test_an_operation_that_is_not_known_is_missing_and_a_proxys_404_is_not(answer: Answers) -> None:
    assert polled(answer("gemini/operation_gone")).state is JobState.MISSING
    with pytest.raises(ProviderUnavailable):
        polled(answer(status=404, body="no such page"))


def test_the_probe_asks_for_a_model_and_tells_a_bad_key(answer: Answers) -> None:
    probe = VEO.probe()
    assert probe.request == WireRequest("GET", f"{HOST}/v1beta/models/{MODEL}")
    probe.read(answer("gemini/model"))
    with pytest.raises(AuthenticationFailed):
        probe.read(answer("gemini/refused_key"))
