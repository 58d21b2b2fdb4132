"""Our side of scripts/benchmark_voice.py: a voice in a process of its own, by the runtime that load_voice chooses."""

import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.worker import serve
from src.audio import load_wav, mel_spectrogram, save_wav
from src.cli import run
from src.hub.card import choose_shipped
from src.synthesis import load_voice


def main() -> None:
    """Load the voice, then answer requests."""
    parser = ArgumentParser()
    parser.add_argument("--checkpoint")
    parser.add_argument("--vocoder_checkpoint")
    parser.add_argument("--vocoder")
    flags = vars(parser.parse_args())
    voice = load_voice(**flags, warm=False)

    def speak(text: str, path: str) -> Callable[[], dict[str, Any]]:
        """Speak a text into a wav file; see `benchmarks.voice.Speech` for the answer."""

        def work() -> dict[str, Any]:
            began, first, chunks = time.perf_counter(), None, []
            for chunk in voice.stream(text):
                first = first or time.perf_counter() - began
                chunks.append(chunk)
            seconds, wav = time.perf_counter() - began, np.concatenate(chunks)
            save_wav(Path(path), wav, voice.sample_rate)
            return {"seconds": seconds, "first": first, "sound": len(wav) / voice.sample_rate}

        return work

    def copy(source: str, path: str) -> Callable[[], None]:
        """Turn a wav file into its mel and back by the vocoder."""

        def work() -> None:
            audio, vocoder = voice.config.audio, voice.vocoder(0)
            mel = mel_spectrogram(load_wav(source, audio.sample_rate), audio)
            wav = np.concatenate((vocoder.push(mel), vocoder.finish()))
            save_wav(Path(path), np.clip(wav, -1, 1), audio.sample_rate)

        return work

    def model() -> Callable[[], dict[str, Any]]:
        """Measure the checkpoints in bytes."""
        chosen = Namespace(**flags)
        choose_shipped(chosen)
        paths = [path for path in (chosen.checkpoint, chosen.vocoder_checkpoint) if path]
        return lambda: {"bytes": sum(Path(path).stat().st_size for path in paths)}

    serve({"speak": speak, "copy": copy, "model": model}, {"onnxruntime": version("onnxruntime")})


if __name__ == "__main__":
    run(main)
