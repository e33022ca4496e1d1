"""Two upstreams behind one proxy: what each is asked, and whose is what."""

import asyncio
import json
import sys
from dataclasses import replace

import anyio
import pytest
import yaml
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import ElicitResult

from approvals.gate.gate import Gate
from approvals_server.proxy.shared_state import Desk
from support.answer_table import facts
from support.processes import clean_environment


def text(result):
    return "\n".join(block.text for block in result.content)


class House:
    """A configuration of two plain servers, which have the same tools."""

    def __init__(self, proxied, tmp_path):
        self.proxied = proxied
        self.file = tmp_path / "proxy.yaml"
        self.folder = tmp_path
        self.write(["notes", "more"])

    def part(self, name):
        (self.folder / name).mkdir(exist_ok=True)
        (self.folder / name / "neat").touch()
        return {"command": [*self.proxied.plain[:-1], str(self.folder / name / "did.jsonl")]}

    def write(self, names, **more):
        upstreams = {name: self.part(name) | more.get(name, {}) for name in names}
        self.file.write_text(yaml.safe_dump({"version": 1, "upstreams": upstreams}))

    def did(self, name):
        log = self.folder / name / "did.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        return [entry for entry in map(json.loads, lines) if entry[0] != "heard"]


@pytest.fixture
def house(proxied, tmp_path):
    proxied.served.scenario.add_server("more")
    return House(proxied, tmp_path)


async def test_a_call_goes_to_the_upstream_that_its_name_means(house):
    async with house.proxied.several(house.file) as (agent, _, _):
        names = [tool.name for tool in (await agent.list_tools()).tools]
        assert {"notes_read_note", "more_read_note", "get_approval"} <= set(names)
        assert len(names) == len(set(names))
        assert text(await agent.call_tool("more_read_note", {"name": "a"})) == "read_note a"
    assert house.did("more") == [["read_note", {"name": "a"}]]
    assert house.did("notes") == []


async def test_p1_a_write_waits_at_the_server_that_it_is_of(house):
    async with house.proxied.several(house.file) as (agent, _, _), asyncio.TaskGroup() as tasks:
        call = tasks.create_task(agent.call_tool("more_write_note", {"name": "a", "approval_reason": "asked to"}))
        row = await house.proxied.served.decide("approve", comment="ok")
        with anyio.fail_after(10):
            assert text(await call) == "write_note a"
        again = await agent.call_tool("more_write_note", {"name": "a"})
        assert facts(again)["executed"] is True
    assert (row.server, row.tool, row.reason) == ("more", "write_note", "asked to")
    assert house.did("more") == [["write_note", {"name": "a"}]]
    assert house.did("notes") == []


async def test_p5_a_name_that_none_of_them_has_is_called_nowhere(house):
    async with house.proxied.several(house.file) as (agent, _, _):
        for name in ("read_note", "hidden", "notes_hidden"):
            with pytest.raises(MCPError, match="Unknown tool"):
                await agent.call_tool(name, {"name": "a"})
    assert house.did("notes") == house.did("more") == []


async def test_an_agent_looks_at_its_requests_wherever_they_are(house):
    async with house.proxied.several(house.file) as (agent, _, _):
        for tool in ("notes_write_note", "more_write_note"):
            task = asyncio.create_task(agent.call_tool(tool, {"name": tool}))
            row = await house.proxied.served.pending()
            with anyio.fail_after(10):
                while (
                    facts(look := await agent.call_tool("get_approval", {"request_id": row.id}))["status"]
                    == "not_found"
                ):
                    pass
            assert facts(look)["status"] == "pending"
            await house.proxied.served.decide("deny", comment="no")
            await task


async def test_p7_an_upstreams_own_get_approval_answers_for_no_gate(house):
    """Not where it is the only one, either: agents ask the gate by that name."""
    house.part("more")
    (house.folder / "more" / "looks").touch()
    for names, shown in ((["notes", "more"], "more_write_note"), (["more"], "write_note")):
        house.write(names)
        async with house.proxied.several(house.file) as (agent, _, _):
            looks = [tool for tool in (await agent.list_tools()).tools if "get_approval" in tool.name]
            assert [tool.title for tool in looks] == ["Look at an approval request"]
            task = asyncio.create_task(agent.call_tool(shown, {"name": shown}))
            row = await house.proxied.served.pending()
            look = facts(await agent.call_tool("get_approval", {"request_id": row.id, "wait_seconds": 0}))
            assert look["status"] in {"pending", "not_found"}  # not found: nobody waits for it yet
            await house.proxied.served.decide("deny", comment="no")
            await task
            assert facts(await agent.call_tool("get_approval", {"request_id": row.id}))["status"] == "denied"
    assert house.did("more") == []


async def test_p5_an_upstream_without_a_key_hides_no_request_of_the_others(house, monkeypatch):
    opened = house.proxied.opened

    def keyless(document, name):
        behind = opened(document, name)
        if name == "more":  # the first that is asked
            behind = replace(behind, desk=Desk(Gate(name, None, pinned=True), document.upstreams[name].command))
        return behind

    monkeypatch.setattr(house.proxied, "opened", keyless)
    async with house.proxied.several(house.file) as (agent, _, _):
        task = asyncio.create_task(agent.call_tool("notes_write_note", {"name": "a"}))
        row = await house.proxied.served.pending()
        await house.proxied.served.decide("deny", comment="the words not_found in a reason")
        await task
        look = facts(await agent.call_tool("get_approval", {"request_id": row.id}))
        assert (look["status"], look["reason"]) == ("denied", "the words not_found in a reason")
        missing = await agent.call_tool("get_approval", {"request_id": "01a3185c-5000-7000-8000-000000000001"})
        assert facts(missing)["status"] == "not_found"
        write = await agent.call_tool("more_write_note", {"name": "a"})
        assert (facts(write)["status"], house.did("more")) == ("not_configured", [])


async def test_an_upstreams_question_is_answered_to_the_one_that_asked(house):
    async def red(context, params):
        return ElicitResult(action="accept", content={"colour": "red"})

    async with house.proxied.several(house.file, elicitation_callback=red) as (agent, _, _):
        asked = [agent.call_tool(f"{name}_ask_user", {"name": "a"}) for name in ("notes", "more")]
        with anyio.fail_after(10):
            answers = await asyncio.gather(*asked)  # both ask under the id q-1
    assert all("red" in text(answer) for answer in answers)


async def test_prompts_go_where_they_are_from(house):
    async with house.proxied.several(house.file) as (agent, _, _):
        with pytest.raises(MCPError, match="Unknown prompt"):
            await agent.get_prompt("greet", {})


async def test_an_upstream_that_does_not_start_leaves_the_others(house):
    part = {"command": [sys.executable, "-c", "raise SystemExit(3)"]}
    house.file.write_text(yaml.safe_dump({"version": 1, "upstreams": {"notes": part, "more": house.part("more")}}))
    async with house.proxied.several(house.file, mode="legacy") as (agent, _, _):
        assert "read_note" in [tool.name for tool in (await agent.list_tools()).tools]
        assert text(await agent.call_tool("read_note", {"name": "a"})) == "read_note a"


async def test_what_the_file_says_now_counts_at_once(house):
    async with house.proxied.several(house.file) as (agent, configured, wire):
        await agent.list_tools()
        house.write(["more"], more={"tools": {"read_note": {"read_only": False}}})
        await configured.look()
        assert any(b"tools/list_changed" in heard for heard in wire.heard)
        tools = {tool.name: tool for tool in (await agent.list_tools()).tools}
        assert "notes_read_note" not in tools
        assert "approval_reason" in tools["read_note"].input_schema["properties"]
        house.write(["more", "notes"])
        await configured.look()
        assert text(await agent.call_tool("notes_read_note", {"name": "b"})) == "read_note b"


async def test_p5_a_file_that_is_wrong_changes_nothing(house, caplog):
    async with house.proxied.several(house.file) as (agent, configured, _):
        house.file.write_text("version: 1\nupstreams: {}\n")
        await configured.look()
        assert "stays as it was" in caplog.text
        assert text(await agent.call_tool("notes_read_note", {"name": "b"})) == "read_note b"


async def test_p5_the_client_of_a_single_upstream_loses_it_when_the_file_does(house):
    said = {"tools": {"write_note": {"read_only": True}}}
    house.write(["notes"], notes=said)
    async with house.proxied.several(house.file) as (agent, configured, wire):
        await agent.list_tools()
        house.write(["more"])
        await configured.look()
        assert any(b"tools/list_changed" in heard for heard in wire.heard)
        assert text(await agent.call_tool("read_note", {"name": "a"})) == "read_note a"
    assert house.did("notes") == []
    assert house.did("more") == [["read_note", {"name": "a"}]]


async def test_a_call_that_waits_is_answered_when_its_upstream_is_taken_away(house):
    async with house.proxied.several(house.file) as (agent, configured, _):
        call = asyncio.create_task(agent.call_tool("notes_write_note", {"name": "a"}))
        await house.proxied.served.pending()
        house.write(["more"])
        await configured.look()
        with anyio.fail_after(10), pytest.raises(MCPError, match="configuration of this MCP server changed"):
            await call
    assert house.did("notes") == []


async def test_whatever_is_wrong_with_a_file_the_next_change_counts(house, caplog):
    async with house.proxied.several(house.file) as (agent, configured, _):
        configured._open_upstream, opened = None, configured._open_upstream  # fails as nobody foresaw
        house.write(["third"])
        await configured.look()
        assert "cannot be taken: TypeError" in caplog.text
        configured._open_upstream = opened
        house.write(["more"])
        await configured.look()
        assert text(await agent.call_tool("read_note", {"name": "a"})) == "read_note a"
    assert house.did("more") == [["read_note", {"name": "a"}]]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_over_http_each_era_passes_before_several(house, mode):
    proxied = house.proxied
    parts = {name: {"command": [*proxied.modern[:-1], str(house.folder / f"{name}.log")]} for name in ("notes", "more")}
    parts["more"]["prefix"] = "m_"
    house.file.write_text(yaml.safe_dump({"version": 1, "upstreams": parts}))
    with anyio.fail_after(60):
        async with proxied.several_over_http(house.file) as url, proxied.http(url, mode=mode) as agent:
            tools = [tool.name for tool in (await agent.list_tools()).tools]
            assert {"read_note", "m_read_note"} <= set(tools)
            assert text(await agent.call_tool("m_read_note", {"name": "a"})) == "the note a"
            prompts = [prompt.name for prompt in (await agent.list_prompts()).prompts]
            assert set(prompts) == {"greet", "m_greet"}
            assert "Greet you" in str(await agent.get_prompt("m_greet", {"name": "you"}))
            assert "resource a" in str(await agent.read_resource("note://a"))
            async with asyncio.TaskGroup() as tasks:
                call = tasks.create_task(agent.call_tool("m_write_note", {"name": "a"}))
                row = await proxied.served.decide("approve", comment="ok")
                assert text(await call) == "wrote a"
    assert (row.server, row.tool) == ("more", "write_note")


@pytest.mark.slow
async def test_p1_a_process_stands_before_all_that_its_file_names(house):
    served = house.proxied.served
    keys = served.scenario.keys
    parts = {name: house.part(name) | {"key": keys[name]} for name in ("notes", "more")}
    said = {"version": 1, "service": served.url, "agent_key": keys["agent"], "upstreams": parts}
    house.file.write_text(yaml.safe_dump(said))
    arguments = ["-m", "approvals_server.proxy.cli", "--config", str(house.file)]
    command = StdioServerParameters(command=sys.executable, args=arguments, env=clean_environment())
    async with Client(stdio_client(command), cache=None) as agent, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(agent.call_tool("notes_write_note", {"name": "a"}))
        row = await served.decide("approve", comment="ok")
        with anyio.fail_after(20):
            assert text(await call) == "write_note a"
    assert row.server == "notes"
    assert row.agent_id is not None
    assert house.did("more") == []
