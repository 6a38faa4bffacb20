"""What the Gemini API checks of a Veo 3.1 start call: stricter than Vertex AI, it refuses every field it does not know.

Sources: Google's Veo guide and reference (editions of October 2025 and September 2026), its Python client 2.34.0, and
refusals recorded by public clients in 2026. Where they disagree the wider reading stands: 4k on Fast, every duration
with a last frame, both shapes with reference images, a seed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from multivideo.sandbox.clip import Film
from multivideo.sandbox.fields import as_sent, is_object
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
from multivideo.sandbox.google_veo import MODELS, USE_CASE, Asked, BadArgument, Sent, Veo, make_draft
from multivideo.sandbox.jobs import Draft

__all__ = ["SERVED", "read_order"]

SERVED = frozenset(name for name in MODELS if name.endswith("-preview"))
_KEEPS = 2 * 86_400
_LONGEST = 141  # seconds of a video that is to be extended
_BODY = ("instances", "parameters", "webhookConfig")
_INSTANCE = ("prompt", "image", "lastFrame", "referenceImages", "video")
_PARAMETERS = (
    "aspectRatio", "durationSeconds", "resolution", "negativePrompt", "personGeneration", "sampleCount", "seed",
    "enhancePrompt",
)  # fmt: skip
_WEBHOOK = ("uris", "userMetadata", "user_metadata")


def read_order(model: str, body: Mapping[str, object], find: Callable[[str], Film | None]) -> Draft:
    """The order of a body; BadArgument for the first thing that is wrong.

    Args:
        model: one of `SERVED`.
        body: the JSON object that was sent.
        find: the finished video behind the address of a file of the same account, while it is kept.
    """
    _check_body(body)
    instance, given = read_instance(body)
    unknown = [name for name in instance if name not in _INSTANCE] + [name for name in given if name not in _PARAMETERS]
    if unknown:
        raise unsupported(unknown[0])
    veo = MODELS[model]
    asked = _parameters(veo, instance, given)
    check_mode(veo, instance, asked.duration, asked.resolution)
    sent = Sent(
        frame=_image(instance["image"], "image") if "image" in instance else None,
        last=_image(instance["lastFrame"], "lastFrame") if "lastFrame" in instance else None,
        references=read_references(instance.get("referenceImages", []), _image),
        film=_film(veo, instance["video"], asked, find) if "video" in instance else None,
    )
    _check_people(instance, given)
    if "input_blocked" in asked.prompt.lower():
        raise BadArgument("The prompt could not be submitted. It may violate our guidelines. Support codes: 58061214")
    return make_draft(model, asked.extending(sent.film) if sent.film else asked, sent, keeps=_KEEPS)


def _check_body(body: Mapping[str, object]) -> None:
    for name in body:
        if name not in _BODY:
            raise BadArgument(f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.')
    webhook = body.get("webhookConfig", {})
    if not is_object(webhook) or any(name not in _WEBHOOK for name in webhook):
        raise BadArgument("Invalid value at 'webhook_config': only `uris` and `userMetadata` are known.")
    uris = webhook.get("uris", [])
    if not isinstance(uris, list) or not all(isinstance(uri, str) for uri in uris):
        raise BadArgument("Invalid value at 'webhook_config.uris': must be a list of strings.")


def _parameters(model: Veo, instance: Mapping[str, object], given: Mapping[str, object]) -> Asked:
    resolution = read_word(given, "resolution", tuple(model.with_audio), "720p")
    asked = given.get("durationSeconds", 8)
    if isinstance(asked, str) and re.fullmatch("[0-9]{1,3}", asked):
        asked = int(asked)  # Google's guide writes it as text, its client as a number
    duration = check_duration(asked, resolution, (4, 6, 8))
    aspect_ratio = read_word(given, "aspectRatio", ("16:9", "9:16"), "16:9")
    seed = read_whole(given, "seed", 0, 0, SEEDS)
    shown = {
        "durationSeconds": duration, "resolution": resolution, "aspectRatio": aspect_ratio,
        "sampleCount": read_whole(given, "sampleCount", 1, 1, 1), "generateAudio": True,
        "seed": seed if "seed" in given else None, "personGeneration": read_text(given, "personGeneration"),
        "negativePrompt": read_text(given, "negativePrompt"), "enhancePrompt": read_switch(given, "enhancePrompt"),
    }  # fmt: skip
    return Asked(
        prompt=read_prompt(instance), duration=duration, resolution=resolution, aspect_ratio=aspect_ratio, samples=1,
        audio=True, seed=seed, shown=shown, materials=sorted(set(instance) - {"prompt"}),
    )  # fmt: skip


def _check_people(instance: Mapping[str, object], given: Mapping[str, object]) -> None:
    """Adults only where a picture is sent along, anybody where there is none; left out, it is right everywhere."""
    pictured = "image" in instance or "referenceImages" in instance
    allowed = "allow_adult" if pictured else "allow_all"
    people = given.get("personGeneration", allowed)
    if people != allowed:
        raise BadArgument(f"{as_sent(people)} for personGeneration is currently not supported.")


def _object(given: object, path: str, known: tuple[str, ...]) -> Mapping[str, object]:
    if not is_object(given):
        raise BadArgument(f"Invalid value at 'instances[0].{path}': must be an object.")
    for name in given:
        if name not in known:  # `inlineData` and `gcsUri` of a picture, `encodedVideo` of a video
            raise unsupported(name)
    return given


def _image(given: object, path: str) -> bytes:
    image = _object(given, path, ("bytesBase64Encoded", "mimeType"))
    if image.get("mimeType") not in ("image/png", "image/jpeg"):
        kind = as_sent(image.get("mimeType"))
        raise BadArgument(f"Unsupported image mime type '{kind}': use image/png or image/jpeg.")
    return read_picture(image.get("bytesBase64Encoded"), path)


def _film(model: Veo, given: object, asked: Asked, find: Callable[[str], Film | None]) -> Film:
    """The video that is to be extended: made by Veo at 720p, not older than its file, at most 141 seconds long."""
    if model.lite:
        raise unsupported("video")
    video = _object(given, "video", ("uri", "encoding"))
    if video.get("encoding", "video/mp4") != "video/mp4":
        raise BadArgument(f"Unsupported video encoding '{as_sent(video['encoding'])}': use video/mp4.")
    uri = video.get("uri")
    film = find(uri) if isinstance(uri, str) else None
    if film is None:
        raise BadArgument("Unable to process `video`: it must be a video that Veo generated within the last 2 days.")
    if asked.duration != 8 or asked.resolution != "720p" or min(film.width, film.height) != 720:
        raise BadArgument(USE_CASE)
    if film.seconds > _LONGEST:
        raise BadArgument(f"Unable to process `video`: {film.seconds:g} seconds are more than {_LONGEST} seconds.")
    return film
