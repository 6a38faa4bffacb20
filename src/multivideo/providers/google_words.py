"""What both of Google's addresses of Veo say in the same words: orders, errors, safety filters, ends of operations.

Sources: google.rpc's codes; Google's responsible AI page with its support codes and its price pages (read September
2026); wordings of refusals as others recorded them up to 2026-10-04.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

from attrs import frozen

from ..errors import (
    AuthenticationFailed,
    ContentFiltered,
    GenerationFailed,
    Problem,
    ProviderError,
    RateLimited,
    UnsupportedFeature,
)
from ..shapes import Loose, Unreadable, read
from ..values.clips import Clip
from ..values.media import Media
from ..values.words import Mode
from ..wire import Answer, AnswerRule, Asset, JobState, JobStatus, Order, WireResponse
from .common import (
    HTTP_RULES,
    MOST_TAKES,
    Judged,
    Said,
    base64_text,
    body_of,
    code_word,
    judge,
    merged,
    picture,
    quoted,
    readable,
    retry_after,
)

__all__ = [
    "MODES",
    "RULES",
    "SUPPORT_CODES",
    "Ending",
    "Failure",
    "cannot_take",
    "instance_of",
    "judged_answer",
    "picture_object",
    "start_body",
]

MODES = frozenset({Mode.TEXT, Mode.FIRST_FRAME, Mode.FIRST_LAST, Mode.REFERENCE, Mode.EXTEND})

# Words of our own for kinds of answers that Google gives no code of their own.
_REFUSED_CONTENT, _LASTING_QUOTA, _BAD_KEY = "SUPPORT_CODES", "LASTING_QUOTA", "API_KEY_INVALID"
RULES: tuple[AnswerRule, ...] = (
    AnswerRule((400,), (_REFUSED_CONTENT,), Answer.REJECTED, ContentFiltered),
    AnswerRule((400,), (_BAD_KEY,), Answer.REJECTED, AuthenticationFailed),  # the Gemini API says 400 to a wrong key
    AnswerRule((400,), ("FAILED_PRECONDITION",), Answer.REJECTED, AuthenticationFailed),  # billing, region or terms
    AnswerRule((429,), (_LASTING_QUOTA,), Answer.REJECTED, RateLimited),
    *HTTP_RULES,
)

_CATEGORIES: Mapping[str, str] = {
    "children": "58061214 17301594",
    "celebrities": "29310472 15236754",
    "video safety": "64151117 42237218",
    "danger": "62263041",
    "hate": "57734940 22137204",
    "prohibited content": "89371032 49114662 63429089 72817394 60599140",
    "third-party content": "35561574 35561575",
    "sexual content": "90789179 43188360",
    "toxic content": "78610348",
    "violence": "61493863 56562880",
    "vulgar content": "32635315",
    "other reasons": "74803281 29578790 42876398",
}
SUPPORT_CODES = {code: category for category, codes in _CATEGORIES.items() for code in codes.split()}
"""What a safety filter's number means (Google's responsible AI page, September 2026)."""

# google.rpc codes by number, and whether a new job may succeed
_RPC = {
    1: ("CANCELLED", False),
    2: ("UNKNOWN", True),
    3: ("INVALID_ARGUMENT", False),
    4: ("DEADLINE_EXCEEDED", True),
    5: ("NOT_FOUND", False),
    6: ("ALREADY_EXISTS", False),
    7: ("PERMISSION_DENIED", False),
    8: ("RESOURCE_EXHAUSTED", True),
    9: ("FAILED_PRECONDITION", False),
    10: ("ABORTED", True),
    11: ("OUT_OF_RANGE", False),
    12: ("UNIMPLEMENTED", False),
    13: ("INTERNAL", True),
    14: ("UNAVAILABLE", True),
    15: ("DATA_LOSS", False),
    16: ("UNAUTHENTICATED", False),
}
_LASTING = ("per day", "daily", "spend", "prepay")


@frozen
class _Error:
    message: Loose[str] = None
    code: Any = None
    status: Loose[str] = None
    details: Loose[list[Any]] = None


@frozen
class _Refusal:
    error: _Error


@frozen
class _Delay:
    retryDelay: str  # noqa: N815 - Google's spelling


@frozen
class _Cause:
    reason: str


@frozen
class Failure:
    """The error inside an operation; its code is google.rpc's number, or an HTTP status where it is above 16."""

    code: Any = None
    message: Loose[str] = None


_OF_A_CLIP = frozenset({"durationSeconds", "aspectRatio"})  # the step is always seven seconds, the shape the clip's


def instance_of(
    order: Order, picture: Callable[[str, Media], dict[str, str]], clip: Callable[[Clip], dict[str, str]]
) -> dict[str, Any]:
    """The prompt with all that is brought along, each as that address takes it.

    `picture` is also told which option of ours the picture came by, for the error that it may raise.
    """
    instance: dict[str, Any] = {"prompt": order.prompt}
    if order.first_frame is not None:
        instance["image"] = picture("first_frame", order.first_frame)
    if order.last_frame is not None:
        instance["lastFrame"] = picture("last_frame", order.last_frame)
    if order.references:
        seen = [picture("reference_images", image) for image in order.references]
        instance["referenceImages"] = [{"image": image, "referenceType": "asset"} for image in seen]
    if order.source is not None:
        instance["video"] = clip(order.source)
    return instance


def start_body(
    order: Order,
    instance: Mapping[str, Any],
    parameters: Mapping[str, Any],
    provider: str,
    unsent: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """The message that starts a job, with the user's own parameters in it.

    What decides the price stays as it was priced, said or not: `unsent` names the parameters that go without saying,
    and an extension leaves out what its clip decides. None of them is sent, and `options` cannot add them.
    """
    optional = {"negativePrompt": order.negative_prompt, "seed": order.seed}
    known = {**parameters, **{name: value for name, value in optional.items() if value is not None}}
    body = merged({"instances": [instance], "parameters": known}, order.options, provider)
    left_out = unsent | (_OF_A_CLIP if order.segment.mode is Mode.EXTEND else frozenset())
    kept = {name: value for name, value in body["parameters"].items() if name not in left_out}
    return {**body, "parameters": kept}


def cannot_take(field: str, asked: str, allowed: str, provider: str) -> UnsupportedFeature:
    """The error of a picture or a clip in a form that this protocol cannot carry."""
    what = f"{provider} cannot take {field} in this form."
    return UnsupportedFeature.of([Problem(field, asked, allowed, what)], provider=provider)


def picture_object(image: Media, provider: str) -> dict[str, str]:
    """A picture that was read into memory, as both addresses take it.

    "inlineData" stands in Google's samples, and its server refused it (google-genai 2.34.0 sends these names).
    """
    data, mime = picture(image, provider)
    return {"bytesBase64Encoded": base64_text(data), "mimeType": mime}


def judged_answer(response: WireResponse, hints: Mapping[int, str]) -> Judged | None:
    """What an answer proves that is no success; None: it is one. `hints` say by HTTP status what to do next."""
    if 200 <= response.status < 300:
        return None
    wait = retry_after(response)
    try:
        error = _refused(response)
    except Unreadable:
        return Judged(judge(RULES, response.status, "", False), Said(retry_after=wait))
    delay = _retry_delay(error.details or ())
    wait = delay if wait is None else wait
    code, message = error.status or code_word(error.code), error.message or ""
    own = bool(code or message)
    hint = hints.get(response.status, "")
    if kinds := _categories(message):
        hint = f"it is refused for {kinds}: change the prompt or the picture"
    rule = judge(RULES, response.status, _kind(error, wait) or code, own)
    return Judged(rule, Said(code, message, own, wait), hint)


@frozen
class Ending:
    """How an operation ended; `audio_hint` is what to do where the sound alone was refused."""

    provider: str
    remote_id: str
    raw: Any
    audio_hint: str

    def failed(self, failure: Failure) -> JobStatus:
        """The end by an error."""
        error = self._error(failure)
        state = JobState.FILTERED if isinstance(error, ContentFiltered) else JobState.FAILED
        return JobStatus(self.remote_id, state, "error", error=error, raw=self.raw)

    def made(self, assets: tuple[Asset, ...], count: int, reasons: Sequence[str]) -> JobStatus:
        """The end without an error; `count` takes were dropped by the filter, which may be all of them."""
        filtered = min(MOST_TAKES, max(0, count) or len(reasons))
        if assets:
            return JobStatus(self.remote_id, JobState.SUCCEEDED, "done", assets=assets, filtered=filtered, raw=self.raw)
        if filtered:  # the usual form of a refusal: done, and no error
            error = self._filtered(" ".join(reasons))
            return JobStatus(self.remote_id, JobState.FILTERED, "done", filtered=filtered, error=error, raw=self.raw)
        what = f"{self.provider} ended the job without a video and without a reason."
        nothing = GenerationFailed(what, charged="held", retryable=True, provider=self.provider)
        return JobStatus(self.remote_id, JobState.FAILED, "done", error=nothing, raw=self.raw)

    def _error(self, failure: Failure) -> ProviderError:
        message = failure.message or ""
        if _support_codes(message):
            return self._filtered(message)
        code = code_word(failure.code)[:10]
        number = int(code) if re.fullmatch(r"[0-9]+", code) else 0
        name, retryable = _RPC.get(number, (f"code {code or 'unknown'}", number in {408, 409, 429} or number >= 500))
        text = ", ".join(filter(None, [name, quoted(message).rstrip(".")]))
        what = f"{self.provider} ended the job without a video: {text}."
        return GenerationFailed(what, charged="held", retryable=retryable, provider=self.provider)

    def _filtered(self, reason: str) -> ContentFiltered:
        """Google says that blocked videos are not charged (price page, read 2026-09-02)."""
        because = f" for {kinds}" if (kinds := _categories(reason)) else ""
        text = quoted(reason).rstrip(".") or "no reason was given"
        hint = self.audio_hint if "audio" in reason.lower() else "change the prompt or the picture"
        return ContentFiltered(
            f"{self.provider} refuses this content{because}: {text}.", hint=hint, provider=self.provider
        )


def _refused(response: WireResponse) -> _Error:
    """The error envelope, which some of Google's endpoints wrap into a list of one."""
    body = body_of(response)
    return read(_Refusal, body[0] if isinstance(body, list) and body else body).error


def _support_codes(text: str) -> list[str]:
    """The numbers after "Support codes:"."""
    return list(chain.from_iterable(re.findall(r"\d+", part) for part in re.findall(r"Support codes?:([\d, ]+)", text)))


def _categories(text: str) -> str:
    """What the support codes of a refusal stand for, "" if it has none."""
    return ", ".join(dict.fromkeys(SUPPORT_CODES.get(code, "a kind not listed") for code in _support_codes(text)))


def _kind(error: _Error, wait: float | None) -> str:
    """A word of ours for what only the text of an error tells, "" for all else."""
    text = (error.message or "").lower()
    if _support_codes(error.message or ""):
        return _REFUSED_CONTENT
    causes = [cause.reason for cause, _ in readable(_Cause, error.details or ())]
    if _BAD_KEY in causes or "api key not valid" in text:
        return _BAD_KEY
    # the text of a limit a minute speaks of billing too, but says when to come back
    lasting = any(word in text for word in _LASTING) or (wait is None and "billing" in text)
    return _LASTING_QUOTA if lasting and error.status in {None, "RESOURCE_EXHAUSTED"} else ""


def _retry_delay(details: Sequence[Any]) -> float | None:
    """Seconds of a google.rpc.RetryInfo, written as "27s" or "0.5s"."""
    for delay, _ in readable(_Delay, details):
        if match := re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)s", delay.retryDelay):
            return float(match[1])
    return None
