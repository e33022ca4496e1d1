"""A policy made of rules: the first that matches decides. Pure; whatever is not clearly allowed is held for a person.

A rule that cannot be evaluated may have matched, so neither it nor what comes after it is passed over: the call meets
the strictest of what they say, and at least a person. A deny stays a deny.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeVar

from approvals.policy import cel, schema_types
from approvals.policy.cel import Condition, Engine, Unanswered
from approvals.policy.matching import Matcher, believed
from approvals.policy.model import (
    Action,
    CallFacts,
    GrantLimits,
    Judgement,
    Notify,
    Reminder,
    ToolFacts,
    usual_risk,
)
from approvals.policy.reviewers import Reviewers
from approvals.policy.schema_types import Path, Shape
from approvals.protocol.canonical import SAFE_INTEGER
from approvals.protocol.registration import Verdict

RISKS = ("low", "medium", "high", "critical")
_ACTIONS = (Action.ALLOW, Action.REQUIRE_APPROVAL, Action.DENY)
"""From the loosest to the strictest."""
DEFAULT = "default"
"""The rule's name in a judgement, where no rule matched."""
_BLOCK = 32
_PLANS = 500
_VERDICTS = 20_000
T = TypeVar("T")


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
class Terms:
    """How a call is held, or let through: a rule's own words over the defaults."""

    risk: str | None = None
    """None: as the tool's annotations suggest."""
    reviewers: Reviewers = field(default_factory=Reviewers)
    enforced: bool = False
    """Whether a cooperative installation's call is denied."""
    ttl: int = 3600
    execute_within: int = 3600
    cool_down: int = 600
    replay_window: int = 600
    reminders: tuple[Reminder, ...] = ()
    grants: GrantLimits | None = field(default_factory=GrantLimits)
    notify: Notify = field(default_factory=Notify)


@dataclass(frozen=True)
class Rule:
    """One rule as it stands in the file."""

    id: str
    text: str
    line: int
    action: Action = Action.REQUIRE_APPROVAL
    match: Matcher = field(default_factory=Matcher)
    condition: Condition | None = None
    reason: str = ""
    terms: Terms = field(default_factory=Terms)


@dataclass(frozen=True)
class _Block:
    """Rules about a tool; `together` is false only if the condition of every one of them is."""

    rules: tuple[Rule, ...]
    together: Condition | None = None


@dataclass(frozen=True)
class _Plan:
    """What the policy says of one definition of a tool."""

    shape: Shape
    blocks: tuple[_Block, ...]
    faults: Mapping[str, str]
    """Why a rule's condition does not fit this tool, by id."""


class _Call:
    """One call's facts, made ready for conditions when the first one asks."""

    def __init__(self, call: CallFacts, plan: _Plan, engine: Engine) -> None:
        self.facts = call
        self.plan = plan
        self._engine = engine
        self._bound: Any = None
        self._missing: dict[Path, str] | None = None
        self._paths = schema_types.Paths({})

    @property
    def missing(self) -> dict[Path, str]:
        """Arguments that no condition may look at, with why."""
        if self._missing is None:
            try:
                values, missing = schema_types.plain(self.facts.arguments, self.plan.shape)
            except Exception:
                values, missing = {}, {("args",): "cannot be read"}
            self._bound = self._engine.bind({"args": values} | variables(self.facts), self.facts.now)
            self._missing, self._paths = missing, schema_types.Paths(missing)
        return self._missing

    def holds(self, condition: Condition) -> bool:
        """Raises Unanswered."""
        if self.missing:
            for touched in sorted(condition.touches):
                if (path := self._paths.met_by(touched)) is not None:
                    raise Unanswered(f"{'.'.join(path)} {self.missing[path]}")
        return self._engine.evaluate(condition, self._bound)


class RulePolicy:
    """The port over the rules of one file."""

    def __init__(
        self, text: str, rules: Sequence[Rule], groups: Mapping[str, frozenset[str]], default: Rule, engine: Engine
    ) -> None:
        self.text = text
        self.rules = tuple(rules)
        self.default = default
        self.groups = MappingProxyType(dict(groups))
        self._engine = engine
        self._plans: OrderedDict[Any, _Plan] = OrderedDict()
        self._verdicts: OrderedDict[Any, Verdict] = OrderedDict()
        self._lock = threading.Lock()

    def verdict(self, tool: ToolFacts) -> Verdict:
        """Whatever its schema: a condition may answer either way, and may fail."""
        try:
            return self._kept(self._verdicts, _VERDICTS, _placed(tool), lambda: self._verdict(tool))
        except Exception:
            return Verdict.ASK

    def refusal(self, tool: ToolFacts) -> str:
        try:
            reasons = [_reason(rule, tool) for rule in self._possible(tool)]
        except Exception:
            return ""
        return " ".join(dict.fromkeys(filter(None, reasons)))

    def judge(self, call: CallFacts) -> Judgement:
        try:
            return self._decide(call, self._quickly(call))
        except Exception:
            return self._broken(call)

    def explain(self, call: CallFacts) -> Explanation:
        """Rule by rule; `judge` is exactly its judgement."""
        steps: list[Step] = []
        try:
            judgement = self._decide(call, self._slowly(call, steps))
        except Exception:
            judgement = self._broken(call)
        return Explanation(tuple(steps), judgement)

    def faults(self, tool: ToolFacts) -> Mapping[str, str]:
        """The rules whose conditions do not fit this tool, by id, with why: they hold its calls."""
        return self._plan(tool).faults

    def _decide(self, call: CallFacts, answers: Iterator[tuple[Rule, Outcome, str]]) -> Judgement:
        failed: list[tuple[Rule, str]] = []
        decisive = self.default
        for rule, outcome, why in answers:
            if outcome is Outcome.NOT_EVALUATED:
                failed.append((rule, why))
            elif outcome is Outcome.MATCHED:
                decisive = rule
                break
        return _held(failed, decisive, call) if failed else _judgement(decisive, call)

    def _quickly(self, call: CallFacts) -> Iterator[tuple[Rule, Outcome, str]]:
        """Only what may matter: rules about this tool, blocks of false conditions skipped at once."""
        plan = self._plan(call.tool)
        ready = _Call(call, plan, self._engine)
        for block in plan.blocks:
            if block.together is None or _may_hold(block.together, ready):
                for rule in block.rules:
                    yield rule, *_outcome(rule, ready)

    def _slowly(self, call: CallFacts, steps: list[Step]) -> Iterator[tuple[Rule, Outcome, str]]:
        plan = self._plan(call.tool)
        ready = _Call(call, plan, self._engine)
        for rule in self.rules:
            misfit = rule.match.misfit(call.tool, rule.action)
            outcome, why = (Outcome.NOT_MATCHED, misfit) if misfit else _outcome(rule, ready)
            steps.append(Step(rule.id, rule.line, outcome, why))
            yield rule, outcome, why

    def _broken(self, call: CallFacts) -> Judgement:
        """Something in here failed: the strictest of what any rule about this tool says."""
        about = (rule for rule in self.rules if _may_be_about(rule, call.tool))
        return _held([(rule, "the policy failed on this call") for rule in (self.default, *about)], self.default, call)

    def _plan(self, tool: ToolFacts) -> _Plan:
        definition = tool.tool_hash or json.dumps(tool.input_schema, sort_keys=True, default=repr)
        return self._kept(self._plans, _PLANS, (definition, *_placed(tool)), lambda: self._planned(tool))

    def _kept(self, kept: OrderedDict[Any, T], most: int, key: Any, make: Callable[[], T]) -> T:
        """What was made for this key last; the `most` used last are kept."""
        with self._lock:
            if key not in kept:
                kept[key] = make()
                if len(kept) > most:
                    kept.popitem(last=False)
            kept.move_to_end(key)
            return kept[key]

    def _about(self, tool: ToolFacts) -> list[Rule]:
        return [rule for rule in self.rules if not rule.match.misfit(tool, rule.action)]

    def _planned(self, tool: ToolFacts) -> _Plan:
        about = self._about(tool)
        roots = roots_of(tool)
        faults = {}
        for rule in about:
            if rule.condition is not None and (found := self._engine.check(rule.condition, roots)):
                faults[rule.id] = f"it does not fit this tool: {found[0].message}"
        return _Plan(roots["args"], tuple(self._blocks(about, faults)), faults)

    def _blocks(self, rules: list[Rule], faults: Mapping[str, str]) -> Iterator[_Block]:
        waiting: list[Rule] = []
        for rule in rules:
            plain = rule.condition is None or rule.id in faults
            if waiting and (plain or len(waiting) == _BLOCK):
                yield self._block(waiting)
                waiting = []
            if plain:
                yield _Block((rule,))
            else:
                waiting.append(rule)
        if waiting:
            yield self._block(waiting)

    def _block(self, rules: list[Rule]) -> _Block:
        found = [rule.condition for rule in rules if rule.condition is not None]
        try:
            return _Block(tuple(rules), cel.any_of(self._engine, found) if len(found) > 1 else None)
        except cel.Faulty:
            return _Block(tuple(rules))

    def _verdict(self, tool: ToolFacts) -> Verdict:
        rules = list(self._possible(tool))
        possible = {_action(rule, tool) for rule in rules} | {
            max(_action(rule, tool), Action.REQUIRE_APPROVAL, key=_ACTIONS.index)  # it may fail
            for rule in rules
            if rule.condition is not None
        }
        if possible == {Action.ALLOW}:
            return Verdict.RUN if tool.trusted and tool.annotations.read_only else Verdict.DEPENDS
        if possible == {Action.DENY}:
            return Verdict.REFUSE
        return Verdict.ASK if possible == {Action.REQUIRE_APPROVAL} else Verdict.DEPENDS

    def _possible(self, tool: ToolFacts) -> Iterator[Rule]:
        """The rules that may decide on a call of it."""
        for rule in self._about(tool):
            yield rule
            if rule.condition is None and not rule.match.by_agent:
                return
        yield self.default


def _placed(tool: ToolFacts) -> tuple[Any, ...]:
    """What the rules' matches look at of a tool."""
    return tool.annotations, tool.server, tool.tool, tool.environment, tool.assurance, tool.trusted


def variables(call: CallFacts) -> dict[str, Any]:
    """What conditions see beside the arguments and the time."""
    tool, hints = call.tool, believed(call.tool)
    return {
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


def roots_of(tool: ToolFacts | None) -> dict[str, Shape]:
    """The shapes of all variables; without a tool, of any arguments."""
    args = schema_types.ANY if tool is None else schema_types.shape_of(tool.input_schema)
    return {"args": args} | _FIXED


def _object(**kinds: str | Shape) -> Shape:
    fields = {name: kind if isinstance(kind, Shape) else Shape(kind, False) for name, kind in kinds.items()}
    return Shape("object", False, fields, closed=True)


_TEXT = Shape("string", False)
_FIXED = {
    "tool": _object(name="string", read_only="bool", destructive="bool", idempotent="bool", open_world="bool"),
    "agent": _object(name="string", groups=Shape("list", False, items=lambda: _TEXT), identified="bool"),
    "server": _object(name="string", environment="string", assurance="string", trusted="bool"),
}


def _may_hold(together: Condition, call: _Call) -> bool:
    try:
        return call.holds(together) is not False
    except Exception:
        return True


def _outcome(rule: Rule, call: _Call) -> tuple[Outcome, str]:
    if stranger := rule.match.stranger(call.facts):
        return Outcome.NOT_MATCHED, stranger
    if call.facts.hidden and _action(rule, call.facts.tool) is Action.ALLOW:
        return Outcome.NOT_MATCHED, f"{call.facts.hidden} characters are hidden by pattern, and no rule allows that"
    if rule.condition is None:
        return Outcome.MATCHED, "nothing more is asked"
    if fault := call.plan.faults.get(rule.id):
        return Outcome.NOT_EVALUATED, fault
    try:
        holds = call.holds(rule.condition)
    except Unanswered as why:
        return Outcome.NOT_EVALUATED, str(why)
    except Exception as error:
        return Outcome.NOT_EVALUATED, f"the engine fails ({type(error).__name__})"
    return (Outcome.MATCHED, "the condition is true") if holds is True else (Outcome.NOT_MATCHED, "it is false")


def _action(rule: Rule, tool: ToolFacts) -> Action:
    return Action.DENY if rule.terms.enforced and tool.assurance != "enforced" else rule.action


def _reason(rule: Rule, tool: ToolFacts) -> str:
    if _action(rule, tool) is rule.action:
        return rule.reason
    return "This is done only through a gate that the agent cannot reach; this installation is cooperative."


def _risk(rule: Rule, tool: ToolFacts) -> str:
    return rule.terms.risk or ("low" if rule.action is Action.ALLOW else usual_risk(tool))


def _judgement(rule: Rule, call: CallFacts) -> Judgement:
    action, terms, risk = _action(rule, call.tool), rule.terms, _risk(rule, call.tool)
    held = action is Action.REQUIRE_APPROVAL
    return Judgement(
        action=action,
        rule=rule.id,
        facts=_facts(rule, call),
        reason=_reason(rule, call.tool),
        risk=risk,
        reviewers=terms.reviewers,
        ttl=terms.ttl,
        execute_within=terms.execute_within,
        cool_down=terms.cool_down,
        replay_window=terms.replay_window,
        reminders=terms.reminders if held else (),
        grants=terms.grants if held and risk != "critical" else None,
        notify=terms.notify,
    )


def _held(failed: list[tuple[Rule, str]], decisive: Rule, call: CallFacts) -> Judgement:
    """Under the strictest terms of those that may have decided, and by a person at least."""
    strictest = max((decisive, *(rule for rule, _ in failed)), key=lambda rule: _strictness(rule, call.tool))
    rule, why = failed[0]
    reason = f"Rule {rule.id} could not be evaluated: {why}."
    if _action(strictest, call.tool) is Action.DENY:
        refused = _judgement(strictest, call)
        return replace(refused, reason=f"{refused.reason} ({reason})")
    terms = replace(strictest.terms, risk=_stricter_risk(strictest, call.tool), enforced=False, grants=None)
    held = replace(rule, action=Action.REQUIRE_APPROVAL, terms=terms, reason=reason)
    return _judgement(held, call)


def _strictness(rule: Rule, tool: ToolFacts) -> tuple[int, int, int, bool]:
    reviewers = rule.terms.reviewers
    action, risk = _ACTIONS.index(_action(rule, tool)), RISKS.index(_stricter_risk(rule, tool))
    return action, risk, reviewers.quorum, bool(reviewers.people or reviewers.groups)


def _stricter_risk(rule: Rule, tool: ToolFacts) -> str:
    return max(_risk(rule, tool), usual_risk(tool), key=RISKS.index)


def _may_be_about(rule: Rule, tool: ToolFacts) -> bool:
    try:
        return not rule.match.misfit(tool, rule.action)
    except Exception:
        return True


def _facts(rule: Rule, call: CallFacts) -> dict[str, Any]:
    """What the rule looked at, as far as it is short and plain."""
    facts: dict[str, Any] = {"read_only": call.tool.annotations.read_only, "trusted": call.tool.trusted}
    paths = sorted(rule.condition.touches) if rule.condition is not None else []
    for path in [path for path in paths if path[0] == "args" and len(path) > 1][:20]:
        value = call.arguments
        for step in path[1:]:
            value = value.get(f"${step}" if step.startswith("$") else step) if isinstance(value, dict) else None
        if _is_short(value):
            facts[".".join(path)] = value
    return facts


def _is_short(value: Any) -> bool:
    match value:
        case bool():
            return True
        case int():
            return abs(value) <= SAFE_INTEGER
        case str():
            return len(value) <= 200 and value.isprintable()
    return False
