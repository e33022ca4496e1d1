"""Which calls a rule is about, apart from its condition."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from approvals.policy.model import Action, CallFacts, ToolFacts
from approvals.protocol.registration import Annotations

ASSUMED = Annotations()
"""What MCP assumes of a tool that says nothing of itself; an untrusted server's tools count as that."""


def believed(tool: ToolFacts) -> Annotations:
    """The annotations that count."""
    return tool.annotations if tool.trusted else ASSUMED


@dataclass(frozen=True)
class Globs:
    """Names with `*` (any characters) and `?` (one)."""

    patterns: tuple[str, ...]
    _expression: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parts = (re.escape(name).replace(r"\*", ".*").replace(r"\?", ".") for name in self.patterns)
        object.__setattr__(self, "_expression", re.compile("|".join(f"(?:{part})" for part in parts), re.DOTALL))

    def fit(self, name: str) -> bool:
        return self._expression.fullmatch(name) is not None

    def __str__(self) -> str:
        return " or ".join(self.patterns)


@dataclass(frozen=True)
class Matcher:
    """The calls that a rule is about: everything given has to fit."""

    server: Globs | None = None
    tool: Globs | None = None
    environment: Globs | None = None
    agent: Globs | None = None
    agent_group: Globs | None = None
    annotations: tuple[tuple[str, bool], ...] = ()
    trusted: bool | None = None
    assurance: str | None = None

    def mismatch(self, tool: ToolFacts, action: Action) -> str:
        """Why no call of this tool is meant; empty if one may be."""
        for what, globs, name in (
            ("server", self.server, tool.server),
            ("tool", self.tool, tool.tool),
            ("environment", self.environment, tool.environment),
        ):
            if globs is not None and not globs.fit(name):
                return f"the {what} is {name or 'not named'}, not {globs}"
        if self.trusted is not None and tool.trusted is not self.trusted:
            return f"the server's annotations are {'' if tool.trusted else 'not '}trusted"
        if self.assurance is not None and tool.assurance != self.assurance:
            return f"the installation is {tool.assurance}"
        if self.annotations and not tool.trusted and action is Action.ALLOW:
            return "the annotations are not trusted, so they allow nothing"
        for name, wanted in self.annotations:
            if getattr(believed(tool), name) is not wanted:
                said = "" if tool.trusted else ", as is assumed of tools whose annotations are not trusted"
                return f"{name} is {str(not wanted).lower()}{said}"
        return ""

    @property
    def by_agent(self) -> bool:
        """Whether it depends on who calls."""
        return self.agent is not None or self.agent_group is not None

    def caller_mismatch(self, call: CallFacts) -> str:
        """Why this caller is not meant; empty if it is."""
        if self.agent is not None and (call.agent is None or not self.agent.fit(call.agent)):
            return f"the agent is {call.agent or 'unidentified'}, not {self.agent}"
        if self.agent_group is not None and not (call.agent is not None and self._in_group(call.agent_groups)):
            return f"the agent is in no group {self.agent_group}"
        return ""

    def _in_group(self, groups: Sequence[str]) -> bool:
        return any(self.agent_group is not None and self.agent_group.fit(group) for group in groups)
