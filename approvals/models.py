"""The tables. Columns that end in `_at`, `_by` or `_until` and hold a number are instants (`approvals.instant`).

Documents (arguments, definitions, payloads) are stored as canonical JSON text: what was hashed is what is stored.
Constraints say what discipline would forget: who owns a credential, one permission per request, one execution per
permission, one open request per call, one vote per person and content.
"""

from typing import Any, ClassVar

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, LargeBinary, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from approvals.wire import State

_NUMBER = BigInteger().with_variant(Integer, "sqlite")
"""Given by the database; only INTEGER counts up by itself on SQLite."""


def _instant(**options: Any) -> Any:
    return Field(sa_type=BigInteger, **options)


def _text(**options: Any) -> Any:
    return Field(sa_type=Text, **options)


def _one_of(column: str, *values: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


def _index_where(name: str, column: str, condition: str) -> Index:
    """An index over the few rows that still await something."""
    return Index(name, column, sqlite_where=text(condition), postgresql_where=text(condition))


class Meta(SQLModel, table=True):
    """Facts about this database: which secret key it belongs to."""

    __tablename__: ClassVar[str] = "meta"
    name: str = Field(primary_key=True)
    value: str = _text()


class Server(SQLModel, table=True):
    """An MCP server by name; its pepper keys the stand-ins of secret arguments."""

    __tablename__: ClassVar[str] = "server"
    name: str = Field(primary_key=True)
    pepper: str
    created_at: int = _instant()


class Installation(SQLModel, table=True):
    """A place where a server runs behind a gate: a principal of its own."""

    __tablename__: ClassVar[str] = "installation"
    __table_args__ = (_one_of("assurance", "enforced", "cooperative"),)
    id: str = Field(primary_key=True)
    server: str = Field(foreign_key="server.name", index=True)
    label: str
    assurance: str
    trusted: bool
    """Whether its tools' own annotations count."""
    created_at: int = _instant()
    disabled_at: int | None = _instant(default=None)


class Agent(SQLModel, table=True):
    """An AI agent with a credential of its own."""

    __tablename__: ClassVar[str] = "agent"
    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    owner: str = ""
    """Who answers for it: shown."""
    created_at: int = _instant()
    disabled_at: int | None = _instant(default=None)


class User(SQLModel, table=True):
    """A person, identified by issuer and subject ("local" and the sign-in name for local accounts)."""

    __tablename__: ClassVar[str] = "user_account"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)
    id: str = Field(primary_key=True)
    issuer: str
    subject: str
    name: str
    roles: str
    """Space-separated: admin, reviewer, auditor, viewer."""
    password_hash: str | None = None
    created_at: int = _instant()
    disabled_at: int | None = _instant(default=None)


class Credential(SQLModel, table=True):
    """A bearer key (`mcps_`, `mcpa_`, `mcpu_`), stored as SHA-256; it belongs to exactly one principal."""

    __tablename__: ClassVar[str] = "credential"
    __table_args__ = (
        CheckConstraint(
            "(kind = 'installation' AND installation_id IS NOT NULL AND agent_id IS NULL AND user_id IS NULL)"
            " OR (kind = 'agent' AND agent_id IS NOT NULL AND installation_id IS NULL AND user_id IS NULL)"
            " OR (kind = 'user' AND user_id IS NOT NULL AND installation_id IS NULL AND agent_id IS NULL)",
            name="one_principal",
        ),
    )
    id: str = Field(primary_key=True)
    """The public part of the key."""
    kind: str
    installation_id: str | None = Field(default=None, foreign_key="installation.id", index=True)
    agent_id: str | None = Field(default=None, foreign_key="agent.id", index=True)
    user_id: str | None = Field(default=None, foreign_key="user_account.id", index=True)
    secret_sha256: str
    scopes: str = ""
    created_at: int = _instant()
    expires_at: int | None = _instant(default=None)
    last_used_at: int | None = _instant(default=None)
    revoked_at: int | None = _instant(default=None)


class WebSession(SQLModel, table=True):
    """A signed-in browser; the cookie's SHA-256 is the key."""

    __tablename__: ClassVar[str] = "web_session"
    id: str = Field(primary_key=True)
    user_id: str = Field(foreign_key="user_account.id", index=True)
    method: str
    """How the person authenticated: password, link."""
    created_at: int = _instant()
    last_seen_at: int = _instant()
    expires_at: int = _instant()
    address: str = ""
    user_agent: str = _text(default="")
    revoked_at: int | None = _instant(default=None)


class SignInLink(SQLModel, table=True):
    """A one-time link, stored as SHA-256: sets up the first account, invites, or signs in; spent by a POST."""

    __tablename__: ClassVar[str] = "sign_in_link"
    __table_args__ = (_one_of("purpose", "setup", "invite", "sign_in"),)
    id: str = Field(primary_key=True)
    purpose: str
    user_id: str | None = Field(default=None, foreign_key="user_account.id")
    roles: str = ""
    name: str = ""
    created_at: int = _instant()
    expires_at: int = _instant()
    spent_at: int | None = _instant(default=None)


class GateSession(SQLModel, table=True):
    """One run of a gate process; its calls are numbered, so that a gap shows."""

    __tablename__: ClassVar[str] = "gate_session"
    id: str = Field(primary_key=True)
    installation_id: str = Field(foreign_key="installation.id", index=True)
    code_version: str = ""
    started_at: int = _instant()
    last_seen_at: int = _instant()
    recorded: int = 0
    """Calls recorded so far: all numbers up to this one."""
    high_water: int = 0
    closed_at: int | None = _instant(default=None)
    lost_at: int | None = _instant(default=None)
    stream_id: str = ""
    """Names its newest event stream, so that the end of an older one says nothing."""
    gone_at: int | None = _instant(default=None)
    """When its newest stream ended: its callers no longer wait."""


class SessionTool(SQLModel, table=True):
    """Which definition a gate process serves under a tool's name."""

    __tablename__: ClassVar[str] = "session_tool"
    session_id: str = Field(primary_key=True, foreign_key="gate_session.id")
    name: str = Field(primary_key=True)
    tool_hash: str


class ToolDefinitionRow(SQLModel, table=True):
    """A tool's definition, kept for ever: each distinct one once per server."""

    __tablename__: ClassVar[str] = "tool_definition"
    server: str = Field(primary_key=True, foreign_key="server.name")
    tool_hash: str = Field(primary_key=True)
    name: str
    body: str = _text()
    first_seen_at: int = _instant()


class Tool(SQLModel, table=True):
    """The definition of a tool that stands, and one that waits for a person's acceptance because it loosens."""

    __tablename__: ClassVar[str] = "tool"
    server: str = Field(primary_key=True, foreign_key="server.name")
    name: str = Field(primary_key=True)
    accepted_hash: str | None = None
    accepted_at: int | None = _instant(default=None)
    accepted_by: str = ""
    offered_hash: str | None = None
    offered_at: int | None = _instant(default=None)
    loosens: str = _text(default="")
    """What the offered definition loosens, one line each."""


class PolicyVersion(SQLModel, table=True):
    """Every policy that ever judged a request, by the hash of its text."""

    __tablename__: ClassVar[str] = "policy_version"
    hash: str = Field(primary_key=True)
    text: str = _text()
    created_at: int = _instant()


class Request(SQLModel, table=True):
    """A call that needs a permission."""

    __tablename__: ClassVar[str] = "request"
    __table_args__ = (
        _one_of("state", *State),
        _one_of("assurance", "enforced", "cooperative"),
        Index("request_by_state", "state", "id"),
        Index("request_by_call", "call_key", "id"),
        Index("request_by_change", "changed_at"),
        _index_where("request_to_erase", "ended_at", "ended_at IS NOT NULL AND erased_at IS NULL"),
    )
    id: str = Field(primary_key=True)
    installation_id: str = Field(foreign_key="installation.id", index=True)
    session_id: str = Field(foreign_key="gate_session.id")
    agent_id: str | None = Field(default=None, foreign_key="agent.id", index=True)
    agent_credential_id: str | None = Field(default=None, foreign_key="credential.id")
    caller: str
    """The identity that identical calls are compared under."""
    server: str
    tool: str
    tool_hash: str
    assurance: str
    attach_key: str | None = Field(default=None, unique=True)
    """Set while identical calls share this request; cleared by the move that ends it."""
    call_key: str
    """The same key, kept for history."""
    arguments: str = _text()
    hidden: int = 0
    sealed_arguments: str | None = _text(default=None)
    digest: str
    content_version: int = 1
    state: str
    headline: str = _text()
    reviewed: bool = True
    """Whether the headline comes from an accepted template."""
    reason: str | None = _text(default=None)
    client: str = _text(default="{}")
    rule: str
    facts: str = _text(default="{}")
    policy_hash: str = Field(foreign_key="policy_version.hash")
    risk: str
    quorum: int
    created_at: int = _instant()
    expires_at: int = _instant()
    execute_within: int
    """Seconds that an approval stays claimable, at most until expires_at."""
    execute_by: int | None = _instant(default=None)
    cool_down: int
    replay_window: int
    decided_at: int | None = _instant(default=None)
    decided_by: str | None = None
    """Display name, for whoever may not see the decisions."""
    comment: str | None = _text(default=None)
    may_ask_again: bool = False
    ended_at: int | None = _instant(default=None)
    ended_because: str | None = _text(default=None)
    replaces: str | None = None
    erased_at: int | None = _instant(default=None)
    """When its contents (arguments, words, results) were erased; the facts stay."""
    changed_at: int = _instant()


class WaitingCall(SQLModel, table=True):
    """A caller that waits for a request right now: what the card shows; nothing depends on it."""

    __tablename__: ClassVar[str] = "waiting_call"
    session_id: str = Field(primary_key=True, foreign_key="gate_session.id")
    call_id: str = Field(primary_key=True)
    request_id: str = Field(foreign_key="request.id", index=True)
    arrived_at: int = _instant()


class DecisionRow(SQLModel, table=True):
    """A person's verdict on one content of a request, with its evidence."""

    __tablename__: ClassVar[str] = "decision"
    __table_args__ = (
        UniqueConstraint("request_id", "content_version", "user_id"),
        _one_of("verdict", "approve", "deny"),
        _one_of("channel", "web", "slack", "api"),
    )
    id: str = Field(primary_key=True)
    request_id: str = Field(foreign_key="request.id")
    content_version: int
    digest: str
    user_id: str = Field(foreign_key="user_account.id")
    verdict: str
    comment: str = _text(default="")
    may_ask_again: bool = False
    channel: str
    auth_method: str
    auth_at: int = _instant()
    session_id: str = ""
    address: str = ""
    card_hash: str = ""
    looked_ms: int | None = Field(default=None, sa_type=BigInteger)
    decided_at: int = _instant()


class Permission(SQLModel, table=True):
    """What a claim consumes. One per request, from exactly one source."""

    __tablename__: ClassVar[str] = "permission"
    __table_args__ = (_one_of("source", "quorum", "grant", "policy", "rollout"),)
    id: str = Field(primary_key=True)
    request_id: str = Field(foreign_key="request.id", unique=True)
    source: str
    content_version: int
    digest: str
    created_at: int = _instant()


class Execution(SQLModel, table=True):
    """The one use of a permission."""

    __tablename__: ClassVar[str] = "execution"
    __table_args__ = (
        Index("execution_by_lease", "finished_at", "lease_until"),
        _index_where("execution_to_unseal", "sealed_until", "sealed_until IS NOT NULL"),
        _index_where(
            "execution_contradicted", "request_id", "contradiction IS NOT NULL AND contradiction_seen_at IS NULL"
        ),
        CheckConstraint("checked IN ('succeeded', 'failed', 'not_executed', 'unclear')", name="checked_known"),
    )
    id: str = Field(primary_key=True)
    permission_id: str = Field(foreign_key="permission.id", unique=True)
    request_id: str = Field(foreign_key="request.id", unique=True)
    claim_id: str = Field(unique=True)
    session_id: str = Field(foreign_key="gate_session.id")
    claimed_at: int = _instant()
    lease_until: int = _instant()
    finished_at: int | None = _instant(default=None)
    outcome: str | None = None
    settled_by: str | None = Field(default=None, foreign_key="user_account.id")
    settled_note: str | None = _text(default=None)
    contradiction: str | None = _text(default=None)
    """A late outcome that says otherwise than what was settled: an incident."""
    contradiction_seen_at: int | None = _instant(default=None)
    contradiction_seen_by: str | None = Field(default=None, foreign_key="user_account.id")
    checked: str | None = None
    """What the tool's own check (`verify`) said last of an unknown outcome."""
    checked_at: int | None = _instant(default=None)
    checked_note: str | None = _text(default=None)
    result: str | None = _text(default=None)
    error: str | None = _text(default=None)
    sealed_result: str | None = _text(default=None)
    sealed_until: int | None = _instant(default=None)
    """When the sealed result has no more replays to serve, and goes."""
    duration_ms: int | None = Field(default=None, sa_type=BigInteger)


class AuditEvent(SQLModel, table=True):
    """One thing that happened. Never updated, never deleted (triggers); the payload can be erased, its hash stays."""

    __tablename__: ClassVar[str] = "audit_event"
    __table_args__ = ({"sqlite_autoincrement": True},)
    id: int | None = Field(default=None, primary_key=True, sa_type=_NUMBER)
    at: int = _instant()
    kind: str
    actor: str
    subject: str = Field(index=True)
    """What it is about: a request's id, a server's name…"""
    payload_hash: str = Field(unique=True)
    key_id: str
    algorithm: str = "hmac-sha256"
    mac: str
    """By whoever appended it, so that nobody without the key can slip an event in before it is linked."""


class AuditPayload(SQLModel, table=True):
    """The erasable half of an audit event: `payload_hash` = SHA-256(salt ‖ body)."""

    __tablename__: ClassVar[str] = "audit_payload"
    payload_hash: str = Field(primary_key=True, foreign_key="audit_event.payload_hash")
    salt: bytes = Field(sa_type=LargeBinary)
    body: str = _text()


class AuditLink(SQLModel, table=True):
    """The keyed chain over the events, in order: never updated, never deleted (triggers)."""

    __tablename__: ClassVar[str] = "audit_link"
    seq: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    event_id: int = Field(foreign_key="audit_event.id", unique=True, sa_type=BigInteger)
    mac: str


class Delivery(SQLModel, table=True):
    """The outbox: a message to send, written with the change it tells of."""

    __tablename__: ClassVar[str] = "delivery"
    __table_args__ = (Index("delivery_by_due", "done_at", "due_at"),)
    id: str = Field(primary_key=True)
    notifier: str
    verb: str
    request_id: str | None = Field(default=None, foreign_key="request.id", index=True)
    created_at: int = _instant()
    due_at: int = _instant()
    attempts: int = 0
    lease_until: int | None = _instant(default=None)
    done_at: int | None = _instant(default=None)
    dead_at: int | None = _instant(default=None)
    error: str | None = _text(default=None)
