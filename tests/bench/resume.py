"""From a reviewer's click until the waiting gate hears of it, and until the tool starts."""

import asyncio
import json
import time
from typing import Any

from connection import Connection
from figures import Figures
from mcp import Client
from reviewer import Reviewer, file, gate, gate_of

from approvals import GatedServer

EACH = 40
PAUSE = 0.005
"""Decisions come one at a time, to a process that was idle."""


async def measure(
    floor_url: str, subject: dict[str, Any], rounds: int, kind: str, budget: float, gates: dict[str, Any] | None = None
) -> list[Figures]:
    """Interleaved rounds of floor, event and tool. `gates` is the replica that gates reach, if it is another."""
    event = Figures(f"decision to event at the gate, {kind}", budget, budget_p99=4)
    tool = Figures(f"decision to tool start, {kind}", budget, budget_p99=4)
    gates = gates or subject
    for number in range(rounds):
        floor = await _floor(floor_url)
        heard = await _events(subject, gates, 1_000_000 + number * 1000)
        started = await _tools(subject, gates, 2_000_000 + number * 1000)
        for i in range(EACH):
            event.pair(heard[i], floor[i])
            tool.pair(started[i], floor[i])
    return [event, tool]


async def _floor(url: str) -> list[float]:
    waiter, decider = await Connection.open(url), await Connection.open(url)
    times = []
    for number in range(EACH):
        waiter.send("GET", f"/wait/{number}")
        await asyncio.sleep(PAUSE)
        began = time.perf_counter()
        decider.send("POST", f"/decide/{number}")
        await waiter.receive()
        times.append(time.perf_counter() - began)
        await decider.receive()
    waiter.close()
    decider.close()
    return times


async def _events(subject: dict[str, Any], gates: dict[str, Any], start: int) -> list[float]:
    filer, stream, reviewer = await gate(gates), await gate(gates), await Reviewer.open(subject)
    stream.send("POST", "/api/v1/requests/events", json.dumps({"session": subject["session"]}).encode())
    await stream.head()
    times = []
    for number in range(EACH):
        request_id = await file(filer, subject, start + number)
        form = await reviewer.form(request_id)
        await asyncio.sleep(PAUSE)
        began = time.perf_counter()
        reviewer.approve(request_id, form)
        while not (request_id.encode() in (news := await stream.event()) and b'"approved"' in news):
            pass
        times.append(time.perf_counter() - began)
        await reviewer.done()
    for connection in (filer, stream):
        connection.close()
    return times


async def _tools(subject: dict[str, Any], gates: dict[str, Any], start: int) -> list[float]:
    """The same through the real gate, until the first line of the tool."""
    started: asyncio.Queue[float] = asyncio.Queue()
    mcp = GatedServer("bench", gate=gate_of(gates), log_level="WARNING")

    @mcp.tool()
    async def touch(order: int) -> str:
        started.put_nowait(time.perf_counter())
        return "done"

    reviewer, times = await Reviewer.open(subject), []
    poll = await Connection.open(subject["url"], Cookie=f"approvals={subject['cookie']}")
    async with Client(mcp) as agent:
        for number in range(EACH):
            call = asyncio.create_task(agent.call_tool("touch", {"order": start + number}))
            request_id = await _newest(poll, start + number)
            form = await reviewer.form(request_id)
            await asyncio.sleep(PAUSE)
            began = time.perf_counter()
            reviewer.approve(request_id, form)
            times.append(await started.get() - began)
            await reviewer.done()
            await call
    poll.close()
    return times


async def _newest(queue: Connection, order: int) -> str:
    """The id of the request for this order, once the queue shows it."""
    mark = f"touch(order={order})".encode()
    while True:
        _, page = await queue.ask("GET", "/")
        before, found, _ = page.partition(mark)
        if found:
            return before.rpartition(b'href="/requests/')[2][:36].decode()
