"""Why speech ends: constants of the free-running loop, in the graph and outside of it."""

STOP_REASONS = ("max_decoder_steps", "gate", "attention")
NOT_STOPPED, STOPPED_BY_GATE, STOPPED_BY_ATTENTION = range(len(STOP_REASONS))
RESTING_WEIGHT = 0.5  # attention rests on the last symbol when it holds more than this
