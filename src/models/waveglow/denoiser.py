"""Denoiser for the hum that WaveGlow adds to all speech: its output for a mel of zeros without noise."""

from typing import Protocol

import librosa
import numpy as np

from src.audio import stft_lengths
from src.config import Config
from src.errors import InputError, diverged

BIAS_FRAMES = 88  # about a second


class NeuralVocoder(Protocol):
    """A network that turns mel spectrograms into sound: `WaveGlow`, or its exported file."""

    config: Config

    def infer(self, mel: np.ndarray, sigma: float | None = None, *, seed: int = 0) -> np.ndarray:
        """mel float32 (B, n_mels, F) -> audio float32 (B, F * hop_length)."""

    def remove_weight_norm(self) -> None:
        """Fold weight norm into plain weights."""


class Denoiser:
    """Spectral subtraction of a vocoder's bias: the mean magnitudes of its output for a mel of zeros with sigma 0.

    Raises:
        InputError: the network's weights have diverged.
    """

    def __init__(self, net: NeuralVocoder):
        audio = net.config.audio
        self.lengths = stft_lengths(audio)
        hum = np.asarray(net.infer(np.zeros((1, audio.n_mels, BIAS_FRAMES), np.float32), sigma=0.0))[0]
        if not np.isfinite(hum).all():
            raise diverged("the vocoder's output is not finite")
        middle = self._spectrum(hum)[:, BIAS_FRAMES // 4 : -BIAS_FRAMES // 4]  # the ends sound different
        self.bias = np.abs(middle).mean(1, keepdims=True)  # (n_fft / 2 + 1, 1)

    def __call__(self, wav: np.ndarray, strength: float) -> np.ndarray:
        """Subtract `strength` times the bias from the magnitudes of `wav`, float32 [samples], and keep its phases.

        Raises:
            InputError: the strength is negative or not finite.
        """
        if not (np.isfinite(strength) and strength >= 0):
            raise InputError(f"the strength of the denoiser is {strength}, but must be at least 0")
        spectrum = self._spectrum(wav)
        magnitude = np.abs(spectrum)
        share = np.maximum(magnitude - strength * self.bias, 0) / np.maximum(magnitude, np.finfo(np.float32).tiny)
        return librosa.istft(spectrum * share, **self.lengths, length=len(wav)).astype(np.float32)

    def _spectrum(self, wav: np.ndarray) -> np.ndarray:
        return librosa.stft(wav, **self.lengths, pad_mode="constant")
