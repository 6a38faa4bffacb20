"""Whether the pictures and elements that a request brings along fit a mode: how many, of which kind, whose. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..values.plan import Refusal
from ..values.request import VideoRequest
from .facts import ModeFacts, ModelPath, ReferenceRule
from .phrases import refused

__all__ = ["reference_refusals"]


def reference_refusals(request: VideoRequest, path: ModelPath, facts: ModeFacts) -> Iterable[Refusal]:
    """Every reason why the reference images of a request cannot be used in that mode."""
    rule = facts.references
    if rule is None:
        return
    source = str(rule.source)
    for asked, allowed in [*_counts(request, rule), *_strangers(request, path)]:
        yield refused("reference_images", asked, allowed, source)
    for element in request.elements if rule.spoken else ():
        if not re.search(rf"\b{re.escape(element.name)}\b", request.prompt):
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
        yield f"{together} pictures and elements made from pictures{beside}", f"at most {limit} together"


def _some(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _strangers(request: VideoRequest, path: ModelPath) -> Iterable[tuple[str, str]]:
    foreign = [element for element in request.elements if element.vendor != path.vendor]
    if foreign:
        yield f"an element that {foreign[0].vendor} keeps", f"pictures, or elements of {path.vendor}"
