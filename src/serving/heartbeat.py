"""Signs of life of one of several workers, which its supervisor looks for."""

import asyncio
import os
import time
from pathlib import Path

from src.serving.service import Service

EVERY = 1.0  # seconds


async def beat(service: Service) -> None:
    """Set the time of a file of this worker, as long as its event loop and its voice go on. It needs no free memory."""
    path = Path(service.settings.shared_folder) / f"alive-{os.getpid()}"
    os.close(os.open(path, os.O_CREAT | os.O_CLOEXEC, 0o600))
    try:
        while True:
            if getattr(service.voice, "seconds_stuck", 0) < service.settings.worker_timeout:
                now = time.monotonic_ns()  # which nobody sets back, and which all processes share
                os.utime(path, ns=(now, now))
            await asyncio.sleep(EVERY)
    finally:
        path.unlink(missing_ok=True)  # a worker that ends by itself does not hang


def seconds_silent(folder: str, worker: int | None) -> float:
    """Return the seconds since the last sign of life; 0 if there was none, as while a voice is loaded."""
    try:
        last = (Path(folder) / f"alive-{worker}").stat().st_mtime_ns
    except OSError:
        return 0.0
    return max(0.0, (time.monotonic_ns() - last) / 1e9)
