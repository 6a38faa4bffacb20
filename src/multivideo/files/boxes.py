"""What an MP4 file really is, read from its own headers: no video library is needed and no picture is decoded.

An MP4 file is a row of boxes, each a length, a four-letter kind and a body (ISO/IEC 14496-12:2022, section 4.2).
`ftyp` comes first, `mdat` holds the coded samples, `moov` says what they are and at which bytes each of them lies.
A file that was cut off while it travelled may still have a whole `moov`, so every sample is looked up among the bytes
that are there. Nothing a file says is believed before it is compared with its length.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from io import SEEK_END, BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

from attrs import define, field, frozen

from .sniff import looks_like

__all__ = ["Measured", "NotAVideo", "measure"]

_MOOV_LIMIT = 64 * 2**20  # bytes; a clip of a minute needs some 50 KB
_MOOFS_LIMIT = 8 * 2**20  # bytes of all together; a fragmented hour needs some 4 MB
_TOP_LIMIT = 16_384  # boxes at the top level; a fragmented hour has 3,600 moof and as many mdat
_CHILD_LIMIT = 256  # boxes in one box
_ROW_LIMIT = 2**20  # rows of one table, and frames: more than four hours at 60 fps
_SECONDS_LIMIT = 86_400
_FPS_LIMITS = (0.01, 1_000)


class NotAVideo(ValueError):
    """This file is no complete MP4 video; the text says what is wrong with it."""


@frozen(kw_only=True)
class Measured:
    """What the file's headers say, after they were compared with its bytes.

    `duration` is how many seconds the pictures last when played; `width` and `height` are as shown, so a turned clip
    has them exchanged; `frames` counts the coded pictures; `video_codec` is the kind of the sample entry ("avc1").
    """

    duration: float
    width: int
    height: int
    fps: float
    has_audio: bool
    size_bytes: int
    video_codec: str
    frames: int


def measure(source: Path | bytes) -> Measured:
    """Length, size, frame rate and sound of an MP4 file, or of its bytes; reads its headers only, however large it is.

    A fragmented file that was cut off exactly between two fragments is whole to its headers, and measures as shorter.

    Raises:
        NotAVideo: it is something else, is cut off, holds no pictures, or says what cannot be.
        OSError: it cannot be read.
    """
    with source.open("rb", buffering=0) if isinstance(source, Path) else BytesIO(source) as file:
        size_bytes = file.seek(0, SEEK_END)
        movie = _Movie.read(file, size_bytes)
    pictures = [track for track in movie.tracks.values() if track.handler == "vide"]
    if not pictures:
        raise NotAVideo("it has no video track")
    # a disabled track is a preview or a chapter picture
    track = next((track for track in pictures if track.enabled), pictures[0])
    duration, fps = _pace(track, movie.timescale)
    return Measured(
        duration=duration,
        width=track.height if track.turned else track.width,
        height=track.width if track.turned else track.height,
        fps=fps,
        has_audio=any(other.handler == "soun" and other.size_bytes for other in movie.tracks.values()),
        size_bytes=size_bytes,
        video_codec=track.codec,
        frames=track.samples,
    )


@frozen
class _Span:
    """One top-level box: its kind, where it begins, and the bytes of its body."""

    kind: str
    at: int
    start: int
    end: int


@define
class _Box:
    """The body of a box in memory, read from front to back."""

    kind: str
    data: memoryview
    at: int = 0

    def read(self, layout: str) -> tuple[Any, ...]:
        """The next fields, as `struct` unpacks them."""
        try:
            values = struct.unpack_from(layout, self.data, self.at)
        except struct.error:
            raise NotAVideo(f"its {self.kind} box is too short") from None
        self.at += struct.calcsize(layout)
        return values

    def version(self) -> tuple[int, int]:
        """Version, 0 or 1, and flags, with which many boxes begin."""
        (word,) = self.read(">I")
        if word >> 24 > 1:
            raise NotAVideo(f"its {self.kind} box has the unknown version {word >> 24}")
        return word >> 24, word & 0xFFFFFF

    def table(self, rows: int, columns: int, typecode: str = "I") -> array[int]:
        """The numbers of a table, row after row. It is checked to be there before any memory is taken for it."""
        numbers = array(typecode)
        length = rows * columns * numbers.itemsize
        if rows > _ROW_LIMIT or length > len(self.data) - self.at:
            raise NotAVideo(f"its {self.kind} box says it has {rows:,} entries, which cannot be")
        numbers.frombytes(self.data[self.at : self.at + length])
        self.at += length
        if sys.byteorder == "little":
            numbers.byteswap()
        return numbers

    def children(self) -> Iterator[_Box]:
        """The boxes in the rest of this one. Fewer than eight bytes at its end are QuickTime's padding."""
        for _ in range(_CHILD_LIMIT):
            if len(self.data) - self.at < 8:
                return
            span = _span(self.data[self.at : self.at + 16], self.at, len(self.data))
            self.at = span.end
            yield _Box(span.kind, self.data[span.start : span.end])
        raise NotAVideo(f"its {self.kind} box has more than {_CHILD_LIMIT} parts")

    def parts(self) -> _Parts:
        """The boxes in the rest of this one, by kind."""
        parts = _Parts(self.kind)
        for child in self.children():
            parts.boxes.setdefault(child.kind, []).append(child)
        return parts


@define
class _Parts:
    """What lies in one box."""

    parent: str
    boxes: dict[str, list[_Box]] = field(factory=dict)

    def all(self, kind: str) -> list[_Box]:
        """Every box of that kind, perhaps none."""
        return self.boxes.get(kind, [])

    def one(self, *kinds: str) -> _Box:
        """The first box of the first of these kinds that is there."""
        for kind in kinds:
            if kind in self.boxes:
                return self.boxes[kind][0]
        raise NotAVideo(f"its {self.parent} box has no {' or '.join(kinds)}")


def _span(head: bytes | memoryview, at: int, end: int) -> _Span:
    """The box that begins at byte `at` of a room that ends at byte `end`, told from its first 16 bytes."""
    if len(head) < 8:
        raise NotAVideo(f"it ends in the middle of a box header, at byte {end:,}")
    size, letters = struct.unpack_from(">I4s", head)
    kind, start = letters.decode("latin-1"), at + 8
    if size == 1 and len(head) >= 16:
        size, start = struct.unpack_from(">Q", head, 8)[0], at + 16
    elif size == 0:  # to the end of the room
        size = end - at
    if size < start - at:
        raise NotAVideo(f"its box {kind!r} at byte {at:,} says it is {size} bytes long")
    if at + size > end:
        raise NotAVideo(
            f"its box {kind!r} at byte {at:,} says {size:,} bytes, but only {end - at:,} are there: it is cut off"
        )
    return _Span(kind, at, start, at + size)


def _top_level(file: BinaryIO, size_bytes: int) -> list[_Span]:
    """Every box of the file, from `ftyp` to its last byte."""
    file.seek(0)
    head = file.read(512)
    if not head:
        raise NotAVideo("it is empty")
    if head[4:8] != b"ftyp":
        kind = looks_like(head)
        raise NotAVideo(f"it is {kind}, no MP4 video" if kind else f"it begins with {head[:8]!r}, no ftyp box")
    spans: list[_Span] = []
    at = 0
    while at < size_bytes:
        if len(spans) == _TOP_LIMIT:
            raise NotAVideo(f"it has more than {_TOP_LIMIT:,} boxes")
        file.seek(at)
        spans.append(_span(file.read(16), at, size_bytes))
        at = spans[-1].end
    return spans


@define
class _Media:
    """Where coded samples may lie: the bodies of the `mdat` boxes."""

    starts: list[int]
    ends: list[int]

    def check(self, start: int, end: int, whose: str) -> None:
        """Refuse samples that are not there."""
        place = bisect_right(self.starts, start) - 1
        if end > start and (place < 0 or end > self.ends[place]):
            raise NotAVideo(
                f"its {whose} samples at bytes {start:,} to {end:,} are not there: it is cut off or damaged"
            )


@define
class _Track:
    """One track, with what its own tables and then the fragments say about it. `ticks` are of its own timescale."""

    track_id: int
    handler: str
    timescale: int
    enabled: bool
    turned: bool
    codec: str = ""
    width: int = 0
    height: int = 0
    edits: list[int] = field(factory=list)
    samples: int = 0
    ticks: int = 0
    size_bytes: int = 0
    default_ticks: int = 0
    default_bytes: int = 0

    @property
    def name(self) -> str:
        """What messages call it."""
        return {"vide": "video", "soun": "audio"}.get(self.handler, self.handler)


@define
class _Movie:
    """All tracks by number; the samples of pictures and sound are found."""

    timescale: int
    tracks: dict[int, _Track]

    @classmethod
    def read(cls, file: BinaryIO, size_bytes: int) -> _Movie:
        spans = _top_level(file, size_bytes)
        moov = next((span for span in spans if span.kind == "moov"), None)
        moofs = [span for span in spans if span.kind == "moof"]
        if moov is None:
            raise NotAVideo(f"it has no moov box among {', '.join(_kinds(spans))}")
        if moov.end - moov.at > _MOOV_LIMIT or sum(moof.end - moof.at for moof in moofs) > _MOOFS_LIMIT:
            raise NotAVideo("its moov or moof boxes are too large to be true")
        mdat = [span for span in spans if span.kind == "mdat"]
        media = _Media([span.start for span in mdat], [span.end for span in mdat])
        movie = _moov(_load(file, moov), media)
        for moof in moofs:
            _moof(_load(file, moof), moof.at, movie.tracks, media)
        return movie


def _kinds(spans: Sequence[_Span]) -> list[str]:
    return [repr(kind) for kind in dict.fromkeys(span.kind for span in spans[:20])]


def _load(file: BinaryIO, span: _Span) -> _Box:
    file.seek(span.start)
    data = file.read(span.end - span.start)
    if len(data) < span.end - span.start:
        raise NotAVideo("it became shorter while it was read")
    return _Box(span.kind, memoryview(data))


def _moov(moov: _Box, media: _Media) -> _Movie:
    parts = moov.parts()
    mvhd = parts.one("mvhd")
    version, _ = mvhd.version()
    (timescale,) = mvhd.read(">16xI" if version else ">8xI")
    tracks = [_trak(trak, media) for trak in parts.all("trak")]
    movie = _Movie(timescale, {track.track_id: track for track in tracks})
    for mvex in parts.all("mvex"):
        for trex in mvex.parts().all("trex"):
            track_id, ticks, length = trex.read(">4xI4xII")
            if (track := movie.tracks.get(track_id)) is not None:
                track.default_ticks, track.default_bytes = ticks, length
    return movie


def _trak(trak: _Box, media: _Media) -> _Track:
    parts = trak.parts()
    tkhd = parts.one("tkhd")
    version, flags = tkhd.version()
    track_id, *matrix = tkhd.read(">16xI28x9i" if version else ">8xI24x9i")
    mdia = parts.one("mdia").parts()
    mdhd = mdia.one("mdhd")
    version, _ = mdhd.version()
    (timescale,) = mdhd.read(">16xI" if version else ">8xI")
    track = _Track(
        track_id=track_id,
        handler=mdia.one("hdlr").read(">8x4s")[0].decode("latin-1"),
        timescale=timescale,
        enabled=bool(flags & 1),
        turned=not (matrix[0] or matrix[4]) and bool(matrix[1] and matrix[3]),  # a quarter turn, either way
    )
    if track.handler in {"vide", "soun"}:
        for edts in parts.all("edts"):
            for elst in edts.parts().all("elst"):
                track.edits += _edits(elst)
        _sample_tables(mdia.one("minf").parts().one("stbl").parts(), track, media)
    return track


def _edits(elst: _Box) -> Iterator[int]:
    """Length, in the movie's timescale, of every part of the media that is shown; 0: all of it."""
    version, _ = elst.version()
    layout = ">Qq4x" if version else ">Ii4x"
    (rows,) = elst.read(">I")
    if rows > _CHILD_LIMIT:
        raise NotAVideo(f"its elst box says it has {rows:,} entries, which cannot be")
    for _ in range(rows):
        length, begin = elst.read(layout)
        if begin >= 0:  # -1: nothing is shown for a while
            yield length


def _sample_tables(stbl: _Parts, track: _Track, media: _Media) -> None:
    stsd = stbl.one("stsd")
    stsd.read(">8x")
    if (entry := next(stsd.children(), None)) is None:
        raise NotAVideo(f"its {track.name} track does not say how it is coded")
    track.codec = entry.kind.strip()
    if track.handler == "vide":
        track.width, track.height = entry.read(">24xHH")
    stts = stbl.one("stts")
    (rows,) = stts.read(">4xI")
    times = stts.table(rows, 2)
    track.samples = sum(times[::2])
    track.ticks = sum(count * ticks for count, ticks in zip(times[::2], times[1::2], strict=True))
    sizes = _Sizes.read(stbl.one("stsz", "stz2"))
    if sizes.count != track.samples:
        raise NotAVideo(f"its {track.name} track times {track.samples:,} samples, but sizes {sizes.count:,}")
    track.size_bytes = sizes.total(0, sizes.count)
    if sizes.count:
        _find_chunks(stbl, sizes, track, media)


@define
class _Sizes:
    """How many bytes each sample has: all the same, or one number each."""

    count: int
    same: int
    each: array[int]

    @classmethod
    def read(cls, box: _Box) -> _Sizes:
        same, count = box.read(">4xII")
        if box.kind == "stz2":  # compact: `same` says how many bits each size takes
            if same not in {4, 8, 16}:
                raise NotAVideo(f"its stz2 box has sizes of {same} bits")
            if same == 4:
                return cls(count, 0, array("I", _nibbles(box.table((count + 1) // 2, 1, "B"))[:count]))
            return cls(count, 0, box.table(count, 1, "H" if same == 16 else "B"))
        return cls(count, same, array("I") if same else box.table(count, 1))

    def total(self, first: int, count: int) -> int:
        """Bytes of `count` samples from sample number `first` on."""
        return self.same * count if self.same else sum(self.each[first : first + count])


def _nibbles(packed: array[int]) -> list[int]:
    return [half for byte in packed for half in (byte >> 4, byte & 15)]


def _find_chunks(stbl: _Parts, sizes: _Sizes, track: _Track, media: _Media) -> None:
    """Look up every chunk of samples among the bytes that are there."""
    box = stbl.one("stco", "co64")
    (rows,) = box.read(">4xI")
    chunks = box.table(rows, 1, "Q" if box.kind == "co64" else "I")
    stsc = stbl.one("stsc")
    (rows,) = stsc.read(">4xI")
    runs = stsc.table(rows, 3)  # first chunk, counted from 1; samples in each chunk; which description
    sample = 0
    for (first, count), (following, _) in pairwise([*zip(runs[::3], runs[1::3], strict=True), (len(chunks) + 1, 0)]):
        if not 0 < first < following <= len(chunks) + 1:
            raise NotAVideo(f"its {track.name} track has a stsc box that makes no sense")
        for start in chunks[first - 1 : following - 1]:
            media.check(start, start + sizes.total(sample, count), track.name)
            sample += count
    if sample != sizes.count:
        raise NotAVideo(f"its {track.name} track places {sample:,} samples, but sizes {sizes.count:,}")


def _moof(moof: _Box, moof_at: int, tracks: dict[int, _Track], media: _Media) -> None:
    """Add the samples of one fragment (ISO/IEC 14496-12:2022, sections 8.8.7 and 8.8.8)."""
    position = moof_at
    for traf in moof.parts().all("traf"):
        parts = traf.parts()
        tfhd = parts.one("tfhd")
        flags, track_id = tfhd.read(">II")
        if (track := tracks.get(track_id)) is None:
            continue
        base = position
        if flags & 0x1:
            (base,) = tfhd.read(">Q")
        elif flags & 0x20000:
            base = moof_at
        if flags & 0x2:
            tfhd.read(">I")
        ticks = tfhd.read(">I")[0] if flags & 0x8 else track.default_ticks
        length = tfhd.read(">I")[0] if flags & 0x10 else track.default_bytes
        position = base
        for trun in parts.all("trun"):
            position = _trun(trun, base, position, (ticks, length), track, media)


def _trun(trun: _Box, base: int, position: int, default: tuple[int, int], track: _Track, media: _Media) -> int:
    """Add one run of samples; gives the byte after the last of them."""
    flags, count = trun.read(">II")
    if flags & 0x1:
        position = base + trun.read(">i")[0]
    if flags & 0x4:
        trun.read(">I")
    columns = [flag for flag in (0x100, 0x200, 0x400, 0x800) if flags & flag]
    rows = trun.table(count, len(columns))

    def total(flag: int, same: int) -> int:
        return sum(rows[columns.index(flag) :: len(columns)]) if flag in columns else count * same

    length = total(0x200, default[1])
    media.check(position, position + length, track.name)
    track.samples += count
    track.ticks += total(0x100, default[0])
    track.size_bytes += length
    return position + length


def _pace(track: _Track, movie_timescale: int) -> tuple[float, float]:
    """Seconds shown and frames a second, once all that was read makes sense."""
    if not track.samples or not track.size_bytes:
        raise NotAVideo("its video track has no frames")
    if not track.width or not track.height:
        raise NotAVideo(f"its video track says {track.width}x{track.height} pixels")
    if not track.timescale or not track.ticks or not (movie_timescale or not track.edits):
        raise NotAVideo("its video track has no time")
    seconds = track.ticks / track.timescale
    shown = _shown(track.edits, movie_timescale, seconds)
    fps = track.samples / seconds
    slowest, fastest = _FPS_LIMITS
    if track.samples > _ROW_LIMIT or max(seconds, shown) > _SECONDS_LIMIT or not slowest <= fps <= fastest:
        raise NotAVideo(f"its video track says {track.samples:,} frames in {seconds:,.3f} s, which cannot be")
    return shown, _usual(fps)


def _shown(edits: list[int], timescale: int, seconds: float) -> float:
    """How many of these seconds of pictures are shown.

    An edit cannot show more than there is. Where in the media it begins is not counted against that: with B-frames the
    first picture is shown some ticks late, and the edit list begins there to make up for it.
    """
    return sum(min(length / timescale, seconds) if length else seconds for length in edits) if edits else seconds


def _usual(fps: float) -> float:
    """The frame rate that is meant: 24 for 24.0004, 23.976 for 24000/1001; others to three places."""
    whole = float(round(fps))
    for rate in (whole, whole * 1000 / 1001):
        if abs(fps - rate) <= rate * 0.0002:
            return round(rate, 3)
    return round(fps, 3)
