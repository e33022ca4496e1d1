"""The agents that call through this gate process, by their keys: what the service said of each, for a while."""

import hashlib

from approvals.call import Caller
from approvals.client import ServiceClient
from approvals.clock import boot_clock
from approvals.errors import ApprovalsError

ASSERTION_MARGIN = 60.0


class KnownAgents:
    """Keys are kept as hashes."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client
        self._assertions: dict[str, tuple[str, str, float]] = {}

    async def assertion(self, key: str) -> tuple[str, str]:
        """A live assertion and the agent's name. Raises Unauthenticated for a key that is nobody's."""
        name = hashlib.sha256(key.encode()).hexdigest()
        known = self._assertions.get(name)
        if known is not None and boot_clock() < known[2]:
            return known[0], known[1]
        asked = boot_clock()
        verified = await self._client.verify_agent(key)
        until = asked + max(0.0, min(30.0, verified.expires_in - ASSERTION_MARGIN))
        self._assertions[name] = (verified.assertion, verified.agent, until)
        return verified.assertion, verified.agent

    def forget(self) -> None:
        """Ask anew from now on."""
        self._assertions.clear()

    async def name_of(self, key: str) -> str | None:
        """None for a key that is nobody's. Raises Unavailable."""
        try:
            return (await self.assertion(key))[1]
        except ApprovalsError as error:
            if error.status >= 500:
                raise
            return None

    def known(self, caller: Caller) -> str:
        """The caller's name as far as it was asked for before, else nothing."""
        if caller.agent_key is None:
            return ""
        found = self._assertions.get(hashlib.sha256(caller.agent_key.encode()).hexdigest())
        return found[1] if found else ""
