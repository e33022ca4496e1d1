"""From a tree to rules: what is wrong with a policy, all of it, each at its place."""

from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter

from approvals.policy import edit_paths
from approvals.policy.cel import Cel
from approvals.policy.condition_compiler import ConditionCompiler
from approvals.policy.diagnostics import Diagnostics, nearest
from approvals.policy.document import MAX_RULES, DefaultsPart, Document, Groups, Match, RulePart
from approvals.policy.engine import RulePolicy
from approvals.policy.matching import Globs, Matcher
from approvals.policy.model import Action, ToolFacts
from approvals.policy.rules import DEFAULT, Rule
from approvals.policy.terms_compiler import TermsCompiler
from approvals.policy.yaml_nodes import Node

T = TypeVar("T")
_GROUPS: TypeAdapter[Groups] = TypeAdapter(Groups)


class Compiler(Diagnostics):
    """One reading of one text."""

    def __init__(self, text: str, root: Node, tools: Sequence[ToolFacts], cel: Cel) -> None:
        super().__init__()
        self._text = text
        self._lines = text.splitlines()
        self._root = root
        self._cel = cel
        self._tools = tools
        self._conditions = ConditionCompiler(self, self._lines, tools, cel)
        self._terms = TermsCompiler(self, ())

    def policy(self) -> RulePolicy | None:
        """The policy; None if there is anything in `found`."""
        root = self._root
        self.duplicates(root)
        if not isinstance(root.value, dict):
            self.wrong(root, "A policy has keys.", "Begin with `version: 1` and `rules:`.")
            return None
        self._top(root)
        groups = self._top_part("groups", _GROUPS, {}, None)
        self._terms = TermsCompiler(self, groups)
        defaults = self._top_part("defaults", TypeAdapter(DefaultsPart), DefaultsPart(), DefaultsPart)
        default = self._default(defaults, root)
        rules = self._rules(root, defaults)
        if self.found:
            return None
        members = {name: frozenset(handles) for name, handles in groups.items()}
        return RulePolicy(self._text, rules, members, default, self._cel)

    def _top(self, root: Node) -> None:
        for name, key in root.keys.items():
            if name not in Document.model_fields:
                self.wrong(key, f"Unknown key {name!r}.", nearest(name, Document.model_fields))
        if "version" not in root.value:
            self.wrong(root, "A policy says which version of this form it has.", "Begin with `version: 1`.")
        elif root.at("version").value != 1 or isinstance(root.at("version").value, bool):
            self.wrong(root.at("version"), "There is no such version.", "Write 1.")
        if "rules" not in root.value:
            self.wrong(root, "A policy has rules.", "Write `rules: []` for none.")

    def _top_part(self, name: str, adapter: TypeAdapter[T], instead: T, model: type[BaseModel] | None) -> T:
        if name not in self._root.value:
            return instead
        made = self.validate(self._root.at(name), adapter, model)
        return instead if made is None else made

    def _rules(self, root: Node, defaults: DefaultsPart) -> list[Rule]:
        listed = root.value.get("rules")
        if listed is None:
            return []
        if not isinstance(listed.value, list):
            self.wrong(listed, "Rules are a list.", "Begin each with `- id:`.")
            return []
        if len(listed.value) > MAX_RULES:
            self.wrong(listed, f"A policy has at most {MAX_RULES:,} rules.", "Let one rule name many tools.")
            return []
        found: dict[str, Rule] = {}
        adapter = TypeAdapter(RulePart)
        for node in listed.value:
            part = self.validate(node, adapter, RulePart)
            name = node.value.get("id") if isinstance(node.value, dict) else None
            if name is not None and isinstance(name.value, str):
                if name.value in found or name.value == DEFAULT:
                    taken = "is taken" if name.value in found else "is the name of what no rule matches"
                    self.wrong(name, f"The id {name.value!r} {taken}.", "Give each rule an id of its own.")
                found[name.value] = Rule(name.value, "", node.line)
            if part is not None:
                found[part.id] = self._rule(part, node, defaults)
        return list(found.values())

    def _rule(self, part: RulePart, node: Node, defaults: DefaultsPart) -> Rule:
        if part.action is Action.DENY and part.reason is None:
            self.wrong(node.at("action"), "A deny tells the agent why.", "Add `reason: …`.")
        match = _matcher(part.match)
        terms = self._terms.compile(part, node, defaults)
        about = [tool for tool in self._tools if not match.mismatch(tool, part.action)]
        edit_paths.check(self, part, node, about)
        condition = self._conditions.compile(part, match, node.at("when")) if part.when is not None else None
        text = "\n".join(self._lines[node.line - 1 : node.end_line]).rstrip()
        return Rule(part.id, text, node.line, part.action, match, condition, part.reason or "", terms)

    def _default(self, part: DefaultsPart, root: Node) -> Rule:
        node = root.at("defaults")
        if part.action is Action.ALLOW:
            self.wrong(
                node.at("action"), "What no rule matches is never allowed.", "Write a rule that allows what you mean."
            )
        if part.action is Action.DENY and part.reason is None:
            self.wrong(node.at("action"), "A deny tells the agent why.", "Add `reason: …`.")
        edit_paths.check(self, part, node, self._tools)
        terms = self._terms.compile(part, node, DefaultsPart())
        return Rule(DEFAULT, "", node.line, part.action, reason=part.reason or "", terms=terms)


def _matcher(part: Match) -> Matcher:
    def globs(names: list[str] | None) -> Globs | None:
        return None if names is None else Globs(tuple(names))

    hints = part.annotations.model_dump(exclude_none=True) if part.annotations else {}
    return Matcher(
        server=globs(part.server),
        tool=globs(part.tool),
        environment=globs(part.environment),
        agent=globs(part.agent),
        agent_group=globs(part.agent_group),
        annotations=tuple(hints.items()),
        trusted=part.trusted,
        assurance=part.assurance,
    )
