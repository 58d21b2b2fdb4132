"""Sentences joined to an utterance, with pauses between them. It needs no MindSpore, as ONNX files speak without it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from src.audio import limit_peaks, silent_mel
from src.config import Config


class Joined(NamedTuple):
    """Waveform and mel spectrogram of an utterance; they stay in step, because a pause is a whole number of frames."""

    wav: np.ndarray  # float32 [frames * hop_length], peaks limited to [-1, 1]
    peak: float  # largest magnitude before that
    mel: np.ndarray  # float32 [n_mels, frames]
    pause: int  # frames of silence between two sentences


def join_sentences(wavs: Sequence[np.ndarray], mels: Sequence[np.ndarray], config: Config) -> Joined:
    """Join the waveforms [frames * hop_length] and mels [n_mels, frames] of sentences, `text.sentence_pause` apart."""
    audio = config.audio
    pause = round(config.text.sentence_pause * audio.sample_rate / audio.hop_length)
    silence = np.zeros(pause * audio.hop_length, np.float32), silent_mel(pause, audio)
    wav = np.concatenate([each for spoken in wavs for each in (silence[0], spoken)][1:])
    mel = np.concatenate([each for spoken in mels for each in (silence[1], spoken)][1:], 1)
    return Joined(limit_peaks(wav), float(np.abs(wav).max()), mel, pause)
