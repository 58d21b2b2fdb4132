"""Values that change with the step: functions evaluated on the host, whose results the compiled step takes."""

import math

from src.config import TrainConfig


def learning_rate(step: int, config: TrainConfig) -> float:
    """Learning rate at `step` (the first is 0): a linear warm-up to `train.lr`, then the schedule of `train.schedule`.

    constant: `lr`.
    step: times `anneal_factor` at each of `anneal_steps`.
    exponential: times `decay_rate` per `decay_steps` steps from `decay_start` on (Shen et al. 2018, sec. 3.1, with the
        defaults).
    inverse_sqrt: `lr` sqrt(`warmup_steps` / step) (Vaswani et al. 2017, eq. 3).
    The last three do not fall below `min_lr`.
    """
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.lr
    factor = {
        "step": lambda: config.anneal_factor ** sum(step >= anneal for anneal in config.anneal_steps),
        "exponential": lambda: config.decay_rate ** (max(0, step - config.decay_start) / config.decay_steps),
        "inverse_sqrt": lambda: math.sqrt(config.warmup_steps / (step + 1)),
    }[config.schedule]()
    return max(config.min_lr, config.lr * factor)


def guided_attention_weight(step: int, config: TrainConfig) -> float:
    """Weight of the guided-attention loss at `step`, falling as exp(-step / decay steps), or constant if they are 0."""
    if config.guided_attention_decay_steps == 0:
        return config.guided_attention
    return config.guided_attention * math.exp(-step / config.guided_attention_decay_steps)
