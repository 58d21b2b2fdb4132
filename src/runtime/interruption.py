"""Ctrl-C and `kill` as a request to stop at a good moment."""

import os
import signal
from types import FrameType, TracebackType


class Interruption:
    """While entered, the first SIGINT or SIGTERM only sets `signal`; the second one has its usual effect.

    Once a graph has run, SIGINT comes as SIGTERM: MindSpore puts a handler of its own in place of Python's, which sends that.
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
        os.write(2, b"\nstopping after this step; once more stops at once\n")  # print may not be entered twice
        self.__exit__(None, None, None)
