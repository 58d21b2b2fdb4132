"""Vocoders: mel spectrogram -> waveform."""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from src.audio import griffin_lim, mel_signature
from src.config import AudioConfig
from src.errors import InputError, diverged
from src.models.waveglow.denoiser import Denoiser, NeuralVocoder

SILENT_FRAMES = 32  # of the mel that warms a vocoder up

Vocoder = Callable[[np.ndarray], np.ndarray]  # log mel [n_mels, frames] -> waveform [frames * hop_length]


def griffin_lim_vocoder(audio: AudioConfig, seed: int = 0, compute: Callable[..., np.ndarray] = griffin_lim) -> Vocoder:
    """Griffin-Lim for mels with the settings `audio`; the same `seed` gives the same sound.

    Args:
        compute: `griffin_lim`, or a function that computes it in another process.
    """
    return functools.partial(compute, audio=audio, seed=seed)


def neural_vocoder(
    net: NeuralVocoder, sigma: float | None = None, denoiser_strength: float = 0.0, seed: int = 0
) -> Vocoder:
    """A network, whose weight norm is removed here, as a vocoder; the same `seed` gives the same sound.

    The vocoder raises `InputError` for a mel that the network's `infer` refuses, and for sound that is not finite.

    Args:
        sigma: standard deviation of the network's noise; by default its own.
        denoiser_strength: how much of the network's own hum is removed, see `src.models.waveglow.denoiser`; 0: nothing.
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
    """Make sure that a vocoder and another network have the same mel spectrograms.

    Args:
        vocoder_path, path: files of the two, for the message.

    Raises:
        InputError: they differ; names each setting.
    """
    found, wanted = mel_signature(vocoder), mel_signature(audio)
    if different := [f"{key} is {found[key]} there, {wanted[key]} here" for key in wanted if found[key] != wanted[key]]:
        raise InputError(f"{vocoder_path}: was trained on other mel spectrograms than {path}: {'; '.join(different)}")
