"""The proxy as a process of its own, before an upstream that speaks both eras, and with a client of each."""

import asyncio

import anyio
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(params=["legacy", "2026-07-28", "auto"])
async def agent(proxied, request):
    async with proxied.process(*proxied.modern, mode=request.param) as client:
        yield client


def text(result):
    return "\n".join(block.text for block in result.content)


async def test_p1_a_write_waits_a_read_passes_and_a_denial_says_why(proxied, agent):
    assert text(await agent.call_tool("read_note", {"name": "b"})) == "the note b"
    for verdict, note in (("approve", "a"), ("deny", "c")):
        async with asyncio.TaskGroup() as tasks:
            call = tasks.create_task(agent.call_tool("write_note", {"name": note}))
            with anyio.fail_after(30):
                await proxied.served.decide(verdict, comment="because")
                result = await call
        assert result.is_error is (verdict == "deny")
        assert ("because" if verdict == "deny" else "wrote a") in text(result)
    assert proxied.did == [["read", {"name": "b"}], ["write", {"name": "a", "text": ""}]]


async def test_everything_else_passes(agent):
    tools = {tool.name for tool in (await agent.list_tools()).tools}
    assert {"read_note", "write_note", "get_approval"} <= tools
    assert (await agent.read_resource("note://c")).contents[0].text == "resource c"
    assert (await agent.get_prompt("greet", {"name": "d"})).messages[0].content.text == "Greet d"
