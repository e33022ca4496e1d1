"""kill -9 with ten thousand pending, until the service answers again and all of them are there.

What a process takes that only imports FastAPI and SQLAlchemy is taken off.
"""

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
from process import replica, subject
from reviewer import file, gate

PENDING = 10_000
TIMES = 5
FILERS = 32


async def measure(database: str, kind: str, pending: int = PENDING) -> Figures:
    """Seconds beyond those imports, from starting it again to the first answer about the request acknowledged last."""
    seconds = Figures(f"kill -9 with {pending:,} pending, until it serves, beyond bare imports, {kind}", 1, unit=" s")
    with subject(database) as service:
        last = await _fill(service, pending)
        os.kill(service["pid"], signal.SIGKILL)
    for _ in range(TIMES):
        imports = _imports()
        began = time.perf_counter()
        with replica(database, service) as started:
            again = await gate(started)
            status, body = await again.ask("GET", f"/api/v1/requests/{last}")
            seconds.pair(time.perf_counter() - began - imports)
            assert (status, json.loads(body)["state"]) == (200, "pending")
            assert await _pending(started) == pending
            again.close()
    return seconds


def _imports() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import fastapi, sqlalchemy.ext.asyncio, uvicorn"], check=True)
    return time.perf_counter() - began


async def _fill(service: dict[str, Any], pending: int) -> str:
    acknowledged: list[str] = []

    async def filer(number: int) -> None:
        connection = await gate(service)
        for order in range(number, pending, FILERS):
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
