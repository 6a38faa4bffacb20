"""The shapes in which facts about models are written down. Every row says where it was read, when, and how sure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from ..values.plan import ExpectedTime
from ..values.words import Mode

__all__ = [
    "AccessRow",
    "Certainty",
    "ClipRule",
    "FailureCharge",
    "Format",
    "ImageRule",
    "Lifecycle",
    "ModeFacts",
    "Model",
    "ModelPath",
    "ModelSpec",
    "PeopleRule",
    "Rate",
    "ReferenceRule",
    "Score",
    "Source",
]


class Certainty(StrEnum):
    """How sure a fact is."""

    DOCUMENTED = "documented"  # the vendor's own page or package says so
    OBSERVED = "observed"  # seen in answers of the service
    UNCERTAIN = "uncertain"  # one weak source, or sources disagree


@frozen
class Source:
    """Where and when a fact was read."""

    title: str
    read: dt.date

    def __str__(self) -> str:
        return f"{self.title}, read {self.read}"


@frozen(kw_only=True)
class Format:
    """One row of what a mode makes: everything in a row goes together, and only that."""

    resolution: str
    sizes: Mapping[str, tuple[int, int]] = field(hash=False)
    """Pixels by aspect ratio. In a mode whose picture decides the shape: the sizes of the shapes that are known."""
    seconds: tuple[int, ...]
    fps: int
    audio: tuple[bool, ...]
    """What can be had: (True,) always with sound, (False,) never, (True, False) as asked."""
    claimed_fps: tuple[int, ...] = ()
    """Rates that are advertised and that no document of the interface confirms."""
    source: Source
    certainty: Certainty = Certainty.DOCUMENTED


@frozen(kw_only=True)
class ImageRule:
    """What a picture must be to be taken."""

    formats: tuple[str, ...]
    max_bytes: int | None = None
    min_side: int | None = None
    max_ratio: Decimal | None = None
    """The longer side at most this many times the shorter."""
    exact_size: bool = False
    """The picture must have exactly the pixels of the video."""
    urls: bool = True
    """https addresses are taken."""
    storage: bool = False
    """gs:// addresses are taken."""
    source: Source
    certainty: Certainty = Certainty.DOCUMENTED


@frozen(kw_only=True)
class ClipRule:
    """What a video must be to be extended or changed, and what comes of it."""

    own: bool = False
    """By the id of a video that this provider made."""
    same_model: bool = False
    """The id says which model goes on, and at which price: no other than the one that made the video."""
    files: bool = False
    """As bytes."""
    urls: bool = False
    """By an https address; of a video that this provider made, the address where it keeps it."""
    storage: bool = False
    """By a gs:// address."""
    max_bytes: int | None = None
    min_seconds: float = 0
    max_seconds: float | None = None
    sides: tuple[int, int] | None = None
    """Fewest and most pixels of each side."""
    max_pixels: int | None = None
    shapes: tuple[Decimal, Decimal] | None = None
    """Least and greatest width by height."""
    fps: tuple[int, int] | None = None
    """Fewest and most frames a second."""
    max_total: float | None = None
    """Seconds of the longest result that holds the clip too."""
    joined: bool = False
    """The result is the clip with the new part behind it."""
    perhaps_whole: bool = False
    """Whether the whole of such a result is billed or what was added is not settled."""
    as_long: bool = False
    """The result is as long as the clip."""
    may_be_shorter: bool = False
    """The vendor may end it before the clip does, so that its length is not held against the order."""
    own_sound: bool = False
    """Sound, where it is wanted, is the clip's own: none is made."""
    as_reference: bool = False
    """The result is the next shot after the clip, alone: the clip is seen by the model and is not in the file."""
    same_size: bool = True
    """The result has the clip's pixels."""
    open_shape: bool = False
    """Whether the result has the shape of the clip or of a picture beside it is not documented: none can be asked."""
    source: Source
    certainty: Certainty = Certainty.DOCUMENTED


@frozen(kw_only=True)
class ReferenceRule:
    """How many pictures and elements of people and things a call takes."""

    pictures: int = 0
    fewest_pictures: int = 0
    elements: int = 0
    """Elements of any kind."""
    of_video: int = 0
    """Of them, those that were made from a clip."""
    together: int | None = None
    """Pictures and elements made from pictures, together."""
    beside_of_video: int | None = None
    """The same, beside an element that was made from a clip."""
    spoken: bool = False
    """The name of an element must stand in the prompt."""
    numbered: bool = False
    """The id of an element is sent as a number."""
    source: Source
    certainty: Certainty = Certainty.DOCUMENTED


@frozen(kw_only=True)
class ModeFacts:
    """What one model on one path takes and makes in one mode."""

    mode: Mode
    formats: tuple[Format, ...]
    source: Source
    certainty: Certainty = Certainty.DOCUMENTED
    default_resolution: str = "720p"
    default_seconds: int
    default_ratio: str = "16:9"
    default_audio: bool
    prompt_characters: int | None = None
    prompt_words: int | None = None
    """A limit in tokens, read as words: each word is at least one token."""
    negative_prompt: bool = False
    seed_max: int | None = None
    """Highest seed; None: seeds are not taken."""
    samples_max: int = 1
    frame_decides_shape: bool = False
    image: ImageRule | None = None
    """What each picture must be."""
    clip: ClipRule | None = None
    """What a video must be that is brought along."""
    references: ReferenceRule | None = None
    watermark: bool = False
    """A copy with the vendor's visible mark can be had; without one it comes anyhow."""
    shots_max: int = 0
    """How many shots a call cuts between; each has whole seconds."""
    shot_characters: int | None = None
    """What a shot may say, the prompt included, which is repeated in each."""
    shots_apart: bool = False
    """Each shot is a text of its own; else they travel as one, share its limit, and a ";" ends each."""
    mentions_by_place: bool = False
    """A mention travels as a place in a list, "<<<image_1>>>" for "@image_1", and counts as that."""


@frozen(kw_only=True)
class Lifecycle:
    """From when to when an access path serves a model; the last day served is the day before `retires`."""

    released: dt.date
    deprecated: dt.date | None = None
    retires: dt.date | None = None
    not_before: dt.date | None = None
    """Announced as served at least until then."""
    successor: str = ""
    source: Source
    certainty: Certainty = Certainty.DOCUMENTED


@frozen(kw_only=True)
class Rate:
    """One row of a price list; `when` names the choices it holds for, and what it does not name it does not ask."""

    when: Mapping[str, Any] = field(hash=False)
    """Any of mode, resolution, audio, video_input."""
    amount: Decimal
    unit: str = "USD"
    per: str = "second"
    """"second" of finished video, "sample" or "call"."""
    since: dt.date | None = None
    until: dt.date | None = None
    source: Source
    certainty: Certainty = Certainty.DOCUMENTED


@frozen(kw_only=True)
class FailureCharge:
    """Whether a job that ended without a video costs its price. `kind`: "failed" or "filtered"."""

    kind: str
    charged: bool
    source: Source
    certainty: Certainty


@frozen(kw_only=True)
class PeopleRule:
    """Who may be seen in videos that are ordered from some regions, as a value of the vendor's own option."""

    regions: tuple[str, ...]
    option: str
    allowed: tuple[str, ...]
    says: str
    source: Source
    certainty: Certainty = Certainty.DOCUMENTED


@frozen(kw_only=True)
class ModelPath:
    """One model on one access path: `model@path`."""

    model: str
    path: str
    wire_model: str
    other_names: tuple[str, ...] = ()
    """Dated ids of the vendor that mean the same."""
    vendor: str
    lifecycle: Lifecycle
    modes: tuple[ModeFacts, ...]
    rates: tuple[Rate, ...]
    failures: tuple[FailureCharge, ...]
    run_time: ExpectedTime
    """For 8 s at 720p, before anything was learned."""
    run_time_source: Source
    regions: tuple[str, ...]
    """Where requests may be sent to."""
    key_regions: tuple[str, ...] = ()
    """Regions that each want a key of their own."""
    serves: Mapping[str, tuple[str, ...]] = field(factory=dict, hash=False)
    """Whose requests each of the vendor's regions takes, by `region` of a request; what is not named takes all."""
    people: tuple[PeopleRule, ...] = ()
    """Where the vendor limits who may be seen."""
    provenance: str = ""
    """Invisible marks and signed origin that every file carries, and that cannot be switched off."""

    @property
    def name(self) -> str:
        """`model@path`."""
        return f"{self.model}@{self.path}"

    def mode(self, mode: Mode) -> ModeFacts | None:
        """The facts of one mode, None: it has no such mode."""
        return next((facts for facts in self.modes if facts.mode is mode), None)


@frozen(kw_only=True)
class Score:
    """Stars of one model in one category, 1 to 5."""

    category: str
    stars: int
    source: Source
    certainty: Certainty


@frozen(kw_only=True)
class Model:
    """What holds for a model on every path: its family, its tier and its scorecard."""

    id: str
    title: str
    family: str
    flagship: bool
    scores: tuple[Score, ...]
    known_but_not_served: str = ""
    """Why this model is named and cannot be called."""


@frozen(kw_only=True)
class AccessRow:
    """How a person gets at a model: what it costs to begin, how it is billed, what it takes to set up, and where."""

    model: str
    path: str
    entry_cost: str
    billing: str
    setup: str
    regions: str
    source: Source


@frozen(kw_only=True)
class ModelSpec:
    """A model of your own behind a provider with a `base_url`: what it makes and costs.

    `sizes` are the pixels that it makes, as "1280x720"; `price_per_second` is in US dollars, None: unknown.
    """

    sizes: tuple[str, ...]
    seconds: tuple[int, ...]
    fps: int = 24
    audio: tuple[bool, ...] = (True,)
    price_per_second: Decimal | str | int | None = None
    first_frame: bool = True
    prompt_characters: int | None = None
    run_time_s: float = 120.0
