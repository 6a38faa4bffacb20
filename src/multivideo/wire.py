"""The words between those who know what to say to a vendor and those who can say it.

A provider is pure: it describes messages (`WireRequest`) and knows how to read the answers (`Exchange`). It never
sends, never waits, never sees a key. The driver has the one loop that does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from attrs import field, frozen

from .errors import MultiVideoError, ProviderError
from .values.clips import Clip
from .values.credits import Credits
from .values.media import Media
from .values.plan import Segment
from .values.refs import VendorRef
from .values.words import Element, Shot

__all__ = [
    "Answer",
    "AnswerRule",
    "Asset",
    "Charge",
    "Exchange",
    "JobState",
    "JobStatus",
    "LookUp",
    "Order",
    "Part",
    "Provider",
    "Resend",
    "Signer",
    "Step",
    "SweepPage",
    "WireRequest",
    "WireResponse",
]

T = TypeVar("T")


class Resend(Enum):
    """When a request may be sent again after a failure."""

    ALWAYS = "always"  # reading: after any failure
    IF_UNSENT = "if-unsent"  # creates a paid job: only if nothing left this machine
    WITH_KEY = "with-key"  # the vendor promises to drop duplicates by key


@frozen
class Part:
    """One part of a multipart body: text, or a file with its name and type."""

    name: str
    content: str | bytes = field(repr=lambda content: f"<{len(content)}>")
    filename: str | None = None
    content_type: str | None = None


@frozen
class WireRequest:
    """One HTTP message, described.

    `url` is absolute. `spill` names places in the answer's JSON, as tuples of keys with "*" for any list index, whose
    Base64 text is decoded to a file while it streams in instead of being held in memory.
    """

    method: str
    url: str = field(repr=lambda url: repr(url.partition("?")[0]))  # the query of a result may be its signature
    json: Mapping[str, Any] | None = field(default=None, repr=lambda body: "None" if body is None else "{...}")
    parts: tuple[Part, ...] = ()
    headers: Mapping[str, str] = field(factory=dict)
    resend: Resend = Resend.ALWAYS
    signed: bool = True
    spill: tuple[tuple[str, ...], ...] = ()


@frozen
class WireResponse:
    """An answer, read whole. `spilled` are the files that hold what `spill` named, in the order they came."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=lambda body: f"<{len(body)} bytes>")
    spilled: tuple[Path, ...] = ()

    def json(self) -> Any:
        """The body as JSON, numbers with a point as `Decimal`, so that no money passes through a float.

        Raises: ValueError for anything else, NaN and Infinity included.
        """
        try:
            return _DECODER.decode(self.body.decode("utf-8-sig"))
        except RecursionError:
            raise ValueError("JSON nested too deep") from None
        except InvalidOperation:
            raise ValueError("JSON with a number beyond all numbers") from None

    @property
    def request_id(self) -> str | None:
        """The vendor's own name for this exchange, if a header gives it."""
        return self.headers.get("x-request-id") or self.headers.get("x-goog-request-id")


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse)


@frozen
class Exchange(Generic[T]):
    """A request and the only reader that fits its answer.

    `read` is given every answer, errors too: it returns what the answer says or raises the error that it is. Of a paid
    request it raises OutcomeUnknown where the answer does not prove that no job was made.
    """

    request: WireRequest
    read: Callable[[WireResponse], T]


@frozen
class Step(Generic[T]):
    """One step at a vendor: free exchanges first, then the one whose reading counts and which alone may cost money."""

    last: Callable[[tuple[Any, ...]], Exchange[T]]
    before: tuple[Exchange[Any], ...] = ()
    instead: Callable[[MultiVideoError], Exchange[T] | None] | None = None
    """What to send, once, where the vendor has rejected the last exchange for a reason that another form cures.

    It is asked about every error that says that nothing is charged, and answers None to all but that one.
    """

    @classmethod
    def of(
        cls, exchange: Exchange[T], instead: Callable[[MultiVideoError], Exchange[T] | None] | None = None
    ) -> Step[T]:
        """A step of a single exchange."""
        return cls(lambda _: exchange, instead=instead)


@frozen
class Order:
    """One paid call, with nothing left open: what a provider turns into a message."""

    attempt_id: str
    model: str
    wire_model: str
    prompt: str = field(repr=lambda text: f"<{len(text)} characters>")
    segment: Segment
    samples: int = 1
    first_frame: Media | None = None
    last_frame: Media | None = None
    references: tuple[Media, ...] = ()
    """Pictures of who or what shall be seen; the prompt may call them "@image_1" and so on."""
    elements: tuple[Element, ...] = ()
    """People and things that the vendor keeps; the prompt may call each by its name, "@Mara"."""
    shots: tuple[Shot, ...] = ()
    source: Clip | None = None
    """The video to extend or change; where the provider made it, its handle names it there."""
    negative_prompt: str | None = field(default=None, repr=False)
    seed: int | None = None
    options: Mapping[str, Any] = field(factory=dict, repr=False)


class JobState(StrEnum):
    """The life of a vendor's job, in our words."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    FILTERED = "filtered"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"  # a word we do not know: still running, told as it came
    MISSING = "missing"  # the vendor does not know the job

    @property
    def ended(self) -> bool:
        """Whether the vendor will change nothing any more."""
        return self not in {JobState.PENDING, JobState.RUNNING, JobState.UNKNOWN, JobState.MISSING}


@frozen
class Asset:
    """One finished take: an address to fetch it from, or the file that it already came in."""

    url: str | None = field(default=None, repr=lambda url: "None" if url is None else "<url>")
    file: Path | None = None
    signed: bool = False
    """Whether the vendor's own origin wants the credential; it never goes to another."""
    marked_url: str | None = field(default=None, repr=lambda url: "None" if url is None else "<url>")
    """Where the same take lies with the vendor's visible mark, if that was ordered."""
    expires_at: float | None = None


@frozen
class Charge:
    """What the vendor says a job cost: money, or its own units, whose price the account knows."""

    amount: Credits | None
    units: str | None
    unit: str | None
    raw: str


@frozen
class JobStatus:
    """One reading of a vendor's job."""

    remote_id: str
    state: JobState
    word: str
    percent: int | None = None
    assets: tuple[Asset, ...] = ()
    filtered: int = 0
    """How many takes the vendor's content rules dropped."""
    error: ProviderError | None = None
    charge: Charge | None = None
    may_grow: bool = False
    """More takes of the same job may still come: what was seen is what lies there, not what the vendor says is all."""
    poll_after_s: float | None = None
    external_id: str | None = None
    raw: Any = field(default=None, repr=False)


@frozen
class SweepPage:
    """A page of a vendor's list of jobs; `cursor` asks for the next, None: there is none."""

    statuses: tuple[JobStatus, ...]
    cursor: str | None


@frozen
class LookUp:
    """What is known of a submit whose answer was lost, and how to ask the vendor for it.

    `prompt_matches` says whether a prompt in the vendor's list is the one that was sent.
    """

    attempt_id: str
    wire_model: str
    segment: Segment
    not_before: float
    not_after: float
    prompt_matches: Callable[[str], bool]


class Answer(Enum):
    """What an answer to a paid submit proves."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"  # no job was made, nothing is charged
    UNKNOWN = "unknown"  # a job may have been made


@frozen
class AnswerRule:
    """One row of the table that says what an answer to a paid submit proves; the first row that fits counts.

    `status` None fits any; `codes` empty fits any of the vendor's own error codes; `own_body` True wants an error body
    in the vendor's own shape.
    """

    status: tuple[int, ...] | None
    codes: tuple[str, ...]
    answer: Answer
    error: type[MultiVideoError]
    retryable: bool = False
    own_body: bool = False


class Provider(Protocol):
    """One vendor's protocol, pure. A method that answers None says: this vendor cannot."""

    @property
    def name(self) -> str:
        """Name of the configured provider, as in `model@name`."""
        ...

    @property
    def family(self) -> str:
        """Name of the protocol, kept in stored references."""
        ...

    @property
    def origins(self) -> tuple[str, ...]:
        """The only origins ("https://host:port") that get the credential."""
        ...

    @property
    def rules(self) -> Sequence[AnswerRule]:
        """Which answers to a submit mean rejected and which unknown."""
        ...

    @property
    def looks_up_by_id(self) -> bool:
        """Whether `look_up` asks by an id that went along with the submit: then not to be found means not to be."""
        ...

    def submit(self, order: Order) -> Step[VendorRef]:
        """Start one paid job."""
        ...

    def poll(self, ref: VendorRef) -> Exchange[JobStatus]:
        """Look at one job."""
        ...

    def download(self, asset: Asset) -> WireRequest:
        """Fetch a finished take."""
        ...

    def refusal(self, response: WireResponse) -> MultiVideoError | None:
        """The error that an answer is, a "200 with an error code inside" too; None: it is none.

        Every reader of an `Exchange` raises this by itself, and the one of a submit knows more: whether the answer
        proves that no job was made, and which words of the vendor would repeat the prompt.
        """
        ...

    def poll_many(self, refs: Sequence[VendorRef]) -> Exchange[Mapping[str, JobStatus]] | None:
        """Look at several jobs with one request, by remote id."""
        ...

    def sweep(self, *, since: float, cursor: str | None = None) -> Exchange[SweepPage] | None:
        """A page of the vendor's list of jobs made since that wall time."""
        ...

    def look_up(self, lost: LookUp) -> Exchange[tuple[JobStatus, ...]] | None:
        """Find a job whose submit was never answered: every job that may be it."""
        ...

    def cancel(self, ref: VendorRef) -> Exchange[None] | None:
        """Stop a running job."""
        ...

    def probe(self) -> Exchange[None] | None:
        """A free request that tells whether the key works."""
        ...

    def extend(self, order: Order) -> Step[VendorRef] | None:
        """Go on from the order's source."""
        ...

    def edit(self, order: Order) -> Step[VendorRef] | None:
        """Change the order's source by an edit or a remix, or move a picture as the source moves."""
        ...

    def charge(self, status: JobStatus) -> Charge | None:
        """What the vendor says a job cost, None: it does not say."""
        ...

    def character(self, name: str, clip: Clip, wire_model: str) -> Exchange[str] | None:
        """Have the vendor keep who or what is seen in a clip, to be shown in later videos; answers its id. No job.

        `wire_model` is one that can show it, since a gateway may ask for which model it is.
        """
        ...


class Signer(Protocol):
    """Whoever holds a credential; asked just before each signed request leaves, so that a token can be renewed."""

    async def headers(self) -> Mapping[str, str]:
        """The headers that prove who asks; they go to the provider's own origins only.

        Raises: AuthenticationFailed if there is no credential to be had.
        """
        ...
