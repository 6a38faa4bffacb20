"""The tables of answers, row by row: each one is given to a paid submit, which ends and costs as the row says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from fault_cell import seen
from fault_plays import Answered
from fault_rig import DOORS, FAMILIES, Row, account, of_door

from multivideo.providers import common, google_words, kling_words, openai
from multivideo.transport.embedded import HOME
from multivideo.wire import Answer, AnswerRule

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

UNKNOWN = "OutcomeUnknown · unknown → held"
ABSENT = "OutcomeUnknown · unknown → absent"
NOT_KNOWN = {"all": UNKNOWN, "kling": ABSENT}
SAYS_RETRY = {"x-should-retry": "true"}
OWN_CODE = {"openai": "server_error", "kling": "1999", "google": "UNAVAILABLE"}  # of the vendor, and in no row
# LiteLLM may have asked another deployment before it says 503, so that its word on this very request is none.
NOT_BELIEVED = {("litellm", 503)}
SIGNED_ANEW = {("kling-legacy", "1003"), ("kling-legacy", "1004")}

# Written down here once more, as the published rules of money have it: a table that says otherwise is wrong.
REJECTED = {400, 401, 402, 403, 404, 405, 410, 413, 415, 422, 429}
DOUBTFUL = {301, 302, 307, 308, 408, 409, 418, 425, 499, 500, 501, 502, 503, 504, 507, 520, 522, 524, 529}


@frozen
class Given:
    """An answer, and the row of the table that is to judge it."""

    status: int
    code: str
    rule: AnswerRule

    def __str__(self) -> str:
        return f"{self.status} {self.code}".strip()


def answers(rules: Sequence[AnswerRule], family: str) -> Iterator[Given]:
    """Every status of every row, and every code, each at least once."""
    for rule in rules:
        statuses = rule.status or (429 if rule.retryable else 400,)
        codes = rule.codes or (OWN_CODE[family] if rule.own_body else "",)
        pairs = zip(statuses, codes * len(statuses), strict=False) if len(statuses) > len(codes) else ()
        yield from (Given(status, code, rule) for status, code in pairs)
        if len(codes) >= len(statuses):
            yield from (Given(statuses[at % len(statuses)], code, rule) for at, code in enumerate(codes))


def body(family: str, status: int, code: str) -> bytes:
    """The answer in the vendor's own form; without a code there is none."""
    if not code:
        return b""
    said: Mapping[str, Any] = {"error": {"message": "no", "code": code, "type": "server_error"}}
    if family == "kling":
        said = {"code": int(code), "message": "no", "request_id": "r-1"}
    if family == "google":
        said = {"error": _google(status, code)}
    return json.dumps(said).encode()


def _google(status: int, code: str) -> dict[str, Any]:
    """Google has no code for some kinds: its texts and details tell."""
    match code:
        case "SUPPORT_CODES":
            return {"code": status, "status": "INVALID_ARGUMENT", "message": "no. Support codes: 58061214"}
        case "API_KEY_INVALID":
            cause = {"reason": "API_KEY_INVALID"}
            return {"code": status, "status": "INVALID_ARGUMENT", "message": "no", "details": [cause]}
        case "LASTING_QUOTA":
            return {"code": status, "status": "RESOURCE_EXHAUSTED", "message": "the limit per day is reached"}
    return {"code": status, "status": code, "message": "no"}


def answered(name: str, answer: Answered) -> Row:
    return Row(step="submit", name=name, plays={"all": (answer,)}, want={})


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[AnswerRule]:
    """The rows that judged an answer, in order."""
    rows: list[AnswerRule] = []
    true = common.judge

    def judge(rules: Sequence[AnswerRule], status: int, code: str, own_body: bool) -> AnswerRule:
        rows.append(true(rules, status, code, own_body))
        return rows[-1]

    for module in (openai, kling_words, google_words):
        monkeypatch.setattr(module, "judge", judge)
    return rows


def outcome(door: str, code: str, rule: AnswerRule) -> tuple[str | None, int]:
    """What the row means for the caller, and how many requests reach the vendor: one that is a clean "later" is sent
    again, and the second is taken; so is, by a signer that can, a token that came too early or too late."""
    if (door, code) in SIGNED_ANEW:
        return "video", 2
    if rule.answer is Answer.UNKNOWN:
        return of_door(NOT_KNOWN, door), 1
    return ("video", 2) if rule.retryable else (f"{rule.error.__name__} · no", 1)


@pytest.mark.parametrize("door", DOORS)
async def test_every_row_of_the_table_is_hit_and_means_what_it_says(
    door: str, judged: list[AnswerRule], tmp_path: Path
) -> None:
    family, rules = FAMILIES[door], account(door, HOME).backend().rules
    found, wanted, hit = {}, {}, set[int]()
    for number, given in enumerate(answers(rules, family)):
        judged.clear()
        reply = Answered("submit", given.status, body(family, given.status, given.code), SAYS_RETRY)
        cell = await seen(answered(str(given), reply), door, tmp_path / str(number))
        assert judged, f"nobody judged {given}"
        if (door, given.status) in NOT_BELIEVED:
            assert (judged[0], cell.text) == (common.NO_PROOF, UNKNOWN)
            hit.add(id(given.rule))
            continue
        assert judged[0] == given.rule, f"{given} is judged by {judged[0]}"
        hit.add(id(given.rule))
        found[str(given)], wanted[str(given)] = (cell.text, cell.sends), outcome(door, given.code, given.rule)
    assert found == wanted
    assert [rule for rule in rules if id(rule) not in hit] == [], "rows that no answer here has hit"


@pytest.mark.parametrize("door", DOORS)
async def test_a_bare_status_means_what_the_rules_of_money_say(door: str, tmp_path: Path) -> None:
    wrong = {}
    for status in sorted(REJECTED | DOUBTFUL):
        cell = await seen(answered(str(status), Answered("submit", status)), door, tmp_path / str(status))
        unknown = cell.text == of_door(NOT_KNOWN, door)
        if unknown is not (status in DOUBTFUL) or (unknown and cell.sends != 1):
            wrong[status] = cell
    assert wrong == {}


@pytest.mark.parametrize("door", DOORS)
async def test_a_job_with_an_id_is_accepted_and_nothing_else_is(door: str, tmp_path: Path) -> None:
    accepted = await seen(Row(step="submit", name="well", want={}), door, tmp_path / "well")
    assert (accepted.text, accepted.sends, accepted.jobs) == ("video", 1, 1)
    for number, text in enumerate((b"", b"{}", b"[]", b"null", b'{"id": 7}', b'{"id": ""}', b'{"data": {"id": " "}}')):
        cell = await seen(answered("no id", Answered("submit", 200, text)), door, tmp_path / str(number))
        assert (cell.text, cell.sends) == (of_door(NOT_KNOWN, door), 1), text
