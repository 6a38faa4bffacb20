"""Veo on Vertex AI, by == on requests and on what is read."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
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
from multivideo.providers.google_words import SUPPORT_CODES
from multivideo.providers.veo import VertexBackend
from multivideo.values.clips import Clip
from multivideo.values.media import Media
from multivideo.values.refs import VendorHandle, VendorRef
from multivideo.values.words import Mode
from multivideo.wire import Asset, JobState, JobStatus, LookUp, Order, Resend, WireRequest, WireResponse

HOST = "https://us-central1-aiplatform.googleapis.com"
MODEL = "veo-3.1-generate-001"
RESOURCE = f"projects/demo/locations/us-central1/publishers/google/models/{MODEL}"
OPERATION = f"{RESOURCE}/operations/6f1c0f1e-6b5e-4a37-9a53-1d1c2f0b7a11"
VEO = VertexBackend("vertex", HOST, "demo", "us-central1")
KEPT = evolve(VEO, output_uri="gs://demo-out/runs/")
REF = VendorRef("vertex", "veo-vertex", MODEL, MODEL, OPERATION)
STORAGE = "https://storage.googleapis.com/storage/v1"

Answers = Callable[..., WireResponse]
Orders = Callable[..., Order]


def sent(order: Order, backend: VertexBackend = VEO) -> WireRequest:
    return backend.submit(order).last(()).request


def parameters(order: Order, backend: VertexBackend = VEO) -> dict[str, Any]:
    body = sent(order, backend).json
    assert body is not None
    return dict(body["parameters"])


def accepted(order: Order, response: WireResponse) -> VendorRef:
    return VEO.submit(order).last(()).read(response)


def polled(response: WireResponse) -> JobStatus:
    return VEO.poll(REF).read(response)


@pytest.mark.parametrize("audio", [True, False])
def test_submit_says_generate_audio_and_sample_count_always(order: Orders, audio: bool) -> None:
    assert sent(order(MODEL, audio=audio)) == WireRequest(
        "POST",
        f"{HOST}/v1/{RESOURCE}:predictLongRunning",
        json={
            "instances": [{"prompt": "A kite over dunes"}],
            "parameters": {
                "sampleCount": 1,
                "durationSeconds": 8,
                "resolution": "720p",
                "aspectRatio": "16:9",
                "generateAudio": audio,
            },
        },
        resend=Resend.IF_UNSENT,
    )


def test_seed_negative_prompt_and_several_samples_are_sent_where_given(order: Orders) -> None:
    wanted = parameters(order(MODEL, seed=0, negative_prompt="rain", samples=3))
    assert (wanted["seed"], wanted["negativePrompt"], wanted["sampleCount"]) == (0, "rain", 3)


def test_each_attempt_writes_into_a_folder_of_its_own(order: Orders) -> None:
    assert parameters(order(MODEL), KEPT)["storageUri"] == "gs://demo-out/runs/mv-attempt-1/"
    assert "storageUri" not in parameters(order(MODEL))


def test_a_picture_in_memory_goes_as_plain_base64_with_its_type(order: Orders, frame: Media) -> None:
    body = sent(order(MODEL, first_frame=frame)).json
    assert body is not None
    encoded = base64.b64encode(frame.data or b"").decode()
    assert body["instances"][0]["image"] == {"bytesBase64Encoded": encoded, "mimeType": "image/png"}


def test_a_picture_in_storage_goes_by_its_address_and_type(order: Orders) -> None:
    body = sent(order(MODEL, first_frame=Media(url="gs://demo-in/a.JPG"))).json
    assert body is not None
    assert body["instances"][0]["image"] == {"gcsUri": "gs://demo-in/a.JPG", "mimeType": "image/jpeg"}


def of_mode(order: Order, mode: Mode) -> Order:
    return evolve(order, segment=evolve(order.segment, mode=mode))


@pytest.mark.parametrize("url", ["https://media.example/a.png", "gs://demo-in/a.webp", "gs://demo-in/a"])
@pytest.mark.parametrize(
    ("field", "mode"),
    [("first_frame", Mode.FIRST_FRAME), ("last_frame", Mode.FIRST_LAST), ("reference_images", Mode.REFERENCE)],
)
def test_an_address_that_vertex_cannot_take_is_refused_naming_what_it_came_by(
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


INLINE = {"bytesBase64Encoded": "Y2xpcA==", "mimeType": "video/mp4"}


def extended(source: Clip, order: Order, backend: VertexBackend = VEO) -> Any:
    """The video that an extension sends."""
    step = backend.extend(of_mode(evolve(order, source=source), Mode.EXTEND))
    body = step.last(()).request.json
    assert body is not None
    return body["instances"][0]["video"]


def test_a_clip_goes_by_its_gs_address_or_as_bytes_and_by_no_other_address(order: Orders) -> None:
    stored = Clip(Media(url="gs://demo-in/a.mp4"))
    assert extended(stored, order(MODEL)) == {"gcsUri": "gs://demo-in/a.mp4", "mimeType": "video/mp4"}
    assert extended(Clip(Media(data=b"clip")), order(MODEL)) == INLINE
    with pytest.raises(UnsupportedFeature) as refused:
        extended(Clip(Media(url="https://media.example/a.mp4")), order(MODEL))
    assert refused.value.field == "source_video"


def test_a_video_that_was_left_in_a_bucket_is_extended_from_there(answer: Answers, order: Orders) -> None:
    [kept, _] = polled(answer("veo/done_in_bucket")).assets
    ours = Clip(Media(data=b"clip"), VendorHandle(REF, 0, kept.url))
    address = "gs://demo-out/run 1/sample_0.mp4"
    assert extended(ours, order(MODEL)) == {"gcsUri": address, "mimeType": "video/mp4"}
    of_another = evolve(ours, handle=VendorHandle(evolve(REF, provider="spare"), 0, kept.url))
    inline = evolve(ours, handle=VendorHandle(REF))
    for clip, backend in ((of_another, VEO), (inline, VEO), (ours, evolve(VEO, storage_url="https://s.example/v1"))):
        assert extended(clip, order(MODEL), backend) == INLINE


@pytest.mark.parametrize("name", ["durationSeconds", "aspectRatio", "sampleCount", "resolution", "generateAudio"])
def test_options_change_nothing_that_an_extension_was_priced_by(order: Orders, name: str) -> None:
    asked = order(MODEL, source=Clip(Media(data=b"clip")), options={"parameters": {name: 4}})
    with pytest.raises(InvalidRequest, match=rf"parameters\.{name}"):
        VEO.extend(of_mode(asked, Mode.EXTEND))


def test_an_extension_says_how_many_with_what_sound_and_where_to(order: Orders) -> None:
    asked = order(MODEL, source=Clip(Media(data=b"clip")), samples=2, audio=False, seed=3, negative_prompt="rain")
    assert parameters(of_mode(asked, Mode.EXTEND), KEPT) == {
        "sampleCount": 2,
        "resolution": "720p",
        "generateAudio": False,
        "storageUri": "gs://demo-out/runs/mv-attempt-1/",
        "negativePrompt": "rain",
        "seed": 3,
    }


def test_nothing_is_said_of_people_unless_options_say_it(order: Orders) -> None:
    assert "personGeneration" not in parameters(order(MODEL))
    asked = order(MODEL, options={"parameters": {"personGeneration": "dont_allow"}})
    assert parameters(asked)["personGeneration"] == "dont_allow"


def test_options_add_what_only_google_has_and_change_none_of_ours(order: Orders) -> None:
    extra = {"parameters": {"personGeneration": "allow_adult"}, "labels": {"team": "film"}}
    request = sent(order(MODEL, options=extra))
    assert request.json is not None
    assert request.json["labels"] == {"team": "film"}
    assert request.json["parameters"]["personGeneration"] == "allow_adult"
    with pytest.raises(InvalidRequest, match=r"parameters\.generateAudio"):
        VEO.submit(order(MODEL, options={"parameters": {"generateAudio": True}}))


def test_a_started_operation_is_read_as_its_reference(answer: Answers, order: Orders) -> None:
    assert accepted(order(MODEL), answer("veo/started")) == REF


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 5}, [], "x"])
def test_a_success_without_a_readable_name_has_an_unknown_outcome(answer: Answers, order: Orders, body: object) -> None:
    with pytest.raises(OutcomeUnknown):
        accepted(order(MODEL), answer(body=body))


@pytest.mark.parametrize(
    ("name", "kind", "retryable"),
    [
        ("refused_resolution", InvalidRequest, False),
        ("refused_content", ContentFiltered, False),
        ("refused_token", AuthenticationFailed, False),
        ("refused_permission", AuthenticationFailed, False),
        ("model_not_found", UnsupportedFeature, False),
        ("quota_a_minute", RateLimited, True),
        ("quota_a_day", RateLimited, False),
        ("unavailable", ProviderUnavailable, True),
    ],
)
def test_a_refused_start_proves_that_nothing_is_charged(
    answer: Answers, order: Orders, name: str, kind: type[MultiVideoError], retryable: bool
) -> None:
    response = answer(f"veo/{name}")
    with pytest.raises(kind) as refused:
        accepted(order(MODEL), response)
    assert type(refused.value) is kind
    assert (refused.value.charged, refused.value.retryable) == ("no", retryable)


def test_a_start_that_is_refused_for_its_content_says_for_what(answer: Answers, order: Orders) -> None:
    with pytest.raises(ContentFiltered) as refused:
        accepted(order(MODEL), answer("veo/refused_content"))
    assert "refused for celebrities" in refused.value.hint
    assert "INVALID_ARGUMENT" in str(refused.value)


def test_an_internal_error_on_a_start_has_an_unknown_outcome(answer: Answers, order: Orders) -> None:
    with pytest.raises(OutcomeUnknown):
        accepted(order(MODEL), answer("veo/internal"))


def test_the_wait_of_retry_info_is_read(answer: Answers) -> None:
    error = VEO.refusal(answer("veo/quota_a_minute"))
    assert error is not None
    assert error.retry_after == 27.5


@pytest.mark.parametrize(
    ("message", "delay", "retryable"),
    [
        ("Quota exceeded: requests per day.", "30s", False),
        ("The daily limit is reached.", None, False),
        ("Your prepayment credits are used up.", "1s", False),
        ("Spend cap of the project reached.", None, False),
        ("Please check your plan and billing details.", None, False),
        ("Please check your plan and billing details.", "27s", True),
        ("Quota exceeded for aiplatform.googleapis.com/long_running_online_prediction_requests", None, True),
    ],
)
@pytest.mark.parametrize("status", ["RESOURCE_EXHAUSTED", None])
def test_only_a_limit_that_passes_soon_is_waited_for(
    answer: Answers, order: Orders, message: str, delay: str | None, retryable: bool, status: str | None
) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}] if delay else []
    body = {"error": {"code": 429, "status": status, "message": message, "details": details}}
    with pytest.raises(RateLimited) as refused:
        accepted(order(MODEL), answer(status=429, body=body))
    assert refused.value.retryable is retryable
    assert "LASTING" not in str(refused.value)


def test_a_project_that_may_not_is_no_wrong_request(answer: Answers, order: Orders) -> None:
    error = {"code": 400, "status": "FAILED_PRECONDITION", "message": "Billing must be enabled."}
    with pytest.raises(AuthenticationFailed, match="Billing must be enabled") as refused:
        accepted(order(MODEL), answer(status=400, body={"error": error}))
    assert refused.value.charged == "no"


@pytest.mark.parametrize("name", ["gs://elsewhere/runs/", "a\nb", "\ud800", "x" * 2000, "..", " "])
def test_a_name_that_no_operation_has_leaves_the_outcome_unknown(answer: Answers, order: Orders, name: str) -> None:
    with pytest.raises(OutcomeUnknown):
        accepted(order(MODEL), answer(body={"name": name}))


def test_an_error_wrapped_in_a_list_is_read(answer: Answers) -> None:
    assert isinstance(VEO.refusal(answer("veo/error_in_list")), AuthenticationFailed)


def test_poll_is_a_post_that_may_always_be_sent_again_and_spills_the_video() -> None:
    assert VEO.poll(REF).request == WireRequest(
        "POST",
        f"{HOST}/v1/{RESOURCE}:fetchPredictOperation",
        json={"operationName": OPERATION},
        resend=Resend.ALWAYS,
        spill=(("response", "videos", "*", "bytesBase64Encoded"),),
    )


def test_poll_asks_the_model_that_the_operation_names() -> None:
    numbered = OPERATION.replace("projects/demo", "projects/123456")
    asked = VEO.poll(evolve(REF, remote_id=numbered)).request.url
    assert asked == f"{HOST}/v1/{RESOURCE.replace('demo', '123456')}:fetchPredictOperation"


@pytest.mark.parametrize("name", ["../../secrets/operations/1", "op-1", OPERATION + "?x=1", OPERATION + "/../y"])
def test_an_operation_name_of_another_form_goes_into_no_address(name: str) -> None:
    assert VEO.poll(evolve(REF, remote_id=name)).request.url == f"{HOST}/v1/{RESOURCE}:fetchPredictOperation"


@pytest.mark.parametrize("name", ["running", "running_said"])
def test_done_that_is_absent_or_false_means_running(answer: Answers, name: str) -> None:
    assert polled(answer(f"veo/{name}")).state is JobState.RUNNING


def test_videos_in_a_bucket_are_fetched_from_storage_with_the_token(answer: Answers) -> None:
    status = polled(answer("veo/done_in_bucket"))
    urls = [f"{STORAGE}/b/demo-out/o/run%201%2Fsample_{n}.mp4?alt=media" for n in (0, 1)]
    assert status.assets == tuple(Asset(url, signed=True) for url in urls)
    assert VEO.download(status.assets[0]) == WireRequest("GET", urls[0], signed=True)


def test_a_video_inside_the_answer_is_the_file_that_it_was_spilled_to(answer: Answers) -> None:
    status = polled(answer("veo/done_inline", spilled=(Path("/tmp/a.mp4"),)))
    assert status.assets == (Asset(file=Path("/tmp/a.mp4")),)
    with pytest.raises(ValueError, match="nothing to fetch"):
        VEO.download(status.assets[0])


def test_a_video_that_was_not_spilled_cannot_be_read(answer: Answers) -> None:
    inline = {"name": OPERATION, "done": True, "response": {"videos": [{"bytesBase64Encoded": "AAAA"}]}}
    for response in (answer(body=inline), answer("veo/done_inline")):
        with pytest.raises(ProviderUnavailable, match="videos"):
            polled(response)


def done(answer: Answers, *videos: object, spilled: tuple[Path, ...] = (), **more: object) -> JobStatus:
    return polled(answer(body={"done": True, "response": {"videos": list(videos), **more}}, spilled=spilled))


def test_a_take_without_a_place_hides_no_other_and_alone_is_looked_at_again(answer: Answers) -> None:
    kept = {"gcsUri": "gs://demo-out/a.mp4"}
    assert len(done(answer, {"gcsUri": 5}, kept, "x", {}, {"gcsUri": "https://a"}, kept).assets) == 1
    for bad in ({}, {"gcsUri": 5}, "x", {"gcsUri": "gs://"}):
        with pytest.raises(ProviderUnavailable, match="videos"):
            done(answer, bad, raiMediaFilteredCount=1)


def test_files_stay_with_their_takes_where_a_take_has_an_address_too(answer: Answers) -> None:
    both = {"gcsUri": "gs://demo-out/a.mp4", "bytesBase64Encoded": ""}
    files = (Path("/tmp/a.mp4"), Path("/tmp/b.mp4"))
    assert done(answer, both, {"bytesBase64Encoded": ""}, spilled=files).assets == tuple(Asset(file=f) for f in files)


def test_an_error_without_a_word_takes_no_delivered_video_away(answer: Answers) -> None:
    body = {"done": True, "error": {}, "response": {"videos": [{"gcsUri": "gs://demo-out/a.mp4"}]}}
    assert polled(answer(body=body)).state is JobState.SUCCEEDED
    assert polled(answer(body={**body, "error": {"code": 13}})).state is JobState.FAILED


@pytest.mark.parametrize("word", ["true", "false", 1, {}, [], "done"])
def test_done_of_another_type_is_neither_running_nor_finished(answer: Answers, word: object) -> None:
    with pytest.raises(ProviderUnavailable, match="done"):
        polled(answer(body={"done": word, "response": {"videos": [{"gcsUri": "gs://demo-out/a.mp4"}]}}))


@pytest.mark.parametrize(("code", "name"), [(13, "INTERNAL"), ("13", "INTERNAL"), (None, "unknown"), (1.5, "unknown")])
def test_the_code_of_an_operation_is_read_as_number_or_text(answer: Answers, code: object, name: str) -> None:
    status = polled(answer(body={"done": True, "error": {"code": code, "message": "no"}}))
    assert status.state is JobState.FAILED
    assert name in str(status.error)


def test_filtered_without_an_error_is_filtered_and_free(answer: Answers) -> None:
    status = polled(answer("veo/filtered"))
    assert (status.state, status.filtered) == (JobState.FILTERED, 1)
    assert isinstance(status.error, ContentFiltered)
    assert status.error.charged == "no"
    assert "for video safety" in str(status.error)


def test_partly_filtered_is_a_success_that_says_how_many_are_missing(answer: Answers) -> None:
    status = polled(answer("veo/partly_filtered"))
    assert (status.state, len(status.assets), status.filtered) == (JobState.SUCCEEDED, 1, 1)


def test_done_without_videos_and_without_a_reason_is_a_failure(answer: Answers) -> None:
    for body in ({"done": True}, {"done": True, "response": {"videos": []}}):
        assert polled(answer(body=body)).state is JobState.FAILED
    assert isinstance(polled(answer("veo/done_with_nothing")).error, GenerationFailed)


def test_the_numeric_error_code_of_an_operation_is_no_http_status(answer: Answers) -> None:
    internal, bad = polled(answer("veo/error_in_operation")), polled(answer("veo/error_http_number"))
    assert internal.error is not None
    assert bad.error is not None
    assert "INTERNAL" in str(internal.error)
    assert (internal.error.retryable, bad.error.retryable) == (True, False)
    assert "code 400" in str(bad.error)


def test_support_codes_in_an_operations_error_are_a_refusal_of_content(answer: Answers) -> None:
    status = polled(answer("veo/error_support_codes"))
    assert status.state is JobState.FILTERED
    assert "for children, celebrities" in str(status.error)


def test_every_support_code_has_eight_digits() -> None:
    assert all(len(code) == 8 and code.isdigit() for code in SUPPORT_CODES)
    assert len(SUPPORT_CODES) == 25


def test_an_operation_that_is_not_known_is_missing(answer: Answers) -> None:
    assert polled(answer("veo/operation_gone")).state is JobState.MISSING
    with pytest.raises(ProviderUnavailable):
        polled(answer(status=404, body="no such page"))


def test_a_lost_start_can_be_looked_up_only_where_videos_go_to_a_folder(answer: Answers, order: Orders) -> None:
    lost = LookUp("mv-attempt-1", MODEL, order(MODEL).segment, 0, 0, lambda _: False)
    assert VEO.look_up(lost) is None
    exchange = KEPT.look_up(lost)
    assert exchange is not None
    assert exchange.request == WireRequest("GET", f"{STORAGE}/b/demo-out/o?prefix=runs%2Fmv-attempt-1%2F")
    [found] = exchange.read(answer("veo/folder"))
    assert found.remote_id == "gs://demo-out/runs/mv-attempt-1/"
    assert [asset.url for asset in found.assets] == [
        f"{STORAGE}/b/demo-out/o/runs%2Fmv-attempt-1%2F77%2Fsample_{n}.mp4?alt=media" for n in (0, 1)
    ]
    assert exchange.read(answer("veo/folder_empty")) == ()


def test_a_job_found_by_its_folder_is_polled_by_its_folder(answer: Answers) -> None:
    exchange = KEPT.poll(evolve(REF, remote_id="gs://demo-out/runs/mv-attempt-1/"))
    assert exchange.request == WireRequest("GET", f"{STORAGE}/b/demo-out/o?prefix=runs%2Fmv-attempt-1%2F")
    assert exchange.read(answer("veo/folder")).state is JobState.SUCCEEDED
    assert exchange.read(answer("veo/folder_empty")).state is JobState.MISSING


def test_the_token_goes_to_vertex_and_to_storage_and_nowhere_else() -> None:
    assert VEO.origins == (f"{HOST}:443", "https://storage.googleapis.com:443")
    assert not VEO.download(Asset("https://elsewhere.example/a.mp4", signed=True)).signed
