"""The server itself, under test: its reads are called, and each write is tried where nothing may be written."""

import json
import tempfile
from collections.abc import Callable, Mapping
from typing import TextIO

import anyio
from mcp import Client, MCPError
from mcp.client import Transport
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import CallToolResult, Tool

from approvals.protocol.canonical import JsonObject
from approvals.service.text import visible
from approvals_web.smoke import definitions, samples
from approvals_web.smoke.report import Finding, Report, Tested, failed, left_open, passed

SECONDS = 30.0
"""For each answer."""
REGISTERING = 10.0
LARGEST = 100_000
"""Bytes of a result: more than an agent can use."""
MOST_TOOLS = 500
UNDECLARED = "undeclared_by_the_smoke_test"
OWN = "get_approval"
"""The gate's own tool, which no server wrote."""
ANSWER = "mcp-approvals/answer"
CALL = "Give arguments that it takes: --call"
CLOSE = "Set additionalProperties: false."
FAULTS = (MCPError, OSError, TimeoutError, ExceptionGroup)
GATE = "Start it as a GatedServer, or behind approvals-proxy; if it is, say by --name what its gate calls it."
COMMAND = "Test the command that starts it: what runs at an address asks a service of its own, so no write is called."


class Trial:
    """One connection to the server; `given` are arguments by tool, `tested` says what its gate registered."""

    def __init__(
        self, client: Client, given: Mapping[str, JsonObject], tested: Callable[[], Mapping[str, Tested]], ungated: str
    ) -> None:
        self._client = client
        self._ungated = ungated
        """What to do about a write that no gate is known of."""
        self._given = given
        self._tested = tested

    async def run(self) -> Report:
        """Raises MCPError, or TimeoutError, when the server does not even list its tools."""
        tools = await self._tools()
        known = await self._registered(tools)
        if known:
            tools = [tool for tool in tools if tool.name != OWN]
        if not tools:
            return Report((failed("tools", "", "the server has none", "Register a tool."),), known)
        findings = definitions.found(tools)
        reads = [tool for tool in tools if definitions.reads(tool)]
        writes = [tool for tool in tools if not definitions.reads(tool)]
        before = [finding for tool in reads for finding in await self._read(tool)]
        findings += before
        if reads and not any(one.check == "read" and one.result == "passed" for one in before):
            findings.append(failed("reads", "", "no read gave a result", f"{CALL} TOOL='{{…}}'."))
        if not reads:
            findings.append(failed("reads", "", "there is no tool that reads", "Start with reads; writes come later."))
        seen = await self._look(reads)
        for tool in writes:
            findings.append(await self._write(tool, known))
        if writes and known:
            findings.append(self._unchanged(seen, await self._look(reads)))
        closed = [await self._closed(tool) for tool in reads]
        by_gate = any(one.result == "passed" for one in closed)
        findings += closed + [_said_closed(tool, by_gate and tool.name in known) for tool in writes]
        words = "cannot be tried from outside: servers of the kit try it when they start"
        findings.append(left_open("read credential", "", words))
        return Report(tuple(findings), known)

    async def _tools(self) -> list[Tool]:
        tools: list[Tool] = []
        cursor: str | None = None
        while len(tools) < MOST_TOOLS:
            page = await self._client.list_tools(cursor=cursor)
            tools += page.tools
            cursor = page.next_cursor
            if cursor is None:
                break
        return tools[:MOST_TOOLS]

    async def _registered(self, tools: list[Tool]) -> Mapping[str, Tested]:
        """Tools of the gate, by name. Where its own tool is listed, they come as it starts, or by the first call."""
        first = next((tool for tool in tools if definitions.reads(tool) and tool.name != OWN), None)
        if first is not None and not self._tested():
            await self._call(first, self._arguments(first))
        with anyio.move_on_after(REGISTERING if any(tool.name == OWN for tool in tools) else 0):
            while not self._tested():  # noqa: ASYNC110 — another process writes it
                await anyio.sleep(0.05)
        return self._tested()

    def _arguments(self, tool: Tool) -> JsonObject:
        return dict(self._given.get(tool.name, samples.arguments(tool.input_schema)))

    async def _call(self, tool: Tool, arguments: JsonObject) -> CallToolResult | str:
        """The result, or why there is none."""
        try:
            with anyio.fail_after(SECONDS):
                return await self._client.call_tool(tool.name, arguments)
        except MCPError as error:
            return f"refused by the protocol: {visible(str(error)):.200}"
        except (RuntimeError, ValueError) as error:  # the client holds results against their schema
            return f"is no valid result: {visible(str(error)):.200}"
        except TimeoutError:
            return f"no answer in {SECONDS:g} seconds"

    async def _read(self, tool: Tool) -> list[Finding]:
        result = await self._call(tool, self._arguments(tool))
        if isinstance(result, str):
            return [failed("read", tool.name, result, "Answer within seconds, as the output schema says.")]
        if result.is_error:
            words = f"gives an error: {_text(result):.200}"
            if samples.required(tool.input_schema) and tool.name not in self._given:
                return [left_open("read", tool.name, words, f"{CALL} {tool.name}='{{…}}'.")]
            return [failed("read", tool.name, words, "A read has to work before a write may.")]
        findings = [passed("read", tool.name)]
        size = len(_written(result))
        if size > LARGEST:
            fix = "Summarise on the server's side, and give the rest by cursor."
            findings.append(failed("cap", tool.name, f"its result has {size:,} bytes; {LARGEST:,} is the most", fix))
        else:
            findings.append(passed("cap", tool.name))
        if result.structured_content is None:
            findings.append(failed("structure", tool.name, "its result is text alone", "Return a typed value."))
        return findings

    async def _write(self, tool: Tool, known: Mapping[str, Tested]) -> Finding:
        """Never called unless its gate has registered it, as a write, with a service that denies."""
        if tool.name not in known:
            return failed(
                "write waits", tool.name, "is behind no gate that is known here, and was not called", self._ungated
            )
        if definitions.says_it_reads(tool):
            words = "says that it only reads, so no gate holds it; it was not called"
            return failed("write waits", tool.name, words, "Take readOnlyHint away.")
        result = await self._call(tool, self._arguments(tool))
        if isinstance(result, str):
            return failed("write waits", tool.name, result, "A write that is denied answers so.")
        facts = (result.meta or {}).get(ANSWER)
        if not isinstance(facts, dict):
            words = (
                "ran where every write is denied"
                if not result.is_error
                else f"gave no gate's answer: {_text(result):.200}"
            )
            return failed("write waits", tool.name, words, f"{GATE} Or {CALL} {tool.name}='{{…}}'.")
        if facts.get("status") in {"denied", "refused"} and facts.get("executed") is False:
            return passed("write waits", tool.name)
        words = f"was not denied: {visible(str(facts.get('status'))):.60}. {_text(result):.200}"
        return failed("write waits", tool.name, words, f"{CALL} {tool.name}='{{…}}'.")

    async def _look(self, reads: list[Tool]) -> dict[str, str]:
        """Results of the reads that work, by tool."""
        seen = {}
        for tool in reads:
            result = await self._call(tool, self._arguments(tool))
            if not isinstance(result, str) and not result.is_error:
                seen[tool.name] = _written(result)
        return seen

    def _unchanged(self, before: Mapping[str, str], after: Mapping[str, str]) -> Finding:
        changed = [name for name, seen in before.items() if after.get(name) != seen]
        if not before:
            return failed("nothing changed", "", "no read could be compared", f"{CALL} TOOL='{{…}}'.")
        if not changed:
            return passed("nothing changed")
        words = f"reads differently after writes that were denied: {visible(', '.join(changed)):.200}"
        return failed("nothing changed", changed[0], words, "Nothing may be written before the gate lets the tool run.")

    async def _closed(self, tool: Tool) -> Finding:
        """A schema that says so, or a server that refuses what is undeclared."""
        if tool.input_schema.get("additionalProperties") is False:
            return passed("schema", tool.name)
        result = await self._call(tool, self._arguments(tool) | {UNDECLARED: 1})
        if isinstance(result, str) or (result.is_error and UNDECLARED in _text(result, whole=True)):
            return passed("schema", tool.name, "undeclared arguments are refused")
        return failed("schema", tool.name, "lets arguments pass that it does not declare", CLOSE)


def _said_closed(tool: Tool, gate_closes: bool) -> Finding:
    """Of a write, which is denied whatever its arguments; what a gate refuses of a read, it refuses of a write."""
    said = tool.input_schema.get("additionalProperties")
    if said is False:
        return passed("schema", tool.name)
    if said is None and gate_closes:
        return passed("schema", tool.name, "undeclared arguments are refused, as of reads")
    return failed("schema", tool.name, "lets arguments pass that it does not declare", CLOSE)


async def name_of(target: list[str], settings: Mapping[str, str]) -> str:
    """Ask the server what it calls itself, which its gate's key has to be for; empty where it does not answer."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        try:
            async with Client(_command(target, settings, said), read_timeout_seconds=SECONDS, cache=None) as client:
                return client.server_info.name if client.server_info else ""
        except FAULTS:
            return ""


async def tried(
    target: list[str] | str,
    settings: Mapping[str, str],
    given: Mapping[str, JsonObject],
    tested: Callable[[], Mapping[str, Tested]],
) -> Report:
    """Test a command's server, with `settings` in its environment, or the one at an address."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        try:
            server = target if isinstance(target, str) else _command(target, settings, said)
            async with Client(server, read_timeout_seconds=SECONDS, cache=None) as client:
                return await Trial(client, given, tested, COMMAND if isinstance(target, str) else GATE).run()
        except FAULTS as error:
            said.seek(0)
            last = visible(" ".join(said.read()[-600:].split()))
            words = f"the server does not answer as an MCP server: {last or visible(_first(error))}"
            return Report((failed("start", "", words, "Start it by hand, and look at what it says."),))


def _command(command: list[str], settings: Mapping[str, str], said: TextIO) -> Transport:
    return stdio_client(StdioServerParameters(command=command[0], args=command[1:], env=dict(settings)), errlog=said)


def _first(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)[:500] or type(error).__name__


def _text(result: CallToolResult, *, whole: bool = False) -> str:
    text = " ".join(getattr(part, "text", "") for part in result.content)
    return text if whole else visible(" ".join(text.split()))


def _written(result: CallToolResult) -> str:
    parts = [part.model_dump(mode="json") for part in result.content]
    return json.dumps([parts, result.structured_content], sort_keys=True)
