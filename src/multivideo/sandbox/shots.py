"""The frames of a clip, drawn: a ground that follows from its order, what lies over it, and the card."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from attrs import define, field, frozen

from multivideo.sandbox.card import Card
from multivideo.sandbox.clip import Clip, Film
from multivideo.sandbox.flaws import FLAWS
from multivideo.sandbox.frames import Orb, Scene, picture
from multivideo.sandbox.glyphs import Planes
from multivideo.sandbox.ground import Dice, Palette, paint
from multivideo.sandbox.overlays import insets, label, watermark
from multivideo.sandbox.reels import Reel, reel_of

__all__ = ["Shot", "continued_frames"]

_PLAYED = "made from a given video"


class _Ground(Protocol):
    def draw(self, planes: Planes, index: int, time: float) -> None:
        """Fill a frame."""
        ...


def continued_frames(clip: Clip) -> int:
    """How many frames at its beginning are those of the film that it goes on from."""
    if clip.film is None or clip.replayed:
        return 0
    return min(round(clip.film.seconds * clip.fps), clip.frames)


class Shot:
    """Draws the frames of a clip. Any may be asked for; where a film is shown, in their order is quickest."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        width, height = clip.width, clip.height
        dice = Dice("scene", clip.model, clip.prompt, clip.seed)
        palette = Palette.of(clip.model, Dice("tint", clip.seed).roll(-1, 1), sharpness=5000 / min(width, height))
        self._ground = _ground(clip, palette, dice)
        self._over = insets(clip.references, width, height)
        if clip.replayed:
            self._over.append(label(_PLAYED, width, height, len(clip.references)))
        note = f"seed {clip.seed}"
        self._card = Card(width, height, palette.accent, model=clip.model, prompt=clip.prompt, note=note)
        self._mark = watermark(width, height) if clip.marked else None
        self._begins = continued_frames(clip)
        self._flaws = [FLAWS[name] for name in clip.flaws]

    def draw(self, planes: Planes, index: int) -> None:
        """Fill a frame of the clip's size; what is continued stays as it was, its own card included."""
        clip, shown = self._clip, index
        for flaw in self._flaws:
            shown = flaw.frame(shown)
        self._ground.draw(planes, shown, shown / clip.fps)
        if shown >= self._begins:
            for patch in self._over:
                patch.draw(planes)
            self._card.draw(planes, shown, frames=clip.frames, fps=clip.fps)
        if self._mark is not None:
            self._mark.draw(planes)
        for flaw in self._flaws:
            flaw.picture(planes)


def _ground(clip: Clip, palette: Palette, dice: Dice) -> _Ground:
    ground: _Ground
    if clip.film is not None:
        ground = _of_film(clip, clip.film, palette, dice)
    elif clip.first_frame is not None:
        ground = _still(clip, picture(clip.first_frame, clip.width, clip.height), dice)
    else:
        ground = _landscape(clip, palette, dice)
    span = max(min(clip.fps, clip.frames // 2), 1)
    if clip.film is not None and clip.first_frame is not None:
        first = picture(clip.first_frame, clip.width, clip.height)
        ground = _Fade(ground, first, lambda index: 1 - index / span)
    if clip.last_frame is not None:
        last = picture(clip.last_frame, clip.width, clip.height)
        ground = _Fade(ground, last, lambda index: 1 - (clip.frames - 1 - index) / span)
    return ground


def _of_film(clip: Clip, film: Film, palette: Palette, dice: Dice) -> _Ground:
    reel = reel_of(film, clip.width, clip.height, Shot)
    if clip.replayed:
        _, *tint = palette.accent
        return _Replay(reel, max(round(film.seconds * clip.fps), 1), clip.fps, (tint[0], tint[1]))
    return _Sequel(reel, continued_frames(clip), clip.fps, lambda planes: _still(clip, planes, dice))


def _landscape(clip: Clip, palette: Palette, dice: Dice) -> Scene:
    unit = min(clip.width, clip.height)
    across, down = _even(clip.width / 4), _even(clip.height / 4)
    size = (clip.width + across, clip.height + down)
    ground = paint(*size, unit=unit, prompt=clip.prompt, palette=palette, dice=dice)
    start = (round(dice.roll()) * across, round(dice.roll()) * down)
    return Scene(
        ground=ground,
        width=clip.width,
        height=clip.height,
        speed=_speed(clip, dice, 0.03),
        start=start,
        orbs=tuple(Orb.throw(unit, palette.accent, dice) for _ in range(int(dice.roll(2, 5)))),
    )


def _still(clip: Clip, planes: Planes, dice: Dice) -> Scene:
    """A given picture that drifts; what comes in at its edges is the picture mirrored."""
    across, down = _even(clip.width / 10), _even(clip.height / 10)
    y, u, v = (
        np.pad(plane, ((0, down // part), (0, across // part)), "symmetric")
        for plane, part in zip(planes, (1, 2, 2), strict=True)
    )
    return Scene(ground=(y, u, v), width=clip.width, height=clip.height, speed=_speed(clip, dice, 0.02))


def _speed(clip: Clip, dice: Dice, pace: float) -> tuple[int, int]:
    """Pixels a frame to the right and down; one of them is never 0, so that no frame stands still."""
    step = max(round(pace * max(clip.width, clip.height) / clip.fps), 1)
    slant = round(step * dice.roll(0, 0.7))
    return (step, slant) if clip.width >= clip.height else (slant, step)


def _even(length: float) -> int:
    return max(round(length / 2) * 2, 2)


@frozen(eq=False)
class _Replay:
    """A film that is played over and over under a tint."""

    _reel: Reel
    _frames: int
    _fps: int
    _tint: tuple[int, int]

    def draw(self, planes: Planes, index: int, time: float) -> None:
        """The frame of that index, counted in the clip's rate."""
        self._reel.draw(planes, index % self._frames / self._fps)
        for plane, colour in zip(planes[1:], self._tint, strict=True):
            plane[:] = (plane >> 1) + (colour >> 1)


@define(eq=False)
class _Sequel:
    """A film as it was, then its last picture, which begins to drift."""

    _reel: Reel
    _frames: int
    _fps: int
    _still_of: Callable[[Planes], Scene]
    _rest: Scene | None = field(init=False, default=None)

    def draw(self, planes: Planes, index: int, time: float) -> None:
        """The frame of that index."""
        if index < self._frames:
            self._reel.draw(planes, index / self._fps)
            return
        if self._rest is None:
            self._reel.draw(planes, max(self._frames - 1, 0) / self._fps)
            self._rest = self._still_of(planes)
        self._rest.draw(planes, index - self._frames + 1, time)


@frozen(eq=False)
class _Fade:
    """A ground over which a picture lies, as far as a share from 0 to 1 says for each frame."""

    _under: _Ground
    _picture: Planes
    _share: Callable[[int], float]

    def draw(self, planes: Planes, index: int, time: float) -> None:
        """The frame of that index."""
        self._under.draw(planes, index, time)
        share = round(256 * min(max(self._share(index), 0), 1))
        if share == 256:
            for plane, target in zip(planes, self._picture, strict=True):
                plane[:] = target
        elif share > 0:
            for plane, target in zip(planes, self._picture, strict=True):
                step = (target.astype(np.int16) - plane) >> 1  # 255 steps by 256 do not fit 16 bits with a sign
                plane[:] = plane + ((step * share) >> 7)
