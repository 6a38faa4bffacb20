"""The words of a request that are more than a number or a text."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from attrs import field, frozen

from .media import with_article

__all__ = ["RATIOS", "REGIONS", "RESOLUTIONS", "Brief", "Element", "Mode", "Shot", "masked"]

RESOLUTIONS = ("720p", "1080p", "4k")  # those with a name; any other is asked for in pixels
RATIOS = ("16:9", "9:16", "1:1")
REGIONS = ("us", "eu", "uk", "ch", "mena", "cn", "other")  # where some vendor has a rule of its own, and the rest


class Brief(StrEnum):
    """What the video is for; the kinds a buyer tells apart."""

    BRAND_FILM = "brand_film"
    PRODUCT = "product"
    ENVIRONMENT = "environment"
    PRODUCT_AUDIO = "product_audio"
    SOCIAL = "social"


class Mode(StrEnum):
    """What a model starts from."""

    TEXT = "text"
    FIRST_FRAME = "first_frame"
    FIRST_LAST = "first_last"
    REFERENCE = "reference"
    EXTEND = "extend"
    EDIT = "edit"
    REMIX = "remix"
    SHOTS = "shots"
    MOTION = "motion"


def masked(text: object) -> str:
    """How a prompt stands in a repr: by its length."""
    return f"<{len(text)} characters>" if isinstance(text, str) else with_article(type(text).__name__)


@frozen
class Shot:
    """One shot of several within a clip: its own prompt and its seconds."""

    prompt: str = field(repr=masked)
    duration: float
    brief: Brief | str | None = None


@frozen(kw_only=True)
class Element:
    """Someone or something that a vendor keeps for you: a Kling element, or an OpenAI character.

    `id` is the vendor's own. The prompt mentions it by `name`: letters, digits and "_", as in "@Mara waves".
    `of_video` says that it was made from a clip and not from pictures, which Kling counts apart.
    """

    id: str = field(kw_only=False)
    name: str = field(kw_only=False)
    vendor: Literal["kling", "openai"] = "kling"
    of_video: bool = False
