"""One client's way to several upstreams. A call goes to the one that its name means, as it came; what asks for all of a
kind is put together."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from mcp_types import INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND

from approvals.gate.approval_arguments import GET_APPROVAL
from approvals_server.proxy import frames
from approvals_server.proxy.aggregation import merging
from approvals_server.proxy.aggregation.lists import KEYS, PROMPTS, TOOLS, Lists
from approvals_server.proxy.aggregation.relays import Relays, reworded
from approvals_server.proxy.client_facts import Sender
from approvals_server.proxy.frames import Frame, RequestId
from approvals_server.proxy.upstream import Receive
from approvals_server.proxy.upstreams import Behind

logger = logging.getLogger("approvals.proxy")

NO_GATE, NOT_ITS, CANNOT_LOOK, FOUND = range(4)
"""Of a look at a request, from what says least: one upstream's gate that cannot look now may have it."""
_OF_RESOURCES = {"resources/read", "resources/subscribe", "resources/unsubscribe"}


class Hub:
    """One."""

    def __init__(self, behind: Sequence[Behind], tell: Receive) -> None:
        self._tell = tell
        self._relays = Relays(behind, tell)
        self._lists = Lists(self._relays, _prefixes(behind))
        self._open: dict[RequestId, asyncio.Task[None]] = {}
        self._greeted: tuple[Frame, Sender] | None = None
        """The client's `initialize`, for upstreams that come later."""

    def take(self, frame: Frame, sender: Sender) -> Awaitable[None]:
        """Whatever the client says. Done when it is answered, or passed on."""
        if frame.is_request:
            return self._start(frame, sender)
        taken = self._relays.take_all(frame, sender)
        if frame.method == "notifications/cancelled":
            self._cancel(frame.params.get("requestId"))
        return _all(taken)

    async def hang_up(self, id: RequestId) -> None:
        """The client waits no longer for this answer, and will not come for it."""
        await self._relays.hang_up(id)
        self._cancel(id)

    async def change(self, behind: Sequence[Behind]) -> None:
        """Stand before these from now on, and tell the client that there is something else."""
        fresh = await self._relays.change(behind)
        self._lists.forget(_prefixes(behind))
        if self._greeted is None:
            return
        hello, sender = self._greeted
        for name in fresh:
            answer = await self._relays.ask(name, "initialize", hello.params, sender, None)
            if answer.error is None:
                await self._relays.take(name, frames.notification("notifications/initialized", {}), sender)
        for kind in ("tools", "prompts", "resources"):
            await self._tell(frames.notification(f"notifications/{kind}/list_changed", {}), None)

    async def close(self) -> None:
        """Leave the upstreams."""
        await self._relays.close()
        tasks = tuple(self._open.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, frame: Frame, sender: Sender) -> Awaitable[None]:
        id = frame.id
        assert id is not None  # noqa: S101 — it is a request
        if id in self._open:
            return self._refuse(frame, INVALID_REQUEST, "A request with this id is not answered yet.")
        task = self._open[id] = asyncio.create_task(self._answer(frame, sender))
        task.add_done_callback(lambda _: self._open.pop(id, None))
        return asyncio.shield(task)

    def _cancel(self, id: Any) -> None:
        task = self._open.get(id) if isinstance(id, str | int | float) else None
        if task is not None:
            task.cancel()

    async def _answer(self, frame: Frame, sender: Sender) -> None:
        method = frame.method or ""
        if method in KEYS:
            await self._tell(await self._lists.answer(frame, sender), frame.id)
        elif method in _OF_ALL:
            await self._ask_all(frame, sender)
        elif method == "ping":
            await self._tell(frames.result(frame.id, {}), frame.id)
        elif method == "tools/call" and frame.params.get("name") == GET_APPROVAL:
            await self._look(frame, sender)
        elif method in ("tools/call", "prompts/get"):
            await self._to_the_named(TOOLS if method == "tools/call" else PROMPTS, frame, sender)
        elif method in _OF_RESOURCES:
            await self._to_the_owner(str(frame.params.get("uri", "")), frame, sender)
        elif method == "completion/complete":
            await self._complete(frame, sender)
        else:
            await self._refuse(frame, METHOD_NOT_FOUND, f"There is no {method[:100]!r} before several upstreams.")

    async def _ask_all(self, frame: Frame, sender: Sender) -> None:
        """What a client is to know of all of them. Of `server/discover`, what any of them does not speak the proxy does
        not: its client goes on as with an older one."""
        answers = await self._relays.ask_all(frame, sender)
        failed = {name: answer for name, answer in answers.items() if answer.error is not None}
        for name, answer in failed.items():
            logger.info("%s: %s", name, (answer.error or {}).get("message"))
        results = {name: answer.result for name, answer in answers.items() if name not in failed}
        if frame.method == "initialize":
            self._greeted = frame, sender
        if not results or (failed and frame.method == "server/discover"):
            await self._tell(frames.with_id(next(iter(failed.values())), frame.id), frame.id)
            return
        await self._tell(frames.result(frame.id, _OF_ALL[frame.method or ""](results)), frame.id)

    async def _to_the_named(self, method: str, frame: Frame, sender: Sender) -> None:
        name = frame.params.get("name")
        route = await self._lists.route(method, name, frame, sender)
        if route is None:
            await self._refuse(frame, INVALID_PARAMS, f"Unknown {KEYS[method][:-1]}: {str(name)[:200]}")
            return
        meant = frame if route.name == name else reworded(frame, name=route.name)
        await self._relays.take(route.upstream, meant, sender)

    async def _look(self, frame: Frame, sender: Sender) -> None:
        """At a request of any of them: each knows its own."""
        answers: list[Frame] = []
        for name in self._relays.names:
            answers.append(await self._relays.ask(name, "tools/call", frame.params, sender, frame.id))
            if _knows(answers[-1]) == FOUND:
                break
        await self._tell(frames.with_id(max(answers, key=_knows), frame.id), frame.id)

    async def _to_the_owner(self, uri: str, frame: Frame, sender: Sender) -> None:
        name = await self._lists.owner(uri, frame, sender)
        if name is None:
            await self._refuse(frame, INVALID_PARAMS, f"None of the upstreams lists {uri[:200]!r}.")
            return
        await self._relays.take(name, frame, sender)

    async def _complete(self, frame: Frame, sender: Sender) -> None:
        said = frame.params.get("ref")
        ref: Mapping[str, Any] = said if isinstance(said, dict) else {}
        if ref.get("type") != "ref/prompt":
            await self._to_the_owner(str(ref.get("uri", "")), frame, sender)
            return
        route = await self._lists.route(PROMPTS, ref.get("name"), frame, sender)
        if route is None:
            await self._refuse(frame, INVALID_PARAMS, f"Unknown prompt: {str(ref.get('name'))[:200]}")
            return
        await self._relays.take(route.upstream, reworded(frame, ref={**ref, "name": route.name}), sender)

    async def _refuse(self, frame: Frame, code: int, words: str) -> None:
        await self._tell(frames.error(frame.id, code, words), frame.id)


def _prefixes(behind: Sequence[Behind]) -> dict[str, str]:
    return {one.name: one.prefix for one in behind}


def _knows(answer: Frame) -> int:
    """How much a gate's answer says of a request: its place among these."""
    if answer.error is None and answer.result.get("isError") is not True:
        return FOUND
    facts = answer.result.get("structuredContent")
    status = facts.get("status") if isinstance(facts, dict) else None
    return {"not_configured": NO_GATE, "not_found": NOT_ITS}.get(str(status), CANNOT_LOOK)


def _first(results: merging.Results) -> dict[str, Any]:
    return dict(next(iter(results.values())))


_OF_ALL: dict[str, Callable[[merging.Results], dict[str, Any]]] = {
    "initialize": merging.greeting,
    "server/discover": merging.discovery,
    "logging/setLevel": _first,
    "subscriptions/listen": _first,
}
"""How the answers of all become one."""


async def _all(taken: Sequence[Awaitable[None]]) -> None:
    for one in taken:
        with contextlib.suppress(asyncio.CancelledError):
            await one
