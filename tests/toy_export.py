"""Checkpoints of fresh networks to export, and export.py run in this process."""

import sys

import numpy as np
import pytest
from toy_training import TINY
from toy_waveglow import SETTINGS, save_fresh

import export as script
from src.cli import run
from src.export.artifact import relative_difference

AUDIO = {key: value for key, value in SETTINGS.items() if key.startswith("audio.")}
SIZES = {
    "model.encoder_layers": 1,
    "model.postnet_layers": 2,
    "model.reduction_factor": 2,
    "text.max_sentence_length": 30,
}
# The gate never stops it.
ENDS = {"model.max_decoder_steps": 13, "model.gate_threshold": 1.0, "model.attention_stop_frames": 6}
TACOTRON2 = {key.replace("__", "."): value for key, value in TINY.items()} | AUDIO | SIZES | ENDS
TACOTRON2 |= {"model.prenet_dropout": 0.5}
SENTENCE = "Two words, or three."
LOOP = b"Switch"  # in a MINDIR file with a `while`


def fresh_checkpoints(folder):
    """Write checkpoints of fresh networks, WaveGlow's with a little noise where it begins with zeros."""
    np.random.seed(1)
    for name, overrides in {"tacotron2": TACOTRON2, "waveglow": SETTINGS | {"model.n_flows": 3}}.items():
        save_fresh(folder / f"{name}.ckpt", overrides)
    return folder


def export(monkeypatch, capsys, *flags):
    """Runs export.py. Returns exit code, stdout and stderr; the message of a failure may be in the exit code."""
    monkeypatch.setattr(sys, "argv", ["export.py", *map(str, flags)])
    with pytest.raises(SystemExit) as end:
        run(script.main)
    return end.value.code, *capsys.readouterr()


def close(found, expected, limit):
    return relative_difference({"": np.asarray(found)}, {"": np.asarray(expected)}) < limit
