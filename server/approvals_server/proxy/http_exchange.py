"""One HTTP request of a client's, and what is said to it meanwhile: a JSON body when the answer comes at once, else a
stream of events."""

import asyncio
import contextlib
from collections.abc import Mapping

from mcp.shared.inbound import ERROR_CODE_HTTP_STATUS
from starlette.types import Receive, Send

from approvals_server.proxy.frames import Frame

PING = 15.0
"""Seconds of silence after which a stream says that it still stands."""

_EVENTS: dict[str, str] = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


class Exchange:
    """One. Done with the answer to its request; one that is no request's goes on until somebody ends it."""

    def __init__(self, receive: Receive, send: Send, headers: Mapping[str, str], *, modern: bool = False) -> None:
        self._receive = receive
        self._send = send
        self._headers = dict(headers)
        self._modern = modern
        self._said: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._streams = self._over = False
        self.hung_up = False
        """Whether the client is gone."""

    def say(self, frame: Frame, headers: Mapping[str, str] | None = None) -> None:
        """Soon; with `headers`, if nothing was said before."""
        self._headers |= headers or {}
        self._said.put_nowait(frame)

    def end(self) -> None:
        """Nothing more is said."""
        self._said.put_nowait(None)

    async def is_there(self) -> bool:
        """Whether the client still listens."""
        return not self.hung_up

    async def run(self, *, streams: bool = False) -> None:
        """Say what there is to say, until the end of it or the client's."""
        watching = asyncio.create_task(self._watch())
        try:
            if streams:
                await self._start(200, _EVENTS)
                self._streams = True
            while not self.hung_up and await self._next():
                pass
            if not self._over and not self.hung_up:
                await self._finish()
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching

    async def _next(self) -> bool:
        """Whether more may come."""
        frame = await self._heard()
        if frame is None or self.hung_up:
            return False
        if frame.is_response and not self._streams:
            code = (frame.error or {}).get("code")
            status = ERROR_CODE_HTTP_STATUS.get(code, 200) if self._modern and isinstance(code, int) else 200
            await self._body(status, frame.raw)
            return False
        await self._event(b"event: message\ndata: " + frame.raw + b"\n\n")
        return not frame.is_response

    async def _heard(self) -> Frame | None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PING):
                    return await self._said.get()
            if self.hung_up:
                return None
            await self._event(b": \n\n")

    async def _event(self, event: bytes) -> None:
        if not self._streams:
            await self._start(200, _EVENTS)
            self._streams = True
        await self._send({"type": "http.response.body", "body": event, "more_body": True})

    async def _finish(self) -> None:
        if self._streams:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await self._body(503, b"")

    async def _body(self, status: int, body: bytes) -> None:
        await self._start(status, {"Content-Type": "application/json", "Content-Length": str(len(body))})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})
        self._over = True

    async def _start(self, status: int, headers: dict[str, str]) -> None:
        said = [(name.lower().encode(), value.encode()) for name, value in (self._headers | headers).items()]
        await self._send({"type": "http.response.start", "status": status, "headers": said})

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.hung_up = True
        self.end()
