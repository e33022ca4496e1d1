"""The proxy's connection to the upstream on behalf of one client: it is made when it is needed, and made again after
the upstream died. What was under way then is never sent again."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from mcp_types import INVALID_REQUEST

from approvals.clock import boot_clock
from approvals_server.proxy import frames
from approvals_server.proxy.frames import Frame, RequestId
from approvals_server.proxy.upstream import Gone, Receive, Upstream, UpstreamLost

logger = logging.getLogger("approvals.proxy")

Connect = Callable[[Receive, Gone], Awaitable[Upstream]]
"""Makes a connection, which hands over what it hears, and says when it is gone."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before an upstream is started again that ended soon after its last start; each time twice as long."""
BEARABLE = 5.0
"""Seconds of that pause for which a request is held; after a longer one it is refused."""
LONG_ENOUGH = 30.0
"""Seconds that an upstream has to live to be started again at once."""

DECLINED = (
    "A person approved the call that runs now, and nobody has approved what the client would answer, so it was not "
    "asked. Make it an argument."
)


@dataclass
class _Awaited:
    answer: asyncio.Future[Frame]
    through: bool
    """Whether the client hears the answer at once, as it came."""


class Link:
    """One."""

    def __init__(self, connect: Connect, tell: Receive) -> None:
        self._connect = connect
        self._tell = tell
        self._upstream: Upstream | None = None
        self._connecting = asyncio.Lock()
        self._awaited: dict[RequestId, _Awaited] = {}
        self._progress: dict[str, Callable[[Mapping[str, Any]], Awaitable[None]]] = {}
        self._name = secrets.token_hex(8)
        """Begins the ids of the proxy's own requests, so that no client can name one."""
        self._count = 0
        self._approved: dict[RequestId, list[str]] = {}
        """Calls that run on a permission now, and what was declined during each."""
        self._declining: set[asyncio.Task[None]] = set()
        self._since = self._not_before = 0.0
        self._pause = FIRST_PAUSE
        self.handshake: Frame | None = None
        """The client's `initialize`, to be said again to an upstream that was started again."""
        self.answered: Mapping[str, Any] = {}
        """What the upstream answered to it."""
        self.lists_changed = 0
        """Counts how often the upstream said that its tools changed, or was started anew."""

    async def request(self, frame: Frame, *, through: bool) -> Frame:
        """The upstream's answer to a request of the client's. Raises UpstreamLost."""
        assert frame.id is not None  # noqa: S101 — it is a request
        if frame.method == "initialize":
            self.handshake = None
        answer = await self._answer(frame, frame.id, through)
        if frame.method == "initialize":
            self.handshake, self.answered = frame, answer.result
        return answer

    async def ask(
        self,
        method: str,
        params: Mapping[str, Any],
        progress: Callable[[Mapping[str, Any]], Awaitable[None]] | None = None,
        declined: list[str] | None = None,
    ) -> Frame:
        """The upstream's answer to a request of the proxy's own; `progress` hears of it meanwhile. With `declined`,
        which gets its methods, the upstream can ask the client for nothing until then. Raises UpstreamLost."""
        self._count += 1
        id = f"{self._name}-{self._count}"
        if progress is not None:
            self._progress[id] = progress
            params = {**params, "_meta": {**params.get("_meta", {}), "progressToken": id}}
        if declined is not None:
            self._approved[id] = declined
        try:
            return await self._answer(frames.request(id, method, params), id, through=False)
        finally:
            self._progress.pop(id, None)
            self._approved.pop(id, None)

    async def send(self, frame: Frame) -> None:
        """Pass on a notification or a response of the client's; what nobody is there to hear is gone."""
        if self._upstream is not None:
            await self._upstream.send(frame)

    def carries(self, id: RequestId) -> bool:
        """Whether a request of the client's is with the upstream now, under its own id."""
        return id in self._awaited and not self.is_own(id)

    def is_own(self, id: Any) -> bool:
        """Whether an id is one of the proxy's own requests."""
        return isinstance(id, str) and id.startswith(f"{self._name}-")

    async def close(self) -> None:
        await asyncio.gather(*self._declining)
        if self._upstream is not None:
            await self._upstream.close()

    async def receive(self, frame: Frame, about: RequestId | None) -> None:
        """What the upstream says."""
        if frame.is_response:
            await self._heard(frame)
            return
        if frame.is_request and frame.method != "ping" and (calls := self._steered(about)):
            self._decline(frame, calls)
            return
        if frame.method == "notifications/tools/list_changed":
            self.lists_changed += 1
        token = frame.params.get("progressToken") if frame.method == "notifications/progress" else None
        if not self.is_own(token):
            await self._tell(frame, about)
        elif token in self._progress:
            await self._progress[token](frame.params)

    def _steered(self, about: RequestId | None) -> list[list[str]]:
        """The approved calls that an answer of the client's could steer: where the upstream does not say to which
        request its own belongs, all of them."""
        known = about is not None and about in self._awaited
        return [declined for id, declined in self._approved.items() if not known or id == about]

    def _decline(self, frame: Frame, calls: list[list[str]]) -> None:
        """Beside what is being heard, which must not wait for what is said."""
        for declined in calls:
            declined.append(frame.method or "")
        task = asyncio.create_task(self._say(frames.error(frame.id, INVALID_REQUEST, DECLINED)))
        self._declining.add(task)
        task.add_done_callback(self._declining.discard)

    async def _say(self, frame: Frame) -> None:
        with suppress(UpstreamLost):
            await self.send(frame)

    async def _heard(self, frame: Frame) -> None:
        awaited = self._awaited.get(frame.id) if frame.id is not None else None
        if awaited is None or awaited.answer.done():  # to nothing that it was asked: the client may wait for a person
            logger.warning("The upstream answered to what it was not asked, or twice; nobody is told.")
            return
        if awaited.through:
            await self._tell(frame, frame.id)
        if not awaited.answer.done():
            awaited.answer.set_result(frame)

    async def _gone(self, lost: UpstreamLost, id: RequestId | None) -> None:
        if id is not None:
            self._fail(id, lost)
            return
        self._upstream = None
        self.lists_changed += 1
        now = boot_clock()
        self._pause = FIRST_PAUSE if now - self._since > LONG_ENOUGH else min(self._pause * 2, LONGEST_PAUSE)
        self._not_before = now + self._pause if now - self._since <= LONG_ENOUGH else now
        for awaited in tuple(self._awaited):
            self._fail(awaited, lost)

    def _fail(self, id: RequestId, lost: UpstreamLost) -> None:
        awaited = self._awaited.get(id)
        if awaited is not None and not awaited.answer.done():
            awaited.answer.set_exception(UpstreamLost(str(lost), sent=lost.sent))

    async def _answer(self, frame: Frame, id: RequestId, through: bool) -> Frame:
        """What is certain not to have arrived is sent once more, by a new connection."""
        upstream = await self._connected()
        try:
            return await self._answer_of(upstream, frame, id, through)
        except UpstreamLost as lost:
            if lost.sent or self._upstream is upstream:
                raise
        return await self._answer_of(await self._connected(), frame, id, through)

    async def _answer_of(self, upstream: Upstream, frame: Frame, id: RequestId, through: bool) -> Frame:
        with self._awaiting(id, through) as answer:
            await upstream.send(frame)
            return await answer

    @contextmanager
    def _awaiting(self, id: RequestId, through: bool) -> Iterator[asyncio.Future[Frame]]:
        awaited = _Awaited(asyncio.get_running_loop().create_future(), through)
        self._awaited[id] = awaited
        try:
            yield awaited.answer
        finally:
            del self._awaited[id]
            if awaited.answer.done() and not awaited.answer.cancelled():
                awaited.answer.exception()

    async def _connected(self) -> Upstream:
        if self._upstream is not None:
            return self._upstream
        async with self._connecting:
            if self._upstream is None:
                left = self._not_before - boot_clock()
                if left > BEARABLE:
                    words = f"The upstream MCP server ended. It is started again in {left:.0f} seconds."
                    raise UpstreamLost(words, sent=False)
                await asyncio.sleep(max(0.0, left))
                self._since = boot_clock()
                self._upstream = upstream = await self._connect(self.receive, self._gone)
                if self.handshake is not None:
                    await self._shake_hands(upstream, self.handshake)
                return upstream
            return self._upstream

    async def _shake_hands(self, upstream: Upstream, before: Frame) -> None:
        """As the client did with the upstream that died. Raises UpstreamLost for one that is another now."""
        id = f"{self._name}-again"
        answer = await self._answer_of(upstream, frames.request(id, "initialize", before.params), id, through=False)
        if any(answer.result.get(name) != self.answered.get(name) for name in ("protocolVersion", "capabilities")):
            await upstream.close()
            self._upstream = None
            words = "The upstream MCP server was started again, and offers other things now: connect anew."
            raise UpstreamLost(words, sent=False)
        self.answered = answer.result
        await upstream.send(frames.notification("notifications/initialized", {}))
