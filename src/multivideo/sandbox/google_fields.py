"""How Veo's parameters and materials are read behind both of Google's doors, and which materials go together.

Sources: Google's Veo reference and discovery document (revision 20261106), and refusals recorded by public clients.
Where sources disagree the wider reading stands: 4k on Fast, every duration with a last frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from multivideo.sandbox.fields import as_sent, decode_base64, is_int, is_object
from multivideo.sandbox.google_veo import USE_CASE, BadArgument, Veo
from multivideo.sandbox.render import image_size

__all__ = [
    "SEEDS",
    "ReadImage",
    "check_duration",
    "check_mode",
    "read_instance",
    "read_picture",
    "read_prompt",
    "read_references",
    "read_switch",
    "read_text",
    "read_whole",
    "read_word",
    "unsupported",
]

SEEDS = 2**32 - 1
_MAX_IMAGE = 20 * 1024 * 1024

ReadImage = Callable[[object, str], bytes]


def unsupported(name: str) -> BadArgument:
    """The refusal of a field that the model does not take."""
    return BadArgument(f"`{name}` isn't supported by this model.")


def read_instance(body: Mapping[str, object]) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """The one instance of a start call, and its parameters."""
    instances = body.get("instances")
    if not isinstance(instances, list) or len(instances) != 1 or not is_object(instances[0]):
        raise BadArgument("Exactly one instance is required in the request.")
    given = body.get("parameters", {})
    if not is_object(given):
        raise BadArgument("Invalid value at 'parameters': must be an object.")
    return instances[0], given


def read_word(given: Mapping[str, object], name: str, allowed: Sequence[str], default: str) -> str:
    """A parameter that is one of a few words."""
    value = given.get(name, default)
    if not isinstance(value, str) or value not in allowed:
        raise BadArgument(f"Invalid value '{as_sent(value)}' for `{name}`. Supported values: {', '.join(allowed)}.")
    return value


def read_text(given: Mapping[str, object], name: str) -> str | None:
    """A parameter that is any text, or not there."""
    value = given.get(name, "")
    if not isinstance(value, str):
        raise BadArgument(f"Invalid value at 'parameters.{name}': must be a string.")
    return value if name in given else None


def read_switch(given: Mapping[str, object], name: str) -> bool:
    """A parameter that is true unless it is set to false."""
    value = given.get(name, True)
    if not isinstance(value, bool):
        raise BadArgument(f"Invalid value at 'parameters.{name}': must be a boolean.")
    return value


def read_whole(given: Mapping[str, object], name: str, default: int, least: int, most: int) -> int:
    """A parameter that is a whole number between two bounds."""
    value = given.get(name, default)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a number of JSON is a double here: 2.0 is 2
    if not is_int(value) or not least <= value <= most:
        raise BadArgument(
            f"The number value for `{name}` is out of bound. "
            f"Please provide a value between {least} and {most}, inclusive."
        )
    return value


def check_duration(duration: object, resolution: str, allowed: Sequence[int]) -> int:
    """The seconds of an order, if they are among those allowed and go with the resolution."""
    if not isinstance(duration, int | float) or isinstance(duration, bool) or duration not in allowed:
        raise BadArgument(
            "The number value for `durationSeconds` is out of bound. Please provide a value between 4 and 8, inclusive."
        )
    if resolution != "720p" and duration < 7:
        raise BadArgument(f"{resolution} is not supported for a duration of {duration:g} seconds.")
    return int(duration)


def read_prompt(instance: Mapping[str, object]) -> str:
    """The prompt, which may be left out where a picture or a video says what is meant."""
    prompt = instance.get("prompt", "")
    if not isinstance(prompt, str):
        raise BadArgument("Invalid value at 'instances[0].prompt': must be a string.")
    if not prompt and ("referenceImages" in instance or not ("image" in instance or "video" in instance)):
        raise BadArgument("A prompt is required: text prompt is missing in the request.")
    return prompt


def check_mode(model: Veo, instance: Mapping[str, object], duration: int, resolution: str) -> None:
    """Which materials go together, and what they ask of the parameters."""
    if "lastFrame" in instance and "image" not in instance:
        raise BadArgument("`lastFrame` requires `image`.")
    if "video" in instance and ("image" in instance or "lastFrame" in instance):
        raise BadArgument("`image` and `video` cannot be used together.")
    if "referenceImages" in instance:
        if model.lite:
            raise unsupported("referenceImages")
        if any(name in instance for name in ("image", "video", "lastFrame")):
            raise BadArgument("`referenceImages` cannot be used with `image`, `video` or `lastFrame`.")
        if duration != 8 or resolution == "4k":
            raise BadArgument(USE_CASE)


def read_references(given: object, read_image: ReadImage) -> tuple[bytes, ...]:
    """The pictures of one to three objects of the `asset` kind; an empty list is none."""
    if not isinstance(given, list) or len(given) > 3:
        raise BadArgument("`referenceImages` takes 1 to 3 images.")
    found = []
    for place, item in enumerate(given):
        path = f"referenceImages[{place}]"
        if not is_object(item) or "image" not in item:
            raise BadArgument(f"`{path}.image` is required.")
        kind = as_sent(item.get("referenceType", ""))
        if kind.lower() != "asset":
            raise BadArgument(f"`{path}.referenceType` '{kind}' isn't supported by this model.")
        found.append(read_image(item["image"], f"{path}.image"))
    return tuple(found)


def read_picture(encoded: object, path: str) -> bytes:
    """A picture in Base64: PNG or JPEG, at most 20 MB."""
    try:
        data = decode_base64(as_sent(encoded))
        _, _, kind = image_size(data)
    except ValueError:
        raise BadArgument(f"Unable to process `{path}`: the image cannot be decoded.") from None
    if kind not in ("png", "jpeg") or len(data) > _MAX_IMAGE:
        raise BadArgument(f"Unable to process `{path}`: PNG or JPEG of at most 20 MB is required.")
    return data
