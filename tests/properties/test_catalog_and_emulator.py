"""Two descriptions of the vendors, written apart: what our catalog allows, the emulator takes; what it refuses, too.

Facts on which the sources disagree are left out by name: there the catalog is careful and the emulator generous.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cache
from typing import Any

import anyio
import pytest
from attrs import evolve
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from multivideo.catalog.book import Catalog
from multivideo.catalog.check import fit
from multivideo.catalog.facts import ModelPath
from multivideo.clock import VirtualClock
from multivideo.errors import MultiVideoError
from multivideo.providers.accounts import BearerToken, Kling, OpenAIVideos, Veo
from multivideo.sandbox import Emulator
from multivideo.transport.embedded import HOME, EmbeddedCarrier
from multivideo.transport.retry import StepKind
from multivideo.transport.sender import Channel, Sender
from multivideo.values.plan import Segment
from multivideo.values.refs import VendorRef
from multivideo.values.request import VideoRequest
from multivideo.values.words import Mode, Shot
from multivideo.wire import Order

ACCOUNTS: Mapping[str, Any] = {
    "openai": OpenAIVideos(api_key="k", base_url=f"{HOME}/openai/v1"),
    "kling": Kling(api_key="k", base_url=f"{HOME}/kling"),
    "vertex": Veo(project="p", credentials=BearerToken("k"), base_url=f"{HOME}/vertex"),
}
BUILT = [
    (path, facts.mode)
    for path in Catalog.default().paths
    if path.path in ACCOUNTS
    for facts in path.modes
    # what goes on from a video or shows what a vendor keeps is driven from end to end instead
    if facts.clip is None and (facts.references is None or facts.references.pictures or facts.image)
]
SIZES = {
    ("720p", "16:9"): (1280, 720), ("720p", "9:16"): (720, 1280), ("720p", "1:1"): (960, 960),
    ("1080p", "16:9"): (1920, 1080), ("1080p", "9:16"): (1080, 1920), ("1080p", "1:1"): (1440, 1440),
    ("4k", "16:9"): (3840, 2160), ("4k", "9:16"): (2160, 3840), ("4k", "1:1"): (2880, 2880),
}  # fmt: skip
everything = settings(max_examples=250, deadline=None)


@cache
def picture(width: int, height: int, form: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(out, format=form)
    return out.getvalue()


def ask(path: ModelPath, segment: Segment, **more: Any) -> VendorRef:
    """Send one order to a fresh emulator, as the driver would; nothing is rendered."""

    async def send() -> VendorRef:
        clock = VirtualClock()
        async with Emulator(clock=clock, latency=1.0, render=lambda clip: b"") as emulator:
            account = ACCOUNTS[path.path]
            channel = Channel(account.backend(), account.signer())
            sender = Sender(EmbeddedCarrier(emulator), clock, lambda: 0.5)
            prompt = more.pop("prompt", "a quiet street")
            order = Order("mv-1-1", path.model, path.wire_model, prompt, segment, samples=segment.samples[0], **more)
            return await sender.take(channel, channel.provider.submit(order), StepKind.SUBMIT)

    return anyio.run(send)


def brought(mode: Mode, seconds: int, size: tuple[int, int] = (1280, 720), form: str = "PNG") -> dict[str, Any]:
    """What a request of that mode brings along."""
    image = picture(*size, form=form)
    several = [Shot("a door opens", 1), Shot("a garden", seconds - 1)] if seconds > 1 else [Shot("a door", seconds)]
    things: dict[Mode, dict[str, Any]] = {
        Mode.FIRST_FRAME: {"first_frame": image},
        Mode.FIRST_LAST: {"first_frame": image, "last_frame": image},
        Mode.REFERENCE: {"reference_images": [image, image]},
        Mode.SHOTS: {"shots": several},
    }
    return things.get(mode, {})


def carried(request: VideoRequest) -> dict[str, Any]:
    """The same in the words of an order."""
    return {
        "first_frame": request.first_frame,
        "last_frame": request.last_frame,
        "references": request.pictures,
        "elements": request.elements,
        "shots": request.shots,
    }


@st.composite
def wishes(draw: st.DrawFn) -> tuple[ModelPath, VideoRequest]:
    path, mode = draw(st.sampled_from(BUILT))
    spec: dict[str, Any] = {
        "duration": draw(st.none() | st.integers(1, 21)),
        "resolution": draw(st.none() | st.sampled_from(["720p", "1080p", "4k", "1792x1024", "1280x720", "960x960"])),
        "audio": draw(st.none() | st.booleans()),
        "seed": draw(st.none() | st.sampled_from([0, 7, 2**32 - 1, 2**32])),
        "negative_prompt": draw(st.none() | st.just("text")),
        "count": draw(st.sampled_from([1, 1, 1, 4])),
    }
    size = draw(st.sampled_from([(1280, 720), (720, 1280), (960, 960), (1024, 768), (200, 400), (1792, 1024)]))
    spec |= brought(mode, spec["duration"] or 6, size, draw(st.sampled_from(["PNG", "JPEG", "WEBP"])))
    if mode not in {Mode.FIRST_FRAME, Mode.FIRST_LAST} and spec["resolution"] in (None, "720p", "1080p", "4k"):
        spec["aspect_ratio"] = draw(st.none() | st.sampled_from(["16:9", "9:16", "1:1"]))
    return path, VideoRequest("a quiet street", **{name: value for name, value in spec.items() if value is not None})


@everything
@given(wishes())
def test_what_the_catalog_allows_the_emulator_takes(wish: tuple[ModelPath, VideoRequest]) -> None:
    path, request = wish
    found = fit(request, path)
    assume(found.segment is not None)
    assert found.segment is not None
    more = {"seed": request.seed, "negative_prompt": request.negative_prompt}
    assert ask(path, found.segment, **more, **carried(request)).remote_id


def unsure(path: ModelPath, segment: Segment) -> bool:
    """Where the sources disagree, so that catalog and emulator may."""
    return (
        # 16 and 20 s: in the guide, refused in a live answer of 2026-07-25
        (path.path == "openai" and segment.seconds in {16, 20})
        # the model card of Veo 3.1 Fast has no 4k, the price list has
        or (path.model in {"veo-3.1-fast", "veo-3.1-lite"} and segment.resolution == "4k")
        # between two frames 4 and 6 s may pass; references were landscape only in 2025, and may be portrait since
        or (path.path == "vertex" and segment.mode is Mode.FIRST_LAST and segment.seconds in {4, 6})
        or (path.path == "vertex" and segment.mode is Mode.REFERENCE and segment.aspect_ratio == "9:16")
    )


@st.composite
def forgeries(draw: st.DrawFn) -> tuple[ModelPath, Segment]:
    """A call that somebody might make by hand: any seconds, size and sound, on any built path."""
    path, mode = draw(st.sampled_from(BUILT))
    resolution, ratio = draw(st.sampled_from(list(SIZES)))
    width, height = SIZES[resolution, ratio]
    segment = Segment(
        mode=mode,
        seconds=draw(st.integers(1, 21)),
        resolution=resolution,
        aspect_ratio=ratio,
        width=width,
        height=height,
        fps=24,
        audio=draw(st.booleans()),
    )
    return path, segment


@everything
@given(forgeries())
def test_what_the_catalog_refuses_the_emulator_refuses(forged: tuple[ModelPath, Segment]) -> None:
    path, segment = forged
    spec: dict[str, Any] = {"duration": segment.seconds, "resolution": segment.resolution}
    spec |= brought(segment.mode, segment.seconds, (segment.width or 0, segment.height or 0))
    facts = path.mode(segment.mode)
    assert facts is not None
    audio = {value for row in facts.formats for value in row.audio}
    if len(audio) > 1:  # else there is no such word on the wire to be refused
        spec["audio"] = segment.audio
    if not facts.frame_decides_shape:
        spec["aspect_ratio"] = segment.aspect_ratio
    request = VideoRequest("a quiet street", **{name: value for name, value in spec.items() if value is not None})
    refused = bool(fit(request, path).refusals)
    assume(not unsure(path, segment))
    if refused:
        with pytest.raises(MultiVideoError):
            ask(path, segment, **carried(request))
    else:
        assert ask(path, segment, **carried(request)).remote_id


# of shots the prompt goes into each, whose own limit is lower
@pytest.mark.parametrize(
    ("path", "mode"),
    [(path, mode) for path, mode in BUILT if mode is not Mode.SHOTS],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_a_prompt_of_the_longest_length_is_taken_and_one_more_character_is_not(path: ModelPath, mode: Mode) -> None:
    facts = path.mode(mode)
    assert facts is not None
    request = VideoRequest("x", **brought(mode, 8))
    segment = fit(request, path).segment
    assert segment is not None
    if facts.prompt_characters is None:  # a limit in tokens cannot be told from outside
        assert ask(path, segment, prompt="x " * 400, **carried(request)).remote_id
        return
    assert ask(path, segment, prompt="x" * facts.prompt_characters, **carried(request)).remote_id
    # two pages name two limits for the one; for the other only the older protocol's limit is known
    if path.model not in {"kling-3.0-turbo", "kling-2.5-turbo"}:
        with pytest.raises(MultiVideoError):
            ask(path, segment, prompt="x" * (facts.prompt_characters + 1), **carried(request))


@pytest.mark.parametrize(("path", "mode"), BUILT, ids=lambda value: getattr(value, "name", str(value)))
def test_more_takes_than_one_call_gives_are_refused(path: ModelPath, mode: Mode) -> None:
    facts = path.mode(mode)
    assert facts is not None
    request = VideoRequest("x", **brought(mode, 8))
    segment = fit(request, path).segment
    assert segment is not None
    if facts.samples_max > 1:
        with pytest.raises(MultiVideoError):
            ask(path, evolve(segment, samples=(facts.samples_max + 1,)), **carried(request))
    else:
        many = fit(evolve(request, count=3), path).segment
        assert many is not None
        assert many.samples == (1, 1, 1)
