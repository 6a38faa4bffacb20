"""A clip in words: all that a rendered file depends on, and the video that it may be made from."""

from __future__ import annotations

from attrs import frozen

__all__ = ["Clip", "Film"]


@frozen(kw_only=True)
class Film:
    """A video that a clip is made from: one that was made here, or a file.

    Args:
        source: the clip as it was ordered, or the bytes of a file.
        width: pixels.
        height: pixels.
        seconds: length of its pictures.
        fps: frames per second.
        sound: whether it has a sound stream.
    """

    source: Clip | bytes
    width: int
    height: int
    seconds: float
    fps: float
    sound: bool

    @classmethod
    def of(cls, clip: Clip) -> Film:
        """A video that was made here."""
        return cls(
            source=clip,
            width=clip.width,
            height=clip.height,
            seconds=clip.frames / clip.fps,
            fps=clip.fps,
            sound=clip.audio,
        )


@frozen(kw_only=True, cache_hash=True)
class Clip:
    """All that a rendered file depends on; equal clips give the same bytes.

    Args:
        model: name of the model, shown as title; it picks the colours.
        prompt: any text, shown wrapped and cut; it picks the kind of ground.
        seed: picks shapes, motion and the lean of the colours.
        width: pixels, even.
        height: pixels, even.
        seconds: length, rounded to whole frames.
        fps: frames per second.
        audio: False gives a file without an audio stream.
        first_frame: a PNG, JPEG or WebP file from which the clip starts, stretched to its size.
        last_frame: a picture into which the clip fades, until its last frame shows nothing else.
        references: pictures that are shown small along the upper edge.
        film: a video that the clip begins with, frame by frame, and goes on from; or that it plays.
        replayed: the film is played from beginning to end, over and over if need be, tinted and with a label.
        dubbed: a replayed film without sound gets a tone; else it stays silent.
        marked: a watermark is shown.
        flaws: what shall be wrong in it, names of `FLAWS`.
    """

    model: str
    prompt: str
    seed: int
    width: int
    height: int
    seconds: float
    fps: int
    audio: bool
    first_frame: bytes | None = None
    last_frame: bytes | None = None
    references: tuple[bytes, ...] = ()
    film: Film | None = None
    replayed: bool = False
    dubbed: bool = False
    marked: bool = False
    flaws: tuple[str, ...] = ()

    @property
    def frames(self) -> int:
        """How many frames the file has, at least one."""
        return max(round(self.seconds * self.fps), 1)

    @property
    def is_plain(self) -> bool:
        """Whether it shows nothing that a caller sent but words."""
        return self.first_frame is None and self.last_frame is None and not self.references and self.film is None
