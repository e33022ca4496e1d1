"""The agents that call through this gate process, by their keys: what the service said of each, for a while."""

import hashlib

from approvals.call import Caller
from approvals.client import ServiceClient
from approvals.clock import boot_clock
from approvals.errors import ApprovalsError, NotInAudience

ASSERTION_MARGIN = 60.0


class KnownAgents:
    """Keys are kept as hashes."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client
        self._assertions: dict[str, tuple[str, str, float]] = {}
        self._ids: dict[str, str] = {}

    async def assertion(self, key: str) -> tuple[str, str]:
        """A live assertion and the agent's name. Raises Unauthenticated for a key that is nobody's."""
        name = _hashed(key)
        known = self._assertions.get(name)
        if known is not None and boot_clock() < known[2]:
            return known[0], known[1]
        asked = boot_clock()
        verified = await self._client.verify_agent(key)
        until = asked + max(0.0, min(30.0, verified.expires_in - ASSERTION_MARGIN))
        self._ids[name] = verified.agent_id
        self._assertions[name] = (verified.assertion, verified.agent, until)
        return verified.assertion, verified.agent

    def forget(self) -> None:
        """Ask anew from now on."""
        self._assertions.clear()

    async def name_of(self, key: str) -> str | None:
        """None for a key that is nobody's. Raises Unavailable."""
        try:
            return (await self.assertion(key))[1]
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
        found = self._assertions.get(_hashed(caller.agent_key))
        return found[1] if found else ""


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
