"""The only place that knows devices, modes and seeds."""

import os

import mindspore as ms
import numpy as np


def setup(seed: int | None = None) -> str:
    """Put MindSpore in graph mode on the device of the environment variable DEVICE_TARGET (Ascend, GPU, CPU; default: what is there).

    Args:
        seed: seeds MindSpore and NumPy when given.

    Returns:
        The device's name.
    """
    device = os.environ.get("DEVICE_TARGET")
    if device:
        ms.set_device(device)
    ms.set_context(mode=ms.GRAPH_MODE)
    if seed is not None:
        ms.set_seed(seed)
        np.random.seed(seed)
    return ms.get_context("device_target")
