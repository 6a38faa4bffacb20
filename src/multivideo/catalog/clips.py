"""Whether a video that is brought along can be extended or changed, and what comes of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import evolve

from ..values.clips import Clip
from ..values.plan import Refusal, Segment
from ..values.request import VideoRequest
from .facts import ClipRule, Format, ModeFacts, ModelPath
from .phrases import any_of, refused

__all__ = ["clip_refusals", "clip_rows", "with_clip"]


def clip_refusals(
    request: VideoRequest, path: ModelPath, facts: ModeFacts, rows: Sequence[Format]
) -> Iterable[Refusal]:
    """Every reason why the clip of a request cannot be used in that mode; none for a mode without one."""
    clip, rule = request.source_video, facts.clip
    if clip is None or rule is None:
        return
    source = str(rule.source)
    if not _can_be_sent(clip, path.path, rule):
        yield refused("source_video", _whose(clip), _ways(rule, path.path), source)
    if rule.max_bytes is not None and (clip.media.size_bytes or 0) > rule.max_bytes:
        yield refused("source_video", f"{clip.media.size_bytes:,} bytes", f"at most {rule.max_bytes:,} bytes", source)
    yield from _length_refusals(request, clip, facts, source)
    sizes = [size for row in rows for size in row.sizes.values()]
    if rule.same_size and clip.width is not None and rows and (clip.width, clip.height) not in sizes:
        allowed = f"a clip of {any_of(f'{width}x{height}' for width, height in sizes)} pixels"
        yield refused("source_video", str(clip), allowed, source)


def _length_refusals(request: VideoRequest, clip: Clip, facts: ModeFacts, source: str) -> Iterable[Refusal]:
    length, asked, rule = clip.duration, request.duration, facts.clip
    if rule is None:
        return
    if length is None:
        if rule.as_long and asked is None:
            yield refused("duration", "nothing for a clip whose length is not known", "the length of the clip", source)
        return
    longest = rule.max_seconds if rule.max_seconds is not None else float("inf")
    if not rule.min_seconds - 0.1 <= length <= longest + 0.1:
        yield refused("source_video", str(clip), f"a clip of {rule.min_seconds:g} to {longest:g} s", source)
    if rule.as_long and asked is not None and abs(asked - length) > 0.5:
        yield refused("duration", f"{asked:g} s of {clip}", "as long as the clip: leave it out", source)
    added = asked if asked is not None else facts.default_seconds
    if rule.max_total is not None and length + added > rule.max_total + 0.1:
        allowed = f"at most {rule.max_total:g} s in all"
        yield refused("duration", f"{added:g} s more than {clip}", allowed, source)


def _can_be_sent(clip: Clip, provider: str, rule: ClipRule) -> bool:
    media, own = clip.media, clip.handle is not None and clip.handle.ref.provider == provider
    if own and (rule.own or (rule.urls and clip.handle is not None and clip.handle.url is not None)):
        return True
    if media.url is not None:
        return rule.storage if media.url.startswith("gs://") else rule.urls
    return rule.files


def _whose(clip: Clip) -> str:
    if clip.handle is not None:
        return f"a video of {clip.handle.ref.provider}"
    if clip.media.url is None:
        return "a file or bytes"
    return "a gs:// address" if clip.media.url.startswith("gs://") else "an https address"


def _ways(rule: ClipRule, provider: str) -> str:
    ways = {
        f"a Video that {provider} made": rule.own or rule.urls,
        "a file or bytes": rule.files,
        "an https address": rule.urls,
        "a gs:// address": rule.storage,
    }
    return any_of(way for way, taken in ways.items() if taken)


def clip_rows(request: VideoRequest, facts: ModeFacts, rows: Sequence[Format]) -> Sequence[Format]:
    """The rows of the clip's own size, where the result keeps it."""
    clip = request.source_video
    if clip is None or facts.clip is None or not facts.clip.same_size or clip.width is None:
        return rows
    return [row for row in rows if (clip.width, clip.height) in row.sizes.values()]


def with_clip(segment: Segment, request: VideoRequest, facts: ModeFacts, row: Format) -> Segment:
    """The call with what the clip decides: shape, paid seconds and the length of the file."""
    clip, rule = request.source_video, facts.clip
    if clip is None or rule is None:
        return segment
    if rule.same_size and clip.width is not None and clip.height is not None:
        own = next(ratio for ratio, size in row.sizes.items() if size == (clip.width, clip.height))
        segment = evolve(segment, aspect_ratio=own, width=clip.width, height=clip.height)
    else:  # the vendor follows the shape of a clip that is not looked into
        segment = evolve(segment, aspect_ratio="clip", width=None, height=None)
    if rule.as_long:
        length = clip.duration or request.duration or segment.seconds
        return evolve(segment, seconds=max(1, round(length)), file_seconds=length)
    if rule.joined:
        total = None if clip.duration is None else clip.duration + segment.seconds
        return evolve(segment, file_seconds=total)
    return segment
