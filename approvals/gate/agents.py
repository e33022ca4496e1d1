"""The agents that call through this gate process, by their keys: what the service said of each, for a while."""

import asyncio
import hashlib
from dataclasses import dataclass, replace
from functools import partial

from approvals.clock import boot_clock
from approvals.errors import ApprovalsError, NotInAudience, Unauthenticated, Unavailable
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
    id: str
    assertion: str
    tools: tuple[str, ...]
    until: float


class KnownAgents:
    """Keys are kept as hashes. What the service said is kept when it counts no longer: a freeze is of an agent,
    whatever its key is worth, and who was known before is told why nothing can be done for it."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client
        self._known: dict[str, Known] = {}
        self._asking: dict[str, asyncio.Task[Known]] = {}

    async def of(self, key: str) -> Known:
        """The agent whose key this is, with a live assertion; asked once, however many calls wait for the answer.
        Raises Unauthenticated for a key that is nobody's."""
        name = _hashed(key)
        known = self._known.get(name)
        if known is not None and boot_clock() < known.until:
            return known
        if name not in self._asking:
            self._asking[name] = asyncio.create_task(self._ask(name, key))
            self._asking[name].add_done_callback(partial(self._asked, name))
        return await asyncio.shield(self._asking[name])

    async def check(self, caller: Caller, server: str, tool: str) -> None:
        """Raises OutOfScope for a tool that the caller's key does not cover, Unauthenticated for a key that is
        nobody's, Unavailable while the service cannot be asked."""
        if caller.agent_key is not None and not scopes.covers((await self.of(caller.agent_key)).tools, tool):
            raise scopes.refusal(server, tool)

    def name_for(self, key: str, tool: str) -> str | None:
        """The name of the agent whose key this is, while its key is known to count and to cover the tool."""
        known = self._known.get(_hashed(key))
        if known is None or boot_clock() >= known.until or not scopes.covers(known.tools, tool):
            return None
        return known.name

    def forget(self) -> None:
        """Ask anew from now on."""
        self._asking.clear()
        self._known = {name: replace(known, until=0.0) for name, known in self._known.items()}

    async def close(self) -> None:
        """Cancel what is still asked."""
        asking = tuple(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def name_of(self, key: str) -> str | None:
        """The name of the agent whose key this is; None if it is nobody's. Raises Unavailable for one that was never
        known, while nobody can be asked: calls with one that was are each told why they are refused."""
        try:
            return (await self.of(key)).name
        except NotInAudience as error:  # it is somebody's: each of its calls is told why it is refused
            return str(error.extra.get("agent", "")) or None
        except ApprovalsError as error:
            if error.status < 500:
                return None
            known = self._known.get(_hashed(key))
            if known is None:
                raise
            return known.name

    def id_of(self, caller: Caller) -> str:
        """The caller's id as far as it was asked for before, else nothing."""
        known = self._before(caller)
        return known.id if known else ""

    def known(self, caller: Caller) -> str:
        """The caller's name as far as it was asked for before, else nothing."""
        known = self._before(caller)
        return known.name if known else ""

    def _before(self, caller: Caller) -> Known | None:
        return None if caller.agent_key is None else self._known.get(_hashed(caller.agent_key))

    async def _ask(self, name: str, key: str) -> Known:
        asked = boot_clock()
        try:
            verified = await self._client.verify_agent(key)
        except Unauthenticated as error:
            if error.extra.get("whose") == "sender":
                raise own_key_is_dead() from error
            self._known.pop(name, None)  # nobody's any more
            raise
        until = asked + max(0.0, min(LONGEST, verified.expires_in - ASSERTION_MARGIN))
        self._known[name] = known = Known(verified.agent, verified.agent_id, verified.assertion, verified.tools, until)
        return known

    def _asked(self, name: str, task: asyncio.Task[Known]) -> None:
        if self._asking.get(name) is task:
            del self._asking[name]
        if not task.cancelled():
            task.exception()  # whoever asked has it, if they still wait


def own_key_is_dead() -> Unavailable:
    """The service does not know this server's own key, and no fault of any agent's."""
    return Unavailable(
        "The approval service does not know this MCP server's own key.",
        hint="Tell the person who runs it: it needs a new APPROVALS_SERVER_KEY.",
    )


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
