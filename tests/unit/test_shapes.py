"""Foreign JSON: strict about what counts, deaf to what does not, and silent about values."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import pytest
from attrs import field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from multivideo.shapes import Loose, Unreadable, read


@frozen
class Note:
    text: Loose[str] = None


@frozen
class Task:
    id: str
    number: int = 0
    share: float = 0.5
    amount: Decimal | None = None
    done: bool = False
    state: Literal["open", "closed"] = "open"
    names: list[str] = field(factory=list)
    sizes: tuple[int, ...] = ()
    labels: Mapping[str, str] = field(factory=dict)
    note: Note | None = None
    notes: list[Note] = field(factory=list)
    hint: Loose[int] = None
    extra: Any = None


def test_what_fits_is_read_and_what_is_unknown_is_not_heard() -> None:
    data = {
        "id": "7",
        "number": 2,
        "share": 0.25,
        "amount": Decimal("1.10"),
        "done": True,
        "state": "closed",
        "names": ["a"],
        "sizes": [1, 2],
        "labels": {"a": "b"},
        "note": {"text": "x", "new": 1},
        "notes": [{}],
        "hint": 3,
        "extra": {"any": ["thing"]},
        "unknown": "field",
    }
    assert read(Task, data) == Task(
        "7", 2, 0.25, Decimal("1.10"), True, "closed", ["a"], (1, 2), {"a": "b"}, Note("x"), [Note()], 3, data["extra"]
    )


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"id": 7}, "$.id"),
        ({"id": None}, "$.id"),
        ({"number": "2"}, "$.number"),
        ({"number": 2.0}, "$.number"),
        ({"number": True}, "$.number"),
        ({"share": 1}, "$.share"),
        ({"amount": 1.5}, "$.amount"),
        ({"done": 1}, "$.done"),
        ({"state": "ajar"}, "$.state"),
        ({"names": "abc"}, "$.names"),
        ({"names": {"a": 1}}, "$.names"),
        ({"names": None}, "$.names"),
        ({"names": ["a", 5]}, "$.names[1]"),
        ({"sizes": "12"}, "$.sizes"),
        ({"labels": ["a"]}, "$.labels"),
        ({"note": "text"}, "$.note"),
        ({"note": []}, "$.note"),
        ({"notes": [{}, "text"]}, "$.notes[1]"),
        ({"notes": {"text": "x"}}, "$.notes"),
    ],
)
def test_a_value_of_another_kind_is_never_converted(change: dict[str, Any], path: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(Task, {"id": "7", **change})
    assert str(caught.value).endswith(f"@ {path}")


@pytest.mark.parametrize("data", ["text", "", [], ["id"], 5, None, True, 1.5])
def test_a_shape_is_a_json_object_even_if_it_needs_no_field(data: Any) -> None:
    for shape in (Task, Note):
        with pytest.raises(Unreadable):
            read(shape, data)


def test_every_wrong_path_is_named_and_no_value() -> None:
    with pytest.raises(Unreadable) as caught:
        read(Task, {"number": "secret-a", "state": "secret-b", "names": ["x", {"secret-c": 1}], "labels": "secret-d"})
    text = str(caught.value)
    assert all(path in text for path in ("$.id", "$.number", "$.state", "$.names[1]", "$.labels"))
    assert "secret" not in text


def test_a_loose_field_of_another_kind_is_none() -> None:
    assert read(Task, {"id": "7", "hint": "soon", "note": {"text": ["x"]}}) == Task("7", note=Note())
    assert read(Task, {"id": "7", "hint": None}).hint is None


@pytest.mark.parametrize("shape", [list[str], Literal["a"], str, Mapping[str, int]])
def test_a_shape_that_is_no_class_is_checked_too(shape: Any) -> None:
    with pytest.raises(Unreadable):
        read(shape, 5)


def test_deep_nesting_is_unreadable_and_no_crash() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Unreadable):
        read(Task, {"id": deep})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
FIELDS = st.sampled_from(["id", "number", "amount", "names", "sizes", "labels", "note", "notes", "hint", "state"])


@given(JSON | st.dictionaries(FIELDS, JSON))
@settings(max_examples=200, deadline=None)
def test_any_json_is_read_or_unreadable(data: Any) -> None:
    try:
        task = read(Task, data)
    except Unreadable:
        return
    assert type(task.id) is str
    assert type(task.number) is int
    assert all(type(name) is str for name in task.names)
