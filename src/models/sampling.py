"""Random numbers of speech: the prenet's dropout, WaveGlow's latents, noise and phase of the harmonic vocoder.

NumPy draws them on the host, so that a seed means the same speech on every backend and in every file format.
"""

from collections.abc import Callable, Sequence

import numpy as np

from src.config import Tacotron2Config

Seed = int | tuple[int, int]  # of one stream


def item_seed(seed: int, position: int) -> tuple[int, int]:
    """The seed of the stream that belongs to item `position` of a batch, or to sentence `position` of a line.

    Its stream is `numpy.random.default_rng((seed, position))`. Each item has a stream of its own, so its speech depends
    neither on the batch size nor on the other items. A sentence alone is item 0.
    """
    return seed, position


def prenet_dropout_mask(model: Tacotron2Config, seeds: Sequence[Seed], n_steps: int) -> np.ndarray:
    """Dropout mask of the prenet, float32 (n_steps, B, 2 * prenet_dim), one stream for each of the B `seeds`.

    A longer mask begins with the shorter one of the same seeds.
    """
    return np.stack([next_dropout_mask(model, np.random.default_rng(seed), n_steps) for seed in seeds], 1)


def next_dropout_mask(model: Tacotron2Config, stream: np.random.Generator, n_steps: int) -> np.ndarray:
    """The next steps of an item's dropout mask of the prenet, float32 (n_steps, 2 * prenet_dim), from its stream."""
    keep_probability = 1.0 - model.prenet_dropout
    drawn = stream.random((n_steps, 2 * model.prenet_dim), np.float32)
    return (drawn < keep_probability).astype(np.float32) / np.float32(keep_probability)


def latents(seed: int, n_batch: int, n_time: int, n_group: int) -> np.ndarray:
    """Standard normal latents for WaveGlow, float32 (B, T, n_group), one stream for each item.

    A longer array begins with the shorter one of the same seed.
    """
    streams = [np.random.default_rng(item_seed(seed, item)) for item in range(n_batch)]
    return np.stack([stream.standard_normal((n_time, n_group), np.float32) for stream in streams])


def drawn_noise(seed: Seed) -> tuple[Callable[[int], np.ndarray], float]:
    """A function that draws the next samples of standard normal noise, float32, and a phase in [0, 1)."""
    stream = np.random.default_rng(seed)
    start = stream.random()
    return lambda n_samples: stream.standard_normal(n_samples, np.float32), start


def noise_and_phase(seeds: Sequence[Seed], n_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Standard normal noise, float32 (B, n_samples), and a phase in [0, 1), float32 (B, 1), for the harmonic vocoder.

    There is one stream for each of the B `seeds`. Longer noise begins with the shorter one of the same seed.
    """
    drawn = [drawn_noise(seed) for seed in seeds]
    return np.stack([draw(n_samples) for draw, _ in drawn]), np.array([[start] for _, start in drawn], np.float32)
