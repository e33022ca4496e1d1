"""A call of a tool: put to the gate, which lets it pass as it came, has it run once on a permission, or refuses it."""

import hashlib
from collections.abc import Mapping
from typing import Any

from mcp_types import CallToolResult, InputRequiredResult, TextContent
from pydantic import Field, ValidationError

from approvals.errors import Stale
from approvals.gate import answers, approval_arguments, hosts
from approvals.gate.argument_names import Spellings
from approvals.gate.call import Answer, Call
from approvals.gate.input_rounds import Round
from approvals.gate.origin import Origin
from approvals.gate.running import Lost, NotStarted, current_request_id
from approvals.protocol.canonical import canonical, encode
from approvals.protocol.registration import ToolDefinition
from approvals.protocol.schema_paths import property_names
from approvals_server.proxy import client_facts, frames
from approvals_server.proxy.arguments import SchemaArguments
from approvals_server.proxy.client_facts import Sender
from approvals_server.proxy.frames import Frame
from approvals_server.proxy.rules.preview_read import look_of
from approvals_server.proxy.shared_state import Desk
from approvals_server.proxy.tools import Tools
from approvals_server.proxy.upstream import Receive, UpstreamLost
from approvals_server.proxy.upstream_session import Link

REQUEST_ID = "mcp-approvals/request_id"
"""In `_meta` of a call that runs on a permission: which one, the same for every attempt."""


class Passed(CallToolResult):
    """The upstream's own answer, which the client has heard already."""

    content: list[Any] = Field(default_factory=list)


class UpstreamError(Exception):
    """What the upstream answered instead of a result."""

    def __init__(self, answer: Frame, *, told: bool = False, note: str = "") -> None:
        error = answer.error or {}
        super().__init__(f"{error.get('message', '')} ({error.get('code')}) {note}".rstrip())
        self.answer = answer
        self.told = told
        """Whether the client has heard it already."""


class ToolCall:
    """One, of a tool that the upstream lists."""

    def __init__(
        self, desk: Desk, link: Link, tools: Tools, tell: Receive, frame: Frame, tool: ToolDefinition, sender: Sender
    ) -> None:
        self._desk = desk
        self._link = link
        self._tools = tools
        self._tell = tell
        self._frame = frame
        self._tool = tool
        self._sender = sender
        self._caller = sender.caller(client_facts.client_of(frame, link.handshake, sender.transport))
        self._token = client_facts.progress_token(frame)
        self._words, self._arguments = approval_arguments.split(tool.input_schema, frame.params.get("arguments") or {})
        self._reached = 0.0

    async def answer(self) -> None:
        """Answer it, in the end. Raises UpstreamLost when the upstream did not."""
        call = self._call()
        self._reached = call.waited_before
        try:
            answer = await self._desk.gate.call(call)
        except UpstreamError as error:
            if not error.told:
                await self._tell(frames.with_id(error.answer, self._frame.id), self._frame.id)
            return
        if not isinstance(answer, Passed):
            await self._tell(frames.result(self._frame.id, self._on_the_wire(answer)), self._frame.id)

    def _call(self) -> Call:
        modern, caller, gate = client_facts.is_modern(self._frame), self._caller, self._desk.gate
        wants_progress = self._token is not None
        return Call(
            tool=self._tool.name,
            arguments=self._arguments,
            effective=self._effective,
            run=self._run,
            caller=caller,
            budget=gate.budgets.for_call(
                protocol=caller.client.protocol, wants_progress=wants_progress, client=caller.client.name
            ),
            round=self._round() if modern else None,
            progress=self._beat if wants_progress else None,
            is_there=self._sender.is_there,
            look=look_of(self._desk.rules.of(self._tool.name).preview, gate, self._link, self._tools, self._frame),
            unchanged=lambda: self._desk.catalogue.knows(self._tool, self._tools.version),
            origin=Origin.of(self._frame.meta, self._sender.headers),
            reason=self._words.get(approval_arguments.REASON),
            repeat_of=self._words[approval_arguments.REPEAT] or None,
            spellings=self._names() if self._tool.secret else {},
        )

    def _names(self) -> Spellings:
        """What everybody reads in the schema is no secret, whatever a caller sends as one."""
        return {name: frozenset({(name,)}) for name in property_names(self._tool.input_schema)}

    def _effective(self) -> SchemaArguments:
        return SchemaArguments(self._tool.input_schema, self._arguments, task="task" in self._frame.params)

    async def _run(self, values: dict[str, Any]) -> Any:
        request_id = current_request_id()
        if request_id is None:
            return await self._pass()
        result = await self._execute(values, request_id)
        if not isinstance(result, CallToolResult):
            return result
        return answers.failed(result, request_id)

    async def _pass(self) -> Passed:
        """Let the call through as it came, but for words that are the gate's."""
        if not self._tools.is_judged(self._tool):
            raise Stale("The upstream defines this tool in another way by now.", hint="Call it again.")
        frame = self._frame
        if len(self._arguments) < len(frame.params.get("arguments") or {}):
            frame = frames.request(frame.id or 0, "tools/call", {**frame.params, "arguments": self._arguments})
        answer = await self._link.request(frame, through=True)
        if answer.error is not None:
            raise UpstreamError(answer, told=True)
        return Passed(is_error=answer.result.get("isError") is True)

    async def _execute(self, values: dict[str, Any], request_id: str) -> Any:
        """Run what was approved, and nothing else of what the client sent."""
        version = self._tools.version
        try:
            now = await self._tools.get(self._tool.name, self._frame, anew=True)
        except UpstreamLost as error:
            raise NotStarted(str(error)) from error
        if now != self._tool or not self._tools.stands(self._tool):
            raise NotStarted("the upstream defines the tool in another way now")
        if self._tools.version != version:
            raise NotStarted("the upstream is another version now")
        meta = client_facts.passed_on(self._frame.meta) | {REQUEST_ID: request_id}
        params = {"name": self._tool.name, "arguments": values, "_meta": meta}
        progress = self._progress if self._token is not None else None
        declined: list[str] = []
        try:
            answer = await self._link.ask("tools/call", params, progress, declined)
        except UpstreamLost as error:
            raise (Lost if error.sent else NotStarted)(str(error)) from error
        if answer.error is not None:
            raise UpstreamError(answer, note=_note(declined))
        return _noted(_result(answer), _note(declined))

    async def _progress(self, params: Mapping[str, Any]) -> None:
        """What the tool reports goes on from what the gate reported: progress never goes backwards."""
        ahead = {
            name: params[name] + self._reached
            for name in ("progress", "total")
            if isinstance(params.get(name), int | float)
        }
        await self._notify({**params, **ahead})

    async def _beat(self, elapsed: float, words: str) -> None:
        self._reached = elapsed
        await self._notify({"progress": elapsed, "message": words})

    async def _notify(self, params: Mapping[str, Any]) -> None:
        told = frames.notification("notifications/progress", {**params, "progressToken": self._token})
        await self._tell(told, self._frame.id)

    def _round(self) -> Round:
        state = self._desk.opened(self._frame.params.get("requestState"), self._which())
        return Round.of(state, opens_links=client_facts.opens_links(self._frame))

    def _which(self) -> str:
        """Names the call, for the state that its client brings back."""
        said = [self._tool.name, encode(self._arguments), self._caller.agent_key, self._caller.subject]
        return hashlib.sha256(canonical(said)).hexdigest()

    def _on_the_wire(self, answer: Answer) -> dict[str, Any]:
        if isinstance(answer, CallToolResult):
            answer = hosts.shown(answer, self._tool.output_schema)
        elif answer.request_state is not None:
            answer = answer.model_copy(update={"request_state": self._desk.sealed(answer.request_state, self._which())})
        return on_the_wire(answer, self._frame)


def on_the_wire(answer: CallToolResult | InputRequiredResult, asked: Frame) -> dict[str, Any]:
    """An answer of the gate's in the era of its client."""
    told: dict[str, Any] = answer.model_dump(mode="json", by_alias=True, exclude_none=True)
    if not client_facts.is_modern(asked):
        told.pop("resultType", None)
    return told


def _result(answer: Frame) -> Any:
    """A result; what asks for more input, which nobody has approved, as it is."""
    if answer.result.get("resultType", "complete") != "complete":
        return answer.result
    try:
        return CallToolResult.model_validate(answer.result)
    except ValidationError:
        words = "The tool ran, and its result cannot be read."
        return CallToolResult(content=[TextContent(type="text", text=words)], is_error=True)


def _note(declined: list[str]) -> str:
    """For the agent, and for the record: the tool went on without something that it asked for."""
    if not declined:
        return ""
    asked = ", ".join(method[:100] for method in dict.fromkeys(declined[:5]))
    return (
        f"[declined] While it ran, the upstream asked the client for more ({asked}), and was declined: "
        "nobody has approved the answer."
    )


def _noted(result: Any, note: str) -> Any:
    if not note or not isinstance(result, CallToolResult):
        return result
    return result.model_copy(update={"content": [*result.content, TextContent(type="text", text=note)]})
