"""kill -9 with ten thousand pending, until the service answers again and all of them are there."""

import asyncio
import json
import os
import signal
import time
from typing import Any

from connection import Connection
from figures import Figures
from process import replica, subject
from reviewer import file, gate

PENDING = 10_000
TIMES = 5
FILERS = 32


async def measure(database: str, kind: str) -> Figures:
    """Seconds from starting it again to the first answer about a request that was acknowledged last."""
    seconds = Figures(f"kill -9 with {PENDING:,} pending, until it serves, {kind}", 2, unit="s")
    with subject(database) as service:
        last = await _fill(service)
        os.kill(service["pid"], signal.SIGKILL)
    for _ in range(TIMES):
        began = time.perf_counter()
        with replica(database, service) as started:
            again = await gate(started)
            status, body = await again.ask("GET", f"/api/v1/requests/{last}")
            seconds.pair(time.perf_counter() - began, 1)
            assert (status, json.loads(body)["state"]) == (200, "pending")
            assert await _pending(started) == PENDING
            again.close()
    return seconds


async def _fill(service: dict[str, Any]) -> str:
    acknowledged: list[str] = []

    async def filer(number: int) -> None:
        connection = await gate(service)
        for order in range(number, PENDING, FILERS):
            acknowledged.append(await file(connection, service, 6_000_000 + order))
        connection.close()

    await asyncio.gather(*(filer(number) for number in range(FILERS)))
    return acknowledged[-1]


async def _pending(service: dict[str, Any]) -> int:
    """Counted through the API, page by page."""
    connection = await Connection.open(service["url"], Authorization=f"Bearer {service['reader']}")
    number, cursor = 0, ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        status, body = await connection.ask("GET", f"/api/v1/requests?state=pending&limit=100{more}")
        assert status == 200, body
        page = json.loads(body)
        number, cursor = number + len(page["requests"]), page["cursor"]
    connection.close()
    return number
