"""The whole product as processes, with everything between them in a test's hand: one service on SQLite or two replicas
on PostgreSQL, a gated server over HTTP, proxies on both networks, a reviewer, and agents."""

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx2
from sqlalchemy import text

from approvals.service.storage.database import database_at
from approvals.service.storage.statements import Statement
from support import calling_agent, counting_server
from support.fault_proxy import Hold, HttpProxy, SqlProxy, tcp, unix
from support.processes import Child, Installed, free_port, until_open

SECRET = "a secret key for tests, long enough to count"
AGAIN = ("STILL RUNNING", "NOT EXECUTED")
LONGER_THAN_A_LEASE = 60_000_000


class Deployment:
    """`socket` is the folder of PostgreSQL's own socket; SQLite without it."""

    def __init__(self, folder: Path, database: str = "", socket: str = "") -> None:
        self.product = Installed(folder)
        self.replicas = 2 if database else 1
        self.ports = [self.product.port, *(free_port() for _ in range(self.replicas - 1))]
        self.sql = SqlProxy(unix(f"{socket}/.s.PGSQL.5432")) if database else None
        self.environment: dict[str, str] = {}
        self.url = f"sqlite:///{self.product.database}"
        if self.sql is not None:
            # with a direct URL it never prepares statements, so that the proxy sees every one of them
            through = f"postgresql://postgres@127.0.0.1:{self.sql.port}/{database}?sslmode=disable"
            self.url = f"postgresql://postgres@/{database}?host={socket}"
            self.environment = {
                "APPROVALS_DATABASE_URL": through,
                "APPROVALS_DATABASE_DIRECT_URL": through,
                "APPROVALS_SECRET_KEY": SECRET,
            }
        self.front = HttpProxy(*(tcp(port) for port in self.ports))
        self.services: list[Child] = []
        for number in range(self.replicas):
            self.services.append(self.start_service(number))
        self.services[0].line("Review queue:")
        self.reviewer = self.product.sign_in(self.services[0])
        self.keys = {
            "server": self.product.key("server", "add", "shop", **self.environment),
            "agent": self.product.key("agent", "add", "scout", **self.environment),
        }
        self.database = database_at(self.url)
        self.gate_port = free_port()
        self.gate = self.start_gate()
        until_open(self.gate_port)  # an agent that comes too early would be gone
        self.order = 0

    # processes

    def start_service(self, number: int) -> Child:
        flags = ("serve", "--port", str(self.ports[number]))
        return self.product.start(("-m", "approvals_web.cli", *flags), **self.environment)

    def start_gate(self) -> Child:
        return self.product.start(
            (counting_server.__file__, str(self.gate_port)),
            APPROVALS_URL=f"http://127.0.0.1:{self.front.port}",
            APPROVALS_SERVER_KEY=self.keys["server"],
            EFFECTS=str(self.log),
        )

    def start_agent(self) -> Child:
        url, key = f"http://127.0.0.1:{self.gate_port}/mcp", self.keys["agent"]
        return self.product.start((calling_agent.__file__, url, key, "slow_write", f'{{"order_id": {self.order}}}'))

    def kill_service(self) -> None:
        self.services[0].kill()

    def restart_service(self) -> None:
        """The killed one comes last from now on: the other one serves the gate meanwhile."""
        child = self.start_service(0)
        if self.replicas == 1:
            child.line("Review queue:")
            self.services[0] = child
            return
        self.ports.append(self.ports.pop(0))
        self.services = [*self.services[1:], child]
        self.front.targets.append(self.front.targets.pop(0))
        self.services[0].line("Review queue:")
        self.reviewer.base_url = self.product.url = f"http://127.0.0.1:{self.ports[0]}"

    def send(self, child: Child, number: int) -> None:
        os.kill(child.process.pid, number)

    # one call

    def next_call(self) -> None:
        self.order += 1

    @property
    def log(self) -> Path:
        return self.product.folder / "effects.log"

    def effects(self) -> int:
        """How often this call's effect happened."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return lines.count(f"slow {self.order}")

    def rows(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        found = self.database.read_now(lambda reader: reader.all(Statement(text(sql)), **values))
        return [tuple(row.values()) for row in found]

    def requests(self) -> list[tuple[str, str]]:
        """The ids and states of this call's requests, oldest first."""
        call = f'{{"order_id":{self.order}}}'
        return self.rows("SELECT id, state FROM request WHERE arguments = :call ORDER BY id", call=call)

    def states(self) -> list[str]:
        return [state for _, state in self.requests()]

    async def until(self, *states: str) -> str:
        """Until the newest request of this call is in this state; its id."""
        with anyio.fail_after(30):
            while self.states()[-1:] != list(states[:1]):
                await anyio.sleep(0.02)
        return self.requests()[-1][0]

    async def until_held(self) -> None:
        with anyio.fail_after(30):
            while not self.log.with_name("held").exists():
                await anyio.sleep(0.02)

    async def until_effect(self) -> None:
        with anyio.fail_after(30):
            while not self.effects():
                await anyio.sleep(0.02)

    async def decide(self, request_id: str) -> int:
        """The card's own form; its HTTP status."""
        decide = self.product.decide
        return (await anyio.to_thread.run_sync(lambda: decide(self.reviewer, request_id))).status_code

    async def approve(self, request_id: str) -> None:
        assert await self.decide(request_id) == 303

    async def reach(self, message: Hold) -> None:
        """Until this message is held."""
        await anyio.to_thread.run_sync(message.wait)

    async def ask(self) -> str:
        """The agent's call, from connecting to its answer; again until the server is reachable."""
        url, key = f"http://127.0.0.1:{self.gate_port}/mcp", self.keys["agent"]
        with anyio.fail_after(60):
            while True:
                with contextlib.suppress(OSError, httpx2.HTTPError, BaseExceptionGroup):
                    return await calling_agent.ask(url, key, "slow_write", {"order_id": self.order})
                await anyio.sleep(0.05)

    async def ask_until_known(self) -> str:
        """As agents do: again while the answer says so, with a reviewer who approves whatever waits."""
        answer = ""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._approve_all)
            while not answer or answer.startswith(AGAIN):
                answer = await self.ask()
            tasks.cancel_scope.cancel()
        return answer

    async def _approve_all(self) -> None:
        while True:
            for request_id, state in self.requests():
                if state == "pending":
                    with contextlib.suppress(httpx2.HTTPError, TypeError):  # a page that is away has no form
                        await self.decide(request_id)
            await anyio.sleep(0.05)

    # what goes wrong

    def hold_tool(self, name: str) -> None:
        self.log.with_name("held").unlink(missing_ok=True)
        (self.product.folder / name).touch()

    def release_tool(self) -> None:
        for name in ("hold-look", "hold-before", "hold-after"):
            (self.product.folder / name).unlink(missing_ok=True)

    def run_out_the_lease(self) -> None:
        """As if a minute passed, which is longer than a lease."""
        sql = "UPDATE execution SET lease_until = lease_until - :span WHERE finished_at IS NULL"
        self.database.write_now(lambda tx: tx.execute(Statement(text(sql)), span=LONGER_THAN_A_LEASE))

    def heal(self) -> None:
        """Everything runs again, and nothing is held."""
        self.release_tool()
        self.front.hurried = False
        for proxy in (self.front, self.sql):
            if proxy is not None:
                proxy.restore()
        for child in (*self.services, self.gate):
            if child.process.poll() is None:
                self.send(child, signal.SIGCONT)
        if self.gate.process.poll() is not None:
            self.gate = self.start_gate()
        if self.services[0].process.poll() is not None:
            self.restart_service()

    def verify(self) -> str:
        return self.product.cli("audit", "verify", **self.environment)

    def close(self) -> None:
        self.reviewer.close()
        self.database.stop()
        for child in (*self.services, self.gate):
            if child.process.poll() is None:
                self.send(child, signal.SIGCONT)
        self.product.close()
        self.front.close()
        if self.sql is not None:
            self.sql.close()
