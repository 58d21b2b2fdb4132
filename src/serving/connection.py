"""Connections of uvicorn, with a limit of time for clients that begin a request and do not go on."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_WITHIN = 20.0  # seconds from the beginning of a connection or request to the end of its headers


class Connection(H11Protocol):
    """uvicorn's HTTP/1.1 connection. Requests find its `abort` in `scope["state"]`."""

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None):
        super().__init__(config, server_state, {**app_state, "abort": self.abort}, _loop)
        self._patience: asyncio.TimerHandle | None = None

    def abort(self) -> None:
        """Drop the connection, with what is still to be sent."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take bytes; the clock runs while they are not a whole request."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()
        elif self._patience is None:
            self._patience = self.loop.call_later(HEADERS_WITHIN, self.abort)

    def _stop(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
