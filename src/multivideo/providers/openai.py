"""The OpenAI Videos protocol (`/v1/videos`), as OpenAI served it until 2026-09-24 and as gateways serve it on.

Sources: OpenAI's published API schema, read 2026-08-21, and its video guide; what gateways do otherwise was read from
their sources and documents in autumn 2026. OpenAI names no way to stop a job: DELETE is for finished ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from json import JSONDecoder
from typing import Any
from urllib.parse import quote, urlencode

from attrs import frozen

from ..errors import (
    AuthenticationFailed,
    ContentFiltered,
    DownloadFailed,
    GenerationFailed,
    InvalidRequest,
    MultiVideoError,
    OutcomeUnknown,
    Problem,
    ProviderError,
    RateLimited,
    UnsupportedFeature,
)
from ..shapes import Loose, Unreadable, read
from ..values.clips import Clip
from ..values.media import Media
from ..values.plan import Segment
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
    Part,
    Resend,
    Step,
    SweepPage,
    WireRequest,
    WireResponse,
)
from .common import (
    HTTP_RULES,
    Judged,
    Said,
    accepting,
    base64_text,
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
    unix_seconds,
    unreadable,
    unsupported_picture,
    unwelcome,
    word_of,
)
from .dialects import DIALECTS, Dialect, PictureForm

__all__ = ["RULES", "OpenAIVideosBackend"]

_CONTENT = ("moderation_blocked", "sentinel_block", "content_filter", "content_policy_violation")
RULES: tuple[AnswerRule, ...] = (
    AnswerRule((400, 403, 422), _CONTENT, Answer.REJECTED, ContentFiltered),
    AnswerRule(
        (400, 402, 403, 429), ("insufficient_quota", "billing_hard_limit_reached"), Answer.REJECTED, RateLimited
    ),
    AnswerRule((400, 403, 404), ("model_not_found", "model_not_available"), Answer.REJECTED, UnsupportedFeature),
    # LiteLLM of a key that it does not know, where it has no database of its users' keys (seen in 1.106.2)
    AnswerRule((400,), ("no_db_connection",), Answer.REJECTED, AuthenticationFailed),
    *HTTP_RULES,
)

_CONTENT_WORDS = ("policy", "safety", "moderation", "content")
_NO_VIDEO = {JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED}
_SHORTEST_PACE_S, _LONGEST_PACE_S = 1.0, 120.0

_PAGE = 100  # the most that one page of the list holds
_OTHER_FORM = "this address wants the picture in the other form: as a file or bytes, or by its https address"


@frozen
class _Error:
    message: Loose[str] = None
    code: Any = None  # a number at vLLM-Omni
    type: Loose[str] = None
    param: Loose[str] = None


@frozen
class _Refusal:
    """OpenAI's own envelope, and the other places in which gateways say what is wrong."""

    error: Any = None
    detail: Any = None
    message: Loose[str] = None


@frozen
class _Detail:
    msg: str
    loc: Loose[list[Any]] = None


@frozen
class _Made:
    id: str


@frozen
class _JobError:
    message: Loose[str] = None
    code: Any = None


@frozen
class _Video:
    id: str
    status: str
    progress: Any = None
    created_at: Any = None
    expires_at: Any = None
    model: Loose[str] = None
    size: Loose[str] = None
    seconds: Any = None  # a number at some gateways
    prompt: Loose[str] = None
    error: Any = None


@frozen
class _Page:
    data: list[Any]
    has_more: Loose[bool] = None
    last_id: Loose[str] = None


ORDERS = frozenset({Mode.TEXT, Mode.FIRST_FRAME, Mode.REFERENCE})
FOLLOW_UPS = frozenset({Mode.EXTEND, Mode.EDIT, Mode.REMIX})


@frozen
class OpenAIVideosBackend:
    """Describes the messages of one address that speaks the protocol, such as "https://api.openai.com/v1"."""

    name: str
    base_url: str
    dialect: Dialect = DIALECTS["openai"]
    family = "openai-videos"
    rules = RULES
    looks_up_by_id = False

    @property
    def origins(self) -> tuple[str, ...]:
        """Where the key may go."""
        return (origin_of(self.base_url),)

    def submit(self, order: Order) -> Step[VendorRef]:
        """Start one clip: JSON, or a form where a picture goes along as a file.

        The vendor's own defaults (4 seconds, portrait) are never used. The idempotency key is documented by some
        gateways and by OpenAI nowhere, so nothing is sent again on its strength.
        """
        check_order(order, self.name, modes=ORDERS, takes=frozenset({"elements"}))
        if order.references:
            problem = Problem("reference_images", "pictures", "characters that OpenAI keeps: multivideo.Element")
            raise UnsupportedFeature.of([problem], provider=self.name, attempt_id=order.attempt_id)
        first, *other = self._forms(order.first_frame)

        def instead(error: MultiVideoError) -> Exchange[VendorRef] | None:
            refused = isinstance(error, InvalidRequest) and error.hint == _OTHER_FORM
            return self._create(order, other[0]) if other and refused else None

        return Step.of(self._create(order, first), instead)

    def _forms(self, frame: Media | None) -> tuple[PictureForm, ...]:
        """The forms that the picture can take here, best first."""
        if frame is None or frame.url is None:
            return self.dialect.pictures
        if not frame.url.startswith("https://"):
            raise unsupported_picture("a gs:// address", "an https address, a file or bytes", self.name)
        if "object" not in self.dialect.pictures:
            raise unsupported_picture("an https address", "a file or bytes", self.name)
        return ("object",)

    def _create(self, order: Order, form: PictureForm) -> Exchange[VendorRef]:
        request = WireRequest(
            "POST",
            f"{self.base_url}/videos",
            **self._body(order, form),
            headers={"Idempotency-Key": order.attempt_id, **self.dialect.once},
            resend=Resend.IF_UNSENT,
        )
        reader = accepting(order, self.name, self.family, self._judged, lambda r: job_id(read_body(_Made, r).id))
        return Exchange(request, reader)

    def _body(self, order: Order, form: PictureForm) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "model": order.wire_model,
            "prompt": order.prompt,
            "seconds": str(order.segment.seconds),  # a JSON integer is refused
            "size": self._size(order.segment),
        }
        if order.elements:
            fields["characters"] = [{"id": element.id} for element in order.elements]
        if (frame := order.first_frame) is None:
            return {"json": merged(fields, order.options, self.name)}
        body = merged({**fields, "input_reference": None}, order.options, self.name)
        if form == "object":
            return {"json": {**body, "input_reference": {"image_url": frame.url or self._data_url(frame)}}}
        return {"parts": (*_parts(body), self._file(frame))}

    def _size(self, segment: Segment) -> str:
        if segment.width is None or segment.height is None:
            problem = Problem(
                "resolution", segment.resolution, "a size in pixels", f"{self.name} wants a size in pixels."
            )
            raise InvalidRequest.of([problem], provider=self.name)
        return f"{segment.width}x{segment.height}"

    def _file(self, frame: Media) -> Part:
        data, mime = picture(frame, self.name)
        return Part("input_reference", data, f"first_frame.{mime.removeprefix('image/')}", mime)

    def _data_url(self, frame: Media) -> str:
        data, mime = picture(frame, self.name)
        return f"data:{mime};base64,{base64_text(data)}"

    def poll(self, ref: VendorRef) -> Exchange[JobStatus]:
        """Look at one job."""
        return Exchange(WireRequest("GET", self._address(ref.remote_id)), lambda response: self._polled(ref, response))

    def _address(self, remote_id: str) -> str:
        return f"{self.base_url}/videos/{quote(remote_id, safe='', errors='replace')}"

    def _polled(self, ref: VendorRef, response: WireResponse) -> JobStatus:
        judged = self._judged(response)
        try:
            video = read_body(_Video, response)
        except Unreadable as why:
            if judged is None:
                raise unreadable(why, response, self.name) from None
            if judged.said.message and response.status in {404, 410}:
                return JobStatus(ref.remote_id, JobState.MISSING, str(response.status))
            raise unwelcome(judged, response, self.name) from None
        # vLLM-Omni answers for a failed job with an HTTP error whose body is the job
        if judged is not None and (video.id != ref.remote_id or self._word(video) not in _NO_VIDEO):
            raise unwelcome(judged, response, self.name)
        return self._status(video, response.json(), ref.remote_id, response)

    def _status(
        self, video: _Video, raw: Any, remote_id: str | None = None, response: WireResponse | None = None
    ) -> JobStatus:
        remote_id = remote_id or video.id
        state, error = self._state(video)
        expires_at = unix_seconds(video.expires_at)
        asset = Asset(f"{self._address(remote_id)}/content", signed=True, expires_at=expires_at)
        return JobStatus(
            remote_id,
            state,
            word_of(video.status),
            percent=min(100, max(0, int(video.progress))) if type(video.progress) is int else None,
            assets=(asset,) if state is JobState.SUCCEEDED else (),
            error=error,
            poll_after_s=_poll_after(response),
            raw=raw,
        )

    def _word(self, video: _Video) -> JobState:
        return self.dialect.states.get(video.status.strip().lower(), JobState.UNKNOWN)

    def _state(self, video: _Video) -> tuple[JobState, ProviderError | None]:
        """The state, and why there is no video; an `error` beats a word that nobody knows, and no other."""
        state, (code, message) = self._word(video), _reason(video)
        if state is JobState.EXPIRED:
            what = f"The video of {self.name} has expired there."
            return state, DownloadFailed(what, retryable=False, provider=self.name)
        if state is JobState.CANCELLED:
            return state, GenerationFailed(f"The job was cancelled at {self.name}.", charged="held", provider=self.name)
        no_error = code == "0" or not (code or message)  # 0 is "all well" at gateways that always send a code
        if state is not JobState.FAILED and (state is not JobState.UNKNOWN or no_error):
            return state, None
        said = [quoted(part, video.prompt or "").rstrip(".") for part in (code[:60], message)]
        text = ", ".join(filter(None, said))
        if code in _CONTENT or any(word in f"{code} {message}".lower() for word in _CONTENT_WORDS):
            what = f"{self.name} refuses this content: {text}."
            return JobState.FILTERED, ContentFiltered(what, charged="held", provider=self.name)
        what = f"{self.name} ended the job without a video: {text or 'no reason was given'}."
        return JobState.FAILED, GenerationFailed(what, charged="held", retryable=True, provider=self.name)

    def download(self, asset: Asset) -> WireRequest:
        """Fetch the finished file."""
        return fetch(asset, self.origins)

    def refusal(self, response: WireResponse) -> MultiVideoError | None:
        """The error that an answer is; None: it is a success."""
        judged = self._judged(response)
        return None if judged is None else unwelcome(judged, response, self.name)

    def _judged(self, response: WireResponse) -> Judged | None:
        if 200 <= response.status < 300:
            return None
        wait, hint = retry_after(response), ""
        try:
            body = read_body(_Refusal, response)
        except Unreadable:
            body = _Refusal()
        try:
            error = _innermost(read(_Error, body.error))
        except Unreadable:  # somebody else's words: the status alone counts
            said = Said(message=_foreign(body), retry_after=wait)
        else:
            code = code_word(error.code)
            if code in {"", str(response.status)}:  # a gateway's code that repeats the status says nothing
                code = error.type or ""
            said = Said(code, error.message or _foreign(body), own=bool(code or error.message), retry_after=wait)
            hint = _OTHER_FORM if error.param == "input_reference" and code == "invalid_type" else ""
        own = said.own and self.dialect.own_errors
        if response.status == 503:  # "try again" is a clean no only where the vendor says so: else a job may be made
            own = own and response.headers.get("x-should-retry", "").lower() == "true"
        return Judged(judge(RULES, response.status, said.code, own), said, hint)

    def poll_many(self, refs: Sequence[VendorRef]) -> None:
        """None: the protocol looks at one job at a time."""
        return

    def sweep(self, *, since: float, cursor: str | None = None) -> Exchange[SweepPage] | None:
        """The jobs of this key's project, newest first; None: this dialect does not list them all."""
        if not self.dialect.lists:
            return None
        query = {"limit": _PAGE, "order": "desc"} | ({} if cursor is None else {"after": cursor})

        def page(response: WireResponse) -> SweepPage:
            answer = read_body(_Page, response)
            videos = _named(answer)
            ages = [unix_seconds(video.created_at) for video, _ in videos]
            late = [at is None or at >= int(since) for at in ages]
            found = [self._status(*video) for video, is_late in zip(videos, late, strict=True) if is_late]
            more = answer.has_more and answer.data and all(late)
            following = (answer.last_id or (videos[-1][0].id if videos else None)) if more else None
            return SweepPage(tuple(found), None if following == cursor else following)

        return Exchange(self._list(query), reading(self.name, self._judged, page))

    def look_up(self, lost: LookUp) -> Exchange[tuple[JobStatus, ...]] | None:
        """Every one of the newest 100 jobs that may be the lost one. Finding none proves nothing."""
        if not self.dialect.lists:
            return None

        def matches(response: WireResponse) -> tuple[JobStatus, ...]:
            videos = _named(read_body(_Page, response))
            return tuple(self._status(video, raw) for video, raw in videos if _may_be(video, lost))

        return Exchange(self._list({"limit": _PAGE, "order": "desc"}), reading(self.name, self._judged, matches))

    def probe(self) -> Exchange[None]:
        """Whether the key works: the shortest list that there is."""
        request = WireRequest("GET", f"{self.base_url}{self.dialect.probe}")
        return Exchange(request, reading(self.name, self._judged, lambda _: None))

    def _list(self, query: Mapping[str, Any]) -> WireRequest:
        return WireRequest("GET", f"{self.base_url}/videos?{urlencode(query)}")

    def cancel(self, ref: VendorRef) -> None:
        """None: DELETE is documented for finished jobs only, and LiteLLM has none: a running job cannot be stopped."""
        return

    def extend(self, order: Order) -> Step[VendorRef]:
        """Go on from a video by its id, or from a file; the result holds both, and only the new part is ordered."""
        seconds = str(order.segment.seconds)
        return self._follow_up(order, "/videos/extensions", {"video": self._source(order), "seconds": seconds})

    def edit(self, order: Order) -> Step[VendorRef]:
        """Change a video by its id, or a file; the older remix knows ids only. Size and seconds are the source's."""
        source = self._source(order)
        if isinstance(source, bytes):  # only the model of an id is known there (video guide, mid 2026)
            return self._follow_up(order, "/videos/edits", {"video": source, "model": order.wire_model})
        if order.segment.mode is Mode.REMIX:
            return self._follow_up(order, f"/videos/{quote(source['id'], safe='')}/remix", {})
        return self._follow_up(order, "/videos/edits", {"video": source})

    def _follow_up(self, order: Order, path: str, fields: Mapping[str, Any]) -> Step[VendorRef]:
        # what the source decides is not sent, and not to be added by `options` either: it would change the price
        decided = dict.fromkeys(("model", "seconds", "size"))
        merged_body = merged({**decided, "prompt": order.prompt, **fields}, order.options, self.name)
        body = {name: value for name, value in merged_body.items() if name in fields or name not in decided}
        uploads = isinstance(fields.get("video"), bytes)
        request = WireRequest(
            "POST",
            f"{self.base_url}{path}",
            json=None if uploads else body,
            parts=tuple(_parts(body)) if uploads else (),
            headers={"Idempotency-Key": order.attempt_id, **self.dialect.once},
            resend=Resend.IF_UNSENT,
        )
        read = partial(read_body, _Made)
        reader = accepting(order, self.name, self.family, self._judged, lambda r: job_id(read(r).id), by_id=not uploads)
        return Step.of(Exchange(request, reader))

    def _source(self, order: Order) -> dict[str, str] | bytes:
        """The video to go on from: its id where this provider made it, else its bytes.

        Raises: UnsupportedFeature where it can be sent as neither.
        """
        check_order(order, self.name, modes=FOLLOW_UPS)
        handle = order.source.handle if order.source is not None else None
        if handle is not None and handle.ref.provider == self.name:
            return {"id": handle.ref.remote_id}
        data = order.source.media.data if order.source is not None else None
        by_file = self.dialect.uploads and order.segment.mode is not Mode.REMIX
        if data is not None and by_file:
            return data
        allowed = f"a Video that {self.name} made" + (", a file or bytes" if by_file else "")
        problem = Problem("source_video", "another video", allowed, hint="extend or change it where it was made")
        raise UnsupportedFeature.of([problem], provider=self.name, attempt_id=order.attempt_id)

    def character(self, name: str, clip: Clip, wire_model: str) -> Exchange[str]:
        """Have who is seen in a clip kept under a name. No price is documented for it, and it is no job."""
        if clip.media.data is None:
            raise InvalidRequest.of([Problem("video", "not read yet", "bytes or a file")], provider=self.name)
        fields = {"name": name, "video": clip.media.data}
        if self.dialect.characters_by_model:
            fields["model"] = wire_model
        parts = tuple(_parts(fields))
        request = WireRequest("POST", f"{self.base_url}/videos/characters", parts=parts, resend=Resend.IF_UNSENT)
        return Exchange(request, self._kept)

    def _kept(self, response: WireResponse) -> str:
        """The id of a character. Raises: OutcomeUnknown where the answer does not say whether there is one."""
        judged = self._judged(response)
        if judged is not None and judged.rule.answer is Answer.REJECTED:
            raise unwelcome(judged, response, self.name, paid=True)
        try:
            if judged is None:
                return job_id(read_body(_Made, response).id)
        except Unreadable:
            pass
        what = f"{self.name} may have made the character and did not say so: HTTP {response.status}."
        raise OutcomeUnknown(what, provider=self.name, request_id=response.request_id)

    def charge(self, status: JobStatus) -> Charge | None:
        """None: the protocol has no field for what a job cost."""
        return status.charge


def _parts(fields: Mapping[str, Any]) -> Iterator[Part]:
    """A body as form fields; objects and lists are written with brackets, as OpenAI's own clients do.

    Bytes are a clip, and go as a file.
    """
    for name, value in fields.items():
        yield from _part(name, value)


def _part(name: str, value: Any) -> Iterator[Part]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _part(f"{name}[{key}]", inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _part(f"{name}[]", inner)
    elif isinstance(value, bytes):
        yield Part(name, value, f"{name}.mp4", "video/mp4")
    elif value is not None:
        yield Part(name, str(value).lower() if isinstance(value, bool) else str(value))


def _named(page: _Page) -> list[tuple[_Video, Any]]:
    """The rows of a list that name a job, each with its raw form; a strange one does not hide the others."""
    found = []
    for video, raw in readable(_Video, page.data):
        try:
            job_id(video.id)
        except Unreadable:
            continue
        found.append((video, raw))
    return found


def _innermost(error: _Error) -> _Error:
    """The vendor's own error, which LiteLLM hands on as text within its message; else the error as it is."""
    message = error.message or ""
    start = message.find('{"error"')
    try:
        inner, _ = JSONDecoder().raw_decode(message, start) if start >= 0 else (None, 0)
        return read(_Error, read(_Refusal, inner).error)
    except (ValueError, RecursionError):
        return error


def _foreign(body: _Refusal) -> str:
    """What an error says that is not in OpenAI's envelope: a bare `error`, FastAPI's `detail`, or a `message`."""
    details = readable(_Detail, body.detail) if isinstance(body.detail, list) else []
    listed = "; ".join(f"{str(row.loc[-1])[:60]}: {row.msg}" if row.loc else row.msg for row, _ in details)
    texts = (body.error, body.detail, listed, body.message)
    return next((text for text in texts if isinstance(text, str) and text.strip()), "")


def _reason(video: _Video) -> tuple[str, str]:
    """Code and text of a job's error: an object at OpenAI, a bare text at some gateways."""
    if isinstance(video.error, str):
        return "", video.error
    try:
        error = read(_JobError, video.error)
    except Unreadable:
        return "", "an error that cannot be read" if video.error else ""
    return code_word(error.code), error.message or ""


def _poll_after(response: WireResponse | None) -> float | None:
    """Seconds until the next look is wanted, as the header says for this look; never at once, nor next week."""
    text = "" if response is None else response.headers.get("openai-poll-after-ms", "")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        return None
    return min(_LONGEST_PACE_S, max(_SHORTEST_PACE_S, int(text) / 1000))


def _may_be(video: _Video, lost: LookUp) -> bool:
    """Whether nothing that the list says speaks against it; what is left out does not."""
    created, segment = unix_seconds(video.created_at), lost.segment
    return (
        (created is None or int(lost.not_before) <= created <= lost.not_after)
        # a gateway may name the dated snapshot behind the model that was asked for
        and (video.model is None or video.model == lost.wire_model or video.model.startswith(f"{lost.wire_model}-20"))
        and video.size in {None, f"{segment.width}x{segment.height}"}
        and _as_text(video.seconds) in {"", str(segment.seconds)}
        and (video.prompt is None or lost.prompt_matches(video.prompt))
    )


def _as_text(seconds: Any) -> str:
    """Seconds as text, however they are written; "" for anything that is none."""
    if isinstance(seconds, str):
        return seconds
    return f"{seconds.normalize():f}" if isinstance(seconds, Decimal) else code_word(seconds)
