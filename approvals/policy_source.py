"""A policy's text: read into rules, or refused with every problem at its line."""

from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from approvals.errors import Invalid
from approvals.policy import Action, ToolFacts
from approvals.policy_rules import Rule, RulePolicy


@dataclass(frozen=True)
class Problem:
    """Something wrong at a place in the text (line and column count from 1)."""

    line: int
    column: int
    message: str
    suggestion: str
    excerpt: str
    """The line as it stands."""

    def report(self, name: str = "policy") -> str:
        """Three lines for a terminal or a log: what, where, what to do."""
        lines = [
            f"{name}:{self.line}:{self.column}: {self.message}",
            f"  {self.excerpt}",
            f"  {' ' * (self.column - 1)}^ {self.suggestion}".rstrip(),
        ]
        return "\n".join(lines)


class PolicyRefused(Invalid):
    """The text is no policy; `problems` has them all."""

    problem, title = "policy-refused", "This policy cannot be used"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        super().__init__(f"Line {first.line}: {first.message}{more}", hint=first.suggestion)

    def report(self, name: str = "policy") -> str:
        """All of them, for a terminal or a log."""
        return "\n".join(problem.report(name) for problem in self.problems)


def read(text: str, tools: Sequence[ToolFacts] = ()) -> RulePolicy:
    """The policy that a text says, its conditions checked against the known tools. Raises PolicyRefused."""
    try:
        kept = yaml.safe_load(text)
        rules = [Rule(rule["id"], "", 1, Action(rule["action"])) for rule in kept["rules"]]
        groups = {name: frozenset(handles) for name, handles in kept.get("groups", {}).items()}
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise PolicyRefused([Problem(1, 1, f"This is no policy: {error}", "", text.split("\n")[0])]) from error
    return RulePolicy(text, rules, groups)
