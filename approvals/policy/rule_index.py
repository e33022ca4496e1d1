"""A policy's plan for one tool: the rules about it, those with conditions in blocks that are false at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from approvals.policy.cel import Cel, Condition, Faulty, any_of
from approvals.policy.model import ToolFacts
from approvals.policy.rules import Rule
from approvals.policy.schema_types import Type
from approvals.policy.variables import Activation, roots_of

BLOCK_RULES = 32


@dataclass(frozen=True)
class Block:
    """Rules about a tool; `together` is false only if the condition of every one of them is."""

    rules: tuple[Rule, ...]
    together: Condition | None = None

    def may_hold(self, call: Activation) -> bool:
        """Whether any of them may match."""
        if self.together is None:
            return True
        try:
            return call.holds(self.together) is not False
        except Exception:
            return True


@dataclass(frozen=True)
class Plan:
    """What the policy says of one definition of a tool."""

    arguments: Type
    blocks: tuple[Block, ...]
    faults: Mapping[str, str]
    """Why a rule's condition does not fit this tool, by id."""


def plan_for(tool: ToolFacts, rules: Sequence[Rule], cel: Cel) -> Plan:
    """The plan of these rules, which are about the tool."""
    roots = roots_of(tool)
    faults = {}
    for rule in rules:
        if rule.condition is not None and (found := cel.check(rule.condition, roots)):
            faults[rule.id] = f"it does not fit this tool: {found[0].message}"
    return Plan(roots["args"], tuple(_blocks(rules, faults, cel)), faults)


def _blocks(rules: Sequence[Rule], faults: Mapping[str, str], cel: Cel) -> Iterator[Block]:
    waiting: list[Rule] = []
    for rule in rules:
        plain = rule.condition is None or rule.id in faults
        if waiting and (plain or len(waiting) == BLOCK_RULES):
            yield _block(waiting, cel)
            waiting = []
        if plain:
            yield Block((rule,))
        else:
            waiting.append(rule)
    if waiting:
        yield _block(waiting, cel)


def _block(rules: Sequence[Rule], cel: Cel) -> Block:
    found = [rule.condition for rule in rules if rule.condition is not None]
    try:
        return Block(tuple(rules), any_of(cel, found) if len(found) > 1 else None)
    except Faulty:
        return Block(tuple(rules))
