"""The relays of one client, one for each upstream: what the proxy asks them itself, under ids of its own, and what they
say to the client, in whose ids."""

import asyncio
import itertools
import logging
import secrets
from collections.abc import Awaitable, Mapping, Sequence
from functools import partial
from typing import Any

from mcp_types import INVALID_REQUEST

from approvals_server.proxy import frames
from approvals_server.proxy.client_facts import SUBSCRIPTION, Sender
from approvals_server.proxy.frames import Frame, RequestId
from approvals_server.proxy.relay import Relay
from approvals_server.proxy.upstream import Receive
from approvals_server.proxy.upstreams import Behind

logger = logging.getLogger("approvals.proxy")

_CANCELLED = "notifications/cancelled"
_ACKNOWLEDGED = "notifications/subscriptions/acknowledged"


class Relays:
    """All of one client's, by the names of their upstreams."""

    def __init__(self, behind: Sequence[Behind], tell: Receive) -> None:
        self._tell = tell
        self._behind = {one.name: one for one in behind}
        self._by_name = {name: self._relay(one) for name, one in self._behind.items()}
        self._own = secrets.token_hex(8)
        self._count = itertools.count(1)
        self._awaited: dict[RequestId, asyncio.Future[Frame]] = {}
        self._asked_for: dict[Any, RequestId] = {}
        """The client's request for which each of the proxy's own was made."""
        self._acknowledged: set[RequestId] = set()
        self._questions: dict[Any, tuple[str, RequestId]] = {}
        """What upstreams asked the client: who, and under which id of theirs."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._by_name)

    def take(self, name: str, frame: Frame, sender: Sender) -> Awaitable[None]:
        """A request of the client's, for one of them."""
        relay = self._by_name.get(name)
        if relay is None:  # since the configuration changed
            return self._hear(
                name, frames.error(frame.id, INVALID_REQUEST, f"{name} is not served any more."), frame.id
            )
        return relay.take(frame, sender)

    def take_all(self, frame: Frame, sender: Sender) -> list[Awaitable[None]]:
        """A notification of the client's, for all of them; an answer, for the one that asked."""
        if not frame.is_response:
            return [relay.take(frame, sender) for relay in self._by_name.values()]
        name, id = self._questions.pop(frame.id, ("", 0))
        asking = self._by_name.get(name)
        return [asking.take(frames.with_id(frame, id), sender)] if asking is not None else []

    async def hang_up(self, id: RequestId) -> None:
        """The client waits no longer for this answer."""
        await asyncio.gather(*(relay.hang_up(id) for relay in self._by_name.values()))

    async def change(self, behind: Sequence[Behind]) -> list[str]:
        """Leave the upstreams that are none of these, and begin with those that are new; their names."""
        wanted = {one.name: one for one in behind}
        gone = [name for name, one in self._behind.items() if wanted.get(name) is not one]
        leaving = [self._by_name.pop(name) for name in gone]
        fresh = [name for name, one in wanted.items() if self._behind.get(name) is not one]
        self._behind = wanted
        self._by_name |= {name: self._relay(wanted[name]) for name in fresh}
        await asyncio.gather(*(relay.leave() for relay in leaving))
        return fresh

    async def close(self) -> None:
        """Leave the upstreams."""
        await asyncio.gather(*(relay.close() for relay in self._by_name.values()))

    async def ask_all(self, frame: Frame, sender: Sender) -> dict[str, Frame]:
        """What each of them answers to a request of the client's."""
        asking = (self.ask(name, frame.method or "", frame.params, sender, frame.id) for name in self._by_name)
        answers = dict(zip(self._by_name, await asyncio.gather(*asking), strict=True))
        self._acknowledged.discard(frame.id or 0)
        return answers

    async def ask(
        self, name: str, method: str, params: Mapping[str, Any], sender: Sender, whose: RequestId | None
    ) -> Frame:
        """The answer of one of them, or its refusal, to a request that is made for one of the client's."""
        id = f"{self._own}-{next(self._count)}"
        future = self._awaited[id] = asyncio.get_running_loop().create_future()
        if whose is not None:
            self._asked_for[id] = whose
        try:
            await self.take(name, frames.request(id, method, params), sender)
        except asyncio.CancelledError:
            if name in self._by_name:
                await self._by_name[name].hang_up(id)
            raise
        finally:
            del self._awaited[id]
            self._asked_for.pop(id, None)
        return future.result() if future.done() else frames.error(id, INVALID_REQUEST, "It was not answered.")

    def _relay(self, behind: Behind) -> Relay:
        return Relay(behind.desk, behind.connect, partial(self._hear, behind.name))

    async def _hear(self, name: str, frame: Frame, about: RequestId | None) -> None:
        """What an upstream, or the gate before it, says."""
        if frame.is_response:
            if frame.id in self._awaited:
                self._awaited[frame.id].set_result(frame)
            else:
                await self._tell(frame, about)
            return
        whose = self._asked_for.get(about, about)
        if frame.is_request and frame.id is not None:
            await self._tell(self._question(name, frame, frame.id), whose)
        elif frame.method == _CANCELLED:
            await self._withdraw(name, frame, whose)
        elif frame.method != _ACKNOWLEDGED or self._is_first(whose):
            await self._tell(self._as_asked(frame), whose)

    async def _withdraw(self, name: str, frame: Frame, whose: RequestId | None) -> None:
        """An upstream takes back a question of its own; those of others are none of its business."""
        asked = name, frame.params.get("requestId")
        own = next((own for own, question in self._questions.items() if question == asked), None)
        if own is None:
            logger.warning("%s cancels what it did not ask; nobody is told.", name)
            return
        await self._tell(reworded(frame, requestId=own), whose)

    def _question(self, name: str, frame: Frame, id: RequestId) -> Frame:
        """Under an id that no other upstream uses."""
        own = f"{self._own}-q{next(self._count)}"
        self._questions[own] = name, id
        return frames.with_id(frame, own)

    def _is_first(self, whose: RequestId | None) -> bool:
        """Of one subscription, each upstream acknowledges its own part; the client hears it once."""
        if whose is None or whose in self._acknowledged:
            return whose is None
        self._acknowledged.add(whose)
        return True

    def _as_asked(self, frame: Frame) -> Frame:
        """A notification with the client's names for requests."""
        subscription = frame.meta.get(SUBSCRIPTION)
        if isinstance(subscription, str) and subscription in self._asked_for:
            return reworded(frame, _meta={**frame.meta, SUBSCRIPTION: self._asked_for[subscription]})
        return frame


def reworded(frame: Frame, **params: Any) -> Frame:
    """A message with some of its params in other words."""
    said = {**frame.params, **params}
    if frame.id is None:
        return frames.notification(frame.method or "", said)
    return frames.request(frame.id, frame.method or "", said)
