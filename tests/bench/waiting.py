"""A thousand long-polls in one service process: time to answer, memory each, and CPU while nothing happens."""

import asyncio
import time
from typing import Any

from figures import Figures
from process import cpu_seconds, resident_kb
from reviewer import Reviewer, file, gate

DECIDED = 100
IDLE_SECONDS = 3


async def measure(subject: dict[str, Any], crowd: int, budget: float, start: int) -> list[Figures]:
    """One caller against a crowd; the floor of the first row is the single caller."""
    latency = Figures(f"{crowd:,} long-polls: p50 against one caller", budget, budget_p99=None)
    memory = Figures(f"{crowd:,} long-polls: KB each", 30, budget_p99=None, unit="KB")
    idle = Figures(f"{crowd:,} long-polls: idle CPU %", 2, budget_p99=None, unit="%")
    alone = await _alone(subject, start)
    filer, reviewer = await gate(subject), await Reviewer.open(subject)
    ids = [await file(filer, subject, start + 1000 + number) for number in range(crowd)]
    forms = {request_id: await reviewer.form(request_id) for request_id in ids[:DECIDED]}
    before = resident_kb(subject["pid"])
    polls = [await gate(subject) for _ in ids]
    for poll, request_id in zip(polls, ids, strict=True):
        poll.send("GET", f"/api/v1/requests/{request_id}?wait=30")
    await asyncio.sleep(2)
    memory.pair((resident_kb(subject["pid"]) - before) / crowd, 1)
    spent = cpu_seconds(subject["pid"])
    await asyncio.sleep(IDLE_SECONDS)
    idle.pair((cpu_seconds(subject["pid"]) - spent) / IDLE_SECONDS * 100, 1)
    reviewer = await Reviewer.open(subject)  # the service hangs up on an idle connection
    for i, request_id in enumerate(ids[:DECIDED]):
        began = time.perf_counter()
        reviewer.approve(request_id, forms[request_id])
        await polls[i].receive()
        latency.pair(time.perf_counter() - began, alone[i])
        await reviewer.done()
    for connection in (*polls, filer):
        connection.close()
    return [latency, memory, idle]


async def _alone(subject: dict[str, Any], start: int) -> list[float]:
    filer, poll, reviewer = await gate(subject), await gate(subject), await Reviewer.open(subject)
    times = []
    for number in range(DECIDED):
        request_id = await file(filer, subject, start + number)
        form = await reviewer.form(request_id)
        poll.send("GET", f"/api/v1/requests/{request_id}?wait=30")
        await asyncio.sleep(0.005)
        began = time.perf_counter()
        reviewer.approve(request_id, form)
        await poll.receive()
        times.append(time.perf_counter() - began)
        await reviewer.done()
    filer.close()
    poll.close()
    return times
