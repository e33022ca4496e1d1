"""What the proxy adds to the upstream's tools: words for the reviewer, and a tool to look at one's requests."""

from collections.abc import Mapping
from typing import Any

from approvals import ids as identifier
from approvals.gate import hosts

GET_APPROVAL = "get_approval"
LONGEST_LOOK = 25
REASON = "approval_reason"
REPEAT = "approval_repeat"
_WORDS = {
    REASON: "Why you want this, in a sentence or two, for the person who has to approve it.",
    REPEAT: "Only to run an identical call again on purpose: the id of the request that already ran.",
}
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


def listed(tool: Any) -> Any:
    """A tool as agents see it: one that does not say that it only reads takes the words for the reviewer as well."""
    schema = tool.get("inputSchema") if isinstance(tool, dict) else None
    if not isinstance(schema, dict):
        return tool
    told = dict(tool)
    if isinstance(tool.get("outputSchema"), dict):
        told["outputSchema"] = hosts.listed(tool["outputSchema"])
    if _only_reads(tool) or schema.get("type", "object") != "object":
        return told
    extras = {name: _optional(_WORDS[name]) for name in _mine(schema)}
    told["inputSchema"] = schema | {"properties": _properties(schema) | extras}
    execution = tool.get("execution")
    if isinstance(execution, dict) and "taskSupport" in execution:
        told["execution"] = execution | {"taskSupport": "forbidden"}  # what waits for a person is answered itself
    return told


def split(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """The words for the reviewer apart from the tool's own arguments."""
    mine = _mine(schema)
    words = {name: str(arguments[name]) for name in mine if arguments.get(name)}
    words[REPEAT] = identifier.parsed(words.get(REPEAT, "")) or ""  # "none", "n/a": models write what they must
    return words, {name: value for name, value in arguments.items() if name not in mine}


def _only_reads(tool: Mapping[str, Any]) -> bool:
    hints = tool.get("annotations")
    return isinstance(hints, dict) and hints.get("readOnlyHint") is True


def _mine(schema: Mapping[str, Any]) -> list[str]:
    """The names that the tool has not taken itself."""
    return [name for name in _WORDS if name not in _properties(schema)]


def _properties(schema: Mapping[str, Any]) -> dict[str, Any]:
    found = schema.get("properties")
    return found if isinstance(found, dict) else {}


def _optional(description: str) -> dict[str, Any]:
    return {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None, "description": description}
