"""One connection to the service: h11 says what the bytes mean, asyncio carries them.

What arrives while nothing is asked, goes on after an answer, or is longer than it may be ends the connection.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import cast

import h11

MAX_HEAD = 65_536
MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of one answer, or of one event; the longest of the service's are far shorter."""
Headers = list[tuple[bytes, bytes]]


class NotHttp(ConnectionError):
    """The bytes that came are no HTTP, or too many."""


@dataclass(frozen=True)
class Answer:
    """An answer; headers by their names in small letters."""

    status_code: int
    headers: dict[str, str]
    content: bytes = b""


class Connection(asyncio.Protocol):
    """Asks one thing at a time."""

    def __init__(self) -> None:
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._transport: asyncio.Transport | None = None
        self._arrived: asyncio.Future[None] | None = None
        self._unread = 0
        self._asking = False
        self._error: Exception | None = None
        self._ended = False
        """There is nothing more to read."""

    @property
    def is_free(self) -> bool:
        """Whether it may be asked something."""
        return not (self._asking or self._ended)

    def close(self) -> None:
        """End it at once."""
        self._ended, self._error = True, self._error or ConnectionAbortedError("It was closed here.")
        if self._transport is not None:
            self._transport.abort()

    async def head(self, method: str, target: bytes, headers: Headers, body: bytes) -> Answer:
        """Ask; the answer's status and headers. Raises OSError for whatever is no sensible answer."""
        self._asking = True
        self._send(method, target, headers, body)
        while isinstance(event := await self._next(), h11.InformationalResponse):
            pass
        if not isinstance(event, h11.Response):
            raise ConnectionResetError("The connection was closed in place of an answer.")
        found = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
        return Answer(event.status_code, found)

    async def part(self) -> bytes:
        """The next piece of the answer's body; nothing at its end."""
        event = await self._next()
        if isinstance(event, h11.Data):
            return bytes(event.data)
        if self._http.our_state is self._http.their_state is h11.DONE and self._http.trailing_data == (b"", False):
            self._http.start_next_cycle()
            self._asking = False
        else:
            self.close()
        return b""

    async def body(self) -> bytes:
        """All of the answer's body."""
        parts, size = [], 0
        while part := await self.part():
            parts.append(part)
            size += len(part)
            if size > MAX_ANSWER:
                raise NotHttp("The answer is too long.")
        return b"".join(parts)

    async def lines(self, silence: float) -> AsyncGenerator[str]:
        """The lines of the answer's body, as they come. Raises TimeoutError after so many seconds without a word."""
        rest = b""
        while True:
            async with asyncio.timeout(silence):
                part = await self.part()
            if not part:
                return
            *whole, rest = (rest + part).split(b"\n")
            if len(rest) > MAX_ANSWER:
                raise NotHttp("A line is too long.")
            for line in whole:
                yield line.removesuffix(b"\r").decode(errors="replace")

    def _send(self, method: str, target: bytes, headers: Headers, body: bytes) -> None:
        """Nobody waits until it is sent: an answer may come before."""
        try:
            request = h11.Request(method=method, target=target, headers=headers)
            sent = [self._http.send(event) for event in (request, h11.Data(data=body), h11.EndOfMessage())]
        except h11.LocalProtocolError as error:
            raise NotHttp(str(error)) from error
        if self._transport is not None:
            self._transport.write(b"".join(filter(None, sent)))

    async def _next(self) -> object:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                if self._error is not None:
                    raise self._error
                self._arrived = asyncio.get_running_loop().create_future()
                await self._arrived
        except h11.RemoteProtocolError as error:
            raise self._error or NotHttp(str(error)) from error
        self._unread = 0
        return event

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._unread += len(data)
        if not self._asking or self._unread > MAX_ANSWER:
            self._error = NotHttp("More came than was asked for.")
            self.close()
        else:
            self._http.receive_data(data)
        self._ring()

    def eof_received(self) -> None:
        self._end()

    def connection_lost(self, error: Exception | None) -> None:
        self._error = self._error or error
        self._end()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._http.receive_data(b"")
        self._ring()

    def _ring(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)
