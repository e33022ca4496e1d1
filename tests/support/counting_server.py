"""A gated MCP server whose effects are lines in a file, so that they can be counted across processes."""

import os
import sys
from pathlib import Path
from typing import Any

import anyio
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import BaseModel

from approvals import Approval, GatedServer, Preview


class Refund(BaseModel):
    order_id: int
    refunded_cents: int


def create(log: Path, **options: Any) -> GatedServer:
    """One tool of each kind. Files beside the log, `hold-look`, `hold-before` and `hold-after`, hold `slow_write` and
    its preview, which make the file `held` then."""
    mcp = GatedServer("shop", **options)

    def write(line: str) -> None:
        with log.open("a") as file:
            file.write(line + "\n")

    @mcp.tool()
    def sync_write(order_id: int) -> str:
        """A synchronous tool."""
        write(f"sync {order_id}")
        return f"wrote {order_id}"

    @mcp.tool()
    async def async_write(order_id: int) -> str:
        """An asynchronous tool."""
        write(f"async {order_id}")
        return f"wrote {order_id}"

    async def let_go(name: str) -> None:
        while log.with_name(name).exists():
            log.with_name("held").touch()
            await anyio.sleep(0.01)

    async def foreseen(order_id: int) -> Preview:
        await let_go("hold-look")
        return Preview(effect=f"Writes {order_id}")

    @mcp.tool(approval=Approval(preview=foreseen, preview_seconds=4.0))
    async def slow_write(order_id: int) -> str:
        """Held before its effect, and after."""
        await let_go("hold-before")
        write(f"slow {order_id}")
        await let_go("hold-after")
        return f"wrote {order_id}"

    @mcp.tool()
    async def failing_write(order_id: int) -> str:
        """A tool that raises after its effect."""
        write(f"failing {order_id}")
        raise ToolError("the carrier is closed")

    @mcp.tool(approval=Approval(summary="Refund {amount_cents:usd} of order {order_id}"))
    async def refund_order(order_id: int, amount_cents: int = 500) -> Refund:
        """A tool with an output schema."""
        write(f"refund {order_id} {amount_cents}")
        return Refund(order_id=order_id, refunded_cents=amount_cents)

    @mcp.tool(annotations=ToolAnnotations(read_only_hint=True))
    def look(order_id: int) -> str:
        """A read."""
        return f"order {order_id}"

    return mcp


def main() -> None:
    """Over stdio, or over HTTP on the port that is given; stdio ends with its client."""
    mcp = create(Path(os.environ["EFFECTS"]))
    if len(sys.argv) > 1:
        mcp.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
    else:
        mcp.run("stdio")


if __name__ == "__main__":
    main()
