"""What the service lets one gate process do for as long as its lease runs: verdicts on tools, freezes, the audience."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from approvals.clock import boot_clock
from approvals.errors import ApprovalsError, NotInAudience, Stale
from approvals.gate.agents import KnownAgents
from approvals.gate.call import Caller
from approvals.gate.client import ServiceClient
from approvals.gate.enrolment import Enrolled, Served, enrol
from approvals.protocol.registration import (
    AcknowledgedFreezes,
    Pins,
    Registered,
    StandingFreeze,
    ToolDefinition,
    ToolVerdict,
    Verdict,
)

if TYPE_CHECKING:
    from approvals.gate.gate import Gate

logger = logging.getLogger("approvals.gate.gate")


class VerdictLease:
    """The lease of one gate process. `on_registered` is called after each registration, `on_freezes` when other freezes
    stand than before."""

    def __init__(
        self,
        gate: "Gate",
        client: ServiceClient,
        session: str,
        agents: KnownAgents,
        *,
        on_registered: Callable[[], None],
        on_freezes: Callable[[], None],
    ) -> None:
        self._gate = gate
        self._client = client
        self._session = session
        self._agents = agents
        self._on_registered, self._on_freezes = on_registered, on_freezes
        self._held: Registered | None = None
        self._until = 0.0
        self._registering = asyncio.Lock()
        self._served: Served | None = None
        """What was registered last."""
        self._enrolled: Enrolled | None = None
        self._declared: tuple[tuple[ToolDefinition, ...] | None, dict[str, tuple[str, ...]]] = (None, {})
        """Definitions, and the secret leaves in each."""
        self._acknowledged: frozenset[str] = frozenset()
        self._acknowledging: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Stop acknowledging freezes."""
        if self._acknowledging is not None:
            self._acknowledging.cancel()
            await asyncio.gather(self._acknowledging, return_exceptions=True)

    async def register(self) -> None:
        """Tell the service what this process serves; the answer is a lease."""
        async with self._registering:
            served, asked = self._serving(), boot_clock()
            gate = self._gate
            enrolled = await enrol(self._client, gate.server, self._session, gate.code_version, served, self._pins)
            for name, why in enrolled.refused.items():
                logger.error("The tool %r cannot be gated, and is refused: %s.", name, why)
            self._served, self._enrolled = served, enrolled
            self.renew(enrolled.lease, asked)
            self._on_registered()

    def renew(self, lease: Registered, asked: float | None = None) -> None:
        """Go on with this lease, counted from when it was asked for, else from now."""
        before, self._held = self._held, lease
        self._until = (boot_clock() if asked is None else asked) + lease.lease_seconds
        if before is None or before.audience != lease.audience:
            self._agents.forget()
        if before is None or before.freezes != lease.freezes:
            self._on_freezes()
        standing = frozenset(freeze.id for freeze in lease.freezes)
        if standing - self._acknowledged and (self._acknowledging is None or self._acknowledging.done()):
            self._acknowledging = asyncio.create_task(self._acknowledge_freezes(standing))

    async def verdict(self, tool: str) -> ToolVerdict:
        """The verdict on a tool as it is served now. Raises Stale for a tool that the service does not know, and what
        registering raises."""
        if not self.is_live or self.tools_changed:
            await self.register()
        if self._enrolled is not None and tool in self._enrolled.refused:
            why = f"It cannot be gated as its author wrote it: {self._enrolled.refused[tool]}."
            return ToolVerdict(verdict=Verdict.REFUSE, tool_hash="0" * 64, reason=why)
        verdict = self._verdict(tool)
        if verdict is not None and verdict.tool_hash != self._hash(tool):  # of a registration before this one
            await self.register()
            verdict = self._verdict(tool)
        if verdict is None:
            raise Stale(f"The service knows no tool {tool!r} of this server.", hint="Restart the MCP server.")
        return verdict

    def runs(self, tool: str) -> bool:
        """Whether it is known that the tool's calls need no permission, and have nothing that is declared secret."""
        verdict = self._verdict(tool)
        if verdict is None or verdict.verdict is not Verdict.RUN or not self.is_live or self.tools_changed:
            return False
        return verdict.tool_hash == self._hash(tool) and not self.secret(tool)

    async def admit(self, caller: Caller) -> None:
        """Let a caller in. Raises NotInAudience for one that the server is not for, Unauthenticated for a key that is
        nobody's, Unavailable while nobody can say."""
        if not self.is_live:
            await self.register()
        if caller.agent_key is not None:
            await self._agents.of(caller.agent_key)
        elif self.audience:
            raise NotInAudience(
                "This server is for certain agents only, and this caller has no agent's key.",
                hint="Set APPROVALS_AGENT_KEY, or send the agent's key as bearer token.",
            )

    def freeze(self, caller: Caller, *modes: str) -> StandingFreeze | None:
        """The freeze, as far as this process has heard, that stops a caller's writes."""
        whose = {"", self._agents.id_of(caller)}
        meant = (freeze for freeze in self.freezes if freeze.agent_id in whose and freeze.mode in modes)
        return next(meant, None)

    def secret(self, tool: str) -> tuple[str, ...]:
        """The secret leaves of a tool: those that it declares now, and those that the service still holds it to."""
        definitions = self._gate.definitions()
        if definitions is not self._declared[0]:
            self._declared = definitions, {definition.name: definition.secret for definition in definitions}
        verdict = self._verdict(tool)
        return tuple(dict.fromkeys((*self._declared[1].get(tool, ()), *(verdict.secret if verdict else ()))))

    @property
    def is_live(self) -> bool:
        """Whether it runs still."""
        return self._held is not None and boot_clock() < self._until

    @property
    def tools_changed(self) -> bool:
        """Whether the server serves other tools than it registered, or by other code."""
        return self._served != self._serving()

    @property
    def freezes(self) -> tuple[StandingFreeze, ...]:
        """The freezes that concern this gate."""
        return self._held.freezes if self._held is not None else ()

    @property
    def audience(self) -> str:
        """The name of the agents that may use this server; empty while all may."""
        return self._held.audience if self._held is not None else ""

    @property
    def pepper(self) -> bytes:
        """The key of the stand-ins for redacted leaves."""
        assert self._held is not None  # noqa: S101 — whoever has a verdict has a lease
        return bytes.fromhex(self._held.pepper)

    async def _acknowledge_freezes(self, standing: frozenset[str]) -> None:
        """Say that nothing they stop is started here. What does not arrive is said again with the next lease."""
        with contextlib.suppress(ApprovalsError):
            heard = AcknowledgedFreezes(freezes=tuple(sorted(standing)))
            await self._client.acknowledge_freezes(self._session, heard)
            self._acknowledged = standing

    @property
    def _pins(self) -> Pins:
        if not self._gate.pinned:
            return Pins.NONE
        return Pins.AGAIN if self._served is not None and self._served.definitions else Pins.FIRST

    def _serving(self) -> Served:
        return Served(self._gate.definitions(), self._gate.code_versions())

    def _verdict(self, tool: str) -> ToolVerdict | None:
        return self._held.tools.get(tool) if self._held is not None else None

    def _hash(self, tool: str) -> str | None:
        return self._enrolled.hashes.get(tool) if self._enrolled is not None else None
