"""The policy in force: one place that everybody asks, whichever policy stands behind it at the moment."""

from collections.abc import Mapping
from dataclasses import dataclass

from approvals.policy.model import (
    CallFacts,
    Judgement,
    Policy,
    ToolFacts,
    policy_hash,
)
from approvals.protocol.registration import Verdict


@dataclass(frozen=True)
class Trouble:
    """Why what the policy file says now is not in force."""

    what: str
    """One line."""
    report: str
    """Every problem of it, with lines and carets."""


class PolicyInForce:
    """A Policy whose rules can be replaced while it is asked. Not bound to a thread: replacing is one assignment.

    Whoever needs more than one answer about one call takes `present` once, and asks that: a judgement and the hash of
    the policy that gave it never come from two.
    """

    def __init__(self, policy: Policy) -> None:
        self.present = policy
        self.trouble: Trouble | None = None

    @property
    def text(self) -> str:
        return self.present.text

    @property
    def hash(self) -> str:
        return policy_hash(self.present)

    @property
    def groups(self) -> Mapping[str, frozenset[str]]:
        return self.present.groups

    def verdict(self, tool: ToolFacts) -> Verdict:
        return self.present.verdict(tool)

    def refusal(self, tool: ToolFacts) -> str:
        return self.present.refusal(tool)

    def judge(self, call: CallFacts) -> Judgement:
        return self.present.judge(call)
