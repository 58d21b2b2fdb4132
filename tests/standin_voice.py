"""A stand-in for the voice of `src.synthesis.load_voice`: a sine tone for each word, without MindSpore, at once.

Some words of a text have an effect: `unspeakable` is bad input, `fail` an error in the middle that quotes the text,
`hang` a voice that gives nothing, `stuck` one that says that it hangs, `slow` one that takes its time.
"""

import threading
import time
import zlib
from itertools import pairwise
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from src.errors import InputError

RATE, HOP, N_MELS = 22050, 256, 8
WORD = 16 * HOP  # samples of a word
PAUSE = 0.05  # seconds that `slow` waits at each chunk


class Part(NamedTuple):
    wav: np.ndarray
    mel: np.ndarray
    alignment: np.ndarray
    sentence: int
    symbols: list[str]
    stop_reason: str | None


class StandInVoice:
    """Speaks at once, or with `delay` seconds before each chunk. `active` counts what is being spoken."""

    sample_rate = RATE

    def __init__(self, speakers=(), delay=0.0):
        self.speakers, self.delay = list(speakers), delay
        audio = SimpleNamespace(sample_rate=RATE, hop_length=HOP, n_mels=N_MELS)
        self.config = SimpleNamespace(audio=audio, model=SimpleNamespace(name="tacotron2", reduction_factor=2))
        self.active = self.chunks = 0
        self._lock, self._closed = threading.Lock(), threading.Event()

    def speak(self, text, seed=0, speaker=None):
        return np.concatenate(list(self.stream(text, seed, speaker))), RATE

    def stream(self, text, seed=0, speaker=None, cancel=None):
        parts = self.stream_parts(text, seed, speaker, cancel)
        try:
            for part in parts:
                if len(part.wav):
                    yield part.wav
        finally:
            parts.close()

    def stream_parts(self, text, seed=0, speaker=None, cancel=None):
        if "unspeakable" in text:
            raise InputError(f"nothing of {text!r} can be spoken; type some words")
        assert speaker in (None, *self.speakers)
        with self._lock:
            self.active += 1
        try:
            for number, sentence in enumerate(filter(str.strip, text.split("."))):
                symbols, words = list(sentence.strip()), sentence.split()
                for place, word in enumerate(words):
                    yield from self._word(text, word, seed, speaker, number, symbols, place, place == len(words) - 1)
        finally:
            with self._lock:
                self.active -= 1

    def _word(self, text, word, seed, speaker, number, symbols, place, last):
        pitch = 150 + zlib.crc32(f"{seed} {speaker} {word}".encode()) % 300
        wav = (0.4 * np.sin(2 * np.pi * pitch * np.arange(WORD) / RATE)).astype(np.float32)
        for begin, end in pairwise((0, WORD // 2, WORD)):
            if word == "fail" and begin:
                raise RuntimeError(f"cannot go on with {text}")
            if word == "stuck":
                self.seconds_stuck = 1000.0
            if word == "hang":
                self._closed.wait(600)
            time.sleep(PAUSE if "slow" in text.split() else self.delay)
            alignment = np.zeros((4, len(symbols)), np.float32)
            alignment[:, min(len(symbols) - 1, 5 * place)] = 1
            mel = np.full((N_MELS, 8), -2.0, np.float32)
            self.chunks += 1
            stop = "gate" if last and end == WORD else None
            yield Part(wav[begin:end], mel, alignment, number, symbols, stop)

    def close(self):
        self._closed.set()


def make_standin(report, speakers=(), delay=0.0, loading=0.0, error=""):
    """Make a voice as the server asks for it: after `loading` seconds, unless there is an `error`."""
    report("warming up")
    time.sleep(loading)
    if error:
        raise InputError(error)
    return StandInVoice(speakers, delay)
