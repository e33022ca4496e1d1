"""Tool definitions on the wire, made of what an MCP server declares."""

from collections.abc import Sequence
from dataclasses import dataclass

from mcp.server.mcpserver.tools import Tool
from mcp_types import ToolAnnotations

from approvals.fingerprint import encode, sha256
from approvals.wire import Annotations, ToolDefinition


@dataclass(frozen=True)
class Approval:
    """How a tool's calls are put to people.

    `summary` is the effect sentence over the arguments, e.g. "Refund {amount_cents:usd} of order {order_id}" (formats:
    usd, eur, gbp, in minor units). `secret` names argument leaves that never leave this process, by dotted path
    ("card.number", "items[].token").
    """

    summary: str | None = None
    secret: Sequence[str] = ()


def definition_of(tool: Tool, approval: Approval) -> ToolDefinition:
    """The definition that the service keeps and binds decisions to."""
    return ToolDefinition(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.parameters,
        output_schema=tool.output_schema,
        annotations=_annotations(tool.annotations),
        summary=approval.summary,
        secret=tuple(approval.secret),
    )


def definition_hash(definition: ToolDefinition) -> str:
    """Both sides compute it, and compare."""
    return sha256(encode(definition.model_dump(mode="json")))


def _annotations(hints: ToolAnnotations | None) -> Annotations:
    given = {
        "read_only": hints.read_only_hint if hints else None,
        "destructive": hints.destructive_hint if hints else None,
        "idempotent": hints.idempotent_hint if hints else None,
        "open_world": hints.open_world_hint if hints else None,
    }
    return Annotations(**{name: value for name, value in given.items() if value is not None})
