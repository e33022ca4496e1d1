"""Requests, what people said of them, the permission that came of it and its one use."""

from typing import ClassVar

from sqlalchemy import BigInteger, CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from approvals.protocol.states import State
from approvals.service.storage.tables.columns import (
    NUMBER,
    index_where,
    instant,
    long_text,
    one_of,
)

PEOPLE_ASKED = "decided_at IS NOT NULL AND action = 'require_approval' AND rollout = 'enforce'"
"""What a person decided, or a standing grant in their place."""


class Request(SQLModel, table=True):
    """A call that needs a permission."""

    __tablename__: ClassVar[str] = "request"
    __table_args__ = (
        one_of("state", *State),
        one_of("assurance", "enforced", "cooperative"),
        Index("request_by_state", "state", "id"),
        Index("request_by_call", "call_key", "id"),
        Index("request_by_change", "changed_at"),
        Index("request_by_agent", "agent_id", "id"),
        Index("request_by_rule", "rule", "id"),
        Index("request_by_tool", "server", "tool", "id"),
        index_where("request_by_decider", ("decided_by", "id"), "decided_by IS NOT NULL"),
        index_where("request_pending", ("agent_id", "installation_id"), "state = 'pending'"),
        index_where("request_on_behalf_of", ("on_behalf_of", "id"), "on_behalf_of <> ''"),
        index_where("request_by_agent_session", ("agent_session", "id"), "agent_session <> ''"),
        index_where("request_by_trace", ("trace_id", "id"), "trace_id <> ''"),
        index_where("request_to_remind", "remind_at", "remind_at IS NOT NULL"),
        one_of("rollout", "off", "observe", "enforce"),
        one_of("action", "allow", "require_approval", "deny"),
        index_where("request_observed", ("server", "id"), "rollout = 'observe'"),
        index_where("request_held", "id", "held AND state = 'pending'"),
        index_where("request_decided", ("server", "tool", "decided_at"), PEOPLE_ASKED),
        index_where("request_to_erase", "ended_at", "ended_at IS NOT NULL AND erased_at IS NULL"),
    )
    id: str = Field(primary_key=True)
    installation_id: str = Field(foreign_key="installation.id", index=True)
    session_id: str = Field(foreign_key="gate_session.id")
    agent_id: str | None = Field(default=None, foreign_key="agent.id")
    agent_credential_id: str | None = Field(default=None, foreign_key="credential.id")
    caller: str
    """The identity that identical calls are compared under."""
    server: str
    tool: str
    tool_hash: str
    code_version: str = ""
    """The code that it was filed to run by; empty where the server binds none."""
    assurance: str
    attach_key: str | None = Field(default=None, unique=True)
    """Set while identical calls share this request; cleared by the move that ends it."""
    call_key: str
    """The same key, kept for history."""
    arguments: str = long_text()
    hidden: int = 0
    sealed_arguments: str | None = long_text(default=None)
    preview: str = long_text(default="")
    """What it would do, as its gate looked it up (`approvals.protocol.previews`); empty where there is none."""
    previewed_at: int | None = instant(default=None)
    preview_required: bool = False
    """Whether its rule lets nobody approve it without one."""
    no_preview: str = long_text(default="")
    """Why its tool's preview could not be had."""
    proposed: str = long_text(default="")
    """The arguments as the agent asked, where a person has changed them; else empty."""
    edit_id: str | None = None
    """The edit that its arguments come from."""
    edited: str = long_text(default="")
    """What was changed, by whom, and why (`approvals.protocol.edits.Edited`); empty where nothing is."""
    edits: str = long_text(default="{}")
    """What people may change of it (`approvals.policy.edits.EditLimits`), by the rule for what the agent asked."""
    suggestion: str = long_text(default="")
    """What its denial suggests instead (`approvals.protocol.edits.Change`); mostly empty."""
    digest: str
    content_version: int = 1
    state: str
    summary: str = long_text()
    reviewed: bool = True
    """Whether the summary comes from an accepted template."""
    reason: str | None = long_text(default=None)
    client: str = long_text(default="{}")
    on_behalf_of: str = ""
    """For whom the agent says it acts: shown, never trusted; it may keep that person from deciding."""
    agent_session: str = ""
    trace_id: str = ""
    action: str = "require_approval"
    """What the rule said (`approvals.policy.model.Action`), whatever the rollout made of that."""
    rule: str
    snapshot: str = long_text(default="{}")
    """What the policy knew beyond the arguments (`approvals.service.policies.snapshot`)."""
    facts: str = long_text(default="{}")
    policy_hash: str = Field(foreign_key="policy_version.hash")
    risk: str
    quorum: int
    reviewers: str = long_text(default="{}")
    """Whose decisions count (`approvals.policy.reviewers.Reviewers`)."""
    grants: str = long_text(default="{}")
    """What may be granted from this card (`approvals.policy.model.GrantLimits`); empty for nothing."""
    notify: str = long_text(default="{}")
    """Where its rule wants it announced (`approvals.policy.model.Notify`)."""
    rollout: str = "enforce"
    """`off` and `observe`: it ran without asking, and the rule says what would have been asked."""
    held: bool = False
    """Filed as pending only because of a freeze: its rule or the rollout would have let it run."""
    reminders: str = long_text(default="[]")
    """Reminders and escalations yet to come (`approvals.policy.model.Reminder`), the next one at `remind_at`."""
    remind_at: int | None = instant(default=None)
    created_at: int = instant()
    expires_at: int = instant()
    execute_within: int
    """Seconds that an approval stays claimable, at most until expires_at."""
    execute_by: int | None = instant(default=None)
    cool_down: int
    replay_window: int
    decided_at: int | None = instant(default=None)
    decided_by: str | None = None
    """Display name, for whoever may not see the decisions."""
    comment: str | None = long_text(default=None)
    may_ask_again: bool = False
    ended_at: int | None = instant(default=None)
    ended_because: str | None = long_text(default=None)
    replaces: str | None = None
    erased_at: int | None = instant(default=None)
    """When its contents (arguments, words, results) were erased; the facts stay."""
    changed_at: int = instant()


class RequestWords(SQLModel, table=True):
    """A request's words, which the full-text index `request_text` is over (`approvals.service.history.fulltext`)."""

    __tablename__: ClassVar[str] = "request_words"
    __table_args__ = ({"sqlite_autoincrement": True},)
    number: int = Field(default=None, primary_key=True, sa_type=NUMBER)
    request_id: str = Field(foreign_key="request.id", unique=True)
    words: str = long_text()


class WaitingCall(SQLModel, table=True):
    """A caller that waits for a request right now: what the card shows; nothing depends on it."""

    __tablename__: ClassVar[str] = "waiting_call"
    session_id: str = Field(primary_key=True, foreign_key="gate_session.id")
    call_id: str = Field(primary_key=True)
    request_id: str = Field(foreign_key="request.id", index=True)
    arrived_at: int = instant()


class Edit(SQLModel, table=True):
    """What a person wanted changed of a pending call, and what its gate made of that."""

    __tablename__: ClassVar[str] = "edit"
    __table_args__ = (
        Index("edit_by_request", "request_id", "id"),
        index_where("edit_unanswered", "asked_at", "answered_at IS NULL"),
        one_of("channel", "web", "slack", "api"),
    )
    id: str = Field(primary_key=True)
    request_id: str = Field(foreign_key="request.id")
    content_version: int
    """Of what they changed, with its digest."""
    digest: str
    user_id: str = Field(foreign_key="user_account.id")
    arguments: str = long_text()
    """All of them, encoded, as this person wants them."""
    reason: str = long_text()
    channel: str
    auth_method: str
    auth_at: int = instant()
    session_id: str = ""
    address: str = ""
    asked_at: int = instant()
    answered_at: int | None = instant(default=None)
    refused: str | None = long_text(default=None)
    """Why nothing came of it."""


class VoteTelling(SQLModel, table=True):
    """Whose votes count has changed, and messages of waiting requests do not show it yet."""

    __tablename__: ClassVar[str] = "vote_telling"
    of: str = Field(primary_key=True)
    """A person; nothing where it may be anybody."""
    after: str = ""
    """The last request that was seen to."""


class DecisionRow(SQLModel, table=True):
    """A person's verdict on one content of a request, with its evidence."""

    __tablename__: ClassVar[str] = "decision"
    __table_args__ = (
        UniqueConstraint("request_id", "content_version", "user_id"),
        one_of("verdict", "approve", "deny"),
        one_of("channel", "web", "slack", "api"),
    )
    id: str = Field(primary_key=True)
    request_id: str = Field(foreign_key="request.id")
    content_version: int
    digest: str
    user_id: str = Field(foreign_key="user_account.id")
    verdict: str
    comment: str = long_text(default="")
    may_ask_again: bool = False
    grant_terms: str = long_text(default="")
    """The standing grant that this person approved as well."""
    suggestion: str = long_text(default="")
    """What a denial suggests instead."""
    channel: str
    auth_method: str
    auth_at: int = instant()
    session_id: str = ""
    address: str = ""
    card_hash: str = ""
    looked_ms: int | None = Field(default=None, sa_type=BigInteger)
    decided_at: int = instant()


class Permission(SQLModel, table=True):
    """What a claim consumes. One per request, from exactly one source."""

    __tablename__: ClassVar[str] = "permission"
    __table_args__ = (one_of("source", "quorum", "grant", "policy", "rollout"),)
    id: str = Field(primary_key=True)
    request_id: str = Field(foreign_key="request.id", unique=True)
    source: str
    grant_id: str | None = Field(default=None, foreign_key="standing_grant.id", index=True)
    content_version: int
    digest: str
    created_at: int = instant()


class Execution(SQLModel, table=True):
    """The one use of a permission."""

    __tablename__: ClassVar[str] = "execution"
    __table_args__ = (
        Index("execution_by_lease", "finished_at", "lease_until"),
        index_where("execution_to_unseal", "sealed_until", "sealed_until IS NOT NULL"),
        index_where(
            "execution_contradicted", "request_id", "contradiction IS NOT NULL AND contradiction_seen_at IS NULL"
        ),
        CheckConstraint("checked IN ('succeeded', 'failed', 'not_executed', 'unclear')", name="checked_known"),
    )
    id: str = Field(primary_key=True)
    permission_id: str = Field(foreign_key="permission.id", unique=True)
    request_id: str = Field(foreign_key="request.id", unique=True)
    claim_id: str = Field(unique=True)
    session_id: str = Field(foreign_key="gate_session.id")
    claimed_at: int = instant()
    lease_until: int = instant()
    finished_at: int | None = instant(default=None)
    outcome: str | None = None
    settled_by: str | None = Field(default=None, foreign_key="user_account.id")
    settled_note: str | None = long_text(default=None)
    contradiction: str | None = long_text(default=None)
    """A late outcome that says otherwise than what was settled: an incident."""
    contradiction_seen_at: int | None = instant(default=None)
    contradiction_seen_by: str | None = Field(default=None, foreign_key="user_account.id")
    checked: str | None = None
    """What the tool's own check (`verify`) said last of an unknown outcome."""
    checked_at: int | None = instant(default=None)
    checked_note: str | None = long_text(default=None)
    result: str | None = long_text(default=None)
    error: str | None = long_text(default=None)
    sealed_result: str | None = long_text(default=None)
    sealed_until: int | None = instant(default=None)
    """When the sealed result has no more replays to serve, and goes."""
    duration_ms: int | None = Field(default=None, sa_type=BigInteger)


class Delivery(SQLModel, table=True):
    """The outbox: a message to send, written with the change it tells of."""

    __tablename__: ClassVar[str] = "delivery"
    __table_args__ = (
        Index("delivery_by_due", "done_at", "due_at"),
        index_where("delivery_by_lane", "lane", "done_at IS NULL"),
        index_where("delivery_dead", "dead_at", "dead_at IS NOT NULL"),
    )
    id: str = Field(primary_key=True)
    notifier: str
    verb: str
    request_id: str = Field(foreign_key="request.id", index=True)
    target: str = ""
    """Which of the notifier's copies it is about, as the notifier calls it; empty for all of them."""
    lane: str = ""
    """What is in one lane goes one at a time, in order."""
    said: str = ""
    """Names the words that arrived."""
    created_at: int = instant()
    due_at: int = instant()
    attempts: int = 0
    lease_until: int | None = instant(default=None)
    done_at: int | None = instant(default=None)
    dead_at: int | None = instant(default=None)
    error: str | None = long_text(default=None)
