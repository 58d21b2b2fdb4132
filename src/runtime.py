"""The only place that knows devices, modes and seeds."""

import contextlib
import ctypes
import os

import mindspore as ms
import numpy as np

# glibc raises this threshold by itself to 32 MB, and then keeps freed blocks below it instead of giving them back to the system.
GLIBC_MMAP_THRESHOLD = -3


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
    with contextlib.suppress(OSError, AttributeError, TypeError):  # other C libraries have no such call
        ctypes.CDLL(None).mallopt(GLIBC_MMAP_THRESHOLD, 2**20)
    if seed is not None:
        ms.set_seed(seed)
        np.random.seed(seed)
    return ms.get_context("device_target")
