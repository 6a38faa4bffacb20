"""What the providers share: checks of an order, the vendor door, and the table that judges an answer."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import urlsplit

from attrs import frozen

from ..errors import (
    AuthenticationFailed,
    ContentFiltered,
    Fault,
    InvalidRequest,
    MultiVideoError,
    OutcomeUnknown,
    Problem,
    ProviderUnavailable,
    RateLimited,
    UnsupportedFeature,
)
from ..secrets import repeats
from ..shapes import Unreadable, read
from ..values.media import Media
from ..values.refs import VendorRef
from ..values.words import Mode
from ..wire import Answer, AnswerRule, Asset, Order, WireRequest, WireResponse

__all__ = [
    "FROM_TEXT_OR_FRAME",
    "HTTP_RULES",
    "MOST_TAKES",
    "NO_PROOF",
    "Judged",
    "Said",
    "accepting",
    "base64_text",
    "body_of",
    "check_order",
    "code_word",
    "fetch",
    "job_id",
    "judge",
    "merged",
    "origin_of",
    "picture",
    "quoted",
    "read_body",
    "readable",
    "reading",
    "retry_after",
    "unix_seconds",
    "unreadable",
    "unsupported_picture",
    "unwelcome",
    "word_of",
]

T = TypeVar("T")

HTTP_RULES: tuple[AnswerRule, ...] = (
    AnswerRule((401, 403), (), Answer.REJECTED, AuthenticationFailed),
    AnswerRule((402,), (), Answer.REJECTED, RateLimited),
    AnswerRule((404, 410), (), Answer.REJECTED, UnsupportedFeature),
    AnswerRule((429,), (), Answer.REJECTED, RateLimited, retryable=True),
    AnswerRule((400, 405, 406, 411, 413, 414, 415, 417, 422, 431, 451), (), Answer.REJECTED, InvalidRequest),
    # a proxy says 503 as well, and may say it after the vendor took the job: only the vendor's own words count
    AnswerRule((503,), (), Answer.REJECTED, ProviderUnavailable, retryable=True, own_body=True),
)
"""What HTTP itself says, for answers whose code a vendor's own rows do not name."""

NO_PROOF = AnswerRule(None, (), Answer.UNKNOWN, ProviderUnavailable, retryable=True)
"""The row of an answer that proves nothing about a paid submit."""

MOST_TAKES = 8
"""More files than any vendor makes with one call (Google: 4); what an answer names beyond that is not fetched."""


def judge(rules: Sequence[AnswerRule], status: int, code: str, own_body: bool) -> AnswerRule:
    """The first row that fits an answer to a paid submit; where none does, the answer proves nothing."""
    for rule in rules:
        if (
            (rule.status is None or status in rule.status)
            and (not rule.codes or code in rule.codes)
            and (own_body or not rule.own_body)
        ):
            return rule
    return NO_PROOF


@frozen
class Said:
    """What an error answer says: code, text, whether the words are the vendor's own, and the wait it asks for.

    `request_id` is the vendor's name for the exchange, where the body gives it.
    """

    code: str = ""
    message: str = ""
    own: bool = False
    retry_after: float | None = None
    request_id: str | None = None


@frozen
class Judged:
    """An answer that is no success: the row that judges it, what it says, and what to do next."""

    rule: AnswerRule
    said: Said
    hint: str = ""


_KEYLIKE = re.compile(r"\b(?:sk-|api-key-|AIza|ya29\.|eyJ|Bearer |Basic )[\w.*/+=-]{4,}|[\w+/=-]{80,}")
_REFUSED_KEY = re.compile(r"((?:key|token|credentials?)(?: provided)?[:=] ?)[^\s,;]+", re.IGNORECASE)
_SIGNATURE = re.compile(r"(?<=://)[^\s/@]+@|[?#][^\s\"'<>]*=[^\s\"'<>]*")  # who asks, in an address
_LONGEST_TEXT, _LONGEST_READ = 300, 4000


def quoted(text: str, prompt: str = "") -> str:
    """A vendor's text, fit for an error: one line, cut, without keys; nothing at all if it repeats the prompt."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[:_LONGEST_READ]).split())
    line = _SIGNATURE.sub("***", _REFUSED_KEY.sub(r"\1***", _KEYLIKE.sub("***", line)))
    if len(line) > _LONGEST_TEXT:
        line = line[: _LONGEST_TEXT - 1] + "…"
    return "" if repeats(line, prompt) else line


def word_of(status: str) -> str:
    """A vendor's status word as it came, cut to what is one."""
    return quoted(status)[:60]


_VERBS: Mapping[type[MultiVideoError], str] = {
    AuthenticationFailed: "refuses the key, the account or the permission",
    RateLimited: "takes no more for now",
    ContentFiltered: "refuses this content",
    InvalidRequest: "refuses the request",
    UnsupportedFeature: "does not know what was asked for",
    ProviderUnavailable: "has a fault of its own",
}


_NEXT: Mapping[type[MultiVideoError], str] = {
    AuthenticationFailed: "check the key and what its account may do",
    RateLimited: "try again later",
    ContentFiltered: "change the prompt or the picture: the same will be refused again",
    InvalidRequest: "change what it names, or leave model out and let routing choose another",
    ProviderUnavailable: "try again later",
}


def unwelcome(
    judged: Judged, response: WireResponse, provider: str, *, prompt: str | None = None, paid: bool = False
) -> MultiVideoError:
    """The typed error of an answer that is no success; `paid`: of one to a submit."""
    kind, retryable = judged.rule.error, judged.rule.retryable
    fault: Fault | None = None
    verb, hint = _VERBS.get(kind, "refuses"), judged.hint or _NEXT.get(kind, "")
    if kind is RateLimited and not retryable:
        verb = "has no credit or quota left"
        hint = judged.hint or "top up the account or raise its limit at the vendor: waiting does not help"
    if not paid and issubclass(kind, InvalidRequest):
        # a look was refused and no request of the user's; an address that is not there says nothing about the model
        retryable = kind is UnsupportedFeature and not judged.said.own
        kind, fault, hint = ProviderUnavailable, "provider", judged.hint or _NEXT[ProviderUnavailable]
    return kind(
        f"{provider} {verb}: {_answer_text(judged.said, response, prompt)}.",
        hint=hint,
        fault=fault,
        retryable=retryable,
        retry_after=judged.said.retry_after,
        provider=provider,
        request_id=_request_id(judged.said, response),
    )


def _request_id(said: Said, response: WireResponse) -> str | None:
    name = said.request_id or response.request_id or ""
    return name if re.fullmatch(r"[\w.:/+=-]{1,100}", name) else None


def reading(
    provider: str, refuse: Callable[[WireResponse], Judged | None], shape: Callable[[WireResponse], T]
) -> Callable[[WireResponse], T]:
    """The reader of an answer to a read: what it holds, or one of our errors and no other."""

    def reader(response: WireResponse) -> T:
        if (judged := refuse(response)) is not None:
            raise unwelcome(judged, response, provider)
        try:
            return shape(response)
        except Unreadable as why:
            raise unreadable(why, response, provider) from None

    return reader


def accepting(
    order: Order,
    provider: str,
    family: str,
    refuse: Callable[[WireResponse], Judged | None],
    job_id: Callable[[WireResponse], str],
    *,
    by_id: bool = False,
) -> Callable[[WireResponse], VendorRef]:
    """The reader of an answer to a paid submit: the job, an error that proves there is none, or `OutcomeUnknown`.

    `by_id`: the order names nothing but a video that is kept there, so that this is what is missing where one is.
    """

    def reader(response: WireResponse) -> VendorRef:
        judged = refuse(response)
        if judged is None:
            try:
                remote_id = job_id(response)
            except Unreadable as why:
                raise _unknown(quoted(str(why), order.prompt), response, provider, order, Said()) from None
            return VendorRef(provider, family, order.model, order.wire_model, remote_id)
        if judged.rule.answer is not Answer.REJECTED:
            text = _answer_text(judged.said, response, order.prompt)
            raise _unknown(text, response, provider, order, judged.said)
        if judged.rule.error is UnsupportedFeature:
            raise (_not_kept if by_id else _not_served)(judged.said, response, provider, order)
        error = unwelcome(judged, response, provider, prompt=order.prompt, paid=True)
        error.attempt_id = order.attempt_id
        raise error

    return reader


def _not_served(said: Said, response: WireResponse, provider: str, order: Order) -> UnsupportedFeature:
    return UnsupportedFeature(
        f"{provider} does not serve {order.wire_model}: {_answer_text(said, response, order.prompt)}.",
        asked=f"model={order.model}@{provider}",
        hint="leave model out and let routing choose, or name a model that this address serves",
        field="model",
        provider=provider,
        request_id=_request_id(said, response),
        attempt_id=order.attempt_id,
    )


def _not_kept(said: Said, response: WireResponse, provider: str, order: Order) -> UnsupportedFeature:
    return UnsupportedFeature(
        f"{provider} does not find the video to go on from: {_answer_text(said, response, order.prompt)}.",
        asked="source_video=a video by its id",
        hint="it is gone there: give the file, or one that is still kept",
        field="source_video",
        provider=provider,
        request_id=_request_id(said, response),
        attempt_id=order.attempt_id,
    )


def _unknown(why: str, response: WireResponse, provider: str, order: Order, said: Said) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"{provider} may have taken the job and did not say so: {why}.",
        hint="do not send it again before it was looked for at the vendor",
        provider=provider,
        request_id=_request_id(said, response),
        attempt_id=order.attempt_id,
    )


def unreadable(why: object, response: WireResponse, provider: str) -> ProviderUnavailable:
    """The error of a read whose answer has another shape than the vendor documents; looking again may help."""
    return ProviderUnavailable(
        f"{provider} gave an answer that cannot be read: HTTP {response.status}, {quoted(str(why))}.",
        hint="look again later: the job goes on at the vendor",
        fault="provider",
        provider=provider,
        request_id=response.request_id,
    )


def _answer_text(said: Said, response: WireResponse, prompt: str | None) -> str:
    """What an answer says, without its own words where it is not known which of them would repeat the prompt."""
    code, text = quoted(said.code, prompt or "")[:60], ""
    if prompt is None:
        code = code if _WORD.fullmatch(code) else ""
    else:
        text = quoted(said.message, prompt).rstrip(".")
    return ", ".join(filter(None, [f"HTTP {response.status}", code, text]))


_WORD = re.compile(r"[\w.-]+")


def body_of(response: WireResponse) -> Any:
    """The body as JSON.

    Raises: Unreadable.
    """
    try:
        return response.json()
    except ValueError:
        raise Unreadable("the body is no JSON") from None


def read_body(shape: type[T], response: WireResponse) -> T:
    """The body in that shape.

    Raises: Unreadable.
    """
    return read(shape, body_of(response))


def readable(shape: type[T], items: Iterable[Any]) -> list[tuple[T, Any]]:
    """The items of a list that have the shape, each with its raw form; a strange one does not hide the others."""
    found = []
    for item in items:
        try:
            found.append((read(shape, item), item))
        except Unreadable:
            continue
    return found


def code_word(code: object) -> str:
    """A vendor's error code, which is a number at some; "" for anything that is no code."""
    return str(code) if type(code) in {str, int} else ""


_LONGEST_ID = 1000


def job_id(text: str) -> str:
    """A vendor's name for a job, which goes into addresses, logs and stored references.

    Raises: Unreadable if it is empty, or nothing that can be asked for again.
    """
    if not text.strip():
        raise Unreadable("the id is empty")
    if len(text) > _LONGEST_ID or not text.isprintable() or not text.strip("."):
        raise Unreadable("the id is too long, or of characters that no address carries")
    return text


def unsupported_picture(asked: str, allowed: str, provider: str) -> UnsupportedFeature:
    """The error of a first frame that this protocol cannot carry."""
    what = f"{provider} cannot take this first frame."
    return UnsupportedFeature(
        what,
        asked=f"first_frame={asked}",
        allowed=allowed,
        field="first_frame",
        provider=provider,
        cost="no, nothing was sent",
    )


def retry_after(response: WireResponse) -> float | None:
    """Seconds that the headers ask to wait. A date is left to whoever has a clock."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        text = response.headers.get(name, "").strip()
        if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text):
            return float(text) / unit
    return None


def unix_seconds(stamp: object) -> float | None:
    """Unix seconds of a time that a vendor writes as seconds or milliseconds; None for anything else."""
    if isinstance(stamp, bool) or not isinstance(stamp, int | Decimal) or not 0 < stamp < 10**15:
        return None
    return float(stamp) / 1000 if stamp > 10**11 else float(stamp)


def origin_of(url: str) -> str:
    """Scheme, host and port of an address, as "https://host:port"."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port or {'https': 443, 'http': 80}.get(parts.scheme, 0)}"


def fetch(asset: Asset, origins: Sequence[str]) -> WireRequest:
    """The request for a finished take; the credential goes along only to the provider's own origins."""
    if asset.url is None:
        raise ValueError("this take came as a file: there is nothing to fetch")
    return WireRequest("GET", asset.url, signed=asset.signed and origin_of(asset.url) in origins)


FROM_TEXT_OR_FRAME = frozenset({Mode.TEXT, Mode.FIRST_FRAME})

_NEEDS: Mapping[Mode, frozenset[str]] = {
    Mode.FIRST_FRAME: frozenset({"first_frame"}),
    Mode.FIRST_LAST: frozenset({"first_frame", "last_frame"}),
    Mode.REFERENCE: frozenset({"reference_images"}),
    Mode.SHOTS: frozenset({"shots"}),
    Mode.EXTEND: frozenset({"source_video"}),
    Mode.EDIT: frozenset({"source_video"}),
    Mode.REMIX: frozenset({"source_video"}),
    Mode.MOTION: frozenset({"source_video", "reference_images"}),
}


def check_order(
    order: Order, provider: str, *, modes: frozenset[Mode] = FROM_TEXT_OR_FRAME, takes: frozenset[str] = frozenset()
) -> None:
    """Refuse what this protocol has no field for, instead of leaving it out unsaid.

    `takes` names what goes along beside what a mode needs: "reference_images", "elements", "shots", "watermark",
    "negative_prompt", "seed", "count".

    Raises: UnsupportedFeature.
    """
    mode = order.segment.mode
    given = {
        "first_frame": order.first_frame is not None,
        "last_frame": order.last_frame is not None,
        "reference_images": bool(order.references),
        "elements": bool(order.elements),
        "shots": bool(order.shots),
        "source_video": order.source is not None,
        "watermark": order.segment.watermark,
        "negative_prompt": order.negative_prompt is not None,
        "seed": order.seed is not None,
        "count": order.samples != 1,
    }
    needs, have = _NEEDS.get(mode, frozenset()), {name for name, is_given in given.items() if is_given}
    missing = needs - have - ({"reference_images"} if order.elements else set())
    strange = have - needs - takes
    problems = [
        Problem(name, "given", f"{provider} has no such field for {order.model}", f"{provider} takes no {name} here.")
        for name in ["mode"] * (mode not in modes) + [name for name in given if name in strange]
    ]
    problems += [
        Problem(name, f"left out in mode {mode}", f"{name}= in mode {mode}") for name in given if name in missing
    ]
    if problems:
        raise UnsupportedFeature.of(problems, provider=provider, attempt_id=order.attempt_id)


def picture(media: Media, provider: str) -> tuple[bytes, str]:
    """Bytes and MIME type of a picture that was read into memory.

    Raises: InvalidRequest if it was not.
    """
    if media.data is None or media.facts is None:
        raise InvalidRequest.of([Problem("first_frame", "not read yet", "bytes or a file")], provider=provider)
    return media.data, f"image/{media.facts.format}"


def base64_text(data: bytes) -> str:
    """Plain Base64, without the "data:" prefix that Kling and Google refuse."""
    return b64encode(data).decode()


def merged(body: Mapping[str, Any], options: Mapping[str, Any], provider: str) -> dict[str, Any]:
    """The body with the user's own parameters in it.

    Raises: InvalidRequest naming each parameter that is set already: what the plan priced stays as it was priced.
    """
    try:
        json.dumps(options, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise _option_fault("a value that is no JSON", "text, numbers, lists, mappings", provider) from None
    taken: list[str] = []
    result = _merge(body, options, "", taken)
    if taken:
        raise _option_fault(", ".join(taken), "parameters that are not set from the request already", provider)
    return result


def _option_fault(asked: str, allowed: str, provider: str) -> InvalidRequest:
    what = f"The options for {provider} cannot hold {asked}."
    return InvalidRequest.of([Problem("options", asked, allowed, what)], provider=provider)


def _merge(body: Mapping[str, Any], extra: Mapping[str, Any], where: str, taken: list[str]) -> dict[str, Any]:
    result = dict(body)
    for name, value in extra.items():
        mine = result.get(name)
        if name not in result:
            result[name] = value
        elif isinstance(mine, Mapping) and isinstance(value, Mapping):
            result[name] = _merge(mine, value, f"{where}{name}.", taken)
        else:
            taken.append(f"{where}{name}")
    return result
