"""The tools that the upstream offers to one client now."""

import asyncio
from collections.abc import Mapping
from typing import Any

from approvals.clock import boot_clock
from approvals.protocol.limits import MAX_TOOLS
from approvals.protocol.registration import ToolDefinition
from approvals_server.proxy import peer
from approvals_server.proxy.catalogue import definitions_of
from approvals_server.proxy.desk import Desk
from approvals_server.proxy.frames import Frame
from approvals_server.proxy.link import Link
from approvals_server.proxy.upstream import UpstreamLost

MAX_PAGES = 1_000
FRESH = 15.0
"""Seconds for which a list counts where nobody says that it changed: as long as a verdict."""


class Tools:
    """What `tools/list` says, asked again when it may have changed."""

    def __init__(self, desk: Desk, link: Link) -> None:
        self._desk = desk
        self._link = link
        self._known: Mapping[str, ToolDefinition] = {}
        self._as_of = -1
        self._until = 0.0
        self._asking = asyncio.Lock()

    async def get(self, name: str, asked: Frame, *, anew: bool = False) -> ToolDefinition | None:
        """A tool, for a call in the same era. `anew`, whatever is known. Raises UpstreamLost."""
        return (await self.all(asked, anew=anew)).get(name)

    async def all(self, asked: Frame, *, anew: bool = False) -> Mapping[str, ToolDefinition]:
        """All of them, by name."""
        async with self._asking:
            if anew or not self._is_fresh(asked):
                self._as_of, self._until = self._link.lists_changed, boot_clock() + FRESH
                try:
                    self._known = definitions_of(await self._list(peer.envelope(asked.meta)))
                except BaseException:
                    self._as_of = -1
                    raise
                self._desk.catalogue.learn(self._known, self.version)
        return self._known

    def stands(self, tool: ToolDefinition) -> bool:
        """Whether it is what the gate has registered, and nothing was said of a change."""
        return self._as_of == self._link.lists_changed and self._desk.catalogue.knows(tool, self.version)

    @property
    def version(self) -> str:
        """Of what runs them."""
        info = self._link.answered.get("serverInfo")
        return self._desk.version(info if isinstance(info, dict) else {})

    def _is_fresh(self, asked: Frame) -> bool:
        return self._as_of == self._link.lists_changed and (not peer.is_modern(asked) or boot_clock() < self._until)

    async def _list(self, params: dict[str, Any]) -> list[Any]:
        found: list[Any] = []
        for _ in range(MAX_PAGES):
            answer = await self._link.ask("tools/list", params)
            if answer.error is not None:
                raise UpstreamLost(f"The upstream MCP server does not say what its tools are: {_words(answer)}")
            tools, cursor = answer.result.get("tools"), answer.result.get("nextCursor")
            found += tools if isinstance(tools, list) else []
            if len(found) > MAX_TOOLS:
                break
            if not isinstance(cursor, str):
                return found
            params = {**params, "cursor": cursor}
        raise UpstreamLost(f"The upstream MCP server lists more than {MAX_TOOLS:,} tools, or {MAX_PAGES:,} pages.")


def _words(answer: Frame) -> str:
    return str((answer.error or {}).get("message", ""))[:500]
