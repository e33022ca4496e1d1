"""A FastMCP server of the SDK's first major version: `older.py LOG`."""

import sys
from pathlib import Path

from mcp.server.fastmcp import FastMCP
from mcp.types import ToolAnnotations

mcp = FastMCP("older")


@mcp.tool(annotations=ToolAnnotations(readOnlyHint=True))
def look(name: str) -> str:
    """Look."""
    return f"saw {name}"


@mcp.tool()
def write(name: str) -> str:
    """Write."""
    with Path(sys.argv[1]).open("a", encoding="utf-8") as log:
        log.write(f"{name}\n")
    return f"wrote {name}"


if __name__ == "__main__":
    mcp.run("stdio")
