"""Calls that wait: what they cost the service and the gate, and what they do to a decision."""

import asyncio
import json
import time
from typing import Any

from connection import Connection
from figures import Figures
from mcp import Client
from process import cpu_seconds, resident_kb, settled
from reviewer import Reviewer, file, gate

from clients import http

CROWD = 10_000
FILERS = 32
DECIDED = 60
IDLE_SECONDS = 5
THROUGH_ONE_GATE = 2_000


async def on_a_stream(crowd: dict[str, Any], alone: dict[str, Any], number: int = CROWD) -> list[Figures]:
    """So many requests that one gate's stream waits for, in one service; another service has none."""
    memory = Figures(f"{number:,} waiting on a gate's stream: service, KB each", 12, unit=" KB")
    idle = Figures(f"{number:,} waiting on a gate's stream: service's idle CPU, %", 2, unit=" %")
    among = Figures(f"a decision among {number:,} waiting, against alone", 1.3)
    await settled(crowd["pid"])
    before = resident_kb(crowd["pid"])
    watchers = [await Watcher.open(service) for service in (crowd, alone)]
    ids = await _fill(crowd, number)
    await settled(crowd["pid"])
    memory.pair((resident_kb(crowd["pid"]) - before) / number)
    spent = cpu_seconds(crowd["pid"])
    await asyncio.sleep(IDLE_SECONDS)
    idle.pair((cpu_seconds(crowd["pid"]) - spent) / IDLE_SECONDS * 100)
    for one in range(DECIDED):
        among.pair(
            await watchers[0].decide(ids[one]),
            await watchers[1].decide(await file(watchers[1].filer, alone, 9_000_000 + one)),
        )
    for watcher in watchers:
        watcher.close()
    return [memory, idle, among]


async def through_one_gate(service: dict[str, Any], number: int = THROUGH_ONE_GATE) -> list[Figures]:
    """So many calls over streamable HTTP that one gate holds, then all of them approved."""
    idle = Figures(f"{number:,} calls through one HTTP gate: the gate's idle CPU, %", 5, unit=" %")
    memory = Figures(f"{number:,} calls through one HTTP gate: the gate, KB each", 80, unit=" KB")
    answered = Figures(f"{number:,} calls through one HTTP gate, all approved: until each is answered", 15, unit=" s")
    async with http("gated", service, clients=20) as (clients, pid):
        await asyncio.gather(*(client.call_tool("look", {"order_id": 1}) for client in clients))
        await settled(pid)
        before = resident_kb(pid)
        calls = [
            asyncio.create_task(_touch(clients[order % len(clients)], 7_000_000 + order)) for order in range(number)
        ]
        ids = await _all_pending(service, number)
        await settled(pid)
        memory.pair((resident_kb(pid) - before) / number)
        spent = cpu_seconds(pid)
        await asyncio.sleep(IDLE_SECONDS)
        idle.pair((cpu_seconds(pid) - spent) / IDLE_SECONDS * 100)
        forms = await _forms(service, ids)
        began = time.perf_counter()
        await _approve(service, forms)
        good = await asyncio.gather(*calls)
        answered.pair(time.perf_counter() - began)
    assert all(good), f"{good.count(False)} of {number} approved calls did not run"
    return [idle, memory, answered]


class Watcher:
    """A gate's stream, a filer and a reviewer of one service."""

    def __init__(self, filer: Connection, stream: Connection, reviewer: Reviewer) -> None:
        self.filer, self._stream, self._reviewer = filer, stream, reviewer

    @classmethod
    async def open(cls, service: dict[str, Any]) -> "Watcher":
        filer, stream, reviewer = await gate(service), await gate(service), await Reviewer.open(service)
        stream.send("POST", "/api/v1/requests/events", json.dumps({"session": service["session"]}).encode())
        await stream.head()
        return cls(filer, stream, reviewer)

    async def decide(self, request_id: str) -> float:
        """Seconds until the stream says approved."""
        form = await self._reviewer.form(request_id)
        await asyncio.sleep(0.005)
        began = time.perf_counter()
        self._reviewer.approve(request_id, form)
        while not (request_id.encode() in (news := await self._stream.event()) and b'"approved"' in news):
            pass
        took = time.perf_counter() - began
        await self._reviewer.done()
        return took

    def close(self) -> None:
        self.filer.close()
        self._stream.close()


async def _touch(client: Client, order: int) -> bool:
    return not (await client.call_tool("touch", {"order": order})).is_error


async def _fill(service: dict[str, Any], number: int) -> list[str]:
    async def filer(first: int) -> list[str]:
        connection = await gate(service)
        ids = [await file(connection, service, 8_000_000 + order) for order in range(first, number, FILERS)]
        connection.close()
        return ids

    return [one for ids in await asyncio.gather(*(filer(first) for first in range(FILERS))) for one in ids]


async def _all_pending(service: dict[str, Any], number: int) -> list[str]:
    connection = await Connection.open(service["url"], Authorization=f"Bearer {service['reader']}")
    ids: list[str] = []
    while len(ids) < number:
        await asyncio.sleep(0.5)
        ids, cursor = [], ""
        while cursor is not None:
            more = f"&cursor={cursor}" if cursor else ""
            path = f"/api/v1/requests?state=pending&server=bench&limit=100{more}"
            status, body = await connection.ask("GET", path)
            assert status == 200, body
            page = json.loads(body)
            ids, cursor = [*ids, *(one["id"] for one in page["requests"])], page["cursor"]
    connection.close()
    return ids


async def _forms(service: dict[str, Any], ids: list[str]) -> dict[str, bytes]:
    reviewer = await Reviewer.open(service)
    return {request_id: await reviewer.form(request_id) for request_id in ids}


async def _approve(service: dict[str, Any], forms: dict[str, bytes]) -> None:
    async def some(ids: list[str]) -> None:
        reviewer = await Reviewer.open(service)
        for request_id in ids:
            reviewer.approve(request_id, forms[request_id])
            await reviewer.done()

    await asyncio.gather(*(some(list(forms)[first::8]) for first in range(8)))
