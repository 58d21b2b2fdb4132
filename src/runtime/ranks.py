"""The ranks of a run: how they find each other, share seeds and add up numbers."""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator

import mindspore as ms
import numpy as np
from mindspore import Tensor, communication, ops

from src.runtime.device import setup

SEED_DISTANCE = 1_000_003  # between the seeds of two ranks
SCHEDULER_SECONDS = 600  # that a rank waits for the scheduler; then MindSpore, which waits as long, takes over


def meet_ranks() -> None:
    """Wait for the other ranks, if msrun or a rank table made this process one of several; otherwise do nothing.

    Call it before anything is read or written: msrun's scheduler runs the same script and leaves it here.
    """
    if "MS_ROLE" in os.environ or "RANK_TABLE_FILE" in os.environ:
        setup()
        if os.environ.get("MS_ROLE") == "MS_WORKER":
            _wait_for_scheduler()
        communication.init()


def _wait_for_scheduler() -> None:
    """Wait until the scheduler listens, or until it is time for MindSpore to report what is wrong.

    In MindSpore 2.10, a rank that connects too early keeps failing to register for most of a minute afterwards.
    """
    address = os.environ["MS_SCHED_HOST"], int(os.environ["MS_SCHED_PORT"])
    deadline = time.monotonic() + SCHEDULER_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(address, timeout=5).close()
        except OSError:
            time.sleep(0.2)
        else:
            return


def seed_dropout(seed: int) -> None:
    """Give each rank a seed of its own for dropout, after all ranks have drawn the same initial weights."""
    ms.set_seed(seed + SEED_DISTANCE * rank())


def rank() -> int:
    """Number of this process among those of the run, from 0."""
    return communication.get_rank() if world_size() > 1 else 0


def world_size() -> int:
    """Number of processes of the run; 1 unless `meet_ranks` met others."""
    return communication.get_group_size() if communication.GlobalComm.INITED else 1


def all_reduce() -> Callable[[Tensor], Tensor]:
    """An operator for graphs that sums a tensor over the ranks; with one rank it is the identity."""
    return ops.AllReduce() if world_size() > 1 else ops.identity


def total(*values: float) -> list[float]:
    """Sum each value over the ranks. All ranks must call this, and none returns before all have called."""
    if world_size() == 1:
        return list(values)
    return _sum(Tensor(np.array(values, np.float32))).asnumpy().tolist()


def assert_equal(digest: str, what: str) -> None:
    """Make sure that the hexadecimal `digest` of something is the same on all ranks. All ranks must call this.

    Raises:
        RuntimeError: it is not; the message names `what`.
    """
    # Digit by digit, because sums of small whole numbers are exact.
    digits = np.array([int(digit, 16) for digit in digest], np.float32)
    if not np.array_equal(total(*digits), digits * world_size()):
        raise RuntimeError(f"rank {rank()}: {what} differ between the ranks")


def gather(values: list[float]) -> list[float]:
    """Collect the `values` of all ranks, rank by rank. All ranks must call this with equally many values."""
    places = [0.0] * (len(values) * world_size())
    places[rank() * len(values) : (rank() + 1) * len(values)] = values
    return total(*places)


@contextlib.contextmanager
def first_rank_first() -> Iterator[None]:
    """Context manager that the other ranks enter after rank 0 has left it, so that they find its files."""
    if rank() > 0:
        total(0.0)
    yield
    if rank() == 0:
        total(0.0)


@ms.jit
def _sum(values: Tensor) -> Tensor:
    return ops.AllReduce()(values)
