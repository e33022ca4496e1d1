"""From an empty database to a decided first request, in the browser alone: what it shows is what a client runs."""

import asyncio
import json
import sys
from pathlib import Path

import anyio
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from playwright.async_api import expect

from approvals_web.pages.connecting import COMMAND

PLAIN = Path(__file__).parents[1] / "support" / "plain_server.py"
MINUTES = 3


@pytest.mark.slow
async def test_a_first_request_is_decided_within_three_minutes_and_without_a_shell(installed, browser):
    service = await anyio.to_thread.run_sync(installed.serve)
    tab = await browser.new_page(viewport={"width": 1280, "height": 800})
    faults = []
    tab.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    with anyio.fail_after(MINUTES * 60):
        await tab.goto(service.line("Sign in:").removeprefix("Sign in: "))
        await tab.fill("#name", "ann")
        await tab.fill("#password", "correct horse battery")
        await tab.click("button.good")
        await tab.click("text=Create a key for an MCP server")
        await tab.fill("#new-server", "notes")
        await tab.fill("#new-agent", "helper")
        await tab.click("text=Create key")
        await expect(tab.locator(".progress")).to_contain_text("Waiting for the first request")
        await tab.click("summary:has-text('Cursor')")
        entry = json.loads(await tab.inner_text("#settings-cursor"))["mcpServers"]["notes"]
        notes = installed.folder / "notes.txt"
        upstream = [sys.executable, str(PLAIN), str(notes)]
        arguments = [*entry["args"][: entry["args"].index(COMMAND)], *upstream]
        command = str(Path(sys.executable).parent / entry["command"])
        server = StdioServerParameters(command=command, args=arguments, env=entry["env"], cwd=installed.folder)
        async with Client(server) as client, asyncio.TaskGroup() as tasks:
            await client.list_tools()
            await expect(tab.locator(".progress li.done")).to_have_count(2, timeout=20_000)
            call = tasks.create_task(client.call_tool("write_note", {"name": "a", "text": "hello"}))
            await tab.locator(".progress a").click(timeout=20_000)
            await expect(tab.locator(".asked")).to_contain_text("helper (verified by its key)")
            await expect(tab.locator(".asked")).to_contain_text("No policy file is in effect")
            await tab.click("#approve button")
            result = await call
        assert not result.is_error, result
        await tab.goto(f"{installed.url}/servers/notes")
        await expect(tab.locator("main")).to_contain_text("write_note")
    assert faults == []
    assert service.stop() == 0
