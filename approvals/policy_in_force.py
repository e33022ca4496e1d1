"""The policy in force: one place that everybody asks, whichever policy stands behind it at the moment."""

from collections.abc import Mapping

from approvals.policy import CallFacts, Judgement, Policy, ToolFacts
from approvals.wire import Verdict


class PolicyInForce:
    """A Policy whose rules can be replaced while it is asked. Not bound to a thread: replacing is one assignment."""

    def __init__(self, policy: Policy) -> None:
        self.present = policy

    @property
    def text(self) -> str:
        return self.present.text

    @property
    def groups(self) -> Mapping[str, frozenset[str]]:
        return self.present.groups

    def verdict(self, tool: ToolFacts) -> Verdict:
        return self.present.verdict(tool)

    def judge(self, call: CallFacts) -> Judgement:
        return self.present.judge(call)
