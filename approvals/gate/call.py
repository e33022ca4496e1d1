"""One call of a tool, as whatever stands before the tool hands it to the gate."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Self

from mcp_types import CallToolResult, InputRequiredResult

from approvals.gate.argument_names import Spellings
from approvals.gate.arguments import Effective
from approvals.gate.budgets import Budget
from approvals.gate.input_rounds import Round
from approvals.gate.masking import NO_SECRETS, Mask
from approvals.gate.origin import Origin
from approvals.gate.preview import Look, Looked, looked
from approvals.protocol.canonical import JsonObject
from approvals.protocol.messages import ClientInfo, RequestStatus

Answer = CallToolResult | InputRequiredResult
"""A result; or that the client is to come back (never to one that speaks an older protocol)."""
Run = Callable[[JsonObject], Awaitable[CallToolResult]]
"""Runs the tool with exactly these values."""
Progress = Callable[[float, str], Awaitable[None]]


@dataclass(frozen=True)
class Caller:
    """Who calls, as far as the transport tells: an agent's key, or a name that keeps unidentified callers apart."""

    agent_key: str | None = field(default=None, repr=False)
    subject: str = ""
    client: ClientInfo = field(default_factory=ClientInfo)
    nameless: bool = False
    """Nothing tells this caller from others: `subject` is this one call's, and only its rounds go on with it."""

    @property
    def identity(self) -> str:
        """Tells callers apart, without the key itself."""
        return hashlib.sha256(f"{self.agent_key}\0{self.subject}".encode()).hexdigest()


@dataclass(frozen=True)
class Call:
    """One call of a tool."""

    tool: str
    arguments: JsonObject
    """As they came."""
    effective: Callable[[], Effective]
    """Reads its arguments: validated, defaulted, nothing undeclared. Raises Invalid."""
    run: Run
    caller: Caller
    budget: Budget
    mask: Mask = NO_SECRETS
    """Over what the tool declares secret, once the gate knows what that is."""
    spellings: Spellings = field(default_factory=dict, repr=False)
    """The names that its arguments may have had when they came."""
    round: Round | None = None
    """For a client of 2026-07-28: where in its rounds it is."""
    progress: Progress | None = None
    is_there: Callable[[], Awaitable[bool]] | None = None
    """Whether the caller is still connected, where the transport can tell."""
    origin: Origin = field(default_factory=Origin)
    reason: str | None = None
    repeat_of: str | None = None
    read: Effective = field(default_factory=lambda: Effective({}))
    """What the gate goes on with, from `effective`."""
    look: Look | None = None
    """Looks up what it would do."""
    looked: Looked = field(default_factory=Looked)
    """What it would do, as it was found before it was filed."""
    unchanged: Callable[[], bool] = lambda: True
    """Whether what `run` would run is still what it was when the call came."""

    async def foreseen(self) -> Self:
        """The call with what it would do now."""
        return replace(self, looked=await looked(self.look, self.read.values))

    @property
    def continues(self) -> str | None:
        """The request that the call came back for, as its client says."""
        return self.round.continues if self.round is not None else None

    @property
    def waited_before(self) -> float:
        """Seconds of the rounds before this one, at the most: their progress stayed below, this one's goes on."""
        return self.round.number * self.budget.hold if self.round is not None else 0.0

    def hold(self, status: RequestStatus) -> float:
        """Seconds to wait now: none when there is a link to show first."""
        if self._goes_on and self.round is not None and self.round.points_first(status):
            return 0.0
        return self.budget.hold

    def next_round(self, status: RequestStatus) -> InputRequiredResult | None:
        """The way back for a call whose time is up; None when this was the last round, or its client knows none."""
        if self.round is None or not self._goes_on:
            return None
        return self.round.next(status, self.caller.subject if self.caller.nameless else "")

    @property
    def _goes_on(self) -> bool:
        return self.round is not None and self.round.number + 1 < self.budget.rounds

    async def is_attached(self) -> bool:
        """Whether somebody still waits for it, as far as the transport can tell."""
        return self.is_there is None or await self.is_there()
