"""What a request brings along, its bytes in memory where they are sent; and the text that stands for the whole wish."""

from __future__ import annotations

import hashlib
import json
from typing import Any, TypeVar

from attrs import fields, frozen

from ..catalog.facts import ClipRule
from ..errors import InvalidRequest, Problem
from ..values.clips import Clip
from ..values.media import Media
from ..values.request import VideoRequest

__all__ = ["Brought", "goes_as_bytes", "wish_text"]

L = TypeVar("L", Media, Clip)

_HOW = {"save_to", "on_event", "policy", "deadline", "poll_interval", "budget", "tags", "sidecar"}  # not what is made


@frozen
class Brought:
    """Pictures and the clip of a request. Reads files: not for pure code."""

    first: Media | None = None
    last: Media | None = None
    references: tuple[Media, ...] = ()
    source: Clip | None = None

    @classmethod
    def of(cls, request: VideoRequest, whole_clip: bool) -> Brought:
        """Read them. Raises: InvalidRequest for one that cannot be read any more."""

        def loaded(name: str, brought: L) -> L:
            try:
                return brought.loaded()
            except OSError as error:
                asked = f"a file that cannot be read any more ({error.strerror})"
                raise InvalidRequest.of([Problem(name, asked, "a readable file")]) from None

        clip = request.source_video
        return cls(
            loaded("first_frame", request.first_frame) if request.first_frame else None,
            loaded("last_frame", request.last_frame) if request.last_frame else None,
            tuple(loaded("reference_images", picture) for picture in request.pictures),
            loaded("source_video", clip) if clip is not None and whole_clip else clip,
        )


def goes_as_bytes(clip: Clip | None, rule: ClipRule | None, provider: str) -> bool:
    """Whether a clip is sent itself: not where the vendor takes none, and not one that it made and finds by its id."""
    if clip is None or rule is None or not rule.files:
        return False
    return not (rule.own and clip.handle is not None and clip.handle.ref.provider == provider)


def wish_text(request: VideoRequest, model: str) -> str:
    """What is wished of which model, as text that is the same for the same wish: media stand there by their hashes."""
    names = [f.name for f in fields(VideoRequest) if f.name not in _HOW]
    wish = {name: _plain(getattr(request, name)) for name in names} | {"model": model}
    return json.dumps(wish, sort_keys=True, ensure_ascii=True)


def _plain(value: Any) -> Any:
    if isinstance(value, Clip):
        return value.handle.ref.remote_id if value.handle is not None else _plain(value.media)
    if isinstance(value, Media):
        if value.data is not None:
            return hashlib.sha256(value.data).hexdigest()
        if value.path is not None:
            with value.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        return value.url
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else repr(value)
