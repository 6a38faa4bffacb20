"""Where the file of a job goes."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import InvalidRequest, Problem

__all__ = ["prepared", "target"]


def target(save_to: str | None, home: Path, model: str, job_id: str, take: int) -> Path:
    """The path of a take: the named file, or a safe name in the named folder, else in the library's own.

    What ends with a slash, is a folder, or has no suffix is a folder. Later takes get their number behind the name.
    """
    if save_to is None:
        path = home / "videos" / f"{model}-{job_id}.mp4"
    elif save_to.endswith(("/", os.sep)) or Path(save_to).is_dir() or not Path(save_to).suffix:
        path = Path(save_to) / f"{model}-{job_id}.mp4"
    else:
        path = Path(save_to)
    return path if take == 1 else path.with_name(f"{path.stem}-{take}{path.suffix}")


def prepared(path: Path) -> None:
    """Make the folder of a file and prove that it can be written, before anything is paid for.

    Raises: InvalidRequest naming `save_to`.
    """
    probe = path.parent / f".multivideo-{os.getpid()}-{path.stem[:40]}.probe"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe.touch(exist_ok=True)
        probe.unlink()
    except OSError as error:
        asked = f'"{path}" ({error.strerror})'
        raise InvalidRequest.of([Problem("save_to", asked, "a file or a folder that can be written")]) from None
    if path.is_dir():
        raise InvalidRequest.of([Problem("save_to", f'"{path}", which is a folder', "a file or a folder/")])
