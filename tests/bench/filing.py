"""Filing at 64 concurrent clients: requests per second and p99, against the floor's durable inserts."""

import asyncio
import json
import time
from typing import Any

from connection import Connection
from figures import Figures, p99

CLIENTS = 64
EACH = 30


async def measure(floor_url: str, subject: dict[str, Any], rounds: int, kind: str) -> list[Figures]:
    """Interleaved rounds of floor and subject: throughput ratio (higher is better) and p99 ratio."""
    throughput, slowest = (
        Figures(f"filing, 64 clients: requests/s, {kind}", 0.5, higher=True),
        Figures(f"filing, 64 clients: p99, {kind}", 3),
    )
    for number in range(rounds):
        rate, times = await _round(floor_url, lambda i, n: _floor_call())
        subject_rate, subject_times = await _round(
            subject["url"], lambda i, n, r=number: _subject_call(subject, r * 10_000 + i * 100 + n), **_headers(subject)
        )
        throughput.pair(subject_rate, rate)
        slowest.pair(p99(subject_times), p99(times))
    return [throughput, slowest]


async def _round(url: str, call: Any, **headers: str) -> tuple[float, list[float]]:
    connections = [await Connection.open(url, **headers) for _ in range(CLIENTS)]
    times: list[float] = []

    async def client(i: int, connection: Connection) -> None:
        for n in range(EACH):
            path, body = call(i, n)
            started = time.perf_counter()
            status, answer = await connection.ask("POST", path, body)
            times.append(time.perf_counter() - started)
            assert status in {200, 201}, (status, answer)

    started = time.perf_counter()
    await asyncio.gather(*(client(i, connection) for i, connection in enumerate(connections)))
    rate = CLIENTS * EACH / (time.perf_counter() - started)
    for connection in connections:
        connection.close()
    return rate, times


def _headers(subject: dict[str, Any]) -> dict[str, str]:
    bearer = f"Bearer {subject['key']}"
    return {"Authorization": bearer, "Approvals_Wire": "1", "Content_Type": "application/json"}


def _floor_call() -> tuple[str, bytes]:
    return "/file", b"x" * 300


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
