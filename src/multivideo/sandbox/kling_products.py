"""What Kling sells: products of the new protocol, their limits, sizes and prices, as data.

Sources: Kling's API pages and its price list, copies of 2026-09-20; pixel sizes from a public integration (2026-08).
Where the pages disagree the wider reading stands: 3072 characters for Turbo's image-to-video too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal

from attrs import frozen

__all__ = ["PRODUCTS", "UNIT_MICRO_USD", "Product", "frame_size", "table_size", "units_per_second"]

UNIT_MICRO_USD = 140_000  # list price of one video unit: 0.14 USD

_ALL = ("720p", "1080p", "4k")
_HD = ("720p", "1080p")
_FRAMES = {"prompt": 1, "first_frame": 1, "last_frame": 1}
_OMNI = {**_FRAMES, "refer_image": 7, "feature_video": 1, "base_video": 1, "element": 7}
_MOTION = {"prompt": 1, "image": 1, "video": 1}


@frozen(kw_only=True)
class Product:
    """One create endpoint.

    Args:
        materials: content types and how many of each; empty: the body has a `prompt` instead of `contents`.
        audio: allowed words of `settings.audio`, the default first; empty: no such setting.
        last_frame_at: resolutions at which a last frame is allowed.
        native_at: resolutions at which native audio is allowed.
        always_audio: the file has sound though there is no setting.
    """

    family: str
    model: str
    materials: Mapping[str, int]
    durations: Sequence[int] = range(3, 16)
    resolutions: Sequence[str] = _ALL
    audio: Sequence[str] = ("off", "native")
    multi_shot: bool = True
    prompt_limit: int = 3072
    last_frame_at: Sequence[str] = _ALL
    native_at: Sequence[str] = _ALL
    always_audio: bool = False


_TEXT: Mapping[str, int] = {}
_ROWS = (
    Product(family="text-to-video", model="kling-3.0", materials=_TEXT),
    Product(family="image-to-video", model="kling-3.0", materials={**_FRAMES, "element": 3}),
    Product(family="omni-video", model="kling-3.0-omni", materials=_OMNI, audio=("off", "native", "original")),
    Product(
        family="motion-control", model="kling-3.0", materials={**_MOTION, "element": 1}, resolutions=_HD,
        audio=("original", "off"), multi_shot=False, prompt_limit=2500,
    ),
    Product(
        family="text-to-video", model="kling-3.0-turbo", materials=_TEXT, resolutions=_HD, audio=(), multi_shot=False,
        always_audio=True,
    ),
    Product(
        family="image-to-video", model="kling-3.0-turbo", materials={"prompt": 1, "first_frame": 1}, resolutions=_HD,
        audio=(), multi_shot=False, always_audio=True,
    ),
    Product(
        family="omni-video", model="kling-o1", materials=_OMNI, durations=range(3, 11), resolutions=_HD,
        audio=("off", "original"), multi_shot=False, prompt_limit=2500,
    ),
    Product(
        family="text-to-video", model="kling-2.6", materials=_TEXT, durations=(5, 10), resolutions=_HD,
        multi_shot=False, prompt_limit=2500, native_at=("1080p",),
    ),
    Product(
        family="image-to-video", model="kling-2.6", materials={**_FRAMES, "voice": 2}, durations=(5, 10),
        resolutions=_HD, multi_shot=False, prompt_limit=2500, last_frame_at=("1080p",), native_at=("1080p",),
    ),
    Product(
        family="motion-control", model="kling-2.6", materials=_MOTION, resolutions=_HD, audio=("original", "off"),
        multi_shot=False, prompt_limit=2500,
    ),
    Product(
        family="text-to-video", model="kling-2.5-turbo", materials=_TEXT, durations=(5, 10), resolutions=_HD, audio=(),
        multi_shot=False,
    ),
    Product(
        family="image-to-video", model="kling-2.5-turbo", materials=_FRAMES, durations=(5, 10), resolutions=_HD,
        audio=(), multi_shot=False, last_frame_at=("1080p",),
    ),
)  # fmt: skip
PRODUCTS: Mapping[tuple[str, str], Product] = {(row.family, row.model): row for row in _ROWS}

# Units per second of output by model, case and resolution.
_UNITS: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "kling-3.0": {
        "silent": {"720p": "0.6", "1080p": "0.8", "4k": "3.0"},
        "native": {"720p": "0.9", "1080p": "1.2", "4k": "3.0"},
        "motion": {"720p": "0.9", "1080p": "1.2"},
    },
    "kling-3.0-turbo": {"silent": {"720p": "0.8", "1080p": "1.0"}},
    "kling-3.0-omni": {
        "silent": {"720p": "0.6", "1080p": "0.8", "4k": "3.0"},
        "native": {"720p": "0.8", "1080p": "1.0", "4k": "3.0"},
        "video": {"720p": "0.9", "1080p": "1.2", "4k": "3.0"},
    },
    "kling-o1": {"silent": {"720p": "0.6", "1080p": "0.8"}, "video": {"720p": "0.9", "1080p": "1.2"}},
    "kling-2.6": {
        "silent": {"720p": "0.3", "1080p": "0.5"},
        "native": {"1080p": "1.0"},
        "voice": {"1080p": "1.2"},
        "motion": {"720p": "0.5", "1080p": "0.8"},
    },
    "kling-2.5-turbo": {"silent": {"720p": "0.3", "1080p": "0.5"}},
}

_SIZES: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "720p": {"16:9": (1280, 720), "9:16": (720, 1280), "1:1": (960, 960)},
    "1080p": {"16:9": (1920, 1080), "9:16": (1080, 1920), "1:1": (1440, 1440)},
    "4k": {"16:9": (3840, 2160), "9:16": (2160, 3840), "1:1": (2880, 2880)},
}


def units_per_second(model: str, case: str, resolution: str) -> Decimal:
    """Billing units for a second of finished video."""
    return Decimal(_UNITS[model][case][resolution])


def table_size(resolution: str, aspect_ratio: str) -> tuple[int, int]:
    """Pixels of a named shape."""
    return _SIZES[resolution][aspect_ratio]


def frame_size(resolution: str, width: int, height: int) -> tuple[int, int]:
    """Pixels of a video that follows a picture: a size of the table within 2 %, else its ratio at the same area."""
    ratio = width / height
    for size in _SIZES[resolution].values():
        if abs(ratio / (size[0] / size[1]) - 1) <= 0.02:
            return size
    long, short = _SIZES[resolution]["16:9"]
    return 2 * round(math.sqrt(long * short * ratio) / 2), 2 * round(math.sqrt(long * short / ratio) / 2)
