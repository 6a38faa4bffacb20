"""A job reference goes through JSON unharmed, and anything else is refused with one kind of error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from multivideo.errors import InvalidRequest
from multivideo.values.refs import AttemptRef, JobRef, VendorRef

ATTEMPT = AttemptRef(
    attempt_id="mv-1-1",
    vendor=VendorRef("vertex", "veo-vertex", "veo-3.1", "veo-3.1-generate-001", "operations/7"),
    mode="text",
    resolution="1080p",
    seconds=8,
    width=1920,
    height=1080,
    fps=24,
    audio=True,
    samples=2,
    held_micro_usd=6_400_000,
    submitted_at=1_785_542_400.25,
)
REF = JobRef("mv-1", (ATTEMPT,), "clips/", (("project", "coast"),))
# as the first release wrote it: every later one reads it
FIRST_FORMAT = (
    '{"multivideo":1,"job_id":"mv-1","attempts":[{"attempt_id":"mv-1-1","vendor":{"provider":"vertex","family":'
    '"veo-vertex","model":"veo-3.1","wire_model":"veo-3.1-generate-001","remote_id":"operations/7"},"mode":"text",'
    '"resolution":"1080p","seconds":8,"width":1920,"height":1080,"fps":24,"audio":true,"samples":2,'
    '"held_micro_usd":6400000,"submitted_at":1785542400.25,"file_seconds":8.0}],"save_to":"clips/","tags":[["project","coast"]]}'
)


def test_a_reference_is_one_line_of_json_in_the_promised_format() -> None:
    assert REF.to_json() == FIRST_FORMAT.replace(
        '"file_seconds":8.0',
        '"file_seconds":8.0,"file_audio":true,"watermark":false,"unit_prices":[],"listed":false,"price_micro_usd":null,'
        '"segment":1',
    )
    assert JobRef.from_json(FIRST_FORMAT) == JobRef.from_json(REF.to_json()) == REF


def test_a_reference_without_the_length_of_its_file_means_the_ordered_seconds() -> None:
    assert JobRef.from_json(FIRST_FORMAT.replace(',"file_seconds":8.0', "")) == REF


TEXT = st.text(max_size=20)
IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,40}", fullmatch=True)
VENDORS = st.builds(VendorRef, TEXT, TEXT, TEXT, TEXT, TEXT)
ATTEMPTS = st.builds(
    AttemptRef,
    attempt_id=TEXT,
    vendor=VENDORS,
    mode=TEXT,
    resolution=TEXT,
    seconds=st.integers(1, 10_000),
    width=st.none() | st.integers(1, 10_000),
    height=st.none() | st.integers(1, 10_000),
    fps=st.integers(1, 240),
    audio=st.booleans(),
    samples=st.integers(1, 100),
    held_micro_usd=st.integers(0, 2**63 - 1),
    submitted_at=st.integers(0, 2**40) | st.floats(0, 1e12),
)
TAGS = st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple)


@given(st.builds(JobRef, IDS, st.lists(ATTEMPTS, min_size=1, max_size=3).map(tuple), st.none() | TEXT, TAGS))
@settings(deadline=None)
def test_every_reference_comes_back_from_its_json(ref: JobRef) -> None:
    text = ref.to_json()
    assert "\n" not in text
    assert JobRef.from_json(text) == ref
    assert hash(JobRef.from_json(text)) == hash(ref)


def test_fields_of_a_later_release_in_the_same_format_are_not_heard() -> None:
    data = json.loads(FIRST_FORMAT)
    data["later"] = data["attempts"][0]["later"] = data["attempts"][0]["vendor"]["later"] = {"a": 1}
    assert JobRef.from_json(json.dumps(data)) == REF


def test_what_may_be_left_out_is_empty() -> None:
    data = json.loads(FIRST_FORMAT)
    del data["save_to"], data["tags"]
    assert JobRef.from_json(json.dumps(data)) == JobRef("mv-1", (ATTEMPT,))


def test_a_newer_format_says_what_to_do() -> None:
    with pytest.raises(InvalidRequest) as caught:
        JobRef.from_json(FIRST_FORMAT.replace('"multivideo":1', '"multivideo":2'))
    assert "format 2 of a newer release; this one reads up to 1" in str(caught.value)
    assert caught.value.hint == "pip install --upgrade multivideo"


JUNK = [
    "",
    "mv-1",
    "{",
    "null",
    "[]",
    "{}",
    "5",
    "true",
    '"text"',
    "NaN",
    "[" * 100_000,
    '{"a":' * 100_000,
    "9" * 5000,
    '{"multivideo":' + "9" * 4000 + "}",
    "\x00",
    "\ud800",
    '{"multivideo":1}',
    None,
    5,
    b"\xff\xfe\xff",
    ["list"],
]


@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: repr(junk)[:20])
def test_anything_else_is_no_reference(junk: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        JobRef.from_json(junk)
    assert caught.value.field == "ref"
    assert caught.value.charged == "no"
    assert len(str(caught.value)) < 500


WRONG: list[tuple[str, Any]] = [
    ("multivideo", 0),
    ("multivideo", -1),
    ("multivideo", True),
    ("multivideo", "1"),
    ("multivideo", 1.0),
    ("multivideo", None),
    ("job_id", 5),
    ("job_id", ""),
    ("job_id", "../../etc/passwd"),
    ("job_id", "a/b"),
    ("job_id", ".hidden"),
    ("job_id", "x" * 101),
    ("attempts", []),
    ("attempts", {}),
    ("attempts", "text"),
    ("attempts", [5]),
    ("attempts", [[]]),
    ("attempts", [{}]),
    ("save_to", 5),
    ("tags", "text"),
    ("tags", [["one"]]),
    ("tags", [[1, 2]]),
]
WRONG_IN_ATTEMPT: list[tuple[str, Any]] = [
    ("attempt_id", None),
    ("vendor", "kling"),
    ("vendor", {}),
    ("vendor", []),
    ("mode", 1),
    ("seconds", "8"),
    ("seconds", 8.5),
    ("seconds", 0),
    ("seconds", True),
    ("width", "1920"),
    ("fps", None),
    ("audio", 1),
    ("samples", 0),
    ("samples", -1),
    ("held_micro_usd", -1),
    ("held_micro_usd", 1.5),
    ("held_micro_usd", 2**63),
    ("held_micro_usd", "6400000"),
    ("submitted_at", "now"),
    ("submitted_at", float("nan")),
    ("submitted_at", float("inf")),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_field_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidRequest):
        JobRef.from_json(json.dumps({**json.loads(FIRST_FORMAT), name: value}))


@pytest.mark.parametrize(("name", "value"), WRONG_IN_ATTEMPT)
def test_a_wrong_field_of_an_attempt_is_refused(name: str, value: Any) -> None:
    data = json.loads(FIRST_FORMAT)
    data["attempts"][0][name] = value
    with pytest.raises(InvalidRequest):
        JobRef.from_json(json.dumps(data))


def test_a_field_that_is_missing_is_named_by_its_path() -> None:
    data = json.loads(FIRST_FORMAT)
    del data["attempts"][0]["vendor"]["remote_id"]
    with pytest.raises(InvalidRequest, match=r"required field missing @ \$\.attempts\[0\]\.vendor\.remote_id"):
        JobRef.from_json(json.dumps(data))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(JSON | st.dictionaries(st.sampled_from(["multivideo", "job_id", "attempts", "save_to", "tags"]), JSON))
@settings(deadline=None)
def test_any_json_is_a_reference_or_refused(data: Any) -> None:
    with pytest.raises(InvalidRequest):
        JobRef.from_json(json.dumps(data))


def test_a_whole_number_of_seconds_is_stored_as_what_it_is() -> None:
    ref = evolve(REF, attempts=(evolve(ATTEMPT, submitted_at=5),))
    assert JobRef.from_json(ref.to_json()) == ref


def test_a_reference_has_no_field_for_a_prompt_or_a_key() -> None:
    names = set(json.loads(REF.to_json())) | set(json.loads(REF.to_json())["attempts"][0])
    assert not {name for name in names if "prompt" in name or "key" in name or "secret" in name}
