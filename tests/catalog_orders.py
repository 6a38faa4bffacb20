"""Every kind of order that the catalog allows at OpenAI and Google, and what our providers send for it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve

from multivideo.catalog.book import Catalog
from multivideo.catalog.facts import ClipRule, ModeFacts, ModelPath, ReferenceRule
from multivideo.errors import MultiVideoError
from multivideo.files.sniff import ImageFacts
from multivideo.providers.accounts import BearerToken, OpenAIVideos, Veo
from multivideo.values.clips import Clip
from multivideo.values.media import Media
from multivideo.values.plan import Segment
from multivideo.values.refs import VendorHandle, VendorRef
from multivideo.values.words import Element, Mode
from multivideo.wire import LookUp, Order, Provider, Step, WireRequest, WireResponse

WIRE = Path(__file__).parent / "wire"
BUCKET = "gs://demo-out/runs/"
_TOKEN = BearerToken("not-a-real-token")
PROVIDERS: Mapping[str, Sequence[Provider]] = {
    "openai": [OpenAIVideos(api_key="not-a-real-key").backend()],
    "vertex": [
        Veo(project="demo", credentials=_TOKEN).backend(),
        Veo(project="demo", credentials=_TOKEN, output_uri=BUCKET).backend(),
    ],
    "gemini": [Veo(api_key="not-a-real-key").backend()],
}
_JOBS = {
    "openai": "video_6abc0f80c1d4819095f2b7a1e03d44c2",
    "vertex": "projects/demo/locations/us-central1/publishers/google/models/{}/operations/6f1c0f1e-6b5e-4a37-9a53-1d1c",
    "gemini": "models/{}/operations/q7m2c0d9x4ja",
}
_FILES = {"gemini": "https://generativelanguage.googleapis.com/v1beta/files/k3v9p2q8x1ab:download?alt=media"}
_NAMES = ("Mara", "Ben", "Zoe")
_DONE = {"openai": "openai/completed", "vertex": "veo/done_in_bucket", "gemini": "gemini/done"}
MODES = [(path, facts) for path in Catalog.default().paths if path.path in PROVIDERS for facts in path.modes]


def requests(provider: Provider, path: ModelPath, facts: ModeFacts) -> Iterator[WireRequest]:
    """What the provider sends to start a job of that mode, in every form that it can take."""
    for order in orders(provider, path, facts):
        step = _step(provider, order)
        yield from (exchange.request for exchange in step.before)
        last = step.last(())
        yield last.request
        if step.instead is not None:
            for refusal in sorted((WIRE / path.path).glob("refused_*.json")):
                try:
                    last.read(recorded(f"{path.path}/{refusal.stem}"))
                except MultiVideoError as error:
                    other = step.instead(error)
                    yield from () if other is None else (other.request,)


def readings(provider: Provider, path: ModelPath) -> Iterator[WireRequest]:
    """What the provider sends to look at jobs, to find them, to fetch them and to try the key."""
    ref = _ref(provider, path)
    status = provider.poll(ref).read(recorded(_DONE[path.path]))
    yield from map(provider.download, status.assets)
    segment = next(orders(provider, path, path.modes[0])).segment
    lost = LookUp("mv-attempt-1", path.wire_model, segment, 0.0, 2e9, lambda _: True)
    found = [
        provider.poll(ref),
        provider.poll(evolve(ref, remote_id=f"{BUCKET}mv-attempt-1/")) if path.path == "vertex" else None,
        provider.poll_many([ref]),
        provider.sweep(since=0.0),
        provider.sweep(since=0.0, cursor=ref.remote_id),
        provider.look_up(lost),
        provider.cancel(ref),
        provider.probe(),
    ]
    yield from (exchange.request for exchange in found if exchange is not None)


def recorded(name: str) -> WireResponse:
    """A sample as an answer."""
    sample = json.loads((WIRE / f"{name}.json").read_text(encoding="utf-8"))
    return WireResponse(sample["status"], sample["headers"], json.dumps(sample["body"]).encode())


def orders(provider: Provider, path: ModelPath, facts: ModeFacts) -> Iterator[Order]:
    """Each size, length and sound once, each way to bring something along once, each further wish once."""
    segments = [
        Segment(facts.mode, seconds, row.resolution, ratio, *size, row.fps, audio)
        for row in facts.formats
        for ratio, size in row.sizes.items()
        for seconds in row.seconds
        for audio in row.audio
    ]
    for number, segment in enumerate(segments):
        ways = list(_brought(provider, path, facts, segment))
        base = Order("mv-attempt-1", path.model, path.wire_model, "@Mara, @Ben and @Zoe fly a kite", segment)
        for more in ways if number == 0 else ways[:1]:
            yield evolve(base, **more)
        if number == 0:
            for wish in _wishes(facts):
                yield evolve(base, **ways[0], **wish)


def _wishes(facts: ModeFacts) -> Iterator[dict[str, Any]]:
    if facts.negative_prompt:
        yield {"negative_prompt": "text, logos"}
    if facts.seed_max is not None:
        yield from ({"seed": seed} for seed in (0, facts.seed_max))
    if facts.samples_max > 1:
        yield {"samples": facts.samples_max}


def _brought(provider: Provider, path: ModelPath, facts: ModeFacts, segment: Segment) -> Iterator[dict[str, Any]]:
    """What an order of that mode brings along, in each of the accepted forms."""
    pictures = list(_pictures(facts, segment))
    plain: Mapping[Mode, Iterator[dict[str, Any]]] = {
        Mode.TEXT: iter([{}]),
        Mode.FIRST_FRAME: ({"first_frame": picture} for picture in pictures),
        Mode.FIRST_LAST: ({"first_frame": picture, "last_frame": picture} for picture in pictures),
        Mode.REFERENCE: iter(()),
        **dict.fromkeys((Mode.EXTEND, Mode.EDIT, Mode.REMIX), _with_clip(provider, path, facts.clip)),
    }
    ways = list(plain[facts.mode])
    yield from ways
    if facts.references is not None:
        for more in _references(facts.references, pictures):
            yield {**(ways[0] if ways else {}), **more}


def _pictures(facts: ModeFacts, segment: Segment) -> Iterator[Media]:
    rule = facts.image
    if rule is None or segment.width is None or segment.height is None:
        return
    for form in rule.formats:
        looks = ImageFacts(form, segment.width, segment.height)  # type: ignore[arg-type]
        yield Media(data=b"a picture", facts=looks, size_bytes=9)
    yield from [Media(url="https://pictures.example/kite.png")] * rule.urls
    yield from [Media(url=f"gs://demo-in/kite.{ending}") for ending in ("png", "jpg", "jpeg")] * rule.storage


def _references(rule: ReferenceRule, pictures: Sequence[Media]) -> Iterator[dict[str, Any]]:
    for count in range(max(1, rule.fewest_pictures), rule.pictures + 1):
        yield {"references": (pictures[0],) * count}
    for count in range(1, rule.elements + 1):
        yield {"elements": tuple(Element(f"char_{name}", name, vendor="openai") for name in _NAMES[:count])}


def _with_clip(provider: Provider, path: ModelPath, rule: ClipRule | None) -> Iterator[dict[str, Any]]:
    if rule is None:
        return
    handle = VendorHandle(_ref(provider, path), url=_FILES.get(path.path))
    ways = {
        Clip(Media(data=b"a clip", size_bytes=6), handle, 8.0, 1280, 720): rule.own,
        Clip(Media(data=b"a clip", size_bytes=6), None, 8.0, 1280, 720): rule.files,
        Clip(Media(url="https://clips.example/kite.mp4")): rule.urls,
        Clip(Media(url="gs://demo-in/kite.mp4")): rule.storage,
    }
    yield from ({"source": clip} for clip, taken in ways.items() if taken)


def _ref(provider: Provider, path: ModelPath) -> VendorRef:
    remote_id = _JOBS[path.path].format(path.wire_model)
    return VendorRef(provider.name, provider.family, path.model, path.wire_model, remote_id)


def _step(provider: Provider, order: Order) -> Step[VendorRef]:
    starts = {Mode.EXTEND: provider.extend, Mode.EDIT: provider.edit, Mode.REMIX: provider.edit}
    step = starts.get(order.segment.mode, provider.submit)(order)
    assert step is not None, f"the catalog allows {order.segment.mode} and the provider has none"
    return step
