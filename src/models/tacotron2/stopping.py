"""Reasons why free running stops, in the graph (as numbers) and outside of it (as names)."""

STOP_REASONS = ("max_decoder_steps", "gate", "attention")  # a graph's number is the index
NOT_STOPPED, STOPPED_BY_GATE, STOPPED_BY_ATTENTION = range(len(STOP_REASONS))
RESTING_WEIGHT = 0.5  # attention rests on the last symbol when that holds more than this weight


def attention_stop_steps(frames: int, reduction_factor: int) -> int:
    """Return the decoder steps that `model.attention_stop_frames` frames take; 0 turns the rule off."""
    return -(-frames // reduction_factor)


def severity(reason: str) -> int:
    """Return how bad a stop reason is, from 0 (the gate: normal) to 2 (the limit of steps: the speech is cut off)."""
    return ("gate", "attention", "max_decoder_steps").index(reason)
