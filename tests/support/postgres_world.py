"""approvals-postgres as its users run it: processes, proxies on both networks, a database with orders, a reviewer."""

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import psycopg
from sqlalchemy import text

from approvals.service.storage.database import database_at
from approvals.service.storage.statements import Statement
from approvals_server.postgres.grants import script
from support import calling_agent
from support.fault_proxy import Hold, HttpProxy, Proxy, tcp, unix
from support.postgres import PostgresServer
from support.processes import Child, Installed, free_port, until_open

SECRET_WORD = "hunter2hunter2hunter2"
AGES = 600_000_000
"""Microseconds: longer than a lease, its margin, and a silence."""
TABLES = """
CREATE TABLE orders (id int PRIMARY KEY, status text NOT NULL DEFAULT 'paid', cents bigint NOT NULL);
INSERT INTO orders SELECT n, 'paid', 100 FROM generate_series(1, 100) n;
ANALYZE;
"""
AGAIN = ("STILL RUNNING", "NOT EXECUTED", "OUTCOME UNKNOWN")


class StatementProxy(Proxy):
    """Between a server and its database; a hold meets what is sent when it matches."""

    async def _there(self, reader, upstream, answers, heard) -> None:
        while data := await reader.read(65536):
            if not await self._pass(data, data, upstream, answers, heard):
                return


class PostgresWorld:
    """One service on SQLite, one approvals-postgres over HTTP."""

    def __init__(self, folder: Path, postgres: PostgresServer, url: str) -> None:
        self.url, self.product = url, Installed(folder)
        name, socket = postgres.place(url)
        mark = uuid.uuid4().hex[:8]
        self.roles = f"read_{mark}", f"write_{mark}"
        self.run(TABLES + script(*self.roles, ["public"], [("public", "orders")]))
        self.sql = StatementProxy(unix(f"{socket}/.s.PGSQL.5432"))
        for role in self.roles:
            where = (
                f"postgresql://{role}:{SECRET_WORD}@127.0.0.1:{self.sql.port}/{name}?sslmode=disable&gssencmode=disable"
            )
            (folder / role).write_text(where)
        self.service = self.product.serve()
        self.front = HttpProxy(tcp(self.product.port))
        self.keys = {
            "server": self.product.key("server", "add", "postgres", "--assurance", "enforced"),
            "agent": self.product.key("agent", "add", "scout"),
        }
        self.database = database_at(f"sqlite:///{self.product.database}")
        self.port = free_port()
        self.server = self.start_server()

    def start_server(self, *flags: str) -> Child:
        child = self.product.start(
            ("-m", "approvals_server.postgres.cli", "--http", f"127.0.0.1:{self.port}", *flags),
            APPROVALS_URL=f"http://127.0.0.1:{self.front.port}",
            APPROVALS_SERVER_KEY=self.keys["server"],
            POSTGRES_READ_URL=f"file:{self.product.folder}/{self.roles[0]}",
            POSTGRES_WRITE_URL=f"file:{self.product.folder}/{self.roles[1]}",
        )
        until_open(self.port)
        return child

    def run(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else []

    def states(self, sql: str) -> list[tuple[str, str]]:
        """The ids and states of the requests about this statement, oldest first."""
        ask = Statement(text("SELECT id, state FROM request WHERE arguments LIKE :call ORDER BY id"))
        found = self.database.read_now(lambda reader: reader.all(ask, call=f"%{sql.replace('%', '')}%"))
        return [(row["id"], row["state"]) for row in found]

    def age(self) -> None:
        """As if ten minutes had passed since the server was heard of."""
        for change in (
            "UPDATE execution SET lease_until = lease_until - :span WHERE finished_at IS NULL",
            "UPDATE gate_session SET last_seen_at = last_seen_at - :span",
        ):
            self.database.write_now(lambda tx, change=change: tx.execute(Statement(text(change)), span=AGES))

    async def ask(self, sql: str) -> str:
        """The agent's call, from connecting to its answer; again until the server is reachable."""
        with anyio.fail_after(60):
            while True:
                with contextlib.suppress(OSError, httpx2.HTTPError, BaseExceptionGroup):
                    url = f"http://127.0.0.1:{self.port}/mcp"
                    return await calling_agent.ask(url, self.keys["agent"], "execute_write", {"sql": sql})
                await anyio.sleep(0.05)

    async def until(self, sql: str, *states: str) -> str:
        """Until the newest request about this statement is in one of these states; its id."""
        with anyio.fail_after(30):
            while not (found := self.states(sql)) or found[-1][1] not in states:
                await anyio.sleep(0.02)
        return found[-1][0]

    async def reach(self, hold: Hold) -> None:
        await anyio.to_thread.run_sync(hold.wait)

    @contextlib.contextmanager
    def closing(self) -> Iterator["PostgresWorld"]:
        try:
            yield self
        finally:
            self.database.stop()
            self.product.close()
            self.front.close()
            self.sql.close()
            self.run(f"DROP OWNED BY {', '.join(self.roles)}; DROP ROLE {', '.join(self.roles)}")
