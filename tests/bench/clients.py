"""MCP clients of the server in tools.py, each with the server's process id."""

import contextlib
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
from figures import Figures
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from process import HERE, running

WARM = 20
"""Pairs of reads that are not counted."""
HELD = {"APPROVALS_HOLD": "59"}
"""Seconds: the longest there is."""


def environment(service: dict[str, Any]) -> dict[str, str]:
    """What a gate before this service needs."""
    keys = {"APPROVALS_URL": service["url"], "APPROVALS_SERVER_KEY": service["bench_key"]}
    return keys | HELD | {"APPROVALS_AGENT_KEY": service["agent"]}


@contextlib.asynccontextmanager
async def stdio(kind: str, service: dict[str, Any]) -> AsyncIterator[tuple[Client, int]]:
    """A server of its own, started by its client."""
    arguments = [str(HERE / "tools.py"), kind, "stdio"]
    before = _children()
    async with Client(StdioServerParameters(command=sys.executable, args=arguments, env=environment(service))) as one:
        (pid,) = _children() - before
        yield one, pid


@contextlib.asynccontextmanager
async def http(kind: str, service: dict[str, Any], clients: int = 1) -> AsyncIterator[tuple[list[Client], int]]:
    """So many clients, each with a connection of its own, of one server over streamable HTTP."""
    async with contextlib.AsyncExitStack() as stack:
        pid, url = stack.enter_context(running("tools.py", kind, "http", **environment(service)))
        yield [await stack.enter_async_context(connected(url, service["agent"])) for _ in range(clients)], pid


@contextlib.asynccontextmanager
async def connected(url: str, key: str, mode: str = "auto") -> AsyncIterator[Client]:
    """One over streamable HTTP, with an agent's key."""
    bearer = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=bearer, timeout=httpx2.Timeout(600)) as transport,
        Client(streamable_http_client(url, http_client=transport), mode=mode) as client,
    ):
        yield client


def _children() -> set[int]:
    tasks = Path("/proc/self/task").iterdir()
    return {int(pid) for task in tasks for pid in (task / "children").read_text(encoding="ascii").split()}


async def read_in_turn(figures: Figures, through: Client, direct: Client, each: int) -> None:
    """The same read by both clients, call by call in turn."""
    for number in range(each + WARM):
        times = []
        for client in (through, direct):
            began = time.perf_counter()
            result = await client.call_tool("look", {"order_id": number})
            times.append(time.perf_counter() - began)
            assert not result.is_error, result
        if number >= WARM:
            figures.pair(*times)
