"""What OpenAI checks of orders that start from a video (remix, edits, extensions), and what they make of it.

Sources: OpenAI's video guide and published specification (August 2026): an extension adds 4 to 20 seconds, at most six
times and up to 120 seconds in all, and takes neither characters nor an `input_reference`; a remix and an edit keep
model, size and length of their source. Nobody documents what they cost: a new segment counts for itself, a remix and an
edit for the length of their result.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve, frozen

from multivideo.sandbox.clip import Clip, Film
from multivideo.sandbox.fields import is_object
from multivideo.sandbox.footage import measure, pictures_of
from multivideo.sandbox.jobs import Draft, Job
from multivideo.sandbox.openai_fields import (
    Upload,
    check_blocked,
    check_choice,
    check_known,
    missing,
    read_prompt,
    read_text,
    refuse,
    wrong_type,
)
from multivideo.sandbox.openai_order import FPS, MODELS, SECONDS, check_model, make_clip, make_draft, read_seconds
from multivideo.sandbox.wire import Refused

__all__ = ["Sequel", "Source", "bad_video", "read_edit", "read_extension", "read_remix", "source_of", "uploaded"]

_MOST_EXTENSIONS = 6
_LONGEST = 120


@frozen(kw_only=True)
class Source:
    """The video that an order starts from.

    Args:
        film: what it shows and how long it is.
        model: what made it, or would make it.
        extensions: how often it was extended already.
    """

    film: Film
    model: str
    extensions: int = 0


@frozen(kw_only=True)
class Sequel:
    """A checked body. Its source is an id, to be looked up, or a file.

    Args:
        added: seconds that an extension adds; None: the order makes its source anew.
        model: that of an edited file.
    """

    operation: str
    prompt: str
    video: str | Upload
    added: int | None = None
    model: str | None = None

    def draft(self, source: Source) -> Draft:
        """The draft of the order; Refused when the source cannot be extended so far."""
        video = self.video if isinstance(self.video, str) else None
        shown = {"operation": self.operation, "video": video, "extensions": 0}
        film = source.film
        length, size = max(round(film.seconds), 1), f"{film.width}x{film.height}"
        if self.added is None:
            check_blocked(self.prompt)
            clip = evolve(make_clip(source.model, self.prompt, length, size), film=film, replayed=True, dubbed=True)
            return make_draft(clip, length, shown)
        if source.extensions >= _MOST_EXTENSIONS:
            raise _unfit(f"a video can be extended at most {_MOST_EXTENSIONS} times")
        if length + self.added > _LONGEST:
            raise _unfit(f"an extended video can be at most {_LONGEST} seconds long, not {length + self.added}")
        check_blocked(self.prompt)
        longer = evolve(make_clip(source.model, self.prompt, length + self.added, size), film=film)
        return make_draft(longer, self.added, {**shown, "extensions": source.extensions + 1})


def _unfit(reason: str) -> Refused:
    return refuse(400, f"Invalid 'video': {reason}.", code="invalid_value", param="video")


def bad_video() -> Refused:
    """The refusal of a file that is no video."""
    message = "Invalid video file for 'video'. Supported formats are: video/mp4."
    return refuse(400, message, code="invalid_value", param="video")


def read_remix(fields: Mapping[str, object], video: str) -> Sequel:
    """The body of a remix; its source stands in the path."""
    check_known(fields, ("prompt",))
    return Sequel(operation="remix", prompt=read_prompt(fields), video=video)


def read_edit(fields: Mapping[str, object]) -> Sequel:
    """The body of an edit. The model is that of the source, and must be said of a file only."""
    check_known(fields, ("prompt", "video", "model"))
    prompt, video = read_prompt(fields), _video(fields)
    model = read_text(fields, "model", "")
    if isinstance(video, Upload) and "model" not in fields:
        raise missing("model")
    if "model" in fields:
        check_model(model)
    return Sequel(operation="edits", prompt=prompt, video=video, model=model or None)


def read_extension(fields: Mapping[str, object]) -> Sequel:
    """The body of an extension; its seconds are those of the new part."""
    check_known(fields, ("prompt", "video", "seconds"))
    prompt = read_prompt(fields)
    if "seconds" not in fields:
        raise missing("seconds")
    seconds, video = read_seconds(fields, ""), _video(fields)
    check_choice("seconds", seconds, SECONDS)
    return Sequel(operation="extensions", prompt=prompt, video=video, added=int(seconds))


def _video(fields: Mapping[str, object]) -> str | Upload:
    """The source: the id of an object, or the file of a form."""
    if "video" not in fields:
        raise missing("video")
    given = fields["video"]
    if isinstance(given, Upload):
        return given
    if not is_object(given):
        raise wrong_type("video", "an object", given)
    check_known(given, ("id",), "video.")
    if "id" not in given:
        raise missing("video.id")
    if not isinstance(given["id"], str):
        raise wrong_type("video.id", "a string", given["id"])
    return given["id"]


def source_of(job: Job, made: Clip) -> Source:
    """A finished job as a source: its look as it was made, its size and length as ordered."""
    size, seconds, count = job.request["size"], job.request["seconds"], job.request.get("extensions", 0)
    width, height = (int(side) for side in str(size).split("x"))
    clip = evolve(made, width=width, height=height, seconds=int(str(seconds)), fps=FPS, flaws=())
    return Source(film=Film.of(clip), model=job.model, extensions=count if isinstance(count, int) else 0)


def uploaded(order: Sequel, file: Upload) -> Source:
    """An uploaded file as a source: it must be an MP4 file of a size that the model makes."""
    try:
        film = measure(file.data)
        next(pictures_of(file.data))
    except (ValueError, StopIteration):
        raise bad_video() from None
    size = f"{film.width}x{film.height}"
    # An extension has no field for the model: the first that makes this size.
    models = [order.model] if order.model else list(MODELS)
    model = next((name for name in models if size in MODELS[name]), None)
    if model is None:
        raise _unfit(f"{size} is not a supported size")
    if film.seconds > _LONGEST:
        raise _unfit(f"a video can be at most {_LONGEST} seconds long")
    return Source(film=film, model=model)
