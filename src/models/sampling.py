"""What is drawn at random when speaking: by the host's generator, so that a seed means the same speech on every backend and file format."""

from collections.abc import Sequence

import numpy as np

from src.config import Tacotron2Config

Seed = int | tuple[int, ...]


def prenet_dropout_mask(model: Tacotron2Config, seeds: Sequence[Seed], n_steps: int) -> np.ndarray:
    """Dropout factors of the prenet, float32 (n_steps, B, 2 * prenet_dim), from a stream for each of the `seeds`.

    Those of the first steps do not depend on how many there are.
    """
    keep_share = 1.0 - model.prenet_dropout
    shape = n_steps, 2 * model.prenet_dim
    drawn = np.stack([np.random.default_rng(seed).random(shape, np.float32) for seed in seeds], 1)
    return (drawn < keep_share).astype(np.float32) / np.float32(keep_share)


def latents(seed: int, n_batch: int, n_time: int, n_group: int) -> np.ndarray:
    """Standard normal values for WaveGlow, float32 (B, T, n_group), position by position from a stream for each item."""
    return np.stack(
        [np.random.default_rng((seed, item)).standard_normal((n_time, n_group), np.float32) for item in range(n_batch)]
    )
