"""The only place that knows devices, modes, seeds and the other processes of a run."""

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
SCHEDULER_SECONDS = 600  # that ranks wait for the scheduler before MindSpore, which waits as long, takes over


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
    address, patience = (
        (os.environ["MS_SCHED_HOST"], int(os.environ["MS_SCHED_PORT"])),
        time.monotonic() + SCHEDULER_SECONDS,
    )
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
