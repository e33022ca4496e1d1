"""What fastmcp's client gives its caller: the text of a result or of an error, and the structure."""

import asyncio
from importlib.metadata import version

from calls import connection, serve
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport


async def main(url: str, key: str) -> None:
    async with Client(StreamableHttpTransport(url, headers={"Authorization": f"Bearer {key}"})) as client:
        await client.list_tools()

        async def read(tool: str, arguments: dict[str, object]) -> object:
            answer = await client.call_tool(tool, arguments, raise_on_error=False)
            return [block.text for block in answer.content]

        await serve(read, version("fastmcp"))


if __name__ == "__main__":
    asyncio.run(main(*connection()))
