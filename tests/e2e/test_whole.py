"""The whole path with real parts: service process, shop processes, MCP clients over stdio and HTTP, Chromium."""

import asyncio
import contextlib
import json
import sqlite3
import sys

import anyio
import httpx2
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from support.processes import free_port

SHOP = "approvals_server.shop.cli"


@contextlib.asynccontextmanager
async def over_http(url, key):
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(60), trust_env=False) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield client


def over_stdio(installed, server_key, agent_key):
    env = {
        "APPROVALS_URL": installed.url,
        "APPROVALS_SERVER_KEY": server_key,
        "APPROVALS_AGENT_KEY": agent_key,
        "SHOP_DATABASE_URL": f"sqlite:///{installed.folder}/shop.db",
    }
    return Client(StdioServerParameters(command=sys.executable, args=["-m", SHOP], env=env, cwd=installed.folder))


def orders(installed):
    connection = sqlite3.connect(installed.folder / "shop.db")
    try:
        return dict(connection.execute("SELECT order_id, sum(amount_cents) FROM refund GROUP BY order_id").fetchall())
    finally:
        connection.close()


def text(result):
    return "\n".join(block.text for block in result.content)


async def test_an_agents_write_waits_a_person_decides_in_the_browser_and_the_tool_resumes(installed, browser):
    service = await anyio.to_thread.run_sync(installed.serve)
    gate_key = installed.key("server", "add", "shop", "--label", "http", "--assurance", "enforced")
    beside_key = installed.key("server", "add", "shop", "--label", "stdio", "--trusted")
    first_agent, second_agent = (installed.key("agent", "add", name) for name in ("scout", "helper"))
    port = free_port()
    shop = installed.start(
        ("-m", SHOP, "--http", f"127.0.0.1:{port}"),
        APPROVALS_URL=installed.url,
        APPROVALS_SERVER_KEY=gate_key,
        SHOP_DATABASE_URL=f"sqlite:///{installed.folder}/shop.db",
    )
    page = await browser.new_page()
    faults = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    await page.goto(service.line("Sign in:").removeprefix("Sign in: "))
    await page.fill("#name", "ann")
    await page.fill("#password", "correct horse battery")
    await page.click("button.good")
    await page.wait_for_selector("h1:has-text('caught up')")
    await listening(port)

    with anyio.fail_after(60):
        async with (
            over_http(f"http://127.0.0.1:{port}/mcp", first_agent) as enforced,
            over_stdio(installed, beside_key, second_agent) as cooperative,
            asyncio.TaskGroup() as tasks,
        ):
            before = orders(installed)
            order = (await enforced.call_tool("get_order", {"order_id": 1042})).structured_content
            approved = tasks.create_task(
                enforced.call_tool("refund_order", {"order_id": 1042, "amount_cents": order["total_cents"]})
            )
            await page.click("a:has-text('of order 1042')")  # it came by itself: nothing was reloaded
            assert await page.inner_text("#card h1") == "Refund $120.00 of order 1042"
            assert "scout" in await page.inner_text("main")
            assert orders(installed) == before
            await page.click("button.good")
            result = await approved
            await page.wait_for_selector(".state:has-text('Succeeded')")
            assert '"refunded_cents": 12000' in await page.inner_text("section[aria-labelledby=result] pre")

            denied = tasks.create_task(
                cooperative.call_tool("refund_order", {"order_id": 1043, "amount_cents": 100, "approval_reason": "why"})
            )
            await page.click("a:has-text('Queue')")
            await page.click("a:has-text('1043')")
            assert "Bypassable gate" in await page.inner_text("#card .head")
            assert await page.inner_text(".asked blockquote") == "why"
            await page.click("#deny-open > summary")
            await page.fill("#reason", "Offer store credit <b>instead</b>")
            await page.click("#deny button.bad")
            refusal = await denied
            await page.wait_for_selector(".state:has-text('Denied')")

    assert not result.is_error
    assert result.structured_content["refunded_now_cents"] == 12000
    assert refusal.is_error
    assert "denied by ann" in text(refusal)
    assert "Offer store credit <b>instead</b>" in text(refusal)
    assert orders(installed) == before | {1042: 12000}
    assert faults == []
    assert shop.stop() in {0, -15}
    assert service.stop() == 0
    await record_is_whole(installed)


async def listening(port):
    with anyio.fail_after(20):
        while True:
            with contextlib.suppress(OSError):
                connection = await anyio.connect_tcp("127.0.0.1", port)
                await connection.aclose()
                return
            await anyio.lowlevel.checkpoint()


async def record_is_whole(installed):
    said = installed.cli("audit", "verify")
    assert said.startswith("Intact:"), said
    assert " 0 not linked yet" in said
    kinds = [kind for (kind,) in installed.rows("SELECT kind FROM audit_event ORDER BY id")]
    for kind in ("request.filed", "decision.approve", "request.approved", "request.executing", "request.succeeded"):
        assert kinds.count(kind) == (2 if kind == "request.filed" else 1), kind
    assert kinds.count("request.denied") == 1
    ((password,),) = installed.rows("SELECT password_hash FROM user_account")
    assert password.startswith("$argon2id$v=19$m=65536,t=3,p=4$")  # as dear to guess as is recommended
    evidence = installed.rows("SELECT * FROM decision")
    assert len(evidence) == 2
    calls = installed.rows(
        "SELECT body FROM audit_payload JOIN audit_event USING (payload_hash) WHERE kind = 'calls.recorded'"
    )
    assert "get_order" in {call["target"] for (body,) in calls for call in json.loads(body)["calls"]}
