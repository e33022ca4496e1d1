"""An ungated read through the proxy, against the same server without it: over stdio and streamable HTTP, both eras."""

import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Any

from figures import Figures
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.stdio import stdio_client as stdio
from process import HERE, running

from clients import connected, environment, read_in_turn

EACH = 500
BUDGET = 1.7
KINDS = [(transport, mode) for transport in ("stdio", "streamable HTTP") for mode in ("legacy", "2026-07-28")]
PROXY = ("-m", "approvals_server.proxy.cli", "--name", "bench")


async def measure(subject: dict[str, Any], each: int = EACH) -> list[Figures]:
    """Call by call in turn."""
    return [await _row(transport, mode, subject, each) for transport, mode in KINDS]


async def _row(transport: str, mode: str, subject: dict[str, Any], each: int) -> Figures:
    figures = Figures(f"ungated read through the proxy, {transport}, {mode}", BUDGET)
    over = _over_stdio if transport == "stdio" else _over_http
    async with over(mode, subject) as (through, direct):
        await read_in_turn(figures, through, direct, each)
    return figures


@contextlib.asynccontextmanager
async def _over_stdio(mode: str, subject: dict[str, Any]) -> AsyncIterator[tuple[Client, Client]]:
    plain = [sys.executable, str(HERE / "tools.py"), "plain", "stdio"]
    commands = ([*PROXY, "--", *plain], plain[1:])
    async with contextlib.AsyncExitStack() as stack:
        through, direct = [
            await stack.enter_async_context(
                Client(
                    stdio(StdioServerParameters(command=sys.executable, args=command, env=environment(subject))),
                    mode=mode,
                )
            )
            for command in commands
        ]
        yield through, direct


@contextlib.asynccontextmanager
async def _over_http(mode: str, subject: dict[str, Any]) -> AsyncIterator[tuple[Client, Client]]:
    async with contextlib.AsyncExitStack() as stack:
        _, behind = stack.enter_context(running("tools.py", "plain", "http"))
        _, front = stack.enter_context(running("front.py", behind, **environment(subject)))
        through, direct = [
            await stack.enter_async_context(connected(url, subject["agent"], mode)) for url in (front, behind)
        ]
        yield through, direct
