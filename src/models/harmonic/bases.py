"""Windows and matrices of Fourier transforms, of filters and of mel bands, in numpy."""

import functools

import numpy as np

from src.audio import mel_filters
from src.config import AudioConfig

SMALLEST_WEIGHT = 1e-3  # of overlapping squared windows; the ends of a waveform have less


def hann(n_fft: int, win_length: int) -> np.ndarray:
    """Periodic Hann window of `win_length`, float64, centred in [n_fft] zeros as librosa has it."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(win_length) / win_length)
    before = (n_fft - win_length) // 2
    return np.pad(window, (before, n_fft - win_length - before))


def half_basis(n_fft: int, hop_length: int, win_length: int) -> tuple[np.ndarray, np.ndarray]:
    """Windowed cosines and negative sines of samples 1 to n_fft / 2 of a frame, float64 [rows, bins].

    Sample n_fft - n has the cosine of sample n, and its sine negated. The sample in the middle is its own counterpart
    and therefore counts half; sample 0 has none and lies where the window is 0. Rows of zeros fill whole hops.
    """
    n, k = np.arange(1, n_fft // 2 + 1), np.arange(n_fft // 2 + 1)
    angle = 2 * np.pi * np.outer(n, k) / n_fft
    weight = hann(n_fft, win_length)[n] * np.where(2 * n == n_fft, 0.5, 1)
    padding = (0, -(n_fft // 2) % hop_length), (0, 0)
    return np.pad(weight[:, None] * np.cos(angle), padding), np.pad(-weight[:, None] * np.sin(angle), padding)


@functools.lru_cache(maxsize=8)
def overlap_gain(n_frames: int, n_fft: int, hop_length: int, win_length: int) -> np.ndarray:
    """Reciprocal of the sum of squared windows at each of n_frames * hop_length samples, float32 [samples]."""
    square = hann(n_fft, win_length) ** 2
    total = np.zeros((n_frames - 1) * hop_length + n_fft)
    for frame in range(n_frames):
        total[frame * hop_length :][:n_fft] += square
    total = np.pad(total[n_fft // 2 :], (0, hop_length))[: n_frames * hop_length]
    return (1 / np.maximum(total, SMALLEST_WEIGHT)).astype(np.float32)


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
