"""The `contents` of a Kling create call: prompt, pictures, videos, elements and voices, each with its own limits.

Source: Kling's API pages, copies of 2026-09-20. A video is opened last, once everything else is right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from fractions import Fraction

from attrs import field, frozen

from multivideo.sandbox.fields import as_sent, decode_base64, is_object
from multivideo.sandbox.kling_media import Media
from multivideo.sandbox.kling_products import Product
from multivideo.sandbox.render import image_size

__all__ = ["VIDEOS", "BadField", "Material", "is_remote", "read_contents", "read_picture", "read_prompt"]

VIDEOS = ("feature_video", "base_video", "video")
_MAX_MIB = 50


class BadField(Exception):
    """A value that Kling refuses; the text is `path: reason`."""


@frozen
class Material:
    """One entry of `contents` that passed its own checks; `path` leads to what is wrong with it later."""

    kind: str
    text: str = ""
    image: bytes | None = None
    size: tuple[int, int] | None = None
    path: str = ""
    shown: Mapping[str, object] = field(factory=dict)


def read_prompt(value: object, path: str, limit: int) -> str:
    """The text, if it is one and not too long."""
    if not isinstance(value, str):
        raise BadField(f"{path}: must be a string")
    if len(value) > limit:
        raise BadField(f"{path}: size must be between 0 and {limit}")
    return value


def read_contents(product: Product, body: Mapping[str, object], media: Media) -> list[Material]:
    """The materials of a body; BadField for the first that is wrong."""
    given = body.get("contents")
    if not isinstance(given, list) or not given:
        raise BadField("contents: must not be empty")
    materials: list[Material] = []
    ids: set[object] = set()
    for place, item in enumerate(given):
        path = f"contents[{place}]"
        if not is_object(item):
            raise BadField(f"{path}: must be an object")
        kind = item.get("type")
        if not isinstance(kind, str) or kind not in product.materials:
            raise BadField(f"{path}.type: value '{as_sent(kind)}' is invalid")
        materials.append(_material(product, kind, item, path, media))
        if (name := item.get("id")) is not None:
            if not isinstance(name, str) or name in ids:
                raise BadField(f"{path}.id: must be a string that is unique within the task")
            ids.add(name)
    for kind, count in Counter(item.kind for item in materials).items():
        if count > product.materials[kind]:
            raise BadField(f"contents: at most {product.materials[kind]} of type '{kind}'")
    return materials


def _material(product: Product, kind: str, item: Mapping[str, object], path: str, media: Media) -> Material:
    if kind == "prompt":
        text = read_prompt(item.get("text"), f"{path}.text", product.prompt_limit)
        return Material(kind, text=text, shown=_strings(item))
    if kind in ("element", "voice"):
        for name in (f"{kind}_id", "id"):
            if not isinstance(item.get(name), str) or not item[name]:
                raise BadField(f"{path}.{name}: must not be blank")
        return Material(kind, shown=_strings(item))
    url = item.get("url")
    if not isinstance(url, str) or not url:
        raise BadField(f"{path}.url: must not be blank")
    if kind in VIDEOS:
        if not is_remote(url):
            raise BadField(f"{path}.url: a video must be given by its URL")
        return Material(kind, shown=_strings(item), path=f"{path}.url")
    return read_picture(kind, url, f"{path}.url", _MAX_MIB, media, shown=_strings(item))


def is_remote(url: str) -> bool:
    """Whether it is an address on the web."""
    return url.startswith(("https://", "http://"))


def read_picture(
    kind: str, url: str, path: str, most_mib: int, media: Media, *, shown: Mapping[str, object]
) -> Material:
    """A picture by its address or in Base64, if it is one that fits."""
    try:
        data = media.picture(url) if is_remote(url) else decode_base64(url)  # a `data:` prefix is no Base64
    except ValueError:  # an address that does not answer was seen to be refused in the same words
        raise BadField("File is not in a valid base64 format") from None
    _check_image(data, path, most_mib)
    width, height, form = image_size(data)
    told = url if is_remote(url) else f"{form} {width}x{height}, {len(data)} bytes"
    return Material(kind, image=data, size=(width, height), shown={**shown, "url": told})


def _strings(item: Mapping[str, object]) -> dict[str, object]:
    """What is kept of an entry: all that Kling knows in one is text."""
    return {name: value for name, value in item.items() if isinstance(value, str)}


def _check_image(data: bytes, path: str, most_mib: int) -> None:
    try:
        width, height, kind = image_size(data)
    except ValueError:
        raise BadField(f"{path}: image format is invalid, only jpg, jpeg and png are supported") from None
    if kind not in ("jpeg", "png"):
        raise BadField(f"{path}: image format is invalid, only jpg, jpeg and png are supported")
    if len(data) > most_mib * 1024 * 1024:
        raise BadField(f"{path}: image size must not exceed {most_mib}MB")
    if min(width, height) < 300:
        raise BadField(f"{path}: image width and height must not be less than 300px")
    if not Fraction(2, 5) <= Fraction(width, height) <= Fraction(5, 2):
        raise BadField(f"{path}: image aspect ratio must be between 1:2.5 and 2.5:1")
