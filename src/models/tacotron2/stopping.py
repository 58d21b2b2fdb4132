"""Reasons why free running stops, in the graph (as numbers) and outside of it (as names)."""

import numpy as np

from src.config import Tacotron2Config

STOP_REASONS = ("max_decoder_steps", "gate", "attention")  # a graph's number is the index
NOT_STOPPED, STOPPED_BY_GATE, STOPPED_BY_ATTENTION = range(len(STOP_REASONS))
RESTING_WEIGHT = 0.5  # attention rests on the last symbol when that holds more than this weight


def attention_stop_steps(frames: int, reduction_factor: int) -> int:
    """Return the decoder steps that `model.attention_stop_frames` frames take; 0 turns the rule off."""
    return -(-frames // reduction_factor)


def severity(reason: str) -> int:
    """Return how bad a stop reason is, from 0 (the gate: normal) to 2 (the limit of steps: the speech is cut off)."""
    return ("gate", "attention", "max_decoder_steps").index(reason)


class StopRule:
    """The rule by which one sentence of a batch ends, on the host: called for each step, it returns why, or None.

    Args:
        model: the configuration's `model`.
        n_symbols: length of the text.
    """

    def __init__(self, model: Tacotron2Config, n_symbols: int):
        self.gate_threshold, self.last_symbol = model.gate_threshold, n_symbols - 1
        self.stop_steps = attention_stop_steps(model.attention_stop_frames, model.reduction_factor)
        self.resting_steps = 0

    def __call__(self, gate: float, weights: np.ndarray) -> str | None:
        """Take the gate's probability and the attention weights [symbols] of a step."""
        self.resting_steps = self.resting_steps + 1 if weights[self.last_symbol] > RESTING_WEIGHT else 0
        if gate > self.gate_threshold:
            return STOP_REASONS[STOPPED_BY_GATE]
        if 0 < self.stop_steps <= self.resting_steps:
            return STOP_REASONS[STOPPED_BY_ATTENTION]
        return None
