"""What the proxy adds to the upstream's tools: words for the reviewer, and a tool to look at one's requests."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from approvals.gate import hosts
from approvals.gate.approval_arguments import GET_APPROVAL, LONGEST_LOOK, added_to
from approvals_server.proxy.rules.rule import Rules

logger = logging.getLogger("approvals.proxy")

LOOK = {
    "name": GET_APPROVAL,
    "title": "Look at an approval request",
    "description": "Look at one of your own approval requests: whether a person has decided, and what to do next. "
    "Executes nothing: after an approval, call the original tool again with identical arguments.",
    "inputSchema": {
        "type": "object",
        "properties": {
            "request_id": {
                "type": "string",
                "maxLength": 64,
                "description": "The request id from an earlier answer.",
            },
            "wait_seconds": {
                "type": "number",
                "minimum": 0,
                "maximum": LONGEST_LOOK,
                "default": 0,
                "description": "How long to wait for a decision.",
            },
        },
        "required": ["request_id"],
    },
    "annotations": {"readOnlyHint": True, "openWorldHint": False},
}


def listed(tool: Any, rules: Rules) -> Any:
    """A tool as agents see it: one that does not say that it only reads takes the words for the reviewer as well."""
    schema = tool.get("inputSchema") if isinstance(tool, dict) else None
    if not isinstance(schema, dict):
        return tool
    told = dict(tool)
    if isinstance(tool.get("outputSchema"), dict):
        told["outputSchema"] = hosts.listed(tool["outputSchema"])
    said = rules.of(str(tool.get("name"))).read_only
    if said or (said is None and _only_reads(tool)) or schema.get("type", "object") != "object":
        return told
    told["inputSchema"] = added_to(schema)
    execution = tool.get("execution")
    if isinstance(execution, dict) and "taskSupport" in execution:
        told["execution"] = execution | {"taskSupport": "forbidden"}  # what waits for a person is answered itself
    return told


def not_the_gates(tools: Iterable[Any]) -> list[Any]:
    """An upstream's tools but for one of the name by which agents ask the gate: an upstream must not answer for it."""
    kept = []
    for tool in tools:
        if isinstance(tool, dict) and tool.get("name") == GET_APPROVAL:
            logger.warning("the upstream's own tool %s is left out: the name is the gate's", GET_APPROVAL)
        else:
            kept.append(tool)
    return kept


def _only_reads(tool: Mapping[str, Any]) -> bool:
    hints = tool.get("annotations")
    return isinstance(hints, dict) and hints.get("readOnlyHint") is True
