"""What a clip sounds like: its own tone, the sound of the video it is made from, or one after the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from multivideo.sandbox.clip import Clip, Film
from multivideo.sandbox.footage import samples_of
from multivideo.sandbox.ground import Dice
from multivideo.sandbox.sound import SAMPLE_RATE, soundtrack

__all__ = ["track"]


def track(clip: Clip) -> NDArray[np.float32]:
    """Mono samples of a clip: its own tone, that of its film over and over, or one after the other."""
    length = clip.frames / clip.fps
    own = soundtrack(length, Dice("voice", clip.model, clip.seed).roll())
    if clip.film is None or (clip.dubbed and not clip.film.sound):
        return own
    film = _sound_of(clip.film)
    if clip.replayed:
        return np.resize(film, len(own))
    return np.concatenate([film[: len(own)], own[len(film) :]])


def _sound_of(film: Film) -> NDArray[np.float32]:
    """Samples of a film, exactly as long as its pictures; silence where it has no sound."""
    whole = np.zeros(max(round(film.seconds * SAMPLE_RATE), 1), np.float32)
    if film.sound:
        samples = samples_of(film.source) if isinstance(film.source, bytes) else track(film.source)
        whole[: len(samples)] = samples[: len(whole)]
    return whole
