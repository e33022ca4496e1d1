"""A policy made of rules, first match wins. Pure; whatever is not clearly allowed is held for a person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from approvals.policy import Action, CallFacts, DefaultPolicy, Judgement, ToolFacts
from approvals.wire import Verdict


class Outcome(StrEnum):
    """What became of one rule."""

    MATCHED = "matched"
    NOT_MATCHED = "not matched"
    NOT_EVALUATED = "could not be evaluated"


@dataclass(frozen=True)
class Step:
    """One rule of the walk, and why."""

    rule: str
    line: int
    outcome: Outcome
    why: str


@dataclass(frozen=True)
class Explanation:
    """How a judgement came about: the rules that were looked at, in order."""

    steps: tuple[Step, ...]
    judgement: Judgement


@dataclass(frozen=True)
class Rule:
    """One rule as it stands in the file."""

    id: str
    text: str
    line: int
    action: Action = Action.REQUIRE_APPROVAL


class RulePolicy:
    """The port over the rules of one file."""

    def __init__(self, text: str, rules: Sequence[Rule], groups: Mapping[str, frozenset[str]]) -> None:
        self.text = text
        self.rules = tuple(rules)
        self.groups = MappingProxyType(dict(groups))

    def verdict(self, tool: ToolFacts) -> Verdict:
        return DefaultPolicy().verdict(tool)

    def judge(self, call: CallFacts) -> Judgement:
        return self.explain(call).judgement

    def explain(self, call: CallFacts) -> Explanation:
        """Rule by rule; `judge` is exactly its judgement."""
        return Explanation((), DefaultPolicy().judge(call))
