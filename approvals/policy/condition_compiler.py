"""A rule's condition: compiled, and held against the tools that the rule is about."""

from collections.abc import Mapping, Sequence

from approvals.policy.cel import NO_BOOL, VARIABLES, Cel, Condition, Faulty, Issue, misses
from approvals.policy.diagnostics import Diagnostic, Diagnostics, nearest
from approvals.policy.document import RulePart
from approvals.policy.matching import Matcher
from approvals.policy.model import ToolFacts
from approvals.policy.schema_types import Path, Paths, Type
from approvals.policy.variables import roots_of
from approvals.policy.yaml_nodes import Node


class ConditionCompiler:
    """The conditions of one policy; what is wrong with them is told to `diagnostics`."""

    def __init__(self, diagnostics: Diagnostics, lines: Sequence[str], tools: Sequence[ToolFacts], cel: Cel) -> None:
        self._diagnostics = diagnostics
        self._lines = lines
        self._tools = [(tool, roots_of(tool)) for tool in tools]
        self._cel = cel

    def compile(self, part: RulePart, match: Matcher, node: Node) -> Condition | None:
        """The condition of a rule that has one; None if it is of no use."""
        try:
            condition = self._cel.compile(part.when or "")
        except Faulty as faulty:
            for issue in faulty.issues:
                self._tell(node, issue, _suggestion(issue))
            return None
        about = [(tool, roots) for tool, roots in self._tools if not match.mismatch(tool, part.action)]
        if not about:
            for issue, miss in misses(condition, roots_of(None)):
                self._tell(node, issue, nearest(miss.name, miss.known))
            return condition
        found = [self._mismatches(condition, tool, roots) for tool, roots in about]
        if all(found):
            for issue, suggestion in min(found, key=len):
                self._tell(node, issue, suggestion)
        return condition

    def _mismatches(self, condition: Condition, tool: ToolFacts, roots: Mapping[str, Type]) -> list[tuple[Issue, str]]:
        """What is wrong with a condition for one tool."""
        found = [(issue, nearest(miss.name, miss.known)) for issue, miss in misses(condition, roots)]
        issues = self._cel.check(condition, roots)
        found += [(issue, _suggestion(issue)) for issue in issues if not (found and issue.message.startswith(NO_BOOL))]
        for secret in self._secrets_met(condition, tool):
            message = f"args.{secret} is secret: it never leaves the gate, so this can be neither true nor false."
            found.append((Issue(1, 1, message), "Ask about another argument."))
        return found

    def _secrets_met(self, condition: Condition, tool: ToolFacts) -> list[str]:
        named: dict[Path, str] = {}
        for secret in tool.secret:
            named.setdefault(("args", *(step for part in secret.split(".") for step in _steps(part))), secret)
        secrets = Paths(named)
        met = (secrets.met_by(touched) for touched in condition.touches)
        return sorted({named[path] for path in met if path is not None})

    def _tell(self, node: Node, issue: Issue, suggestion: str) -> None:
        line, column = self._where(node, issue.line, issue.column)
        self._diagnostics.found.append(Diagnostic(line, column, f"In this condition: {issue.message}", suggestion))

    def _where(self, node: Node, line: int, column: int) -> tuple[int, int]:
        """The place in the file of a place in a condition."""
        text = str(node.value)
        if node.style in {"|", ">"}:
            written = text.split("\n")[line - 1] if node.style == "|" else ""
            at = node.line + line
            if written and at <= len(self._lines) and written in self._lines[at - 1]:
                return at, self._lines[at - 1].index(written) + column
            return min(node.line + 1, len(self._lines)), 1
        start = node.column - 1 + bool(node.style)
        if line == 1 and self._lines[node.line - 1][start:].startswith(text.split("\n")[0]):
            return node.line, start + column
        return node.line, node.column


def _suggestion(issue: Issue) -> str:
    if issue.message.startswith("There is no "):
        name = issue.message.split("'")[1].split(".")[0]
        return nearest(name, VARIABLES)
    if "does not go with" in issue.message:
        return "Compare values of one type."
    if issue.message.startswith(NO_BOOL):
        return "Compare it with something, as in `args.count > 5`."
    return "Look at what stands just before."


def _steps(part: str) -> tuple[str, ...]:
    return (part.removesuffix("[]"), "[]") if part.endswith("[]") else (part,)
