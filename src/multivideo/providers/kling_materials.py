"""What goes into an order at Kling in both of its protocols: pictures, clips, and what goes along with what.

Sources: Kling's API documents, create pages, read 2026-09-20.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import Problem, UnsupportedFeature
from ..values.media import Media
from ..values.words import Mode
from ..wire import Order
from .common import base64_text, check_order, picture

__all__ = ["FOLLOWING", "FRAMED", "check_materials", "clips_of", "frames_of", "looks_of", "orientation"]

FRAMED = frozenset({Mode.FIRST_FRAME, Mode.FIRST_LAST})
FOLLOWING = frozenset({Mode.EDIT, Mode.MOTION})
"""Where the clip that comes along decides length and shape, and its own sound is kept or dropped."""

_FREE = frozenset({Mode.TEXT, Mode.SHOTS})
_MODES: Mapping[str, frozenset[Mode]] = {
    "text": _FREE,
    "image": FRAMED,
    "omni": _FREE | FRAMED | {Mode.REFERENCE, Mode.EDIT, Mode.EXTEND},
    "motion": frozenset({Mode.MOTION}),
}
_BESIDE: Mapping[Mode, frozenset[str]] = {
    Mode.FIRST_FRAME: frozenset({"elements", "shots"}),
    Mode.FIRST_LAST: frozenset({"elements", "shots"}),
    Mode.REFERENCE: frozenset({"elements", "shots"}),
    Mode.EDIT: frozenset({"reference_images", "elements"}),
    Mode.EXTEND: frozenset({"reference_images", "elements"}),
    Mode.MOTION: frozenset({"elements"}),
}
_FAMILIES = frozenset({"kling", "kling-legacy"})


def check_materials(order: Order, kind: str, provider: str, *, takes: frozenset[str] = frozenset()) -> None:
    """Refuse what that kind of call ("text", "image", "omni" or "motion") has no place for.

    Raises: UnsupportedFeature.
    """
    mode = order.segment.mode
    pictures = {"reference_images"} if kind == "omni" and mode in FRAMED else set()
    beside = _BESIDE.get(mode, frozenset()) | {"watermark"} | pictures
    check_order(order, provider, modes=_MODES[kind], takes=beside | takes)
    if kind == "motion" and not order.references:
        raise _cannot_take("reference_images", "elements alone", "a picture of who shall move", provider)


def frames_of(order: Order, provider: str) -> dict[str, str]:
    """The frames that are there, "first_frame" and "last_frame", each as it is sent.

    Raises: UnsupportedFeature.
    """
    given = {"first_frame": order.first_frame, "last_frame": order.last_frame}
    return {name: _sent(frame, name, provider) for name, frame in given.items() if frame is not None}


def looks_of(order: Order, provider: str) -> list[str]:
    """The reference pictures, each as it is sent.

    Raises: UnsupportedFeature.
    """
    return [_sent(image, "reference_images", provider) for image in order.references]


def clips_of(order: Order, provider: str) -> list[str]:
    """Where Kling can fetch the clip of an order, if it has one: no bytes are taken.

    What Kling made lies at an address of its own for 30 days.

    Raises: UnsupportedFeature.
    """
    if order.source is None:
        return []
    handle, url = order.source.handle, order.source.media.url
    if handle is not None and handle.url is not None and handle.ref.family in _FAMILIES:
        return [handle.url]
    if url is not None and url.startswith("https://"):
        return [url]
    asked = "a file or bytes" if url is None else "a gs:// address"
    if handle is not None:
        asked = f"a video of {handle.ref.provider}"
    allowed = f"an https address where the clip lies, or a Video that {provider} made"
    raise _cannot_take("source_video", asked, allowed, provider)


def orientation(parameters: object) -> dict[str, str]:
    """Whose posture a figure takes that moves as a clip does: the clip's, unless the user's own parameters say.

    By the clip's it may be 30 s long, by the picture's 10: more is refused by the vendor, at no cost.
    """
    said = isinstance(parameters, Mapping) and "character_orientation" in parameters
    return {} if said else {"character_orientation": "video"}


def _sent(image: Media, field: str, provider: str) -> str:
    """An address, or plain Base64: a "data:" prefix is refused. `field` is the option that the picture came by."""
    if image.url is None:
        return base64_text(picture(image, provider)[0])
    if not image.url.startswith("https://"):
        raise _cannot_take(field, "a gs:// address", "an https address, a file or bytes", provider)
    return image.url


def _cannot_take(field: str, asked: str, allowed: str, provider: str) -> UnsupportedFeature:
    what = f"{provider} cannot take {field} in this form."
    return UnsupportedFeature.of([Problem(field, asked, allowed, what)], provider=provider)
