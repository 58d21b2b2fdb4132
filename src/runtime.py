"""The only place that knows devices, modes, seeds and the other processes of a run."""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

import mindspore as ms
import numpy as np
from mindspore import Tensor, communication, ops

from src.errors import InputError

# glibc raises this threshold by itself to 32 MB, and then keeps freed blocks below it instead of giving them back to the system.
GLIBC_MMAP_THRESHOLD = -3
LINUX_PARENT_DEATH_SIGNAL = 1  # of prctl
SEED_DISTANCE = 1_000_003  # between the seeds of two ranks
SCHEDULER_SECONDS = 600  # that ranks wait for the scheduler before MindSpore, which waits as long, takes over

Result = TypeVar("Result")


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
            ms.set_device(device, None if "MS_ROLE" in os.environ else int(device_id))  # under msrun MindSpore deals the devices out
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().split(" Please")[0]
            raise InputError(f"DEVICE_TARGET {device}, DEVICE_ID {device_id}: {reason} Choose another one by DEVICE_TARGET.") from error
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


def can_fork() -> bool:
    """Whether a copy of this process can go on by itself: on Linux, with one rank, no device that two processes would share, and no
    threads but those of linear algebra, which know how to be copied. MindSpore starts its threads with the first operator that runs."""
    if world_size() > 1 or threading.active_count() > 1 or ms.get_context("device_target") != "CPU":
        return False
    names = {path.read_text() for path in Path("/proc/self/task").glob("*/comm")}
    return len(names) == 1  # threads of MindSpore's have names of their own


def run_in_child(work: Callable[[], None]) -> bool:
    """Do `work` in a copy of this process and wait for it; the copy ends with this one. Returns whether it came to its end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with contextlib.suppress(OSError, AttributeError):  # other systems have no such call
                ctypes.CDLL(None).prctl(LINUX_PARENT_DEATH_SIGNAL, signal.SIGKILL)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the parent says what there is to say
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def in_child(function: Callable[..., Result], *first: Any) -> Callable[..., Result]:
    """`function`, computed by a copy of this process, which has no use for MindSpore there.

    The copy begins at once with `function(*first)`, for which nobody waits: it loads what it needs beside what happens here. Where a
    process cannot be copied (see `can_fork`), this is `function` as it is. What `function` raises is raised here; what cannot be pickled
    ends the copy. One call at a time; after one that was interrupted, no other.

    Raises:
        ChildProcessError: when called, if the copy has ended, as when the system was out of memory.
    """
    if not can_fork():
        return function
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=_answer, args=(function, first, there, here), daemon=True)  # daemon: it ends with this process
    child.start()
    there.close()

    def ask(*args: Any, **kwargs: Any) -> Result:
        try:
            here.send((args, kwargs))
            answer, error, trace = here.recv()
        except (EOFError, ConnectionError):
            child.join()
            raise ChildProcessError(f"the process that computes {function.__name__} ended with exit code {child.exitcode}") from None
        if error is not None:
            raise error from ChildProcessError(f"\n{trace}")
        return answer

    return ask


def _answer(function: Callable[..., Any], first: tuple[Any, ...], there: Connection, here: Connection) -> None:
    """The copy's part of `in_child`, until the other end of the pipe is closed, if only because the process that has it is gone."""
    here.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both; the parent is the one to say so
    with contextlib.suppress(Exception):  # a call with a use will raise it again
        function(*first)
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            args, kwargs = there.recv()
            try:
                reply = function(*args, **kwargs), None, ""
            except Exception as error:
                reply = None, error, traceback.format_exc()
            there.send(reply)


def meet_ranks() -> None:
    """In a process that msrun or a rank table made one of several, wait for the others; elsewhere nothing happens.

    To be called before anything is read or written: msrun's scheduler runs the same script and leaves it here.
    """
    if "MS_ROLE" in os.environ or "RANK_TABLE_FILE" in os.environ:
        setup()
        if os.environ.get("MS_ROLE") == "MS_WORKER":
            _wait_for_scheduler()
        communication.init()


def _wait_for_scheduler() -> None:
    """Until it listens, or for so long that MindSpore should say what is wrong: in 2.10, a rank that calls before goes on failing to
    register for most of a minute after the scheduler is there."""
    address, patience = (os.environ["MS_SCHED_HOST"], int(os.environ["MS_SCHED_PORT"])), time.monotonic() + SCHEDULER_SECONDS
    while time.monotonic() < patience:
        try:
            socket.create_connection(address, timeout=5).close()
        except OSError:
            time.sleep(0.2)
        else:
            return


def seed_dropout(seed: int) -> None:
    """Let each rank draw dropout of its own, after the initial weights were drawn alike."""
    ms.set_seed(seed + SEED_DISTANCE * rank())


def rank() -> int:
    """This process's number among those of the run, from 0."""
    return communication.get_rank() if world_size() > 1 else 0


def world_size() -> int:
    """How many processes the run has; 1 unless `meet_ranks` met others."""
    return communication.get_group_size() if communication.GlobalComm.INITED else 1


def all_reduce() -> Callable[[Tensor], Tensor]:
    """An operator for graphs that sums a tensor over the ranks; with one rank it leaves the tensor as it is."""
    return ops.AllReduce() if world_size() > 1 else ops.identity


def total(*values: float) -> list[float]:
    """The sum of each value over the ranks, which must all call this. Nobody goes on before all have come."""
    if world_size() == 1:
        return list(values)
    return _sum(Tensor(np.array(values, np.float32))).asnumpy().tolist()


def assert_equal(digest: str, what: str) -> None:
    """Make sure that the hexadecimal `digest` of something is the same on all ranks, which must all call this.

    Raises:
        RuntimeError: it is not; names `what`.
    """
    # Half bytes, as sums of small whole numbers are exact.
    digits = np.array([int(digit, 16) for digit in digest], np.float32)
    if not np.array_equal(total(*digits), digits * world_size()):
        raise RuntimeError(f"rank {rank()}: {what} differ between the ranks")


def gather(values: list[float]) -> list[float]:
    """The `values` of all ranks, rank by rank; every rank must call this with as many of them."""
    places = [0.0] * (len(values) * world_size())
    places[rank() * len(values) : (rank() + 1) * len(values)] = values
    return total(*places)


@contextlib.contextmanager
def first_rank_first() -> Iterator[None]:
    """Other ranks enter after rank 0 has left, so that they find its files in place."""
    if rank() > 0:
        total(0.0)
    yield
    if rank() == 0:
        total(0.0)


@ms.jit
def _sum(values: Tensor) -> Tensor:
    return ops.AllReduce()(values)
