"""What every provider promises, run over all that ship and a toy of a third party."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multivideo.errors import MultiVideoError, OutcomeUnknown, ProviderError, ProviderUnavailable
from multivideo.providers.accounts import Account, BearerToken, Kling, OpenAIVideos, Veo
from multivideo.providers.common import HTTP_RULES, Judged, Said, accepting, fetch, job_id, judge, read_body, reading
from multivideo.shapes import Loose
from multivideo.values.clips import Clip
from multivideo.values.media import Media
from multivideo.values.plan import Segment
from multivideo.values.refs import VendorRef
from multivideo.values.words import Mode
from multivideo.wire import (
    AnswerRule,
    Asset,
    Charge,
    Exchange,
    JobState,
    JobStatus,
    LookUp,
    Order,
    Provider,
    Resend,
    Step,
    WireRequest,
    WireResponse,
)

KEY = "not-a-real-key-0123456789"
PROMPT = "A kite over the dunes of Sossusvlei at noon"
WIRE = Path(__file__).parents[1] / "wire"
PICTURE = Media.picture(
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (1280).to_bytes(4, "big") + (720).to_bytes(4, "big") + b"\x08\x02\0\0\0"
)
CLIP = Clip(Media(url="https://clips.example/ride.mp4"))


@frozen
class _ToyJob:
    id: str
    state: Loose[str] = None
    link: Loose[str] = None


@frozen
class Toy:
    """A provider as somebody else would write it, with nothing but what every vendor has."""

    name: str = "toy"
    family = "toy"
    looks_up_by_id = False
    origins = ("https://toy.example:443",)
    rules: Sequence[AnswerRule] = HTTP_RULES

    def submit(self, order: Order) -> Step[VendorRef]:
        body = {"text": order.prompt, "key": order.attempt_id}
        request = WireRequest("POST", "https://toy.example/jobs", json=body, resend=Resend.IF_UNSENT)
        reader = accepting(order, self.name, self.family, self._judged, lambda r: job_id(read_body(_ToyJob, r).id))
        return Step.of(Exchange(request, reader))

    def poll(self, ref: VendorRef) -> Exchange[JobStatus]:
        def job(response: WireResponse) -> JobStatus:
            found = read_body(_ToyJob, response)
            state = JobState.SUCCEEDED if found.link else JobState.RUNNING
            assets = (Asset(found.link),) if found.link else ()
            return JobStatus(found.id, state, found.state or "", assets=assets)

        request = WireRequest("GET", f"https://toy.example/jobs/{ref.remote_id}")
        return Exchange(request, reading(self.name, self._judged, job))

    def download(self, asset: Asset) -> WireRequest:
        return fetch(asset, self.origins)

    def _judged(self, response: WireResponse) -> Judged | None:
        if response.status == 200:
            return None
        return Judged(judge(self.rules, response.status, "", own_body=False), Said())

    def refusal(self, response: WireResponse) -> MultiVideoError | None:
        return None if response.status == 200 else ProviderUnavailable(f"toy answered {response.status}.")

    def poll_many(self, refs: Sequence[VendorRef]) -> Exchange[Mapping[str, JobStatus]] | None:
        return None

    def sweep(self, *, since: float, cursor: str | None = None) -> None:
        return

    def look_up(self, lost: LookUp) -> Exchange[tuple[JobStatus, ...]] | None:
        return None

    def cancel(self, ref: VendorRef) -> Exchange[None] | None:
        return None

    def probe(self) -> Exchange[None] | None:
        return None

    def extend(self, order: Order) -> Step[VendorRef] | None:
        return None

    def edit(self, order: Order) -> Step[VendorRef] | None:
        return None

    def charge(self, status: JobStatus) -> Charge | None:
        return status.charge

    def character(self, name: str, clip: Clip, wire_model: str) -> Exchange[str] | None:
        return None


@frozen
class Case:
    """A provider with a model, an id that its samples speak of, and the samples of a whole round."""

    door: str
    provider: Provider
    model: str
    remote_id: str
    account: Account | None
    created: str = "created"
    done: str = "completed"
    mode: Mode = Mode.TEXT

    @property
    def ref(self) -> VendorRef:
        return VendorRef(self.provider.name, self.provider.family, self.model, self.model, self.remote_id)

    def samples(self) -> dict[str, dict[str, Any]]:
        if self.door == "toy":
            job = {"id": "1", "state": "done", "link": "https://files.example/1.mp4"}
            return {
                "created": {"read": "submit", "status": 200, "headers": {}, "body": {"id": "1"}},
                "completed": {"read": "poll", "status": 200, "headers": {}, "body": job},
            }
        return {path.stem: json.loads(path.read_text()) for path in sorted((WIRE / self.door).glob("*.json"))}


def _case(door: str, account: Account, model: str, remote_id: str, **names: Any) -> Case:
    return Case(door, account.backend(), model, remote_id, account, **names)


VEO_MODEL = "veo-3.1-generate-001"
OPERATION = (
    f"projects/demo/locations/us-central1/publishers/google/models/{VEO_MODEL}"
    "/operations/6f1c0f1e-6b5e-4a37-9a53-1d1c2f0b7a11"
)
GATEWAY = "https://gateway.example/v1"
LITELLM_ID = json.loads((WIRE / "litellm" / "created.json").read_text())["body"]["id"]
CASES = {
    "openai": _case("openai", OpenAIVideos(api_key=KEY), "sora-2", "video_6abc0f80c1d4819095f2b7a1e03d44c2"),
    "kling": _case("kling", Kling(api_key=KEY), "kling-3.0", "900000000000000001", done="succeeded"),
    "kling-edit": _case(
        "kling", Kling(api_key=KEY), "kling-3.0-omni", "900000000000000001", done="succeeded", mode=Mode.EDIT
    ),
    "veo": _case(
        "veo",
        Veo(project="demo", credentials=BearerToken(KEY), output_uri="gs://demo-out/runs/"),
        VEO_MODEL,
        OPERATION,
        created="started",
        done="done_in_bucket",
    ),
    "kling_legacy": _case(
        "kling_legacy",
        Kling(api_key=KEY, dialect="legacy"),
        "kling-v3",
        "text2video/900000000000000010",
        done="succeed",
    ),
    "kling_legacy-motion": _case(
        "kling_legacy",
        Kling(api_key=KEY, dialect="legacy"),
        "kling-v3",
        "motion-control/900000000000000010",
        done="succeed",
        mode=Mode.MOTION,
    ),
    "gemini": _case(
        "gemini",
        Veo(api_key=KEY),
        "veo-3.1-generate-preview",
        "models/veo-3.1-generate-preview/operations/q7m2c0d9x4ja",
        created="started",
        done="done",
    ),
    "litellm": _case("litellm", OpenAIVideos(api_key=KEY, base_url=GATEWAY, dialect="litellm"), "veo-3.1", LITELLM_ID),
    "toy": Case("toy", Toy(), "toy-1", "1", None),
}
EVERY_CASE = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def order_for(case: Case, picture: Media | None = None) -> Order:
    mode = case.mode if picture is None else Mode.FIRST_FRAME
    segment = Segment(mode, 8, "720p", "16:9", 1280, 720, 24, True)
    order = Order("mv-attempt-1", case.model, case.model, PROMPT, segment, first_frame=picture)
    looks = (PICTURE,) if mode is Mode.MOTION else ()
    return evolve(order, source=CLIP, references=looks) if mode in {Mode.EDIT, Mode.MOTION} else order


def started(case: Case, order: Order) -> Exchange[VendorRef]:
    """The paid exchange of an order."""
    step = (case.provider.submit if order.source is None else case.provider.edit)(order)
    assert step is not None
    return step.last(())


def response_of(sample: Mapping[str, Any], body: Any = None) -> WireResponse:
    text = sample["text"] if "text" in sample else json.dumps(sample["body"] if body is None else body)
    return WireResponse(sample["status"], sample["headers"], text.encode())


def exchanges(case: Case) -> dict[str, Exchange[Any]]:
    """Everything that the provider can be asked, by the names that the samples use."""
    provider, order = case.provider, order_for(case)
    lost = LookUp("mv-attempt-1", case.model, order.segment, 0.0, 2e9, lambda _: True)
    found: dict[str, Exchange[Any] | None] = {
        "submit": started(case, order),
        "poll": provider.poll(case.ref),
        "poll_many": provider.poll_many([case.ref]),
        "sweep": provider.sweep(since=0.0),
        "look_up": provider.look_up(lost),
        "probe": provider.probe(),
        "cancel": provider.cancel(case.ref),
        "character": provider.character("Mossy", Clip(Media(data=b"clip")), case.model),
    }
    return {name: exchange for name, exchange in found.items() if exchange is not None}


def outcome(read: Callable[[WireResponse], Any], response: WireResponse) -> Any:
    """What a reader makes of an answer: a value, or one of our errors; anything else fails the test."""
    try:
        return read(response)
    except MultiVideoError as error:
        return error


@EVERY_CASE
def test_a_provider_has_every_member_of_the_protocol(case: Case) -> None:
    members = [name for name in vars(Provider) if not name.startswith("_")]
    assert len(members) >= 16
    for name in members:
        wanted, own = getattr(Provider, name), inspect.getattr_static(type(case.provider), name)
        assert hasattr(case.provider, name)
        if inspect.isfunction(wanted):
            assert list(inspect.signature(own).parameters) == list(inspect.signature(wanted).parameters)


@EVERY_CASE
def test_a_job_goes_from_submit_to_download(case: Case) -> None:
    samples, asked = case.samples(), exchanges(case)
    ref = asked["submit"].read(response_of(samples[case.created]))
    assert ref == case.ref
    status = case.provider.poll(ref).read(response_of(samples[case.done]))
    assert (status.state, status.remote_id) == (JobState.SUCCEEDED, case.remote_id)
    for asset in status.assets:
        request = case.provider.download(asset)
        assert (request.method, request.url, request.resend) == ("GET", asset.url, Resend.ALWAYS)
    assert status.assets


@EVERY_CASE
def test_only_what_makes_something_is_bound_to_be_sent_once(case: Case) -> None:
    for name, exchange in exchanges(case).items():
        once = name in {"submit", "character"}
        assert exchange.request.resend is (Resend.IF_UNSENT if once else Resend.ALWAYS), name
        assert exchange.request.signed, name


@EVERY_CASE
def test_asking_twice_describes_the_same_message(case: Case) -> None:
    for name, exchange in exchanges(case).items():
        assert exchange.request == exchanges(case)[name].request


@pytest.mark.parametrize("case", [case for case in CASES.values() if case.account], ids=lambda case: case.door)
def test_no_request_holds_the_key(case: Case) -> None:
    requests = [exchange.request for exchange in exchanges(case).values()]
    requests.append(case.provider.submit(order_for(case, PICTURE)).last(()).request)
    for request in requests:
        said = [request.url, repr(request.json), repr(request.parts), repr(request.headers)]
        assert KEY not in " ".join(said)
        assert "authorization" not in {name.lower() for name in request.headers}


@EVERY_CASE
def test_a_file_elsewhere_is_fetched_without_the_credential(case: Case) -> None:
    request = case.provider.download(Asset("https://elsewhere.example/a.mp4", signed=True))
    assert not request.signed


@EVERY_CASE
def test_no_repr_shows_the_prompt(case: Case) -> None:
    assert PROMPT not in repr(order_for(case))
    assert all(PROMPT not in repr(exchange.request) for exchange in exchanges(case).values())


@EVERY_CASE
def test_every_sample_says_where_it_was_read_and_is_read_by_its_reader(case: Case) -> None:
    asked = exchanges(case)
    for name, sample in case.samples().items():
        if case.door != "toy":
            assert sample["source"], name
            assert sample["date"].startswith("2026-"), name
        found = outcome(asked[sample["read"]].read, response_of(sample))
        bad = sample["status"] >= 300 and not isinstance(found, JobStatus)
        # an error inside a success, and a video without the file that it was spilled to
        bad = bad or name in {"error_inside_200", "done_inline"}
        assert isinstance(found, MultiVideoError) == bad, name


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(
        ["", PROMPT, "succeeded", "completed", "failed", "1e999", "gs://b/o", "Support codes: 1", "\ud800"]
    )
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def mutated(draw: st.DrawFn, value: Any) -> Any:
    """The value with a field missing, added or of another kind, at any depth."""
    choice = draw(st.sampled_from(["deeper", "deeper", "deeper", "replace", "drop", "add"]))
    if isinstance(value, dict) and value and choice != "replace":
        name = draw(st.sampled_from(sorted(value)))
        if choice == "drop":
            return {key: kept for key, kept in value.items() if key != name}
        if choice == "add":
            return {**value, draw(st.text(max_size=6)): draw(JSON)}
        return {**value, name: draw(mutated(value[name]))}
    if isinstance(value, list) and value and choice == "deeper":
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], draw(mutated(value[at])), *value[at + 1 :]]
    return draw(JSON)


def check_every_reader(case: Case, response: WireResponse) -> None:
    """No reader raises anything but our errors; a submit's says where the money is, and never what was asked for."""
    for name, exchange in exchanges(case).items():
        found = outcome(exchange.read, response)
        if isinstance(found, ProviderError):
            assert found.provider == case.provider.name
        if name != "submit":
            continue
        if isinstance(found, MultiVideoError):
            assert PROMPT not in str(found)
            assert found.charged == ("unknown" if isinstance(found, OutcomeUnknown) else "no")
            assert found.attempt_id == "mv-attempt-1"
        else:
            assert response.status < 300
            assert found.remote_id.strip()


@EVERY_CASE
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_changed_answer_is_read_or_refused_and_never_crashes(case: Case, data: st.DataObject) -> None:
    samples = case.samples()
    sample = samples[data.draw(st.sampled_from(sorted(samples)))]
    body = data.draw(mutated(sample.get("body")))
    status = data.draw(st.sampled_from([sample["status"], 200, 404, 429, 503]))
    check_every_reader(case, evolve(response_of(sample, body), status=status, body=json.dumps(body).encode()))


FOREIGN = [408, 409, 425, 499, 500, 501, 502, 503, 504, 507, 520, 521, 522, 523, 524, 529, 530, 599]


@EVERY_CASE
@pytest.mark.parametrize("status", FOREIGN)
def test_a_fault_in_foreign_words_leaves_the_outcome_of_a_submit_unknown(case: Case, status: int) -> None:
    for body in (b"", b"<html>busy</html>", b'{"message":"busy"}', b'{"code":503,"message":"busy"}', b'{"error":{}}'):
        found = outcome(exchanges(case)["submit"].read, WireResponse(status, {}, body))
        assert isinstance(found, OutcomeUnknown)


@EVERY_CASE
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 410, 413, 415, 422, 429])
def test_a_plain_refusal_of_a_submit_is_final_whoever_words_it(case: Case, status: int) -> None:
    found = outcome(exchanges(case)["submit"].read, WireResponse(status, {}, b"no"))
    assert isinstance(found, MultiVideoError)
    assert (found.charged, found.retryable) == ("no", status == 429)


@EVERY_CASE
@settings(max_examples=60, deadline=None)
@given(status=st.integers(100, 599), body=st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_answer_at_all_is_read_or_refused_and_never_crashes(case: Case, status: int, body: bytes) -> None:
    check_every_reader(case, WireResponse(status, {}, body))


@EVERY_CASE
@pytest.mark.parametrize("body", [b"", b"[" * 100_000, b"NaN", b"9" * 10_000, b'{"id":' * 5_000, b"\xff\xfe", b"null"])
def test_a_monstrous_body_is_an_error_of_ours(case: Case, body: bytes) -> None:
    check_every_reader(case, WireResponse(200, {}, body))
