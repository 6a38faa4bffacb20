"""The OpenAI Videos protocol, by == on requests and on what is read."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from multivideo.errors import (
    AuthenticationFailed,
    ContentFiltered,
    DownloadFailed,
    GenerationFailed,
    InvalidRequest,
    MultiVideoError,
    OutcomeUnknown,
    ProviderUnavailable,
    RateLimited,
    UnsupportedFeature,
)
from multivideo.providers.dialects import DIALECTS
from multivideo.providers.openai import OpenAIVideosBackend
from multivideo.values.clips import Clip
from multivideo.values.media import Media
from multivideo.values.plan import Segment
from multivideo.values.refs import VendorHandle, VendorRef
from multivideo.values.words import Element, Mode
from multivideo.wire import (
    Asset,
    Exchange,
    JobState,
    JobStatus,
    LookUp,
    Order,
    Part,
    Resend,
    SweepPage,
    WireRequest,
    WireResponse,
)

BASE = "https://gateway.example/v1"
OPENAI = OpenAIVideosBackend("openai", BASE)
LITELLM = OpenAIVideosBackend("openai", BASE, DIALECTS["litellm"])
VIDEO = "video_6abc0f80c1d4819095f2b7a1e03d44c2"
REF = VendorRef("openai", "openai-videos", "sora-2", "sora-2", VIDEO)
EIGHT_SECONDS = Segment(
    mode=Mode.TEXT,
    seconds=8,
    resolution="720p",
    aspect_ratio="16:9",
    width=1280,
    height=720,
    fps=30,
    audio=True,
)


def of_mode(order: Order, mode: Mode) -> Order:
    return evolve(order, segment=evolve(order.segment, mode=mode))


Answers = Callable[..., WireResponse]
Orders = Callable[..., Order]


def sent(order: Order) -> WireRequest:
    return OPENAI.submit(order).last(()).request


def accepted(order: Order, response: WireResponse) -> VendorRef:
    return OPENAI.submit(order).last(()).read(response)


def polled(response: WireResponse, ref: VendorRef = REF) -> JobStatus:
    return OPENAI.poll(ref).read(response)


def test_submit_sends_seconds_as_a_string_and_the_size_always(order: Orders) -> None:
    assert sent(order("sora-2")) == WireRequest(
        "POST",
        f"{BASE}/videos",
        json={"model": "sora-2", "prompt": "A kite over dunes", "seconds": "8", "size": "1280x720"},
        headers={"Idempotency-Key": "mv-attempt-1"},
        resend=Resend.IF_UNSENT,
    )


def test_a_picture_in_memory_goes_as_a_file_of_a_form(order: Orders, frame: Media) -> None:
    request = sent(order("sora-2", first_frame=frame, options={"characters": [{"id": "char_1"}], "loop": True}))
    assert request.json is None
    assert request.parts == (
        Part("model", "sora-2"),
        Part("prompt", "A kite over dunes"),
        Part("seconds", "8"),
        Part("size", "1280x720"),
        Part("characters[][id]", "char_1"),
        Part("loop", "true"),
        Part("input_reference", frame.data or b"", "first_frame.png", "image/png"),
    )


def refused_form(answer: Answers, order: Orders, frame: Media) -> MultiVideoError:
    with pytest.raises(InvalidRequest) as refused:
        accepted(order("sora-2", first_frame=frame), answer("openai/refused_file"))
    return refused.value


def test_a_file_that_is_refused_for_its_form_is_sent_once_more_as_an_object(
    answer: Answers, order: Orders, frame: Media
) -> None:
    wanted = order("sora-2", first_frame=frame, options={"quality": "draft"})
    step = OPENAI.submit(wanted)
    assert step.instead is not None
    other = step.instead(refused_form(answer, order, frame))
    assert other is not None
    assert other.request == WireRequest(
        "POST",
        f"{BASE}/videos",
        json={
            "model": "sora-2",
            "prompt": "A kite over dunes",
            "seconds": "8",
            "size": "1280x720",
            "input_reference": {"image_url": f"data:image/png;base64,{base64.b64encode(frame.data or b'').decode()}"},
            "quality": "draft",
        },
        headers={"Idempotency-Key": "mv-attempt-1"},
        resend=Resend.IF_UNSENT,
    )
    assert other.read(answer("openai/created")) == REF


def test_a_picture_that_has_one_form_alone_is_sent_in_no_other(answer: Answers, order: Orders, frame: Media) -> None:
    error = refused_form(answer, order, frame)
    by_address = order("sora-2", first_frame=Media(url="https://media.example/a.png"))
    steps = [OPENAI.submit(by_address), LITELLM.submit(order("sora-2", first_frame=frame))]
    assert [step.instead and step.instead(error) for step in steps] == [None, None]


@pytest.mark.parametrize("name", ["refused_picture_size", "refused_seconds_integer", "refused_sentinel", "refused_key"])
def test_no_other_refusal_changes_the_form(answer: Answers, order: Orders, frame: Media, name: str) -> None:
    step, error = OPENAI.submit(order("sora-2", first_frame=frame)), OPENAI.refusal(answer(f"openai/{name}"))
    with pytest.raises(MultiVideoError) as refused:
        step.last(()).read(answer(f"openai/{name}"))
    assert error is not None
    assert step.instead is not None
    assert (step.instead(error), step.instead(refused.value)) == (None, None)


def test_a_picture_by_address_goes_as_an_object(order: Orders) -> None:
    request = sent(order("sora-2", first_frame=Media(url="https://media.example/a.png")))
    assert request.json is not None
    assert request.json["input_reference"] == {"image_url": "https://media.example/a.png"}


def test_a_storage_address_is_refused_before_anything_is_sent(order: Orders) -> None:
    with pytest.raises(UnsupportedFeature) as refused:
        OPENAI.submit(order("sora-2", first_frame=Media(url="gs://bucket/a.png"))).last(())
    assert refused.value.field == "first_frame"
    assert "nothing was sent" in str(refused.value)


def test_options_may_add_fields_and_change_none_of_ours(order: Orders) -> None:
    request = sent(order("sora-2", options={"quality": "draft"}))
    assert request.json is not None
    assert request.json["quality"] == "draft"
    with pytest.raises(InvalidRequest, match="seconds, size") as refused:
        OPENAI.submit(order("sora-2", options={"seconds": "4", "size": "720x1280"}))
    assert refused.value.field == "options"


def test_what_the_protocol_has_no_field_for_is_refused_and_not_dropped(order: Orders) -> None:
    with pytest.raises(UnsupportedFeature) as refused:
        OPENAI.submit(order("sora-2", seed=1, negative_prompt="rain", samples=2))
    assert {problem.field for problem in refused.value.problems} == {"seed", "negative_prompt", "count"}


MOSSY, FERN = (Element(f"char_{name}", name, vendor="openai") for name in ("Mossy", "Fern"))
TWO = [{"id": "char_Mossy"}, {"id": "char_Fern"}]


def test_characters_go_by_their_ids_alone_or_beside_a_picture(order: Orders, frame: Media) -> None:
    alone = of_mode(order("sora-2", elements=(MOSSY, FERN)), Mode.REFERENCE)
    assert sent(alone).json == {
        "model": "sora-2",
        "prompt": "A kite over dunes",
        "seconds": "8",
        "size": "1280x720",
        "characters": TWO,
    }
    form = sent(order("sora-2", first_frame=frame, elements=(MOSSY, FERN))).parts
    assert [part.content for part in form if part.name == "characters[][id]"] == ["char_Mossy", "char_Fern"]
    by_address = sent(order("sora-2", first_frame=Media(url="https://media.example/a.png"), elements=(MOSSY,))).json
    assert by_address is not None
    assert by_address["characters"] == TWO[:1]


def test_pictures_of_people_are_refused_since_only_characters_can_be_told_of(order: Orders) -> None:
    picture = Media(url="https://media.example/a.png")
    for elements in ((), (MOSSY,)):
        with pytest.raises(UnsupportedFeature, match="reference_images"):
            OPENAI.submit(of_mode(order("sora-2", references=(picture,), elements=elements), Mode.REFERENCE))


def test_options_add_characters_only_where_the_request_names_none(order: Orders) -> None:
    named = of_mode(order("sora-2", elements=(MOSSY,), options={"characters": TWO}), Mode.REFERENCE)
    with pytest.raises(InvalidRequest, match="characters"):
        OPENAI.submit(named)


def test_a_file_of_the_files_api_goes_by_the_vendors_door_and_beside_no_picture(order: Orders, frame: Media) -> None:
    by_id = {"input_reference": {"file_id": "file-1"}}
    request = sent(order("sora-2", options=by_id))
    assert request.json is not None
    assert request.json["input_reference"] == {"file_id": "file-1"}
    for picture in (frame, Media(url="https://media.example/a.png")):
        with pytest.raises(InvalidRequest, match="input_reference"):
            OPENAI.submit(order("sora-2", first_frame=picture, options=by_id)).last(())


FILM = Clip(Media(data=b"film"), None, 4.0, 1280, 720)
OWN = evolve(FILM, handle=VendorHandle(REF))


def followed(backend: OpenAIVideosBackend, order: Order, mode: Mode) -> WireRequest:
    asked = of_mode(order, mode)
    return (backend.extend if mode is Mode.EXTEND else backend.edit)(asked).last(()).request


@pytest.mark.parametrize("mode", [Mode.EXTEND, Mode.EDIT])
def test_a_clip_of_nobodys_goes_as_a_file_and_an_edit_of_it_says_the_model(order: Orders, mode: Mode) -> None:
    request = followed(OPENAI, order("sora-2", source=FILM, options={"quality": "draft"}), mode)
    named = Part("seconds", "8") if mode is Mode.EXTEND else Part("model", "sora-2")
    assert (request.method, request.json, request.resend) == ("POST", None, Resend.IF_UNSENT)
    assert request.url == f"{BASE}/videos/{'extensions' if mode is Mode.EXTEND else 'edits'}"
    assert request.headers == {"Idempotency-Key": "mv-attempt-1"}
    assert set(request.parts) == {
        named,
        Part("prompt", "A kite over dunes"),
        Part("video", b"film", "video.mp4", "video/mp4"),
        Part("quality", "draft"),
    }


@pytest.mark.parametrize("backend", [OPENAI, LITELLM], ids=["openai", "litellm"])
def test_a_clip_of_its_own_goes_by_its_id_though_its_bytes_are_there(
    order: Orders, backend: OpenAIVideosBackend
) -> None:
    video, words = {"video": {"id": VIDEO}}, {"prompt": "A kite over dunes"}
    asked = order("sora-2", source=OWN)
    assert followed(backend, asked, Mode.EXTEND).json == {**words, **video, "seconds": "8"}
    assert followed(backend, asked, Mode.EDIT).json == {**words, **video}
    assert followed(backend, asked, Mode.REMIX).json == words


@pytest.mark.parametrize(
    ("backend", "clip", "mode"),
    [
        (OPENAI, FILM, Mode.REMIX),
        (OPENAI, Clip(Media(url="https://media.example/a.mp4")), Mode.EDIT),
        (OPENAI, evolve(FILM, media=Media(path=Path("a.mp4"))), Mode.EXTEND),
        (LITELLM, FILM, Mode.EDIT),
        (LITELLM, FILM, Mode.EXTEND),
        (LITELLM, evolve(OWN, handle=VendorHandle(evolve(REF, provider="other"))), Mode.EDIT),
    ],
)
def test_a_clip_that_can_go_neither_by_id_nor_as_a_file_is_refused(
    order: Orders, backend: OpenAIVideosBackend, clip: Clip, mode: Mode
) -> None:
    with pytest.raises(UnsupportedFeature, match="a Video that openai made") as refused:
        followed(backend, order("sora-2", source=clip), mode)
    assert ("a file or bytes" in str(refused.value)) == (backend is OPENAI and mode is not Mode.REMIX)


@pytest.mark.parametrize("name", ["seconds", "size", "model", "video"])
def test_options_change_nothing_of_an_uploaded_clip(order: Orders, name: str) -> None:
    with pytest.raises(InvalidRequest, match=name):
        followed(OPENAI, order("sora-2", source=FILM, options={name: "20"}), Mode.EDIT)


@pytest.mark.parametrize("name", ["openai/extended", "openai/remixed", "litellm/extended", "litellm/remixed"])
def test_what_follows_a_video_is_a_job_of_its_own(answer: Answers, order: Orders, name: str) -> None:
    sample = answer(name)
    ref = OPENAI.extend(of_mode(order("sora-2", source=OWN), Mode.EXTEND)).last(()).read(sample)
    assert ref == evolve(REF, remote_id=sample.json()["id"])


@pytest.mark.parametrize(("backend", "more"), [(OPENAI, ()), (LITELLM, (Part("model", "sora-2"),))])
def test_a_character_is_made_of_a_name_and_a_file_and_at_a_gateway_for_a_model(
    answer: Answers, backend: OpenAIVideosBackend, more: tuple[Part, ...]
) -> None:
    exchange = backend.character("Mossy", OWN, "sora-2")
    assert exchange.request == WireRequest(
        "POST",
        f"{BASE}/videos/characters",
        parts=(Part("name", "Mossy"), Part("video", b"film", "video.mp4", "video/mp4"), *more),
        resend=Resend.IF_UNSENT,
    )
    assert (
        exchange.read(answer("openai/character")) == exchange.read(answer("litellm/character")) == "char_6abc0f80c1d481"
    )


def test_a_character_needs_the_bytes_of_its_clip() -> None:
    with pytest.raises(InvalidRequest, match="not read yet"):
        OPENAI.character("Mossy", Clip(Media(path=Path("a.mp4"))), "sora-2")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("litellm/refused_character", InvalidRequest),
        ("openai/refused_key", AuthenticationFailed),
        ("openai/refused_sentinel", ContentFiltered),
        ("openai/rate_limited", RateLimited),
        ("openai/not_found", UnsupportedFeature),
    ],
)
def test_a_character_that_is_refused_costs_nothing(answer: Answers, name: str, kind: type[MultiVideoError]) -> None:
    with pytest.raises(kind) as refused:
        OPENAI.character("Mossy", FILM, "sora-2").read(answer(name))
    assert type(refused.value) is kind
    assert refused.value.charged == "no"


@pytest.mark.parametrize("name", ["server_error", "gateway_html", "unavailable"])
def test_an_answer_that_proves_nothing_leaves_open_whether_there_is_a_character(answer: Answers, name: str) -> None:
    with pytest.raises(OutcomeUnknown, match="may have made the character"):
        OPENAI.character("Mossy", FILM, "sora-2").read(answer(f"openai/{name}"))


@pytest.mark.parametrize("body", [{}, {"id": ""}, {"id": None}, [], None])
def test_a_character_without_an_id_is_none_to_be_told_of(answer: Answers, body: object) -> None:
    with pytest.raises(OutcomeUnknown):
        OPENAI.character("Mossy", FILM, "sora-2").read(answer(body=body))


def test_an_order_without_pixels_is_refused_since_the_size_is_always_sent(order: Orders) -> None:
    plain = order("sora-2")
    with pytest.raises(InvalidRequest, match="pixels"):
        OPENAI.submit(evolve(plain, segment=evolve(plain.segment, width=None)))


def test_a_created_video_is_read_as_its_reference(answer: Answers, order: Orders) -> None:
    assert accepted(order("sora-2"), answer("openai/created")) == REF


def test_a_created_video_is_taken_from_a_202_too(answer: Answers, order: Orders) -> None:
    assert accepted(order("sora-2"), evolve(answer("openai/created"), status=202)) == REF


@pytest.mark.parametrize(
    "body", [{}, {"id": ""}, {"id": 7, "status": "queued"}, [], None, {"id": "", "status": "queued"}]
)
def test_a_success_without_a_readable_id_has_an_unknown_outcome(answer: Answers, order: Orders, body: object) -> None:
    with pytest.raises(OutcomeUnknown) as lost:
        accepted(order("sora-2"), answer(body=body))
    assert (lost.value.charged, lost.value.attempt_id) == ("unknown", "mv-attempt-1")


@pytest.mark.parametrize(
    ("name", "kind", "retryable"),
    [
        ("refused_seconds", InvalidRequest, False),
        ("refused_seconds_integer", InvalidRequest, False),
        ("refused_picture_size", InvalidRequest, False),
        ("refused_sentinel", ContentFiltered, False),
        ("refused_key", AuthenticationFailed, False),
        ("refused_organization", AuthenticationFailed, False),
        ("model_not_found", UnsupportedFeature, False),
        ("rate_limited", RateLimited, True),
        ("quota", RateLimited, False),
    ],
)
def test_a_refused_submit_proves_that_nothing_is_charged(
    answer: Answers, order: Orders, name: str, kind: type[MultiVideoError], retryable: bool
) -> None:
    response = answer(f"openai/{name}")
    with pytest.raises(kind) as refused:
        accepted(order("sora-2"), response)
    assert type(refused.value) is kind
    assert (refused.value.charged, refused.value.retryable) == ("no", retryable)


def test_only_a_503_that_says_try_again_proves_that_there_is_no_job(answer: Answers, order: Orders) -> None:
    said = evolve(answer("openai/unavailable"), headers={"x-should-retry": "true"})
    with pytest.raises(ProviderUnavailable) as refused:
        accepted(order("sora-2"), said)
    assert type(refused.value) is ProviderUnavailable
    assert (refused.value.charged, refused.value.retryable) == ("no", True)


@pytest.mark.parametrize("name", ["server_error", "gateway_html", "unavailable"])
def test_a_server_error_after_a_submit_has_an_unknown_outcome(answer: Answers, order: Orders, name: str) -> None:
    with pytest.raises(OutcomeUnknown):
        accepted(order("sora-2"), answer(f"openai/{name}"))


@pytest.mark.parametrize("status", [302, 408, 409, 499, 500, 502, 503, 504, 520, 529])
def test_an_answer_in_foreign_words_proves_nothing_about_a_paid_submit(
    answer: Answers, order: Orders, status: int
) -> None:
    with pytest.raises(OutcomeUnknown):
        accepted(order("sora-2"), answer(status=status, body={"message": "Service Unavailable"}))


@pytest.mark.parametrize("status", [404, 410])
def test_a_create_that_is_not_found_says_that_the_model_is_not_served_there(
    answer: Answers, order: Orders, status: int
) -> None:
    with pytest.raises(UnsupportedFeature, match="openai does not serve sora-2") as refused:
        accepted(order("sora-2"), answer(status=status, body={"detail": "Not Found"}))
    assert refused.value.field == "model"


@pytest.mark.parametrize("status", [404, 410])
def test_a_follow_up_that_is_not_found_says_that_its_video_is_gone(answer: Answers, order: Orders, status: int) -> None:
    gone = answer(status=status, body={"error": {"message": "Video not found", "type": "invalid_request_error"}})
    for start, mode in ((OPENAI.edit, Mode.EDIT), (OPENAI.edit, Mode.REMIX), (OPENAI.extend, Mode.EXTEND)):
        with pytest.raises(UnsupportedFeature, match="does not find the video to go on from") as refused:
            start(of_mode(order("sora-2", source=OWN), mode)).last(()).read(gone)
        assert refused.value.field == "source_video"
        assert refused.value.hint == "it is gone there: give the file, or one that is still kept"
    with pytest.raises(UnsupportedFeature, match="openai does not serve sora-2"):  # a file is never missing there
        OPENAI.edit(of_mode(order("sora-2", source=FILM), Mode.EDIT)).last(()).read(gone)


def test_the_shorter_retry_header_in_milliseconds_wins(answer: Answers) -> None:
    error = OPENAI.refusal(answer("openai/rate_limited"))
    assert error is not None
    assert error.retry_after == 1.5


def test_an_error_never_repeats_prompt_or_key(answer: Answers, order: Orders) -> None:
    repeated = answer(status=400, body={"error": {"message": "Bad text: 'A kite over dunes'", "type": "invalid"}})
    with pytest.raises(InvalidRequest) as refused:
        accepted(order("sora-2"), repeated)
    assert "kite" not in str(refused.value)
    with pytest.raises(AuthenticationFailed) as denied:
        accepted(order("sora-2"), answer("openai/refused_key"))
    assert "sk-" not in str(denied.value)


def test_a_long_text_of_the_vendor_is_cut(answer: Answers) -> None:
    error = OPENAI.refusal(answer(status=400, body={"error": {"message": "x" * 5000, "type": "invalid"}}))
    assert error is not None
    assert len(error.what) < 400


def test_poll_percent_encodes_the_id_of_a_gateway() -> None:
    ref = evolve(REF, remote_id="video_bGl0ZWxsbTo+/w==")
    request = OPENAI.poll(ref).request
    assert request == WireRequest("GET", f"{BASE}/videos/video_bGl0ZWxsbTo%2B%2Fw%3D%3D")


def test_a_running_video_has_percent_and_the_pace_that_was_asked_for(answer: Answers) -> None:
    status = polled(answer("openai/running"))
    assert (status.state, status.percent, status.poll_after_s) == (JobState.RUNNING, 37, 2.5)


@pytest.mark.parametrize("text", ["-1", "soon", "1e9", "9" * 30, ""])
def test_a_pace_that_is_no_number_is_ignored(answer: Answers, text: str) -> None:
    response = evolve(answer("openai/running"), headers={"openai-poll-after-ms": text})
    assert polled(response).poll_after_s is None


def test_a_completed_video_lies_behind_its_content_address(answer: Answers) -> None:
    status = polled(answer("openai/completed"))
    assert status.state is JobState.SUCCEEDED
    assert status.assets == (Asset(f"{BASE}/videos/{VIDEO}/content", signed=True, expires_at=1790796125.0),)
    assert OPENAI.download(status.assets[0]) == WireRequest("GET", f"{BASE}/videos/{VIDEO}/content", signed=True)


def test_times_in_milliseconds_are_read_as_seconds(answer: Answers) -> None:
    assert polled(answer("openai/milliseconds")).assets[0].expires_at == 1790796125.0


def test_moderation_inside_the_job_is_filtered(answer: Answers) -> None:
    status = polled(answer("openai/failed_moderation"))
    assert status.state is JobState.FILTERED
    assert isinstance(status.error, ContentFiltered)


def test_an_internal_failure_of_the_job_may_be_tried_anew(answer: Answers) -> None:
    status = polled(answer("openai/failed_internal"))
    assert isinstance(status.error, GenerationFailed)
    assert (status.state, status.error.retryable, status.percent) == (JobState.FAILED, True, 99)


def test_a_set_error_beats_a_word_that_nobody_knows_and_no_word_that_is_known(answer: Answers) -> None:
    body = {"id": VIDEO, "status": "halted", "error": "policy violation"}
    assert polled(answer(body=body)).state is JobState.FILTERED
    for word, state in (("in_progress", JobState.RUNNING), ("completed", JobState.SUCCEEDED)):
        status = polled(answer(body={**body, "status": word}))
        assert (status.state, status.error) == (state, None)


@pytest.mark.parametrize("error", [None, "", {}, [], {"code": 0, "message": "success"}, {"code": "0"}, {"message": 5}])
def test_an_error_that_says_nothing_ends_no_paid_job(answer: Answers, error: object) -> None:
    assert polled(answer(body={"id": VIDEO, "status": "rendering", "error": error})).state is JobState.UNKNOWN


@pytest.mark.parametrize(
    ("status", "word", "state"), [(500, "failed", JobState.FAILED), (404, "deleted", JobState.CANCELLED)]
)
def test_a_job_that_ended_badly_may_come_inside_an_http_error(
    answer: Answers, status: int, word: str, state: JobState
) -> None:
    assert polled(answer(status=status, body={"id": VIDEO, "status": word})).state is state


def test_a_failure_of_another_job_inside_an_http_error_is_not_ours(answer: Answers) -> None:
    with pytest.raises(ProviderUnavailable):
        polled(answer(status=500, body={"id": "video_other", "status": "failed"}))


@pytest.mark.parametrize("word", ["completed", "in_progress", "strange"])
def test_an_http_error_is_no_success_whatever_it_says(answer: Answers, word: str) -> None:
    with pytest.raises(ProviderUnavailable):
        polled(answer(status=500, body={"id": VIDEO, "status": word}))


@pytest.mark.parametrize(("text", "seconds"), [("0", 1.0), ("20", 1.0), ("999999999", 120.0)])
def test_a_pace_is_neither_at_once_nor_next_week(answer: Answers, text: str, seconds: float) -> None:
    response = evolve(answer("openai/running"), headers={"openai-poll-after-ms": text})
    assert polled(response).poll_after_s == seconds


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"error": "the queue is closed"}, "the queue is closed"),
        ({"detail": "seconds is too long"}, "seconds is too long"),
        ({"detail": [{"loc": ["body", "seconds"], "msg": "Field required"}, 7]}, "seconds: Field required"),
        ({"message": "no such route"}, "no such route"),
        ({"error": {"code": "x", "message": None}, "message": "see code"}, "x, see code"),
    ],
)
def test_what_gateways_say_in_other_shapes_is_told(answer: Answers, order: Orders, body: object, text: str) -> None:
    with pytest.raises(InvalidRequest, match=text) as refused:
        accepted(order("sora-2"), answer(status=422, body=body))
    assert refused.value.charged == "no"


def test_a_code_counts_without_a_text(answer: Answers, order: Orders) -> None:
    with pytest.raises(RateLimited) as refused:
        accepted(order("sora-2"), answer(status=429, body={"error": {"code": "insufficient_quota", "message": None}}))
    assert not refused.value.retryable
    assert "waiting does not help" in refused.value.hint


def test_a_picture_in_the_form_that_an_address_does_not_take_names_the_other(answer: Answers, order: Orders) -> None:
    error = {"message": "expected an object", "code": "invalid_type", "param": "input_reference"}
    with pytest.raises(InvalidRequest) as refused:
        accepted(order("sora-2"), answer(status=400, body={"error": error}))
    assert "by its https address" in refused.value.hint


def test_a_job_with_an_id_and_nothing_else_is_accepted(answer: Answers, order: Orders) -> None:
    assert accepted(order("sora-2"), answer(status=202, body={"id": VIDEO})) == REF


def test_an_expired_video_is_no_endless_wait(answer: Answers) -> None:
    status = polled(answer("openai/expired"))
    assert status.state.ended
    assert isinstance(status.error, DownloadFailed)


def test_an_unknown_word_is_carried_and_not_guessed(answer: Answers) -> None:
    status = polled(answer("openai/unknown_word"))
    assert (status.state, status.word, status.error) == (JobState.UNKNOWN, "in_review", None)


def test_words_of_gateways_are_read_and_missing_fields_borne(answer: Answers) -> None:
    assert polled(answer("openai/short_form")).state is JobState.RUNNING
    assert polled(answer(body={"id": VIDEO, "status": "Succeeded"})).state is JobState.SUCCEEDED


def test_a_failed_job_in_an_http_error_is_read_as_the_job(answer: Answers) -> None:
    status = polled(answer("openai/failed_as_http_error"))
    assert status.state is JobState.FAILED
    assert "500, out of memory" in str(status.error)


def test_a_video_that_is_not_known_is_missing_and_a_proxys_404_is_not(answer: Answers) -> None:
    assert polled(answer("openai/not_found")).state is JobState.MISSING
    with pytest.raises(ProviderUnavailable) as down:
        polled(answer(status=404, body="nothing here"))
    assert down.value.retryable


def test_an_unreadable_answer_names_the_path_and_is_looked_at_again(answer: Answers) -> None:
    with pytest.raises(ProviderUnavailable, match=r"\$\.status") as unread:
        polled(answer(body={"id": VIDEO, "status": 3}))
    assert unread.value.retryable


def lost(**more: object) -> LookUp:
    return LookUp(
        **{  # type: ignore[arg-type]
            "attempt_id": "mv-attempt-1",
            "wire_model": "sora-2",
            "segment": EIGHT_SECONDS,
            "not_before": 1790709632.7,
            "not_after": 1790709700.0,
            "prompt_matches": lambda prompt: prompt == "A kite over dunes",
            **more,
        }
    )


def looked_up(**more: object) -> Exchange[tuple[JobStatus, ...]]:
    exchange = OPENAI.look_up(lost(**more))
    assert exchange is not None
    return exchange


def swept(since: float, cursor: str | None = None) -> Exchange[SweepPage]:
    exchange = OPENAI.sweep(since=since, cursor=cursor)
    assert exchange is not None
    return exchange


def test_a_lost_submit_is_looked_for_by_time_prompt_size_and_seconds(answer: Answers) -> None:
    exchange = looked_up()
    assert exchange.request == WireRequest("GET", f"{BASE}/videos?limit=100&order=desc")
    [found] = exchange.read(answer("openai/list"))
    assert found.remote_id == VIDEO


@pytest.mark.parametrize(
    "wrong",
    [
        {"not_before": 1790709640.0},
        {"not_after": 1790709630.0},
        {"wire_model": "sora-2-pro"},
        {"prompt_matches": lambda _: False},
    ],
)
def test_a_job_that_differs_in_one_thing_is_not_the_lost_one(answer: Answers, wrong: dict[str, object]) -> None:
    assert looked_up(**wrong).read(answer("openai/list")) == ()


@pytest.mark.parametrize(("seconds", "count"), [(8, 1), (8.0, 1), ("8", 1), (None, 1), (12, 0), (7.5, 0)])
def test_seconds_speak_for_or_against_a_job_however_they_are_written(
    answer: Answers, seconds: object, count: int
) -> None:
    found = looked_up().read(answer(body={"data": [{"id": "v", "status": "queued", "seconds": seconds}]}))
    assert len(found) == count


def test_every_job_that_may_be_the_lost_one_is_told(answer: Answers) -> None:
    bare = {"id": "video_b", "status": "queued"}
    dated = {"id": "video_c", "status": "queued", "model": "sora-2-2025-12-08", "seconds": "8", "size": "1280x720"}
    found = looked_up().read(answer(body={"data": [bare, dated, {"strange": 1}]}))
    assert [status.remote_id for status in found] == ["video_b", "video_c"]


def test_a_sweep_goes_on_until_jobs_are_older_than_asked(answer: Answers) -> None:
    exchange = swept(since=1790709000.0, cursor="video_z")
    assert exchange.request.url == f"{BASE}/videos?limit=100&order=desc&after=video_z"
    page = exchange.read(answer("openai/list"))
    assert (len(page.statuses), page.cursor) == (2, "video_6abc0f70a0b1c2d3e4f5a6b7c8d9e0f1")
    last = swept(since=1790709630.0).read(answer("openai/list"))
    assert (len(last.statuses), last.cursor) == (1, None)
    assert swept(since=0).read(answer("openai/list_empty")).cursor is None


def test_a_strange_row_does_not_end_a_sweep_and_the_same_page_does(answer: Answers) -> None:
    listed = answer("openai/list").json()
    strange = answer(body={**listed, "data": [{"strange": 1}, {"id": "\ud800", "status": "queued"}, *listed["data"]]})
    page = swept(since=1790709000.0).read(strange)
    assert (len(page.statuses), page.cursor) == (2, listed["last_id"])
    assert swept(since=1790709000.0, cursor=listed["last_id"]).read(answer("openai/list")).cursor is None
    bare = swept(since=1790709000.0).read(answer(body={"data": listed["data"], "has_more": True}))
    assert bare.cursor == listed["data"][-1]["id"]


def test_the_probe_reads_one_row_and_tells_a_bad_key(answer: Answers) -> None:
    probe = OPENAI.probe()
    assert probe.request == WireRequest("GET", f"{BASE}/videos?limit=1")
    probe.read(answer("openai/list_empty"))
    with pytest.raises(AuthenticationFailed):
        probe.read(answer("openai/refused_key"))


LITELLM_ID = (
    "video_bGl0ZWxsbTpjdXN0b21fbGxtX3Byb3ZpZGVyOnZlcnRleF9haTttb2RlbF9pZDp2ZW8tMy4xO3ZpZGVvX2lkOnByb2plY3RzL2RlbW8vbG9j"
    "YXRpb25zL3VzLWNlbnRyYWwxL3B1Ymxpc2hlcnMvZ29vZ2xlL21vZGVscy92ZW8tMy4xLWdlbmVyYXRlLTAwMS9vcGVyYXRpb25zLzZmMWMwZjFlO2"
    "RlcGxveW1lbnRfaWQ6ZD9+ID4+Pz4="
)
LITELLM_REF = VendorRef("openai", "openai-videos", "veo-3.1", "veo-3.1", LITELLM_ID)


def at_litellm(response: WireResponse) -> JobStatus:
    return LITELLM.poll(LITELLM_REF).read(response)


def test_litellm_takes_a_picture_as_a_file_and_none_by_an_address(order: Orders, frame: Media) -> None:
    request = LITELLM.submit(order("veo-3.1", first_frame=frame)).last(()).request
    assert request.parts[-1] == Part("input_reference", frame.data or b"", "first_frame.png", "image/png")
    with pytest.raises(UnsupportedFeature) as refused:
        LITELLM.submit(order("veo-3.1", first_frame=Media(url="https://media.example/a.png")))
    assert refused.value.field == "first_frame"


def test_an_id_of_litellm_is_kept_as_it_came_and_percent_encoded(answer: Answers, order: Orders) -> None:
    ref = LITELLM.submit(order("veo-3.1")).last(()).read(answer("litellm/created"))
    assert ref == LITELLM_REF
    path = LITELLM.poll(ref).request.url.removeprefix(f"{BASE}/videos/")
    assert path == LITELLM_ID.replace("+", "%2B").replace("=", "%3D")


def test_processing_is_running_and_nulls_are_borne(answer: Answers) -> None:
    status = at_litellm(answer("litellm/processing"))
    assert (status.state, status.word, status.percent, status.poll_after_s) == (
        JobState.RUNNING,
        "processing",
        None,
        None,
    )


@pytest.mark.parametrize("name", ["completed", "completed_by_another_deployment"])
def test_a_job_keeps_the_id_that_it_was_made_with(answer: Answers, name: str) -> None:
    status = at_litellm(answer(f"litellm/{name}"))
    assert (status.state, status.remote_id) == (JobState.SUCCEEDED, LITELLM_ID)
    assert status.assets == (Asset(f"{LITELLM.poll(LITELLM_REF).request.url}/content", signed=True),)


def test_a_gateways_unavailable_proves_nothing_and_its_other_refusals_do(answer: Answers, order: Orders) -> None:
    read = LITELLM.submit(order("veo-3.1")).last(()).read
    kinds = {
        "unavailable": OutcomeUnknown,  # it may be said of a second try
        "internal": OutcomeUnknown,
        "refused_key": AuthenticationFailed,
        "refused_model": InvalidRequest,
        "rate_limited": RateLimited,
    }
    for name, kind in kinds.items():
        with pytest.raises(kind) as refused:
            read(answer(f"litellm/{name}"))
        assert type(refused.value) is kind, name


def test_litellm_is_told_to_send_nothing_on_a_second_time(order: Orders) -> None:
    sent = [backend.submit(order("sora-2")).last(()).request.headers for backend in (OPENAI, LITELLM)]
    assert [headers.get("x-litellm-num-retries") for headers in sent] == [None, "0"]


LITELLM_BLOCK = json.dumps({"error": {"message": "Not this.", "type": "x", "param": None, "code": "sentinel_block"}})
LITELLM_TAIL = "\n\nLiteLLM: model group 'sora-2' failed with the error above."


@pytest.mark.parametrize(
    ("message", "type_", "kind"),
    [
        (f"litellm.BadRequestError: OpenAIException - {LITELLM_BLOCK}{LITELLM_TAIL}", "x", ContentFiltered),
        (f"litellm.BadRequestError: OpenAIException - {LITELLM_BLOCK[:-5]}", "x", InvalidRequest),
        ('litellm.BadRequestError: {"error": "no object"}', "x", InvalidRequest),
        ("No connected db.", "no_db_connection", AuthenticationFailed),
    ],
    ids=["wrapped", "cut", "text", "no-database"],
)
def test_what_the_vendor_said_is_found_within_the_words_of_litellm(
    answer: Answers, order: Orders, message: str, type_: str, kind: type[MultiVideoError]
) -> None:
    body = {"error": {"message": message, "type": type_, "param": None, "code": "400"}}
    with pytest.raises(kind) as refused:
        LITELLM.submit(order("sora-2")).last(()).read(answer(status=400, body=body))
    assert type(refused.value) is kind
    assert "HTTP 400, 400" not in str(refused.value)


def test_where_not_all_jobs_are_listed_nothing_is_looked_up(answer: Answers) -> None:
    assert LITELLM.look_up(lost()) is None
    assert LITELLM.sweep(since=0.0) is None
    probe = LITELLM.probe()
    assert probe.request == WireRequest("GET", f"{BASE}/models")
    probe.read(answer("litellm/models"))


def test_every_dialect_reads_the_four_words_of_openai() -> None:
    words = {"queued": "pending", "in_progress": "running", "completed": "succeeded", "failed": "failed"}
    for dialect in DIALECTS.values():
        assert {word: dialect.states[word] for word in words} == words
