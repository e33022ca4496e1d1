"""How long, and how much, a request may take to arrive: half of one costs a stranger nothing, and us a connection."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

REQUEST_SECONDS = 30.0
"""From its first byte to its last; and from a connection to its first request."""
MAX_HEAD = 65_536
"""Bytes of a request's line and headers, as uvicorn's other parser has it."""


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's, but what does not arrive in time, or has no end, is hung up on."""

    _timer: asyncio.TimerHandle | None = None
    _head: int | None = 0
    """Bytes of the head so far; None once it is whole."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin()

    def data_received(self, data: bytes) -> None:
        self._begin()
        if self._head is not None:
            self._head += len(data)
        super().data_received(data)
        if self._head is not None and self._head > MAX_HEAD:
            self._hang_up()

    def on_headers_complete(self) -> None:
        self._head = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._end()
        self._head = 0
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        super().connection_lost(exc)

    def _begin(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(REQUEST_SECONDS, self._hang_up)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _hang_up(self) -> None:
        self._end()
        if not self.transport.is_closing():
            self.transport.close()
