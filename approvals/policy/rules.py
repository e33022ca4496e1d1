"""Rules as data, and what one says of a tool."""

from dataclasses import dataclass, field

from approvals.policy.cel import Condition
from approvals.policy.edits import EditLimits
from approvals.policy.matching import Matcher
from approvals.policy.model import Action, GrantLimits, Notify, Reminder, ToolFacts, usual_risk
from approvals.policy.reviewers import Reviewers

RISKS = ("low", "medium", "high", "critical")
ACTIONS = (Action.ALLOW, Action.REQUIRE_APPROVAL, Action.DENY)
"""From the loosest to the strictest."""
DEFAULT = "default"
"""The rule's name in a judgement, where no rule matched."""


@dataclass(frozen=True)
class Terms:
    """The terms on which a call is held, or let through: a rule's own words over the defaults."""

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
    needs_preview: bool = False
    """Whether nobody can approve without knowing the effect."""
    edits: EditLimits = field(default_factory=EditLimits)


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

    def action_on(self, tool: ToolFacts) -> Action:
        """The action, or a denial where it demands an installation that the agent cannot reach."""
        return Action.DENY if self.terms.enforced and tool.assurance != "enforced" else self.action

    def reason_on(self, tool: ToolFacts) -> str:
        """The words to the agent."""
        if self.action_on(tool) is self.action:
            return self.reason
        return "This is done only through a gate that the agent cannot reach; this installation is cooperative."

    def risk_of(self, tool: ToolFacts) -> str:
        """The risk of a call that it decides on."""
        return self.terms.risk or ("low" if self.action is Action.ALLOW else usual_risk(tool))

    def stricter_risk_of(self, tool: ToolFacts) -> str:
        """The risk of a call that it may have decided on."""
        return max(self.risk_of(tool), usual_risk(tool), key=RISKS.index)

    def strictness_on(self, tool: ToolFacts) -> tuple[int, int, int, bool]:
        """Orders rules from the loosest to the strictest."""
        reviewers = self.terms.reviewers
        action, risk = ACTIONS.index(self.action_on(tool)), RISKS.index(self.stricter_risk_of(tool))
        return action, risk, reviewers.quorum, bool(reviewers.people or reviewers.groups)

    def may_be_about(self, tool: ToolFacts) -> bool:
        """Whether calls of this tool may be meant; also if that cannot be said."""
        try:
            return not self.match.mismatch(tool, self.action)
        except Exception:
            return True
