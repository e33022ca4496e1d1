"""A policy's text: read into rules, or refused with every problem at its line."""

from collections.abc import Sequence

from approvals.errors import Invalid
from approvals.policy.cel import Cel
from approvals.policy.compiler import Compiler
from approvals.policy.diagnostics import Diagnostic, in_order
from approvals.policy.engine import RulePolicy
from approvals.policy.model import ToolFacts
from approvals.policy.yaml_nodes import Unreadable, parse

MAX_TEXT = 262_144
"""Bytes of a policy file."""


class PolicyRefused(Invalid):
    """The text is no policy; `problems` has them all."""

    problem, title = "policy-refused", "This policy cannot be used"

    def __init__(self, problems: Sequence[Diagnostic]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        super().__init__(f"Line {first.line}: {first.message}{more}", hint=first.suggestion)

    def report(self, name: str = "policy") -> str:
        """All of them, for a terminal or a log."""
        return "\n".join(problem.report(name) for problem in self.problems)


def read(text: str, tools: Sequence[ToolFacts] = (), cel: Cel | None = None) -> RulePolicy:
    """The policy that a text says, its conditions checked against the known tools. Raises PolicyRefused."""
    if len(text) > MAX_TEXT or len(text.encode(errors="replace")) > MAX_TEXT:
        raise PolicyRefused([Diagnostic(1, 1, f"A policy has at most {MAX_TEXT:,} bytes.", "Split its lists.")])
    try:
        root = parse(text)
    except Unreadable as error:
        place = Diagnostic(error.line, error.column, error.message, error.suggestion)
        raise PolicyRefused(in_order(text, [place])) from error
    compiler = Compiler(text, root, tools, cel or Cel())
    policy = compiler.policy()
    if policy is None:
        raise PolicyRefused(in_order(text, compiler.found))
    return policy
