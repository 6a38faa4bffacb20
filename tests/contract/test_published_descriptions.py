"""Our requests and the emulator's answers are what OpenAI and Google have published, both ways.

`published/` holds what they published. Where it is known to lag behind the service, a row below says so; a row that
explains nothing any more fails.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import anyio
import pytest
from attrs import evolve, frozen

from catalog_orders import MODES, PROVIDERS, WIRE, readings, requests
from multivideo.catalog.facts import ModeFacts, ModelPath
from multivideo.wire import Part, WireRequest
from published_calls import CALLS, Told, tell
from published_schemas import FILE, PUBLISHED, Description, Fault, Operation, discovery, openapi

OPENAI = openapi("openai_videos", "ErrorResponse")
VERTEX, STORAGE = discovery("vertex", "HttpError"), discovery("storage", "StorageError")
GEMINI = discovery("gemini", "HttpError")
DESCRIPTIONS: Mapping[str, tuple[Description, ...]] = {
    "openai": (OPENAI,),
    "vertex": (VERTEX, STORAGE),
    "gemini": (GEMINI,),
}
# Where the emulator serves a description, by the beginning of a path.
DOORS = {
    "/openai/v1": OPENAI,
    "/vertex/storage/v1/": STORAGE,
    "/vertex/upload/storage/v1/": STORAGE,
    "/vertex/": VERTEX,
    "/gemini/": GEMINI,
}


@frozen
class Known:
    """A place where a description is not followed, and why. `value` is an expression for what stands there."""

    operation: str
    side: str
    place: str
    value: str
    why: str

    def explains(self, fault: Fault) -> bool:
        """Whether this is the place."""
        at_place = fault.place == self.place or fault.place.endswith(f".{self.place}")
        here = fnmatchcase(fault.operation, self.operation) and self.side == fault.side and at_place
        return here and re.fullmatch(self.value, fault.value) is not None


_GUIDE = "in OpenAI's video guide since 2026-03-12; its OpenAPI document was not brought up to date"
KNOWN = (
    Known("createVideo", "request", "size", "1920x1080|1080x1920", _GUIDE),
    Known("*", "answer", "size", "1920x1080|1080x1920", _GUIDE),
    Known("RetrieveVideoContent", "answer", "body", "image/jpeg", "the guide saves the spritesheet as .jpg"),
    Known(
        "createVideo",
        "request",
        "characters",
        r"\[.*\]",
        "in the guide since 2026-03-12 and served: at most two objects with an id",
    ),
    Known(
        "CreateVideoEdit",
        "request",
        "model",
        "sora-2(-pro)?",
        "in the guide: the model of an uploaded file has to be said",
    ),
    Known("*.predictLongRunning", "request", "parameters.resolution", "4k", "in the model card, read 2026-09-02"),
    Known(
        "generativelanguage.models.predictLongRunning",
        "request",
        "referenceImages.referenceType",
        "asset",
        "as Google's guide writes it; its Python client sends the same word in capitals",
    ),
    Known(
        "generativelanguage.models.predictLongRunning",
        "request",
        "parameters.seed",
        "[0-9]+",
        "in Google's guide for Veo 3, and sent by callers of the bare interface; its Python client refuses it there",
    ),
    Known(
        "",
        "request",
        "url",
        r"GET \S+/v1beta/files/[a-z0-9]+:download\?alt=media",
        "a file's address as Google's own answers name it and google-genai 2.34.0 asks for it; in no description",
    ),
)


def form(parts: Iterable[Part]) -> dict[str, Any]:
    """The fields of a form as an object; brackets in names are objects and lists."""
    fields: dict[str, Any] = {}
    for part in parts:
        head, *keys = re.findall(r"[^\[\]]+|\[\]", part.name)
        value: Any = FILE if part.filename is not None else part.content
        match keys:
            case []:
                fields[head] = value
            case ["[]"]:
                fields.setdefault(head, []).append(value)
            case ["[]", key]:
                fields.setdefault(head, []).append({key: value})
            case [key]:
                fields.setdefault(head, {})[key] = value
    return fields


def faults_of(request: WireRequest, door: str) -> Iterator[Fault]:
    """What a description says against a request of ours."""
    own, media = (form(request.parts), "multipart/form-data") if request.parts else (request.json, "application/json")
    bases = [row for row in DESCRIPTIONS[door] if request.url.startswith(row.bases)]
    description = bases[0] if bases else DESCRIPTIONS[door][0]
    return description.request(request.method, request.url, own, None if own is None else media)


@cache
def sent(path: ModelPath, facts: ModeFacts) -> tuple[Fault, ...]:
    """What is said against all that starts a job of that mode."""
    door = path.path
    made = [request for provider in PROVIDERS[door] for request in requests(provider, path, facts)]
    assert made
    return tuple(fault for request in made for fault in faults_of(request, door))


@cache
def asked(door: str) -> tuple[Fault, ...]:
    """What is said against all that reads."""
    paths = {path.name: path for path, _ in MODES if path.path == door}.values()
    made = [request for path in paths for provider in PROVIDERS[door] for request in readings(provider, path)]
    assert {request.method for request in made} >= {"GET"}
    return tuple(fault for request in made for fault in faults_of(request, door))


def operation_of(told: Told) -> tuple[Description, Operation | None]:
    """The operation that a call at the emulator was of."""
    door = next(door for door in DOORS if told.path.startswith(door))
    return DOORS[door], DOORS[door].find(told.method, told.path.removeprefix(door))


@cache
def said(door: str) -> tuple[Told, ...]:
    """All that was said at a door of the emulator."""
    return tuple(anyio.run(tell, door))


@cache
def answered(door: str) -> tuple[Fault, ...]:
    """What is said against the emulator's answers."""
    found: list[Fault] = []
    for told in said(door):
        description, operation = operation_of(told)
        assert operation is not None, f"{told.method} {told.path} is in no description"
        media = (told.answer.reply.header("content-type") or "").partition(";")[0]
        found += description.answer(operation, told.answer.status, media, told.answer.data)
    return tuple(found)


def unexplained(faults: Iterable[Fault]) -> set[Fault]:
    """The faults that no row knows."""
    return {fault for fault in faults if not any(known.explains(fault) for known in KNOWN)}


@pytest.mark.parametrize(("path", "facts"), MODES, ids=lambda row: getattr(row, "name", None) or str(row.mode))
def test_every_order_that_the_catalog_allows_is_sent_as_published(path: ModelPath, facts: ModeFacts) -> None:
    assert unexplained(sent(path, facts)) == set()


@pytest.mark.parametrize("door", PROVIDERS)
def test_every_request_that_reads_is_sent_as_published(door: str) -> None:
    assert unexplained(asked(door)) == set()


@pytest.mark.parametrize("door", CALLS)
def test_every_answer_of_the_emulator_is_as_published(door: str) -> None:
    assert unexplained(answered(door)) == set()


@pytest.mark.parametrize("door", CALLS)
def test_every_published_operation_was_answered_well_and_badly(door: str) -> None:
    seen = [(operation_of(told)[1], told.answer.status >= 400) for told in said(door)]
    well, badly = ({row.id for row, bad in seen if row is not None and bad is wanted} for wanted in (False, True))
    published = {row.id for description in DESCRIPTIONS[door] for row in description.operations}
    assert (well, badly) == (published, published)
    assert len(published) == {"openai": 10, "vertex": 5, "gemini": 3}[door]


def test_no_known_difference_is_idle() -> None:
    found = [fault for path, facts in MODES for fault in sent(path, facts)]
    found += [fault for door in PROVIDERS for fault in (*asked(door), *answered(door))]
    assert [known for known in KNOWN if not any(known.explains(fault) for fault in found)] == []


# The samples that claim a published description as their source; the others were seen elsewhere and differ.
PUBLISHED_SAMPLES = [
    file
    for folder in ("openai", "veo", "gemini")
    for file in sorted((WIRE / folder).glob("*.json"))
    if re.search(r"discovery document|API schema|google-genai|objects list", json.loads(file.read_text())["source"])
]
OPERATIONS = {
    ("openai", "submit"): (OPENAI, "createVideo"),
    ("openai", "poll"): (OPENAI, "GetVideo"),
    ("openai", "sweep"): (OPENAI, "ListVideos"),
    ("openai", "character"): (OPENAI, "CreateVideoCharacter"),
    ("veo", "submit"): (VERTEX, "aiplatform.projects.locations.publishers.models.predictLongRunning"),
    ("veo", "poll"): (VERTEX, "aiplatform.projects.locations.publishers.models.fetchPredictOperation"),
    ("veo", "look_up"): (STORAGE, "storage.objects.list"),
    ("gemini", "submit"): (GEMINI, "generativelanguage.models.predictLongRunning"),
    ("gemini", "poll"): (GEMINI, "generativelanguage.models.operations.get"),
}
# Words that OpenAI's schema has not: from its guide to batches, and one that nobody knows.
OTHER_WORDS = {"expired", "unknown_word"}


@pytest.mark.parametrize("file", PUBLISHED_SAMPLES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_sample_from_a_description_is_as_published(file: Any) -> None:
    sample = json.loads(file.read_text())
    description, name = OPERATIONS[file.parent.name, sample["read"]]
    operation = next(row for row in description.operations if row.id == name)
    found = description.answer(operation, sample["status"], "application/json", json.dumps(sample["body"]).encode())
    assert {fault.place for fault in found} == ({"status"} if file.stem in OTHER_WORDS else set())
    assert len(PUBLISHED_SAMPLES) > 10


START = "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/publishers/google/models/m"
VIDEOS = "https://api.openai.com/v1/videos"
ORDER: dict[str, Any] = {"prompt": "a kite", "seconds": "8"}
TAKE: dict[str, Any] = {"prompt": "a kite", "image": {"bytesBase64Encoded": "iVBORw0KGgo=", "mimeType": "image/png"}}


def veo(*, take: Any = None, **parameters: Any) -> dict[str, Any]:
    return {"instances": [take or TAKE], "parameters": parameters}


@pytest.mark.parametrize(
    ("door", "request_", "place"),
    [
        ("openai", WireRequest("POST", VIDEOS, json=ORDER), None),
        ("openai", WireRequest("POST", VIDEOS, json={**ORDER, "sise": "1280x720"}), "sise"),
        ("openai", WireRequest("POST", VIDEOS, json={**ORDER, "seconds": 8}), "seconds"),
        ("openai", WireRequest("POST", VIDEOS, json={"seconds": "8"}), "prompt"),
        ("openai", WireRequest("PUT", VIDEOS, json=ORDER), "url"),
        ("openai", WireRequest("POST", f"{VIDEOS}/video_1/remixes", json=ORDER), "url"),
        ("openai", WireRequest("POST", "https://api.openai.com/videos", json=ORDER), "url"),
        ("openai", WireRequest("POST", f"{VIDEOS}?fast=1", json=ORDER), "?fast"),
        ("openai", WireRequest("GET", f"{VIDEOS}?limit=101"), "?limit"),
        ("openai", WireRequest("GET", f"{VIDEOS}?limit=all"), "?limit"),
        ("openai", WireRequest("POST", VIDEOS), "body"),
        ("openai", WireRequest("GET", VIDEOS, json={}), "body"),
        ("openai", WireRequest("POST", f"{VIDEOS}/characters", json={"name": "Mara"}), "body"),
        ("openai", WireRequest("POST", VIDEOS, parts=(Part("prompt", "a"), Part("input_reference", b"", "a"))), None),
        ("openai", WireRequest("POST", VIDEOS, parts=(Part("prompt", b"a", "a"),)), "prompt"),
        (
            "openai",
            WireRequest("POST", VIDEOS, parts=(Part("prompt", "a"), Part("input_reference", "a"))),
            "input_reference",
        ),
        ("vertex", WireRequest("POST", f"{START}:predictLongRunning", json=veo(sampleCount=1)), None),
        (
            "vertex",
            WireRequest("POST", f"{START}:predictLongRunning", json=veo(sample_count=1)),
            "parameters.sample_count",
        ),
        ("vertex", WireRequest("POST", f"{START}:predictLongRunning", json=veo(seed="7")), "parameters.seed"),
        (
            "vertex",
            WireRequest("POST", f"{START}:predictLongRunning", json=veo(take={"lastFrame": TAKE["image"]})),
            "instances",
        ),
        (
            "vertex",
            WireRequest("POST", f"{START}:predictLongRunning", json=veo(take={"image": {"inlineData": "a"}})),
            "instances.image.inlineData",
        ),
        ("vertex", WireRequest("POST", f"{START}:fetchPredictOperation", json={"name": "a"}), "name"),
        ("vertex", WireRequest("GET", f"{START}:fetchPredictOperation"), "url"),
    ],
)
def test_a_request_that_is_not_as_published_is_caught(door: str, request_: WireRequest, place: str | None) -> None:
    found = {fault.place for fault in faults_of(request_, door)}
    assert place in found if place else found == set()


def test_an_answer_that_is_not_as_published_is_caught() -> None:
    told = next(told for told in said("openai") if told.method == "GET" and told.path.rpartition("/")[2] != "videos")
    description, operation = operation_of(told)
    assert operation is not None
    good = told.answer.json
    for change, place in (
        ({"colour": "red"}, "colour"),
        ({"progress": "half"}, "progress"),
        ({"error": {"code": 7, "message": "no"}}, "error"),
        ({"status": "succeeded"}, "status"),
    ):
        data = json.dumps({**good, **change}).encode()
        assert {fault.place for fault in description.answer(operation, 200, "application/json", data)} == {place}
    less = json.dumps({name: value for name, value in good.items() if name != "seconds"}).encode()
    assert {fault.place for fault in description.answer(operation, 200, "application/json", less)} == {"seconds"}
    assert {fault.place for fault in description.answer(operation, 200, "text/html", b"")} == {"body"}
    assert {fault.place for fault in description.answer(operation, 404, "application/json", b"{}")} == {"error"}


def test_the_result_of_an_operation_is_held_against_the_type_that_it_names() -> None:
    cases: list[tuple[Description, str, dict[str, Any], str]] = [
        (VERTEX, "cloud.ai.large_models.vision.GenerateVideoResponse", {"video": []}, "response.video"),
        (VERTEX, "cloud.ai.large_models.GenerateVideoResponse", {}, "response.@type"),
        (GEMINI, "google.ai.generativelanguage.v1beta.PredictLongRunningResponse", {"videos": []}, "response.videos"),
    ]
    for description, kind, response, place in cases:
        body = {"done": True, "response": {"@type": f"type.googleapis.com/{kind}", **response}}
        started = next(row for row in description.operations if row.id.endswith("predictLongRunning"))
        found = description.answer(started, 200, "application/json", json.dumps(body).encode())
        assert {fault.place for fault in found} == {place}


def test_a_row_explains_its_own_place_and_value_alone() -> None:
    known, fault = KNOWN[0], Fault("createVideo", "request", "size", "enum", "1920x1080")
    assert known.explains(fault)
    others = [{"operation": "GetVideo"}, {"side": "answer"}, {"place": "resize"}, {"value": "1920x1080p"}]
    assert not any(known.explains(evolve(fault, **other)) for other in others)


@pytest.mark.parametrize("file", sorted(PUBLISHED.glob("*.json")), ids=lambda file: file.stem)
def test_every_description_says_where_and_when_it_was_read(file: Any) -> None:
    about = json.loads(file.read_text())["about"]
    for row in about if isinstance(about, list) else [about]:
        assert all(row[name] for name in ("what", "source", "licence"))
        assert re.fullmatch(r"2026-\d\d-\d\d", row["date"])
