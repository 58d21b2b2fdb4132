"""The files of a spoken line, and its row of a summary."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from src.audio import save_wav
from src.config import Config
from src.files import write_atomically
from src.plotting import save_alignment_and_mel
from src.synthesis.synthesis import Utterance
from src.text import spoken_text


def save(utterance: Utterance, output_dir: Path, name: str, config: Config) -> dict[str, Any]:
    """Write `{name}.wav`, `{name}_mel.npy` and `{name}.png`, and return the utterance's row of a summary.

    The row has the text as given and as spoken, the symbols the network read, and the times of the sentences in
    seconds.

    Raises:
        InputError: a file cannot be written.
    """
    audio = config.audio
    save_wav(output_dir / f"{name}.wav", utterance.wav, audio.sample_rate)
    mel = io.BytesIO()
    np.save(mel, utterance.mel)
    write_atomically(output_dir / f"{name}_mel.npy", mel.getvalue())
    save_alignment_and_mel(output_dir / f"{name}.png", utterance.mel, utterance.alignment, utterance.line.text, audio)
    seconds = len(utterance.wav) / audio.sample_rate
    return {
        "line": utterance.line.number,
        "wav": f"{name}.wav",
        "mel": f"{name}_mel.npy",
        "picture": f"{name}.png",
        "text": utterance.line.text,
        "spoken": spoken_text(utterance.line.text, config),
        "peak": utterance.peak,
        "frames": utterance.mel.shape[1],
        "seconds": seconds,
        "stop_reason": utterance.stop_reason,
        "alignment_score": utterance.alignment_score,
        "real_time_factor": utterance.seconds / seconds,
        "sentences": _sentence_rows(utterance, config),
    }


def _sentence_rows(utterance: Utterance, config: Config) -> list[dict[str, Any]]:
    rows, frame = [], 0
    for each in utterance.sentences:
        end = frame + each.mel.shape[1]
        start_seconds, end_seconds = (n * config.audio.hop_length / config.audio.sample_rate for n in (frame, end))
        rows.append(
            {
                "text": each.text,
                "spoken": spoken_text(each.text, config),
                "symbols": each.symbols,
                "start": start_seconds,
                "end": end_seconds,
                "frames": each.mel.shape[1],
                "stop_reason": each.stop_reason,
                "alignment_score": each.alignment_score,
            }
        )
        frame = end + utterance.pause
    return rows


def remove_results(output_dir: Path) -> None:
    """Remove the files of an earlier run, which may have had more lines than this one."""
    (output_dir / "summary.json").unlink(missing_ok=True)
    for mel in output_dir.glob("*_mel.npy"):
        name = mel.name.removesuffix("_mel.npy")
        if name.isdecimal():
            for path in (mel, output_dir / f"{name}.wav", output_dir / f"{name}.png"):
                path.unlink(missing_ok=True)
