"""A policy made of rules: the first that matches decides. Pure; whatever is not clearly allowed is held for a person.

A rule that cannot be evaluated may have matched, so neither it nor what comes after it is passed over: the call meets
the strictest of what they say, and at least a person. A deny stays a deny.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from approvals.policy.cel import Cel, Unanswered
from approvals.policy.judgements import held, judgement_of
from approvals.policy.model import Action, CallFacts, Judgement, ToolFacts
from approvals.policy.rule_index import Plan, plan_for
from approvals.policy.rules import ACTIONS, Rule
from approvals.policy.variables import Activation
from approvals.protocol.registration import Verdict

_PLANS = 500
_VERDICTS = 20_000
T = TypeVar("T")


class RuleOutcome(StrEnum):
    """The outcome of looking at one rule."""

    MATCHED = "matched"
    NOT_MATCHED = "not matched"
    NOT_EVALUATED = "could not be evaluated"


@dataclass(frozen=True)
class Step:
    """One rule of the walk, and why."""

    rule: str
    line: int
    outcome: RuleOutcome
    why: str


@dataclass(frozen=True)
class Explanation:
    """How a judgement came about: the rules that were looked at, in order."""

    steps: tuple[Step, ...]
    judgement: Judgement


class RulePolicy:
    """The policy that the rules of one file make."""

    def __init__(
        self, text: str, rules: Sequence[Rule], groups: Mapping[str, frozenset[str]], default: Rule, cel: Cel
    ) -> None:
        self.text = text
        self.rules = tuple(rules)
        self.default = default
        self.groups = MappingProxyType(dict(groups))
        self._cel = cel
        self._plans: OrderedDict[Hashable, Plan] = OrderedDict()
        self._verdicts: OrderedDict[Hashable, Verdict] = OrderedDict()
        self._lock = threading.Lock()

    def verdict(self, tool: ToolFacts) -> Verdict:
        """The verdict on a tool, whatever its schema: a condition may answer either way, and may fail."""
        try:
            return self._kept(self._verdicts, _VERDICTS, _placed(tool), lambda: self._verdict(tool))
        except Exception:
            return Verdict.ASK

    def refusal(self, tool: ToolFacts) -> str:
        """The reasons for which calls of a tool may be refused, for the agent."""
        try:
            reasons = [rule.reason_on(tool) for rule in self._possible(tool)]
        except Exception:
            return ""
        return " ".join(dict.fromkeys(filter(None, reasons)))

    def judge(self, call: CallFacts) -> Judgement:
        """The judgement of the first rule that matches; of the strictest, where some could not be evaluated."""
        try:
            return self._decide(call, self._quickly(call))
        except Exception:
            return self._broken(call)

    def explain(self, call: CallFacts) -> Explanation:
        """The judgement of `judge`, rule by rule."""
        steps: list[Step] = []
        try:
            judgement = self._decide(call, self._slowly(call, steps))
        except Exception:
            judgement = self._broken(call)
        return Explanation(tuple(steps), judgement)

    def faults(self, tool: ToolFacts) -> Mapping[str, str]:
        """The rules whose conditions do not fit this tool, by id, with why: they hold its calls."""
        return self._plan(tool).faults

    def _decide(self, call: CallFacts, answers: Iterator[tuple[Rule, RuleOutcome, str]]) -> Judgement:
        failed: list[tuple[Rule, str]] = []
        decisive = self.default
        for rule, outcome, why in answers:
            if outcome is RuleOutcome.NOT_EVALUATED:
                failed.append((rule, why))
            elif outcome is RuleOutcome.MATCHED:
                decisive = rule
                break
        return held(failed, decisive, call) if failed else judgement_of(decisive, call)

    def _quickly(self, call: CallFacts) -> Iterator[tuple[Rule, RuleOutcome, str]]:
        """The outcomes that may matter: of rules about this tool, blocks of false conditions skipped at once."""
        plan = self._plan(call.tool)
        ready = Activation(call, plan.arguments, plan.faults, self._cel)
        for block in plan.blocks:
            if block.may_hold(ready):
                for rule in block.rules:
                    yield rule, *_outcome(rule, ready)

    def _slowly(self, call: CallFacts, steps: list[Step]) -> Iterator[tuple[Rule, RuleOutcome, str]]:
        plan = self._plan(call.tool)
        ready = Activation(call, plan.arguments, plan.faults, self._cel)
        for rule in self.rules:
            mismatch = rule.match.mismatch(call.tool, rule.action)
            outcome, why = (RuleOutcome.NOT_MATCHED, mismatch) if mismatch else _outcome(rule, ready)
            steps.append(Step(rule.id, rule.line, outcome, why))
            yield rule, outcome, why

    def _broken(self, call: CallFacts) -> Judgement:
        """The strictest of what any rule about this tool says, since something in here failed."""
        about = (rule for rule in self.rules if rule.may_be_about(call.tool))
        return held([(rule, "the policy failed on this call") for rule in (self.default, *about)], self.default, call)

    def _plan(self, tool: ToolFacts) -> Plan:
        definition = tool.tool_hash or json.dumps(tool.input_schema, sort_keys=True, default=repr)
        key = definition, *_placed(tool)
        return self._kept(self._plans, _PLANS, key, lambda: plan_for(tool, self._about(tool), self._cel))

    def _kept(self, kept: OrderedDict[Hashable, T], most: int, key: Hashable, make: Callable[[], T]) -> T:
        """The value made for this key; the `most` used last are kept."""
        with self._lock:
            if key not in kept:
                kept[key] = make()
                if len(kept) > most:
                    kept.popitem(last=False)
            kept.move_to_end(key)
            return kept[key]

    def _about(self, tool: ToolFacts) -> list[Rule]:
        return [rule for rule in self.rules if not rule.match.mismatch(tool, rule.action)]

    def _verdict(self, tool: ToolFacts) -> Verdict:
        rules = list(self._possible(tool))
        possible = {rule.action_on(tool) for rule in rules} | {
            max(rule.action_on(tool), Action.REQUIRE_APPROVAL, key=ACTIONS.index)  # it may fail
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


def _placed(tool: ToolFacts) -> tuple[Hashable, ...]:
    """The facts of a tool that the rules' matches look at."""
    return tool.annotations, tool.server, tool.tool, tool.environment, tool.assurance, tool.trusted


def _outcome(rule: Rule, call: Activation) -> tuple[RuleOutcome, str]:
    if mismatch := rule.match.caller_mismatch(call.facts):
        return RuleOutcome.NOT_MATCHED, mismatch
    if call.facts.hidden and rule.action_on(call.facts.tool) is Action.ALLOW:
        return RuleOutcome.NOT_MATCHED, f"{call.facts.hidden} characters are hidden by pattern, and no rule allows that"
    if rule.condition is None:
        return RuleOutcome.MATCHED, "nothing more is asked"
    if fault := call.faults.get(rule.id):
        return RuleOutcome.NOT_EVALUATED, fault
    try:
        holds = call.holds(rule.condition)
    except Unanswered as why:
        return RuleOutcome.NOT_EVALUATED, str(why)
    except Exception as error:
        return RuleOutcome.NOT_EVALUATED, f"the engine fails ({type(error).__name__})"
    return (RuleOutcome.MATCHED, "the condition is true") if holds is True else (RuleOutcome.NOT_MATCHED, "it is false")
