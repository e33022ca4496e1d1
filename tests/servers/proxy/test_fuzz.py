"""Whatever either side says: nothing breaks, nothing hangs, and no call gets through that waits for a person."""

import asyncio
import contextlib
import json
import random
import sys
from pathlib import Path

import anyio
import httpx2
import pytest

SUPPORT = Path(__file__).parents[2] / "support"
CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "write_note", "arguments": {"name": "a", "text": "b"}, "_meta": {"progressToken": 1}},
}
ODD = [None, True, -1, 1.5, 10**400, "", "tools/call", "\u0000", "write_note", [], {}, [CALL], "\ud800", "id"]
LINES = [
    b"",
    b"\n",
    b"\xff",
    b"{",
    b"[]",
    b"nul",
    b'{"jsonrpc":"2.0"}',
    b'{"jsonrpc":"2.0","id":7}',
    b'{"jsonrpc":"2.0","id":7,"result":{}}',
    b'{"jsonrpc":"2.0","method":"tools/call","params":{"name":"write_note","arguments":{}}}',
    b'{"jsonrpc":"2.0","id":1,"method":"notifications/cancelled","params":{"requestId":1}}',
    b"[" * 50_000,
    b'{"a":' * 50_000,
    json.dumps([CALL, CALL]).encode(),
]


def mutant(chance):
    """A call that somebody has been at: as a structure, or as bytes."""
    message = json.loads(json.dumps(CALL))
    message["id"] = chance.choice([chance.randrange(30), f"r{chance.randrange(30)}"])
    for _ in range(chance.randrange(3)):
        at = chance.choice([message, message.get("params"), CALL["params"]])
        if isinstance(at, dict) and at is not CALL["params"] and at:
            name = chance.choice([*at, "id", "Name", "params", "task", "requestState", "n\u0430me"])
            at[name] = chance.choice(ODD)
    raw = bytearray(json.dumps(message).encode())
    for _ in range(chance.choice([0, 0, 1, 2, 5])):
        place = chance.randrange(len(raw))
        chance.choice(
            [
                lambda at: raw.__setitem__(at, chance.randrange(256)),
                lambda at: raw.insert(at, chance.choice(b'{}[]",:\\0 \t\x00')),
                lambda at: raw.__delitem__(slice(at, at + chance.randrange(1, 9))),
                lambda at: raw.extend(raw[at : at + 20]),
            ]
        )(place)
    return bytes(raw.replace(b"\n", b" "))


async def test_p1_nothing_that_a_client_says_gets_a_call_through(proxied):
    chance = random.Random(2026)  # noqa: S311
    lines = LINES + [mutant(chance) for _ in range(400)]
    async with proxied.wire() as wire:
        await wire.shake_hands()
        said = [asyncio.ensure_future(wire.say(line)) for line in lines]
        with anyio.fail_after(60):
            assert "result" in await wire.ask("last", "ping")
            assert "read_note" in str(await wire.ask("read", "tools/call", name="read_note", arguments={"name": "a"}))
        for one in said:
            one.cancel()
        for ended in await asyncio.gather(*said, return_exceptions=True):
            assert not isinstance(ended, Exception), ended
    assert [name for name, _ in proxied.did if name != "read_note"] == []


async def test_over_http_nothing_breaks_the_proxy(proxied):
    chance = random.Random(7)  # noqa: S311
    headers = {"Authorization": f"Bearer {proxied.served.scenario.keys['agent']}", "Content-Type": "application/json"}
    accepts = {"Accept": "application/json, text/event-stream"}
    async with proxied.front() as url, httpx2.AsyncClient(headers=headers, trust_env=False, timeout=20) as http:
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "f", "version": "0"}}
        first = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
        began = await http.post(url, json=first, headers=accepts)
        session = {"Mcp-Session-Id": began.headers["mcp-session-id"]}
        for line in [*LINES, *(mutant(chance) for _ in range(150))]:
            with contextlib.suppress(httpx2.TimeoutException):  # a call that was left whole waits for a person
                more = chance.choice([{}, session, session | {"MCP-Protocol-Version": "2026-07-28"}])
                answer = await http.post(url, content=line, headers=accepts | more, timeout=0.2)
                assert answer.status_code < 500, (line, answer.text)
        ping = {"jsonrpc": "2.0", "id": "p", "method": "ping"}
        assert (await http.post(url, json=ping, headers=accepts | session)).json()["result"] == {}
    assert proxied.did == []


def odd(proxied, *more):
    return [sys.executable, "-S", str(SUPPORT / "odd_upstream.py"), str(proxied.log), *more]


async def test_p7_an_upstream_that_talks_nonsense_beside_its_answers_is_understood(proxied):
    async with proxied.wire(*odd(proxied)) as wire:
        with anyio.fail_after(60):
            await wire.shake_hands()
            assert "write_note" in str(await wire.ask(2, "tools/list"))
            waiting = asyncio.ensure_future(wire.ask(3, "tools/call", name="write_note", arguments={}))
            await proxied.served.decide("approve", comment="ok")
            assert (await waiting)["result"]["content"][0]["text"] == "did"
    assert proxied.did == [["write_note", {}]]
    ids = [json.loads(heard).get("id") for heard in wire.heard]
    assert "nobody" not in ids
    assert ids.count(3) == 1


@pytest.mark.slow
async def test_p5_ten_thousand_tools_are_gated_and_more_are_refused(proxied):
    async with proxied.wire(*odd(proxied, "10000")) as wire:
        with anyio.fail_after(120):
            await wire.shake_hands()
            assert len((await wire.ask(2, "tools/list"))["result"]["tools"]) == 10_001  # and get_approval
            read = await wire.ask(3, "tools/call", name="read_9998", arguments={})
            assert read["result"]["content"][0]["text"] == "did"
    async with proxied.wire(*odd(proxied, "10001")) as wire:
        with anyio.fail_after(120):
            await wire.shake_hands()
            assert "more than 10,000 tools" in str(await wire.ask(3, "tools/call", name="read_1", arguments={}))
    assert proxied.did == [["read_9998", {}]]


@pytest.mark.slow
async def test_p7_a_message_that_is_too_long_ends_the_upstream_and_says_so(proxied):
    flood = "import sys; sys.stdin.readline(); sys.stdout.write('x' * 34_000_000); sys.stdout.flush(); sys.stdin.read()"
    async with proxied.wire(sys.executable, "-S", "-c", flood) as wire:
        with anyio.fail_after(60):
            assert "more than 33,554,432 bytes" in str(await wire.shake_hands())
