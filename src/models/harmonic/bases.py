"""Matrices of filters and of mel bands, in numpy."""

import numpy as np

from src.audio import mel_filters
from src.config import AudioConfig


def minimum_phase_matrix(n_fft: int) -> np.ndarray:
    """Matrix float32 [bins, bins] from the log magnitude of a minimum-phase filter to its phase.

    The real cepstrum of the log magnitude, folded onto positive times, is the cepstrum of the minimum-phase filter
    (Oppenheim & Schafer, "Discrete-Time Signal Processing", chapter on the cepstrum); the imaginary part of its
    transform is the phase. All of this is linear.
    """
    cepstra = np.fft.irfft(np.eye(n_fft // 2 + 1), n_fft)
    fold = np.zeros(n_fft)
    fold[0] = fold[n_fft // 2] = 1
    fold[1 : n_fft // 2] = 2
    return np.fft.rfft(cepstra * fold).imag.astype(np.float32)


def spread_matrix(audio: AudioConfig) -> np.ndarray:
    """Matrix float32 [n_mels, bins] that spreads values of mel bands over the bins of a spectrum, by weighted means.

    A bin's weights are those of the bands that it belongs to, each band normalised to a peak of 1; they sum to 1. Bins
    outside all bands take the value of the nearest one.
    """
    filters = mel_filters(audio)
    filters = filters / np.maximum(filters.max(1, keepdims=True), 1e-8)
    inside = np.flatnonzero(filters.sum(0) > 1e-3)
    nearest = inside[np.abs(np.arange(filters.shape[1])[:, None] - inside).argmin(1)]
    spread = filters[:, nearest]
    return (spread / spread.sum(0)).astype(np.float32)
