"""OpenAI's characters: made of a short film, named in prompts, at most two in a video."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import define, field, frozen

from multivideo.sandbox.faults import Fault
from multivideo.sandbox.footage import measure, opening
from multivideo.sandbox.jobs import JobStore
from multivideo.sandbox.openai_fields import (
    Upload,
    check_blocked,
    check_known,
    missing,
    read_fields,
    read_prompt,
    refuse,
    wrong_type,
)
from multivideo.sandbox.openai_sequel import bad_video
from multivideo.sandbox.wire import Refused, Reply, Request, json_reply

__all__ = ["CharacterDesk"]

_LONGEST_NAME = 80


@frozen
class _Character:
    id: str
    name: str
    created_at: int
    credential: str
    opening: bytes = field(repr=False)

    def reply(self) -> Reply:
        return json_reply(200, {"id": self.id, "name": self.name, "created_at": self.created_at})


@define(eq=False)
class CharacterDesk:
    """Makes characters and knows whose they are. Making one costs nothing and is no job."""

    _store: JobStore
    _door: str
    _refuse: Callable[[Fault], Reply]
    _known: dict[str, _Character] = field(factory=dict)

    def create(self, request: Request, key: str) -> Reply:
        """The answer to `POST /videos/characters`: a form with a name and an MP4 file."""
        if request.content_type() != "multipart/form-data":
            message = f"Unsupported content type: '{request.content_type()}'. This API method accepts "
            raise refuse(400, message + "'multipart/form-data' requests.", code="unsupported_content_type")
        fields = read_fields(request)
        check_known(fields, ("name", "video"))
        name = read_prompt(fields, "name", _LONGEST_NAME)
        if "video" not in fields:
            raise missing("video")
        if not isinstance(video := fields["video"], Upload):
            raise wrong_type("video", "a file", video)
        try:
            measure(video.data)
            first = opening(video.data)
        except ValueError:
            raise bad_video() from None
        check_blocked(name)
        script, count = self._store.faults.take(self._door, key, request)
        script.strike("submit", count, self._refuse)
        now = int(self._store.clock.wall())
        made = _Character(f"char_{now:08x}{self._store.hex(24)}", name, now, key, first)
        self._known[made.id] = made
        script.strike("made", count, self._refuse)
        return made.reply()

    def show(self, character_id: str, key: str) -> Reply:
        """The answer to `GET /videos/characters/{character_id}`."""
        self._store.faults.strike(self._door, self._refuse)
        return self._find(character_id, key).reply()

    def look(self, ids: Sequence[str], prompt: str, key: str) -> list[bytes]:
        """A picture of each; Refused for one that is not known or whose name is not in the prompt as it stands."""
        found = []
        for character_id in ids:
            character = self._find(character_id, key)
            if character.name not in prompt:
                message = f"Invalid 'characters': the prompt must mention '{character.name}' by name."
                raise refuse(400, message, code="invalid_value", param="characters")
            found.append(character.opening)
        return found

    def _find(self, character_id: str, key: str) -> _Character:
        found = self._known.get(character_id)
        if found is None or found.credential != key:
            raise _unknown(character_id)
        return found


def _unknown(character_id: str) -> Refused:
    return refuse(404, f"Character with id '{character_id}' not found.")
