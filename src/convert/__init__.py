"""Checkpoints of other implementations into ours, and ours into theirs."""
