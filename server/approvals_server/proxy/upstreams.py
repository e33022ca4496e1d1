"""The upstreams that a proxy stands before, and the way to them for one client."""

import contextlib
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Protocol

from approvals.gate.gate import Gate
from approvals_server.proxy.client_facts import Sender
from approvals_server.proxy.frames import Frame, RequestId
from approvals_server.proxy.relay import Relay
from approvals_server.proxy.shared_state import Desk
from approvals_server.proxy.upstream import Receive
from approvals_server.proxy.upstream_session import Connect


class Way(Protocol):
    """What takes whatever one client says."""

    def take(self, frame: Frame, sender: Sender) -> Awaitable[None]:
        """Done when it is answered, or passed on."""

    async def hang_up(self, id: RequestId) -> None:
        """The client waits no longer for this answer, and will not come for it."""

    async def close(self) -> None:
        """Leave the upstreams."""


@dataclass(frozen=True)
class Behind:
    """One upstream."""

    desk: Desk
    connect: Connect
    prefix: str = ""
    """Before the names of its tools and prompts."""

    @property
    def name(self) -> str:
        """As the approval service knows it."""
        return self.desk.gate.server


class Before(Protocol):
    """What a proxy serves."""

    @property
    def gate(self) -> Gate:
        """That knows the agents' keys."""

    def open(self, tell: Receive) -> Way:
        """Begin with one client, who hears by this."""

    def running(self) -> contextlib.AbstractAsyncContextManager[None]:
        """As long as it serves."""


class One:
    """A single upstream, passed through as it is."""

    def __init__(self, behind: Behind) -> None:
        self._behind = behind
        self.gate = behind.desk.gate

    def open(self, tell: Receive) -> Way:
        return Relay(self._behind.desk, self._behind.connect, tell)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self.gate.running():
            yield
