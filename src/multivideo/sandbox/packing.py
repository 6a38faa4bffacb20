"""A job as text and pictures, and back: what has to be known of it to go on with it in another process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import asdict, fields, filters, frozen

from multivideo.sandbox.clip import Clip, Film
from multivideo.sandbox.faults import Fault, Script
from multivideo.sandbox.jobs import Draft, Job, State

__all__ = ["Packed", "pack_clips", "pack_order", "pack_script", "unpack_clips", "unpack_order", "unpack_script"]

_DIGEST = "sha256"


@frozen
class Packed:
    """Clips as text, and the pictures and videos that the text names by their digests."""

    text: str
    pictures: Mapping[str, bytes]


def pack_order(job: Job) -> str:
    """All of a job that never changes, but for its clips."""
    draft = asdict(job.draft, recurse=False, filter=filters.exclude(fields(Draft).clips))
    return json.dumps({"draft": draft, "created": job.created, "latency": job.latency, "origin": job.origin})


def unpack_order(text: str) -> dict[str, Any]:
    """Arguments of a `Job`, with a draft that has no clips."""
    given = json.loads(text)
    draft = given["draft"]
    return {**given, "draft": Draft(**{**draft, "verdict": State(draft["verdict"]), "clips": ()})}


def pack_script(script: Script) -> str:
    """The faults of a job."""
    return json.dumps([asdict(fault) for fault in script.faults])


def unpack_script(text: str) -> Script:
    """The faults of a job."""
    return Script(tuple(Fault(**given) for given in json.loads(text)))


def pack_clips(clips: Sequence[Clip]) -> Packed:
    """The clips of a job. What one picture shows in several places is there once."""
    pictures: dict[str, bytes] = {}

    def named(_: object, __: object, value: object) -> object:
        if not isinstance(value, bytes):
            return value
        digest = hashlib.sha256(value).hexdigest()
        pictures[digest] = value
        return {_DIGEST: digest}

    return Packed(json.dumps([asdict(clip, value_serializer=named) for clip in clips]), pictures)


def unpack_clips(packed: Packed) -> tuple[Clip, ...]:
    """The clips of a job; KeyError when a picture is missing."""

    def found(given: dict[str, Any]) -> Any:
        return packed.pictures[given[_DIGEST]] if given.keys() == {_DIGEST} else given

    return tuple(_clip(given) for given in json.loads(packed.text, object_hook=found))


def _clip(given: Mapping[str, Any]) -> Clip:
    film = given["film"]
    lists = {name: tuple(given[name]) for name in ("references", "flaws")}
    return Clip(**{**given, **lists, "film": None if film is None else _film(film)})


def _film(given: Mapping[str, Any]) -> Film:
    source = given["source"]
    return Film(**{**given, "source": source if isinstance(source, bytes) else _clip(source)})
