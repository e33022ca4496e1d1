"""Tool definitions on the wire, made of what an MCP server declares."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import FuncMetadata
from mcp_types import ToolAnnotations

from approvals.errors import Invalid
from approvals.gate import idempotency
from approvals.gate.call_identity import unsayable
from approvals.gate.preview import PREVIEW_SECONDS, Look, PreviewFunction, unfit_preview
from approvals.gate.set_order import ordered
from approvals.protocol.canonical import JsonObject
from approvals.protocol.definitions import checked
from approvals.protocol.registration import Annotations, ToolDefinition

Verify = Callable[[str, JsonObject], Awaitable[str | tuple[str, str] | None]]
"""Finds out, reading only, what came of a request: "succeeded", "failed", "not_executed", or None when it cannot tell;
with a note for the reviewer as a second item if it likes. Called with the request's id and the tool's arguments."""


@dataclass(frozen=True)
class Approval:
    """How a tool's calls are put to people.

    `summary` is the effect sentence over the arguments, e.g. "Refund {amount_cents:usd} of order {order_id}" (formats:
    usd, eur, gbp, in minor units). `secret` names argument leaves that never leave this process, by dotted path
    ("card.number", "items[].token", "users.*.token"). Their schema gives no default, example or list
    of values: agents read it.

    Two ways to settle by itself what a crash left unknown: `idempotency` names a string argument that the gate fills
    with the request's id when the call runs (callers neither see nor set it), and `verify` looks whether a request took
    effect.

    `preview` looks up, reading only, what a call would do, within `preview_seconds`: the card shows it, it is part of
    what is approved, and it is looked up again before the tool starts. It takes the tool's arguments by name and
    returns a `Preview`. What it raises as Invalid is refused before anybody is asked.
    """

    summary: str | None = None
    secret: Sequence[str] = ()
    idempotency: str | None = None
    verify: Verify | None = None
    preview: PreviewFunction | None = None
    preview_seconds: float = PREVIEW_SECONDS

    def look(self, tool: Tool) -> Look | None:
        """The preview as the gate uses it."""
        if self.preview is None:
            return None
        key = None if self.idempotency is None else idempotency.parameter(tool.fn_metadata.arg_model, self.idempotency)
        return Look(self.preview, self.preview_seconds, key)


def definition_of(tool: Tool, approval: Approval) -> ToolDefinition:
    """The definition that the service keeps and binds decisions to."""
    return ToolDefinition(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=ordered(idempotency.without(tool.parameters, approval.idempotency)),
        output_schema=None if tool.output_schema is None else ordered(tool.output_schema),
        annotations=_annotations(tool.annotations),
        summary=approval.summary,
        secret=tuple(approval.secret),
        idempotency=approval.idempotency,
    )


def unfit(tool: Tool, approval: Approval) -> str:
    """Why a tool cannot be gated so, or nothing."""
    if tool.resolved_params:
        return "it uses Resolve(...), and what it would do with the answer nobody has approved"
    if inspect.isgeneratorfunction(tool.fn) or inspect.isasyncgenfunction(tool.fn):
        return "it yields, and nobody would run what it makes: let it return its result"
    if why := unsayable(tool.fn_metadata.arg_model):
        return why
    if approval.idempotency is not None and not idempotency.fits(tool.parameters, approval.idempotency):
        return f"its idempotency key {approval.idempotency!r} is no string argument of it"
    if approval.idempotency is not None and not idempotency.takes_ids(tool.fn_metadata.arg_model, approval.idempotency):
        return f"its idempotency key {approval.idempotency!r} does not take a UUID"
    if approval.verify is not None and not _is_async(approval.verify):
        return "its verify is no async function"
    if (look := approval.look(tool)) is not None:
        names = [field.alias or name for name, field in tool.fn_metadata.arg_model.model_fields.items()]
        if why := unfit_preview(look, [name for name in names if name != look.key]):
            return why
    try:
        checked(definition_of(tool, approval))
    except Invalid as error:
        return error.detail
    return ""


def ready(tool: Tool) -> Tool:
    """A tool whose `run` takes the values as they are; the rest of a call is as MCPServer does it."""
    return tool.model_copy(update={"fn_metadata": _ReadAlready(tool.fn_metadata)})


class _ReadAlready:
    """A tool's metadata, for arguments that are validated."""

    def __init__(self, metadata: FuncMetadata) -> None:
        self.call_fn, self.convert_result = metadata.call_fn, metadata.convert_result

    def validate_arguments(self, values: JsonObject) -> JsonObject:
        """The values as they are: validated before."""
        return values


def _is_async(function: object) -> bool:
    return any(map(inspect.iscoroutinefunction, (function, getattr(function, "__call__", None))))  # noqa: B004


def _annotations(hints: ToolAnnotations | None) -> Annotations:
    given = {
        "read_only": hints.read_only_hint if hints else None,
        "destructive": hints.destructive_hint if hints else None,
        "idempotent": hints.idempotent_hint if hints else None,
        "open_world": hints.open_world_hint if hints else None,
    }
    return Annotations(**{name: value for name, value in given.items() if value is not None})
