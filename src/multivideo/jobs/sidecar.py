"""The note beside a finished file, `clip.mp4.json`: what made it. It is the user's own, and holds the prompt."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

from attrs import asdict

from ..values.request import VideoRequest
from ..values.result import Video

__all__ = ["beside", "write_sidecar"]

logger = logging.getLogger("multivideo")


def beside(path: Path) -> Path:
    """Where the note of a file lies."""
    return path.with_name(f"{path.name}.json")


def write_sidecar(video: Video, request: VideoRequest) -> None:
    """Write it whole or not at all; a note that cannot be written is a log line and fails nothing."""
    path = beside(video.path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(json.dumps(_facts(video, request), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        extra = {"job_id": video.job_id}
        logger.warning("the note beside the video could not be written (%s)", error.strerror, extra=extra)


def _facts(video: Video, request: VideoRequest) -> dict[str, Any]:
    plan, handle = video.plan, video.handle
    return {
        "multivideo": 1,
        "job_id": video.job_id,
        "created_at": video.created_at.isoformat(),
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "seed": request.seed,
        "tags": dict(video.tags),
        "model": video.model,
        "provider": video.provider,
        "vendor_id": handle.ref.remote_id if handle is not None else None,
        "take": handle.take + 1 if handle is not None else 1,
        "plan": {
            "as_of": str(plan.as_of) if plan is not None else None,
            "policy": plan.policy if plan is not None else None,
            "segments": [asdict(segment) for segment in video.segments],
        },
        "charge_usd": str(video.charge.usd),
        "certainty": video.certainty,
        "file": {
            "duration": video.duration,
            "width": video.width,
            "height": video.height,
            "fps": video.fps,
            "has_audio": video.has_audio,
            "size_bytes": video.size_bytes,
            "sha256": video.sha256,
        },
        "faults": [str(fault) for fault in video.check.faults],
    }
