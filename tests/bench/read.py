"""An ungated read through the gate, against the same tool on a plain MCPServer: in memory, over stdio, over HTTP."""

import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any

from figures import Figures
from mcp import Client
from tools import create

from clients import environment, http, read_in_turn, stdio

EACH = 500
BUDGETS = {"in memory": 1.25, "stdio": 1.10, "streamable HTTP": 1.05}


async def measure(subject: dict[str, Any], each: int = EACH) -> list[Figures]:
    """Call by call in turn; the tool is async, so that no thread pads the denominator."""
    return [await _row(kind, subject, each) for kind in BUDGETS]


async def _row(kind: str, subject: dict[str, Any], each: int) -> Figures:
    figures = Figures(f"ungated read, {kind}", BUDGETS[kind])
    async with _client(kind, "gated", subject) as through, _client(kind, "plain", subject) as direct:
        await read_in_turn(figures, through, direct, each)
    return figures


@contextlib.asynccontextmanager
async def _client(kind: str, server: str, subject: dict[str, Any]) -> AsyncIterator[Client]:
    async with contextlib.AsyncExitStack() as stack:
        if kind == "stdio":
            yield (await stack.enter_async_context(stdio(server, subject)))[0]
        elif kind == "streamable HTTP":
            yield (await stack.enter_async_context(http(server, subject)))[0][0]
        else:
            os.environ.update(environment(subject))
            yield await stack.enter_async_context(Client(create(server)))
