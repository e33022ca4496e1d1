"""An upstream that asks the caller's client for more while an approved call runs."""

import json
from functools import partial

import anyio
import pytest
from mcp_types import ElicitResult

from approvals_server.proxy import frames


def call(id, name, /, **arguments):
    params = {"name": name, "arguments": arguments}
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).encode()


@pytest.fixture
async def wire(proxied):
    async with proxied.wire() as wire:
        await wire.shake_hands()
        yield wire


async def test_p2_an_approved_call_is_not_steered_by_what_the_client_would_answer(proxied, wire):
    waiting = wire.say(call(1, "steered_note", name="a"))
    row = await proxied.served.decide()
    await waiting
    told = " ".join(block["text"] for block in (await wire.hear(1))["result"]["content"])
    assert not any(b"q-1" in heard for heard in wire.heard)
    assert "nobody has approved what the client would answer" in told  # as the tool heard it
    assert "asked the client for more (elicitation/create), and was declined" in told
    assert proxied.did == [["steered_note", {"name": "a"}]]
    assert "declined" in proxied.served.scenario.row(row.id).result


async def test_p7_an_upstream_cannot_answer_a_call_that_still_waits_for_a_person(proxied, wire):
    waiting = wire.say(call(1, "write_note", name="a"))
    row = await proxied.served.pending()
    said = b'{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"done"}]}}'
    await wire.relay._link.receive(frames.read(said), None)
    assert not any(b"done" in heard for heard in wire.heard)
    await proxied.served.decide()
    await waiting
    assert (await wire.hear(1))["result"]["content"][0]["text"] == "write_note a"
    await wire.relay._link.receive(frames.read(said), None)
    assert sum(b'"id":1' in heard for heard in wire.heard) == 1, "one answer for one request"
    assert proxied.served.scenario.status(row.id).state == "succeeded"


async def test_p2_an_upstream_may_ask_again_once_the_approved_call_is_over(proxied, wire):
    waiting = wire.say(call(1, "write_note", name="a"))
    await proxied.served.decide()
    await waiting
    asking = wire.say(call(2, "ask_user", name="a"))
    with anyio.fail_after(20):
        while not any(b"elicitation/create" in heard for heard in wire.heard):
            await wire._news.wait()
    await wire.say(b'{"jsonrpc":"2.0","id":"q-1","result":{"action":"accept","content":{"colour":"red"}}}')
    await asking
    assert "red" in (await wire.hear(2))["result"]["content"][0]["text"]


async def test_over_http_a_call_that_waits_for_nobody_may_ask_while_an_approved_one_runs(proxied):
    runs = anyio.Event()

    async def progress(reached, total, message):
        if message == "half":
            runs.set()

    async def red(context, params):
        return ElicitResult(action="accept", content={"colour": "red"})

    with anyio.fail_after(60):
        async with (
            proxied.behind() as behind,
            proxied.front(behind) as url,
            proxied.http(url, mode="legacy", elicitation_callback=red) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(partial(client.call_tool, "slow_note", {"name": "a"}, progress_callback=progress))
            await proxied.served.decide()
            await runs.wait()
            asked = await client.call_tool("ask_user", {})
            proxied.log.with_name("go").touch()
    assert "red" in asked.content[0].text
