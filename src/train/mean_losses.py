"""The losses of a vocoder over the validation segments."""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from mindspore import Tensor
from tqdm import tqdm

from src import runtime
from src.data.segments import Segments

FEWEST_SEGMENTS = 16  # of a validation; fewer would mean little
Batch = TypeVar("Batch")


def mean_losses(
    segments: Segments, losses: Callable[[Batch, int], Sequence[Tensor]], n_losses: int
) -> tuple[list[float], dict[str, int]]:
    """Mean each loss over one segment of each clip, or over several if clips are few.

    The segments are always the same, and the ranks share them. They are taken one by one, without those that only fill
    an epoch up, so that none counts twice.

    Args:
        segments: batches of one segment.
        losses: from a batch and its number, `n_losses` scalars.

    Returns:
        The means over the segments of all ranks; how many samples and clips were measured.
    """
    sums, rank, n_ranks = np.zeros(n_losses), runtime.rank(), runtime.world_size()
    n_clips = len(segments.clips)
    n_epochs = math.ceil(FEWEST_SEGMENTS / n_clips)
    with tqdm(total=n_epochs * len(segments), desc="validation", leave=False, dynamic_ncols=True, disable=None) as bar:
        for epoch in range(n_epochs):
            for step, batch in enumerate(segments.epoch(epoch)):
                if step * n_ranks + rank < n_clips:
                    found = losses(batch, epoch * len(segments) + step)
                    sums += [float(value.asnumpy()) for value in found]
                bar.update()
    n_segments = n_epochs * n_clips
    means = (np.array(runtime.total(*sums)) / n_segments).tolist()
    return means, {"samples": n_segments * segments.length, "clips": n_clips}
