"""What Vertex AI checks of a Veo 3.1 start call: fields, values, modes, and what goes with what.

Sources: Google's Veo reference and discovery document (revision 20261106), its guide to extending videos (autumn 2026),
and refusals recorded by public clients. Unknown parameters in camel case are passed over, as Vertex was seen to do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

from multivideo.sandbox.clip import Film
from multivideo.sandbox.fields import as_sent, decode_base64, is_object
from multivideo.sandbox.google_fields import (
    SEEDS,
    check_duration,
    check_mode,
    read_instance,
    read_picture,
    read_prompt,
    read_references,
    read_switch,
    read_text,
    read_whole,
    read_word,
    unsupported,
)
from multivideo.sandbox.google_veo import (
    MODELS,
    USE_CASE,
    Asked,
    BadArgument,
    Sent,
    Veo,
    film_of,
    film_stand_in,
    make_draft,
    stand_in,
)
from multivideo.sandbox.jobs import Draft

__all__ = ["Buckets", "read_order"]

_LABEL = re.compile(r"[\w-]{0,63}")
_BUCKET = re.compile(r"gs://[a-z0-9][a-z0-9._-]+(/.*)?")
_PEOPLE = ("allow_adult", "dont_allow", "allow_all", "disallow", "allowAll")
_DURATIONS = (4, 6, 8)
_SHORTEST, _LONGEST = 1, 30  # seconds of a video that is to be extended


class Buckets(Protocol):
    """What lies behind gs:// addresses."""

    def upload(self, address: str) -> bytes | None:
        """The bytes that somebody put there."""
        ...

    def result(self, address: str) -> Film | None:
        """The video that a job left there."""
        ...


def read_order(model: str, body: Mapping[str, object], buckets: Buckets) -> Draft:
    """The order of a body; BadArgument for the first thing that is wrong.

    Args:
        model: one of `MODELS`.
        body: the JSON object that was sent.
        buckets: where pictures and videos named by their gs:// addresses are looked up.
    """

    def read_image(given: object, path: str) -> bytes:
        return _image(given, path, buckets)

    instance, given = read_instance(body)
    _check_labels(body.get("labels", {}))
    veo = MODELS[model]
    asked = _parameters(veo, instance, given)
    for name in ("mask", "cameraControl"):
        if name in instance:
            raise unsupported(name)
    check_mode(veo, instance, asked.duration, asked.resolution)
    sent = Sent(
        frame=read_image(instance["image"], "image") if "image" in instance else None,
        last=read_image(instance["lastFrame"], "lastFrame") if "lastFrame" in instance else None,
        references=read_references(instance.get("referenceImages", []), read_image),
        film=_film(instance["video"], buckets) if "video" in instance else None,
    )
    if sent.film is not None:
        asked = asked.extending(sent.film)
        if asked.resolution not in veo.with_audio:
            raise BadArgument(USE_CASE)
    if "input_blocked" in asked.prompt.lower():
        raise BadArgument("The prompt could not be submitted. It may violate our guidelines. Support codes: 58061214")
    return make_draft(model, asked, sent)


def _parameters(model: Veo, instance: Mapping[str, object], given: Mapping[str, object]) -> Asked:
    resolution = read_word(given, "resolution", tuple(model.with_audio), "720p")
    # An extension always adds 7 seconds: no source says that its own number is refused there.
    durations = (*_DURATIONS, 7) if "video" in instance else _DURATIONS
    duration = check_duration(given.get("durationSeconds", 8), resolution, durations)
    people = given.get("personGeneration", "allow_adult")
    if people not in _PEOPLE:
        raise BadArgument(f"{as_sent(people)} for personGeneration is currently not supported.")
    if not read_switch(given, "enhancePrompt"):
        raise BadArgument("Veo 3 prompt enhancement cannot be disabled.")
    audio = read_switch(given, "generateAudio")
    samples = read_whole(given, "sampleCount", 1, 1, 4)
    seed = read_whole(given, "seed", 0, 0, SEEDS)
    aspect_ratio = read_word(given, "aspectRatio", ("16:9", "9:16"), "16:9")
    storage_uri = _check_rest(given)
    shown = {
        "durationSeconds": duration, "resolution": resolution, "aspectRatio": aspect_ratio, "sampleCount": samples,
        "generateAudio": audio, "seed": seed if "seed" in given else None, "personGeneration": people,
        "storageUri": storage_uri, "negativePrompt": given.get("negativePrompt"),
    }  # fmt: skip
    return Asked(
        prompt=read_prompt(instance), duration=duration, resolution=resolution, aspect_ratio=aspect_ratio,
        samples=samples, audio=audio, seed=seed, shown=shown, materials=sorted(set(instance) - {"prompt"}),
    )  # fmt: skip


def _check_rest(given: Mapping[str, object]) -> str | None:
    """The parameters that change nothing here but must be right; gives the storage address."""
    for name in ("negativePrompt", "pubsubTopic"):
        read_text(given, name)
    for name, words in (("compressionQuality", ("optimized", "lossless")), ("resizeMode", ("pad", "crop"))):
        if as_sent(given.get(name, words[0])).lower() not in words:
            raise BadArgument(f"Invalid value '{as_sent(given[name])}' for `{name}`.")
    if given.get("fps", 24) != 24:
        raise BadArgument(f"Invalid value '{as_sent(given['fps'])}' for `fps`.")
    storage = read_text(given, "storageUri")
    if storage is not None and not _BUCKET.fullmatch(storage):
        raise BadArgument(f"Invalid Cloud Storage URI: '{storage}'.")
    return storage


def _check_labels(labels: object) -> None:
    if not is_object(labels):
        raise BadArgument("Invalid value at 'labels': must be a map of strings.")
    for key, value in labels.items():
        if not key or not isinstance(value, str) or any(not _label(text) for text in (key, value)):
            raise BadArgument(f"Invalid label '{key}': at most 63 lower-case letters, digits, '_' and '-'.")


def _label(text: str) -> bool:
    return _LABEL.fullmatch(text) is not None and text == text.lower()


def _source(given: object, path: str) -> tuple[Mapping[str, object], str | None]:
    """A picture or a video as an object, and its gs:// address if it comes by one."""
    if not is_object(given):
        raise BadArgument(f"Invalid value at 'instances[0].{path}': must be an object.")
    encoded, address = given.get("bytesBase64Encoded"), given.get("gcsUri")
    if (encoded is None) == (address is None):
        raise BadArgument(f"`{path}` must have exactly one of `bytesBase64Encoded` and `gcsUri`.")
    if address is not None and (not isinstance(address, str) or not _BUCKET.fullmatch(address)):
        raise BadArgument(f"Invalid Cloud Storage URI: '{as_sent(address)}'.")
    return given, address


def _image(given: object, path: str, buckets: Buckets) -> bytes:
    """The bytes of a picture. One in a bucket that nobody filled is a placeholder."""
    image, address = _source(given, path)
    if image.get("mimeType") not in ("image/png", "image/jpeg"):
        raise BadArgument(
            f"Unsupported image mime type '{as_sent(image.get('mimeType'))}': use image/png or image/jpeg."
        )
    if address is not None:
        return buckets.upload(address) or stand_in()
    return read_picture(image["bytesBase64Encoded"], path)


def _film(given: object, buckets: Buckets) -> Film:
    """The video that is to be extended. One in a bucket that nobody filled is a placeholder of 8 seconds."""
    video, address = _source(given, "video")
    if video.get("mimeType") != "video/mp4":
        raise BadArgument(f"Unsupported video mime type '{as_sent(video.get('mimeType'))}': use video/mp4.")
    film = buckets.result(address) if address is not None else None
    data = buckets.upload(address) if address is not None else _decoded(video["bytesBase64Encoded"])
    if film is None:
        film = film_stand_in() if data is None else film_of(data)
    if not _SHORTEST <= film.seconds <= _LONGEST:
        raise BadArgument(
            f"Unable to process `video`: {film.seconds:g} seconds are not between {_SHORTEST} and {_LONGEST} seconds."
        )
    return film


def _decoded(encoded: object) -> bytes:
    try:
        return decode_base64(as_sent(encoded))
    except ValueError:
        raise BadArgument("Unable to process `video`: the bytes are no Base64.") from None
