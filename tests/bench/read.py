"""An ungated read through the in-process gate, against the same tool on a plain MCPServer."""

import time
from typing import Any

from figures import Figures
from mcp import Client
from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations
from reviewer import gate_of

from approvals import GatedServer

EACH = 300


def look(order_id: int) -> str:
    """Read."""
    return f"order {order_id}"


async def measure(subject: dict[str, Any], rounds: int) -> list[Figures]:
    figures = Figures("ungated read in process, against a plain MCPServer", 1.1, budget_p99=None)
    gated = GatedServer("bench", gate=gate_of(subject), log_level="WARNING")
    plain = MCPServer("bench", log_level="WARNING")
    for server in (gated, plain):
        server.tool(annotations=ToolAnnotations(read_only_hint=True))(look)
    async with Client(gated) as through, Client(plain) as direct:
        for client in (through, direct):
            await client.call_tool("look", {"order_id": 0})
        for _ in range(rounds):
            for number in range(EACH):
                times = []
                for client in (through, direct):
                    began = time.perf_counter()
                    await client.call_tool("look", {"order_id": number})
                    times.append(time.perf_counter() - began)
                figures.pair(*times)
    return [figures]
