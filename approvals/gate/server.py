"""`MCPServer` whose writes wait for a person."""

import inspect
import logging
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Annotated, Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, CallToolResult, TextContent, ToolAnnotations
from mcp_types import Tool as MCPTool
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import Field
from starlette.applications import Starlette

from approvals.errors import ApprovalsError, Stale
from approvals.gate import (
    answers,
    approval_arguments,
    auth,
    hosts,
    idempotency,
    input_rounds,
    scalars,
)
from approvals.gate import context as mcp_context
from approvals.gate.approval_arguments import GET_APPROVAL, LONGEST_LOOK, REASON, REPEAT
from approvals.gate.approved_context import approved
from approvals.gate.argument_names import Spellings, spellings_of
from approvals.gate.arguments import effective
from approvals.gate.call import Answer, Call, Caller, Run
from approvals.gate.callers import Callers, key_of
from approvals.gate.code_version import code_version
from approvals.gate.gate import Gate, gate_from_environment
from approvals.gate.log_mask import install, mask_with
from approvals.gate.masking import NO_SECRETS, Mask
from approvals.gate.running import Lost, current_request_id
from approvals.gate.tools import (
    Approval,
    Verify,
    definition_of,
    ready,
    unfit,
)
from approvals.protocol.canonical import JsonObject
from approvals.protocol.registration import ToolDefinition

logger = logging.getLogger("approvals.gate.gate")

_UNRECORDED = {"initialize", "ping", "tools/call", "server/discover"}
"""tools/call is recorded by the gate itself; the others carry nothing of the agent's doing."""

_LISTS = {"tools/list", "resources/list", "resources/templates/list", "prompts/list"}
"""What a client may see of a server that has no gate yet, on no record: so that it can ask, and be told why not."""
_WaitSeconds = Annotated[float, Field(ge=0, le=LONGEST_LOOK, description="How long to wait for a decision.")]


class GatedServer(MCPServer[Any]):
    """An MCPServer whose calls pass a Gate.

    The gate is configured by APPROVALS_URL, APPROVALS_SERVER_KEY and, over stdio, APPROVALS_AGENT_KEY; without them
    every call is refused. Over HTTP each agent sends its own key as bearer token, unless `auth` says otherwise.
    An approval counts for the code that it was given for, too (`approvals.gate.code_version`); `bind_code=False` lets
    approvals outlive a new release of this server, and their cards say so. Everything else is MCPServer's.
    """

    def __init__(self, name: str, *, gate: Gate | None = None, bind_code: bool = True, **options: Any) -> None:
        install()
        self.gate = gate or gate_from_environment(name, options.get("version", ""))
        self._callers = Callers()
        self._approvals: dict[str, Approval] = {}
        self._definitions: tuple[ToolDefinition, ...] | None = None
        self._bind_code = bind_code
        self._code_versions: dict[str, str] = {}
        self.gate.definitions = self._define
        if "request_state_security" not in options and self.gate.is_configured:
            options["request_state_security"] = input_rounds.security(self.gate.settings)
        self.gate.verifiers = self._verifiers
        self.gate.spellings = self._spellings
        self.gate.code_versions = self._code
        options.setdefault("version", version("mcp-approvals"))
        options["lifespan"] = self.gate.lifespan(options.get("lifespan"))
        options["middleware"] = [self._record, *options.get("middleware", ())]
        if "auth" not in options and self.gate.is_configured:
            options["auth"] = auth.settings(self.gate.settings.url)
            options["token_verifier"] = auth.AgentKeys(self.gate)
        super().__init__(name, **options)
        super().add_tool(
            self._get_approval,
            name=GET_APPROVAL,
            title="Look at an approval request",
            description=inspect.cleandoc(self._get_approval.__doc__ or ""),
            annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
        )

    def add_tool(self, fn: Callable[..., Any], *args: Any, approval: Approval | None = None, **options: Any) -> None:
        """Add a tool; `approval` says how its calls are put to people. Raises ValueError for a tool that asks its
        client for more input midway (nobody has approved what it would do then), and for an approval that names
        arguments which the tool does not have."""
        known = {tool.name for tool in self._tool_manager.list_tools()}
        super().add_tool(fn, *args, **options)
        self._definitions = None
        for tool in [tool for tool in self._tool_manager.list_tools() if tool.name not in known]:
            tool.description = inspect.cleandoc(tool.description)
            self._approvals[tool.name] = approval or Approval()
            problem = unfit(tool, self._approvals[tool.name])
            if problem:
                self.remove_tool(tool.name)
                raise ValueError(f"The tool {tool.name!r} cannot be gated: {problem}.")

    def remove_tool(self, name: str) -> None:
        """As MCPServer's."""
        self._definitions = None
        super().remove_tool(name)

    def tool(  # type: ignore[override]
        self, name: str | None = None, *args: Any, approval: Approval | None = None, **options: Any
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorate a tool; `approval` says how its calls are put to people."""
        if callable(name):
            raise TypeError("Use @tool(), with parentheses.")

        def register(fn: Callable[..., Any]) -> Callable[..., Any]:
            self.add_tool(fn, name, *args, approval=approval, **options)
            return fn

        return register

    async def list_tools(self) -> list[MCPTool]:
        """The tools; those that do not only read take the words for the reviewer as well."""
        return [self._with_extras(tool) for tool in await super().list_tools()]

    async def call_tool(self, name: str, arguments: JsonObject, context: Context | None = None) -> Answer:
        """Run the tool when it may: at once, after a person's approval, or never. What runs is called with the values
        that were shown: MCPServer would read the arguments once more."""
        context = context or Context(mcp_server=self, subscriptions=self._subscriptions)
        if name == GET_APPROVAL:
            return await self._look(arguments, context)
        tool = self._tool_manager.get_tool(name)
        if tool is None:
            await self.gate.note_unknown(name, self._caller(context))
            raise ToolError(f"Unknown tool: {name}")
        if (answer := await self._read(tool, arguments, context)) is not None:
            return answer
        words, rest = approval_arguments.split(tool.parameters, arguments)
        key = self._approval(name).idempotency
        secret, spellings = tuple(self._approval(name).secret), spellings_of(tool.fn_metadata.arg_model)
        mask_with(Mask(secret, (rest,), spellings))
        beats = mcp_context.Beats(context)

        async def run(values: JsonObject) -> Any:
            if self._tool_manager.get_tool(name) is not tool:
                raise ToolError(f"The tool {name} was replaced while it was called.")
            mask_with(Mask(secret, (rest, values), spellings))
            given = idempotency.filled(values, tool.fn_metadata.arg_model, key, current_request_id())
            try:
                result = await ready(tool).run(given, self._for_tool(context, beats, name, given), convert_result=True)
            except ToolError as error:
                if current_request_id() is not None and isinstance(error.__cause__, Stale | Lost):
                    raise error.__cause__ from error
                if current_request_id() is None or context._request_context is None:
                    raise
                result = _raised(name, error)
            request_id = current_request_id()
            if not request_id or not isinstance(result, CallToolResult):
                return result
            return answers.failed(result, request_id, nameless=call.caller.nameless)

        call = self._call(tool, rest, run, context, words, beats)
        beats.reached = call.waited_before
        return _shown(await self.gate.call(call), tool.output_schema)

    async def _read(self, tool: Tool, arguments: JsonObject, context: Context) -> Answer | None:
        """The answer to a call that plainly runs at once; None for one that takes the whole way."""
        text = scalars.written(tool.fn_metadata.arg_model, arguments)
        filled = self._approval(tool.name).idempotency is not None
        if text is None or filled or not self.gate.is_configured or not approval_arguments.WORDS.isdisjoint(arguments):
            return None
        if context.request_state is not None or current_request_id() is not None:
            return None
        mask_with(NO_SECRETS)
        key = key_of(context, self.gate.settings.agent_key)
        run = partial(tool.run, arguments, context, convert_result=True)
        answer = await self.gate.read(tool.name, key, run, text)
        return None if answer is None else _shown(answer, tool.output_schema)

    def streamable_http_app(self, *, json_response: bool = False, **options: Any) -> Starlette:
        """The streamable HTTP app. Raises ValueError for JSON responses: they keep a call running that nobody waits
        for."""
        if json_response:
            raise ValueError("A gated server cannot use json_response=True: a hung-up call would go on unseen.")
        return self._answering(super().streamable_http_app(**options))

    def sse_app(self, **options: Any) -> Starlette:
        """As MCPServer's."""
        app = self._answering(super().sse_app(**options))
        app.state.posts_end_early = True  # a call goes on after its POST; the end of the stream cancels it
        app.router.lifespan_context = lambda _: self.gate.running()  # else its callers' names end with the last stream
        return app

    def _answering(self, app: Starlette) -> Starlette:
        app.add_middleware(auth.ServiceAway)
        return app

    def _call(
        self,
        tool: Tool,
        given: JsonObject,
        run: Run,
        context: Context,
        words: dict[str, str],
        beats: mcp_context.Beats,
    ) -> Call:
        wire = context._request_context
        token = (wire.meta or {}).get("progress_token") if wire is not None else None
        caller, protocol = self._caller(context), context.protocol_version
        return Call(
            tool=tool.name,
            arguments=given,
            effective=partial(effective, tool, given, self._approval(tool.name).idempotency),
            run=run,
            look=self._approval(tool.name).look(tool),
            spellings=spellings_of(tool.fn_metadata.arg_model),
            caller=caller,
            budget=self.gate.budgets.for_call(
                protocol=protocol, wants_progress=token is not None, client=caller.client.name
            ),
            round=mcp_context.round_of(context) if protocol in MODERN_PROTOCOL_VERSIONS else None,
            progress=beats.report if token is not None else None,
            is_there=mcp_context.presence(wire.request) if wire is not None else None,
            unchanged=lambda: self._tool_manager.get_tool(tool.name) is tool,
            origin=mcp_context.origin(context),
            reason=words.get(REASON),
            repeat_of=words[REPEAT] or None,
        )

    def _for_tool(self, context: Context, beats: mcp_context.Beats, name: str, values: JsonObject) -> Context:
        """What the tool may know of its call: on a permission, nothing of the client's that nobody has approved. Its
        progress goes on from the gate's."""
        wire = context._request_context
        if current_request_id() is None and not input_rounds.is_ours(context.request_state):
            return context
        if wire is not None and current_request_id() is not None:
            wire = approved(wire, name, values)
        return mcp_context.AfterBeats(beats, request_context=wire, mcp_server=self, subscriptions=self._subscriptions)

    async def _look(self, arguments: JsonObject, context: Context) -> Answer:
        look = partial(super().call_tool, GET_APPROVAL, arguments, context)
        try:
            result = await self.gate.observe("tools/call", GET_APPROVAL, look, self._caller(context), free=True)
        except ApprovalsError as error:
            result = answers.of_error(error)
        return _shown(result, None)

    def _caller(self, context: Context) -> Caller:
        return self._callers.of(context, self.gate.settings.agent_key if self.gate.is_configured else None)

    def _approval(self, name: str) -> Approval:
        return self._approvals.get(name) or Approval()

    def _with_extras(self, tool: MCPTool) -> MCPTool:
        schema = idempotency.without(tool.input_schema, self._approval(tool.name).idempotency)
        tool = tool.model_copy(update={"input_schema": schema, "output_schema": hosts.listed(tool.output_schema)})
        if tool.name == GET_APPROVAL or (tool.annotations is not None and tool.annotations.read_only_hint):
            return tool
        return tool.model_copy(update={"input_schema": approval_arguments.added_to(tool.input_schema)})

    def _define(self) -> tuple[ToolDefinition, ...]:
        if self._definitions is None:
            self._definitions = tuple(
                definition_of(tool, self._approval(tool.name))
                for tool in self._tool_manager.list_tools()
                if tool.name != GET_APPROVAL
            )
            bound = self._tool_manager.list_tools() if self._bind_code else []
            self._code_versions = {tool.name: code_version(tool.fn, self.gate.code_version) for tool in bound}
        return self._definitions

    def _code(self) -> dict[str, str]:
        """What runs the tools that are served now; the same object while they are the same."""
        self._define()
        return self._code_versions

    def _spellings(self, name: str) -> Spellings:
        tool = self._tool_manager.get_tool(name)
        return spellings_of(tool.fn_metadata.arg_model) if tool is not None else {}

    def _verifiers(self) -> dict[str, Verify]:
        tools = [tool.name for tool in self._tool_manager.list_tools()]
        return {name: verify for name in tools if (verify := self._approval(name).verify) is not None}

    async def _record(self, ctx: ServerRequestContext, call_next: CallNext) -> HandlerResult:
        """Middleware: every other request that may read or do something is on record (P8)."""
        harmless = ctx.method in _UNRECORDED or (ctx.method in _LISTS and not self.gate.is_configured)
        if ctx.request_id is None or harmless:
            return await call_next(ctx)
        params = ctx.params or {}
        target = str(params.get("uri") or params.get("name") or "")
        context: Context = Context(request_context=ctx, mcp_server=self)
        try:
            return await self.gate.observe(
                ctx.method, target, lambda: call_next(ctx), self._caller(context), free=ctx.method in _LISTS
            )
        except ApprovalsError as error:
            raise _protocol_error(error) from error

    async def _get_approval(
        self,
        request_id: Annotated[str, Field(description="The request id from an earlier answer.", max_length=64)],
        context: Context,
        wait_seconds: _WaitSeconds = 0,
    ) -> CallToolResult:
        """Look at one of your own approval requests: whether a person has decided, and what to do next. Executes
        nothing: after an approval, call the original tool again with identical arguments."""
        return await approval_arguments.look(self.gate, request_id, wait_seconds, self._caller(context))


def _shown(answer: Answer, output_schema: JsonObject | None) -> Answer:
    return hosts.shown(answer, output_schema) if isinstance(answer, CallToolResult) else answer


def _raised(name: str, error: ToolError) -> CallToolResult:
    """The result of a tool that raised, as MCPServer answers and logs it."""
    if isinstance(error, UnexpectedToolError):
        logger.error("Tool %r raised an unexpected exception", name, exc_info=error)
    return CallToolResult(content=[TextContent(type="text", text=str(error))], is_error=True)


def _protocol_error(error: ApprovalsError) -> Exception:
    return MCPError(code=INTERNAL_ERROR, message=f"NOT EXECUTED: {error.detail} {error.hint}".strip())
