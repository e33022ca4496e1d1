"""The engine that suspends a call until it may run: used by GatedServer, and by whatever else stands before tools."""

import contextlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from typing import TypeVar

import anyio

from approvals import setting_names
from approvals.errors import ApprovalsError, NotConfigured, Unavailable
from approvals.gate import answers
from approvals.gate.argument_names import Spellings
from approvals.gate.budgets import Budgets
from approvals.gate.call import Answer, Call, Caller
from approvals.gate.session import Session
from approvals.gate.settings import GateSettings
from approvals.gate.tools import Verify
from approvals.protocol.canonical import JsonObject
from approvals.protocol.messages import RequestStatus
from approvals.protocol.registration import ToolDefinition, ToolVerdict

logger = logging.getLogger("approvals.gate.gate")

S = TypeVar("S")
L = TypeVar("L")
T = TypeVar("T")
Lifespan = Callable[[S], AbstractAsyncContextManager[L]]


class Gate:
    """One per server process. `definitions` gives the tools that it serves now, `code_versions` the code that runs
    them as far as approvals bind it, `verifiers` the checks of those that can say themselves what came of a request,
    `spellings` the names of a tool's arguments."""

    def __init__(
        self,
        server: str,
        settings: GateSettings | None = None,
        *,
        budgets: Budgets | None = None,
        code_version: str = "",
        pinned: bool = False,
    ) -> None:
        self.server = server
        self.pinned = pinned
        """Whether every change of a definition waits for a person: for tools that nobody here wrote."""
        self.budgets = budgets or (settings.budgets if settings is not None else Budgets())
        self.definitions: Callable[[], tuple[ToolDefinition, ...]] = tuple
        self.code_versions: Callable[[], Mapping[str, str]] = dict
        self.verifiers: Callable[[], Mapping[str, Verify]] = dict
        self.spellings: Callable[[str], Spellings] = lambda tool: {}
        self._settings = settings
        self._code_version = code_version
        self._users = 0
        self._session: Session | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hold the connection to the service; shared by all who hold it, ended by the last."""
        self._users += 1
        if self._session is None and self._settings is not None:
            self._session = Session(self)
        try:
            yield
        finally:
            self._users -= 1
            if self._users == 0 and self._session is not None:
                session, self._session = self._session, None
                with anyio.CancelScope(shield=True):
                    await session.close()

    def lifespan(self, inner: Lifespan[S, L] | None) -> Lifespan[S, L | JsonObject]:
        """The lifespan of an MCP server, with the gate running around it."""

        @contextlib.asynccontextmanager
        async def lifespan(server: S) -> AsyncIterator[L | JsonObject]:
            async with self.running():
                if inner is None:
                    yield {}
                else:
                    async with inner(server) as state:
                        yield state

        return lifespan

    async def call(self, call: Call) -> Answer:
        """Run it now, or when a person approves; or say why not (P5, P7). Raises only what the tool raises."""
        async with self.running():
            try:
                return await self.session.call(call)
            except ApprovalsError as error:
                return answers.of_error(error)

    async def read(self, tool: str, agent_key: str | None, act: Callable[[], Awaitable[T]], arguments: str) -> T | None:
        """Run a call at once that is known to need no permission; None for one that `call` has to look at."""
        agent = self._session.lets_read(tool, agent_key) if self._session is not None else None
        if agent is None:
            return None
        async with self.running():
            return await self.session.read(tool, act, agent, arguments)

    async def observe(
        self, method: str, target: str, act: Callable[[], Awaitable[T]], caller: Caller, *, free: bool = False
    ) -> T:
        """Let a message that needs no approval through, on record; `free`, also for whom the server is not for."""
        async with self.running():
            return await self.session.observe(method, target, act, caller, free=free)

    async def note_unknown(self, tool: str, caller: Caller) -> None:
        """Put on record that a tool was called that there is not, if the gate is configured."""
        async with self.running():
            if self._session is not None:
                self._session.note_unknown(tool, caller)

    @property
    def pepper(self) -> bytes:
        """With which a call of this server's names what may hold secrets, so that nobody can try guesses."""
        return self.session.pepper

    async def verdict(self, tool: str) -> ToolVerdict:
        """What may be done with a tool's calls. Raises Unavailable, and Stale for a tool that is not served."""
        async with self.running():
            return await self.session.verdict(tool)

    async def agent_of(self, key: str) -> str | None:
        """The name of the agent whose key this is; None when it is nobody's. Raises Unavailable."""
        async with self.running():
            return await self.session.agent_of(key)

    async def status(self, request_id: str, seconds: float, caller: Caller) -> RequestStatus | None:
        """One of the caller's own requests; None for anybody else's."""
        async with self.running():
            return await self.session.status(request_id, seconds, caller)

    @property
    def is_configured(self) -> bool:
        return self._settings is not None

    @property
    def settings(self) -> GateSettings:
        """Raises NotConfigured."""
        if self._settings is None:
            GateSettings.from_environment()
            raise NotConfigured("The approval gate is not configured.", hint="Restart this MCP server.")
        return self._settings

    @property
    def code_version(self) -> str:
        return self._code_version

    @property
    def session(self) -> Session:
        """Raises NotConfigured."""
        if self._session is None:
            _ = self.settings
            raise Unavailable("The gate is not running.")
        return self._session


def gate_from_environment(name: str, code_version: str) -> Gate:
    """The gate of a server by the settings in the environment; without them it refuses every gated call."""
    for words in setting_names.misspelt(os.environ):
        logger.warning(words)
    try:
        settings: GateSettings | None = GateSettings.from_environment()
    except NotConfigured:
        settings = None
    return Gate(name, settings, code_version=code_version or f"mcp-approvals {version('mcp-approvals')}")
