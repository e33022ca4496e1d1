"""A policy's text: read into rules, or refused with every problem at its line."""

from collections.abc import Sequence
from dataclasses import dataclass

from approvals.errors import Invalid
from approvals.policy.cel import Cel, Engine
from approvals.policy.compiler import Check
from approvals.policy.diagnostics import Place
from approvals.policy.engine import RulePolicy
from approvals.policy.model import ToolFacts
from approvals.policy.yaml_nodes import Unreadable, parse

MAX_TEXT = 262_144
"""Bytes of a policy file."""


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
        first = max(0, self.column - 100)  # a line may be as long as the file
        shown = self.excerpt[first : self.column + 100].replace("\t", " ")
        shown = "".join(letter if letter.isprintable() else "�" for letter in shown)
        lines = [
            f"{name}:{self.line}:{self.column}: {self.message}",
            f"    {shown}",
            f"    {' ' * (self.column - 1 - first)}^ {self.suggestion}".rstrip(),
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


def read(text: str, tools: Sequence[ToolFacts] = (), engine: Engine | None = None) -> RulePolicy:
    """The policy that a text says, its conditions checked against the known tools. Raises PolicyRefused."""
    if len(text) > MAX_TEXT or len(text.encode(errors="replace")) > MAX_TEXT:
        raise PolicyRefused([Problem(1, 1, f"A policy has at most {MAX_TEXT:,} bytes.", "Split its lists.", "")])
    try:
        root = parse(text)
    except Unreadable as error:
        place = Place(error.line, error.column, error.message, error.suggestion)
        raise PolicyRefused(problems_at(text, [place])) from error
    check = Check(text, root, tools, engine or Cel())
    policy = check.policy()
    if policy is None:
        raise PolicyRefused(problems_at(text, check.places))
    return policy


def problems_at(text: str, places: Sequence[Place]) -> list[Problem]:
    """Places as problems, in the text's order; the first 200."""
    lines = text.splitlines() or [""]
    ordered = sorted(set(places), key=lambda place: (place.line, place.column))
    return [
        Problem(place.line, place.column, place.message, place.suggestion, lines[min(place.line, len(lines)) - 1])
        for place in ordered[:200]
    ]
