"""Asking one address over HTTP/1.1, on connections that are kept.

Nothing is followed, asked of a proxy, or tried twice: keys go to the address that the owner wrote, once.
"""

import asyncio
import contextlib
import ipaddress
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2

from approvals.gate.connection import Answer, Connection, Headers

CONNECT_SECONDS = 5.0
KEPT = 50
"""Connections that may wait for the next thing to ask."""
KEPT_SECONDS = 5.0
"""How long: shorter than services and balancers keep theirs."""
_EYEBALLS = 0.25
"""Seconds after which the next address of a name is tried beside the first, where the event loop can (uvloop's tries
them in turn)."""


class Exchange:
    """One address, and at most so many connections to it at once."""

    def __init__(self, url: str, headers: Mapping[str, str], most: int) -> None:
        parts = httpx2.URL(url)
        self._host = parts.raw_host.decode("ascii")
        self._is_name = not _is_address(self._host)
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = _tls() if parts.scheme == "https" else None
        self._base = parts.raw_path.rstrip(b"/")
        own = {"Host": parts.netloc.decode("ascii"), "Accept-Encoding": "identity", **headers}
        self._headers: Headers = [(name.encode(), value.encode()) for name, value in own.items()]
        self._places = asyncio.Semaphore(most)
        self._free: list[tuple[float, Connection]] = []
        """And since when; the last used is the last."""

    async def close(self) -> None:
        """End every connection that nobody uses."""
        for _, connection in self._free:
            connection.close()
        self._free.clear()
        await asyncio.sleep(0)  # the event loop lets go of them

    async def ask(self, method: str, path: str, body: bytes = b"", *, within: float) -> Answer:
        """The answer, whatever its status. Raises OSError for what is none, or comes too late."""
        async with asyncio.timeout(within), self._connection() as connection:
            answer = await connection.head(method, self._base + path.encode(), self._with(body), body)
            return Answer(answer.status_code, answer.headers, await connection.body())

    @contextlib.asynccontextmanager
    async def following(self, path: str, body: bytes, *, within: float) -> AsyncIterator[tuple[Answer, Connection]]:
        """The head of an answer that goes on, and the connection to read it from. Raises OSError."""
        async with self._connection() as connection:
            async with asyncio.timeout(within):
                answer = await connection.head("POST", self._base + path.encode(), self._with(body), body)
            yield answer, connection

    def _with(self, body: bytes) -> Headers:
        if not body:
            return self._headers
        return [*self._headers, (b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % len(body))]

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        """One that nobody else uses; kept afterwards if its answer is read to the end."""
        async with self._places:
            connection = self._kept() or await self._connected()
            try:
                yield connection
            finally:
                if connection.is_free and len(self._free) < KEPT:
                    self._free.append((time.monotonic(), connection))
                else:
                    connection.close()

    def _kept(self) -> Connection | None:
        while self._free:
            since, connection = self._free.pop()
            if connection.is_free and time.monotonic() - since < KEPT_SECONDS:
                return connection
            connection.close()
        return None

    async def _connected(self) -> Connection:
        loop, name = asyncio.get_running_loop(), self._host if self._tls is not None else None
        races = self._is_name and isinstance(
            loop, asyncio.BaseEventLoop
        )  # a race that is cancelled leaves a socket open
        beside: dict[str, Any] = {"happy_eyeballs_delay": _EYEBALLS} if races else {}
        async with asyncio.timeout(CONNECT_SECONDS):
            _, connection = await loop.create_connection(
                Connection, self._host, self._port, ssl=self._tls, server_hostname=name, **beside
            )
        return connection


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _tls() -> ssl.SSLContext:
    """As MCP's own clients trust."""
    context = httpx2.create_ssl_context(trust_env=False)
    context.set_alpn_protocols(["http/1.1"])
    return context
