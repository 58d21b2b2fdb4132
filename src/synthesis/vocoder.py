"""From a mel spectrogram to sound."""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from src.audio import griffin_lim, mel_signature
from src.config import AudioConfig
from src.errors import InputError, diverged
from src.models.waveglow.denoiser import Denoiser, NeuralVocoder

SILENT_FRAMES = 32  # of a mel that a vocoder gets first, to load what it needs

Vocoder = Callable[[np.ndarray], np.ndarray]  # log mel [n_mels, frames] -> waveform [frames * hop_length]


def griffin_lim_vocoder(audio: AudioConfig, seed: int = 0, compute: Callable[..., np.ndarray] = griffin_lim) -> Vocoder:
    """Griffin-Lim for mels made by `audio`; the same sound for the same `seed`.

    Args:
        compute: `griffin_lim`, or what computes it elsewhere.
    """
    return functools.partial(compute, audio=audio, seed=seed)


def waveglow_vocoder(
    net: NeuralVocoder, sigma: float | None = None, denoiser_strength: float = 0.0, seed: int = 0
) -> Vocoder:
    """A WaveGlow, whose weight norm is folded away, as a vocoder; the same sound for the same `seed`.

    Args:
        sigma: standard deviation of the noise that becomes sound; by default `model.sigma`.
        denoiser_strength: how much of the network's own hum is taken off, see `src.models.waveglow.denoiser`; 0 leaves the sound as it is.

    The vocoder raises:
        InputError: a mel that `WaveGlow.infer` refuses, sound that is not finite.
    """
    net.remove_weight_norm()
    denoise = Denoiser(net) if denoiser_strength else None

    def vocoder(mel: np.ndarray) -> np.ndarray:
        wav = np.asarray(net.infer(mel[None], sigma=sigma, seed=seed))[0]
        if not np.isfinite(wav).all():
            raise diverged("the vocoder's output is not finite")
        return denoise(wav, denoiser_strength) if denoise else wav

    return vocoder


def check_signature(vocoder_path: Path, vocoder: AudioConfig, path: Path, audio: AudioConfig) -> None:
    """Make sure that the vocoder's mel spectrograms are those of another network.

    Raises:
        InputError: names each setting in which they differ.
    """
    found, wanted = mel_signature(vocoder), mel_signature(audio)
    if different := [f"{key} is {found[key]} there, {wanted[key]} here" for key in wanted if found[key] != wanted[key]]:
        raise InputError(f"{vocoder_path}: was trained on other mel spectrograms than {path}: {'; '.join(different)}")
