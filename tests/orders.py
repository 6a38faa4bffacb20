"""Wishes made of nothing but what the catalog offers, for every door of the emulator, and what they bring along."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cache
from itertools import cycle, islice
from typing import Any

import av
import numpy as np
from attrs import frozen
from PIL import Image

import multivideo as mv
from multivideo.catalog.book import Catalog
from multivideo.catalog.facts import ClipRule, Format, ModeFacts, ModelPath, ReferenceRule
from multivideo.sandbox.render import Clip
from multivideo.transport.embedded import HOME

Spec = dict[str, Any]

DOORS: Mapping[str, Any] = {
    "openai": mv.OpenAIVideos(api_key="k", base_url=f"{HOME}/openai/v1"),
    "litellm": mv.OpenAIVideos(api_key="k", base_url=f"{HOME}/openai/v1", dialect="litellm"),
    "kling": mv.Kling(api_key="k", base_url=f"{HOME}/kling"),
    "kling-legacy": mv.Kling(api_key="k", base_url=f"{HOME}/kling", dialect="legacy"),
    "vertex": mv.Veo(project="p", credentials=mv.BearerToken("k"), base_url=f"{HOME}/vertex"),
    "gemini": mv.Veo(api_key="k", base_url=f"{HOME}/gemini"),
}
PROMPT = "Mara and Juno cross a quiet street"


@frozen(repr=False)
class Cell:
    """One model at one door in one mode; `facts` None: there is no such mode."""

    door: str
    path: ModelPath
    mode: mv.Mode
    facts: ModeFacts | None

    def __repr__(self) -> str:
        return f"{self.door}-{self.path.model}-{self.mode}"

    @property
    def model(self) -> str:
        """The one model at the one path."""
        return f"{self.path.model}@{self.path.path}"


CELLS = [
    Cell(door, path, mode, path.mode(mode))
    for door, account in DOORS.items()
    for path in account.paths(Catalog.default().paths)
    for mode in mv.Mode
]
OFFERED = [cell for cell in CELLS if cell.facts is not None]
REFUSED = [cell for cell in CELLS if cell.facts is None]
OF_A_CLIP = {mv.Mode.EXTEND, mv.Mode.EDIT, mv.Mode.REMIX, mv.Mode.MOTION}


class Picture(bytes):
    """The bytes of a picture, which nobody wants to read in a failure."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


@cache
def picture(width: int, height: int, form: str = "PNG") -> Picture:
    """A picture of one colour."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(out, format=form)
    return Picture(out.getvalue())


@cache
def plain(width: int, height: int, frames: int, fps: int, audio: bool) -> bytes:
    """A grey file of that kind: real, and made in next to no time."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "g": "24"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        if audio:
            sound = container.add_stream("aac", rate=48_000, layout="stereo")
            silence = av.AudioFrame.from_ndarray(np.zeros((2, 48_000 * frames // fps), "float32"), "fltp", "stereo")
            silence.sample_rate, silence.pts, silence.time_base = 48_000, 0, Fraction(1, 48_000)
            container.mux([packet for part in (silence, None) for packet in sound.encode(part)])
        frame = av.VideoFrame(width, height, "yuv420p")
        for index in range(frames):
            frame.pts = index
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return out.getvalue()


def plain_render(clip: Clip) -> bytes:
    """What an emulator renders with where pictures do not matter."""
    return plain(clip.width, clip.height, clip.frames, clip.fps, clip.audio)


def brought(mode: mv.Mode, size: tuple[int, int], seconds: int = 4) -> Spec:
    """The least that a wish of that mode brings along, but for a clip."""
    image = picture(*size)
    things: dict[mv.Mode, Spec] = {
        mv.Mode.FIRST_FRAME: {"first_frame": image},
        mv.Mode.FIRST_LAST: {"first_frame": image, "last_frame": image},
        mv.Mode.REFERENCE: {"reference_images": [image]},
        mv.Mode.SHOTS: {"shots": shots(seconds)},
        mv.Mode.MOTION: {"reference_images": [image], "mode": "motion"},
        mv.Mode.EXTEND: {"mode": "extend"},
        mv.Mode.EDIT: {"mode": "edit"},
        mv.Mode.REMIX: {"mode": "remix"},
    }
    return things.get(mode, {})


def least(cell: Cell, size: tuple[int, int], seconds: int = 4) -> Spec:
    """The same for a mode that is offered: where it takes no pictures, what the vendor keeps."""
    rule = cell.facts.references if cell.facts is not None else None
    if cell.mode is mv.Mode.REFERENCE and rule is not None and not rule.pictures:
        return {"reference_images": kept(cell.path)[:1]}
    return brought(cell.mode, size, seconds)


def shots(seconds: int, most: int = 3) -> list[mv.Shot]:
    """As many shots as there may be, of whole seconds, that fill the clip."""
    count = min(most, seconds)
    cuts = [seconds // count] * count
    cuts[-1] += seconds - sum(cuts)
    return [mv.Shot(f"moment {number}", length) for number, length in enumerate(cuts, 1)]


def kept(path: ModelPath) -> list[mv.Element]:
    """What the vendor keeps of the people in the prompt."""
    if path.vendor == "openai":
        return [mv.Element(f"char_{n}", name, vendor="openai") for n, name in enumerate(("Mara", "Juno"))]
    return [mv.Element(f"82983680279340650{n}", name) for n, name in enumerate(("Mara", "Juno", "Ada"))]


def references(rule: ReferenceRule, path: ModelPath, size: tuple[int, int]) -> Iterator[list[Any]]:
    """The most pictures, the most elements, and the most of both together."""
    image = picture(*size)
    elements = kept(path)[: rule.elements]
    most = rule.pictures + len(elements) if rule.together is None else rule.together
    if rule.pictures:
        yield [image] * rule.pictures
    if elements and not rule.fewest_pictures:
        yield elements
    if rule.pictures and elements:
        yield [*[image] * min(rule.pictures, most - len(elements)), *elements]


def covering(cell: Cell) -> Iterator[Spec]:
    """Wishes in which every choice that the mode offers stands at least once."""
    assert cell.facts is not None
    extras = _extras(cell, cell.facts)
    for row in cell.facts.formats:
        for spec in _of_row(cell, cell.facts, row):
            yield {**spec, **next(extras, {})}
    row = cell.facts.formats[0]
    for rest in extras:
        yield {**next(_of_row(cell, cell.facts, row)), **rest}


def _of_row(cell: Cell, facts: ModeFacts, row: Format) -> Iterator[Spec]:
    sizes = list(row.sizes.items())
    lengths = [row.seconds[0], row.seconds[-1]] if row.resolution == "720p" else [row.seconds[0]]
    turns = max(len(sizes), len(lengths), len(row.audio))
    named = row.resolution in {"720p", "1080p", "4k"}
    for (ratio, size), seconds, audio in islice(zip(cycle(sizes), cycle(lengths), cycle(row.audio)), turns):
        spec: Spec = {"resolution": row.resolution if named else f"{size[0]}x{size[1]}", "audio": audio}
        spec |= least(cell, size, seconds)
        if not (facts.clip is not None and facts.clip.as_long):
            spec["duration"] = seconds
        if named and facts.clip is None and facts.mode not in {mv.Mode.FIRST_FRAME, mv.Mode.FIRST_LAST}:
            spec["aspect_ratio"] = ratio
        yield spec


def _extras(cell: Cell, facts: ModeFacts) -> Iterator[Spec]:
    """What may go along beside the choices of a row, one by one."""
    if facts.negative_prompt:
        yield {"negative_prompt": "text, logos"}
    if facts.seed_max is not None:
        yield {"seed": facts.seed_max}
    if facts.watermark:
        yield {"watermark": True}
    yield {"watermark": False, "count": facts.samples_max + 1}
    if facts.references is not None:
        size = next(iter(facts.formats[0].sizes.values()))
        yield from ({"reference_images": some} for some in references(facts.references, cell.path, size))
    if facts.shots_max and facts.mode is not mv.Mode.SHOTS:
        yield {"shots": shots(facts.formats[0].seconds[0]), "duration": facts.formats[0].seconds[0]}


async def introduced(client: mv.AsyncClient, spec: Spec) -> Spec:
    """The same wish with characters that OpenAI's door really keeps, made there and not by way of a gateway."""
    made = []
    keeper = mv.AsyncClient(providers=[DOORS["openai"]], clock=client._clock, home=client._home)
    keeper._emulator = client.emulator
    for item in spec.get("reference_images", ()):
        new = isinstance(item, mv.Element) and item.vendor == "openai"
        made.append(await keeper.create_character(item.name, plain(1280, 720, 96, 24, audio=False)) if new else item)
    return {**spec, "reference_images": made} if made else spec


def ways(rule: ClipRule) -> list[str]:
    """How a clip can be brought along."""
    given = {"own": rule.own or rule.urls, "file": rule.files, "https": rule.urls}
    return [way for way, taken in given.items() if taken]


async def source(client: mv.AsyncClient, cell: Cell, way: str, spec: Spec) -> Spec:
    """A clip that fits the wish: made by the same model where that is asked, and its length where nobody can see it."""
    assert cell.facts is not None
    rule = cell.facts.clip
    assert rule is not None
    if way == "https":
        as_long = {"duration": 4} if rule.as_long else {}
        return {"source_video": "https://media.example.org/dance.mp4?seconds=4", **as_long}
    wish: Spec = {"model": cell.model, "duration": _length(cell, spec)}
    if rule.same_size:
        wish["resolution"] = spec["resolution"]
    if cell.path.vendor == "kling":  # whose other models go on from it, with its sound
        wish |= {"model": "kling-3.0", "audio": bool(spec.get("audio"))}
    made = await client.generate("A dancer", **wish)
    return {"source_video": made if way == "own" else made.path}


def _length(cell: Cell, spec: Spec) -> int:
    """The shortest clip that the model makes from text in that size."""
    text = cell.path.mode(mv.Mode.TEXT)
    assert text is not None
    rows = [row for row in text.formats if row.resolution == spec["resolution"]] or text.formats
    return rows[0].seconds[0]
