"""Characters: who or what is seen in a short clip, kept by a vendor and shown in later videos by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anyio import to_thread
from attrs import evolve

from ..errors import InvalidRequest, NoProviderConfigured, OutcomeUnknown, Problem, UnsupportedFeature
from ..transport.retry import StepKind
from ..transport.sender import Sender
from ..values.clips import Clip
from ..values.fields import READERS, Wrong
from ..values.media import MediaSource
from ..values.words import Element
from ..wire import Exchange
from .site import Site

__all__ = ["make_character"]

_UNKNOWN = "no price is documented for a character, and nothing lists what was made: make it again under the same name"


async def make_character(
    sender: Sender, sites: Mapping[str, Site], name: str, video: MediaSource, provider: str | None
) -> Element:
    """The character that a vendor made of a clip.

    Raises: InvalidRequest or UnsupportedFeature before anything is sent; OutcomeUnknown where its answer was lost.
    """
    named, clip = _checked(name, video)
    if not sites:
        raise _nobody()
    if provider is not None and provider not in sites:
        problem = Problem("provider", f'"{provider}"'[:80], f"a configured provider: {', '.join(sites)}")
        raise InvalidRequest.of([problem])
    with sender.clock.working():
        clip = await to_thread.run_sync(_loaded, clip)
    site, exchange = _keeper(sites if provider is None else {provider: sites[provider]}, name, clip)
    try:
        made = await sender.run(site.channel, exchange, StepKind.SUBMIT)
    except OutcomeUnknown as error:
        what = f"Whether {site.channel.provider.name} made the character {name!r} is not known."
        raise OutcomeUnknown(
            what, hint=_UNKNOWN, provider=site.channel.provider.name, request_id=error.request_id
        ) from error
    vendor: Any = site.vendor
    return evolve(named, id=made, vendor=vendor)


def _checked(name: str, video: MediaSource) -> tuple[Element, Clip]:
    """An element of that name and the clip, once both can be. Raises: InvalidRequest with every fault."""
    problems = []
    try:
        [named] = READERS["reference_images"]([Element("new", name, vendor="openai")])
    except Wrong as wrong:
        asked = wrong.asked.removeprefix("an Element named ")
        problems.append(Problem("name", asked, wrong.allowed))
    try:
        clip = READERS["source_video"](video)
    except Wrong as wrong:
        problems.append(Problem("video", wrong.asked, _CLIP))
    else:
        if clip is None or clip.media.url is not None:
            problems.append(Problem("video", "nothing" if clip is None else "an address", _CLIP))
    if problems:
        raise InvalidRequest.of(problems)
    return named, clip


_CLIP = "an MP4 clip: path, bytes or Video"


def _loaded(clip: Clip) -> Clip:
    try:
        return clip.loaded()
    except OSError as error:
        asked = f"a file that cannot be read any more ({error.strerror})"
        raise InvalidRequest.of([Problem("video", asked, _CLIP)]) from None


def _keeper(sites: Mapping[str, Site], name: str, clip: Clip) -> tuple[Site, Exchange[str]]:
    """The one provider that can keep it, and what to send there. Raises: UnsupportedFeature, InvalidRequest."""
    found = []
    for site in sites.values():
        model = _shows_elements(site)
        exchange = None if model is None else site.channel.provider.character(name, clip, model)
        if exchange is not None:
            found.append((site, exchange))
    names = ", ".join(site.channel.provider.name for site, _ in found)
    if not found:
        what = f"{' and '.join(sites)} keep{'s' if len(sites) == 1 else ''} no characters."
        problem = Problem("provider", ", ".join(sites), "a provider that does: OpenAIVideos(...)", what)
        raise UnsupportedFeature.of([problem])
    if len(found) > 1:
        allowed, what = f"one of those that could: {names}", "More than one provider could keep this character."
        raise InvalidRequest.of([Problem("provider", "nothing", allowed, what)])
    return found[0]


def _shows_elements(site: Site) -> str | None:
    """The vendor's id of the first model there that shows what is kept, None: there is none."""
    for path in site.paths.values():
        if any(facts.references is not None and facts.references.elements for facts in path.modes):
            return path.wire_model
    return None


def _nobody() -> NoProviderConfigured:
    return NoProviderConfigured(
        "No provider is configured.",
        allowed="set OPENAI_API_KEY, or providers=[multivideo.OpenAIVideos(api_key=...)]",
        hint="or try AsyncClient.sandbox(), which needs no key",
        cost="no, nothing was sent",
    )
