"""Objective metrics: of a network on recordings that it was not trained on, of a vocoder's sound against the recording."""

import math
import time
from pathlib import Path
from typing import Any

import librosa
import numpy as np
from mindspore import nn

from src.audio import load_wav, mel_spectrogram, save_wav
from src.config import AudioConfig
from src.dataset import Corpus
from src.errors import InputError
from src.plotting import save_mels
from src.train.task import Validation, create_task
from src.vocoder import Vocoder

QUIETEST = 1e-3  # magnitude; the rounding of 16-bit samples alone makes about 2e-4


def evaluate(net: nn.Cell, data_path: str | Path) -> tuple[dict[str, float | int], Validation]:
    """The losses over the validation split of a preprocessed dataset, as training logs them: of Tacotron 2 teacher forced, of WaveGlow the
    negative log-likelihood.

    They are means over all real frames (mel), decoder steps (gate) or samples, so `train.batch_size` changes only speed and memory,
    apart from the prenet's dropout, which stays on unless `model.prenet_dropout` is 0.

    Returns:
        val_loss, its parts, and how much was measured: for Tacotron 2 mel_loss, gate_loss, alignment_score, frames, clips, for WaveGlow
        z_loss, log_s, log_det, samples, clips; the validation, whose example `Task.save_example` writes.

    Raises:
        InputError: no such dataset or one of other settings; losses that are not finite.
    """
    corpus = Corpus(data_path, "val")
    corpus.check(net.config)
    validation = create_task(net.config).validator(net, corpus)()
    if not math.isfinite(validation.loss):
        raise InputError("the validation loss is not finite: the weights have diverged, take an earlier checkpoint")
    parts = {name.removeprefix("val_"): value for name, value in validation.numbers.items() if name != "val_loss"}
    return {"val_loss": validation.loss, **parts, **validation.measured}, validation


def copy_synthesis(wav_path: Path, vocoder: Vocoder, audio: AudioConfig, output_dir: Path) -> dict[str, Any]:
    """Turn a recording into its mel and back into sound; writes `copy_synthesis.wav`, and both mels as `copy_synthesis.png`.

    Returns:
        What a summary says of it; `log_spectral_distance` is in dB.

    Raises:
        InputError: a recording that cannot be read or is too short, a file that cannot be written.
    """
    recording = load_wav(wav_path, audio.sample_rate)
    try:
        mel = mel_spectrogram(recording, audio)
    except InputError as error:
        raise InputError(f"{wav_path}: {error}") from error
    began = time.perf_counter()
    wav = np.clip(vocoder(mel)[: len(recording)], -1, 1)  # as the file will hold it
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


def log_spectral_distance(wav: np.ndarray, reference: np.ndarray, audio: AudioConfig) -> float:
    """Root mean square over frequency of 20 log10(|X| / |Y|), mean over frames, in dB (Gray & Markel 1976, their d_2).

    Phases do not count. Frequencies are those from `audio.fmin` to `audio.fmax`, since of others a mel spectrogram tells nothing;
    magnitudes below `QUIETEST` are raised to it, or the rounding of silence would outweigh speech.

    Args:
        wav, reference: float [samples] in [-1, 1]; the longer one is cut.
    """
    frequencies = librosa.fft_frequencies(sr=audio.sample_rate, n_fft=audio.n_fft)
    bands = (frequencies >= audio.fmin) & (frequencies <= audio.fmax)
    lengths = {"n_fft": audio.n_fft, "hop_length": audio.hop_length, "win_length": audio.win_length}
    samples = min(len(wav), len(reference))
    decibels = [
        20 * np.log10(np.maximum(np.abs(librosa.stft(each[:samples].astype(np.float32), **lengths))[bands], QUIETEST))
        for each in (wav, reference)
    ]
    return float(np.sqrt(((decibels[0] - decibels[1]) ** 2).mean(0)).mean())
