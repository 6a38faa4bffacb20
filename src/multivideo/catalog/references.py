"""Whether the pictures and elements that a request brings along fit a mode: how many, of which kind, whose. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ..values.plan import Refusal
from ..values.request import VideoRequest
from ..values.words import Mode
from .facts import ModeFacts, ModelPath, ReferenceRule
from .phrases import refused

__all__ = ["ELEMENT_NUMBER", "as_sent", "by_place", "reference_refusals"]

ELEMENT_NUMBER = re.compile(r"[1-9][0-9]{0,29}")
"""The id of an element, where it is sent as a number; Kling's have 18 digits."""

# A name ends where a letter of ASCII does not go on: scripts without blanks write on at once ("让@Mara跳舞").
_BEFORE, _AFTER = r"(?<![A-Za-z0-9_])", r"(?![A-Za-z0-9_])"


def as_sent(text: str, request: VideoRequest, facts: ModeFacts) -> str:
    """A text of the request with its mentions as that mode sends them, which is what limits count."""
    if not facts.mentions_by_place:
        return text
    names = [element.name for element in request.elements]
    lists = facts.mode is not Mode.MOTION  # which has none of pictures and clips
    return by_place(text, names, len(request.pictures) * lists, clip=lists and request.source_video is not None)


def by_place(text: str, elements: Sequence[str], pictures: int = 0, *, clip: bool = False) -> str:
    """A text whose mentions say the place in a list: "<<<image_1>>>" for "@image_1".

    Only whole names of what goes along are mentions: "@Mara", and not that in "@Maranello" or in "ask@Mara.example".
    """
    places = {name: f"<<<element_{n}>>>" for n, name in enumerate(elements, 1)}
    places |= {f"image_{n}": f"<<<image_{n}>>>" for n in range(1, pictures + 1)}
    places |= {"video_1": "<<<video_1>>>"} if clip else {}
    if not places:
        return text
    names = "|".join(re.escape(name) for name in sorted(places, key=len, reverse=True))
    return re.sub(f"{_BEFORE}@({names}){_AFTER}", lambda found: places[found[1]], text)


def reference_refusals(request: VideoRequest, path: ModelPath, facts: ModeFacts) -> Iterable[Refusal]:
    """Every reason why the reference images of a request cannot be used in that mode."""
    rule = facts.references
    if rule is None:
        return
    source = str(rule.source)
    for asked, allowed in [*_counts(request, rule), *_strangers(request, path, rule)]:
        yield refused("reference_images", asked, allowed, source)
    for element in request.elements if rule.spoken else ():
        if not re.search(f"{_BEFORE}{re.escape(element.name)}{_AFTER}", request.prompt):
            allowed = "each name as it is, somewhere in the prompt"
            yield refused("prompt", f"a prompt without the name {element.name!r}", allowed, source)


def _counts(request: VideoRequest, rule: ReferenceRule) -> Iterable[tuple[str, str]]:
    """What there is too much or too little of: (what was asked, what is allowed)."""
    pictures, elements = len(request.pictures), len(request.elements)
    of_video = sum(element.of_video for element in request.elements)
    if pictures > rule.pictures:
        yield _some(pictures, "picture"), f"at most {rule.pictures}" if rule.pictures else "elements only"
    if pictures < rule.fewest_pictures:
        yield _some(pictures, "picture"), f"{rule.fewest_pictures} at least"
    if elements > rule.elements:
        yield _some(elements, "element"), f"at most {rule.elements}" if rule.elements else "pictures only"
    elif of_video > rule.of_video:
        most = f"at most {rule.of_video} of them" if rule.of_video else "elements made from pictures only"
        yield f"{_some(of_video, 'element')} made from a clip", most
    limit = rule.beside_of_video if of_video else rule.together
    together = pictures + elements - of_video
    if limit is not None and together > limit and pictures <= rule.pictures and elements <= rule.elements:
        beside = " beside an element made from a clip" if of_video else ""
        most = f"at most {limit} together" if limit else f"nothing else{beside}"
        yield f"{together} more{beside}" if of_video else f"{together} pictures and elements", most


def _some(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _strangers(request: VideoRequest, path: ModelPath, rule: ReferenceRule) -> Iterable[tuple[str, str]]:
    if not rule.elements:  # their number says so already
        return
    foreign = [element for element in request.elements if element.vendor != path.vendor]
    if foreign:
        own = f"elements of {path.vendor}"
        yield f"an element that {foreign[0].vendor} keeps", f"pictures, or {own}" if rule.pictures else own
    for element in request.elements if rule.numbered else ():
        if element.vendor == path.vendor and not ELEMENT_NUMBER.fullmatch(element.id):
            yield f"the element {element.name!r} with an id that is no number", f"the digits that {path.vendor} gave it"
