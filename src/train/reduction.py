"""Training goes from a large reduction factor to smaller ones, and takes its weights along (Wang et al. 2017, sec. 3.3, for r itself)."""

import dataclasses

import numpy as np

from src.checkpoint import Checkpoint
from src.config import Config


def reduced(config: Config, step: int) -> Config:
    """The configuration of a run that began with `config` as it is from `step` on: with the reduction factor of then, and what follows."""
    steps = config.train.reduction_steps
    begun = [begin for begin in steps if begin <= step]
    if not begun:
        return config
    ahead = {begin: factor for begin, factor in steps.items() if begin > step}
    return dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, reduction_factor=steps[max(begun)]),
        train=dataclasses.replace(config.train, reduction_steps=ahead),
    )


def with_reduction_factor(checkpoint: Checkpoint, config: Config) -> Checkpoint:
    """`checkpoint` of a Tacotron 2 with all that depends on the reduction factor cut down to that of `config`, moments of Adam too.

    Of the frames of a step, the prenet goes on hearing the last ones, and the projection speaking the first ones. A checkpoint that
    has the factor already, or a smaller one, comes back as it is.
    """
    factors = [getattr(each.model, "reduction_factor", 1) for each in (checkpoint.config, config)]
    if factors[0] <= factors[1]:
        return checkpoint
    n_frame = config.audio.n_mels * config.model.reduction_factor

    def cut(name: str, value: np.ndarray) -> np.ndarray:
        if name.endswith("decoder.prenet.first.weight"):
            return value[-n_frame:]
        if name.endswith(("decoder.projection.weight", "decoder.projection.bias")):
            return np.concatenate([value[..., :n_frame], value[..., -1:]], -1)  # the last one is the gate
        return value

    weights, optimizer = (
        {name: cut(name, value) for name, value in arrays.items()}
        for arrays in (checkpoint.weights, checkpoint.optimizer)
    )
    return dataclasses.replace(checkpoint, config=config, weights=weights, optimizer=optimizer)
