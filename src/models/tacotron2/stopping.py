"""Reasons why free running stops, in the graph (as numbers) and outside of it (as names)."""

STOP_REASONS = ("max_decoder_steps", "gate", "attention")  # a graph's number is the index
NOT_STOPPED, STOPPED_BY_GATE, STOPPED_BY_ATTENTION = range(len(STOP_REASONS))
RESTING_WEIGHT = 0.5  # attention rests on the last symbol when that holds more than this weight


def severity(reason: str) -> int:
    """Rank of a stop reason, as a key to sort by: the gate is normal (0), the limit of steps means cut-off speech (2)."""
    return ("gate", "attention", "max_decoder_steps").index(reason)
