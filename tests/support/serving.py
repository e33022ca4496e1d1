"""The service behind a real HTTP port, in the test's own event loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from types import SimpleNamespace

import uvicorn
import uvicorn.server
from fastapi import FastAPI

from approvals.service.service import Service
from approvals_web.app import create_app

uvicorn.server.asyncio = SimpleNamespace(  # type: ignore[assignment]
    **vars(asyncio) | {"sleep": lambda seconds: asyncio.sleep(min(seconds, 0.005))}
)
"""Between two looks at whether its connections are closed, it sleeps 0.1 s; a test ends hundreds of servers."""

_shut_down = uvicorn.Server.shutdown


async def _shut_down_between_connections(self: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
    """asyncio never closes a connection that it is just accepting when its server closes (`Server._attach` fails). So
    nothing more is accepted, and what was has its protocol, before the server closes."""
    for listener in (listener for server in self.servers for listener in server.sockets):
        asyncio.get_running_loop().remove_reader(listener.fileno())
    for _ in range(2):
        await asyncio.sleep(0)
    await _shut_down(self, sockets)


uvicorn.Server.shutdown = _shut_down_between_connections  # type: ignore[method-assign]

SECRET = "a secret key for tests, long enough to count"


@contextlib.asynccontextmanager
async def serving(service: Service, port: int = 0, app: FastAPI | None = None) -> AsyncIterator[str]:
    """A uvicorn for as long as the context lasts; its URL. Its own main loop would notice the end only every 0.1 s."""
    listener = socket.create_server(("127.0.0.1", port))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio does so to sockets of its own alone
    config = uvicorn.Config(
        app or create_app(service),
        log_level="warning",
        lifespan="on",
        timeout_graceful_shutdown=5,
        timeout_keep_alive=75,  # no pause of a busy machine ends a connection that is about to be used
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        service.stop()
        await server.shutdown(sockets=[listener])
