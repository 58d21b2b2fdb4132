"""The hand-over from the thread that makes a sound to the event loop that sends it.

Each request has a thread and a buffer of its own. When the buffer is full, that thread waits and no other does.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Piece(NamedTuple):
    """A piece of a response, and the seconds of sound in it."""

    content: bytes
    seconds: float


class Relay:
    """Pieces that a thread makes, for one task of the event loop. The thread starts with the first `next`.

    Args:
        make: called in the thread; gives the pieces. It is told by an event when nobody wants more, and is closed in
            its thread as soon as it then hands over a piece.
        capacity: seconds of sound in the buffer.
        ended: called in the event loop once the thread has ended.
    """

    def __init__(self, make: Callable[[threading.Event], Iterator[Piece]], capacity: float, ended: Callable[[], None]):
        self._make, self._capacity, self._ended = make, capacity, ended
        self._loop, self._arrived = asyncio.get_running_loop(), asyncio.Event()
        self._changed = threading.Condition()  # guards all that follows
        self._pieces: deque[Piece] = deque()
        self._seconds = 0.0  # in the buffer
        self._closed = self._complete = False
        self._error: BaseException | None = None
        self._cancel = threading.Event()
        self._thread: threading.Thread | None = None

    async def next(self) -> Piece | None:
        """Wait for the next piece; None after the last.

        Raises:
            Exception: whatever ended the thread, once the pieces before it are taken.
        """
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="speech", daemon=True)
            thread.start()  # may fail; then `close` gives the place back
            self._thread = thread
        while True:
            with self._changed:
                if self._pieces:
                    piece = self._pieces.popleft()
                    self._seconds -= piece.seconds
                    self._changed.notify()
                    return piece
                if self._complete:
                    if self._error is not None:
                        raise self._error
                    return None
                self._arrived.clear()
            await self._arrived.wait()

    def close(self) -> None:
        """Want no more pieces. The thread ends soon, at once if it waits for room."""
        self._cancel.set()
        with self._changed:
            self._closed = True
            self._pieces.clear()
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.current_thread()  # none will start
            self._end(None)

    def _work(self) -> None:
        error = None
        try:
            pieces = self._make(self._cancel)
            try:
                for piece in pieces:
                    if not self._hand_over(piece):
                        break
            finally:
                if hasattr(pieces, "close"):
                    pieces.close()
        except BaseException as caught:
            error = caught
        self._call(lambda: self._end(error))

    def _end(self, error: BaseException | None) -> None:
        """Give the place back before anybody hears of the end: who then asks again finds it free."""
        try:
            self._ended()
        finally:
            with self._changed:
                self._error, self._complete = error, True
            self._arrived.set()

    def _hand_over(self, piece: Piece) -> bool:
        """Put a piece into the buffer once there is room. Returns whether more are wanted."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._seconds < self._capacity)
            if self._closed:
                return False
            self._pieces.append(piece)
            self._seconds += piece.seconds
        self._call(self._arrived.set)
        return True

    def _call(self, function: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:  # the event loop has ended before this thread
            self._closed = True
