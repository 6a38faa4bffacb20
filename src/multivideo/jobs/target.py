"""Where the file of a job goes."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from ..errors import InvalidRequest, Problem

__all__ = ["prepared", "target"]


def target(save_to: str | None, home: Path, model: str, job_id: str, take: int) -> Path:
    """The path of a take: the named file, or a safe name in the named folder, else in the library's own.

    What ends with a slash, is a folder, or has no suffix is a folder. Later takes get their number behind the name.
    """
    name = f"{_safe(model)}-{_safe(job_id)}.mp4"
    if save_to is None:
        path = home / "videos" / name
    elif save_to.endswith(("/", os.sep)) or Path(save_to).is_dir() or not Path(save_to).suffix:
        path = Path(save_to) / name
    else:
        path = Path(save_to)
    return path if take == 1 else path.with_name(f"{path.stem}-{take}{path.suffix}")


def _safe(text: str) -> str:
    """The text as part of a file name: a model of the user's own may be called "Wan-AI/Wan2.2"."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip(".-")[:100] or "video"


def prepared(path: Path) -> None:
    """Make the folder of a file and prove that it can be written, before anything is paid for.

    Raises: InvalidRequest naming `save_to`.
    """
    probe = path.parent / f".multivideo-{os.getpid()}-{path.stem[:40]}.probe"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            path.stat()  # says so where the name itself is too long
        probe.touch(exist_ok=True)
        probe.unlink(missing_ok=True)  # another job may have proven the same folder meanwhile
    except OSError as error:
        asked = f'"{path.parent / path.name[:60]}" ({error.strerror})'
        raise InvalidRequest.of([Problem("save_to", asked, "a file or a folder that can be written")]) from None
    if path.is_dir():
        raise InvalidRequest.of([Problem("save_to", f'"{path}", which is a folder', "a file or a folder/")])
