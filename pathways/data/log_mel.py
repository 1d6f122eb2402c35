"""Log-mel spectrograms: sound as an image of loudness over pitch and time, whatever the recording's level."""

from __future__ import annotations

from typing import Any

import numpy as np

from pathways.errors import DataError

from .resize import area_weights

WINDOW = 0.032
"""Seconds of one frame; a new one begins every quarter of it."""
RANGE = 80.0
"""How many decibels below the loudest cell count as silence."""

Array = np.ndarray[Any, Any]


def mel_filters(bands: int, points: int, rate: int) -> Array:
    """(bands, points // 2 + 1): triangular filters of height 1, evenly spaced on the mel scale, lowest first.

    The scale is HTK's, `m = 2595 log10(1 + f / 700)` (Young et al. 2002, The HTK Book, 5.4), from 0 to `rate / 2` Hz.

    Args:
        bands: how many filters.
        points: of the Fourier transform whose spectrum they weigh.
        rate: samples a second.

    Raises:
        DataError: a band lies between two frequencies of the spectrum and would always be silent.

    >>> mel_filters(2, 16, 8000).round(2)[0]
    array([0.  , 0.81, 0.68, 0.25, 0.  , 0.  , 0.  , 0.  , 0.  ])
    """
    top = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1)
    frequencies = np.arange(points // 2 + 1) * rate / points
    rise = (frequencies - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - frequencies) / np.diff(edges)[1:, None]
    filters = np.maximum(np.minimum(rise, fall), 0)
    if not filters.sum(1).all():
        raise DataError(f"`bands` must leave a frequency to each band, found {bands} at {rate} Hz: use fewer.")
    return np.asarray(filters)


def log_mel(audio: Array, rate: int, bands: int = 28, frames: int = 28) -> Array:
    """A recording as an image (bands, frames) of bytes: 255 is its loudest cell, 0 is 80 decibels below or less.

    Power spectra of Hann windows of 32 ms every 8 ms, through `mel_filters`; the whole recording is stretched to
    `frames` columns by area averaging; then `255 (1 + 10 log10(p / max p) / 80)`. Levels are relative to the
    recording's own maximum, so its loudness does not matter. High pitch is at the top.

    Args:
        audio: (N,) samples.
        rate: of them, a second.
        bands: rows.
        frames: columns.

    Raises:
        DataError: the recording is silent.

    >>> tone = np.sin(2 * np.pi * 440 * np.arange(4000) / 8000)
    >>> image = log_mel(tone, 8000)
    >>> image.shape, int(image.argmax(0)[14]), bool((log_mel(tone / 100, 8000) == image).all())
    ((28, 28), 21, True)
    """
    from scipy.signal import spectrogram  # takes a while to import

    window = round(WINDOW * rate)
    points = 2 * window  # padded with zeros, so that the lowest bands see more than one frequency
    padded = np.pad(audio.astype(np.float64), window // 2)
    _, _, power = spectrogram(
        padded, rate, "hann", nperseg=window, noverlap=window - window // 4, nfft=points, detrend=False
    )
    mel = mel_filters(bands, points, rate) @ power @ area_weights(power.shape[1], frames).T
    if not mel.max() > 0:
        raise DataError("`audio` must hold a sound, found silence: leave the recording out.")
    with np.errstate(divide="ignore"):  # log of 0 is far below the range, as it should be
        level = 1 + 10 * np.log10(mel / mel.max()) / RANGE
    return np.rint(255 * np.clip(level, 0, 1)).astype(np.uint8)[::-1].copy()
