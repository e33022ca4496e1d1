"""kill -9 with ten thousand pending, until the service answers again and all of them are there."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

from connection import Connection
from figures import Figures
from process import HERE, subject
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
        command = [sys.executable, str(HERE / "subject.py"), database, "replica"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            again = await gate(service | {"url": url})
            status, body = await again.ask("GET", f"/api/v1/requests/{last}")
            seconds.pair(time.perf_counter() - began, 1)
            assert (status, json.loads(body)["state"]) == (200, "pending")
            assert await _pending(url, service) == PENDING
            again.close()
            process.kill()
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


async def _pending(url: str, service: dict[str, Any]) -> int:
    """Counted through the API, page by page."""
    connection = await Connection.open(url, Authorization=f"Bearer {service['reader']}")
    number, cursor = 0, ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        status, body = await connection.ask("GET", f"/api/v1/requests?state=pending&limit=100{more}")
        assert status == 200, body
        page = json.loads(body)
        number, cursor = number + len(page["requests"]), page["cursor"]
    connection.close()
    return number
