"""The device and the execution mode of MindSpore."""

import contextlib
import ctypes
import os
from collections.abc import Callable

import mindspore as ms
import numpy as np
from mindspore import communication

from src.errors import InputError

# glibc raises this threshold up to 32 MB by itself, and then keeps freed blocks below it instead of returning them.
GLIBC_MMAP_THRESHOLD = -3
JIT_LEVELS = ("O0", "O1")
# On Ascend starting kernels bounds both networks' recurrences, and O1 fuses small ones (docs/backends.md).
DEFAULT_JIT_LEVEL = {"Ascend": "O1"}
# Steps in an iteration of the networks' loops, where the networks' own numbers, which suit a CPU, do not: of the
# recurrences of training, and of free running. On Ascend each launch less counts, and the host reads the condition of a
# loop once an iteration, while the device waits.
BLOCKS = {"Ascend": (10, 5)}
# Libraries that MindSpore 2.10's plug-in for GPUs is linked with, and where they come from.
GPU_LIBRARIES = {
    "libcuda.so.1": "NVIDIA's driver",
    "libcudart.so.11.0": "CUDA 11",
    "libcublas.so.11": "CUDA 11",
    "libcudnn.so.8": "cuDNN 8",
}
# Ascend 910A and 910 ProA: products of float32 are rounded to float16, and an overflow gives the largest number in
# place of infinity, so that no step would be seen to fail. MindSpore's names: ascend910 for these, ascend910b for Atlas
# A2, ascend910_93 for Atlas A3.
UNFIT_SOCS = ("ascend910",)


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
        if device == "GPU":
            _need_gpu_libraries()
        try:
            # Under msrun, MindSpore assigns the devices.
            ms.set_device(device, None if "MS_ROLE" in os.environ else int(device_id))
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().split(" Please")[0]
            hint = "Source set_env.sh of CANN first, or choose" if device == "Ascend" else "Choose"
            raise InputError(
                f"DEVICE_TARGET {device}, DEVICE_ID {device_id}: {reason} {hint} another one by DEVICE_TARGET."
            ) from error
    ms.set_context(mode=ms.GRAPH_MODE)
    if ms.get_context("device_target") == "Ascend":
        _refuse_unfit_soc()
    if (level := jit_level()) != "O0":
        ms.set_context(jit_config={"jit_level": level})
    with contextlib.suppress(OSError, AttributeError, TypeError):  # not glibc
        ctypes.CDLL(None).mallopt(GLIBC_MMAP_THRESHOLD, 2**20)
    if seed is not None:
        ms.set_seed(seed)
        np.random.seed(seed)
    return ms.get_context("device_target")


def jit_level() -> str:
    """Return the level of MindSpore's compiler: O0, or O1, which also fuses small operators.

    The environment variable JIT_LEVEL names it; otherwise it is the device's default.

    Raises:
        InputError: JIT_LEVEL is another one.
    """
    level = os.environ.get("JIT_LEVEL") or DEFAULT_JIT_LEVEL.get(ms.get_context("device_target"), "O0")
    if level not in JIT_LEVELS:
        raise InputError(f"JIT_LEVEL must be {' or '.join(JIT_LEVELS)}, not '{level}'")
    return level


def blocks() -> tuple[int, int] | None:
    """Return the steps in an iteration of the device's loops: of training, of free running. None: the networks' own."""
    return BLOCKS.get(ms.get_context("device_target"))


def jit(function: Callable) -> Callable:
    """`ms.jit` at the level of `jit_level`, as it has a level of its own beside the context's, O0 by default."""
    return ms.jit(function, jit_level=jit_level())


def _need_gpu_libraries() -> None:
    """Find what MindSpore's plug-in for GPUs is linked with, as MindSpore itself reports it in several lines."""
    missing = []
    for library, origin in GPU_LIBRARIES.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            missing.append(f"{library} ({origin})")
    if missing:
        raise InputError(
            f"DEVICE_TARGET GPU: MindSpore {ms.__version__} needs CUDA 11 and cuDNN 8, and does not find "
            f"{', '.join(missing)}; install them, put their folders into LD_LIBRARY_PATH, or choose another device by "
            "DEVICE_TARGET"
        )


def _refuse_unfit_soc() -> None:
    soc = _soc()
    if soc in UNFIT_SOCS:
        raise InputError(
            f"the device is an {soc} (910A): its products round float32 to float16, and an overflow saturates in place "
            "of giving infinity, so that training would go wrong unseen; take an Atlas A2 (Ascend 910B) or A3, or "
            "DEVICE_TARGET=CPU"
        )


def _soc() -> str:
    """MindSpore's name of the Ascend chip."""
    from mindspore._c_expression import MSContext  # noqa: PLC0415  (no public function tells)

    return MSContext.get_instance().get_ascend_soc_version()


def need_ascend(what: str) -> None:
    """Make sure that this process runs on Ascend.

    Raises:
        InputError: it does not; the message says that `what` needs it.
    """
    if (device := setup()) != "Ascend":
        raise InputError(f"{what} on Ascend, but this is {device}")
