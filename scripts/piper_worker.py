"""Speak lines of JSON from stdin by a voice of Piper; scripts/make_demo_corpus.py runs it in the Python that has Piper.

Each line is {"text": ..., "path": ...}. The wav is written to the path; the answer is the number of its samples.
Piper is under the GPL: it makes data here, and no part of this project imports it.
"""

import importlib
import json
import sys
import wave
from pathlib import Path

import numpy as np
import onnxruntime
from piper import PiperVoice, SynthesisConfig

NOISE = 0.333  # of sound and of durations: half of Piper's default, for even prosody
PAUSE = 0.15  # seconds between the sentences of a text
SILENCE_DB = 45  # ends of a sentence that are this far below its loudest frame are cut off


def main() -> None:
    """Load the voice of the package that is named, then answer line by line."""
    package = importlib.import_module(sys.argv[1])
    model = next((Path(package.__file__).parent / "data").glob("*.onnx"))
    voice = PiperVoice.load(str(model))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # the workers are the parallelism
    voice.session = onnxruntime.InferenceSession(str(model), sess_options=options, providers=["CPUExecutionProvider"])
    rate = voice.config.sample_rate
    for line in sys.stdin:
        request = json.loads(line)
        chunks = voice.synthesize(request["text"], SynthesisConfig(noise_scale=NOISE, noise_w_scale=NOISE))
        samples = joined([trimmed(np.asarray(chunk.audio_float_array, np.float32)) for chunk in chunks], rate)
        with wave.open(request["path"], "wb") as file:
            file.setparams((1, 2, rate, 0, "NONE", ""))
            file.writeframes(np.round(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
        print(len(samples), flush=True)


def trimmed(wav: np.ndarray, window: int = 256, hop: int = 64) -> np.ndarray:
    """Cut silence off both ends, but for 12 ms before and 23 ms after the speech."""
    n_frames = 1 + max(0, len(wav) - window) // hop
    level = np.array([np.sqrt(np.mean(wav[i * hop : i * hop + window] ** 2)) for i in range(n_frames)])
    loud = np.flatnonzero(level > level.max() * 10 ** (-SILENCE_DB / 20))
    if not len(loud):
        return wav[:0]
    return wav[max(0, loud[0] * hop - window) : loud[-1] * hop + 3 * window]


def joined(sentences: list[np.ndarray], rate: int) -> np.ndarray:
    """Put a pause between the sentences of a text."""
    pause = np.zeros(int(PAUSE * rate), np.float32)
    pieces = [piece for sentence in sentences if len(sentence) for piece in (pause, sentence)]
    return np.concatenate(pieces[1:]) if pieces else pause


if __name__ == "__main__":
    main()
