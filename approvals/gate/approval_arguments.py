"""What a gate adds to a server's tools: words for the reviewer as arguments of those that write, and a tool to look at
one's requests."""

from collections.abc import Mapping

from mcp_types import CallToolResult

from approvals import ids
from approvals.errors import ApprovalsError
from approvals.gate import answers
from approvals.gate.call import Caller
from approvals.gate.gate import Gate
from approvals.protocol.canonical import JsonObject

GET_APPROVAL = "get_approval"
LONGEST_LOOK = 25
"""Seconds that one look may wait for a decision."""
REASON = "approval_reason"
REPEAT = "approval_repeat"
_WORDS = {
    REASON: "Why you want this, in a sentence or two, for the person who has to approve it.",
    REPEAT: "Only to run an identical call again on purpose: the id of the request that already ran.",
}
WORDS = frozenset(_WORDS)

_ELSEWHERE = {"$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if"}
"""Keywords by which a schema's root has properties that are written in another place."""


def added_to(schema: JsonObject) -> JsonObject:
    """A tool's input schema with the words for the reviewer."""
    extras = {name: _optional(_WORDS[name]) for name in _names(schema)}
    return schema | {"properties": _properties(schema) | extras}


def split(schema: Mapping[str, object], arguments: Mapping[str, object]) -> tuple[dict[str, str], JsonObject]:
    """The words for the reviewer apart from the tool's own arguments."""
    extras = _names(schema)
    words = {name: str(arguments[name]) for name in extras if arguments.get(name)}
    words[REPEAT] = ids.parsed(words.get(REPEAT, "")) or ""  # "none", "n/a": models write what they must
    return words, {name: value for name, value in arguments.items() if name not in extras}


async def look(gate: Gate, request_id: str, seconds: float, caller: Caller) -> CallToolResult:
    """The answer to a look at one of the caller's requests."""
    try:
        status = await gate.status(request_id, seconds, caller)
    except ApprovalsError as error:
        return answers.of_error(error)
    if status is None:
        return answers.not_yours(request_id, nameless=caller.nameless)
    return answers.of_status(status).model_copy(update={"is_error": False})


def _names(schema: Mapping[str, object]) -> list[str]:
    """The argument names that are the gate's: those that the tool has not taken itself."""
    elsewhere = _declared(schema) if schema.keys() & _ELSEWHERE else set()
    return [name for name in _WORDS if name not in _properties(schema) and name not in elsewhere]


def _declared(schema: Mapping[str, object]) -> set[str]:
    """Every property that stands anywhere in a schema, for one whose root says what it has in other places."""
    names: set[str] = set()
    left: list[object] = [schema]
    while left:
        part = left.pop()
        if isinstance(part, Mapping):
            names.update(_properties(part))
            left += part.values()
        elif isinstance(part, list):
            left += part
    return names


def _properties(schema: Mapping[str, object]) -> JsonObject:
    found = schema.get("properties")
    return found if isinstance(found, dict) else {}


def _optional(description: str) -> JsonObject:
    """A schema for words that may be left out, also where a host demands a value for every argument."""
    return {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None, "description": description}
