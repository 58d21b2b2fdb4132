"""The processes of the server: the listening socket, uvicorn, and its supervisor if there are several workers."""

import contextlib
import functools
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import uvicorn
from uvicorn.supervisors import Multiprocess

from src.errors import InputError
from src.serving.app import Gate, create_app, end_if_threads_are_left
from src.serving.connection import Connection
from src.serving.heartbeat import seconds_silent
from src.serving.service import MakeVoice
from src.serving.settings import Settings

KEEP_ALIVE = 10  # seconds that an idle connection stays open
HUNG = 600  # seconds without a sign of life until the supervisor replaces a worker; compiling may hold Python's lock
MEMORY = "/dev/shm"  # so that metrics need no disk
METRICS_FOLDER = (
    "PROMETHEUS_MULTIPROC_DIR"  # where prometheus_client looks when it is imported, hence not in metrics.py
)


def serve(settings: Settings, make_voice: MakeVoice) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        settings: with the port 0, a free port is taken.
        make_voice: see `Service`; must be picklable if there are several workers.

    Raises:
        InputError: the address cannot be used.
        SystemExit: the voice cannot be loaded; 2 for bad input, otherwise 1. One line on stderr says why.
    """
    listener = listen(settings)
    print(f"{url(settings, listener)} listens; the voice is being loaded; Ctrl-C ends it", flush=True)
    if not settings.api_key and not _is_private(listener):
        print("warning: everyone who reaches this machine can use it; --api_key sets a key", file=sys.stderr)
    # After a signal, uvicorn raises it once more: then it only ends this function.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    with listener:
        if settings.workers == 1:
            gate = create_app(settings, make_voice)
            uvicorn.Server(uvicorn_config(gate, settings)).run([listener])
            assert isinstance(gate, Gate)
            if gate.service.failure:
                print(f"error: {gate.service.failure}", file=sys.stderr)
                raise SystemExit(gate.service.exit_code)
        else:
            with _shared_folder() as folder:
                settings = replace(settings, shared_folder=folder)
                factory = functools.partial(create_app, settings, make_voice)
                Supervisor(uvicorn_config(factory, settings, factory=True), [listener], settings).run()
                if (failure := Path(folder) / "failure").exists():  # the worker has said why
                    raise SystemExit(int(failure.read_text() or 1))
    print("ended", flush=True)
    end_if_threads_are_left()


def listen(settings: Settings) -> socket.socket:
    """Bind the socket that all workers share.

    Raises:
        InputError: the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio sends small pieces at once (TCP_NODELAY) only where the protocol is named; otherwise a sound waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # the kernel drops a connection whose other end is gone
            milliseconds = round(1000 * (settings.slow_reader_timeout + 30))
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        listener.bind((settings.host, settings.port))
        listener.listen(2048)
    except (OSError, OverflowError, UnicodeError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        where = f"{settings.host}, port {settings.port}"
        raise InputError(f"cannot listen at {where} ({reason}); choose another --port or --host") from error
    listener.set_inheritable(True)
    return listener


def url(settings: Settings, listener: socket.socket) -> str:
    """Return the address of the page."""
    name = socket.gethostname() if settings.host in ("0.0.0.0", "::") else settings.host
    return f"http://{f'[{name}]' if ':' in name else name}:{listener.getsockname()[1]}"


def _is_private(listener: socket.socket) -> bool:
    address = listener.getsockname()[0]
    return address.startswith("127.") or address == "::1"


class Supervisor(Multiprocess):
    """uvicorn's supervisor, without its pings while all workers live.

    A ping to a worker that dies before its answer would be waited for to the end of the time limit, and that must be
    long, since a worker that compiles may not answer. Workers give signs of life themselves once they can speak.
    """

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], settings: Settings):
        super().__init__(config, sockets)
        self.settings = settings

    def keep_subprocess_alive(self) -> None:
        """Replace workers that have died, or that hang."""
        for worker in self.processes:
            silence = seconds_silent(self.settings.shared_folder, worker.pid)
            if silence > self.settings.worker_timeout and worker.process.is_alive():
                logging.getLogger("uvicorn.error").warning(f"worker {worker.pid} hangs; it is replaced")
                worker.process.kill()
                worker.process.join()
        if not all(worker.process.is_alive() for worker in self.processes):
            super().keep_subprocess_alive()


class TerseLog(logging.Filter):
    """Of uvicorn's log, let through warnings, and that a worker died. That one cannot start, it says itself."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is written."""
        text = record.getMessage()
        return (record.levelno > logging.INFO and "failed to start" not in text) or text.endswith("died")


def uvicorn_config(app: Any, settings: Settings, factory: bool = False) -> uvicorn.Config:
    """Return uvicorn's configuration for the application, or for a function that makes it (`factory`)."""
    plain = {"format": "%(asctime)s %(message)s", "datefmt": "%H:%M:%S"}
    if settings.workers > 1:
        plain["format"] = "%(asctime)s worker %(process)d: %(message)s"
    to_stderr = {"handlers": ["stderr"], "propagate": False}
    return uvicorn.Config(
        app,
        factory=factory,
        http=Connection,
        ws="none",
        loop="asyncio",
        lifespan="on",
        workers=settings.workers,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=settings.drain_seconds,
        timeout_worker_healthcheck=HUNG,
        log_config={
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"plain": plain},
            "filters": {"terse": {"()": TerseLog}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
            "loggers": {
                "serving": {"level": "INFO", **to_stderr},
                "uvicorn.error": {"level": "INFO", "filters": ["terse"], **to_stderr},
            },
        },
    )


@contextlib.contextmanager
def _shared_folder() -> Iterator[str]:
    """Make the folder in which workers share their metrics, in memory where the system has such a place."""
    place = MEMORY if os.access(MEMORY, os.W_OK) else None
    folder = tempfile.mkdtemp(prefix=f"serve-{os.getpid()}-", dir=place)
    for old in Path(folder).parent.glob("serve-*-*"):  # of servers that were killed
        pid = old.name.split("-")[1]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(old, ignore_errors=True)
    os.environ[METRICS_FOLDER] = folder
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
