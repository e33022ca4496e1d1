"""The demo's agent: a real MCP client that asks for one refund and waits for it."""

import asyncio
import os
import sys
import threading

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult

from approvals.gate.answers import FACTS

REASON = "The customer reports that the parcel never arrived; the carrier confirms that it is lost."
PAUSE = 1.0


async def main(url: str, key: str) -> None:
    """Ask until there is a final answer. The server may be restarted meanwhile."""
    while True:
        try:
            print(f"demo agent: {_text(await _ask(url, key))}", flush=True)
            return
        except* (OSError, httpx2.HTTPError, Exception) as broken:
            print(f"demo agent: {type(broken.exceptions[0]).__name__}, trying again", file=sys.stderr, flush=True)
            await asyncio.sleep(PAUSE)


async def _ask(url: str, key: str) -> CallToolResult:
    headers = {"Authorization": f"Bearer {key}"}
    timeout = httpx2.Timeout(30, read=300)
    async with (
        httpx2.AsyncClient(headers=headers, timeout=timeout, follow_redirects=False, trust_env=False) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        arguments = await _refundable(client) | {"approval_reason": REASON}
        while True:
            answer = await client.call_tool("refund_order", arguments, progress_callback=_ignore)
            if (answer.meta or {}).get(FACTS, {}).get("status") not in {"pending", "approved", "executing"}:
                return answer


async def _refundable(client: Client) -> dict[str, int]:
    """Order 1042 the first time; another paid one later."""
    order = (await client.call_tool("get_order", {"order_id": 1042})).structured_content or {}
    if order.get("status") != "paid":
        found = (await client.call_tool("search_orders", {"status": "paid", "limit": 1})).structured_content or {}
        order = found["orders"][0]
    return {"order_id": order["id"], "amount_cents": order["total_cents"] - order["refunded_cents"]}


async def _ignore(progress: float, total: float | None, message: str | None) -> None:
    """Asking for progress keeps the call open for minutes instead of seconds."""


def _text(answer: CallToolResult) -> str:
    return " ".join(getattr(block, "text", "") for block in answer.content)[:300]


def _end_with_parent() -> None:
    while os.read(0, 4096):  # not sys.stdin: its lock would still be held when this process ends
        pass
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    anyio.run(main, os.environ["DEMO_MCP_URL"], os.environ["DEMO_AGENT_KEY"])
