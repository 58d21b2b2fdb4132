"""Work in a copy of this process."""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

import mindspore as ms

from src.runtime.ranks import world_size

LINUX_PARENT_DEATH_SIGNAL = 1  # of prctl
Result = TypeVar("Result")


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
    child = context.Process(
        target=_answer, args=(function, first, there, here), daemon=True
    )  # daemon: it ends with this process
    child.start()
    there.close()

    def ask(*args: Any, **kwargs: Any) -> Result:
        try:
            here.send((args, kwargs))
            answer, error, trace = here.recv()
        except (EOFError, ConnectionError):
            child.join()
            raise ChildProcessError(
                f"the process that computes {function.__name__} ended with exit code {child.exitcode}"
            ) from None
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
