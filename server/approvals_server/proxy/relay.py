"""One client's connection and the upstream's beside it: what comes from one goes to the other, as it came; calls of
tools pass the gate, and everything that a client asks for is on record."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import anyio
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST

from approvals.errors import ApprovalsError
from approvals.gate.approval_arguments import GET_APPROVAL
from approvals.gate.call import Caller
from approvals_server.proxy import approval_arguments, client_facts, frames
from approvals_server.proxy.client_facts import Sender
from approvals_server.proxy.frames import Frame, RequestId
from approvals_server.proxy.get_approval import look
from approvals_server.proxy.rules.rule import Rules
from approvals_server.proxy.shared_state import Desk
from approvals_server.proxy.toolcall import ToolCall, UpstreamError, on_the_wire
from approvals_server.proxy.tools import Tools
from approvals_server.proxy.upstream import Receive, UpstreamLost
from approvals_server.proxy.upstream_session import Connect, Link

logger = logging.getLogger("approvals.proxy")

_UNRECORDED = {"initialize", "ping", "server/discover"}
"""They carry nothing of the agent's doing."""
_LISTS = {"tools/list", "resources/list", "resources/templates/list", "prompts/list"}
"""What a client may see of a server that has no gate yet, so that it can ask, and be told why not."""
MOST_OPEN = 1_000
"""Requests of one client at once."""

LEFT = (
    "The proxy's configuration of this MCP server changed while this was not answered yet. See what became of a call "
    "with get_approval, or call it again with identical arguments."
)


@dataclass(frozen=True)
class _Open:
    """A request that is not answered yet."""

    task: asyncio.Task[None]
    scope: anyio.CancelScope
    """Cancels it. A task's own `cancel` would break through what the gate shields: a call that runs."""


class Relay:
    """One. `tell` says something to the client; with the request that it belongs to, as far as that is known."""

    def __init__(self, desk: Desk, connect: Connect, tell: Receive) -> None:
        self._desk = desk
        self._tell = tell
        self._link = Link(connect, tell)
        self._tools = Tools(desk, self._link)
        self._open: dict[RequestId, _Open] = {}
        self._left = False

    def take(self, frame: Frame, sender: Sender) -> Awaitable[None]:
        """Whatever the client says. Done when it is answered, or passed on."""
        if frame.is_request:
            return self._start(frame, sender)
        return self._pass(frame)

    async def hang_up(self, id: RequestId) -> None:
        """The client waits no longer for this answer, and will not come for it."""
        await self._cancel(frames.notification("notifications/cancelled", {"requestId": id}))

    async def leave(self) -> None:
        """Close, since the configuration changed; the client, which goes on, hears so of what it waits for."""
        self._left = True
        await self.close()

    async def close(self) -> None:
        """Cancel what waits, let what runs on a permission come to its end, and leave the upstream."""
        running = tuple(self._open.values())
        for one in running:
            one.scope.cancel()
        await asyncio.gather(*(one.task for one in running), return_exceptions=True)
        await self._link.close()

    def _start(self, frame: Frame, sender: Sender) -> Awaitable[None]:
        id = frame.id
        assert id is not None  # noqa: S101 — it is a request
        if id in self._open or self._link.is_own(id):
            return self._refuse(frame, INVALID_REQUEST, "A request with this id is not answered yet.")
        if len(self._open) >= MOST_OPEN:
            return self._refuse(frame, INTERNAL_ERROR, f"{MOST_OPEN} requests wait for their answers; no more at once.")
        scope = anyio.CancelScope()
        task = asyncio.create_task(self._answer_within(scope, frame, sender))
        self._open[id] = _Open(task, scope)
        task.add_done_callback(lambda _: self._open.pop(id, None))
        return asyncio.shield(task)

    async def _answer_within(self, scope: anyio.CancelScope, frame: Frame, sender: Sender) -> None:
        with scope:
            await self._answer(frame, sender)
        if scope.cancelled_caught and self._left:
            await self._refuse(frame, INTERNAL_ERROR, LEFT)

    async def _pass(self, frame: Frame) -> None:
        """A notification, or the answer to a request of the upstream's."""
        method = frame.method
        if method is not None and not method.startswith("notifications/"):
            logger.warning("a client sent %.100r without an id, which asks for nothing", method)
            return
        if method == "notifications/cancelled":
            await self._cancel(frame)
            return
        try:
            await self._link.send(frame)
        except UpstreamLost:
            logger.info("the upstream is gone, and misses a message")

    async def _cancel(self, frame: Frame) -> None:
        """What only waits here is none of the upstream's business, and what runs on a permission runs to its end."""
        id = frame.params.get("requestId")
        if not isinstance(id, str | int | float) or self._link.is_own(id):
            return
        if self._link.carries(id):
            with contextlib.suppress(UpstreamLost):
                await self._link.send(frame)
        if id in self._open:
            self._open[id].scope.cancel()

    async def _answer(self, frame: Frame, sender: Sender) -> None:
        caller = sender.caller(client_facts.client_of(frame, self._link.handshake, sender.transport))
        try:
            if frame.method == "tools/call":
                await self._call(frame, sender, caller)
            elif frame.method in _UNRECORDED or (frame.method in _LISTS and not self._desk.gate.is_configured):
                await self._request(frame)
            else:
                await self._desk.gate.observe(
                    frame.method or "",
                    str(frame.params.get("uri") or frame.params.get("name") or ""),
                    lambda: self._request(frame),
                    caller,
                    free=frame.method in _LISTS,
                )
        except UpstreamError:
            pass  # on record; the client has heard it
        except UpstreamLost as error:
            await self._refuse(frame, INTERNAL_ERROR, str(error))
        except ApprovalsError as error:
            await self._refuse(frame, INTERNAL_ERROR, f"NOT EXECUTED: {error.detail} {error.hint}".strip())

    async def _request(self, frame: Frame) -> None:
        """Pass it on. Raises UpstreamError when the answer was an error."""
        is_list = frame.method == "tools/list" and self._desk.gate.is_configured
        answer = await self._link.request(frame, through=not is_list)
        if is_list:
            self._tools.saw(_page(answer))
            await self._tell(_listed(answer, frame, self._desk.rules), frame.id)
        if answer.error is not None:
            raise UpstreamError(answer, told=True)

    async def _call(self, frame: Frame, sender: Sender, caller: Caller) -> None:
        name, arguments = frame.params.get("name"), frame.params.get("arguments", {})
        if not isinstance(name, str) or not isinstance(arguments, dict):
            await self._refuse(frame, INVALID_PARAMS, "A call has a tool's name, and arguments that are an object.")
            return
        if name == GET_APPROVAL:
            result = on_the_wire(await look(self._desk.gate, arguments, caller), frame)
            await self._tell(frames.result(frame.id, result), frame.id)
            return
        tool = await self._tools.get(name, frame) or await self._tools.get(name, frame, anew=True)
        if tool is not None:
            await ToolCall(self._desk, self._link, self._tools, self._tell, frame, tool, sender).answer()
        else:
            await self._desk.gate.note_unknown(name, caller)
            await self._refuse(frame, INVALID_PARAMS, f"Unknown tool: {name[:200]}")

    async def _refuse(self, frame: Frame, code: int, words: str) -> None:
        await self._tell(frames.error(frame.id, code, words), frame.id)


def _listed(answer: Frame, asked: Frame, rules: Rules) -> Frame:
    """A page of tools as agents see them; on the first, the gate's own beside them."""
    if not isinstance(answer.result.get("tools"), list):
        return answer
    told = [approval_arguments.listed(tool, rules) for tool in approval_arguments.not_the_gates(_page(answer))]
    if "cursor" not in asked.params:
        told.append(approval_arguments.LOOK)
    return frames.result(answer.id, {**answer.result, "tools": told})


def _page(answer: Frame) -> list[Any]:
    tools = answer.result.get("tools")
    return tools if isinstance(tools, list) else []
