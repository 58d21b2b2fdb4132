"""Windows and matrices of short-time Fourier transforms, in numpy."""

import functools

import numpy as np

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
