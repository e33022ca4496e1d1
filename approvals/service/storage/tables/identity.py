"""Who there is: servers, their installations, agents, people, and what they prove themselves with."""

from typing import ClassVar

from sqlalchemy import BigInteger, CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from approvals.service.storage.tables.columns import (
    NUMBER,
    instant,
    long_text,
    one_of,
)


class Meta(SQLModel, table=True):
    """Facts about this database: which secret key it belongs to."""

    __tablename__: ClassVar[str] = "meta"
    name: str = Field(primary_key=True)
    value: str = long_text()


class Server(SQLModel, table=True):
    """An MCP server by name; its pepper keys the stand-ins of secret arguments."""

    __tablename__: ClassVar[str] = "server"
    name: str = Field(primary_key=True)
    pepper: str
    audience: str = long_text(default="")
    """Which agents may use it: space-separated `agent:NAME` and `group:NAME`; empty for every one."""
    created_at: int = instant()


class Installation(SQLModel, table=True):
    """A place where a server runs behind a gate: a principal of its own."""

    __tablename__: ClassVar[str] = "installation"
    __table_args__ = (one_of("assurance", "enforced", "cooperative"),)
    id: str = Field(primary_key=True)
    server: str = Field(foreign_key="server.name", index=True)
    label: str
    assurance: str
    trusted: bool
    """Whether its tools' own annotations count."""
    environment: str = ""
    """What it acts on, as people call it: production, staging…"""
    may_grant: bool = False
    """Whether standing grants may be made for its calls; an admin decides it for a cooperative one."""
    created_at: int = instant()
    disabled_at: int | None = instant(default=None)


class Agent(SQLModel, table=True):
    """An AI agent with a credential of its own."""

    __tablename__: ClassVar[str] = "agent"
    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    groups: str = ""
    """Space-separated, for rules, rollout and audiences."""
    pending_limit: int | None = None
    """How many of its requests may wait at once; None for the service's default."""
    minute_limit: int | None = None
    """How many it may file a minute; None for the service's default."""
    flooded_at: int | None = instant(default=None)
    """When its owners were last told that it ran into a limit."""
    created_at: int = instant()
    disabled_at: int | None = instant(default=None)


class AgentOwner(SQLModel, table=True):
    """A person who answers for an agent: may not decide on its requests where the rule says so."""

    __tablename__: ClassVar[str] = "agent_owner"
    agent_id: str = Field(primary_key=True, foreign_key="agent.id")
    user_id: str = Field(primary_key=True, foreign_key="user_account.id", index=True)


class User(SQLModel, table=True):
    """A person, identified by issuer and subject ("local" and the sign-in name for local accounts)."""

    __tablename__: ClassVar[str] = "user_account"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)
    id: str = Field(primary_key=True)
    issuer: str
    subject: str
    name: str
    handle: str | None = Field(default=None, unique=True)
    """What policies and commands call this person: the sign-in name of a local account, the verified e-mail address of
    another, which it follows when the identity provider changes it; lower-case. Nobody chooses their own."""
    email: str = ""
    groups: str = ""
    """Space-separated, as admins gave them."""
    claimed_groups: str = long_text(default="")
    """One a line (names may have blanks), as the identity provider said at the last sign-in."""
    last_notice_id: int = Field(default=0, sa_type=BigInteger)
    """The last notice that this person has seen."""
    roles: str
    """Space-separated: admin, reviewer, auditor, viewer."""
    password_hash: str | None = None
    created_at: int = instant()
    disabled_at: int | None = instant(default=None)


class Handle(SQLModel, table=True):
    """Every name that rules ever called somebody by, and whose it is for good."""

    __tablename__: ClassVar[str] = "handle"
    name: str = Field(primary_key=True)
    user_id: str = Field(foreign_key="user_account.id")
    since_at: int = instant()


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
    label: str = ""
    scopes: str = long_text(default="")
    """Of an agent's key: what it covers (`approvals.protocol.scopes`). Of a person's token: what it may do."""
    created_at: int = instant()
    expires_at: int | None = instant(default=None)
    last_used_at: int | None = instant(default=None)
    revoked_at: int | None = instant(default=None)


class WebSession(SQLModel, table=True):
    """A signed-in browser; the cookie's SHA-256 is the key."""

    __tablename__: ClassVar[str] = "web_session"
    id: str = Field(primary_key=True)
    user_id: str = Field(foreign_key="user_account.id", index=True)
    method: str
    """How the person authenticated: password, link, oidc."""
    authenticated_at: int | None = instant(default=None)
    """When the person proved who they are; None where the identity provider does not say."""
    created_at: int = instant()
    last_seen_at: int = instant()
    expires_at: int = instant()
    address: str = ""
    user_agent: str = long_text(default="")
    revoked_at: int | None = instant(default=None)


class SignInLink(SQLModel, table=True):
    """A one-time link, stored as SHA-256: sets up the first account, invites, or signs in; spent by a POST."""

    __tablename__: ClassVar[str] = "sign_in_link"
    __table_args__ = (one_of("purpose", "setup", "invite", "sign_in"),)
    id: str = Field(primary_key=True)
    purpose: str
    user_id: str | None = Field(default=None, foreign_key="user_account.id")
    roles: str = ""
    name: str = ""
    made_by: str
    """The actor of the audit log who made it."""
    created_at: int = instant()
    expires_at: int = instant()
    spent_at: int | None = instant(default=None)
    revoked_at: int | None = instant(default=None)


class SignInAttempts(SQLModel, table=True):
    """Failed sign-ins of late, by name, address, known browser or account, so that all replicas count together."""

    __tablename__: ClassVar[str] = "sign_in_attempts"
    key: str = Field(primary_key=True)
    """SHA-256 of what is counted."""
    failures: int = 0
    since_at: int = instant(index=True)
    """When the last one was; of an account, when the hour began in which they are counted."""


class SpentLogin(SQLModel, table=True):
    """A sign-in through the identity provider that came back: none comes back twice."""

    __tablename__: ClassVar[str] = "spent_login"
    id: str = Field(primary_key=True)
    """SHA-256 of its state."""
    expires_at: int = instant(index=True)


class AdminNotice(SQLModel, table=True):
    """What every admin is told: changes of trust, of policy, of who there is."""

    __tablename__: ClassVar[str] = "admin_notice"
    __table_args__ = ({"sqlite_autoincrement": True},)
    id: int = Field(default=None, primary_key=True, sa_type=NUMBER)
    at: int = instant()
    kind: str
    """Of the audit event that it repeats."""
    actor: str
    subject: str
    words: str = long_text(default="")
