"""The agents that call through this gate process, by their keys: what the service said of each, for a while."""

import hashlib
from dataclasses import dataclass

from approvals.clock import boot_clock
from approvals.errors import ApprovalsError, NotInAudience
from approvals.gate.call import Caller
from approvals.gate.client import ServiceClient
from approvals.protocol import scopes

ASSERTION_MARGIN = 60.0
LONGEST = 15.0
"""Seconds for which an answer counts, as for a verdict: a key that was taken back, or narrowed, reads no longer."""


@dataclass(frozen=True)
class Known:
    """An agent, as the service said."""

    name: str
    assertion: str
    tools: tuple[str, ...]
    until: float


class KnownAgents:
    """Keys are kept as hashes."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client
        self._known: dict[str, Known] = {}
        self._ids: dict[str, str] = {}
        """Kept when the answer counts no longer: a freeze is of an agent, whatever its key is worth."""

    async def of(self, key: str) -> Known:
        """Who it is, with a live assertion. Raises Unauthenticated for a key that is nobody's."""
        name = _hashed(key)
        known = self._known.get(name)
        if known is not None and boot_clock() < known.until:
            return known
        asked = boot_clock()
        verified = await self._client.verify_agent(key)
        until = asked + max(0.0, min(LONGEST, verified.expires_in - ASSERTION_MARGIN))
        self._ids[name] = verified.agent_id
        self._known[name] = known = Known(verified.agent, verified.assertion, verified.tools, until)
        return known

    async def check(self, caller: Caller, server: str, tool: str) -> None:
        """Raises OutOfScope for a tool that the caller's key does not cover, Unauthenticated for a key that is
        nobody's, Unavailable while the service cannot be asked."""
        if caller.agent_key is not None and not scopes.covers((await self.of(caller.agent_key)).tools, tool):
            raise scopes.refusal(server, tool)

    def forget(self) -> None:
        """Ask anew from now on."""
        self._known.clear()

    async def name_of(self, key: str) -> str | None:
        """None for a key that is nobody's. Raises Unavailable."""
        try:
            return (await self.of(key)).name
        except NotInAudience as error:  # it is somebody's: each of its calls is told why it is refused
            return str(error.extra.get("agent", "")) or None
        except ApprovalsError as error:
            if error.status >= 500:
                raise
            return None

    def id_of(self, caller: Caller) -> str:
        """The caller's id as far as it was asked for before, else nothing."""
        return "" if caller.agent_key is None else self._ids.get(_hashed(caller.agent_key), "")

    def known(self, caller: Caller) -> str:
        """The caller's name as far as it was asked for before, else nothing."""
        if caller.agent_key is None:
            return ""
        found = self._known.get(_hashed(caller.agent_key))
        return found.name if found else ""


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
