"""`serve --demo`: the shop as a process of its own, an agent that asks for one refund, and a configuration to paste."""

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2

from approvals import private_file
from approvals.errors import Unauthenticated, Unavailable
from approvals.protocol.registration import Assurance
from approvals.service.history import queries
from approvals.service.identity import credentials, servers
from approvals.service.identity.admins import Operator
from approvals.service.service import Service
from approvals.service.storage.database import Transaction
from approvals_web.settings import Settings

AGENT, SERVER, LABEL = "demo-agent", "shop", "demo"
DEMO = Operator("demo")
START_SECONDS = 30
RESTART_SECONDS = 1.0


class Demo:
    """The demo beside one service."""

    def __init__(self, settings: Settings, service: Service, listener: socket.socket) -> None:
        """`listener` is bound already, and ours: whoever else had the port would be sent the agent's key."""
        self._settings = settings
        self._service = service
        self._listener = listener
        self._url = f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
        beside = settings.beside
        self._keys = beside.with_name(beside.name + ".demo.json")
        self._shop_database = f"sqlite:///{beside.with_name('shop.db')}"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everything runs while the context lasts. Raises Unavailable when the shop does not start."""
        keys = await self._service.write(self._make_keys)
        tasks = [asyncio.create_task(self._run_shop(keys["server"]))]
        try:
            await self._answers(tasks[0])
            tasks[0] = asyncio.create_task(self._keep_shop(keys["server"], tasks[0]))
            await self._accept_shop()
            self._greet(keys["agent"])
            if await self._may_file():
                tasks.append(asyncio.create_task(self._run_agent(keys["agent"])))
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _make_keys(self, tx: Transaction) -> dict[str, str]:
        """The keys of the last run, while they are live: a configuration pasted then works on."""
        with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError, Unauthenticated):
            kept: dict[str, str] = json.loads(private_file.read(self._keys))
            credentials.authenticate(tx, kept["server"], "installation")
            credentials.authenticate(tx, kept["agent"], "agent")
            return kept
        keys = {"server": self._server_key(tx), "agent": self._agent_key(tx)}
        self._keys.unlink(missing_ok=True)
        private_file.create(self._keys, json.dumps(keys))
        return keys

    def _server_key(self, tx: Transaction) -> str:
        known = [row for row in servers.installations(tx) if row.label == LABEL and row.disabled_at is None]
        if known:
            return servers.rotate(tx, DEMO, "installation", known[0])
        return servers.add_server(tx, DEMO, SERVER, label=LABEL, assurance=Assurance.COOPERATIVE, trusted=True)

    def _agent_key(self, tx: Transaction) -> str:
        known = [row for row in servers.agents(tx) if row.name == AGENT]
        if known and known[0].disabled_at is None:
            return servers.rotate(tx, DEMO, "agent", known[0])
        name = AGENT if not known else f"{AGENT}-{tx.now}"
        return servers.add_agent(tx, DEMO, name)

    async def _may_file(self) -> bool:
        """Only when no call waits; the demo's own is taken up again."""
        waiting = await self._service.read(lambda reader: queries.page(reader, state="pending", limit=2))
        agents = {row.id for row in await self._service.read(servers.agents) if row.name.startswith(AGENT)}
        return all(row.agent_id in agents for row in waiting)

    async def _accept_shop(self) -> None:
        """The words that the shop brings stand on its first cards: whoever runs the demo runs this shop."""
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            if await self._service.write(self._accept_first):
                return
            await asyncio.sleep(0.05)

    def _accept_first(self, tx: Transaction) -> bool:
        """Whether the shop has registered. What it changes later waits for a person, as everybody's does."""
        at = servers.installation_named(tx, SERVER, LABEL).id
        tools = [row for row in self._service.registry.tools(tx) if row.installation_id == at]
        for row in tools:
            if row.accepted_hash is None and row.offered_hash is not None:
                self._service.offers.accept(tx, SERVER, row.name, row.offered_hash, DEMO, at)
        return bool(tools)

    def _greet(self, key: str) -> None:
        entry = {"type": "http", "url": self._url, "headers": {"Authorization": f"Bearer {key}"}}
        print(f"Shop MCP server: {self._url}")
        print(f"Agent key: {key}")
        print("Client configuration (paste it into any MCP client):")
        print(json.dumps({"mcpServers": {SERVER: entry}}, indent=2))
        print(
            f'Or: claude mcp add --transport http {SERVER} {self._url} --header "Authorization: Bearer {key}"',
            flush=True,
        )

    async def _run_shop(self, key: str) -> None:
        """Until it ends."""
        host, port = self._listener.getsockname()
        number = self._listener.fileno()
        command = ("-m", "approvals_server.shop.cli", "--http", f"{host}:{port}", "--listener", str(number))
        settings = {
            "APPROVALS_URL": self._settings.near_url,
            "APPROVALS_SERVER_KEY": key,
            "SHOP_DATABASE_URL": self._shop_database,
        }
        await _child((*command, "--with-parent"), settings, (number,))

    async def _keep_shop(self, key: str, running: asyncio.Task[None]) -> None:
        try:
            await running
            while True:
                print("The shop MCP server ended; starting it again.", file=sys.stderr, flush=True)
                await asyncio.sleep(RESTART_SECONDS)
                await self._run_shop(key)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _run_agent(self, key: str) -> None:
        await _child(("-m", "approvals_server.shop.agent"), {"DEMO_MCP_URL": self._url, "DEMO_AGENT_KEY": key})

    async def _answers(self, shop: asyncio.Task[None]) -> None:
        """Wait for the shop's first answer to anything at all: no key is sent. Raises Unavailable."""
        first = asyncio.create_task(self._first_answer())
        await asyncio.wait({first, shop}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        first.cancel()
        (failed,) = await asyncio.gather(first, return_exceptions=True)
        if failed is not None:
            raise Unavailable("The demo's shop MCP server does not start.", hint="What it said stands above.")

    async def _first_answer(self) -> None:
        """The socket is bound, so a connection waits until the shop accepts it."""
        async with httpx2.AsyncClient(trust_env=False, timeout=START_SECONDS) as http:
            await http.get(self._url)


async def _child(arguments: tuple[str, ...], settings: dict[str, str], inherited: tuple[int, ...] = ()) -> None:
    """A child process until it ends, or we do: then it is asked to end. Were we killed, its standard input closes."""
    outer = {name: value for name, value in os.environ.items() if not name.startswith("APPROVALS_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # nothing of the folder that this runs in
        *arguments,
        env=outer | settings,
        stdin=asyncio.subprocess.PIPE,
        stdout=sys.stderr,
        pass_fds=inherited,
        cwd=Path.home() if Path.home().is_dir() else "/",
    )
    try:
        await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 5)
        if process.returncode is None:
            process.kill()
