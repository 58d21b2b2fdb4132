"""A response that is sent while it is being made: limits of time, clients that leave, and clients that are slow."""

import asyncio
import logging
import threading
import traceback
from collections.abc import Callable, Iterator
from http import HTTPStatus

import anyio
from starlette.types import Message, Receive, Scope, Send

from src.errors import InputError
from src.serving.errors import UNEXPECTED, ApiError
from src.serving.relay import Piece, Relay
from src.serving.service import Service

logger = logging.getLogger("serving")
BUFFER = 30.0  # seconds of sound that a slow client may be behind before the making waits for it


class Delivery:
    """An ASGI response of pieces made in a thread. Nothing is sent before the first: what fails first has its status.

    Args:
        service: whose queue the request waits in.
        make: as of `Relay`; gives the pieces. The voice's own errors (InputError) become 400.
        media_type: of the response.
        note: what the log says of the request.
        headers: of the response.
        wrap: makes of a piece's content what is sent, such as an event.
        last: sent behind the last piece.
    """

    def __init__(
        self,
        service: Service,
        make: Callable[[threading.Event], Iterator[Piece]],
        media_type: str,
        note: str,
        headers: dict[str, str] | None = None,
        wrap: Callable[[bytes], bytes] = bytes,
        last: Callable[[], bytes] = bytes,
    ):
        self._service, self._place = service, service.enter()
        self._relay = Relay(make, BUFFER, self._place.leave)
        self._wrap, self._last, self._note = wrap, last, note
        self._headers = {"content-type": media_type, "cache-control": "no-store", "x-accel-buffering": "no"}
        self._headers |= headers or {}
        self._seconds, self._status, self._ended = 0.0, 0, "client left"
        self._first_sound: float | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        try:
            async with anyio.create_task_group() as group:

                async def leave() -> None:
                    while (await receive())["type"] != "http.disconnect":
                        pass
                    group.cancel_scope.cancel()

                group.start_soon(leave)
                await self._deliver(scope, receive, send)
                self._account(scope)  # at once: a client that has seen the end may ask for the metrics
                group.cancel_scope.cancel()
        except asyncio.CancelledError:
            self._ended = "cut off"
            raise
        finally:
            self._relay.close()
            self._account(scope)

    async def _deliver(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything, or an error, or break the connection off if it is too late for an error."""
        try:
            piece = await self._next()
            while piece is not None and not piece.content:  # a format that comes whole: an error still has its status
                self._seconds += piece.seconds
                piece = await self._next()
            headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self._headers.items()]
            self._status = HTTPStatus.OK
            await self._send(send, {"type": "http.response.start", "status": HTTPStatus.OK, "headers": headers})
            while piece is not None:
                if piece.content:
                    await self._send(send, _body(self._wrap(piece.content)))
                    self._first_sound = self._first_sound or self._place.sound()
                self._seconds += piece.seconds
                piece = await self._next()
            await self._send(send, _body(self._last(), more=False))
            self._ended = "complete"
        except ApiError as error:
            self._ended = error.code or "failed"
            if self._status:  # the rest of the sound will not come: the client must not take it for the whole
                self._account(scope)
                await _break_off(scope)
            else:
                self._status = error.status
                await error.response()(scope, receive, send)

    async def _next(self) -> Piece | None:
        """Wait for the next piece.

        Raises:
            ApiError: the text cannot be spoken (400), it took too long (504), or something failed (500).
        """
        limit = self._service.settings.timeout
        try:
            with anyio.fail_after(limit):
                return await self._relay.next()
        except TimeoutError as error:
            message = f"the voice gave no sound for {limit:g} s"
            raise ApiError(HTTPStatus.GATEWAY_TIMEOUT, message, headers={"Retry-After": "10"}) from error
        except InputError as error:
            raise ApiError(HTTPStatus.BAD_REQUEST, str(error), "input", "invalid_value") from error
        except Exception as error:
            raise unexpected(error) from error

    async def _send(self, send: Send, message: Message) -> None:
        """Send to the client.

        Raises:
            ApiError: it took nothing for too long.
        """
        try:
            with anyio.fail_after(self._service.settings.slow_reader_timeout):
                await send(message)
        except TimeoutError as error:
            raise ApiError(HTTPStatus.REQUEST_TIMEOUT, "the client is too slow", code="slow reader") from error

    def _account(self, scope: Scope) -> None:
        """Count and log the request, once."""
        if scope.get("accounted"):
            return
        scope["accounted"], path = True, scope["path"]
        metrics = self._service.metrics
        metrics.requests.labels(path, str(int(self._status) or 499), self._ended).inc()
        metrics.audio_seconds.inc(self._seconds)
        first = "no sound" if self._first_sound is None else f"first sound after {self._first_sound:.2f} s"
        logger.info(
            "%s %d %s: %s, %s, %.1f s of speech", path, self._status, self._ended, self._note, first, self._seconds
        )


def unexpected(error: BaseException) -> ApiError:
    """Log an error that nobody expected, and return the answer to the client.

    The log has its type and where it happened; its message may quote the text, and stays out.
    """
    number = f"{id(error) & 0xFFFFFF:06x}"
    places = "".join(traceback.format_tb(error.__traceback__)[-8:])
    logger.error(
        "error %s: %s (its message may quote a text and is left out)\n%s", number, type(error).__name__, places
    )
    return ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, f"{UNEXPECTED} ({number})", code="internal_error")


def _body(content: bytes, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": content, "more_body": more}


async def _break_off(scope: Scope) -> None:
    """Close the connection at once, so that the client sees that the response is not complete."""
    abort = scope.get("state", {}).get("abort")
    if abort is None:
        raise ConnectionAbortedError("the response cannot be completed")
    abort()
    await anyio.sleep(5)  # the disconnection ends this
