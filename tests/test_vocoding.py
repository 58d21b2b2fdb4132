"""Measures of a vocoder alone, on a waveform whose copy is known."""

import numpy as np
import pytest

from src.config import AudioConfig
from src.evaluation.vocoding import Copy, copied, numbers, recording, table

AUDIO = AudioConfig()


def voice(seconds=1.0):
    """A buzz of 150 Hz that is silent in its second half."""
    time = np.arange(int(22050 * seconds)) / 22050
    wav = sum(np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 20)) * (time < seconds / 2)
    return (0.1 * wav).astype(np.float32)


def test_a_perfect_copy_has_no_error_and_a_worse_one_has():
    pytest.importorskip("pesq")
    original = recording("a", voice(), AUDIO)
    voiced = original.pitch > 0
    assert 0.4 < voiced.mean() < 0.6 and np.abs(1200 * np.log2(original.pitch[voiced] / 150)).max() < 30
    same = numbers([copied(original, lambda mel: original.wav, AUDIO)], AUDIO)
    assert (same["log_mel_rmse"], same["f0_cents"], same["voicing_error"]) == (0, 0, 0) and same["pesq"] > 4.6
    noise = 0.05 * np.random.default_rng(0).standard_normal(22050).astype(np.float32)
    worse = numbers([copied(original, lambda mel: original.wav + noise, AUDIO)], AUDIO)
    assert worse["pesq"] < 3 and worse["log_mel_rmse"] > 0.5


def test_means_are_over_frames_and_clips():
    def copy(n, value, wrong):
        voicing = np.arange(n) < wrong
        return Copy(np.zeros(22050), 2.0 + value, np.full((80, n), value**2), np.full(n, -value), voicing, 0.5, 1.0)

    row = numbers([copy(10, 1.0, 10), copy(30, 3.0, 0)], AUDIO)
    assert row["pesq"] == 4.0 and row["voicing_error"] == 0.25 and row["f0_cents"] == 3.0
    assert row["log_mel_rmse"] == pytest.approx(np.sqrt((10 + 270) / 40))
    assert (row["real_time_factor"], row["processor_factor"], row["clips"], row["seconds"]) == (0.5, 1.0, 2, 2.0)
    assert "| a | 4.00 | 2.646 | 3 | 0.250 | 2.0 | 1.0 |" in table({"a": row})
    assert "| none |" in table({"a": row | {"f0_cents": None}})
