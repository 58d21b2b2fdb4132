"""Work done in a child process, a fork of this one."""

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
    """Return whether a fork of this process would work.

    It does on Linux, with one rank, without a device that two processes would share, and without threads other than
    those of linear algebra, which handle forks. MindSpore starts its threads when the first operator runs.
    """
    if world_size() > 1 or threading.active_count() > 1 or ms.get_context("device_target") != "CPU":
        return False
    names = {path.read_text() for path in Path("/proc/self/task").glob("*/comm")}
    return len(names) == 1  # MindSpore's threads have names of their own


def run_in_child(work: Callable[[], None]) -> bool:
    """Do `work` in a fork of this process and wait for it. Returns whether it succeeded.

    The child is killed if this process ends.
    """
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with contextlib.suppress(OSError, AttributeError):  # not Linux
                ctypes.CDLL(None).prctl(LINUX_PARENT_DEATH_SIGNAL, signal.SIGKILL)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the parent reports errors
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def in_child(function: Callable[..., Result], *first: Any) -> Callable[..., Result]:
    """Wrap `function` so that a fork of this process computes it; `function` must not use MindSpore.

    The child first runs `function(*first)`, so that it loads what it needs while this process goes on; nobody waits for
    the result. Where a fork would not work (see `can_fork`), `function` itself is returned. What `function` raises is
    raised here. Results that cannot be pickled end the child. Only one call may run at a time, and none after a call
    that was interrupted.

    Raises:
        ChildProcessError: when called, if the child has ended, for example because the system was out of memory.
    """
    if not can_fork():
        return function
    context = multiprocessing.get_context("fork")
    parent_end, child_end = context.Pipe()
    arguments = (function, first, child_end, parent_end)
    child = context.Process(target=_answer, args=arguments, daemon=True)  # daemon: it ends with this process
    child.start()
    child_end.close()

    def ask(*args: Any, **kwargs: Any) -> Result:
        try:
            parent_end.send((args, kwargs))
            answer, error, trace = parent_end.recv()
        except (EOFError, ConnectionError):
            child.join()
            raise ChildProcessError(
                f"the process that computes {function.__name__} ended with exit code {child.exitcode}"
            ) from None
        if error is not None:
            raise error from ChildProcessError(f"\n{trace}")
        return answer

    return ask


def _answer(
    function: Callable[..., Any], first: tuple[Any, ...], child_end: Connection, parent_end: Connection
) -> None:
    """Answer the calls of `in_child` in the child, until the parent closes its end of the pipe or is gone."""
    parent_end.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both processes; the parent reports it
    with contextlib.suppress(Exception):  # a call that somebody waits for will raise it again
        function(*first)
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            args, kwargs = child_end.recv()
            try:
                reply = function(*args, **kwargs), None, ""
            except Exception as error:
                reply = None, error, traceback.format_exc()
            child_end.send(reply)
