"""From a reviewer's click until the waiting gate hears of it, the tool starts, and the agent has its answer.

Decision by decision in turn with the same act of the reference service, and with the durable floor as information.
"""

import asyncio
import itertools
import json
import re
import time
from typing import Any

from connection import Connection
from figures import Figures
from mcp import Client
from process import cpu_seconds
from reference import KEY
from reviewer import Reviewer, file, gate

from clients import stdio

EACH = 120
PAUSE = 0.01
"""Decisions come one at a time, to a process that was idle; what follows one belongs to it."""
ORDERS = itertools.count(1_000_000)
"""Each call is one of its own, also on a database that has seen others."""
BUDGETS = {"SQLite": 2.0, "PostgreSQL": 2.5, "PostgreSQL, two replicas": 3.5}


async def measure(
    plain: dict[str, Any],
    floor_url: str,
    subject: dict[str, Any],
    kind: str,
    gates: dict[str, Any] | None = None,
    each: int = EACH,
) -> list[Figures]:
    """`gates` is the replica that gates reach, if it is another."""
    event = Figures(f"decision to event at the gate, {kind}", BUDGETS[kind], budget_p99=4, budget_cpu=2)
    tool = Figures(f"decision to tool start, {kind}", 4.5)
    answer = Figures(f"decision to the agent's answer, {kind}", 7)
    floor = Figures(f"durable floor against the reference (information), {kind}", 1)
    reference, raw = await Reference.open(plain), await Floor.open(floor_url)
    async with stdio("gated", gates or subject) as (agent, gate_pid):
        product = await Product.open(subject, gates or subject, agent, gate_pid)
        for number in range(each + 5):
            base, base_cpu = await reference.decide(number)
            heard, heard_cpu = await product.event(next(ORDERS))
            started, answered, whole_cpu = await product.tool(next(ORDERS))
            durable = await raw.decide(number)
            if number < 5:
                continue  # everything is loaded and compiled by now
            event.pair(heard, base)
            event.pair_cpu(heard_cpu, base_cpu)
            tool.pair(started, base)
            answer.pair(answered, base)
            answer.pair_cpu(whole_cpu, base_cpu)
            floor.pair(durable, base)
        product.close()
    return [event, tool, answer, floor]


class Reference:
    """A reviewer and a listener of the reference service."""

    def __init__(self, pid: int, decider: Connection, stream: Connection) -> None:
        self._pid, self._decider, self._stream = pid, decider, stream

    @classmethod
    async def open(cls, plain: dict[str, Any]) -> "Reference":
        headers = {"Authorization": f"Bearer {KEY}", "Content_Type": "application/json"}
        decider, stream = await Connection.open(plain["url"], **headers), await Connection.open(plain["url"], **headers)
        stream.send("GET", "/events")
        await stream.head()
        return cls(plain["pid"], decider, stream)

    async def decide(self, number: int) -> tuple[float, float]:
        """Seconds until the event is there, and of processor time."""
        name = f"decision-{number}-{time.perf_counter_ns()}"
        body = json.dumps({"id": name, "verdict": "approve"}).encode()
        await asyncio.sleep(PAUSE)
        spent, began = cpu_seconds(self._pid), time.perf_counter()
        self._decider.send("POST", f"/decisions/{name}", body)
        while name.encode() not in await self._stream.event():
            pass
        took = time.perf_counter() - began
        await self._decider.receive()
        await asyncio.sleep(PAUSE)
        return took, cpu_seconds(self._pid) - spent


class Floor:
    """A row that is really written, one round trip, and nothing else."""

    def __init__(self, waiter: Connection, decider: Connection) -> None:
        self._waiter, self._decider = waiter, decider

    @classmethod
    async def open(cls, url: str) -> "Floor":
        return cls(await Connection.open(url), await Connection.open(url))

    async def decide(self, number: int) -> float:
        self._waiter.send("GET", f"/wait/{number}")
        await asyncio.sleep(PAUSE)
        began = time.perf_counter()
        self._decider.send("POST", f"/decide/{number}")
        await self._waiter.receive()
        took = time.perf_counter() - began
        await self._decider.receive()
        return took


class Product:
    """A reviewer's browser, a gate's raw stream, and an agent behind a real gate over stdio."""

    def __init__(self, subject: dict[str, Any], agent: Client, gate_pid: int) -> None:
        self._subject, self._agent, self._gate_pid = subject, agent, gate_pid

    @classmethod
    async def open(cls, subject: dict[str, Any], gates: dict[str, Any], agent: Client, gate_pid: int) -> "Product":
        self = cls(subject, agent, gate_pid)
        self._reviewer = await Reviewer.open(subject)
        self._filer, self._stream = await gate(gates), await gate(gates)
        self._queue = await Connection.open(subject["url"], Cookie=f"approvals={subject['cookie']}")
        self._pids = {subject["pid"], gates["pid"]}
        self._stream.send("POST", "/api/v1/requests/events", json.dumps({"session": subject["session"]}).encode())
        await self._stream.head()
        return self

    async def event(self, order: int) -> tuple[float, float]:
        """Seconds until the gate's stream says approved, and of the service's processor time."""
        request_id = await file(self._filer, self._subject, order)
        form = await self._reviewer.form(request_id)
        await asyncio.sleep(PAUSE)
        spent, began = self._cpu(), time.perf_counter()
        self._reviewer.approve(request_id, form)
        while not (request_id.encode() in (news := await self._stream.event()) and b'"approved"' in news):
            pass
        took = time.perf_counter() - began
        await self._reviewer.done()
        await asyncio.sleep(PAUSE)
        return took, self._cpu() - spent

    async def tool(self, order: int) -> tuple[float, float, float]:
        """Seconds until the tool's first line and until the agent's result; processor time of service and gate."""
        call = asyncio.create_task(self._agent.call_tool("touch", {"order": order}))
        request_id = await _newest(self._queue, order, call)
        form = await self._reviewer.form(request_id)
        await asyncio.sleep(PAUSE)
        spent, began = self._cpu(self._gate_pid), time.perf_counter()
        self._reviewer.approve(request_id, form)
        result = await call
        answered = time.perf_counter() - began
        await self._reviewer.done()
        await asyncio.sleep(PAUSE)
        started = float(result.content[0].text)  # type: ignore[union-attr]
        return started - began, answered, self._cpu(self._gate_pid) - spent

    def close(self) -> None:
        for connection in (self._filer, self._stream, self._queue):
            connection.close()

    def _cpu(self, *more: int) -> float:
        return sum(cpu_seconds(pid) for pid in (*self._pids, *more))


async def _newest(queue: Connection, order: int, call: "asyncio.Task[Any]") -> str:
    """The id of the request for this order, once the queue shows it."""
    row = re.compile(rf'data-id="([\w-]+)"(?:(?!</li>).)*?touch\(order={order}\)'.encode(), re.DOTALL)
    while not call.done():
        _, page = await queue.ask("GET", "/")
        if found := row.search(page):
            return found[1].decode()
    raise RuntimeError(f"the call ended without being asked about: {call.result()}")
