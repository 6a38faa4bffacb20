"""Whether a model on a path can make a request: every refusal at once, each with what is allowed instead."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction

from attrs import frozen

from ..values.media import Media
from ..values.plan import Refusal, Segment
from ..values.request import VideoRequest
from ..values.words import Mode
from .clips import clip_notes, clip_refusals, clip_rows, with_clip
from .facts import Format, ImageRule, Lifecycle, ModeFacts, ModelPath
from .phrases import alike, any_of, audio_text, fps_text, ratio_text, refused, resolution_text, seconds_text, size_text
from .references import as_sent, reference_refusals

__all__ = ["Fit", "Wish", "fit", "lifecycle_refusals", "wishes"]


@frozen
class Fit:
    """How a request and a model on a path go together. No refusals: `segment` is the one call that makes it."""

    refusals: tuple[Refusal, ...] = ()
    unconfirmed: tuple[Refusal, ...] = ()
    segment: Segment | None = None
    notes: tuple[str, ...] = ()


@frozen
class Wish:
    """One choice that the request fixes: which rows keep it, and how to say what rows offer instead.

    `asked` is the value as it was typed; `says` and `clip` say it in a row of a plan and behind "cannot make".
    """

    field: str
    asked: str
    keeps: Callable[[Format], bool]
    offers: Callable[[Sequence[Format]], str]
    says: str
    clip: str
    verb: str = "makes"


def fit(request: VideoRequest, path: ModelPath, as_of: dt.date | None = None) -> Fit:
    """Every reason why this path cannot make the request, or the call that makes it. Pure.

    `as_of` None: the dates of the path are not judged.
    """
    refusals = [] if as_of is None else lifecycle_refusals(path.lifecycle, as_of)
    facts = path.mode(request.wanted_mode)
    if facts is None:
        return Fit((*refusals, _no_mode(request, path)))
    asked = wishes(request, facts)
    rows, wrong = _matching(facts, asked)
    refusals += [*_extras(request, facts), *reference_refusals(request, path, facts)]
    refusals += [*_text_refusals(request, facts), *wrong]
    refusals += [*_image_refusals(request, facts, rows), *clip_refusals(request, path, facts, rows)]
    if refusals:
        return Fit(tuple(refusals))
    row = _chosen(clip_rows(request, facts, rows), request, facts)
    plain, notes = _segment(row, request, facts)
    segment = with_clip(plain, request, facts, row)
    return Fit((), _unconfirmed(row, request), segment, (*notes, *clip_notes(segment, request, facts)))


def lifecycle_refusals(life: Lifecycle, as_of: dt.date) -> list[Refusal]:
    """Why a path does not serve its model on that day."""
    after = f"; {life.successor}" if life.successor else ""
    if as_of < life.released:
        text = f"not released before {life.released}"
        return [Refusal("model", "", text, str(life.source), what=f"is {text}")]
    if life.retires is not None and as_of >= life.retires:
        text = f"retired {life.retires}{after}"
        return [Refusal("model", "", text, str(life.source), what=f"was {text}")]
    return []


def wishes(request: VideoRequest, facts: ModeFacts) -> list[Wish]:
    """What the request fixes, in the order in which it is blamed when all of it together cannot be."""
    found: list[Wish] = []
    as_long = facts.clip is not None and facts.clip.as_long  # there the clip decides, and a length only describes it
    if (seconds := _asked_seconds(request)) is not None and not as_long:
        text = f"{seconds:.10g}"
        clip = f"{'an' if text.startswith('8') or text in {'11', '18'} else 'a'} {text} s clip"
        found.append(Wish("duration", text, lambda row: seconds in row.seconds, seconds_text, f"{text} s", clip))
    if (audio := request.audio) is not None:
        sound = "with sound" if audio else "without sound"
        clip = f"a clip {sound}"
        found.append(Wish("audio", str(audio), lambda row: audio in row.audio, audio_text, sound, clip, "is"))
    if (fps := request.fps) is not None:
        text = f"{fps} fps"
        found.append(Wish("fps", str(fps), lambda row: fps in (row.fps, *row.claimed_fps), fps_text, text, text))
    if (ratio := request.aspect_ratio) is not None:
        found.append(Wish("aspect_ratio", f'"{ratio}"', lambda row: ratio in row.sizes, ratio_text, ratio, ratio))
    if (name := request.resolution) is not None:
        size, keeps, offers = request.size, _named(name), resolution_text
        if size is not None:
            keeps, offers = (lambda row: size in row.sizes.values()), size_text
        found.append(Wish("resolution", f'"{name}"', keeps, offers, name, name))
    return found


def _asked_seconds(request: VideoRequest) -> float | None:
    return request.duration or sum(shot.duration for shot in request.shots) or None


def _named(resolution: str) -> Callable[[Format], bool]:
    return lambda row: row.resolution == resolution


def _matching(facts: ModeFacts, asked: Sequence[Wish]) -> tuple[list[Format], list[Refusal]]:
    """The rows that keep every wish, or who is to blame that there is none."""
    rows = facts.formats
    kept = [row for row in rows if all(wish.keeps(row) for wish in asked)]
    if kept:
        return kept, []
    blamed = [wish for wish in asked if not any(wish.keeps(row) for row in rows)]
    if not blamed:  # each can be had, and not together: blame the first without which the rest can
        blamed = [w for w in asked if any(all(o.keeps(row) for o in asked if o is not w) for row in rows)][:1]
    return [], [_blame(wish, asked, facts) for wish in blamed or asked]


def _blame(wish: Wish, asked: Sequence[Wish], facts: ModeFacts) -> Refusal:
    """Why a wish cannot be met: alone, or together with the others."""
    rows, others = facts.formats, [other for other in asked if other is not wish]
    alone = not any(wish.keeps(row) for row in rows)
    values = [f"{w.field}={w.asked}" for w in asked]
    by_resolution = wish.field == "duration" and len({row.seconds for row in rows}) > 1
    if by_resolution and all(w.field != "resolution" for w in asked):  # the default that the seconds were held against
        values.append(f'resolution="{facts.default_resolution}"')
    said = [f"{other.field}={other.asked}" for other in others]
    offers, ending = wish.offers(rows), f" with {', '.join(other.says for other in others)}"
    return Refusal(
        wish.field,
        ", ".join(values),
        offers,
        str(rows[0].source),
        _near_seconds(wish, others, rows) if wish.field == "duration" else "",
        f"cannot make {wish.clip}" + ("" if alone else f" together with {', '.join(said)}"),
        f"{wish.verb} {offers}, asked {wish.says}" + ("" if alone else ending),
    )


def _near_seconds(wish: Wish, others: Sequence[Wish], rows: Sequence[Format]) -> str:
    """The next shorter and the next longer duration that keep the other wishes, as a hint."""
    wanted = float(wish.asked)
    kept = sorted({s for row in rows if all(other.keeps(row) for other in others) for s in row.seconds})
    near = [*[s for s in kept if s < wanted][-1:], *[s for s in kept if s > wanted][:1]]
    return f"duration={any_of(near)}" if near else ""


_STARTS = {
    Mode.TEXT: "text to video",
    Mode.FIRST_FRAME: "a first frame",
    Mode.FIRST_LAST: "a first and a last frame",
    Mode.REFERENCE: "reference images",
    Mode.EXTEND: "extending a video",
    Mode.EDIT: "editing a video",
    Mode.REMIX: "remixing a video",
    Mode.SHOTS: "several shots",
    Mode.MOTION: "motion transfer",
}


def _no_mode(request: VideoRequest, path: ModelPath) -> Refusal:
    mode = request.wanted_mode
    named = {
        Mode.TEXT: "prompt",
        Mode.FIRST_FRAME: "first_frame",
        Mode.FIRST_LAST: "last_frame",
        Mode.REFERENCE: "reference_images",
        Mode.SHOTS: "shots",
    }.get(mode, "source_video")
    start = _STARTS[mode]
    asked = f"{named} ({start})"
    allowed = f"{any_of(_STARTS[row.mode] for row in path.modes)} only"
    source = str(path.modes[0].source)
    what, reason = f"does not know {start}", f"takes {allowed}, asked {start}"
    return Refusal(named, asked, allowed, source, what=what, reason=reason)


def _text_refusals(request: VideoRequest, facts: ModeFacts) -> list[Refusal]:
    found, source = [], str(facts.source)
    length, words = len(as_sent(request.prompt, request, facts)), len(request.prompt.split())
    if facts.prompt_characters is not None and length > facts.prompt_characters:
        limit = f"at most {facts.prompt_characters} characters"
        found.append(refused("prompt", f"a prompt of {length} characters", limit, source))
    if facts.prompt_words is not None and words > facts.prompt_words:
        limit = f"at most {facts.prompt_words} tokens, and each word is at least one"
        found.append(refused("prompt", f"a prompt of {words} words", limit, source))
    if request.negative_prompt is not None and not facts.negative_prompt:
        hint, text = "say in the prompt what to avoid", "takes no negative prompt"
        found.append(Refusal("negative_prompt", "a negative prompt", text, source, hint, what=text, reason=text))
    if (seed := request.seed) is not None and facts.seed_max is None:
        text = "takes no seed"
        found.append(Refusal("seed", f"seed={seed}", text, source, "leave seed out", what=text, reason=text))
    elif seed is not None and facts.seed_max is not None and seed > facts.seed_max:
        found.append(refused("seed", f"seed={seed}", f"a seed from 0 to {facts.seed_max}", source))
    return found


_FRAMES: Mapping[Mode, tuple[str, ...]] = {
    Mode.FIRST_FRAME: ("first_frame",),
    Mode.FIRST_LAST: ("first_frame", "last_frame"),
}


def _extras(request: VideoRequest, facts: ModeFacts) -> list[Refusal]:
    """What was brought along and has no place in the mode that the rest asks for, and what there is too much of."""
    source, frames = str(facts.source), _FRAMES.get(facts.mode, ())
    takes = {
        "first_frame": "first_frame" in frames,
        "last_frame": "last_frame" in frames,
        "reference_images": facts.references is not None,
        "shots": facts.shots_max > 0,
    }
    with_what = any_of([*frames, *([] if frames else [_STARTS[facts.mode]])])
    found = [
        refused(name, f"{name} together with {with_what}", "one of the two", source)
        for name, taken in takes.items()
        if getattr(request, name) and not taken
    ]
    if request.watermark and not facts.watermark:
        text = "makes no copy with a visible mark"
        found.append(Refusal("watermark", "watermark=True", text, source, "leave it out", what=text, reason=text))
    return [*found, *(_shot_refusals(request, facts, source) if facts.shots_max else ())]


def _shot_refusals(request: VideoRequest, facts: ModeFacts, source: str) -> Iterable[Refusal]:
    lengths = [len(as_sent(f"{request.prompt} {shot.prompt}", request, facts)) for shot in request.shots]
    joined = sum(len(f"shot {n}, {shot.duration:g}, ; ") for n, shot in enumerate(request.shots, 1)) - 1
    whole = 0 if facts.shots_apart else sum(lengths) + joined
    if facts.prompt_characters is not None and whole > facts.prompt_characters:
        allowed = f"at most {facts.prompt_characters} in all, the prompt repeated in each shot"
        yield refused("shots", f"{whole} characters in all shots", allowed, source)
    if len(request.shots) > facts.shots_max:
        yield refused("shots", f"{len(request.shots)} shots", f"at most {facts.shots_max}", source)
    broken = [f"{shot.duration:g} s" for shot in request.shots if shot.duration != int(shot.duration)]
    if broken:
        yield refused("shots", f"shots of {' and '.join(broken)}", "whole seconds", source)
    for number, (shot, length) in enumerate(zip(request.shots, lengths, strict=True), 1):
        if facts.shot_characters is not None and length > facts.shot_characters:
            allowed = f"at most {facts.shot_characters}, the prompt included, which is repeated in each shot"
            yield refused("shots", f"{length} characters in shot {number}", allowed, source)
        if not facts.shots_apart and (";" in shot.prompt or ";" in request.prompt):
            yield refused("shots", f'a ";" in the words of shot {number}', "words without it: it ends a shot", source)


def _image_refusals(request: VideoRequest, facts: ModeFacts, rows: Sequence[Format]) -> list[Refusal]:
    rule = facts.image
    if rule is None:
        return []
    pictures = [("first_frame", request.first_frame), ("last_frame", request.last_frame)]
    pictures += [("reference_images", image) for image in request.pictures]
    found = [
        refused(name, asked, limit, str(rule.source))
        for name, image in pictures
        if image is not None
        for asked, limit in _flaws(image, rule)
    ]
    first = request.first_frame
    if first is not None and rows and (wrong := _shape_refusal(first, request, facts, rule, rows)) is not None:
        found.append(wrong)
    if (other := _other_last_shape(request)) is not None:
        found.append(refused("last_frame", other, "the shape of the first frame", str(rule.source)))
    return found


def _other_last_shape(request: VideoRequest) -> str | None:
    first, last = (image.facts if image else None for image in (request.first_frame, request.last_frame))
    if first is None or last is None or alike(first.width / first.height, last.width / last.height):
        return None
    return f"a last frame of {last.width}x{last.height} pixels with a first of {first.width}x{first.height}"


def _flaws(image: Media, rule: ImageRule) -> Iterable[tuple[str, str]]:
    """What is wrong with a picture whatever video is made of it: (what it is, what is allowed)."""
    if (asked := _refused_address(image, rule)) is not None:
        kinds = {"an https address": rule.urls, "a file": True, "bytes": True, "a gs:// address": rule.storage}
        yield asked, any_of(kind for kind, taken in kinds.items() if taken)
    elif image.url is not None and image.url.startswith("gs://") and not image.url.lower().endswith(_STORED_TYPES):
        yield "a gs:// address without a type", f"a gs:// address that ends in {any_of(_STORED_TYPES)}"
    if rule.max_bytes is not None and (image.size_bytes or 0) > rule.max_bytes:
        yield f"a picture of {image.size_bytes:,} bytes", f"at most {rule.max_bytes:,} bytes"
    if (seen := image.facts) is None:
        return
    if seen.format not in rule.formats:
        yield f"a {seen.format} picture", f"a {any_of(sorted(rule.formats))} picture"
    if rule.min_side is not None and min(seen.width, seen.height) < rule.min_side:
        yield f"a picture of {seen.width}x{seen.height} pixels", f"each side at least {rule.min_side} pixels"
    sides = sorted((seen.width, seen.height))
    if rule.max_ratio is not None and Fraction(sides[1], sides[0]) > Fraction(rule.max_ratio):
        yield (
            f"a picture of {seen.width}x{seen.height} pixels",
            f"the longer side at most {rule.max_ratio} times the shorter",
        )


# Cloud Storage is not looked into, and Google wants the type of a picture said.
_STORED_TYPES = (".png", ".jpg", ".jpeg")


def _refused_address(image: Media, rule: ImageRule) -> str | None:
    """The kind of address that a picture has and that is not taken, None: it has none or a good one."""
    if image.url is None:
        return None
    if image.url.startswith("gs://"):
        return None if rule.storage else "a gs:// address"
    return None if rule.urls else "an https address"


def _shape_refusal(
    image: Media, request: VideoRequest, facts: ModeFacts, rule: ImageRule, rows: Sequence[Format]
) -> Refusal | None:
    """Why the picture's shape and the wished video do not go together."""
    seen, source = image.facts, str(rule.source)
    if seen is None:
        return None
    sizes = _wanted_sizes(request, rows)
    if rule.exact_size and (seen.width, seen.height) not in sizes:
        allowed = any_of([f"{width}x{height}" for width, height in sizes])
        asked = f"a picture of {seen.width}x{seen.height} pixels"
        return refused("first_frame", asked, f"a picture of exactly {allowed} pixels", source)
    shapes = {width / height for width, height in sizes}
    asked_shape = request.aspect_ratio is not None or request.size is not None
    if facts.frame_decides_shape and asked_shape and not any(alike(seen.width / seen.height, s) for s in shapes):
        asked = f"a picture of {seen.width}x{seen.height} pixels and another shape"
        text = "the first frame decides the shape: leave it out"
        return Refusal("aspect_ratio", asked, text, source, what="gives every clip the shape of its first frame")
    return None


def _wanted_sizes(request: VideoRequest, rows: Iterable[Format]) -> list[tuple[int, int]]:
    """The pixel sizes that rows still offer under the asked shape or size."""
    return [
        size
        for row in rows
        for ratio, size in row.sizes.items()
        if request.aspect_ratio in (None, ratio) and request.size in (None, size)
    ]


def _chosen(rows: Sequence[Format], request: VideoRequest, facts: ModeFacts) -> Format:
    """The row to use, where several would do."""

    def order(row: Format) -> tuple[bool, bool, bool]:
        seen = request.first_frame.facts if request.first_frame else None
        exact = facts.image is not None and facts.image.exact_size and seen is not None
        return (
            exact and seen is not None and (seen.width, seen.height) not in row.sizes.values(),
            request.fps is not None and row.fps != request.fps,
            row.resolution != facts.default_resolution,
        )

    return min(rows, key=order)


def _segment(row: Format, request: VideoRequest, facts: ModeFacts) -> tuple[Segment, tuple[str, ...]]:
    seconds = int(_asked_seconds(request) or _default_seconds(row, facts))
    audio = request.audio if request.audio is not None else facts.default_audio
    ratio, size, notes = _shape(row, request, facts)
    width, height = size or (None, None)
    segment = Segment(
        mode=facts.mode,
        seconds=seconds,
        resolution=row.resolution,
        aspect_ratio=ratio,
        width=width,
        height=height,
        fps=request.fps or row.fps,
        audio=audio if audio in row.audio else row.audio[0],
        samples=_calls(request.count, facts.samples_max),
        watermark=bool(request.watermark),
    )
    return segment, notes


def _default_seconds(row: Format, facts: ModeFacts) -> int:
    return facts.default_seconds if facts.default_seconds in row.seconds else max(row.seconds)


def _calls(count: int, most: int) -> tuple[int, ...]:
    """How many takes each call gives, for that many in all."""
    full, rest = divmod(count, most)
    return (most,) * full + ((rest,) if rest else ())


def _shape(row: Format, request: VideoRequest, facts: ModeFacts) -> tuple[str, tuple[int, int] | None, tuple[str, ...]]:
    """Aspect ratio, pixels if they are known, and what to tell about them."""
    wanted = [ratio for ratio, size in row.sizes.items() if request.size in (None, size)]
    seen = request.first_frame.facts if request.first_frame else None
    unseen = request.first_frame is not None and seen is None
    if request.aspect_ratio is None and unseen and facts.frame_decides_shape:
        return "frame", None, ("the first frame decides the shape; it is an address, so its size is not known here",)
    if request.aspect_ratio is not None or seen is None:
        ratio = request.aspect_ratio or (facts.default_ratio if facts.default_ratio in wanted else wanted[0])
        return ratio, row.sizes[ratio], _unseen_notes(row.sizes[ratio], ratio, request, facts) if unseen else ()
    shape = seen.width / seen.height
    near = min(wanted, key=lambda ratio: (abs(math.log(_value(row, ratio) / shape)), ratio != facts.default_ratio))
    if alike(_value(row, near), shape):
        return near, row.sizes[near], ()
    own = Fraction(seen.width, seen.height)
    if facts.frame_decides_shape:
        return (
            f"{own.numerator}:{own.denominator}",
            None,
            (f"the video takes the shape of the {seen.width}x{seen.height} picture",),
        )
    return near, row.sizes[near], (f"the {seen.width}x{seen.height} picture is fitted to {near} by the vendor",)


def _unseen_notes(size: tuple[int, int], ratio: str, request: VideoRequest, facts: ModeFacts) -> tuple[str, ...]:
    """What to tell of a first frame that is an address, into which nobody looks before the vendor does."""
    notes, unknown = [], "the first frame is an address, so its size is not known here; it must be"
    if facts.image is not None and facts.image.exact_size:
        notes.append(f"{unknown} exactly {size[0]}x{size[1]} pixels")
    elif facts.frame_decides_shape:
        notes.append(f"{unknown} of {ratio}, since the video takes its shape")
    if request.aspect_ratio is None and request.size is None:
        notes.append(f"aspect_ratio is left out and the first frame is an address: {ratio} is taken")
    return tuple(notes)


def _value(row: Format, ratio: str) -> float:
    width, height = row.sizes[ratio]
    return width / height


def _unconfirmed(row: Format, request: VideoRequest) -> tuple[Refusal, ...]:
    if request.fps is None or request.fps == row.fps:
        return ()
    text = f"{row.fps} fps is what is documented at {row.resolution}; {request.fps} fps is only advertised"
    hint = "accept_unconfirmed=True to order it all the same; the file is measured"
    what = f"makes {request.fps} fps at {row.resolution}"
    return (Refusal("fps", f"fps={request.fps}", text, str(row.source), hint, what, text),)
