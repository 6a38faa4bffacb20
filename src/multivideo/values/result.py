"""What comes back: a finished video, measured on its file."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from ..files.inspect import Check
from .credits import Credits
from .plan import Plan, Segment
from .refs import VendorHandle

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Video"]


@frozen(kw_only=True)
class Video:
    """A finished video on disk.

    Width, height, fps, duration and sound are measured on the file, not echoed from the request; `check` holds them
    against the order. `takes` has every take of the same wish, this one first. `prompt` is None where the job was
    resumed from a reference, which holds no prompt.
    """

    path: Path
    model: str
    provider: str
    job_id: str
    prompt: str | None = field(repr=lambda text: "None" if text is None else f"<{len(text)} characters>")
    duration: float
    width: int
    height: int
    fps: float
    has_audio: bool
    size_bytes: int
    sha256: str
    check: Check
    charge: Credits
    certainty: str
    plan: Plan | None = field(default=None, repr=False)
    segments: tuple[Segment, ...] = ()
    created_at: dt.datetime
    tags: Mapping[str, str] = field(factory=dict, hash=False)
    handle: VendorHandle | None = None
    takes: tuple[Video, ...] = field(default=(), eq=False, repr=False)
    raw: Any = field(default=None, eq=False, repr=False)

    def __str__(self) -> str:
        sound = "with sound" if self.has_audio else "silent"
        facts = f"{self.duration:.2f} s, {self.width}x{self.height}, {self.fps:g} fps, {sound}"
        return f"{self.path}: {self.model}@{self.provider}, {facts}, {self.charge}"

    def save(self, path: str | Path) -> Path:
        """Copy the file there; a folder gets the same file name. Returns the path of the copy."""
        return Path(shutil.copy2(self.path, path))

    def frames(self, n: int) -> list[Image]:
        """Pictures at `n` moments, evenly spread over the clip. Needs the extra `media`."""
        from ..files.frames import frames

        return frames(self.path, n)

    def last_frame(self) -> Image:
        """The last picture of the clip, exactly. Needs the extra `media`."""
        from ..files.frames import last_frame

        return last_frame(self.path)

    def contact_sheet(self) -> Image:
        """One picture with frames from all over the clip. Needs the extra `media`."""
        from ..files.frames import contact_sheet

        return contact_sheet(self.path)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        from .tables import video_html

        return {"text/plain": repr(self), "text/html": video_html(self)}
