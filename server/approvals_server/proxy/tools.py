"""The tools that the upstream offers to one client now."""

import asyncio
from collections.abc import Mapping
from typing import Any

from approvals.clock import boot_clock
from approvals.protocol.limits import MAX_TOOLS
from approvals.protocol.registration import ToolDefinition
from approvals_server.proxy import client_facts
from approvals_server.proxy.catalogue import definitions_of
from approvals_server.proxy.frames import Frame
from approvals_server.proxy.shared_state import Desk
from approvals_server.proxy.upstream import UpstreamLost
from approvals_server.proxy.upstream_session import Link

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
        self._rules = desk.rules
        self._asking = asyncio.Lock()

    async def get(self, name: str, asked: Frame, *, anew: bool = False) -> ToolDefinition | None:
        """A tool, for a call in the same era. `anew`, whatever is known. Raises UpstreamLost."""
        tool = (await self.all(asked, anew=anew)).get(name)
        if tool is None or anew or self.is_judged(tool):
            return tool
        return (await self.all(asked, anew=True)).get(name)  # another connection was told something else since

    def saw(self, page: list[Any]) -> None:
        """Note what a client is about to be shown: where it says something else than is known, the next call asks
        anew. What changed counts for every connection at once."""
        shown = definitions_of(page, self._desk.rules)
        names = {tool.get("name") for tool in page if isinstance(tool, dict)}
        if all(shown.get(name) == self._known.get(name) for name in names if isinstance(name, str)):
            return
        self._as_of = -1
        self._desk.catalogue.correct(shown, self.version)

    async def all(self, asked: Frame, *, anew: bool = False) -> Mapping[str, ToolDefinition]:
        """All of them, by name."""
        async with self._asking:
            if anew or not self._is_fresh:
                self._as_of, self._until = self._link.lists_changed, boot_clock() + FRESH
                self._rules = self._desk.rules
                try:
                    listed = await self._list(client_facts.envelope(asked.meta))
                    self._known = definitions_of(listed, self._desk.rules)
                except BaseException:
                    self._as_of = -1
                    raise
                self._desk.catalogue.learn(self._known, self.version)
        return self._known

    def stands(self, tool: ToolDefinition) -> bool:
        """Whether it is what the gate has registered, and nothing was said of a change."""
        return self._as_of == self._link.lists_changed and self._desk.catalogue.knows(tool, self.version)

    def is_judged(self, tool: ToolDefinition) -> bool:
        """Whether the gate's verdict on its name is one on this definition."""
        return self._desk.catalogue.defines(tool)

    @property
    def version(self) -> str:
        """Of what runs them."""
        info = self._link.answered.get("serverInfo")
        return self._desk.version(info if isinstance(info, dict) else {})

    @property
    def _is_fresh(self) -> bool:
        same = self._as_of == self._link.lists_changed and self._rules is self._desk.rules
        return same and boot_clock() < self._until

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
