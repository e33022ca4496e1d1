"""A proxy between a real MCP client and an upstream that is a process: in this process, or in one of its own."""

import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from approvals.gate.auth import ServiceAway
from approvals_server.proxy.client_facts import Sender
from approvals_server.proxy.configuration.configured import Configured
from approvals_server.proxy.configuration.opening import over_http, rules_of
from approvals_server.proxy.http_clients import Front
from approvals_server.proxy.process import UpstreamProcess
from approvals_server.proxy.relay import Relay
from approvals_server.proxy.remote import TIMEOUT
from approvals_server.proxy.rules.rule import NO_RULES, Rules
from approvals_server.proxy.shared_state import Desk
from approvals_server.proxy.stdio import taken
from approvals_server.proxy.upstreams import Behind, One
from support.listening import listening
from support.notes_server import notes
from support.processes import clean_environment

SUPPORT = Path(__file__).parents[2] / "support"


class Wire:
    """A client without an SDK, beside the proxy: bytes in, bytes out."""

    def __init__(self, proxied: "Proxied", upstream: list[str], agent: str | None, rules: Rules) -> None:
        scenario = proxied.served.scenario
        self.desk = Desk(proxied.served.gate("notes", agent=agent, pinned=True), upstream, rules)
        self.heard: list[bytes] = []
        self._news = anyio.Event()
        self._sender = Sender(scenario.keys[agent] if agent else None, "somebody")
        self.connect = partial(UpstreamProcess.start, upstream)
        self.relay: Any = Relay(self.desk, self.connect, self._tell)
        self.send_to: Any = None

    async def _tell(self, frame: Any, about: Any) -> None:
        self.heard.append(frame.raw)
        self._news.set()
        self._news = anyio.Event()
        if self.send_to is not None:
            message = SessionMessage(jsonrpc_message_adapter.validate_json(frame.raw, by_name=False))
            await self.send_to.send(message)

    def say(self, raw: bytes) -> Any:
        return taken(raw, self.relay, self._sender, self._tell)

    async def hear(self, id: object) -> dict[str, Any]:
        """The answer of this id, once it is there."""
        with anyio.fail_after(20):
            while True:
                for message in map(json.loads, self.heard):
                    if message.get("id") == id and "method" not in message:
                        return dict(message)
                await self._news.wait()

    async def ask(self, id: object, method: str, **params: Any) -> dict[str, Any]:
        await self.say(json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).encode())
        return await self.hear(id)

    async def shake_hands(self) -> dict[str, Any]:
        info = {"name": "wire", "version": "0"}
        answer = await self.ask("hello", "initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=info)
        await self.say(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
        return answer


@dataclass
class Proxied:
    """How to reach the proxy, and what its upstream did."""

    served: Any
    log: Path

    @property
    def did(self) -> list[list[Any]]:
        """What the upstream was called for."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [entry for entry in map(json.loads, lines) if entry[0] != "heard"]

    @property
    def plain(self) -> list[str]:
        return [sys.executable, "-S", str(SUPPORT / "plain_server.py"), str(self.log)]

    @property
    def modern(self) -> list[str]:
        return [sys.executable, str(SUPPORT / "notes_server.py"), str(self.log)]

    def command(self, *upstream: str) -> StdioServerParameters:
        """The proxy as a process."""
        keys = self.served.scenario.keys
        environment = clean_environment(
            APPROVALS_URL=self.served.url, APPROVALS_SERVER_KEY=keys["notes"], APPROVALS_AGENT_KEY=keys["agent"]
        )
        arguments = ["-m", "approvals_server.proxy.cli", "--name", "notes", "--", *upstream]
        return StdioServerParameters(command=sys.executable, args=arguments, env=environment)

    @contextlib.asynccontextmanager
    async def process(self, *upstream: str, **options: Any) -> AsyncIterator[Client]:
        """A client of the proxy as a process."""
        async with Client(stdio_client(self.command(*upstream)), cache=None, **options) as client:
            yield client

    @contextlib.asynccontextmanager
    async def wire(self, *upstream: str, agent: str | None = "agent", rules: Rules = NO_RULES) -> AsyncIterator[Wire]:
        wire = Wire(self, list(upstream) or self.plain, agent, rules)
        async with wire.desk.gate.running():
            try:
                yield wire
            finally:
                await wire.relay.close()

    @contextlib.asynccontextmanager
    async def front(
        self, upstream: str | None = None, wrapped: Callable[[Any], Any] = lambda app: app
    ) -> AsyncIterator[str]:
        """The proxy over HTTP, before a URL or the plain server; its own URL."""
        desk = Desk(self.served.gate("notes", agent=None, pinned=True), [upstream] if upstream else self.plain)
        async with httpx2.AsyncClient(timeout=TIMEOUT, trust_env=False) as http:
            connect = over_http(http, upstream) if upstream else partial(UpstreamProcess.start, self.plain)
            front = Front(One(Behind(desk, connect)), "127.0.0.1")
            async with front.open(), listening(wrapped(ServiceAway(front))) as url:
                yield f"{url}/mcp"

    @contextlib.asynccontextmanager
    async def behind(self) -> AsyncIterator[str]:
        """An upstream over HTTP; its URL."""
        app = notes(self.log).streamable_http_app()
        async with listening(app, "on") as url:
            yield f"{url}/mcp"

    @contextlib.asynccontextmanager
    async def http(self, url: str, key: str = "agent", **options: Any) -> AsyncIterator[Client]:
        """A client over HTTP with an agent's key."""
        headers = {"Authorization": f"Bearer {self.served.scenario.keys[key]}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False) as http,
            Client(streamable_http_client(url, http_client=http), cache=None, **options) as client,
        ):
            yield client

    def opened(self, document: Any, name: str) -> Behind:
        part = document.upstreams[name]
        desk = Desk(self.served.gate(name, agent="agent", pinned=True), part.command, rules_of(part))
        return Behind(desk, partial(UpstreamProcess.start, part.command), part.prefix)

    @contextlib.asynccontextmanager
    async def several_over_http(self, path: Path) -> AsyncIterator[str]:
        """The same over HTTP; its URL."""
        front = Front(Configured(path, self.opened), "127.0.0.1")
        async with front.open(), listening(ServiceAway(front)) as url:
            yield f"{url}/mcp"

    @contextlib.asynccontextmanager
    async def several(self, path: Path, **options: Any) -> AsyncIterator[tuple[Client, Configured, Wire]]:
        """A client of the proxy before all that a configuration names."""
        configured, wire = Configured(path, self.opened), Wire(self, self.plain, "agent", NO_RULES)
        async with configured.running():
            wire.relay = configured.open(wire._tell)
            try:
                async with Client(_beside(wire), cache=None, **options) as client:
                    yield client, configured, wire
            finally:
                await wire.relay.close()

    @contextlib.asynccontextmanager
    async def client(self, *upstream: str, rules: Rules = NO_RULES, **options: Any) -> AsyncIterator[Client]:
        """A client of the proxy in this process."""
        async with self.wire(*upstream, rules=rules) as wire, Client(_beside(wire), cache=None, **options) as client:
            yield client


@contextlib.asynccontextmanager
async def _beside(wire: Wire) -> AsyncIterator[Any]:
    wire.send_to, to_client = anyio.create_memory_object_stream[Any](100)
    from_client_send, from_client = anyio.create_memory_object_stream[Any](100)

    async def pump() -> None:
        async for message in from_client:
            raw = message.message.model_dump_json(by_alias=True, exclude_unset=True).encode()
            tasks.start_soon(_awaited, wire.say(raw))

    async with wire.send_to, to_client, from_client_send, from_client, anyio.create_task_group() as tasks:
        tasks.start_soon(pump)
        yield to_client, from_client_send
        tasks.cancel_scope.cancel()


async def _awaited(said: Any) -> None:
    await said


@pytest.fixture
async def proxied(served: Any, tmp_path: Path) -> Proxied:
    served.scenario.add_server("notes")
    return Proxied(served, tmp_path / "did.jsonl")
