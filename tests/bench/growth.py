"""Pages with a history of a million requests, against the same with ten thousand; how long they hold the loop up."""

import asyncio
import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from connection import Connection
from figures import Figures
from process import replica, subject
from reviewer import file, gate

FEW, MANY = 10_000, 1_000_000
EACH, WARM = 50, 10
PENDING = 60
REVIEWERS = 20
SECONDS = 6
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
        "summary": "'Refund order ' || {n}",
        "created_at": "{n}",
        "changed_at": "{n}",
        "ended_at": "{n}",
        "erased_at": "{n}",
    },
    "permission": {
        "id": "{id}",
        "request_id": "{id}",
        "source": "'quorum'",
        "content_version": "1",
        "digest": "'digest ' || {n}",
        "created_at": "{n}",
    },
    "execution": {
        "id": "{id}",
        "permission_id": "{id}",
        "request_id": "{id}",
        "claim_id": "'claim ' || {n}",
        "session_id": "(SELECT id FROM gate_session LIMIT 1)",
        "claimed_at": "{n}",
        "lease_until": "{n}",
        "finished_at": "{n}",
        "outcome": "'succeeded'",
    },
    "request_words": {
        "number": "{n} - 2000000",
        "request_id": "{id}",
        "words": "'refund order ' || {n} || CASE WHEN {n} < 10000 AND {n} % 100 = 0 THEN ' seldom' ELSE '' END",
    },
    "audit_event": {"at": "{n}", "kind": "'request.succeeded'", "subject": "{id}", "payload_hash": "'past ' || {n}"},
}
LIKE_ANOTHER = {"request", "audit_event"}
"""Tables whose other columns are those of their last row; of the others they are NULL."""
ID = {
    "sqlite": "printf('00000000-0000-7000-8000-%012d', n)",
    "postgresql": "'00000000-0000-7000-8000-' || lpad(n::text, 12, '0')",
}
CAUGHT_UP = (
    "INSERT INTO audit_link (seq, event_id, mac) "
    "SELECT row_number() OVER (ORDER BY id) + (SELECT max(seq) FROM audit_link), id, 'past' "
    "FROM audit_event WHERE id NOT IN (SELECT event_id FROM audit_link)",
    "DELETE FROM meta WHERE name = 'words_indexed_to'",
    "INSERT INTO meta (name, value) SELECT 'words_indexed_to', CAST(max(seq) AS text) FROM audit_link",
)
"""As after a million real ones: nothing is left to link, to index, or (`erased_at`) to erase."""
SERIES = {
    "sqlite": "WITH RECURSIVE s(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM s WHERE n < {last})",
    "postgresql": "WITH s(n) AS (SELECT generate_series({first}, {last}))",
}


async def measure(
    fresh: Callable[[], contextlib.AbstractContextManager[str]], kind: str, many: int = MANY, each: int = EACH
) -> list[Figures]:
    """Each page of a service with `many` against the same page of one with FEW, in turn."""
    rows = [Figures(f"{name} page at {many:,} requests, {kind}", 1.3) for name in PAGES]
    stall = Figures(
        f"longest hold-up of the loop, {REVIEWERS} reviewers refreshing at {many:,}, {kind}", 20, unit=" ms"
    )
    with fresh() as database, fresh() as other:
        few, much = await _aged(other, FEW), await _aged(database, many)
        with replica(other, few) as smaller, replica(database, much) as larger:
            browsers = [await _browser(service) for service in (larger, smaller)]
            for row, path in zip(rows, PAGES.values(), strict=True):
                for number in range(each + WARM):
                    pair = [await _seconds(browser, path) for browser in browsers]
                    if number >= WARM:
                        row.pair(*pair)
            stall.pair(await _held_up(larger))
            for browser in browsers:
                browser.close()
    return [*rows, stall]


async def _held_up(service: dict[str, Any]) -> float:
    """The longest lateness of a tick of the loop, in milliseconds, while each reviewer refreshes once a second."""
    await _ask_longest(service)

    async def reviewer(number: int) -> None:
        browser = await _browser(service)
        for _ in range(SECONDS):
            await asyncio.sleep(1 / REVIEWERS * (number % REVIEWERS))
            await _seconds(browser, ("/", "/history", "/audit")[number % 3])
            await asyncio.sleep(1 - 1 / REVIEWERS * (number % REVIEWERS))
        browser.close()

    await asyncio.gather(*(reviewer(number) for number in range(REVIEWERS)))
    return await _ask_longest(service) * 1000


async def _ask_longest(service: dict[str, Any]) -> float:
    probe = await _browser(service)
    status, body = await probe.ask("GET", "/bench/hold-up")
    assert status == 200, body
    probe.close()
    return float(json.loads(body))


async def _aged(database: str, past: int) -> dict[str, Any]:
    """A database with so many requests in the past, and PENDING now; how to reach a service over it."""
    with subject(database) as service:
        filer = await gate(service)
        for order in range(PENDING):
            await file(filer, service, 5_000_000 + order)
        filer.close()
    _age(database, 1, past)
    return service


async def _browser(service: dict[str, Any]) -> Connection:
    return await Connection.open(service["url"], Cookie=f"approvals={service['cookie']}")


async def _seconds(browser: Connection, path: str) -> float:
    began = time.perf_counter()
    status, page = await browser.ask("GET", path)
    taken = time.perf_counter() - began
    assert status == 200, page[:200]
    return taken


def _age(database: str, first: int, last: int) -> None:
    """Copies of one request and its audit event, all of them in the past."""
    kind = database.partition(":")[0]
    with _opened(database) as connection:
        for table, set_columns in COLUMNS.items():
            for low in range(first, last + 1, 100_000):
                series = SERIES[kind].format(first=low, last=min(last, low + 99_999))
                columns = [name for name in _columns(connection, table, kind) if (table, name) != ("audit_event", "id")]
                other = "one.{0}" if table in LIKE_ANOTHER else "NULL"
                values = [set_columns.get(name, other.format(name)).format(id=ID[kind], n="n") for name in columns]
                one = f", (SELECT * FROM {table} ORDER BY id DESC LIMIT 1) AS one" if table in LIKE_ANOTHER else ""
                select = f"SELECT {', '.join(values)} FROM s{one}"
                connection.execute(f"{series} INSERT INTO {table} ({', '.join(columns)}) {select}")
        for statement in CAUGHT_UP:
            connection.execute(statement)
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
