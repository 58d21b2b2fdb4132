"""What changes with the step: plain functions of it, evaluated on the host and fed to the compiled step."""

import math

from src.config import TrainConfig


def learning_rate(step: int, config: TrainConfig) -> float:
    """Adam's learning rate at `step` (0 is the first)."""
    return config.lr


def guided_attention_weight(step: int, config: TrainConfig) -> float:
    """Weight of the guided-attention loss at `step`: constant, or falling as exp(-step / decay steps) once the alignment has begun."""
    if config.guided_attention_decay_steps == 0:
        return config.guided_attention
    return config.guided_attention * math.exp(-step / config.guided_attention_decay_steps)
