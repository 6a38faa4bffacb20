"""The models and their scorecards: the buyer's guide's stars for the flagships, our own for the tiers beside them."""

from __future__ import annotations

import datetime as dt

from .facts import Certainty, Model, Score, Source

__all__ = ["CATEGORIES", "GUIDE", "MODELS", "OURS"]

GUIDE = Source("buyer's guide to three video models, 2026", dt.date(2026, 11, 22))
OURS = Source("our own estimate, after the buyer's guide to three video models, 2026", dt.date(2026, 11, 22))

CATEGORIES = (
    "cinematic",
    "resolution",
    "length",
    "physics",
    "speed",
    "character_consistency",
    "prompt_fidelity",
    "audio",
)


def _model(id: str, title: str, family: str, stars: tuple[int, ...], source: Source = OURS) -> Model:  # noqa: A002
    """A model with its stars in the order of the categories.

    Certain are the guide's 3 and its named winners' 5; the copy that was read lost which of the others are a 4.
    """
    sure = {3, 5} if source is GUIDE else set()
    scores = tuple(
        Score(
            category=category,
            stars=count,
            source=source,
            certainty=Certainty.DOCUMENTED if count in sure else Certainty.UNCERTAIN,
        )
        for category, count in zip(CATEGORIES, stars, strict=True)
    )
    return Model(id=id, title=title, family=family, flagship=source is GUIDE, scores=scores)


MODELS = (
    _model("sora-2", "Sora 2", "sora", (5, 3, 5, 4, 3, 5, 5, 3), GUIDE),
    _model("sora-2-pro", "Sora 2 Pro", "sora", (5, 4, 5, 4, 2, 5, 5, 3)),
    _model("kling-3.0", "Kling 3.0", "kling", (4, 5, 3, 3, 5, 4, 4, 3), GUIDE),
    _model("kling-3.0-turbo", "Kling 3.0 Turbo", "kling", (3, 3, 3, 3, 5, 3, 3, 3)),
    _model("kling-3.0-omni", "Kling 3.0 Omni", "kling", (4, 5, 3, 3, 4, 5, 4, 3)),
    _model("kling-o1", "Kling O1", "kling", (3, 3, 2, 3, 3, 4, 3, 1)),
    _model("kling-2.6", "Kling 2.6", "kling", (3, 3, 2, 3, 4, 3, 3, 2)),
    _model("kling-2.5-turbo", "Kling 2.5 Turbo", "kling", (3, 3, 2, 2, 5, 3, 3, 1)),
    Model(
        id="kling-4.0",
        title="Kling 4.0",
        family="kling",
        flagship=False,
        scores=(),
        known_but_not_served=(
            "launched 2026-10-15 (3 to 30 s, 720p and 1080p); Kling's own API docs had no id for it on 2026-10-04, "
            "so it cannot be called here yet"
        ),
    ),
    _model("veo-3.1", "Veo 3.1", "veo", (4, 4, 5, 5, 4, 3, 4, 5), GUIDE),
    _model("veo-3.1-fast", "Veo 3.1 Fast", "veo", (3, 3, 5, 4, 5, 3, 3, 4)),
    _model("veo-3.1-lite", "Veo 3.1 Lite", "veo", (3, 3, 4, 3, 5, 2, 3, 4)),
)
