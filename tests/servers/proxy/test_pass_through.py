"""What passes through the proxy unchanged, and what a hostile client cannot make of it."""

import json

import anyio
import pytest


@pytest.fixture
async def wire(proxied):
    async with proxied.wire() as wire:
        await wire.shake_hands()
        yield wire


def call(id, name, /, **arguments):
    params = {"name": name, "arguments": arguments}
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).encode()


async def test_an_ungated_answer_is_the_upstreams_bytes(wire):
    await wire.say(call("r", "read_note", name="a"))
    assert json.dumps(await wire.hear("r")).encode() in wire.heard
    assert b'"com.example/odd": 1.5' in wire.heard[-1]
    assert b'"strange": true' in wire.heard[-1]


async def test_the_upstreams_capabilities_and_extension_methods_pass(proxied):
    async with proxied.wire() as wire:
        answer = await wire.shake_hands()
        assert answer["result"]["capabilities"]["experimental"] == {"com.example/odd": {"a": 1}}
        assert (await wire.ask(5, "com.example/custom", a=[1.5]))["result"] == {"seen": {"a": [1.5]}}
        assert (await wire.ask(6, "com.example/none"))["error"]["code"] == -32601


async def test_the_upstream_asks_the_clients_user_in_the_middle_of_a_call(wire):
    answering = wire.say(call(7, "ask_user", name="a"))
    with anyio.fail_after(20):
        while not any(b"elicitation/create" in heard for heard in wire.heard):
            await wire._news.wait()
    await wire.say(b'{"jsonrpc":"2.0","id":"q-1","result":{"action":"accept","content":{"colour":"red"}}}')
    await answering
    assert "red" in (await wire.hear(7))["result"]["content"][0]["text"]


async def test_an_error_of_the_protocol_is_the_upstreams_own(proxied, wire):
    answering = wire.say(call(8, "reject_note", name="a"))
    await proxied.served.decide()
    await answering
    assert (await wire.hear(8))["error"] == {"code": -32042, "message": "no a", "data": {"why": "full"}}


async def test_every_page_of_tools_is_known(proxied, wire):
    answering = wire.say(call(9, "die", name="a"))  # on the second page
    row = await proxied.served.decide("deny", comment="no")
    assert row.tool == "die"
    await answering


@pytest.mark.parametrize(
    "raw",
    [
        b'{"jsonrpc":"2.0","method":"tools/call","params":{"name":"write_note","arguments":{"name":"a"}}}',
        b'[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write_note","arguments":{"name":"a"}}}]',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":\r{"jsonrpc":"2.0","id":2,"method":"tools/call",'
        b'"params":{"name":"write_note","arguments":{"name":"a"}}}\r}}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call","params":{"name":"write_note"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_note","name":"write_note"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"twice","arguments":{"name":"a"}}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write_note","arguments":[]}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call"}',
    ],
)
async def test_p1_no_odd_message_gets_a_call_through(proxied, wire, raw):
    await wire.say(raw)
    assert "result" in await wire.ask("after", "ping")
    assert proxied.did == []


async def test_a_request_with_an_id_that_is_not_answered_yet_is_refused(proxied, wire):
    waiting = wire.say(call(3, "write_note", name="a"))
    await proxied.served.pending()
    await wire.say(call(3, "read_note", name="b"))
    assert "not answered yet" in (await wire.hear(3))["error"]["message"]
    await proxied.served.decide("deny", comment="no")
    await waiting
    assert proxied.did == []


async def test_p3_cancelling_a_call_that_waits_is_not_the_upstreams_business(proxied, wire):
    waiting = wire.say(call(4, "write_note", name="a"))
    await proxied.served.pending()
    await wire.say(b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":4}}')
    with anyio.fail_after(10):
        await waiting
    assert not any(json.loads(heard).get("id") == 4 for heard in wire.heard)  # nobody waits for an answer
    assert (await proxied.served.pending()).state == "pending"  # for whoever asks again
    assert "cancelled" not in (proxied.log.read_text() if proxied.log.exists() else "")


async def test_p2_a_definition_that_changes_while_people_decide_does_not_run(proxied, wire):
    waiting = wire.say(call(2, "write_note", name="a"))
    await proxied.served.pending()
    proxied.log.with_name("renamed").touch()
    await proxied.served.decide()
    await waiting
    answer = (await wire.hear(2))["result"]
    assert answer["isError"]
    assert "NOT EXECUTED" in answer["content"][0]["text"]
    assert proxied.did == []


async def test_progress_goes_on_under_the_clients_own_token(proxied, wire):
    proxied.log.with_name("go").touch()
    said = {"name": "slow_note", "arguments": {"name": "a"}, "_meta": {"progressToken": "mine"}}
    waiting = wire.say(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": said}).encode())
    await proxied.served.decide()
    await waiting
    heard = [json.loads(raw) for raw in wire.heard if b"notifications/progress" in raw]
    assert {message["params"]["progressToken"] for message in heard} == {"mine"}
    reached = [message["params"]["progress"] for message in heard]
    assert reached == sorted(reached)
    assert heard[-1]["params"]["total"] >= 2


async def test_p5_without_a_service_nothing_is_called_and_tools_are_still_listed(proxied):
    from functools import partial

    from approvals import Gate
    from approvals_server.proxy.process import UpstreamProcess
    from approvals_server.proxy.relay import Relay
    from approvals_server.proxy.shared_state import Desk

    async with proxied.wire() as wire:
        wire.desk = Desk(Gate("notes", None), proxied.plain)
        relay, wire.relay = wire.relay, Relay(wire.desk, partial(UpstreamProcess.start, proxied.plain), wire._tell)
        await relay.close()
        await wire.shake_hands()
        assert (await wire.ask(1, "tools/list"))["result"]["tools"]
        await wire.say(call(2, "read_note", name="a"))
        assert "NOT EXECUTED" in (await wire.hear(2))["result"]["content"][0]["text"]
        assert proxied.did == []
