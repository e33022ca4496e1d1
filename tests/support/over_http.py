"""An MCP server over real streamable HTTP, in the test's own event loop, and clients of it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import httpx2
import uvicorn
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


@contextlib.asynccontextmanager
async def http_server(mcp, **options) -> AsyncIterator[str]:
    """Its URL; `options` are the app's, such as `stateless_http`."""
    async with listening(mcp.streamable_http_app(**options)) as url:
        yield f"{url}/mcp"


@contextlib.asynccontextmanager
async def listening(app) -> AsyncIterator[str]:
    """An ASGI app over real HTTP; its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@contextlib.asynccontextmanager
async def http_client(url: str, served, era: str, agent: str = "agent", **options) -> AsyncIterator[Client]:
    """With an agent's key as bearer token."""
    async with bearing(served.scenario.keys[agent], url, era, **options) as client:
        yield client


@contextlib.asynccontextmanager
async def bearing(
    token: str | None, url: str, era: str, headers: dict[str, str] | None = None, **options
) -> AsyncIterator[Client]:
    """With any bearer token, or none."""
    headers = (headers or {}) | ({} if token is None else {"Authorization": f"Bearer {token}"})
    async with (
        httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(30), trust_env=False) as http,
        Client(streamable_http_client(url, http_client=http), mode=era, **options) as client,
    ):
        yield client
