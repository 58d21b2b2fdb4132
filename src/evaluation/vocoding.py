"""Measures of a vocoder alone: its copies of recordings, by way of their mels, compared with the recordings."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from src.audio import mel_spectrogram
from src.config import AudioConfig
from src.data.pitch import PitchRange, pitch_of
from src.evaluation.metrics import pesq_wideband
from src.synthesis.vocoder import Vocoder

PITCHES = PitchRange(50.0, 400.0)  # Hz; a low voice's creak is below 65
TIMES = 2  # that a copy is made, the faster one of which counts: the first one may compile


class Recording(NamedTuple):
    """A held-out clip."""

    id: str
    wav: np.ndarray  # float32 [samples]
    mel: np.ndarray  # [n_mels, frames]
    pitch: np.ndarray  # Hz [frames], 0 where there is no voice


class Copy(NamedTuple):
    """A copy of a recording by a vocoder, and its distances from it."""

    wav: np.ndarray  # float32 [samples]
    pesq: float | None  # None where it finds no speech
    squares: np.ndarray  # [n_mels, frames], of the difference of the mels
    cents: np.ndarray  # [frames voiced in both], the difference of the pitches
    voicing: np.ndarray  # [frames], true where only one of the two is voiced
    seconds: float  # of computing, by the clock
    processor_seconds: float  # the same, of all cores together; other programs do not count


def recording(name: str, wav: np.ndarray, audio: AudioConfig) -> Recording:
    """Measure mel and pitch of a held-out clip, float [samples]."""
    return Recording(name, wav, mel_spectrogram(wav, audio), pitch_of(wav, audio, PITCHES))


def copied(original: Recording, vocoder: Vocoder, audio: AudioConfig) -> Copy:
    """Copy a recording by way of its mel, and compare.

    Pitch and voicing come from probabilistic YIN. For PESQ see `src.evaluation.metrics.pesq_wideband`.

    Raises:
        InputError: pesq is not installed.
    """
    seconds, processor_seconds = [], []
    for _ in range(TIMES):
        began, worked = time.perf_counter(), time.process_time()
        wav = vocoder(original.mel)
        seconds.append(time.perf_counter() - began)
        processor_seconds.append(time.process_time() - worked)
    wav = np.clip(wav[: len(original.wav)], -1, 1)
    squares = (
        mel_spectrogram(wav, audio)[:, : original.mel.shape[1]] - original.mel[:, : 1 + len(wav) // audio.hop_length]
    ) ** 2
    pitch = pitch_of(wav, audio, PITCHES)
    pitch, wanted = pitch[: len(original.pitch)], original.pitch[: len(pitch)]
    both = (pitch > 0) & (wanted > 0)
    cents = 1200 * np.log2(pitch[both] / wanted[both])
    return Copy(
        wav,
        pesq_wideband(wav, original.wav, audio.sample_rate),
        squares,
        cents,
        (pitch > 0) != (wanted > 0),
        min(seconds),
        min(processor_seconds),
    )


def numbers(copies: Sequence[Copy], audio: AudioConfig) -> dict[str, float | int | None]:
    """Means over all clips and frames.

    Returns:
        pesq, mean over clips, None if it finds no speech in any; log_mel_rmse, root mean square over bands and frames;
        f0_cents, median of the absolute difference over frames voiced in both, None if there are none; voicing_error,
        share of frames of which only one is voiced; real_time_factor, seconds of computing for a second of sound;
        processor_factor, the same in seconds of a core; clips and seconds measured.
    """
    seconds = sum(len(copy.wav) for copy in copies) / audio.sample_rate
    scores = [copy.pesq for copy in copies if copy.pesq is not None]
    cents = np.abs(np.concatenate([copy.cents for copy in copies]))
    return {
        "pesq": float(np.mean(scores)) if scores else None,
        "log_mel_rmse": float(np.sqrt(np.concatenate([copy.squares.ravel() for copy in copies]).mean())),
        "f0_cents": float(np.median(cents)) if len(cents) else None,
        "voicing_error": float(np.concatenate([copy.voicing for copy in copies]).mean()),
        "real_time_factor": sum(copy.seconds for copy in copies) / seconds,
        "processor_factor": sum(copy.processor_seconds for copy in copies) / seconds,
        "clips": len(copies),
        "seconds": seconds,
    }


def table(rows: dict[str, dict[str, float | int | None]]) -> str:
    """Format the numbers of each vocoder as Markdown."""
    lines = [
        "| vocoder | PESQ | log-mel RMSE | F0 error, cents | voicing error | x real time | the same, of one core |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        cents = "none" if row["f0_cents"] is None else f"{row['f0_cents']:.0f}"
        pesq = "none" if row["pesq"] is None else f"{row['pesq']:.2f}"
        values = f"{pesq} | {row['log_mel_rmse']:.3f} | {cents} | {row['voicing_error']:.3f}"
        lines.append(f"| {name} | {values} | {1 / row['real_time_factor']:.1f} | {1 / row['processor_factor']:.1f} |")
    return "\n".join(lines)
