"""The physical floor: one durable SQLite commit and one HTTP round trip, with no framework, authentication or audit.

`POST /decide/N` commits and wakes whoever holds `GET /wait/N`; `POST /file` commits one row.
"""

import asyncio
import sqlite3
import sys
from typing import Any, ClassVar

import uvloop


class Floor(asyncio.Protocol):
    """A raw HTTP/1.1 protocol over one connection."""

    waiting: ClassVar[dict[bytes, "Floor"]] = {}
    database: sqlite3.Connection

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
            return
        if verb == b"decide":
            self.database.execute("UPDATE request SET state = 'approved' WHERE id = ?", (rest[0].decode(),))
            waiter = self.waiting.pop(rest[0], None)
            if waiter is not None:
                waiter.answer(b"approved")
        elif verb == b"file":
            self.database.execute("INSERT INTO request (state, body) VALUES ('pending', ?)", (body,))
        self.answer(b"ok")

    def answer(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body)
        self.transport.write(head + body)


async def main(path: str) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE request (id INTEGER PRIMARY KEY, state TEXT, body BLOB)")
    Floor.database = database
    server = await asyncio.get_running_loop().create_server(Floor, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


uvloop.run(main(sys.argv[1]))
