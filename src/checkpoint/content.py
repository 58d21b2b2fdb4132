"""The content of a checkpoint."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from src.config import Config


@dataclass
class Checkpoint:
    """The content of one `.ckpt`.

    Attributes:
        path: file it was read from.
        config: configuration it was trained or converted with.
        symbols: symbol table that its text ids refer to.
        mel_signature: settings of its mel spectrograms, see `src.audio.mel_signature`.
        step: optimiser steps taken.
        epoch: index of the current epoch, from 0.
        weights: arrays by parameter name, as in `net.parameters_and_names()`.
        optimizer: arrays of the optimiser's state by its own parameter names; empty in a file for inference.
        extra: further values saved by training (data position, best validation loss, ...).
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
