"""The look at what a call would do: one read of the same upstream, by the connection of its caller."""

from collections.abc import Mapping
from typing import Any

from mcp.server.mcpserver.exceptions import ToolError

from approvals.gate.preview import Look
from approvals.protocol.previews import Preview
from approvals.protocol.registration import ToolDefinition
from approvals_server.proxy import client_facts
from approvals_server.proxy.frames import Frame
from approvals_server.proxy.rules.effect import Answer, NoEffect, arguments_of_read, effect
from approvals_server.proxy.rules.rule import PreviewRule, Read
from approvals_server.proxy.tools import Tools
from approvals_server.proxy.upstream import UpstreamLost
from approvals_server.proxy.upstream_session import Link

SECONDS = 3.0
"""For one read: a permission that is taken has five to start."""


def look_of(rule: PreviewRule | None, link: Link, tools: Tools, asked: Frame) -> Look | None:
    """How the gate looks, for a call in the same era."""
    return None if rule is None else Look(_Looking(rule, link, tools, asked), SECONDS)


class _Looking:
    """One call's."""

    def __init__(self, rule: PreviewRule, link: Link, tools: Tools, asked: Frame) -> None:
        self._rule = rule
        self._link = link
        self._tools = tools
        self._asked = asked

    async def __call__(self, /, **arguments: Any) -> Preview:
        try:
            answer = await self._read(self._rule.read, arguments) if self._rule.read is not None else None
            return effect(self._rule, arguments, answer)
        except NoEffect as error:
            raise ToolError(str(error)) from error

    async def _read(self, read: Read, arguments: Mapping[str, Any]) -> Answer:
        """Raises NoEffect."""
        params = {"name": read.tool, "arguments": arguments_of_read(self._rule, arguments)}
        try:
            tool = await self._tools.get(read.tool, self._asked)
            if why := _unfit(read, tool):
                raise NoEffect(why)
            answer = await self._link.ask("tools/call", params | client_facts.envelope(self._asked.meta), declined=[])
        except UpstreamLost as error:
            raise NoEffect(str(error)) from error
        if answer.error is not None:
            return Answer(str(answer.error.get("message", "")), is_error=True)
        return Answer.of(answer.result)


def _unfit(read: Read, tool: ToolDefinition | None) -> str:
    """Why a tool is not called for a look: nobody has approved that anything is written."""
    if tool is None:
        return f"the upstream has no tool {read.tool!r} to read with"
    if tool.annotations.read_only or read.changes_nothing:
        return ""
    return f"{read.tool!r} does not say that it only reads, so it is not called for a look"
