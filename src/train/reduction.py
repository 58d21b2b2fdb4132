"""Falling reduction factor: training continues with the same weights (Wang et al. 2017, sec. 3.3, for r itself)."""

import dataclasses

import numpy as np

from src.checkpoint import Checkpoint
from src.config import Config


def reduced(config: Config, step: int) -> Config:
    """Configuration at `step` of a run that began with `config`: its reduction factor then, and the falls to come."""
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
    """Cut the weights of a Tacotron 2, and Adam's moments, down to the reduction factor of `config`.

    Of the frames of a decoder step, the prenet keeps the inputs for the last ones, and the projection the outputs for
    the first ones. A checkpoint with that factor or a smaller one is returned as it is.
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
