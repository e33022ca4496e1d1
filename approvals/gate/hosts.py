"""The form of an answer in which every host shows it to its model (docs/clients.md).

Some hosts show a result's text, others only its `structuredContent`; TypeScript's SDK 1.x throws an error away whose
`structuredContent` does not fit the tool's output schema. So the facts of an answer stand there only for a tool without
one, and a replay is told in a property of its own, which the listed schema has.
"""

from mcp_types import CallToolResult, TextContent

from approvals.gate import answers
from approvals.protocol.canonical import JsonObject

REPLAYED = "approval_replayed"
EDITED = "approval_edited"
_PLACES = {
    REPLAYED: (
        "Only when nothing ran: the same call ran before, and this is its stored result. Says when, and what to do."
    ),
    EDITED: "Only when a person changed the call before it ran: what they changed, and why.",
}

_AS_LISTED = {name: {"type": "string", "description": about} for name, about in _PLACES.items()}
_BY_NAME = frozenset({"type", "properties", "required", "additionalProperties"})
_SAYS_NOTHING = frozenset({"$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "examples"})


def listed(schema: JsonObject | None) -> JsonObject | None:
    """A tool's output schema as its clients see it: it has a place for the words of a replay."""
    if schema is None or schema.get("type") != "object":
        return schema
    own = schema.get("properties", {})
    return schema | {"properties": own | {name: place for name, place in _AS_LISTED.items() if name not in own}}


def shown(result: CallToolResult, schema: JsonObject | None) -> CallToolResult:
    """An answer of a tool with this output schema; what is the tool's own stays as it is."""
    facts = answers.facts_of(result)
    if facts is None:
        return result
    if result.is_error and facts["next"] not in _text(result):  # a tool's own error: some hosts show no facts
        result = result.model_copy(update={"content": [*result.content, answers.block(facts["next"])]})
    notes = {REPLAYED: facts.get("replayed"), EDITED: facts.get("edited_words")}
    notes = {name: words for name, words in notes.items() if words}
    if result.structured_content is not None:
        return _marked(result, notes, listed(schema)) if notes else result
    if schema is not None or (notes and not result.is_error):
        return result
    return result.model_copy(update={"structured_content": facts | {"message": _text(result)}})


def _text(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


def _marked(result: CallToolResult, notes: JsonObject, schema: JsonObject | None) -> CallToolResult:
    """Where the schema may have no place for them, the words stand in the text alone."""
    own = result.structured_content
    full = isinstance(own, dict) and own.keys() & notes.keys()
    if not isinstance(own, dict) or full or (schema is not None and not _has_place(schema)):
        return result
    return result.model_copy(update={"structured_content": notes | own})


def _has_place(schema: JsonObject) -> bool:
    """Whether one more property, of our name, leaves what fits fitting. Told from the keywords at its root, and never
    by evaluating it: an upstream's schema may cost any time."""
    if not schema.keys() <= _BY_NAME | _SAYS_NOTHING:
        return False
    properties = schema.get("properties", {})
    return all(properties.get(name) == place for name, place in _AS_LISTED.items())
