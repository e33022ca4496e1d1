"""A call per line of standard input, {"tool": …, "arguments": …}; per line of standard output what the model reads."""

import json
import sys
from collections.abc import Awaitable, Callable

import anyio

Read = Callable[[str, dict[str, object]], Awaitable[object]]


def connection() -> tuple[str, str]:
    """The MCP server's URL, and the agent's key for it."""
    given = json.loads(sys.argv[1])
    return given["url"], given["key"]


async def serve(read: Read, version: str) -> None:
    """The client's version first."""
    _say(version)
    while line := await anyio.to_thread.run_sync(sys.stdin.readline):
        call = json.loads(line)
        _say(await read(call["tool"], call["arguments"]))


def _say(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()
