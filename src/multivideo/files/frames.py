"""Pictures out of a finished clip. Needs the extra `media` (PyAV and Pillow), which is imported on first use."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .boxes import NotAVideo, measure

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["NeedsMedia", "contact_sheet", "frames", "last_frame", "opened", "seek_end"]

_TILE_WIDTH = 320
_GAP = 8


class NeedsMedia(ImportError):
    """Decoding pictures takes PyAV and Pillow, which a lean install does not bring."""

    def __init__(self) -> None:
        super().__init__("decoding pictures needs PyAV and Pillow: pip install 'multivideo[media]'")


def frames(path: Path, n: int) -> list[Image.Image]:
    """The pictures in the middle of `n` equal parts of the clip, upright and in full size.

    A clip with fewer pictures than that gives some of them more than once.

    Raises:
        NotAVideo: the file is none, or cannot be decoded.
        NeedsMedia: the extra `media` is not installed.
    """
    if n < 1:
        raise ValueError(f"n={n}: at least one picture must be asked for")
    return list(_spread(path, n))


def last_frame(path: Path) -> Image.Image:
    """Exactly the picture that the clip ends with, upright and in full size: what a following clip goes on from.

    Raises:
        NotAVideo: the file is none, or its end cannot be decoded.
        NeedsMedia: the extra `media` is not installed.
    """
    measure(path)
    _pillow()
    with opened(path) as (container, stream):
        seek_end(container, stream)
        last = deque(container.decode(stream), maxlen=1)
        if not last:
            raise NotAVideo("no picture follows its last key frame")
        return _picture(last[0])


def contact_sheet(path: Path, columns: int = 4, rows: int = 3) -> Image.Image:
    """One picture that shows the whole clip as small ones, in reading order.

    Raises:
        NotAVideo: the file is none, or cannot be decoded.
        NeedsMedia: the extra `media` is not installed.
    """
    if columns < 1 or rows < 1:
        raise ValueError(f"columns={columns}, rows={rows}: at least one of each must be asked for")
    facts = measure(path)
    image = _pillow()
    width, height = _TILE_WIDTH, max(1, round(_TILE_WIDTH * facts.height / facts.width))
    sheet: Image.Image = image.new("RGB", (columns * (width + _GAP) + _GAP, rows * (height + _GAP) + _GAP), "black")
    for number, picture in enumerate(_spread(path, columns * rows)):
        row, column = divmod(number, columns)
        sheet.paste(picture.resize((width, height)), (_GAP + column * (width + _GAP), _GAP + row * (height + _GAP)))
    return sheet


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """PyAV's container and video stream of this file; what libav finds wrong inside the block is a NotAVideo."""
    try:
        import av
        import av.error
    except ImportError:
        raise NeedsMedia from None
    try:
        try:
            container = av.open(str(path))
        except UnicodeDecodeError:  # a tag that is not UTF-8 stops PyAV up to 18; 19 reads it and has no such option
            container = av.open(str(path), metadata_errors="replace")
        with container:
            if not container.streams.video:
                raise NotAVideo("it has no video track")
            yield container, container.streams.video[0]
    except av.error.FFmpegError as error:
        raise NotAVideo(f"it cannot be decoded: {error.strerror}") from None


def seek_end(container: Any, stream: Any) -> None:
    """Go to the last key frame that is shown in an opened PyAV container; decoding on from there reaches its end."""
    if stream.duration:
        # one tick early: an edit list may end exactly where a key frame that is no longer shown begins
        container.seek((stream.start_time or 0) + stream.duration - 1, stream=stream)


def _spread(path: Path, n: int) -> Iterator[Image.Image]:
    """`n` pictures, decoded in one pass: generated clips have few key frames, and each seek would go back to one."""
    duration = measure(path).duration
    _pillow()
    with opened(path) as (container, stream):
        stream.thread_type = "AUTO"
        start = float((stream.start_time or 0) * stream.time_base)
        moments = [start + duration * (part + 0.5) / n for part in range(n)]
        yield from _at(moments, container.decode(stream))


def _at(moments: list[float], decoded: Iterator[Any]) -> Iterator[Image.Image]:
    """The picture that stands on the screen at each of these growing moments."""
    shown = None
    for frame in decoded:
        while shown is not None and moments and frame.time > moments[0]:
            del moments[0]
            yield _picture(shown)
        if not moments:
            return
        shown = frame
    if shown is None:
        raise NotAVideo("none of its pictures can be decoded")
    for _ in moments:
        yield _picture(shown)


def _picture(frame: Any) -> Image.Image:
    picture: Image.Image = frame.to_image()
    turn = getattr(frame, "rotation", 0)  # PyAV 14.0 does not say it
    return picture.rotate(turn, expand=True) if turn else picture


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise NeedsMedia from None
    return Image
