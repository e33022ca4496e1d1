"""The way to the server behind: what each kind of connection to it offers."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from approvals_server.proxy.frames import Frame, RequestId

Receive = Callable[[Frame, RequestId | None], Awaitable[None]]
"""Takes what the upstream says; with the request on whose own stream it came, where there is one."""


class UpstreamLost(Exception):
    """The upstream went away, in words for whoever waits for its answer. `sent` unless it is certain that the request
    did not arrive."""

    def __init__(self, words: str, *, sent: bool = True) -> None:
        super().__init__(words)
        self.sent = sent


Gone = Callable[[UpstreamLost, RequestId | None], Awaitable[None]]
"""Hears that one request gets no answer, or, without its id, that the connection is gone."""


class Upstream(Protocol):
    """One connection."""

    async def send(self, frame: Frame) -> None:
        """Pass a message on. Raises UpstreamLost."""

    async def close(self) -> None:
        """End it, and what was started for it."""
