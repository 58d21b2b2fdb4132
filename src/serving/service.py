"""The state of a worker: its voice, who waits for it, and whether it takes requests."""

import fcntl
import math
import os
import threading
import time
import traceback
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from src.errors import InputError, one_line
from src.serving.errors import ApiError
from src.serving.metrics import Metrics
from src.serving.settings import Settings

MakeVoice = Callable[[Callable[[str], None]], Any]


class Service:
    """The voice and the requests for it. All but `load` is for the event loop's thread.

    Args:
        settings: the limits.
        make_voice: makes the voice; is given a function that takes the stages of the preparation.
    """

    def __init__(self, settings: Settings, make_voice: MakeVoice):
        self.settings, self.metrics = settings, Metrics()
        self.voice: Any = None
        self.stage = "starting"
        self.failure, self.exit_code = "", 0  # why there will be no voice: 2 for bad input, as all scripts
        self.draining = False
        self.waiting = self.streams = 0
        self._make_voice = make_voice
        self._seconds_to_sound = 1.0  # of late
        self._readiness = _Readiness(settings.shared_folder) if settings.shared_folder else None

    def load(self) -> None:
        """Load the voice, which takes a while: call it in a thread. Says on the terminal how far it is."""
        began = time.monotonic()
        try:
            voice = self._make_voice(self._report)
        except (InputError, OSError) as error:
            self.exit_code, self.failure = 2, one_line(error)
            return
        except BaseException as error:
            traceback.print_exc()
            self.exit_code, self.failure = 1, f"the voice cannot be loaded ({type(error).__name__})"
            return
        self.voice = voice
        self.metrics.ready.set(1)
        if self._readiness:
            self._readiness.announce()
        self._report(f"ready after {time.monotonic() - began:.0f} s")  # last: whoever reads it may ask at once

    def _report(self, stage: str) -> None:
        self.stage = stage
        print(f"worker {os.getpid()}: {stage}" if self.settings.workers > 1 else stage, flush=True)

    def others_are_ready(self) -> bool:
        """Return whether another worker takes requests, so that this one need not answer before it can speak."""
        return self._readiness is not None and self._readiness.announced()

    def check_ready(self) -> None:
        """Make sure that requests are taken.

        Raises:
            ApiError: 503; says why they are not.
        """
        if self.draining:
            headers = {"Retry-After": "5", "Connection": "close"}
            raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "the server is about to end", headers=headers)
        if self.voice is None:
            message = f"the voice is not ready yet ({self.stage})"
            raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, message, headers={"Retry-After": "5"})

        if getattr(self.voice, "failed", False):
            raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "the voice has failed; the server must be started again")

    def enter(self) -> "Place":
        """Take a place in the queue.

        Raises:
            ApiError: 429, the queue is full.
        """
        if self.waiting >= self.settings.max_waiting or self.streams >= self.settings.max_streams:
            seconds = str(max(1, min(60, math.ceil(self._seconds_to_sound))))
            message = "too many requests are waiting; try again in a while"
            raise ApiError(HTTPStatus.TOO_MANY_REQUESTS, message, headers={"Retry-After": seconds})
        return Place(self)

    def note_first_sound(self, seconds: float) -> None:
        """Note how long a request waited for its first sound."""
        self.metrics.first_sound.observe(seconds)
        self._seconds_to_sound += 0.2 * (seconds - self._seconds_to_sound)

    def close(self) -> None:
        """End the voice's thread."""
        self.metrics.ready.set(0)
        voice, self.voice = self.voice, None
        if voice is not None:
            voice.close()


class Place:
    """A request's place: it waits until the first sound, and is kept until its thread has ended."""

    def __init__(self, service: Service):
        self._service, self._waits, self._taken, self._heard = service, True, True, False
        self.began = time.monotonic()
        self._count(1, 1)

    def sound(self) -> float:
        """Note the first sound, which frees a place in the queue. Returns the seconds that it took."""
        seconds = time.monotonic() - self.began
        if self._waits:
            self._waits = False
            self._count(-1, 0)
        if not self._heard:  # short speech is made, and its place given back, before any of it is sent
            self._heard = True
            self._service.note_first_sound(seconds)
        return seconds

    def leave(self) -> None:
        """Give the place back."""
        if self._taken:
            self._count(-1 if self._waits else 0, -1)
            self._waits = self._taken = False

    def _count(self, waiting: int, streams: int) -> None:
        service = self._service
        service.waiting, service.streams = service.waiting + waiting, service.streams + streams
        service.metrics.waiting.set(service.waiting)
        service.metrics.streams.set(service.streams)


class _Readiness:
    """The knowledge among workers whether one of them is ready: each that is holds a shared lock on a file.

    The kernel frees the lock of a worker that is killed.
    """

    def __init__(self, folder: str):
        self._file = os.open(Path(folder) / "ready", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._lock = threading.Lock()

    def announce(self) -> None:
        with self._lock:
            fcntl.flock(self._file, fcntl.LOCK_SH)

    def announced(self) -> bool:
        with self._lock:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            fcntl.flock(self._file, fcntl.LOCK_UN)
            return False
