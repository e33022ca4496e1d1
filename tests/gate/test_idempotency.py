"""A tool's idempotency argument: filled by the gate with the request's id, seen and set by nobody else."""

import asyncio
import json
import uuid

import anyio
import pytest
from mcp import Client
from mcp_types import ToolAnnotations
from sqlalchemy import select

from approvals import Approval, GatedServer
from approvals.gate import idempotency
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import Request, table_of
from support.answer_table import facts

ALL = Statement(select(table_of(Request)))
KEYED = Approval(summary="Pay {cents:usd}", idempotency="key")


@pytest.fixture
def paid():
    return []


@pytest.fixture
def mcp(served, paid):
    server = GatedServer("shop", gate=served.gate())

    @server.tool(approval=KEYED)
    async def pay(cents: int, key: str) -> str:
        paid.append((cents, key))
        return f"paid {cents}"

    @server.tool(annotations=ToolAnnotations(read_only_hint=True), approval=Approval(idempotency="key"))
    async def quote(cents: int, key: str) -> str:
        paid.append((cents, key))
        return "quoted"

    @server.tool()
    async def pay_after_a_quote(cents: int) -> str:
        await server.call_tool("quote", {"cents": cents})
        return "done"

    return server


async def test_p3_the_key_is_the_requests_id_and_no_part_of_what_is_shown_or_digested(served, mcp, paid):
    async with Client(mcp) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("pay", {"cents": 500}))
        row = await served.pending()
        assert json.loads(row.arguments) == {"cents": 500}
        await served.decide()
        with anyio.fail_after(10):
            assert not (await call).is_error
    assert paid == [(500, row.id)]


async def test_the_agent_neither_sees_nor_sets_the_key(served, mcp, paid):
    async with Client(mcp) as client:
        for tool in (await client.list_tools()).tools:
            assert "key" not in json.dumps(tool.input_schema), tool.name
        for name in ("pay", "quote"):
            answer = await client.call_tool(name, {"cents": 500, "key": "mine"})
            assert (answer.is_error, facts(answer)["status"]) == (True, "invalid")
            assert "no argument 'key'" in answer.content[0].text
    assert paid == []


@pytest.mark.parametrize("tool", ["quote", "pay_after_a_quote"])
async def test_a_call_that_runs_without_approval_has_a_fresh_key_each_time(served, mcp, paid, tool):
    async with Client(mcp) as client, asyncio.TaskGroup() as tasks:
        for cents in (1, 2):
            call = tasks.create_task(client.call_tool(tool, {"cents": cents}))
            if tool != "quote":
                await served.decide()
            with anyio.fail_after(10):
                assert not (await call).is_error
    keys = [str(uuid.UUID(key)) for _, key in paid]
    assert len(set(keys)) == 2
    assert not set(keys) & {row.id for row in served.scenario.read(lambda reader: reader.all(ALL))}


async def test_two_calls_of_different_keys_are_one_call(served, mcp, paid):
    async with Client(mcp) as client, asyncio.TaskGroup() as tasks:
        calls = [tasks.create_task(client.call_tool("pay", {"cents": 7})) for _ in range(5)]
        await served.decide()
        for call in calls:
            await call
    assert len(paid) == 1


@pytest.mark.parametrize("named", ["nothing", "cents"])
def test_a_key_that_is_no_string_argument_of_the_tool_is_refused_at_registration(named):
    server = GatedServer("shop")
    with pytest.raises(ValueError, match="no string argument"):

        @server.tool(approval=Approval(idempotency=named))
        async def pay(cents: int, key: str) -> str:
            return ""


def test_the_key_is_neither_a_secret_nor_part_of_the_summary():
    server = GatedServer("shop")
    with pytest.raises(ValueError, match="names nothing"):

        @server.tool(approval=Approval(idempotency="key", secret=["key"]))
        async def pay(cents: int, key: str) -> str:
            return ""


def test_an_optional_key_may_be_filled_too():
    schema = {"properties": {"key": {"anyOf": [{"type": "string"}, {"type": "null"}]}}, "required": ["cents"]}
    assert idempotency.fits(schema, "key")
    assert idempotency.without(schema, "key") == {"properties": {}, "required": ["cents"]}
