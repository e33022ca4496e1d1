"""An agent as a process: one call over HTTP, from connecting to its answer, which it prints."""

import json
import sys

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def ask(url: str, key: str, tool: str, arguments: dict[str, object]) -> str:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False) as http,
        Client(streamable_http_client(url, http_client=http)) as agent,
    ):
        answer = await agent.call_tool(tool, arguments)
        return "\n".join(block.text for block in answer.content if block.type == "text")


def main() -> None:
    url, key, tool, arguments = sys.argv[1:]
    print(anyio.run(ask, url, key, tool, json.loads(arguments)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
