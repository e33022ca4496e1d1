"""The look at what a call would do: one read of the same upstream, by the connection of its caller. What it reads with
is under the same verdict as for anybody who calls it."""

from collections.abc import Mapping
from typing import Any

from mcp.server.mcpserver.exceptions import ToolError

from approvals.errors import ApprovalsError
from approvals.gate.gate import Gate
from approvals.gate.preview import Look
from approvals.protocol.previews import Preview
from approvals.protocol.registration import ToolDefinition, ToolVerdict, Verdict
from approvals_server.proxy import client_facts
from approvals_server.proxy.frames import Frame
from approvals_server.proxy.rules.effect import Answer, NoEffect, arguments_of_read, effect
from approvals_server.proxy.rules.rule import PreviewRule, Read
from approvals_server.proxy.tools import Tools
from approvals_server.proxy.upstream import UpstreamLost
from approvals_server.proxy.upstream_session import Link

SECONDS = 3.0
"""For one read: a permission that is taken has five to start."""


def look_of(rule: PreviewRule | None, gate: Gate, link: Link, tools: Tools, asked: Frame) -> Look | None:
    """How the gate looks, for a call in the same era."""
    return None if rule is None else Look(_Looking(rule, gate, link, tools, asked), SECONDS)


class _Looking:
    """One call's."""

    def __init__(self, rule: PreviewRule, gate: Gate, link: Link, tools: Tools, asked: Frame) -> None:
        self._rule = rule
        self._gate = gate
        self._link = link
        self._tools = tools
        self._asked = asked

    async def __call__(self, /, **arguments: Any) -> Preview:
        try:
            answer = await self._read(self._rule.read, arguments) if self._rule.read is not None else None
            return effect(self._rule, arguments, answer, self._gate.pepper)
        except NoEffect as error:
            raise ToolError(str(error)) from error

    async def _read(self, read: Read, arguments: Mapping[str, Any]) -> Answer:
        """Raises NoEffect."""
        params = {"name": read.tool, "arguments": arguments_of_read(self._rule, arguments)}
        try:
            await self._check(read)
            answer = await self._link.ask("tools/call", params | client_facts.envelope(self._asked.meta), declined=[])
        except UpstreamLost as error:
            raise NoEffect(str(error)) from error
        if answer.error is not None:
            return Answer(str(answer.error.get("message", "")), is_error=True)
        return Answer.of(answer.result)

    async def _check(self, read: Read) -> None:
        """Raises NoEffect for a tool that may not be called for a look now, and UpstreamLost."""
        tool = await self._tools.get(read.tool, self._asked)
        if tool is None:
            raise NoEffect(f"the upstream has no tool {read.tool!r} to read with")
        try:
            verdict = await self._gate.verdict(read.tool)
        except ApprovalsError as error:
            raise NoEffect(f"whether {read.tool!r} may be called is not known: {error.detail}") from error
        if not self._tools.stands(tool):
            raise NoEffect(f"the upstream defines {read.tool!r} in another way by now")
        if why := _unfit(read, tool, verdict):
            raise NoEffect(f"{read.tool!r} {why}, so it is not called for a look")


def _unfit(read: Read, tool: ToolDefinition, verdict: ToolVerdict) -> str:
    """Why nobody may call a tool unasked; or nothing. Of what the owner says that it changes nothing, a person accepted
    the definition, which has every argument that makes it so: what a tool does not know it may ignore, and write."""
    if verdict.verdict is Verdict.REFUSE or verdict.reason:
        return f"is not accepted as it is ({verdict.reason})" if verdict.reason else "is refused"
    if read.changes_nothing:
        known = tool.input_schema.get("properties")
        strange = [name for name in read.arguments if not isinstance(known, dict) or name not in known]
        return f"does not declare the argument {strange[0]!r}" if strange else ""
    if not tool.annotations.read_only:
        return "does not say that it only reads"
    return "" if verdict.verdict is Verdict.RUN else "may not run without a person"
