"""Veo on Vertex AI: a long-running prediction that is fetched by a POST.

Sources: Google's discovery document (2026-11-06), model card and video guide (read 2026-09-02), and the responsible AI
page with its support codes (read September 2026). The protocol has no list, no progress and no way to stop a job.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from attrs import field, frozen

from ..errors import (
    AuthenticationFailed,
    ContentFiltered,
    GenerationFailed,
    MultiVideoError,
    ProviderError,
    RateLimited,
)
from ..shapes import Loose, Unreadable, read
from ..values.media import Media
from ..values.refs import VendorRef
from ..values.words import Mode
from ..wire import (
    Answer,
    AnswerRule,
    Asset,
    Charge,
    Exchange,
    JobState,
    JobStatus,
    LookUp,
    Order,
    Resend,
    Step,
    WireRequest,
    WireResponse,
)
from .common import (
    HTTP_RULES,
    MOST_TAKES,
    Judged,
    Said,
    accepting,
    base64_text,
    body_of,
    check_order,
    code_word,
    fetch,
    job_id,
    judge,
    merged,
    origin_of,
    picture,
    quoted,
    read_body,
    readable,
    reading,
    retry_after,
    unsupported_picture,
    unwelcome,
    word_of,
)

__all__ = ["RULES", "SUPPORT_CODES", "VertexBackend"]

# Words of our own for two kinds of answers that Google gives no code of their own.
_REFUSED_CONTENT, _LASTING_QUOTA = "SUPPORT_CODES", "LASTING_QUOTA"
RULES: tuple[AnswerRule, ...] = (
    AnswerRule((400,), (_REFUSED_CONTENT,), Answer.REJECTED, ContentFiltered),
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
_HINTS = {
    401: "the token is no longer valid or of another kind: renew the credentials",
    403: "enable the Vertex AI API; the account needs aiplatform.endpoints.predict, and may have to read the bucket",
}
_SEGMENT = r"[A-Za-z0-9][A-Za-z0-9._:-]*"
_OPERATION = re.compile(
    rf"(projects/{_SEGMENT}/locations/{_SEGMENT}/publishers/google/models/{_SEGMENT})/operations/{_SEGMENT}"
)
_OBJECT = re.compile(r"gs://([a-z0-9][a-z0-9._-]+)/(.+)")
_STORAGE_MIME = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg"}


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
class _Started:
    name: str


@frozen
class _Take:
    gcsUri: Loose[str] = None  # noqa: N815
    bytesBase64Encoded: Loose[str] = None  # noqa: N815


@frozen
class _Made:
    videos: list[Any] | None = None
    raiMediaFilteredCount: Loose[int] = None  # noqa: N815
    raiMediaFilteredReasons: Loose[list[str]] = None  # noqa: N815


@frozen
class _Failure:
    code: Any = None
    message: Loose[str] = None


@frozen
class _Operation:
    done: bool | None = None
    error: _Failure | None = None
    response: _Made | None = None


@frozen
class _Object:
    name: str


@frozen
class _Objects:
    items: list[Any] = field(factory=list)


MODES = frozenset({Mode.TEXT, Mode.FIRST_FRAME, Mode.FIRST_LAST, Mode.REFERENCE})


@frozen
class VertexBackend:
    """Describes the messages of Veo in one project and region.

    `output_uri` is a folder "gs://bucket/folder/" that the videos are written to, one folder an attempt; without it
    they come inside the last answer. `storage_url` is where Cloud Storage answers.
    """

    name: str
    base_url: str
    project: str
    location: str
    output_uri: str | None = None
    storage_url: str = "https://storage.googleapis.com/storage/v1"
    family = "veo-vertex"
    rules = RULES

    @property
    def origins(self) -> tuple[str, ...]:
        """Where the token may go: Vertex AI and Cloud Storage."""
        return (origin_of(self.base_url), origin_of(self.storage_url))

    def submit(self, order: Order) -> Step[VendorRef]:
        """Start one call and say all that decides price or picture: `generateAudio` has no documented default."""
        check_order(order, self.name, modes=MODES, takes=frozenset({"negative_prompt", "seed", "count"}))
        segment = order.segment
        instance: dict[str, Any] = {"prompt": order.prompt}
        frames = {"image": order.first_frame, "lastFrame": order.last_frame}
        instance |= {name: self._picture(frame) for name, frame in frames.items() if frame is not None}
        if order.references:
            references = [{"image": self._picture(image), "referenceType": "asset"} for image in order.references]
            instance["referenceImages"] = references
        parameters: dict[str, Any] = {
            "sampleCount": order.samples,
            "durationSeconds": segment.seconds,
            "resolution": segment.resolution,
            "aspectRatio": segment.aspect_ratio,
            "generateAudio": segment.audio,
        }
        optional = {
            "seed": order.seed,
            "negativePrompt": order.negative_prompt,
            "storageUri": self._folder(order.attempt_id),
        }
        parameters |= {name: value for name, value in optional.items() if value is not None}
        body = merged({"instances": [instance], "parameters": parameters}, order.options, self.name)
        url = f"{self.base_url}/v1/{self._resource(order.wire_model)}:predictLongRunning"
        request = WireRequest("POST", url, json=body, resend=Resend.IF_UNSENT)
        reader = accepting(order, self.name, self.family, self._judged, _operation)
        return Step.of(Exchange(request, reader))

    def _resource(self, model: str) -> str:
        project, location, model = (quote(part, safe=":") for part in (self.project, self.location, model))
        return f"projects/{project}/locations/{location}/publishers/google/models/{model}"

    def _folder(self, attempt_id: str) -> str | None:
        return None if self.output_uri is None else f"{self.output_uri}{attempt_id}/"

    def _picture(self, frame: Media) -> dict[str, str]:
        if frame.url is None:
            data, mime = picture(frame, self.name)
            return {"bytesBase64Encoded": base64_text(data), "mimeType": mime}
        ending = frame.url.rpartition(".")[2].lower()
        if not frame.url.startswith("gs://"):
            raise unsupported_picture("an https address", "a gs:// address, a file or bytes", self.name)
        if ending not in _STORAGE_MIME:  # Google wants its type said, and it cannot be looked into from here
            allowed = "a gs:// address that ends in .png, .jpg or .jpeg"
            raise unsupported_picture("a gs:// address of another kind", allowed, self.name)
        return {"gcsUri": frame.url, "mimeType": _STORAGE_MIME[ending]}

    def poll(self, ref: VendorRef) -> Exchange[JobStatus]:
        """Look at one operation. It is a POST that reads: sending it again is harmless and costs nothing."""
        if ref.remote_id.startswith("gs://"):  # found by `look_up`: its operation is not known
            return Exchange(self._listing(ref.remote_id), reading(self.name, self._judged, self._found(ref.remote_id)))
        named = _OPERATION.fullmatch(ref.remote_id)
        resource = named[1] if named else self._resource(ref.wire_model)
        request = WireRequest(
            "POST",
            f"{self.base_url}/v1/{resource}:fetchPredictOperation",
            json={"operationName": ref.remote_id},
            spill=(("response", "videos", "*", "bytesBase64Encoded"),),
        )
        look = reading(self.name, self._judged, lambda response: self._status(ref.remote_id, response))

        def operation(response: WireResponse) -> JobStatus:
            judged = self._judged(response)
            if judged is not None and judged.said.own and response.status == 404:
                return JobStatus(ref.remote_id, JobState.MISSING, word_of(judged.said.code))
            return look(response)

        return Exchange(request, operation)

    def _status(self, remote_id: str, response: WireResponse) -> JobStatus:
        operation, raw = read_body(_Operation, response), response.json()
        if not operation.done:
            return JobStatus(remote_id, JobState.RUNNING, "", raw=raw)
        made = operation.response or _Made()
        if (failure := operation.error) is not None and (failure != _Failure() or not made.videos):
            error = self._failed(failure)
            state = JobState.FILTERED if isinstance(error, ContentFiltered) else JobState.FAILED
            return JobStatus(remote_id, state, "error", error=error, raw=raw)
        assets = self._assets(made.videos or [], response.spilled)
        reasons = made.raiMediaFilteredReasons or []
        filtered = min(MOST_TAKES, max(0, made.raiMediaFilteredCount or 0) or len(reasons))
        if assets:
            return JobStatus(remote_id, JobState.SUCCEEDED, "done", assets=assets, filtered=filtered, raw=raw)
        if filtered:  # the usual form of a refusal: done, and no error
            error = self._filtered(" ".join(reasons))
            return JobStatus(remote_id, JobState.FILTERED, "done", filtered=filtered, error=error, raw=raw)
        what = f"{self.name} ended the job without a video and without a reason."
        error = GenerationFailed(what, charged="held", retryable=True, provider=self.name)
        return JobStatus(remote_id, JobState.FAILED, "done", error=error, raw=raw)

    def _assets(self, takes: Sequence[Any], spilled: Sequence[Path]) -> tuple[Asset, ...]:
        """The takes in order; those that came inside the answer lie in files by now, "" where they stood.

        Raises: Unreadable if there are takes and none of them can be had: one without a place hides no other.
        """
        files, assets = iter(spilled), []
        for take, _ in readable(_Take, takes):
            file = next(files, None) if take.bytesBase64Encoded == "" else None
            asset = self._asset(take.gcsUri) if file is None and take.gcsUri else file and Asset(file=file)
            assets += [asset] if asset else []
        if takes and not assets:
            raise Unreadable("no video with an address or a file @ $.response.videos[]")
        return tuple(dict.fromkeys(assets))[:MOST_TAKES]

    def _asset(self, address: str) -> Asset | None:
        """Where Cloud Storage gives the file, None for what is no address of one."""
        match = _OBJECT.fullmatch(address)
        if match is None:
            return None
        url = f"{self.storage_url}/b/{match[1]}/o/{quote(match[2], safe='', errors='replace')}?alt=media"
        return Asset(url, signed=True)

    def _failed(self, failure: _Failure) -> ProviderError:
        """The error inside an operation; its code is google.rpc's number, or an HTTP status where it is above 16."""
        message = failure.message or ""
        if _support_codes(message):
            return self._filtered(message)
        code = code_word(failure.code)[:10]
        number = int(code) if re.fullmatch(r"[0-9]+", code) else 0
        name, retryable = _RPC.get(number, (f"code {code or 'unknown'}", number in {408, 409, 429} or number >= 500))
        text = ", ".join(filter(None, [name, quoted(message).rstrip(".")]))
        what = f"{self.name} ended the job without a video: {text}."
        return GenerationFailed(what, charged="held", retryable=retryable, provider=self.name)

    def _filtered(self, reason: str) -> ContentFiltered:
        """Google says that blocked videos are not charged (price page, read 2026-09-02)."""
        because = f" for {kinds}" if (kinds := _categories(reason)) else ""
        text = quoted(reason).rstrip(".") or "no reason was given"
        hint = "audio=False may pass" if "audio" in reason.lower() else "change the prompt or the picture"
        return ContentFiltered(f"{self.name} refuses this content{because}: {text}.", hint=hint, provider=self.name)

    def download(self, asset: Asset) -> WireRequest:
        """Fetch a finished file from Cloud Storage, with the same token."""
        return fetch(asset, self.origins)

    def refusal(self, response: WireResponse) -> MultiVideoError | None:
        """The error that an answer is; None: it is a success."""
        judged = self._judged(response)
        return None if judged is None else unwelcome(judged, response, self.name)

    def _judged(self, response: WireResponse) -> Judged | None:
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
        hint = _HINTS.get(response.status, "")
        if kinds := _categories(message):
            hint = f"it is refused for {kinds}: change the prompt or the picture"
        rule = judge(RULES, response.status, _kind(error, wait) or code, own)
        return Judged(rule, Said(code, message, own, wait), hint)

    def poll_many(self, refs: Sequence[VendorRef]) -> None:
        """None: operations are looked at one by one."""
        return

    def sweep(self, *, since: float, cursor: str | None = None) -> None:
        """None: operations of publisher models are not listed."""
        return

    def look_up(self, lost: LookUp) -> Exchange[tuple[JobStatus, ...]] | None:
        """The attempt's own folder: a video in it proves that the job was accepted, and is its result.

        None without `output_uri`: Vertex lists no operations and takes no id of ours, so there is nothing to look at.
        An empty folder proves nothing, and takes that are written later are not among those found.
        """
        folder = self._folder(lost.attempt_id)
        if folder is None:
            return None
        found = self._found(folder)

        def statuses(response: WireResponse) -> tuple[JobStatus, ...]:
            status = found(response)
            return (status,) if status.assets else ()

        return Exchange(self._listing(folder), reading(self.name, self._judged, statuses))

    def _listing(self, folder: str) -> WireRequest:
        bucket, _, prefix = folder.removeprefix("gs://").partition("/")
        return WireRequest("GET", f"{self.storage_url}/b/{quote(bucket, safe='')}/o?{urlencode({'prefix': prefix})}")

    def _found(self, folder: str) -> Callable[[WireResponse], JobStatus]:
        bucket = folder.removeprefix("gs://").partition("/")[0]

        def status(response: WireResponse) -> JobStatus:
            objects = read_body(_Objects, response)
            names = sorted(item.name for item, _ in readable(_Object, objects.items) if item.name.endswith(".mp4"))
            found = (self._asset(f"gs://{bucket}/{name}") for name in names)
            assets = tuple(asset for asset in found if asset is not None)[:MOST_TAKES]
            state = JobState.SUCCEEDED if assets else JobState.MISSING
            return JobStatus(folder, state, "listed", assets=assets, raw=response.json())

        return status

    def probe(self) -> None:
        """None: no free request proves that Veo may be called."""
        return

    def cancel(self, ref: VendorRef) -> None:
        """None: the discovery document has no such method for publisher models; the job runs on and is charged."""
        return

    def extend(self, order: Order, source: VendorRef) -> None:
        """None: not built yet; the catalog refuses the mode."""
        return

    def edit(self, order: Order, source: VendorRef) -> None:
        """None: not built yet; the catalog refuses the mode."""
        return

    def charge(self, status: JobStatus) -> Charge | None:
        """None: Google says nowhere in the protocol what a job cost."""
        return status.charge


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


def _operation(response: WireResponse) -> str:
    """The name of a started operation. One that looks like a folder would be asked for as one."""
    name = job_id(read_body(_Started, response).name)
    if name.startswith("gs://"):
        raise Unreadable("an address instead of an operation @ $.name")
    return name


def _kind(error: _Error, wait: float | None) -> str:
    """A word of ours for what only the text of an error tells, "" for all else."""
    text = (error.message or "").lower()
    if _support_codes(error.message or ""):
        return _REFUSED_CONTENT
    # the text of a limit a minute speaks of billing too, but says when to come back
    lasting = any(word in text for word in _LASTING) or (wait is None and "billing" in text)
    return _LASTING_QUOTA if lasting and error.status in {None, "RESOURCE_EXHAUSTED"} else ""


def _retry_delay(details: Sequence[Any]) -> float | None:
    """Seconds of a google.rpc.RetryInfo, written as "27s" or "0.5s"."""
    for delay, _ in readable(_Delay, details):
        if match := re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)s", delay.retryDelay):
            return float(match[1])
    return None
