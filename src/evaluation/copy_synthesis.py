"""A vocoder alone: copy synthesis of a recording, compared with it, and the sound of a mel from a file."""

import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np

from src.audio import load_wav, mel_spectrogram, save_wav
from src.config import AudioConfig
from src.data.mel_file import TO_LN, read_mel
from src.errors import InputError
from src.evaluation.metrics import log_spectral_distance
from src.plotting import save_mels
from src.synthesis.vocoder import Vocoder


def add_flags_of_a_vocoder_alone(command: ArgumentParser) -> None:
    """Add --copy_synthesis, --mel and --mel_scale to a command line."""
    command.add_argument(
        "--copy_synthesis",
        type=Path,
        metavar="WAV",
        help="turn this recording into its mel spectrogram and back instead of speaking, to judge the vocoder alone; "
        "audio settings are those of --vocoder_checkpoint or --checkpoint",
    )
    command.add_argument(
        "--mel",
        type=Path,
        metavar="NPY",
        help="turn this log mel spectrogram (.npy, or .npz of scripts/align.py) into sound instead of speaking",
    )
    command.add_argument(
        "--mel_scale", choices=list(TO_LN), help="scale of --mel (default: the vocoder's, which is checked)"
    )


def copy_synthesis(wav_path: Path, vocoder: Vocoder, audio: AudioConfig, output_dir: Path) -> dict[str, Any]:
    """Turn a recording into its mel and back into sound.

    Writes the sound as `copy_synthesis.wav`, and both mels as `copy_synthesis.png`.

    Returns:
        Entries of a summary; `log_spectral_distance` is in dB.

    Raises:
        InputError: the recording cannot be read or is too short, or a file cannot be written.
    """
    recording = load_wav(wav_path, audio.sample_rate)
    try:
        mel = mel_spectrogram(recording, audio)
    except InputError as error:
        raise InputError(f"{wav_path}: {error}") from error
    began = time.perf_counter()
    wav = np.clip(vocoder(mel)[: len(recording)], -1, 1)  # as in the file
    elapsed, seconds = time.perf_counter() - began, len(recording) / audio.sample_rate
    save_wav(output_dir / "copy_synthesis.wav", wav, audio.sample_rate)
    distance = log_spectral_distance(wav, recording, audio)
    title = f"{wav_path.name}, log-spectral distance {distance:.2f} dB"
    save_mels(output_dir / "copy_synthesis.png", {"copy": mel_spectrogram(wav, audio), "recording": mel}, title, audio)
    return {
        "recording": str(wav_path),
        "wav": "copy_synthesis.wav",
        "picture": "copy_synthesis.png",
        "sample_rate": audio.sample_rate,
        "frames": mel.shape[1],
        "seconds": seconds,
        "log_spectral_distance": distance,
        "elapsed_seconds": elapsed,  # compilation included
    }


def speak_mel(path: Path, scale: str | None, vocoder: Vocoder, audio: AudioConfig, output_dir: Path) -> dict[str, Any]:
    """Turn a mel spectrogram from a file into sound.

    Writes `{name}.wav`, and both mels, the given one and that of the sound, as `{name}.png`. Notes on the mel's layout
    and scale go to stderr.

    Args:
        path, scale: see `src.data.mel_file.read_mel`.

    Returns:
        Entries of a summary.

    Raises:
        InputError: the mel does not fit the vocoder, or a file cannot be written.
    """
    mel, notes = read_mel(path, audio, scale)
    for note in notes:
        print(note, file=sys.stderr)
    began = time.perf_counter()
    wav = np.clip(vocoder(mel), -1, 1)
    elapsed, name = time.perf_counter() - began, path.stem
    save_wav(output_dir / f"{name}.wav", wav, audio.sample_rate)
    mels = {"sound": mel_spectrogram(wav, audio), "given": mel}
    save_mels(output_dir / f"{name}.png", mels, path.name, audio)
    return {
        "mel": str(path),
        "wav": f"{name}.wav",
        "picture": f"{name}.png",
        "sample_rate": audio.sample_rate,
        "frames": mel.shape[1],
        "seconds": len(wav) / audio.sample_rate,
        "notes": notes,
        "elapsed_seconds": elapsed,  # compilation included
    }
