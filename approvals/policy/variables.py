"""The variables that conditions see: their types, and one call's values."""

from collections.abc import Mapping

from approvals.policy import schema_types
from approvals.policy.cel import Cel, CelFacts, Condition, Unanswered
from approvals.policy.matching import believed
from approvals.policy.model import CallFacts, ToolFacts
from approvals.policy.schema_types import Path, Type
from approvals.protocol.canonical import JsonObject


class Activation:
    """One call's facts, made ready for conditions when the first one asks."""

    def __init__(self, call: CallFacts, arguments: Type, faults: Mapping[str, str], cel: Cel) -> None:
        self.facts = call
        self.faults = faults
        self._arguments = arguments
        self._cel = cel
        self._bound: CelFacts | None = None
        self._missing: dict[Path, str] | None = None
        self._paths = schema_types.Paths({})

    @property
    def missing(self) -> dict[Path, str]:
        """Arguments that no condition may look at, with why."""
        if self._missing is None:
            try:
                values, missing = schema_types.plain(self.facts.arguments, self._arguments)
            except Exception:
                values, missing = {}, {("args",): "cannot be read"}
            self._bound = self._cel.bind({"args": values} | variables(self.facts), self.facts.now)
            self._missing, self._paths = missing, schema_types.Paths(missing)
        return self._missing

    def holds(self, condition: Condition) -> bool:
        """Whether a condition holds for this call. Raises Unanswered."""
        if self.missing:
            for touched in sorted(condition.touches):
                if (path := self._paths.met_by(touched)) is not None:
                    raise Unanswered(f"{'.'.join(path)} {self.missing[path]}")
        return self._cel.evaluate(condition, self._bound)


def variables(call: CallFacts) -> JsonObject:
    """The variables beside the arguments and the time."""
    tool, hints = call.tool, believed(call.tool)
    return {
        "facts": dict(call.effect),
        "tool": {
            "name": tool.tool,
            "read_only": hints.read_only,
            "destructive": hints.destructive,
            "idempotent": hints.idempotent,
            "open_world": hints.open_world,
        },
        "agent": {"name": call.agent or "", "groups": list(call.agent_groups), "identified": call.agent is not None},
        "server": {
            "name": tool.server,
            "environment": tool.environment,
            "assurance": str(tool.assurance),
            "trusted": tool.trusted,
        },
    }


def roots_of(tool: ToolFacts | None) -> dict[str, Type]:
    """The types of all variables; without a tool, of any arguments."""
    args = schema_types.ANY if tool is None else schema_types.type_of(tool.input_schema)
    return {"args": args, "facts": Type("object", False)} | _FIXED


def _object(**kinds: str | Type) -> Type:
    fields = {name: kind if isinstance(kind, Type) else Type(kind, False) for name, kind in kinds.items()}
    return Type("object", False, fields, closed=True)


_TEXT = Type("string", False)
_FIXED = {
    "tool": _object(name="string", read_only="bool", destructive="bool", idempotent="bool", open_world="bool"),
    "agent": _object(name="string", groups=Type("list", False, items=lambda: _TEXT), identified="bool"),
    "server": _object(name="string", environment="string", assurance="string", trusted="bool"),
}
