"""Readers of a create call in Kling's legacy protocol: texts, words, lists and materials, each with its own limits.

A refusal names its field in camel case, as the server was seen to do in May 2026.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import define, evolve, field

from multivideo.sandbox.fields import as_sent, is_int, is_object
from multivideo.sandbox.kling_materials import BadField, Material, is_remote, read_picture, read_prompt
from multivideo.sandbox.kling_media import Media

__all__ = ["Body", "camel"]

_TEXT_LIMIT = 2500
_IMAGE_MIB = 10
_KINDS = {"first_frame": "first_frame", "end_frame": "last_frame", "": "refer_image"}


def camel(name: str) -> str:
    """A field's name as refusals tell it."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


@define
class Body:
    """A body, and what was read of it so far, every default filled in."""

    given: Mapping[str, object]
    media: Media
    read: dict[str, object] = field(factory=dict)

    def text(self, name: str) -> str:
        """A text that may be missing."""
        value = self.read[name] = read_prompt(self.given.get(name, ""), camel(name), _TEXT_LIMIT)
        return value

    def word(self, name: str, allowed: Sequence[str], default: str | None, missing: str = "") -> str:
        """One of some words; without a default it must be there."""
        value = self.given.get(name, default)
        if name not in self.given and default is None:
            raise BadField(missing or f"{camel(name)}: must be specified")
        if not isinstance(value, str) or value not in allowed:
            raise BadField(f"{camel(name)} value '{as_sent(value)}' is invalid")
        self.read[name] = value
        return value

    def rows(self, name: str, most: int) -> list[Mapping[str, object]]:
        """A list of objects, perhaps empty."""
        value = self.given.get(name, [])
        if not isinstance(value, list) or not all(is_object(row) for row in value):
            raise BadField(f"{camel(name)}: must be an array of objects")
        if len(value) > most:
            raise BadField(f"{camel(name)}: size must be between 0 and {most}")
        self.read[name] = value
        return value

    def picture(self, name: str, kind: str, *, needed: bool = False) -> list[Material]:
        """A picture in a field of its own."""
        if not needed and self.given.get(name, "") == "":
            self.read[name] = ""
            return []
        found = self._picture(self.given.get(name), camel(name), kind)
        self.read[name] = found.shown["url"]
        return [found]

    def video(self, name: str) -> list[Material]:
        """The video of motion control."""
        found = _video(self.given.get(name), camel(name), "video")
        self.read[name] = found.shown["url"]
        return [found]

    def references(self) -> list[Material]:
        """The `image_list` of Omni: first and last frame, and pictures to refer to."""
        found = []
        for place, row in enumerate(self.rows("image_list", 10)):
            kind = row.get("type", "")
            if not isinstance(kind, str) or kind not in _KINDS:
                raise BadField(f"imageList[{place}].type value '{as_sent(kind)}' is invalid")
            found.append(self._picture(row.get("image_url"), f"imageList[{place}].imageUrl", _KINDS[kind]))
        if any(sum(item.kind == kind for item in found) > 1 for kind in ("first_frame", "last_frame")):
            raise BadField("imageList: at most one first and one last frame")
        self.read["image_list"] = [item.shown for item in found]
        return found

    def videos(self) -> list[Material]:
        """The `video_list` of Omni: one to edit, or one to take after."""
        found = []
        for row in self.rows("video_list", 1):
            inner = Body(row, self.media)
            kind = inner.word("refer_type", ("base", "feature"), "base")
            # A video that is edited keeps its sound unless told otherwise; of one to take after it must be said.
            kept = inner.word("keep_original_sound", ("yes", "no"), "yes" if kind == "base" else "no")
            video = _video(row.get("video_url"), "videoList[0].videoUrl", f"{kind}_video")
            found.append(evolve(video, shown={**video.shown, "keep_original_sound": kept}))
        self.read["video_list"] = [item.shown for item in found]
        return found

    def elements(self, most: int) -> list[Material]:
        """The `element_list`: ids are whole numbers of 18 digits."""
        rows = self.rows("element_list", most)
        for place, row in enumerate(rows):
            if not is_int(row.get("element_id")):
                raise BadField(f"elementList[{place}].elementId: must be an integer")
        return [Material("element", shown={"type": "element", "element_id": str(row["element_id"])}) for row in rows]

    def voices(self, most: int) -> list[Material]:
        """The `voice_list`."""
        rows = self.rows("voice_list", most)
        for place, row in enumerate(rows):
            if not isinstance(row.get("voice_id"), str) or not row["voice_id"]:
                raise BadField(f"voiceList[{place}].voiceId: must not be blank")
        return [Material("voice", shown={"type": "voice", "voice_id": row["voice_id"]}) for row in rows]

    def _picture(self, value: object, path: str, kind: str) -> Material:
        return read_picture(kind, _address(value, path), path, _IMAGE_MIB, self.media, shown={"type": kind})


def _video(value: object, path: str, kind: str) -> Material:
    url = _address(value, path)
    if not is_remote(url):
        raise BadField(f"{path}: a video must be given by its URL")
    return Material(kind, shown={"type": kind, "url": url}, path=path)


def _address(value: object, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise BadField(f"{path}: must not be blank")
    return value
