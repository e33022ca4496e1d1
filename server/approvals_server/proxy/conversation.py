"""What goes on between one caller over HTTP and the upstream: a session of the older protocols, or all requests of
2026-07-28 of one agent. Says each message of the upstream's on the stream where it belongs."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcp_types import INTERNAL_ERROR

from approvals.clock import boot_clock
from approvals_server.proxy import client_facts, frames
from approvals_server.proxy.client_facts import SUBSCRIPTION, Sender
from approvals_server.proxy.frames import Frame, RequestId
from approvals_server.proxy.http_exchange import Exchange
from approvals_server.proxy.upstreams import Before


@dataclass(frozen=True)
class _Asked:
    exchange: Exchange
    id: RequestId
    """As the client knows it."""
    token: str | int | None


class Conversation:
    """One. `modern` when each request stands for itself: their ids, which each client counts for itself, are
    replaced."""

    def __init__(self, before: Before, agent_key: str | None, *, modern: bool) -> None:
        self.agent_key = agent_key
        self.used = boot_clock()
        self.answered: Frame | None = None
        """The answer to its `initialize`."""
        self._modern = modern
        self._way = before.open(self._tell)
        self._asked: dict[RequestId, _Asked] = {}
        self._numbers = itertools.count(1)
        self._own: Exchange | None = None

    @property
    def idle_since(self) -> float | None:
        """None while somebody waits for something."""
        return None if self._asked or self._own is not None else self.used

    async def ask(self, frame: Frame, exchange: Exchange, sender: Sender) -> None:
        """A request: until its answer is said, or its client is gone."""
        assert frame.id is not None  # noqa: S101 — it is a request
        asked = _Asked(exchange, frame.id, client_facts.progress_token(frame))
        inner = self._numbered(frame) if self._modern else frame
        id = inner.id
        if id is None or id in self._asked:
            exchange.say(frames.error(frame.id, INTERNAL_ERROR, "A request with this id is not answered yet."))
            await exchange.run()
            return
        self._asked[id] = asked
        answering = self._way.take(inner, sender)
        try:
            await exchange.run()
        finally:
            self.used = boot_clock()
            del self._asked[id]
            if exchange.hung_up and self._modern:  # in the older protocols, that is no cancellation
                await self._way.hang_up(id)
            del answering

    async def say(self, frame: Frame, sender: Sender) -> None:
        """A notification, or the answer to a request of the upstream's."""
        self.used = boot_clock()
        await self._way.take(frame, sender)

    async def listen(self, exchange: Exchange) -> None:
        """What belongs to no request, until the client is gone, or listens elsewhere."""
        if self._own is not None:
            self._own.end()
        self._own = exchange
        try:
            await exchange.run(streams=True)
        finally:
            self.used = boot_clock()
            if self._own is exchange:
                self._own = None

    async def close(self) -> None:
        if self._own is not None:
            self._own.end()
        await self._way.close()

    async def _tell(self, frame: Frame, about: RequestId | None) -> None:
        asked = self._asked.get(about) if about is not None else None
        if frame.is_response:
            if asked is not None:
                self.answered = self.answered or frame
                asked.exchange.say(frames.with_id(frame, asked.id) if self._modern else frame)
        elif asked is not None:
            asked.exchange.say(self._as_asked(frame, asked))
        else:
            self._say_somewhere(frame)

    def _say_somewhere(self, frame: Frame) -> None:
        """Upstreams over stdio do not say to which request it belongs."""
        token = frame.params.get("progressToken")
        for id, asked in self._asked.items():
            if token is not None and token == (id if self._modern else asked.token):
                asked.exchange.say(self._as_asked(frame, asked))
                return
        if self._own is not None:
            self._own.say(frame)
        elif self._asked:
            last = next(reversed(self._asked.values()))
            last.exchange.say(self._as_asked(frame, last))

    def _numbered(self, frame: Frame) -> Frame:
        id = next(self._numbers)
        if client_facts.progress_token(frame) is None:
            return frames.with_id(frame, id)
        meta = {**frame.meta, "progressToken": id}
        return frames.request(id, frame.method or "", {**frame.params, "_meta": meta})

    def _as_asked(self, frame: Frame, asked: _Asked) -> Frame:
        """With the client's own names for its request."""
        if not self._modern:
            return frame
        params: dict[str, Any] = dict(frame.params)
        meta = params.get("_meta")
        if asked.token is not None and "progressToken" in params:
            params["progressToken"] = asked.token
        if isinstance(meta, Mapping) and SUBSCRIPTION in meta:
            params["_meta"] = {**meta, SUBSCRIPTION: asked.id}
        return frame if params == frame.params else frames.notification(frame.method or "", params)
