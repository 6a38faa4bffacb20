"""What servers of the OpenAI Videos protocol do differently, as data; the one backend reads it.

Sources: OpenAI's published API schema, read 2026-08-21, and refusals that others recorded from 2025-10 to mid 2026; for
LiteLLM the source of its proxy, version 1.109.1, read on 2026-11-22 and run before an emulator of OpenAI's service.

What LiteLLM relays of the rest: remix, and edits and extensions by id, with ids of its own; characters. What it does
not: an uploaded clip (it keeps the model to itself, without which OpenAI edits no file, and looks for an id only where
it extends), the thumbnail of a video (it passes no `variant` on), and deleting one (405).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import field, frozen

from ..wire import JobState

__all__ = ["DIALECTS", "STATES", "Dialect", "PictureForm"]

PictureForm = Literal["file", "object"]

_WORDS: Mapping[JobState, str] = {
    JobState.PENDING: "queued pending submitted not_start created starting preparing scheduled throttled in_queue",
    JobState.RUNNING: "in_progress processing running generating",
    JobState.SUCCEEDED: "completed complete succeeded success finished done",
    JobState.FAILED: "failed failure fail error",
    JobState.CANCELLED: "cancelled canceled deleted",
    JobState.EXPIRED: "expired",
}
STATES = {word: state for state, words in _WORDS.items() for word in words.split()}
"""Status words in lower case: OpenAI's own four, and those that gateways were seen to use."""


@frozen(kw_only=True)
class Dialect:
    """How one kind of server speaks the protocol. What is not named here they all do alike."""

    pictures: tuple[PictureForm, ...]
    """How a picture goes along, and how it is sent once more where that form is refused. An address is an object."""
    states: Mapping[str, JobState] = field(default=STATES, hash=False)
    lists: bool
    """Whether it lists all jobs of the key, so that a lost one can be looked for."""
    probe: str
    """A free path that tells whether the key works."""
    own_errors: bool
    """Whether a fault told in the vendor's envelope is the vendor's own word about this very request."""
    uploads: bool
    """Whether a clip to extend or to change may come as a file."""
    once: Mapping[str, str] = field(factory=dict, hash=False)
    """Headers of a paid request, that tell a server between us and the vendor not to send it on a second time."""
    characters_by_model: bool
    """Whether making a character says for which model: a gateway finds by it where to keep the character."""


DIALECTS: Mapping[str, Dialect] = {
    # Until early 2026 OpenAI refused objects, from mid 2026 it refused files, at least for some accounts.
    "openai": Dialect(
        pictures=("file", "object"),
        lists=True,
        probe="/videos?limit=1",
        own_errors=True,
        uploads=True,
        characters_by_model=False,
    ),
    # LiteLLM hands a picture on as a file only; its list asks one upstream vendor alone, and most have none; and unless
    # told not to it tries again by itself: after a lost answer it was seen to make a second job, and to tell of one.
    # It may still fall back to another deployment, so that "unavailable" need not be said of the first one asked.
    "litellm": Dialect(
        pictures=("file",),
        lists=False,
        probe="/models",
        own_errors=False,
        uploads=False,
        once={"x-litellm-num-retries": "0"},
        characters_by_model=True,
    ),
}
