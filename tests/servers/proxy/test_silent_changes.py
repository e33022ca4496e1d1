"""An upstream whose tools change, and that does not say so."""

import json

import pytest

from approvals_server.proxy import tools


@pytest.fixture
async def wire(proxied):
    async with proxied.wire() as wire:
        await wire.shake_hands()
        yield wire


def call(id, name, /, **arguments):
    params = {"name": name, "arguments": arguments}
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).encode()


async def is_asked_about(proxied, wire, id):
    waiting = wire.say(call(id, "read_note", name="b"))
    row = await proxied.served.decide("deny", comment="no")
    await waiting
    assert row.tool == "read_note"
    assert [arguments["name"] for _, arguments in proxied.did] == ["a"]


async def test_p1_a_tool_that_was_shown_to_write_now_waits_though_it_only_read_before(proxied, wire):
    await wire.say(call(1, "read_note", name="a"))
    proxied.log.with_name("turned").touch()
    shown = (await wire.ask(2, "tools/list"))["result"]["tools"]
    assert next(tool for tool in shown if tool["name"] == "read_note")["annotations"] == {"readOnlyHint": False}
    await is_asked_about(proxied, wire, 3)


async def test_p1_what_one_client_was_shown_counts_for_the_others_too(proxied, wire):
    await wire.say(call(1, "read_note", name="a"))
    other = type(wire.relay)(wire.desk, wire.connect, wire._tell)
    try:
        relay, wire.relay = wire.relay, other
        await wire.shake_hands()
        proxied.log.with_name("turned").touch()
        await wire.ask(2, "tools/list")
        wire.relay = relay
        await is_asked_about(proxied, wire, 3)
    finally:
        await other.close()


async def test_p1_a_list_of_tools_counts_for_seconds_where_nobody_looks_at_it(proxied, wire, monkeypatch):
    await wire.say(call(1, "read_note", name="a"))
    proxied.log.with_name("turned").touch()
    now = tools.boot_clock()
    monkeypatch.setattr(tools, "boot_clock", lambda: now + tools.FRESH)
    await is_asked_about(proxied, wire, 3)


async def test_p7_a_tool_that_appeared_meanwhile_is_found_when_it_is_called(proxied, wire):
    await wire.say(call(1, "read_note", name="a"))
    await wire.say(call(2, "new_note", name="b"))
    assert "Unknown tool" in (await wire.hear(2))["error"]["message"]
    proxied.log.with_name("appeared").touch()
    waiting = wire.say(call(3, "new_note", name="b"))
    row = await proxied.served.decide("deny", comment="no")
    await waiting
    assert row.tool == "new_note"
    assert [name for name, _ in proxied.did] == ["read_note"]
