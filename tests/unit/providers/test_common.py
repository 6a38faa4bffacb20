"""What the providers share: texts of vendors made fit for errors, ids, and the table that judges."""

from __future__ import annotations

import pytest

from multivideo.providers.common import fetch, job_id, quoted, word_of
from multivideo.shapes import Unreadable
from multivideo.wire import Asset

PROMPT = "An old man folds the letter, walks to the window and only then lets himself cry"


@pytest.mark.parametrize(
    "text",
    [
        f"Bad prompt: {PROMPT}",
        f"Bad prompt: {PROMPT[:40]}...",
        "The words 'walks to the window and only' are not allowed.",
        "bad: WALKS TO THE WINDOW AND ONLY THEN",
        "bad: walks to the\n  window and\tonly then",
        "x" * 290 + PROMPT[30:],
    ],
)
def test_no_stretch_of_a_prompt_gets_into_an_error(text: str) -> None:
    assert not any(PROMPT[at : at + 20].lower() in quoted(text, PROMPT).lower() for at in range(len(PROMPT) - 20))


def test_a_text_that_has_nothing_of_the_prompt_is_told() -> None:
    assert quoted("Invalid value: '5'. Supported values are: '4', '8', and '12'.", PROMPT).startswith("Invalid value")
    assert quoted("The category is not known.", "cat") == "The category is not known."
    assert quoted("A cat is not allowed.", "cat") == ""


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Incorrect API key provided: my-own-gateway-key.", "my-own-gateway-key"),
        ("Incorrect API key provided: sk-proj-0123456789.", "0123456789"),
        ("token=abc.def, try again", "abc.def"),
        ("Authorization was Bearer eyJhbGciOiJIUzI1NiJ9.eyJpc3Mi", "eyJ"),
        ("cannot fetch https://media.example/a.png?X-Amz-Signature=5f3c&e=1 now", "5f3c"),
        ("cannot fetch https://me:secret@media.example/a.png", "secret"),
        (f"not valid base64: {'iVBORw0KGgo' * 20}", "iVBOR"),
    ],
)
def test_no_key_no_signature_and_no_picture_gets_into_an_error(text: str, secret: str) -> None:
    assert secret not in quoted(text)
    assert "***" in quoted(text)


def test_a_text_is_one_line_of_bounded_length_whatever_the_vendor_sends() -> None:
    said = quoted("no\r\nway\x1b[31m \ud800 " + "word " * 300_000)
    assert said.startswith("no way [31m word")
    assert len(said) <= 300
    assert said.isprintable()
    assert len(word_of("strange " * 100_000)) <= 60


@pytest.mark.parametrize("text", ["", " ", "\n", "a\x00b", "a\nb", "\ud800", "..", ".", "x" * 1001])
def test_an_id_that_nobody_could_ask_for_again_is_none(text: str) -> None:
    with pytest.raises(Unreadable):
        job_id(text)


@pytest.mark.parametrize("text", ["video_6abc", "video_bGl0ZWxsbTo+/w==", "a/b", "900000000000000001", "видео-1"])
def test_an_id_is_kept_as_it_came(text: str) -> None:
    assert job_id(text) == text


@pytest.mark.parametrize("url", ["ftp://a.example/v.mp4", "javascript:1", "", "data:video/mp4,x", "http://[::1]/v"])
def test_no_address_of_another_kind_gets_the_credential(url: str) -> None:
    assert not fetch(Asset(url, signed=True), ["https://a.example:443"]).signed
