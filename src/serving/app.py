"""The ASGI application: addresses, who may ask, and the beginning and end of a worker."""

import asyncio
import ctypes
import hmac
import logging
import os
import re
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from types import FrameType

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from src.serving import page, speech
from src.serving.delivery import unexpected
from src.serving.errors import ApiError, answer_api_error, answer_http_error
from src.serving.heartbeat import beat
from src.serving.openapi import description
from src.serving.service import MakeVoice, Service
from src.serving.settings import Settings

OPEN_PATHS = ("/", "/healthz", "/openapi.json", "/facts")  # need no key
SPEAKING_PATHS = ("/v1/audio/speech", "/speak")
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
]
STARTUP_FAILURE = 3  # exit code by which uvicorn's supervisor knows that another start would fail too
PARENT_DEATH_SIGNAL = 1  # of prctl
ONE_SIGNAL = 1.0  # seconds in which Ctrl-C may arrive twice: from the terminal and from the supervisor


def create_app(settings: Settings, make_voice: MakeVoice) -> ASGIApp:
    """Make the application of one worker, whose voice `make_voice` makes once it runs."""
    service = Service(settings, make_voice)
    routes = [
        Route("/", page.page),
        Route("/facts", page.facts),
        Route("/speak", page.speak, methods=["POST"]),
        Route("/v1/audio/speech", speech.speech, methods=["POST"]),
        Route("/v1/audio/voices", speech.voices),
        Route("/v1/models", speech.models),
        Route("/healthz", health),
        Route("/metrics", metrics),
        Route("/openapi.json", openapi),
    ]
    handlers = {ApiError: answer_api_error, HTTPException: answer_http_error}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False
    app.state.service = service
    return Gate(app, service)


async def health(request: Request) -> Response:
    """Answer 200 when a text would be spoken, 503 while the voice is loaded and when the server is about to end."""
    service: Service = request.app.state.service
    service.check_ready()
    return JSONResponse({"status": "ready"})


async def metrics(request: Request) -> Response:
    """Return the metrics for Prometheus."""
    content = request.app.state.service.metrics.exposition()
    return Response(content, media_type="text/plain; version=0.0.4; charset=utf-8")


async def openapi(request: Request) -> Response:
    """Return the description of the API."""
    service: Service = request.app.state.service
    return JSONResponse(description(service.settings))


class Gate:
    """Stands before the application: names of the server, keys, unexpected errors, and the lifespan of a worker."""

    def __init__(self, app: ASGIApp, service: Service):
        self._app, self.service = app, service
        self._key = service.settings.api_key.encode()
        self._signalled = 0.0
        self._beating: asyncio.Task | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, or the beginning and end of the worker."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        started = 0  # the status, once it is sent

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = message["status"]
                message = {**message, "headers": [*message["headers"], *SECURITY_HEADERS]}
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, receive, answer)
        except ApiError as error:
            await error.response()(scope, receive, answer)
        except ClientDisconnect:
            pass
        except asyncio.CancelledError:  # the time for draining is over
            if started and "abort" in scope.get("state", {}):
                scope["state"]["abort"]()
        except Exception as error:
            response = unexpected(error).response()
            if not started:
                await response(scope, receive, answer)
        if scope["path"] in SPEAKING_PATHS and "accounted" not in scope:
            self.service.metrics.requests.labels(scope["path"], str(started or 499), "refused").inc()

    def _check(self, scope: Scope) -> None:
        """Refuse foreign names and requests without the key.

        Raises:
            ApiError: 403 or 401.
        """
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        allowed = allowed_hosts(self.service.settings)
        if "*" not in allowed and _host_name(headers.get(b"host", "")) not in allowed:
            # A foreign page could let its own name point to this server (DNS rebinding).
            message = "this server does not go by that name; --allowed_hosts adds names"
            raise ApiError(HTTPStatus.FORBIDDEN, message)
        if self._key and scope["path"] not in OPEN_PATHS:
            scheme, _, key = headers.get(b"authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(key.strip().encode("latin-1"), self._key):
                message = "this server needs its key: Authorization: Bearer KEY"
                raise ApiError(HTTPStatus.UNAUTHORIZED, message, headers={"WWW-Authenticate": "Bearer"})

    async def _live(self, receive: Receive, send: Send) -> None:
        """Load the voice when the worker begins, close it when it ends."""
        await receive()
        self._loop, service = asyncio.get_running_loop(), self.service
        if service.settings.workers > 1:
            _end_with_supervisor()
        loaded = asyncio.Event()
        threading.Thread(target=self._load, args=(loaded,), name="loading", daemon=True).start()
        self._catch_signals()
        # A worker that came back leaves the connections to the others until it can speak.
        while service.others_are_ready() and not loaded.is_set() and not service.draining:
            await asyncio.sleep(0.1)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._beating:
            self._beating.cancel()
        await asyncio.get_running_loop().run_in_executor(None, service.close)
        await send({"type": "lifespan.shutdown.complete"})
        if service.failure and service.settings.workers > 1:
            _say_once(service)
            os._exit(STARTUP_FAILURE)  # uvicorn has no other way to tell its supervisor at this point
        if service.settings.workers > 1:
            end_if_threads_are_left()

    def _load(self, loaded: asyncio.Event) -> None:
        self.service.load()
        with suppress(RuntimeError):  # the event loop has ended meanwhile
            self._loop.call_soon_threadsafe(loaded.set)
            self._loop.call_soon_threadsafe(self._after_loading)

    def _after_loading(self) -> None:
        if self.service.failure:
            self._uvicorn(signal.SIGTERM, None)
        elif self.service.settings.workers > 1:
            self._beating = self._loop.create_task(beat(self.service))
        self._catch_signals()  # anew: MindSpore has put its own handler for SIGINT in place

    def _catch_signals(self) -> None:
        """Hear of SIGTERM and Ctrl-C before uvicorn does, to say 503 first."""
        if threading.current_thread() is not threading.main_thread():  # in tests
            self._uvicorn = lambda number, frame: None
            return
        handler = signal.getsignal(signal.SIGTERM)
        if handler != self._note:
            self._uvicorn = handler if callable(handler) else lambda number, frame: None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Drain after the first signal; end at once after a second one."""
        if not self.service.draining:
            self._signalled, self.service.draining = time.monotonic(), True
            notice = self.service.settings.drain_notice
            if notice and not self.service.failure:
                self._loop.call_soon_threadsafe(self._loop.call_later, notice, self._uvicorn, signal.SIGTERM, None)
            else:
                self._uvicorn(signal.SIGTERM, frame)
        elif time.monotonic() - self._signalled > ONE_SIGNAL:
            self._uvicorn(signal.SIGTERM, frame)
            self._uvicorn(signal.SIGINT, frame)  # uvicorn ends at once by SIGINT only


def allowed_hosts(settings: Settings) -> set[str]:
    """Names that a request may have in its Host.

    A server for this machine only goes by the names of this machine. Others may be reached by any name.
    """
    if settings.allowed_hosts:
        return {name.lower() for name in settings.allowed_hosts} | {"localhost", "127.0.0.1", "::1"}
    if settings.host in ("localhost", "::1") or settings.host.startswith("127."):
        return {"localhost", "127.0.0.1", "::1", settings.host, socket.gethostname().lower()}
    return {"*"}


def _host_name(host: str) -> str:
    """Return the name in a Host header, "" if it is malformed, such as with a user's name before an @."""
    match = re.fullmatch(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?", host.lower())
    return (match[1] or match[2]) if match else ""


def end_if_threads_are_left() -> None:
    """End this process at once if a thread still loads or speaks: it would crash Python, or complain, as it ends."""
    if any(thread.name in ("loading", "speech") for thread in threading.enumerate()):
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)


def _end_with_supervisor() -> None:
    """Let the kernel send SIGTERM to this worker when its supervisor is killed; otherwise it would keep the address."""
    with suppress(OSError, AttributeError):  # not Linux
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGTERM)


def _say_once(service: Service) -> None:
    """Let the first of several workers that fail say why."""
    with suppress(FileExistsError):
        with (Path(service.settings.shared_folder) / "failure").open("x") as file:
            file.write(str(service.exit_code))
        os.write(2, f"error: {service.failure}\n".encode())
