"""Whether a video that is brought along can be extended or changed, and what comes of it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

from attrs import evolve

from ..values.clips import Clip
from ..values.plan import Refusal, Segment
from ..values.request import VideoRequest
from .facts import ClipRule, Format, ModeFacts, ModelPath
from .phrases import alike, any_of, refused

__all__ = ["clip_notes", "clip_refusals", "clip_rows", "with_clip"]


def clip_refusals(
    request: VideoRequest, path: ModelPath, facts: ModeFacts, rows: Sequence[Format]
) -> Iterable[Refusal]:
    """Every reason why the clip of a request cannot be used in that mode; none for a mode without one."""
    clip, rule = request.source_video, facts.clip
    if clip is None or rule is None:
        return
    source = str(rule.source)
    if not _can_be_sent(clip, path.path, rule):
        yield refused("source_video", _whose(clip, path.path), _ways(rule, path.path), source)
    elif (other := _made_by_another(clip, path, rule)) is not None:
        yield other
    if rule.max_bytes is not None and (clip.media.size_bytes or 0) > rule.max_bytes:
        yield refused("source_video", f"{clip.media.size_bytes:,} bytes", f"at most {rule.max_bytes:,} bytes", source)
    yield from _length_refusals(request, clip, facts, source)
    yield from _size_refusals(clip, rule, source)
    if rule.own_sound and request.audio and clip.has_audio is False:
        yield refused("audio", f"audio=True of {clip} without sound", "audio left out: only its own is kept", source)
    yield from _shape_refusals(request, clip, rule, source)
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
        elif rule.as_long and asked is not None and not rule.min_seconds - 0.1 <= asked <= _longest(rule) + 0.1:
            yield refused("duration", f"a clip of {asked:g} s", f"{rule.min_seconds:g} to {_longest(rule):g} s", source)
        return
    longest = _longest(rule)
    if not rule.min_seconds - 0.1 <= length <= longest + 0.1:
        yield refused("source_video", str(clip), f"a clip of {rule.min_seconds:g} to {longest:g} s", source)
    if rule.as_long and asked is not None and abs(asked - length) > 0.5:
        yield refused("duration", f"{asked:g} s of {clip}", "as long as the clip: leave it out", source)
    added = asked if asked is not None else facts.default_seconds
    if rule.max_total is not None and length + added > rule.max_total + 0.1:
        allowed = f"at most {rule.max_total:g} s in all"
        yield refused("duration", f"{added:g} s more than {clip}", allowed, source)


def _made_by_another(clip: Clip, path: ModelPath, rule: ClipRule) -> Refusal | None:
    """The refusal of another model than the one that made the clip, where the clip's id decides who goes on."""
    handle = clip.handle
    if not rule.same_model or handle is None or handle.ref.provider != path.path or handle.ref.model == path.model:
        return None
    maker = handle.ref.model
    allowed = f"a video that {maker} made is changed by {maker}"
    hint = f'model="{maker}"' + (", or its file in place of the Video: source_video=video.path" if rule.files else "")
    what = f"cannot go on from a video of {maker} by its id"
    return Refusal("model", f"a video of {maker}", allowed, str(rule.source), hint, what=what)


def _shape_refusals(request: VideoRequest, clip: Clip, rule: ClipRule, source: str) -> Iterable[Refusal]:
    """Why a shape cannot be asked for, where the vendor or the clip decides it."""
    name = "aspect_ratio" if request.aspect_ratio is not None else "resolution"
    if rule.open_shape and (request.aspect_ratio is not None or request.size is not None):
        asked = f'{name}="{getattr(request, name)}"'
        what = "decides the shape of the result by itself"
        yield Refusal(name, asked, "the vendor decides the shape: leave it out", source, what=what)
    elif not (rule.as_reference or (rule.same_size and clip.width is None)) and not _keeps_shape(request, clip):
        what = "gives the result the shape of its clip"
        yield Refusal(name, f"another shape than {clip}", "the clip decides the shape: leave it out", source, what=what)


def _keeps_shape(request: VideoRequest, clip: Clip) -> bool:
    """Whether no shape is asked for, or the one that the clip is seen to have."""
    asked = request.size or (request.aspect_ratio and tuple(map(int, request.aspect_ratio.split(":"))))
    if not asked:
        return True
    return clip.width is not None and clip.height is not None and alike(clip.width / clip.height, asked[0] / asked[1])


def _longest(rule: ClipRule) -> float:
    return rule.max_seconds if rule.max_seconds is not None else float("inf")


def _size_refusals(clip: Clip, rule: ClipRule, source: str) -> Iterable[Refusal]:
    if clip.width is None or clip.height is None:
        return
    sides, shape = (clip.width, clip.height), Fraction(clip.width, clip.height)
    if rule.sides is not None and not (rule.sides[0] <= min(sides) and max(sides) <= rule.sides[1]):
        yield refused("source_video", str(clip), f"sides of {rule.sides[0]} to {rule.sides[1]} pixels", source)
    if rule.max_pixels is not None and clip.width * clip.height > rule.max_pixels:
        yield refused("source_video", str(clip), f"at most {rule.max_pixels:,} pixels", source)
    low, high = rule.fps or (0, 0)
    if rule.fps is not None and clip.fps is not None and not low - 0.1 <= clip.fps <= high + 0.1:  # 23.976 is 24
        rates = f"{low}" if low == high else f"{low} to {high}"
        yield refused("source_video", f"{clip} at {clip.fps:.4g} fps", f"a clip of {rates} fps", source)
    if rule.shapes is not None and not Fraction(rule.shapes[0]) <= shape <= Fraction(rule.shapes[1]):
        allowed = f"a width of {rule.shapes[0]} to {rule.shapes[1]} times the height"
        yield refused("source_video", str(clip), allowed, source)


def _can_be_sent(clip: Clip, provider: str, rule: ClipRule) -> bool:
    media, own = clip.media, clip.handle is not None and clip.handle.ref.provider == provider
    if own and (rule.own or (rule.urls and clip.handle is not None and clip.handle.url is not None)):
        return True
    if media.url is not None:
        return rule.storage if media.url.startswith("gs://") else rule.urls
    return rule.files


def _whose(clip: Clip, provider: str) -> str:
    if clip.handle is not None:
        lost = " whose address is not known any more" if clip.handle.ref.provider == provider else ""
        return f"a video of {clip.handle.ref.provider}{lost}"
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
    if rule.own_sound and segment.audio and not clip.has_audio:  # it cannot come with sound that the clip has not
        segment = evolve(segment, audio=clip.has_audio is None, file_audio=clip.has_audio)
    if rule.as_reference:
        return _shaped_like(clip, segment, request, row)
    if rule.same_size and clip.width is not None and clip.height is not None:
        own = next(ratio for ratio, size in row.sizes.items() if size == (clip.width, clip.height))
        segment = evolve(segment, aspect_ratio=own, width=clip.width, height=clip.height)
    elif request.aspect_ratio is None and request.size is None:  # the vendor follows a clip that is not looked into
        shape = "vendor" if rule.open_shape else "clip"
        segment = evolve(segment, aspect_ratio=shape, width=None, height=None)
    if rule.as_long:
        length = clip.duration or request.duration or segment.seconds
        known = None if rule.may_be_shorter else length
        seconds = max(1, math.floor(length + 0.5))  # of half a second, Kling bills the whole
        most = clip.duration or rule.max_seconds or length
        return evolve(segment, seconds=seconds, file_seconds=known, most_seconds=_more_than(seconds, most))
    if rule.joined:
        total = None if clip.duration is None else clip.duration + segment.seconds
        most = (total or rule.max_total or 0) if rule.perhaps_whole else 0
        return evolve(segment, file_seconds=total, most_seconds=_more_than(segment.seconds, most))
    return segment


def _more_than(seconds: int, most: float) -> int | None:
    """Whole seconds that may be billed at most, None: no more than planned. Vendors make 5.04 s for 5."""
    whole = math.ceil(most - 0.1)
    return whole if whole > seconds else None


def clip_notes(segment: Segment, request: VideoRequest, facts: ModeFacts) -> tuple[str, ...]:
    """What to tell where it is not settled how many seconds are billed."""
    clip, most = request.source_video, segment.most_seconds
    if clip is None or most is None or facts.clip is None:
        return ()
    if not facts.clip.as_long:
        added = f"the {segment.seconds} s that are added"
        return (f"whether {added} are billed or the whole file is not settled: up to {most} s are held",)
    if clip.duration is None:
        return (f"the price follows the clip's real length, which is not known here: up to {most} s",)
    return (f"the {clip.duration:.4g} s of the clip may be billed as {most}: that is held",)


def _shaped_like(clip: Clip, segment: Segment, request: VideoRequest, row: Format) -> Segment:
    """The next shot after the clip, in the nearest shape to its own where no other is asked for."""
    if clip.width is None or clip.height is None or request.aspect_ratio is not None or request.size is not None:
        return segment
    shape = clip.width / clip.height
    near = min(row.sizes, key=lambda ratio: abs(math.log(row.sizes[ratio][0] / row.sizes[ratio][1] / shape)))
    width, height = row.sizes[near]
    return evolve(segment, aspect_ratio=near, width=width, height=height)
