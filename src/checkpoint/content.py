"""What one checkpoint holds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from src.config import Config


@dataclass
class Checkpoint:
    """What one `.ckpt` holds.

    Attributes:
        path: where it was read.
        config: the configuration it was trained or converted with.
        symbols: the symbol table its text ids refer to.
        mel_signature: sample rate, n_fft, hop, window, bands, edges and compression of its mel spectrograms.
        step: optimiser steps taken.
        epoch: passes over the data begun before this one.
        weights: arrays by parameter name, as `net.parameters_and_names()` spells them.
        optimizer: state of the optimiser by its own parameter names; empty when the file is for inference.
        extra: whatever else was saved with it (data position, best validation loss, ...).
    """

    path: Path
    config: Config
    symbols: list[str]
    mel_signature: dict[str, Any]
    step: int
    epoch: int
    weights: dict[str, np.ndarray]
    optimizer: dict[str, np.ndarray]
    extra: dict[str, Any]
