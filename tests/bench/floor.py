"""The physical floor: one durable commit and one HTTP round trip, with no framework, authentication or audit.

`POST /decide/N` commits and wakes whoever holds `GET /wait/N`; `POST /file` commits one row. On SQLite inline, on
PostgreSQL by asyncpg, one statement in autocommit.
"""

import asyncio
import sqlite3
import sys
from collections import deque
from typing import Any, ClassVar

import asyncpg
import uvloop

TABLE = "CREATE TABLE floor (id {} PRIMARY KEY, state TEXT, body {})"


class Sqlite:
    """Commits where it is called."""

    def __init__(self, path: str) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", TABLE.format("INTEGER", "BLOB")):
            self._database.execute(statement)
        series = "WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < 10000) "
        self._database.execute(f"{series} INSERT INTO floor SELECT n, 'pending', '' FROM s")

    def decide(self, number: bytes, then: Any) -> None:
        changed = self._database.execute("UPDATE floor SET state = state || '.' WHERE id = ?", (int(number),)).rowcount
        assert changed == 1, number  # a floor that writes nothing is no floor
        then()

    def file(self, body: bytes, then: Any) -> None:
        self._database.execute("INSERT INTO floor (state, body) VALUES ('pending', ?)", (body,))
        then()


class Postgres:
    """Commits on as many connections as there are callers."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._free: deque[asyncpg.Connection] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def prepare(self) -> None:
        connection = await asyncpg.connect(self._url)
        await connection.execute(TABLE.format("BIGSERIAL", "BYTEA"))
        await connection.execute(
            "INSERT INTO floor SELECT n, 'pending', '' FROM generate_series(1000000, 1010000) AS n"
        )
        self._free.append(connection)

    def decide(self, number: bytes, then: Any) -> None:
        self._run(then, "UPDATE floor SET state = 'approved' WHERE id = $1", 1_000_000 + int(number))

    def file(self, body: bytes, then: Any) -> None:
        self._run(then, "INSERT INTO floor (state, body) VALUES ('pending', $1)", body)

    def _run(self, then: Any, statement: str, *values: Any) -> None:
        task = asyncio.create_task(self._commit(then, statement, *values))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _commit(self, then: Any, statement: str, *values: Any) -> None:
        connection = self._free.pop() if self._free else await asyncpg.connect(self._url)
        await connection.execute(statement, *values)
        self._free.append(connection)
        then()


class Floor(asyncio.Protocol):
    """A raw HTTP/1.1 protocol over one connection."""

    waiting: ClassVar[dict[bytes, "Floor"]] = {}
    database: ClassVar[Any]

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, separator, rest = self.buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = next((int(x[16:]) for x in head.lower().split(b"\r\n") if x.startswith(b"content-length: ")), 0)
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        self.handle(head.split(b" ", 2)[1], rest[:length])

    def handle(self, path: bytes, body: bytes) -> None:
        _, verb, *rest = path.split(b"/")
        if verb == b"wait":
            self.waiting[rest[0]] = self
        elif verb == b"decide":
            self.database.decide(rest[0], lambda: self.decided(rest[0]))
        elif verb == b"file":
            self.database.file(body, lambda: self.answer(b"ok"))

    def decided(self, number: bytes) -> None:
        waiter = self.waiting.pop(number, None)
        if waiter is not None:
            waiter.answer(b"approved")
        self.answer(b"ok")

    def answer(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body)
        self.transport.write(head + body)


async def main(url: str) -> None:
    if url.startswith("sqlite:///"):
        Floor.database = Sqlite(url.removeprefix("sqlite:///"))
    else:
        Floor.database = Postgres(url)
        await Floor.database.prepare()
    server = await asyncio.get_running_loop().create_server(Floor, "127.0.0.1", 0, backlog=2048)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


uvloop.run(main(sys.argv[1]))
