"""A key is given away by one method and by nothing else."""

from __future__ import annotations

import copy
import copyreg
import json
import logging
import pickle
import pprint
import traceback
from collections.abc import Callable
from typing import Any

import attrs
import pytest

import multivideo as mv
from multivideo.secrets import Secret, repeats

CANARY = "sk-canary-0123456789"
ACCOUNTS = [
    mv.Kling(api_key=CANARY),
    mv.Kling(access_key=CANARY, secret_key=CANARY),
    mv.Veo(api_key=CANARY),
    mv.Veo(project="coast", credentials=mv.BearerToken(CANARY)),
    mv.OpenAIVideos(api_key=CANARY),
    mv.BearerToken(CANARY),
    Secret(CANARY),
]
SHOWN: dict[str, Callable[[Any], str]] = {
    "str": str,
    "repr": repr,
    "ascii": ascii,
    "format": lambda value: f"{value} {value!s:>40} {value!r}",
    "percent": lambda value: "%s %r %a" % (value, value, value),  # noqa: UP031
    "pprint": pprint.pformat,
    "in a list": lambda value: repr([value, {"key": value}]),
    "json with default": lambda value: json.dumps({"key": value}, default=str),
    "dir": lambda value: repr(dir(value)),
}


@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
@pytest.mark.parametrize("holder", ACCOUNTS, ids=lambda holder: type(holder).__name__)
def test_no_way_of_printing_shows_a_key(holder: object, show: Callable[[Any], str]) -> None:
    assert CANARY not in show(holder)


@pytest.mark.parametrize("holder", ACCOUNTS[:-1], ids=lambda holder: type(holder).__name__)
def test_no_account_gives_its_key_away_as_plain_values(holder: Any) -> None:
    for values in (attrs.asdict(holder), attrs.astuple(holder), attrs.asdict(holder, recurse=False)):
        assert CANARY not in repr(values)
        with pytest.raises(TypeError):
            json.dumps(values)


@pytest.mark.parametrize("spec", ["", ">40", ".99", "x", "%"])
def test_no_format_spec_brings_a_key_out(spec: str) -> None:
    assert format(Secret(CANARY), spec) == "Secret('***')"


def test_reveal_is_the_way() -> None:
    assert Secret(CANARY).reveal() == CANARY
    assert Secret(f"  {CANARY}\n").reveal() == CANARY


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_key_is_never_pickled(protocol: int) -> None:
    for holder in ACCOUNTS:
        with pytest.raises(TypeError):
            pickle.dumps(holder, protocol)


@pytest.mark.parametrize(
    "take",
    [
        lambda secret: copyreg.__reduce_ex__(secret, 0),  # type: ignore[call-arg]
        lambda secret: secret.__reduce_ex__(4),
        lambda secret: object.__reduce_ex__(secret, 4),
        lambda secret: secret.__getstate__(),
        json.dumps,
        vars,
        len,
        iter,
        bytes,
    ],
)
def test_no_protocol_of_python_gives_a_key_away(take: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError) as caught:
        take(Secret(CANARY))
    assert CANARY not in str(caught.value)


def test_a_copy_is_the_secret_itself() -> None:
    secret = Secret(CANARY)
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret]) == [secret]


def test_a_log_line_shows_no_key(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for holder in ACCOUNTS:
            logging.getLogger("test").debug("asked by %s %r", holder, holder, extra={"account": holder})
    assert "asked by" in caplog.text
    assert CANARY not in caplog.text
    assert all(CANARY not in repr(vars(record)) for record in caplog.records)


def test_a_traceback_with_local_variables_shows_no_key() -> None:
    def fail(account: object) -> None:
        raise RuntimeError(f"with {account}")

    for holder in ACCOUNTS:
        try:
            fail(holder)
        except RuntimeError as error:
            text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
        assert "account = " in text
        assert CANARY not in text


def test_a_refused_account_does_not_repeat_its_key() -> None:
    with pytest.raises(mv.InvalidRequest) as caught:
        mv.Kling(api_key=f"{CANARY} {CANARY}", base_url=f"https://user:{CANARY}@example.com", region="x")  # type: ignore[arg-type]
    assert {problem.field for problem in caught.value.problems} == {"api_key", "base_url", "region"}
    assert CANARY not in f"{caught.value} {caught.value!r} {caught.value.problems}"


def test_secrets_compare_by_value_and_with_secrets_only() -> None:
    assert Secret("a") == Secret("a ") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("\ud800") == Secret("\ud800")
    assert bool(Secret("a")) is True
    assert bool(Secret(" ")) is False


@pytest.mark.parametrize("value", [None, 5, b"key", ["key"]])
def test_a_secret_is_text(value: Any) -> None:
    with pytest.raises(TypeError, match="a secret is text"):
        Secret(value)


@pytest.mark.parametrize(
    ("text", "prompt", "found"),
    [
        ("Refused: a fox  walks over THE frozen lake", "A fox walks over the frozen lake at dawn", True),
        ("Refused: sexual content", "A fox walks over the frozen lake at dawn", False),
        ("a fox was refused", "fox", True),
        ("foxes are fine", "fox", False),
        ("anything", "", False),
    ],
)
def test_a_prompt_is_found_in_foreign_words(text: str, prompt: str, found: bool) -> None:
    assert repeats(text, prompt) is found
