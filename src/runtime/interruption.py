"""Ctrl-C and `kill` as requests to stop at a good moment."""

import os
import signal
from types import FrameType, TracebackType


class Interruption:
    """Context manager in which the first SIGINT or SIGTERM only sets `signal`; the second has its usual effect.

    Once a graph has run, SIGINT arrives as SIGTERM: MindSpore replaces Python's handler by one that sends SIGTERM.
    """

    def __init__(self):
        self.signal: signal.Signals | None = None

    def __enter__(self) -> "Interruption":
        self._handlers = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = signal.Signals(number)
        os.write(2, b"\nstopping after this step; once more stops at once\n")  # print is not reentrant
        self.__exit__(None, None, None)
