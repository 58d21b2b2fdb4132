"""A clip that a vocoder in training has turned into sound, as a file and a picture."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from src.audio import mel_spectrogram, save_wav
from src.config import AudioConfig
from src.plotting import save_mels

EXAMPLE_SECONDS = 3  # of the clip that each validation turns into sound


class Example(NamedTuple):
    """The beginning of a clip, and the sound that the network makes from its mel."""

    id: str
    mel: np.ndarray  # [n_mels, frames], of the recording
    wav: np.ndarray  # [frames * hop_length], of the network


def save_sound(example: Example, audio: AudioConfig, folder: Path, step: int | None = None) -> Path:
    """Write the sound of a clip, and a picture of its mel and the recording's, in files named after the step.

    Returns:
        The picture.
    """
    when, suffix = ("", "") if step is None else (f", step {step}", f"-{step}")
    wav = np.clip(np.nan_to_num(example.wav), -1, 1)  # an untrained network may give anything
    save_wav(folder / f"sample{suffix}.wav", wav, audio.sample_rate)
    mels = {"generated": mel_spectrogram(wav, audio), "recording": example.mel}
    picture = folder / f"mel{suffix}.png"
    save_mels(picture, mels, f"{example.id}{when}", audio)
    return picture
