"""What a call needs: pure, behind a small port. Whatever is not clearly allowed is held for a person."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Protocol

from approvals.instant import Instant
from approvals.policy.edits import EditLimits
from approvals.policy.reviewers import Reviewers
from approvals.policy.stored_terms import written
from approvals.protocol.canonical import JsonObject
from approvals.protocol.registration import Annotations, Verdict


class Action(StrEnum):
    ALLOW = "allow"
    REQUIRE_APPROVAL = "require_approval"
    DENY = "deny"


@dataclass(frozen=True)
class ToolFacts:
    """What a policy may know of a tool; its annotations say nothing while nobody has accepted them."""

    server: str
    tool: str
    annotations: Annotations
    trusted: bool
    """Whether the annotations count."""
    assurance: str = "enforced"
    environment: str = ""
    tool_hash: str = ""
    input_schema: Mapping[str, Any] = field(default_factory=dict)
    secret: tuple[str, ...] = ()
    """Paths of the leaves that are redacted in every call."""


@dataclass(frozen=True)
class CallFacts:
    """What a policy may know of one call."""

    tool: ToolFacts
    arguments: Any
    """Encoded (`approvals.protocol.canonical`); a redacted leaf is its stand-in."""
    agent: str | None
    """Its name; None for an unidentified caller."""
    hidden: int
    """Characters that a pattern masked beyond the declared secrets: never allowed by rule or grant."""
    now: Instant
    agent_groups: tuple[str, ...] = ()
    effect: JsonObject = field(default_factory=dict)
    """The facts of its preview, by the steps of their names; none where there is no preview."""


@dataclass(frozen=True)
class Reminder:
    """A reminder so many seconds after filing; with groups an escalation: they may decide from then on, too."""

    after: int
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class GrantLimits:
    """The most that a standing grant made from a card may allow."""

    max_uses: int = 10
    max_minutes: int = 60


@dataclass(frozen=True)
class Notify:
    """Where a request is announced beside the web queue."""

    slack: str = ""
    """A channel of its own; else the usual one."""
    direct: bool = False
    """Whether those who may approve are written to, one by one."""
    mention: tuple[str, ...] = ()
    """Whom the message in the channel calls: people by their handle, user groups by Slack's id."""

    def dump(self) -> str:
        """The JSON that is kept with a request."""
        return written(self)


@dataclass(frozen=True)
class Judgement:
    """What the policy says of one call, and why. Times in seconds."""

    action: Action
    rule: str
    facts: JsonObject = field(default_factory=dict)
    reason: str = ""
    risk: str = "medium"
    reviewers: Reviewers = field(default_factory=Reviewers)
    ttl: int = 3600
    execute_within: int = 3600
    cool_down: int = 600
    replay_window: int = 600
    reminders: tuple[Reminder, ...] = ()
    grants: GrantLimits | None = None
    """What may be granted; None for nothing."""
    notify: Notify = field(default_factory=Notify)
    needs_preview: bool = False
    """Whether nobody can approve it without knowing its effect."""
    edits: EditLimits = field(default_factory=EditLimits)
    """What may be changed of it before it is approved."""


class Policy(Protocol):
    """The port. Implementations are pure and never raise."""

    @property
    def text(self) -> str: ...

    @property
    def groups(self) -> Mapping[str, frozenset[str]]:
        """The handles of each group that the policy itself names."""
        ...

    def verdict(self, tool: ToolFacts) -> Verdict: ...

    def refusal(self, tool: ToolFacts) -> str:
        """Why it is refused to everybody, if it is: for the agent."""
        ...

    def judge(self, call: CallFacts) -> Judgement: ...


def policy_hash(policy: Policy) -> str:
    """Names a policy by its text."""
    return _hash(policy.text)


@lru_cache(maxsize=8)
def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


class DefaultPolicy:
    """The policy where there is no file: trusted read-only tools run, everything else needs one reviewer."""

    text = (
        "version: 1\n"
        "defaults: {action: require_approval, ttl: 1h}\n"
        "rules:\n"
        "  - id: trusted-reads\n"
        "    match: {trusted: true, annotations: {read_only: true}}\n"
        "    action: allow\n"
    )

    groups: Mapping[str, frozenset[str]] = MappingProxyType({})

    def verdict(self, tool: ToolFacts) -> Verdict:
        return Verdict.RUN if is_trusted_read(tool) else Verdict.ASK

    def refusal(self, tool: ToolFacts) -> str:
        return ""

    def judge(self, call: CallFacts) -> Judgement:
        facts = {"read_only": call.tool.annotations.read_only, "trusted": call.tool.trusted}
        if is_trusted_read(call.tool) and not call.hidden:
            return Judgement(Action.ALLOW, "trusted-reads", facts, risk="low")
        return Judgement(Action.REQUIRE_APPROVAL, "default", facts, risk=usual_risk(call.tool), grants=GrantLimits())


def is_trusted_read(tool: ToolFacts) -> bool:
    """Whether it only reads, by hints that are believed."""
    return tool.trusted and tool.annotations.read_only


def usual_risk(tool: ToolFacts) -> str:
    """The risk of a call that no rule gives one."""
    destructive = tool.annotations.destructive or not tool.trusted
    return "high" if destructive else "medium"
