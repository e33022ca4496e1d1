"""An MCP server that nobody here wrote, as it were, of both eras: what it did stands in a file, one line each."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import BaseModel


class Colour(BaseModel):
    colour: str


def notes(log: Path) -> MCPServer:
    """The server over its file."""
    mcp = MCPServer("notes", version="1.0", log_level="ERROR")

    def did(what: str, **more: object) -> None:
        with log.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps([what, more]) + "\n")

    @mcp.tool(annotations=ToolAnnotations(read_only_hint=True))
    def read_note(name: str) -> str:
        """Read a note."""
        did("read", name=name)
        return f"the note {name}"

    @mcp.tool()
    def write_note(name: str, text: str = "") -> str:
        """Write a note."""
        did("write", name=name, text=text)
        return f"wrote {name}"

    @mcp.tool()
    def fail_note(name: str) -> str:
        """Fail."""
        did("fail", name=name)
        raise ToolError(f"no room for {name}")

    @mcp.tool()
    async def slow_note(name: str, context: Context[Any, Any]) -> str:
        """Write a note, with progress, when a file says go."""
        did("slow", name=name)
        await context.report_progress(1, 2, "half")
        while not log.with_name("go").exists():
            await anyio.sleep(0.02)
        return f"wrote {name}"

    @mcp.tool(annotations=ToolAnnotations(read_only_hint=True))
    async def ask_user(context: Context[Any, Any]) -> str:
        """Ask the client's user."""
        answer = await context.elicit("Which colour?", Colour)
        return answer.model_dump_json()

    @mcp.tool()
    def die(name: str) -> str:
        """End at once."""
        did("die", name=name)
        os._exit(3)

    @mcp.tool(annotations=ToolAnnotations(read_only_hint=True))
    def environment() -> list[str]:
        """The names of the variables that this process has."""
        return sorted(os.environ)

    @mcp.resource("note://{name}")
    def note(name: str) -> str:
        """A note."""
        return f"resource {name}"

    @mcp.prompt()
    def greet(name: str) -> str:
        """A greeting."""
        return f"Greet {name}"

    return mcp


if __name__ == "__main__":
    notes(Path(sys.argv[1])).run("stdio")
