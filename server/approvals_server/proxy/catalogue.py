"""Which tools the upstream offers, as its definitions are held by the gate."""

from collections.abc import Iterable, Mapping
from typing import Any

from approvals.gate.approval_arguments import GET_APPROVAL
from approvals.protocol.registration import Annotations, ToolDefinition
from approvals_server.proxy.rules.rule import Rules, ToolRule
from approvals_server.proxy.rules.secrets import UNFINDABLE, secrets_of

_HINTS = {
    "read_only": "readOnlyHint",
    "destructive": "destructiveHint",
    "idempotent": "idempotentHint",
    "open_world": "openWorldHint",
}


class Catalogue:
    """The definitions that one proxy process serves: those that any of its connections was told last."""

    def __init__(self) -> None:
        self._by_name: dict[str, ToolDefinition] = {}
        self._versions: dict[str, str] = {}
        self.definitions: tuple[ToolDefinition, ...] = ()
        self.versions: Mapping[str, str] = {}

    def learn(self, tools: Mapping[str, ToolDefinition], version: str) -> None:
        """Keep what a connection was told now, in place of what was known of these names."""
        if all(self.knows(tool, version) for tool in tools.values()):
            return
        self._by_name |= tools
        self._versions |= dict.fromkeys(tools, version)
        self.definitions, self.versions = tuple(self._by_name.values()), dict(self._versions)

    def correct(self, tools: Mapping[str, ToolDefinition], version: str) -> None:
        """Replace what is known of these names. A name that is new waits for the whole list, so that what is registered
        first is all of it."""
        self.learn({name: tool for name, tool in tools.items() if name in self._by_name}, version)

    def knows(self, tool: ToolDefinition, version: str) -> bool:
        """Whether this is the definition that stands for its name, of this version of the upstream."""
        return self.defines(tool) and self._versions.get(tool.name) == version

    def defines(self, tool: ToolDefinition) -> bool:
        """Whether this is the definition that stands for its name."""
        return self._by_name.get(tool.name) == tool


def definitions_of(tools: Iterable[Any], rules: Rules) -> dict[str, ToolDefinition]:
    """What can be made sense of, by name, with what their owner says of them. What is listed twice is not there: nobody
    knows which of them would run; nor is a tool of the name by which agents ask the gate."""
    found: dict[str, ToolDefinition] = {}
    twice = set()
    for tool in tools:
        definition = _definition(tool)
        if definition is None:
            continue
        if definition.name in found:
            twice.add(definition.name)
        found[definition.name] = definition
    return {
        name: _ruled(definition, rules.of(name))
        for name, definition in found.items()
        if name not in {GET_APPROVAL, *twice}
    }


def _ruled(tool: ToolDefinition, rule: ToolRule) -> ToolDefinition:
    hints = tool.annotations
    if rule.read_only is not None:
        hints = hints.model_copy(update={"read_only": rule.read_only})
    said = {"annotations": hints, "summary": rule.summary, "secret": _secrets(tool, rule)}
    return tool.model_copy(update=said)


def _secrets(tool: ToolDefinition, rule: ToolRule) -> tuple[str, ...]:
    """The owner's and the schema's own."""
    try:
        return tuple(dict.fromkeys((*rule.secret, *secrets_of(tool.input_schema))))
    except RecursionError:
        return (UNFINDABLE,)


def _definition(tool: Any) -> ToolDefinition | None:
    if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
        return None
    hints = tool.get("annotations")
    given = {name: hints.get(hint) for name, hint in _HINTS.items()} if isinstance(hints, dict) else {}
    schema, output = tool.get("inputSchema"), tool.get("outputSchema")
    return ToolDefinition(
        name=tool["name"],
        title=_words(tool.get("title")),
        description=_words(tool.get("description")) or "",
        input_schema=schema if isinstance(schema, dict) else {},
        output_schema=output if isinstance(output, dict) else None,
        annotations=Annotations(**{name: value for name, value in given.items() if isinstance(value, bool)}),
    )


def _words(value: Any) -> str | None:
    return value if isinstance(value, str) else None
