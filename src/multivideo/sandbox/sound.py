"""What a clip sounds like: a click at each full second over a quiet tone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["SAMPLE_RATE", "soundtrack"]

SAMPLE_RATE = 48_000
_TONE_LEVEL = 0.03  # about -30 dB: there, but the clicks stand far above it
_CLICK_LEVEL = 0.6  # AAC overshoots on an attack by up to a half
_PENTATONIC = (0, 2, 4, 7, 9)  # any two of these notes sound well together, so clips can be joined


def soundtrack(seconds: float, voice: float) -> NDArray[np.float32]:
    """Mono samples of the whole clip.

    Args:
        seconds: length of the sound.
        voice: 0 to 1, picks the pitch of the tone out of two octaves from 196 Hz.
    """
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    octave, note = divmod(int(voice * 9.999), 5)
    pitch = 196.0 * 2 ** (octave + _PENTATONIC[note] / 12)
    swell = 0.75 + 0.25 * np.cos(np.pi * time)
    tone = np.sin(2 * np.pi * pitch * time) + 0.5 * np.sin(3 * np.pi * pitch * time + 1)
    # The click starts at its loudest: where it begins is then as sharp as where it peaks.
    since = time % 1.0
    click = np.cos(2 * np.pi * 1_800 * since) * np.exp(-since / 0.004)
    mixed = _TONE_LEVEL * swell * tone + _CLICK_LEVEL * np.where(since < 0.05, click, 0.0)
    return mixed.astype(np.float32)
