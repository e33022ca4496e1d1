"""What README shows works as it stands."""

import asyncio
import re
import sys
from pathlib import Path

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters

README = (Path(__file__).parents[2] / "README.md").read_text()


async def test_the_servers_ten_lines_wait_for_a_person(served, tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    served.scenario.add_server("store")
    keys = served.scenario.keys
    settings = {
        "APPROVALS_URL": served.url,
        "APPROVALS_SERVER_KEY": keys["store"],
        "APPROVALS_AGENT_KEY": keys["agent"],
    }
    code = code.replace('GatedServer("shop")', 'GatedServer("store")')
    (tmp_path / "server.py").write_text(code)
    parameters = StdioServerParameters(command=sys.executable, args=["server.py"], env=settings, cwd=tmp_path)
    with anyio.fail_after(20):
        async with Client(parameters) as agent, asyncio.TaskGroup() as tasks:
            assert (await agent.call_tool("get_price", {"item": "desk"})).structured_content == {"result": 995}
            call = tasks.create_task(agent.call_tool("set_price", {"item": "desk", "cents": 1250}))
            row = await served.decide()
            result = await call
    assert row.summary == "Set the price of desk to $12.50"
    assert result.structured_content == {"result": "desk now costs 1250"}


def test_every_file_that_readme_links_to_exists():
    root = Path(__file__).parents[2]
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert links
    assert not [link for link in links if not (root / link).exists()]
