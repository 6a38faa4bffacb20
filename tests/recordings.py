"""Recorded answers and orders for the tests of the providers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multivideo.values.media import Media
from multivideo.values.plan import Segment
from multivideo.values.words import Mode
from multivideo.wire import Order, WireResponse

WIRE = Path(__file__).parent / "wire"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (1280).to_bytes(4, "big") + (720).to_bytes(4, "big") + b"\x08\x02\0\0\0"


@pytest.fixture
def answer() -> Callable[..., WireResponse]:
    """The recorded answer of a name such as "kling/created", or one made of a status and a body."""

    def make(name: str = "", *, status: int = 200, body: Any = None, spilled: tuple[Path, ...] = ()) -> WireResponse:
        if not name:
            return WireResponse(status, {}, json.dumps(body).encode(), spilled)
        sample = json.loads((WIRE / f"{name}.json").read_text())
        text = sample["text"] if "text" in sample else json.dumps(sample["body"])
        return WireResponse(sample["status"], sample["headers"], text.encode(), spilled)

    return make


@pytest.fixture
def frame() -> Media:
    """A PNG picture of 1280x720 in memory."""
    return Media.picture(PNG)


@pytest.fixture
def order() -> Callable[..., Order]:
    """An order of 8 s at 720p, with whatever is said otherwise."""

    def make(model: str, *, first_frame: Media | None = None, audio: bool = True, **more: Any) -> Order:
        segment = Segment(
            mode=Mode.TEXT if first_frame is None else Mode.FIRST_FRAME,
            seconds=8,
            resolution="720p",
            aspect_ratio="16:9",
            width=1280,
            height=720,
            fps=24,
            audio=audio,
        )
        return Order(
            **{
                "attempt_id": "mv-attempt-1",
                "model": model,
                "wire_model": model,
                "prompt": "A kite over dunes",
                "segment": segment,
                "first_frame": first_frame,
                **more,
            }
        )

    return make
