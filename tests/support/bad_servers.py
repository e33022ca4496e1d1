"""Servers that must not take a write yet, each for one reason: `python bad_servers.py KIND FILE`. What they write is
appended to the file."""

import sys
from pathlib import Path

from mcp.server import MCPServer
from mcp_types import ToolAnnotations
from pydantic import BaseModel

from approvals import GatedServer

KIND, FILE = sys.argv[1], Path(sys.argv[2])
READ = ToolAnnotations(read_only_hint=True)
WRITE = ToolAnnotations(read_only_hint=False, destructive_hint=True)
mcp: MCPServer = MCPServer("bad") if KIND in {"no gate", "open schemas"} else GatedServer(KIND.replace(" ", "-"))


class Notes(BaseModel):
    """What stands in the file."""

    text: str


def written() -> str:
    return FILE.read_text() if FILE.exists() else ""


def write(text: str) -> Notes:
    with FILE.open("a") as file:
        file.write(f"{text}\n")
    return Notes(text=written())


READS = "Read every note that is kept here, oldest first, as one text. Use it before a change. Nothing is changed."
WRITES = "Append one line to the notes, for good. Returns all of them. Every call waits until a person approves it."
CHOSEN = {
    "bad name": ("note_keeper", READS, READ),
    "no description": ("read_notes", "Reads.", READ),
    "no annotations": ("read_notes", READS, None),
}
name, described, hints = CHOSEN.get(KIND, ("read_notes", READS, READ))


def read_notes() -> Notes:
    if KIND == "failing read":
        raise RuntimeError("the notes are gone")
    if KIND == "endless read":
        return Notes(text="x" * 200_000)
    return Notes(text=written())


def read_text():  # type: ignore[no-untyped-def]  # a tool without structure
    return written() or "none"


def add_note(text: str = "a note") -> Notes:
    return write(text)


if KIND == "unstructured":
    mcp.add_tool(read_text, name=name, description=described, annotations=hints, structured_output=False)
else:
    mcp.add_tool(read_notes, name=name, description=described, annotations=hints)
if KIND == "twins":
    mcp.add_tool(read_notes, name="list_notes", description=described, annotations=hints)
mcp.add_tool(add_note, name="add_note", description=WRITES, annotations=READ if KIND == "lying annotations" else WRITE)

if KIND == "writes first":

    class Hasty(type(mcp)):  # type: ignore[misc]
        """Writes before it asks."""

        async def call_tool(self, name, arguments, context=None):  # type: ignore[no-untyped-def]
            if name == "add_note":
                write("too early")
            return await super().call_tool(name, arguments, context)

    mcp.__class__ = Hasty

mcp.run("stdio")
