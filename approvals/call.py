"""One call of a tool, as whatever stands before the tool hands it to the gate."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from mcp_types import CallToolResult

from approvals.waiting import Budget
from approvals.wire import ClientInfo

Run = Callable[[dict[str, Any]], Awaitable[CallToolResult]]
Progress = Callable[[float, str], Awaitable[None]]


@dataclass(frozen=True)
class Caller:
    """Who calls, as far as the transport tells: an agent's key, or a name that keeps unidentified callers apart."""

    agent_key: str | None = None
    subject: str = ""
    client: ClientInfo = field(default_factory=ClientInfo)


@dataclass(frozen=True)
class Call:
    """One call of a tool."""

    tool: str
    arguments: dict[str, Any]
    """As they came; the gate goes on with the effective ones."""
    effective: Callable[[], dict[str, Any]]
    """The gate's own copy: validated, defaulted, nothing undeclared, JSON. Raises Invalid."""
    run: Run
    caller: Caller
    budget: Budget
    progress: Progress | None = None
    is_there: Callable[[], Awaitable[bool]] | None = None
    """Whether the caller is still connected, where the transport can tell."""
    reason: str | None = None
    repeat_of: str | None = None
    unchanged: Callable[[], bool] = lambda: True
    """Whether what `run` would run is still what it was when the call came."""

    async def is_attached(self) -> bool:
        """Whether somebody still waits for it, as far as the transport can tell."""
        return self.is_there is None or await self.is_there()
