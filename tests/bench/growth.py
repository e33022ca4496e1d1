"""Pages with a history of a million requests, against the same pages with ten thousand."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import psycopg
from connection import Connection
from figures import Figures
from process import replica, subject
from reviewer import file, gate

FEW, MANY = 10_000, 1_000_000
EACH = 60
PENDING = 60
PAGES = {
    "queue": "/",
    "history": "/history",
    "search, a rare word": "/history?q=seldom",
    "search, a common word": "/history?q=refund+order",
    "search, nothing fits": "/history?q=refund+order&state=denied",
    "figures": "/figures",
    "audit": "/audit",
}
COLUMNS = {
    "request": {
        "id": "{id}",
        "attach_key": "NULL",
        "call_key": "'call ' || {n}",
        "digest": "'digest ' || {n}",
        "state": "'succeeded'",
        "headline": "'Refund order ' || {n}",
        "created_at": "{n}",
        "changed_at": "{n}",
        "ended_at": "{n}",
    },
    "request_words": {
        "number": "{n} - 2000000",
        "request_id": "{id}",
        "words": "'refund order ' || {n} || CASE WHEN {n} < 10000 AND {n} % 100 = 0 THEN ' seldom' ELSE '' END",
    },
    "audit_event": {"at": "{n}", "kind": "'request.succeeded'", "subject": "{id}", "payload_hash": "'past ' || {n}"},
}
ID = {
    "sqlite": "printf('00000000-0000-7000-8000-%012d', n)",
    "postgresql": "'00000000-0000-7000-8000-' || lpad(n::text, 12, '0')",
}
SERIES = {
    "sqlite": "WITH RECURSIVE s(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM s WHERE n < {last})",
    "postgresql": "WITH s(n) AS (SELECT generate_series({first}, {last}))",
}


async def measure(database: str, kind: str) -> list[Figures]:
    """Each page at MANY against the same page at FEW, both first and again."""
    rows = [Figures(f"{name} page at {MANY:,} requests, {kind}", 1.3) for name in PAGES]
    with subject(database) as service:
        filer = await gate(service)
        for order in range(PENDING):
            await file(filer, service, 5_000_000 + order)
        filer.close()
        _age(database, 1, FEW)
        few = {name: await _times(service, path) for name, path in PAGES.items()}
    _age(database, FEW + 1, MANY)
    with replica(database, service) as service:
        for row, (name, path) in zip(rows, PAGES.items(), strict=True):
            for many, before in zip(await _times(service, path), few[name], strict=True):
                row.pair(many, before)
    return rows


async def _times(service: dict[str, Any], path: str) -> list[float]:
    browser = await Connection.open(service["url"], Cookie=f"approvals={service['cookie']}")
    times = []
    for _ in range(EACH):
        began = time.perf_counter()
        status, page = await browser.ask("GET", path)
        times.append(time.perf_counter() - began)
        assert status == 200, page[:200]
    browser.close()
    return times[10:]


def _age(database: str, first: int, last: int) -> None:
    """Copies of one request and its audit event, all of them in the past."""
    kind = database.partition(":")[0]
    with _opened(database) as connection:
        for table, set_columns in COLUMNS.items():
            for low in range(first, last + 1, 100_000):
                series = SERIES[kind].format(first=low, last=min(last, low + 99_999))
                columns = [name for name in _columns(connection, table, kind) if (table, name) != ("audit_event", "id")]
                values = [set_columns.get(name, f"one.{name}").format(id=ID[kind], n="n") for name in columns]
                one = (
                    ""
                    if len(set_columns) == len(columns)
                    else f", (SELECT * FROM {table} ORDER BY id DESC LIMIT 1) AS one"
                )
                select = f"SELECT {', '.join(values)} FROM s{one}"
                connection.execute(f"{series} INSERT INTO {table} ({', '.join(columns)}) {select}")
        connection.execute("ANALYZE")


def _columns(connection: Any, table: str, kind: str) -> list[str]:
    if kind == "sqlite":
        return [name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))]
    asked = "SELECT column_name FROM information_schema.columns WHERE table_name = %s"
    return [name for (name,) in connection.execute(asked, (table,))]


@contextlib.contextmanager
def _opened(database: str) -> Iterator[Any]:
    if database.startswith("sqlite:///"):
        connection: Any = sqlite3.connect(database.removeprefix("sqlite:///"), isolation_level=None, timeout=60)
        connection.execute("PRAGMA synchronous = OFF")
    else:
        connection = psycopg.connect(database, autocommit=True)
    try:
        yield connection
    finally:
        connection.close()
