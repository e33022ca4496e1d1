"""What the model behind each real client reads, as the table in docs/clients.md says (P7)."""

import json
import re
from pathlib import Path

import anyio
import pytest

from approvals import Budgets
from approvals.gate.hosts import REPLAYED
from support import counting_server, python_clients, typescript
from support.over_http import http_server

pytestmark = pytest.mark.databases("one")

DOC = Path(__file__).parents[2] / "docs" / "clients.md"
SCRIPTS = {
    "fastmcp": "with_fastmcp.py",
    "pydantic-ai": "with_pydantic_ai.py",
    "openai-agents": "with_openai_agents.py",
}
NODE = {"TypeScript SDK 1": "@modelcontextprotocol/sdk", "Inspector CLI": "@modelcontextprotocol/inspector-cli"}


@pytest.fixture
async def shop(served, tmp_path):
    """The URL of a server over HTTP whose calls are soon told that they wait."""
    gate = served.gate(agent=None, budgets=Budgets(plain=0.3, with_progress=0.3))
    async with http_server(counting_server.create(tmp_path / "effects.log", gate=gate)) as url:
        yield url


async def through_python(script, url, key, situations):
    async with python_clients.talking(script, url, key) as talk:
        version = await talk.said()
        return version, await situations(talk.read)


async def through_node(package, url, key, situations):
    async def read(tool, arguments):
        if package == NODE["Inspector CLI"]:
            return await typescript.inspect(url, key, tool, arguments)
        answer = await typescript.call("older", url=url, key=key, params={"name": tool, "arguments": arguments})
        return [block["text"] for block in answer["result"]["content"]]

    return typescript.version(package), await situations(read)


def row_of(name):
    """Of the table: version, the client's own name, protocol, and what it reads in each situation."""
    found = re.search(rf"^\| {re.escape(name)} \| (.+) \|$", DOC.read_text(encoding="utf-8"), re.MULTILINE)
    assert found, name
    return [cell.strip() for cell in found[1].split("|")]


def places(said):
    """Where the words of a replay stand in what a model reads."""
    rest, in_structure = re.subn(rf'"{REPLAYED}": ?"\[replayed\]', "", said.replace("\\", ""))
    return " and ".join(["text"] * ("[replayed]" in rest) + ["structure"] * (in_structure > 0))


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SCRIPTS, *NODE])
async def test_p7_the_model_behind_each_client_reads_every_answer(served, shop, name):
    async def situations(read):
        refund, failing = {"order_id": 7}, {"order_id": 8}
        pending = await read("refund_order", refund)
        row = await served.decide()
        result, replayed = await read("refund_order", refund), await read("refund_order", refund)
        await read("failing_write", failing)
        await served.decide()
        failed = await read("failing_write", failing)
        await read("async_write", failing)
        await served.decide("deny", comment="use store credit")
        denied = await read("async_write", failing)
        return json.loads(row.client), [json.dumps(said) for said in (pending, denied, result, replayed, failed)]

    key = served.scenario.keys["agent"]
    with anyio.fail_after(120):
        if name in SCRIPTS:
            version, (client, said) = await through_python(SCRIPTS[name], shop, key, situations)
        else:
            version, (client, said) = await through_node(NODE[name], shop, key, situations)
    pending, denied, result, replayed, failed = said
    assert "waiting for a person's approval" in pending
    assert "Call the same tool again with identical arguments" in pending
    assert "denied by Ann" in denied
    assert "use store credit" in denied
    assert "refunded_cents" in result
    assert "[replayed]" not in result
    assert "[replayed]" in replayed
    assert "refunded_cents" in replayed
    assert "the carrier is closed" in failed
    assert "It ran and failed: heed its error." in failed
    assert row_of(name) == [version, f"`{client['name']}`", client["protocol"], places(replayed)]
