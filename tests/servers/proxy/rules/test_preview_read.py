"""Previews without code: the effect of a write, read by another tool of the same upstream."""

import asyncio
import json

import anyio
import pytest

from approvals.protocol import redaction
from approvals.protocol.previews import stored
from approvals_server.proxy.rules.rule import Rules
from support.answer_table import facts


def rules(reader="read_note", **more):
    read = {"tool": reader, "arguments": {"name": "{name}"}, **more}
    preview = {"effect": "Replaces note {name}", "read": read, "before": {"of": "{answer}"}, "after": {"of": "{text}"}}
    return Rules.model_validate({"tools": {"write_note": {"preview": preview, "summary": "Write {name}"}}})


@pytest.fixture
def note(proxied):
    note = proxied.log.with_name("a.note")
    note.write_text("old")
    return note


def text(result):
    return "\n".join(block.text for block in result.content)


async def test_the_card_shows_what_is_there_and_what_will_be(proxied, note):
    async with proxied.client(rules=rules()) as agent, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(agent.call_tool("write_note", {"name": "a", "text": "new"}))
        row = await proxied.served.decide("approve", comment="ok")
        with anyio.fail_after(10):
            result = await call
    preview = stored(row.preview)
    assert (preview.effect, preview.before.text, preview.after.text) == ("Replaces note a", "old", "new")
    assert text(result) == "write_note a"
    assert [name for name, _ in proxied.did] == ["read_note", "read_note", "write_note"]


async def test_p2_a_before_that_changed_is_stale_and_asked_anew(proxied, note):
    async with proxied.client(rules=rules()) as agent, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(agent.call_tool("write_note", {"name": "a", "text": "new"}))
        first = await proxied.served.pending()
        note.write_text("changed by somebody else")
        await proxied.served.decide("approve", comment="ok")
        with anyio.fail_after(20):
            while (second := await proxied.served.pending()).id == first.id:
                pass
        assert not [name for name, _ in proxied.did if name == "write_note"]
        assert stored(second.preview).before.text == "changed by somebody else"
        await proxied.served.decide("approve", comment="ok")
        assert text(await call) == "write_note a"
    assert proxied.served.scenario.status(first.id).state == "stale"


async def test_a_look_that_fails_is_said_and_blocks_nothing(proxied, note):
    async with proxied.client(rules=rules(reader="fail_note", changes_nothing=True)) as agent:
        task = asyncio.create_task(agent.call_tool("write_note", {"name": "a", "text": "new"}))
        row = await proxied.served.pending()
        assert row.preview == ""
        assert "no room for a" in row.no_preview  # said on the card, and filed all the same
        await proxied.served.decide("deny", comment="no")
        assert facts(await task)["status"] == "denied"


async def test_p1_a_tool_that_does_not_say_that_it_reads_is_not_called_for_a_look(proxied, note):
    log = proxied.log
    log.with_name("turned").touch()  # read_note says no longer that it reads
    async with proxied.client(rules=rules()) as agent:
        task = asyncio.create_task(agent.call_tool("write_note", {"name": "a", "text": "new"}))
        row = await proxied.served.pending()
        await proxied.served.decide("deny", comment="no")
        await task
    assert "does not say that it only reads" in row.no_preview
    assert proxied.did == []


async def denied(proxied, said):
    """The request of a write under these rules, which is denied."""
    async with proxied.client(rules=said) as agent:
        task = asyncio.create_task(agent.call_tool("write_note", {"name": "a", "text": "new"}))
        row = await proxied.served.decide("deny", comment="no")
        await task
    return row


async def test_p1_a_tool_of_an_upstream_that_nobody_trusts_is_not_called_for_a_look(proxied, note):
    proxied.served.scenario.run("UPDATE installation SET trusted = :no WHERE server = 'notes'", no=False)
    row = await denied(proxied, rules())
    assert "not called for a look" in row.no_preview
    assert proxied.did == []


async def test_p5_a_definition_that_nobody_accepted_is_not_called_for_a_look(proxied, note):
    async with proxied.client(rules=rules(changes_nothing=True)) as agent:
        await agent.call_tool("read_note", {"name": "a"})
        proxied.log.with_name("renamed").touch()
        await agent.list_tools()
        task = asyncio.create_task(agent.call_tool("write_note", {"name": "a", "text": "new"}))
        row = await proxied.served.decide("deny", comment="no")
        await task
    assert "a person has yet to accept" in row.no_preview
    assert [name for name, _ in proxied.did] == ["read_note"]


async def test_p1_a_dry_run_that_the_tool_does_not_declare_is_not_called_for_a_look(proxied):
    read = {"tool": "write_note", "arguments": {"name": "{name}", "dryRun": True}, "changes_nothing": True}
    said = Rules.model_validate({"tools": {"write_note": {"preview": {"effect": "Replaces {name}", "read": read}}}})
    row = await denied(proxied, said)
    assert "does not declare the argument 'dryRun'" in row.no_preview
    assert proxied.did == []


async def test_a_tool_that_is_not_there_makes_no_preview(proxied):
    async with proxied.client(rules=rules(reader="look_at")) as agent:
        task = asyncio.create_task(agent.call_tool("write_note", {"name": "a", "text": "new"}))
        row = await proxied.served.decide("deny", comment="no")
        await task
    assert "no tool 'look_at'" in row.no_preview


async def test_a_secret_that_the_owner_names_is_not_shown(proxied):
    said = Rules.model_validate({"tools": {"write_note": {"secret": ["text"]}}})
    async with proxied.client(rules=said) as agent, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(agent.call_tool("write_note", {"name": "a", "text": "hunter2hunter2"}))
        row = await proxied.served.decide("approve", comment="ok")
        await call
    assert "hunter2" not in json.dumps(row.arguments if isinstance(row.arguments, str) else str(row.arguments))
    assert proxied.did == [["write_note", {"name": "a", "text": "hunter2hunter2"}]]


async def test_an_owner_can_say_that_a_tool_writes_though_it_says_that_it_reads(proxied):
    said = Rules.model_validate({"tools": {"read_note": {"read_only": False}}})
    async with proxied.client(rules=said) as agent:
        tools = {tool.name: tool for tool in (await agent.list_tools()).tools}
        assert "approval_reason" in tools["read_note"].input_schema["properties"]
        task = asyncio.create_task(agent.call_tool("read_note", {"name": "a"}))
        await proxied.served.decide("approve", comment="ok")
        assert text(await task) == "read_note a"


async def test_p2_a_secret_that_is_the_name_of_an_argument_hides_no_other_argument(proxied, monkeypatch):
    monkeypatch.setattr(redaction, "_COINCIDENCE", 4)  # this upstream has no longer name
    said = Rules.model_validate({"tools": {"write_note": {"secret": ["text"]}}})
    async with proxied.client(rules=said) as agent, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(agent.call_tool("write_note", {"name": "a", "text": "name"}))
        row = await proxied.served.decide("deny", comment="no")
        await call
    assert json.loads(row.arguments)["name"] == "a"
