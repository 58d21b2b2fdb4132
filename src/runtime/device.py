"""The device and the mode that MindSpore works in."""

import contextlib
import ctypes
import os

import mindspore as ms
import numpy as np
from mindspore import communication

from src.errors import InputError

# glibc raises this threshold by itself to 32 MB, and then keeps freed blocks below it instead of giving them back to the system.
GLIBC_MMAP_THRESHOLD = -3


def setup(seed: int | None = None) -> str:
    """Put MindSpore in graph mode on the device of the environment variables DEVICE_TARGET (Ascend, GPU, CPU; default: what is there)
    and DEVICE_ID (default: 0).

    Args:
        seed: seeds MindSpore and NumPy when given.

    Returns:
        The device's name.

    Raises:
        InputError: MindSpore finds no such device.
    """
    device = os.environ.get("DEVICE_TARGET")
    if device and not communication.GlobalComm.INITED:  # afterwards it is refused
        device_id = os.environ.get("DEVICE_ID") or "0"
        try:
            ms.set_device(
                device, None if "MS_ROLE" in os.environ else int(device_id)
            )  # under msrun MindSpore deals the devices out
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().split(" Please")[0]
            raise InputError(
                f"DEVICE_TARGET {device}, DEVICE_ID {device_id}: {reason} Choose another one by DEVICE_TARGET."
            ) from error
    ms.set_context(mode=ms.GRAPH_MODE)
    with contextlib.suppress(OSError, AttributeError, TypeError):  # other C libraries have no such call
        ctypes.CDLL(None).mallopt(GLIBC_MMAP_THRESHOLD, 2**20)
    if seed is not None:
        ms.set_seed(seed)
        np.random.seed(seed)
    return ms.get_context("device_target")


def need_ascend(what: str) -> None:
    """Make sure that this runs on Ascend.

    Raises:
        InputError: it does not; says that `what` needs it.
    """
    if (device := setup()) != "Ascend":
        raise InputError(f"{what} on Ascend, but this is {device}")
