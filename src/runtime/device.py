"""The device and the execution mode of MindSpore."""

import contextlib
import ctypes
import os

import mindspore as ms
import numpy as np
from mindspore import communication

from src.errors import InputError

# glibc raises this threshold up to 32 MB by itself, and then keeps freed blocks below it instead of returning them.
GLIBC_MMAP_THRESHOLD = -3


def setup(seed: int | None = None) -> str:
    """Select graph mode and the device named by DEVICE_TARGET (Ascend, GPU, CPU; default: the first one found).

    The environment variable DEVICE_ID chooses among several (default: 0).

    Args:
        seed: seed for MindSpore and NumPy; by default neither is seeded.

    Returns:
        The device's name.

    Raises:
        InputError: MindSpore finds no such device.
    """
    device = os.environ.get("DEVICE_TARGET")
    if device and not communication.GlobalComm.INITED:  # MindSpore refuses it afterwards
        device_id = os.environ.get("DEVICE_ID") or "0"
        try:
            # Under msrun, MindSpore assigns the devices.
            ms.set_device(device, None if "MS_ROLE" in os.environ else int(device_id))
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().split(" Please")[0]
            raise InputError(
                f"DEVICE_TARGET {device}, DEVICE_ID {device_id}: {reason} Choose another one by DEVICE_TARGET."
            ) from error
    ms.set_context(mode=ms.GRAPH_MODE)
    with contextlib.suppress(OSError, AttributeError, TypeError):  # not glibc
        ctypes.CDLL(None).mallopt(GLIBC_MMAP_THRESHOLD, 2**20)
    if seed is not None:
        ms.set_seed(seed)
        np.random.seed(seed)
    return ms.get_context("device_target")


def need_ascend(what: str) -> None:
    """Make sure that this process runs on Ascend.

    Raises:
        InputError: it does not; the message says that `what` needs it.
    """
    if (device := setup()) != "Ascend":
        raise InputError(f"{what} on Ascend, but this is {device}")
