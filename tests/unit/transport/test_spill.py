from __future__ import annotations

import base64
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from multivideo.transport.spill import Spiller

PLACE = ("response", "videos", "*", "bytesBase64Encoded")


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def spill(text: bytes, cuts: list[int], *places: tuple[str, ...], **options: Any) -> tuple[bytes, list[bytes]]:
    """The kept text and the spilled contents; the files are gone afterwards, whatever happens."""
    spiller = Spiller(places, **options)
    try:
        at = 0
        for cut in cuts:
            spiller.feed(text[at : at + cut])
            at += cut
        spiller.feed(text[at:])
        kept, files = spiller.finish()
        return kept, [file.read_bytes() for file in files]
    finally:
        spiller.discard()


class Blob(bytes):
    """Stands in a document for a Base64 string at a named place."""


KEYS = st.sampled_from(["response", "videos", "bytesBase64Encoded", "*", "a", 'q"\\', "\u00e9\U0001f600", ""])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12)
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)
VIDEOS = st.lists(
    st.fixed_dictionaries({"bytesBase64Encoded": st.binary(max_size=40).map(Blob)}, optional={"mimeType": LEAVES})
    | st.dictionaries(KEYS.filter(lambda key: key != PLACE[-1]), DOCUMENTS, max_size=2),
    max_size=4,
)


def _mapped(value: object, blob: Any) -> Any:
    if isinstance(value, Blob):
        return blob(value)
    if isinstance(value, dict):
        return {key: _mapped(inner, blob) for key, inner in value.items()}
    return [_mapped(inner, blob) for inner in value] if isinstance(value, list) else value


def _blobs(value: object) -> Iterator[bytes]:
    if isinstance(value, Blob):
        yield bytes(value)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _blobs(inner)


@given(VIDEOS, DOCUMENTS, st.booleans(), st.booleans(), st.lists(st.integers(0, 30), max_size=30), st.booleans())
def test_what_is_kept_is_the_document_with_the_named_strings_empty_whatever_the_chunks(
    videos: list[Any], other: Any, ascii_only: bool, airy: bool, cuts: list[int], padded: bool
) -> None:
    document = {"name": other, "response": {"videos": videos, "raiMediaFilteredCount": 0}, "bytesBase64Encoded": "kept"}
    full = _mapped(document, lambda blob: b64(blob) if padded else b64(blob).rstrip("="))
    text = json.dumps(full, ensure_ascii=ascii_only, indent=2 if airy else None).encode()
    kept, files = spill(text, cuts, PLACE)
    assert json.loads(kept) == _mapped(document, lambda blob: "")
    assert files == list(_blobs(document))


@given(DOCUMENTS, st.lists(st.integers(0, 9), max_size=40))
@example({"response": {"*": "x", "videos": "no list"}}, [])
def test_a_document_without_the_named_place_is_kept_byte_for_byte(document: Any, cuts: list[int]) -> None:
    text = json.dumps({"other": document}).encode()
    assert spill(text, cuts, PLACE) == (text, [])


@given(st.binary(max_size=200), st.integers(1, 7))
def test_every_escape_that_json_allows_inside_base64_is_read(data: bytes, step: int) -> None:
    written = b64(data).replace("/", "\\/").replace("=", "\\u003d").replace("+", "\\u002B")
    written = "\\n".join(written[at : at + 76] for at in range(0, len(written), 76))
    text = f'{{"video": "{written}"}}'.encode()
    assert spill(text, [step] * len(text), ("video",)) == (b'{"video": ""}', [data])


def test_a_key_is_compared_as_it_is_meant_and_not_as_it_is_written() -> None:
    text = b'{"vid\\u0065o": "QUJD", "video\\\\": "QUJD"}'
    kept, files = spill(text, [], ("video",))
    assert files == [b"ABC"]
    assert json.loads(kept) == {"video": "", "video\\": "QUJD"}


def test_a_star_among_the_keys_of_an_object_is_no_list() -> None:
    text = b'{"a": {"*": "kept", "b": "QUJD"}, "c": ["QUJD", "RA=="]}'
    kept, files = spill(text, [1] * len(text), ("a", "*"), ("a", "b"), ("c", "*"))
    assert json.loads(kept) == {"a": {"*": "kept", "b": ""}, "c": ["", ""]}
    assert files == [b"ABC", b"ABC", b"D"]


def test_nested_lists_are_told_apart_by_their_depth() -> None:
    text = json.dumps({"a": [["QUJD"], "RA==", {"a": ["kept"]}]}).encode()
    kept, files = spill(text, [], ("a", "*", "*"))
    assert json.loads(kept) == {"a": [[""], "RA==", {"a": ["kept"]}]}
    assert files == [b"ABC"]


@pytest.mark.parametrize(
    "written",
    [
        "Q",
        "QUJDR",
        "QU*D",
        "QUJ D",
        "QUJD\\\\",
        'QUJD\\"',
        "QUJD\\t",
        "QQ==QUJD",
        "QQ==\\nQUJD",
        "=QUJ",
        "QUJD=",
        "QUJD====",
        "QUJ\\u0141",  # its low bits are those of "A"
        "QUJ\\u+041",
        "QUJ\\u00g1",
        "QU-_",
    ],
)
@pytest.mark.parametrize("step", [1, 3, 4, 8, 1000])
def test_what_is_no_base64_is_an_error_in_any_chunks_and_leaves_no_file(
    written: str, step: int, tmp_path: Path
) -> None:
    text = f'{{"video": "{written}", "next": "QUJD"}}'.encode()
    with pytest.raises(ValueError):
        spill(text, [step] * len(text), ("video",), folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


@given(st.binary(max_size=60), st.data())
def test_a_text_that_is_cut_short_is_an_error_and_its_files_can_be_discarded(data: bytes, more: st.DataObject) -> None:
    text = json.dumps({"response": {"videos": [{"bytesBase64Encoded": b64(data)}]}}).encode()
    cut = more.draw(st.integers(1, len(text) - 1))
    spiller = Spiller((PLACE,))
    spiller.feed(text[:cut])
    with pytest.raises(ValueError):
        spiller.finish()
    files = list(spiller._files)
    spiller.discard()
    spiller.discard()
    assert not any(file.exists() for file in files)


@pytest.mark.parametrize("text", [b"]", b'{"a": 1}}', b"[]]"])
def test_a_text_that_closes_what_was_never_opened_is_an_error(text: bytes) -> None:
    with pytest.raises(ValueError, match="never opened"):
        spill(text, [], PLACE)


@given(st.binary(max_size=200), st.lists(st.integers(0, 9), max_size=30))
@example(b'{"\xff": "a"}', [])
@example(b'{"a\\": 1', [])
def test_garbage_raises_nothing_but_value_errors(text: bytes, cuts: list[int]) -> None:
    try:
        kept, files = spill(text, cuts, PLACE, ("a",), ("*",))
    except ValueError:
        return
    assert len(kept) + sum(map(len, files)) <= len(text)


def test_a_string_of_64_mib_goes_to_the_file_and_not_into_memory(tmp_path: Path) -> None:
    piece = base64.b64encode(bytes(range(256)) * 192)  # 64 KiB of text
    spiller = Spiller((PLACE,), tmp_path)
    tracemalloc.start()
    try:
        spiller.feed(b'{"response": {"videos": [{"bytesBase64Encoded": "')
        for _ in range(1024):
            spiller.feed(piece)
        spiller.feed(b'"}]}}')
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    kept, [file] = spiller.finish()
    assert spiller.kept_bytes == len(kept) < 100
    assert peak < 2 * 1024**2
    assert file.stat().st_size == 48 * 1024**2


def test_the_files_of_an_answer_have_a_limit_together(tmp_path: Path) -> None:
    text = json.dumps({"a": [b64(bytes(60)), b64(bytes(60))]}).encode()
    assert spill(text, [], ("a", "*"), most_bytes=120)[1] == [bytes(60), bytes(60)]
    with pytest.raises(ValueError, match="too large"):
        spill(text, [], ("a", "*"), folder=tmp_path, most_bytes=119)
    assert list(tmp_path.iterdir()) == []


def test_a_text_nested_very_deep_is_read_like_any_other() -> None:
    depth = 20_000
    text = b'["",' * depth + b"0" + b"]" * depth
    assert spill(text, [], PLACE) == (text, [])


def test_a_folder_that_cannot_be_written_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        spill(b'{"a": "QUJD"}', [], ("a",), folder=tmp_path / "missing")
