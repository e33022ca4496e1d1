"""Filing by 64 clients at once: processor time of each, and the slowest hundredth, against the reference's."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from connection import Connection
from figures import Figures, p99
from process import cpu_seconds
from reference import KEY

CLIENTS = 64
EACH = 20
ROUNDS = 6
BUDGETS = {"SQLite": 2.5, "PostgreSQL": 3.0}
Call = Callable[[int], tuple[str, bytes]]


async def measure(plain: dict[str, Any], subject: dict[str, Any], kind: str, rounds: int = ROUNDS) -> list[Figures]:
    """Short rounds of both in turn."""
    cpu = Figures(f"filing, 64 clients: processor time each, {kind}", BUDGETS[kind])
    slowest = Figures(f"filing, 64 clients: p99, {kind}", 3)
    rate = Figures(f"filing, 64 clients: requests/s (information), {kind}", 0, higher=True, unit="/s")
    for number in range(rounds + 1):
        start = 3_000_000 + number * 10_000
        base = await _round(plain, _plain_call, start, Authorization=f"Bearer {KEY}", Content_Type="application/json")
        ours = await _round(subject, lambda order: _subject_call(subject, order), start, **_headers(subject))
        if number == 0:
            continue
        cpu.pair(ours[1], base[1])
        slowest.pair(p99(ours[0]), p99(base[0]))
        rate.pair(CLIENTS * EACH / ours[2])
    return [cpu, slowest, rate]


async def _round(service: dict[str, Any], call: Call, start: int, **headers: str) -> tuple[list[float], float, float]:
    """Times of all, processor time of each, and seconds of the whole."""
    connections = [await Connection.open(service["url"], **headers) for _ in range(CLIENTS)]
    times: list[float] = []

    async def client(i: int, connection: Connection) -> None:
        for n in range(EACH):
            path, body = call(start + i * EACH + n)
            started = time.perf_counter()
            status, answer = await connection.ask("POST", path, body)
            times.append(time.perf_counter() - started)
            assert status in {200, 201}, (status, answer)

    spent, started = cpu_seconds(service["pid"]), time.perf_counter()
    await asyncio.gather(*(client(i, connection) for i, connection in enumerate(connections)))
    took = time.perf_counter() - started
    each = (cpu_seconds(service["pid"]) - spent) / (CLIENTS * EACH)
    for connection in connections:
        connection.close()
    return times, each, took


def _headers(subject: dict[str, Any]) -> dict[str, str]:
    bearer = f"Bearer {subject['key']}"
    return {"Authorization": bearer, "Approvals_Wire": "1", "Content_Type": "application/json"}


def _plain_call(order: int) -> tuple[str, bytes]:
    body = {"id": f"request-{order}-{time.perf_counter_ns()}", "arguments": {"order_id": order}}
    return "/requests", json.dumps(body).encode()


def _subject_call(subject: dict[str, Any], order: int) -> tuple[str, bytes]:
    return "/api/v1/requests", filing(subject, order)


def filing(subject: dict[str, Any], order: int) -> bytes:
    """The body of a filing of its own."""
    body = {
        "session": subject["session"],
        "call_id": f"call-{order:08}",
        "tool": "refund_order",
        "tool_hash": subject["tool_hash"],
        "arguments": {"order_id": order},
    }
    return json.dumps(body).encode()
