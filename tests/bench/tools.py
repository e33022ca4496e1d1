"""An MCP server with two tools, gated or plain, over stdio or streamable HTTP: `tools.py gated|plain stdio|http`."""

import socket
import sys
import time

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations

from approvals import GatedServer


async def look(order_id: int) -> str:
    """Read."""
    return f"order {order_id}"


async def touch(order: int) -> str:
    """Write; the instant of its first line, by the clock that all processes of a machine share."""
    return repr(time.perf_counter())


def create(kind: str) -> MCPServer:
    """The same tools on either."""
    server = GatedServer("bench", log_level="WARNING") if kind == "gated" else MCPServer("bench", log_level="WARNING")
    server.tool(annotations=ToolAnnotations(read_only_hint=True))(look)
    server.tool()(touch)
    return server


def main(kind: str, transport: str) -> None:
    server = create(kind)
    if transport == "stdio":
        server.run("stdio")
        return
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
    config = uvicorn.Config(server.streamable_http_app(), log_level="warning", access_log=False, backlog=4096)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
