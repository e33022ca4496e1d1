"""From a tree to rules: what is wrong with a policy, all of it, each at its place."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from approvals.policy import cel
from approvals.policy.cel import (
    NO_BOOL,
    Condition,
    Engine,
    Fault,
    Faulty,
)
from approvals.policy.diagnostics import Place, Places, nearest
from approvals.policy.document import (
    MAX_RULES,
    DefaultsPart,
    Document,
    Groups,
    Match,
    ReviewersPart,
    RulePart,
    Terms,
)
from approvals.policy.engine import (
    DEFAULT,
    Rule,
    RulePolicy,
    roots_of,
)
from approvals.policy.engine import Terms as RuleTerms
from approvals.policy.matching import Globs, Matcher
from approvals.policy.model import (
    Action,
    GrantLimits,
    Notify,
    Reminder,
    ToolFacts,
)
from approvals.policy.reviewers import DECIDE, Channels, Reviewers
from approvals.policy.schema_types import Path, Paths
from approvals.policy.yaml_nodes import Node

_GROUPS: TypeAdapter[Any] = TypeAdapter(Groups)


class Check(Places):
    """One reading of one text."""

    def __init__(self, text: str, root: Node, tools: Sequence[ToolFacts], engine: Engine) -> None:
        super().__init__()
        self._text = text
        self._lines = text.splitlines()
        self._root = root
        self._tools = tools
        self._roots = [(tool, roots_of(tool)) for tool in tools]
        self._engine = engine
        self._known_groups: Mapping[str, Sequence[str]] = {}

    def policy(self) -> RulePolicy | None:
        """The policy; None if there is anything in `places`."""
        root = self._root
        self.duplicates(root)
        if not isinstance(root.value, dict):
            self.wrong(root, "A policy has keys.", "Begin with `version: 1` and `rules:`.")
            return None
        self._top(root)
        self._known_groups = self._top_part("groups", _GROUPS, {}, None)
        defaults = self._top_part("defaults", TypeAdapter(DefaultsPart), DefaultsPart(), DefaultsPart)
        default = self._default(defaults, root)
        rules = self._rules(root, defaults)
        if self.places:
            return None
        groups = {name: frozenset(handles) for name, handles in self._known_groups.items()}
        return RulePolicy(self._text, rules, groups, default, self._engine)

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

    def _top_part(self, name: str, adapter: Any, instead: Any, model: Any) -> Any:
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
        terms = self._terms(part, node, defaults)
        condition = self._condition(part, match, node.at("when")) if part.when is not None else None
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
        terms = self._terms(part, node, DefaultsPart())
        return Rule(DEFAULT, "", node.line, part.action, reason=part.reason or "", terms=terms)

    def _terms(self, part: Terms, node: Node, defaults: Terms) -> RuleTerms:
        first = part.model_dump(exclude_none=True).keys()

        def said(name: str) -> Any:
            return getattr(part if name in first else defaults, name)

        risk, ttl = said("risk"), said("ttl") or 3600
        reviewers = self._reviewers(part, node, defaults, risk)
        grants, notify = said("grants"), said("notify")
        if risk == "critical" and grants not in {None, "off"} and (part.grants is not None or part is defaults):
            self.wrong(node.key("grants"), "What is critical is never granted.", "Remove `grants`, or write off.")
        limits = None if grants == "off" else GrantLimits() if grants is None else GrantLimits(**grants.model_dump())
        usual = RuleTerms()
        return RuleTerms(
            risk=risk,
            reviewers=reviewers,
            enforced=said("assurance") is not None,
            ttl=ttl,
            execute_within=said("execute_within") or ttl,
            cool_down=_or(said("cool_down"), usual.cool_down),
            replay_window=_or(said("replay_window"), usual.replay_window),
            reminders=self._reminders(part, node, said("reminders") or [], said("escalate"), ttl),
            grants=limits,
            notify=Notify(**notify.model_dump()) if notify else Notify(),
        )

    def _reviewers(self, part: Terms, node: Node, defaults: Terms, risk: str | None) -> Reviewers:
        here, above = part.reviewers or ReviewersPart(), defaults.reviewers or ReviewersPart()
        who = here if here.people is not None or here.groups is not None or here.each_group is not None else above
        people, groups = _once(who.people or ()), _once(who.groups or ())
        quorum = _or(here.quorum, _or(above.quorum, 1))
        place = node.at("reviewers")
        self._groups(groups if who is here else (), place.at("groups"))
        if len(people) < quorum and people and not groups:
            self.wrong(
                place.at("quorum"),
                f"{quorum} people have to approve, and only {len(people)} may.",
                "Name more people or a group, or ask for fewer.",
            )
        if who.each_group and len(groups) < 2:
            self.wrong(place.key("each_group"), "each_group is about several groups.", "Name them in `groups`.")
        exclude = _or(here.exclude_requester, _or(above.exclude_requester, True))
        channels = self._channels(part, node, defaults, risk)
        return Reviewers(quorum, people, groups, bool(who.each_group), exclude, channels)

    def _groups(self, names: Iterable[str], node: Node) -> None:
        for number, name in enumerate(names):
            if name not in self._known_groups:
                hint = nearest(name, self._known_groups) if self._known_groups else ""
                declare = (
                    f"Add `{name}: [handles]` to `groups`, or `{name}: []` if its members are kept in the service."
                )
                self.wrong(node.at(number), f"There is no group {name!r}.", hint or declare)

    def _channels(self, part: Terms, node: Node, defaults: Terms, risk: str | None) -> Channels:
        given = defaults.channels.model_dump(exclude_none=True) if defaults.channels else {}
        given |= part.channels.model_dump(exclude_none=True) if part.channels else {}
        channels = Channels(**given)
        by_token = channels.api == DECIDE and risk not in {"high", "critical"}
        if DECIDE not in {channels.web, channels.slack} and not by_token:
            token = " (a token never decides what is high or critical)" if channels.api == DECIDE else ""
            self.wrong(node.key("channels"), f"Nobody can decide anywhere{token}.", "Write `web: decide`.")
        return channels

    def _reminders(self, part: Terms, node: Node, times: list[int], escalate: Any, ttl: int) -> tuple[Reminder, ...]:
        for number, after in enumerate(times):
            if after >= ttl:
                self.wrong(node.at("reminders", number), "By then the request has expired (ttl).", "Remind earlier.")
        reminders = [Reminder(after) for after in times if after < ttl]
        if escalate is not None:
            if part.escalate is not None:
                self._groups(escalate.groups, node.at("escalate", "groups"))
            if escalate.after >= ttl:
                place = node.at("escalate", "after")
                self.wrong(place, "By then the request has expired (ttl).", "Escalate earlier.")
            reminders.append(Reminder(escalate.after, tuple(escalate.groups)))
        return tuple(sorted(reminders, key=lambda reminder: (reminder.after, reminder.groups)))

    def _condition(self, part: RulePart, match: Matcher, node: Node) -> Condition | None:
        try:
            condition = self._engine.compile(part.when or "")
        except Faulty as faulty:
            for fault in faulty.faults:
                self._fault(node, fault, _suggestion(fault))
            return None
        about = [(tool, roots) for tool, roots in self._roots if not match.misfit(tool, part.action)]
        if not about:
            for fault, miss in cel.misses(condition, roots_of(None)):
                self._fault(node, fault, nearest(miss.name, miss.known))
            return condition
        found = [self._misfits(condition, tool, roots) for tool, roots in about]
        if all(found):
            for fault, suggestion in min(found, key=len):
                self._fault(node, fault, suggestion)
        return condition

    def _misfits(self, condition: Condition, tool: ToolFacts, roots: Mapping[str, Any]) -> list[tuple[Fault, str]]:
        """What is wrong with a condition for one tool."""
        found = [(fault, nearest(miss.name, miss.known)) for fault, miss in cel.misses(condition, roots)]
        faults = self._engine.check(condition, roots)
        found += [(fault, _suggestion(fault)) for fault in faults if not (found and fault.message.startswith(NO_BOOL))]
        for secret in self._secrets_met(condition, tool):
            message = f"args.{secret} is secret: it never leaves the gate, so this can be neither true nor false."
            found.append((Fault(1, 1, message), "Ask about another argument."))
        return found

    def _secrets_met(self, condition: Condition, tool: ToolFacts) -> list[str]:
        named: dict[Path, str] = {}
        for secret in tool.secret:
            named.setdefault(("args", *(step for part in secret.split(".") for step in _steps(part))), secret)
        secrets = Paths(named)
        met = (secrets.met_by(touched) for touched in condition.touches)
        return sorted({named[path] for path in met if path is not None})

    def _fault(self, node: Node, fault: Fault, suggestion: str) -> None:
        line, column = self._where(node, fault.line, fault.column)
        self.places.append(Place(line, column, f"In this condition: {fault.message}", suggestion))

    def _where(self, node: Node, line: int, column: int) -> tuple[int, int]:
        """A place in a condition as a place in the file."""
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


def _suggestion(fault: Fault) -> str:
    if fault.message.startswith("There is no "):
        name = fault.message.split("'")[1].split(".")[0]
        return nearest(name, cel.VARIABLES)
    if "does not go with" in fault.message:
        return "Compare values of one type."
    if fault.message.startswith(NO_BOOL):
        return "Compare it with something, as in `args.count > 5`."
    return "Look at what stands just before."


def _steps(part: str) -> tuple[str, ...]:
    return (part.removesuffix("[]"), "[]") if part.endswith("[]") else (part,)


def _or(value: Any, other: Any) -> Any:
    return other if value is None else value


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
