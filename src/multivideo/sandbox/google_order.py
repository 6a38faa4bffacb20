"""What Vertex AI checks of a Veo 3.1 start call: fields, values, modes, and what goes with what.

Sources: Google's Veo reference and discovery document (revision 20261106), and refusals recorded by public clients.
Unknown parameters in camel case are passed over, as Vertex was seen to do. Where sources disagree the wider reading
stands: 4k on Fast, every duration with a last frame.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence

from attrs import frozen

from multivideo.sandbox.fields import as_sent, decode_base64, is_int, is_number, is_object
from multivideo.sandbox.jobs import Draft, State
from multivideo.sandbox.render import Clip, image_size, placeholder

__all__ = ["MODELS", "BadArgument", "read_order"]

_MAX_IMAGE = 20 * 1024 * 1024
_LABEL = re.compile(r"[\w-]{0,63}")
_BUCKET = re.compile(r"gs://[a-z0-9][a-z0-9._-]+(/.*)?")
_PEOPLE = ("allow_adult", "dont_allow", "allow_all", "disallow", "allowAll")
_SHORT_SIDE = {"720p": 720, "1080p": 1080, "4k": 2160}
_USE_CASE = "Your use case is currently not supported. Please refer to Veo documentation for current model offering."


class BadArgument(Exception):
    """A value that Google refuses with 400 INVALID_ARGUMENT; the text is the message."""


@frozen
class Veo:
    """A model. Prices are micro-USD per second by resolution: with sound, and without."""

    with_audio: Mapping[str, int]
    silent: Mapping[str, int]
    references: bool = True
    share: float = 1.0


# Google's price pages, read 2026-09-02.
_FULL = Veo(
    {"720p": 400_000, "1080p": 400_000, "4k": 600_000},
    {"720p": 200_000, "1080p": 200_000, "4k": 400_000},
)
_FAST = Veo(
    {"720p": 100_000, "1080p": 120_000, "4k": 300_000},
    {"720p": 80_000, "1080p": 100_000, "4k": 250_000},
    share=0.5,
)
_LITE = Veo({"720p": 50_000, "1080p": 80_000}, {"720p": 30_000, "1080p": 50_000}, references=False, share=0.45)
MODELS: Mapping[str, Veo] = {
    f"veo-3.1{tier}-generate-{version}": model
    for tier, model in (("", _FULL), ("-fast", _FAST), ("-lite", _LITE))
    for version in ("001", "preview")
}


@frozen(kw_only=True)
class _Parameters:
    duration: int
    resolution: str
    aspect_ratio: str
    samples: int
    audio: bool
    seed: int
    storage_uri: str | None
    shown: Mapping[str, object]


def read_order(model: str, body: Mapping[str, object], uploads: Mapping[str, bytes]) -> Draft:
    """The order of a body; BadArgument for the first thing that is wrong.

    Args:
        model: one of `MODELS`.
        body: the JSON object that was sent.
        uploads: what lies in the emulator's buckets, by gs:// address.
    """
    instances = body.get("instances")
    if not isinstance(instances, list) or len(instances) != 1 or not is_object(instances[0]):
        raise BadArgument("Exactly one instance is required in the request.")
    given = body.get("parameters", {})
    if not is_object(given):
        raise BadArgument("Invalid value at 'parameters': must be an object.")
    _check_labels(body.get("labels", {}))
    instance = instances[0]
    parameters = _parameters(MODELS[model], given)
    _check_mode(MODELS[model], instance, parameters)
    frame = _image(instance["image"], "image", uploads) if "image" in instance else None
    if "lastFrame" in instance:
        _image(instance["lastFrame"], "lastFrame", uploads)
    _check_references(instance.get("referenceImages", []), uploads)
    prompt = str(instance.get("prompt", ""))
    if "input_blocked" in prompt.lower():
        raise BadArgument("The prompt could not be submitted. It may violate our guidelines. Support codes: 58061214")
    return _draft(model, prompt, parameters, frame, sorted(set(instance) - {"prompt"}))


def _parameters(model: Veo, given: Mapping[str, object]) -> _Parameters:
    resolution = _word(given, "resolution", tuple(model.with_audio), "720p")
    duration = given.get("durationSeconds", 8)
    if not is_number(duration) or duration not in (4, 6, 8):
        raise BadArgument(
            "The number value for `durationSeconds` is out of bound. Please provide a value between 4 and 8, inclusive."
        )
    if resolution != "720p" and duration != 8:
        raise BadArgument(f"{resolution} is not supported for a duration of {duration:g} seconds.")
    people = given.get("personGeneration", "allow_adult")
    if people not in _PEOPLE:
        raise BadArgument(f"{as_sent(people)} for personGeneration is currently not supported.")
    if not _switch(given, "enhancePrompt"):
        raise BadArgument("Veo 3 prompt enhancement cannot be disabled.")
    audio = _switch(given, "generateAudio")
    samples = _whole(given, "sampleCount", 1, 1, 4)
    seed = _whole(given, "seed", 0, 0, 2**32 - 1)
    aspect_ratio = _word(given, "aspectRatio", ("16:9", "9:16"), "16:9")
    storage_uri = _check_rest(given)
    shown = {
        "durationSeconds": int(duration), "resolution": resolution, "aspectRatio": aspect_ratio, "sampleCount": samples,
        "generateAudio": audio, "seed": seed if "seed" in given else None, "personGeneration": people,
        "storageUri": storage_uri, "negativePrompt": given.get("negativePrompt"),
    }  # fmt: skip
    return _Parameters(
        duration=int(duration), resolution=resolution, aspect_ratio=aspect_ratio, samples=samples, audio=audio,
        seed=seed, storage_uri=storage_uri, shown=shown,
    )  # fmt: skip


def _check_rest(given: Mapping[str, object]) -> str | None:
    """The parameters that change nothing here but must be right; gives the storage address."""
    for name in ("negativePrompt", "storageUri", "pubsubTopic"):
        if not isinstance(given.get(name, ""), str):
            raise BadArgument(f"Invalid value at 'parameters.{name}': must be a string.")
    for name, words in (("compressionQuality", ("optimized", "lossless")), ("resizeMode", ("pad", "crop"))):
        if as_sent(given.get(name, words[0])).lower() not in words:
            raise BadArgument(f"Invalid value '{as_sent(given[name])}' for `{name}`.")
    if given.get("fps", 24) != 24:
        raise BadArgument(f"Invalid value '{as_sent(given['fps'])}' for `fps`.")
    storage = given.get("storageUri")
    if isinstance(storage, str) and not _BUCKET.fullmatch(storage):
        raise BadArgument(f"Invalid Cloud Storage URI: '{storage}'.")
    return storage if isinstance(storage, str) else None


def _word(given: Mapping[str, object], name: str, allowed: Sequence[str], default: str) -> str:
    value = given.get(name, default)
    if not isinstance(value, str) or value not in allowed:
        raise BadArgument(f"Invalid value '{as_sent(value)}' for `{name}`. Supported values: {', '.join(allowed)}.")
    return value


def _switch(given: Mapping[str, object], name: str) -> bool:
    value = given.get(name, True)
    if not isinstance(value, bool):
        raise BadArgument(f"Invalid value at 'parameters.{name}': must be a boolean.")
    return value


def _whole(given: Mapping[str, object], name: str, default: int, least: int, most: int) -> int:
    value = given.get(name, default)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a number of JSON is a double here: 2.0 is 2
    if not is_int(value) or not least <= value <= most:
        raise BadArgument(
            f"The number value for `{name}` is out of bound. "
            f"Please provide a value between {least} and {most}, inclusive."
        )
    return value


def _check_labels(labels: object) -> None:
    if not is_object(labels):
        raise BadArgument("Invalid value at 'labels': must be a map of strings.")
    for key, value in labels.items():
        if not key or not isinstance(value, str) or any(not _label(text) for text in (key, value)):
            raise BadArgument(f"Invalid label '{key}': at most 63 lower-case letters, digits, '_' and '-'.")


def _label(text: str) -> bool:
    return _LABEL.fullmatch(text) is not None and text == text.lower()


def _check_mode(model: Veo, instance: Mapping[str, object], parameters: _Parameters) -> None:
    """Which materials go together, and what they ask of the parameters."""
    for name in ("mask", "cameraControl"):
        if name in instance:
            raise BadArgument(f"`{name}` isn't supported by this model.")
    prompt = instance.get("prompt", "")
    if not isinstance(prompt, str):
        raise BadArgument("Invalid value at 'instances[0].prompt': must be a string.")
    references = "referenceImages" in instance
    if not prompt and (references or not ("image" in instance or "video" in instance)):
        raise BadArgument("A prompt is required: text prompt is missing in the request.")
    if "lastFrame" in instance and "image" not in instance:
        raise BadArgument("`lastFrame` requires `image`.")
    if "image" in instance and "video" in instance:
        raise BadArgument("`image` and `video` cannot be used together.")
    if references:
        if not model.references:
            raise BadArgument("`referenceImages` isn't supported by this model.")
        if any(name in instance for name in ("image", "video", "lastFrame")):
            raise BadArgument("`referenceImages` cannot be used with `image`, `video` or `lastFrame`.")
        if parameters.duration != 8 or parameters.resolution == "4k":
            raise BadArgument(_USE_CASE)
    if "video" in instance:  # extension is not played here
        raise BadArgument(_USE_CASE)


def _check_references(given: object, uploads: Mapping[str, bytes]) -> None:
    if not isinstance(given, list) or len(given) > 3:
        raise BadArgument("`referenceImages` takes 1 to 3 images.")
    for place, item in enumerate(given):
        path = f"referenceImages[{place}]"
        if not is_object(item) or "image" not in item:
            raise BadArgument(f"`{path}.image` is required.")
        kind = as_sent(item.get("referenceType", ""))
        if kind.lower() != "asset":
            raise BadArgument(f"`{path}.referenceType` '{kind}' isn't supported by this model.")
        _image(item["image"], f"{path}.image", uploads)


def _image(given: object, path: str, uploads: Mapping[str, bytes]) -> bytes:
    """The bytes of a picture. One in a bucket that nobody filled is a placeholder."""
    if not is_object(given):
        raise BadArgument(f"Invalid value at 'instances[0].{path}': must be an object.")
    encoded, address = given.get("bytesBase64Encoded"), given.get("gcsUri")
    if (encoded is None) == (address is None):
        raise BadArgument(f"`{path}` must have exactly one of `bytesBase64Encoded` and `gcsUri`.")
    if given.get("mimeType") not in ("image/png", "image/jpeg"):
        raise BadArgument(
            f"Unsupported image mime type '{as_sent(given.get('mimeType'))}': use image/png or image/jpeg."
        )
    if address is not None:
        if not isinstance(address, str) or not _BUCKET.fullmatch(address):
            raise BadArgument(f"Invalid Cloud Storage URI: '{as_sent(address)}'.")
        return uploads.get(address) or _stand_in()
    try:
        data = decode_base64(as_sent(encoded))
        _, _, kind = image_size(data)
    except ValueError:
        raise BadArgument(f"Unable to process `{path}`: the image cannot be decoded.") from None
    if kind not in ("png", "jpeg") or len(data) > _MAX_IMAGE:
        raise BadArgument(f"Unable to process `{path}`: PNG or JPEG of at most 20 MB is required.")
    return data


@functools.cache
def _stand_in() -> bytes:
    return placeholder(1280, 720)


def _draft(model: str, prompt: str, asked: _Parameters, frame: bytes | None, materials: Sequence[str]) -> Draft:
    veo, low = MODELS[model], prompt.lower()
    reason = next((word for word in ("safety_filtered", "operation_error", "filter_one") if word in low), "")
    filtered = {"safety_filtered": asked.samples, "operation_error": asked.samples, "filter_one": 1}.get(reason, 0)
    made = asked.samples - filtered
    short = _SHORT_SIDE[asked.resolution]
    width, height = (short * 16 // 9, short) if asked.aspect_ratio == "16:9" else (short, short * 16 // 9)
    clips = tuple(
        Clip(
            model=model, prompt=prompt, seed=asked.seed + sample, width=width, height=height, seconds=asked.duration,
            fps=24, audio=asked.audio, first_frame=frame,
        )
        for sample in range(made)
    )  # fmt: skip
    price = (veo.with_audio if asked.audio else veo.silent)[asked.resolution]
    slower = {"720p": 1.0, "1080p": 1.6, "4k": 3.0}[asked.resolution]
    verdict = State.FAILED if reason == "operation_error" else State.DONE if made else State.FILTERED
    return Draft(
        model=model,
        prompt=prompt,
        request={"prompt": prompt, "materials": list(materials), **asked.shown},
        clips=clips,
        seconds=78 * (0.4 + 0.6 * asked.duration / 8) * slower * veo.share,
        cost=price * asked.duration * made,
        verdict=verdict,
        reason=reason,
    )
