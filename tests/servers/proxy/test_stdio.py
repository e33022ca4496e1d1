"""A process as upstream, and a client beside the proxy: what waits, what passes, what is told."""

import asyncio
import json

import anyio
import pytest

from support.answer_table import facts


@pytest.fixture
async def agent(proxied):
    async with proxied.client() as client:
        yield client


def text(result):
    return "\n".join(block.text for block in result.content)


async def decided(proxied, agent, verdict, tool, **arguments):
    async with asyncio.TaskGroup() as tasks:
        call = tasks.create_task(agent.call_tool(tool, arguments))
        row = await proxied.served.decide(verdict, comment="because")
        with anyio.fail_after(10):
            return row, await call


async def test_p1_a_write_waits_and_runs_once_when_it_is_approved(proxied, agent):
    row, result = await decided(proxied, agent, "approve", "write_note", name="a", text="x", approval_reason="asked to")
    assert text(result) == "write_note a"
    assert proxied.did == [["write_note", {"name": "a", "text": "x"}]]
    assert row.reason == "asked to"


async def test_p1_a_denied_write_never_reaches_the_upstream(proxied, agent):
    _, result = await decided(proxied, agent, "deny", "write_note", name="a")
    assert result.is_error
    assert "because" in text(result)
    assert facts(result)["status"] == "denied"
    assert proxied.did == []


async def test_p3_the_same_write_again_is_answered_and_not_repeated(proxied, agent):
    await decided(proxied, agent, "approve", "write_note", name="a")
    again = await agent.call_tool("write_note", {"name": "a"})
    assert facts(again)["executed"] is True
    assert "write_note a" in text(again)
    assert len(proxied.did) == 1


async def test_a_read_passes_at_once(proxied, agent):
    assert text(await agent.call_tool("read_note", {"name": "b"})) == "read_note b"


async def test_p8_what_passes_is_on_record(proxied, agent, until):
    await agent.call_tool("read_note", {"name": "b"})
    await agent.get_prompt("greet", {"name": "d"})

    def recorded():
        sql = "SELECT body FROM audit_payload JOIN audit_event USING (payload_hash) WHERE kind = 'calls.recorded'"
        bodies = [json.loads(body) for (body,) in proxied.served.scenario.rows(sql)]
        return [(call["method"], call["target"], call["outcome"]) for body in bodies for call in body["calls"]]

    await until(lambda: ("prompts/get", "greet", "ok") in recorded())
    assert ("tools/call", "read_note", "ok") in recorded()


async def test_tools_are_listed_with_words_for_the_reviewer_on_those_that_write(agent):
    tools = {tool.name: tool for tool in (await agent.list_tools()).tools}
    assert "approval_reason" in tools["write_note"].input_schema["properties"]
    assert "approval_reason" not in tools["read_note"].input_schema["properties"]
    assert "get_approval" in tools


async def test_p5_a_tool_that_is_not_listed_is_not_called(proxied, agent):
    with pytest.raises(Exception, match="Unknown tool: hidden"):
        await agent.call_tool("hidden", {})


async def test_p2_arguments_that_do_not_fit_the_schema_ask_nobody(proxied, agent):
    result = await agent.call_tool("write_note", {"name": 5})
    assert facts(result)["status"] == "invalid"
    assert proxied.served.scenario.rows("SELECT id FROM request") == []


async def test_p7_a_failing_tool_says_that_it_ran(proxied, agent):
    _, result = await decided(proxied, agent, "approve", "fail_note", name="a")
    assert result.is_error
    assert "no room for a" in text(result)
    assert facts(result)["executed"] is True


async def test_p3_an_upstream_that_dies_during_a_write_leaves_the_outcome_unknown(proxied, agent):
    _, result = await decided(proxied, agent, "approve", "die", name="a")
    assert facts(result)["status"] == "unknown"
    proxied.served.scenario.clock.forward(100)
    proxied.served.scenario.sweep()
    again = await agent.call_tool("die", {"name": "a"})
    assert facts(again)["status"] == "unknown"
    assert len(proxied.did) == 1


async def test_secrets_of_the_gate_are_not_in_the_upstreams_environment(agent):
    names = json.loads(text(await agent.call_tool("environment", {})))
    assert "PATH" in names
    assert not [name for name in names if name.startswith("APPROVALS_")]


async def test_the_agent_can_look_at_its_request(proxied, agent):
    async with asyncio.TaskGroup() as tasks:
        call = tasks.create_task(agent.call_tool("write_note", {"name": "a"}))
        row = await proxied.served.pending()
        with anyio.fail_after(10):  # an agent is told an id once its gate knows it; this one looked into the database
            while facts(look := await agent.call_tool("get_approval", {"request_id": row.id}))["status"] == "not_found":
                pass
        assert facts(look)["status"] == "pending"
        call.cancel()


async def test_p1_a_definition_that_changes_under_way_is_held(proxied, agent):
    assert text(await agent.call_tool("read_note", {"name": "a"})) == "read_note a"
    proxied.log.with_name("renamed").touch()
    await agent.call_tool("change", {})
    row, result = await decided(proxied, agent, "approve", "read_note", name="b")
    assert row.tool == "read_note"
    assert text(result) == "read_note b"
