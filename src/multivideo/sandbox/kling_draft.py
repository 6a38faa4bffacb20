"""What Kling makes of an order that passed its checks: the video sent along, the file, its length and its price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import define

from multivideo.sandbox.clip import Clip, Film
from multivideo.sandbox.jobs import Draft, State
from multivideo.sandbox.kling_materials import VIDEOS, BadField, Material
from multivideo.sandbox.kling_media import FILM_RULES, Media, check_film
from multivideo.sandbox.kling_products import (
    UNIT_MICRO_USD,
    Product,
    frame_size,
    table_size,
    units_per_second,
)
from multivideo.sandbox.pictures import tile

__all__ = ["FAILURES", "Order", "make_draft", "open_film"]

_MONTH = 30 * 86_400
_FPS = 24

FAILURES = {
    "risk_control": "Failure to pass the risk control system",
    "generation_failed": "Video generation failed, please try again later",
}


@define
class Order:
    """An order in the words of the new protocol.

    Args:
        legacy: what was sent in the other protocol, if it was.
        shaped: whether the caller said an aspect ratio, where there is a choice.
        film: the video that was sent along, once it was opened.
    """

    product: Product
    prompt: str
    materials: Sequence[Material]
    settings: dict[str, object]
    options: Mapping[str, object]
    legacy: Mapping[str, object] | None = None
    shaped: bool = True
    film: Film | None = None

    @property
    def follows(self) -> Film | None:
        """The video that decides how long the result is."""
        return None if self.of("feature_video") else self.film

    def of(self, *kinds: str) -> list[Material]:
        """The materials of those types."""
        return [item for item in self.materials if item.kind in kinds]


def open_film(order: Order, media: Media) -> None:
    """Open the video of an order, the last thing that is looked at; BadField when it is out of bounds."""
    for item in order.of(*VIDEOS):
        turned = order.of("element") or order.settings.get("character_orientation") == "video"
        rule = FILM_RULES.get(order.product.model) or FILM_RULES["video" if turned else "image"]
        try:
            film = media.film(str(item.shown["url"]))
        except ValueError:
            raise BadField(f"{item.path}: video cannot be downloaded or read") from None
        try:
            check_film(film, rule)
        except ValueError as problem:
            raise BadField(f"{item.path}: {problem}") from None
        order.film = film
    if order.follows:
        order.settings.pop("duration", None)  # what is edited or imitated has its own


def _size(order: Order) -> tuple[int, int]:
    """The pixels: the shape is that of a frame, of a picture to be moved, of a video, or the one asked for."""
    resolution = str(order.settings["resolution"])
    picture = next(iter(order.of("first_frame", "image", "last_frame")), None)
    if picture is not None and picture.size is not None:
        return frame_size(resolution, *picture.size)
    if order.film is not None and (order.follows or not order.shaped):
        return frame_size(resolution, order.film.width, order.film.height)
    return table_size(resolution, str(order.settings.get("aspect_ratio", "16:9")))


def _clip(order: Order, seconds: float) -> Clip:
    """The file: what was sent along is seen in it."""
    audio, film = order.settings.get("audio"), order.film
    kept = audio == "original" and film is not None
    first, last = (next((item.image for item in order.of(kind)), None) for kind in ("first_frame", "last_frame"))
    shown = [item.image or tile(str(item.shown["element_id"])) for item in order.of("refer_image", "image", "element")]
    width, height = _size(order)
    return Clip(
        model=order.product.model, prompt=order.prompt, seed=0, width=width, height=height, seconds=seconds + 1 / _FPS,
        fps=_FPS, audio=order.product.always_audio or audio == "native" or kept,
        first_frame=first, last_frame=last, references=tuple(shown), film=film, replayed=film is not None,
    )  # fmt: skip


def make_draft(order: Order) -> Draft:
    """What is made of an order that passed its checks, for how much."""
    product, settings = order.product, order.settings
    reason = next((word for word in FAILURES if word in order.prompt.lower()), "")
    resolution, follows = str(settings["resolution"]), order.follows
    seconds = follows.seconds if follows else float(str(settings["duration"]))
    billed = max(int(seconds + 0.5), 1)
    clip = _clip(order, seconds)
    units = units_per_second(product.model, _case(order), resolution) * billed
    slower = {"720p": 1.0, "1080p": 1.6, "4k": 3.0}[resolution] * (0.5 if "turbo" in product.model else 1.0)
    shown: dict[str, object] = {"settings": settings, "options": order.options, "units": format(units.normalize(), "f")}
    shown["family"] = product.family
    shown["length"] = f"{int(clip.seconds * 1000) / 1000:.3f}"  # 5.041 for 5 s and a frame, as a live answer had it
    shown |= {"contents": [item.shown for item in order.materials]} if product.materials else {"prompt": order.prompt}
    shown |= {"legacy": order.legacy} if order.legacy is not None else {}
    return Draft(
        model=product.model,
        prompt=order.prompt,
        request=shown,
        clips=() if reason else (clip,),
        seconds=72 * (0.4 + 0.6 * billed / 8) * slower,
        cost=0 if reason else int(units * UNIT_MICRO_USD),
        verdict=State.FAILED if reason else State.DONE,
        reason=reason,
        keeps=_MONTH,
        external_id=str(order.options["external_task_id"]),
    )


def _case(order: Order) -> str:
    """The row of the price list."""
    if order.product.family == "motion-control":
        return "motion"
    if order.of(*VIDEOS):
        return "video"
    if order.of("voice") and "voice" in order.product.materials:  # no price is known of 3.0 with a voice
        return "voice"
    return "native" if order.settings.get("audio") == "native" else "silent"
