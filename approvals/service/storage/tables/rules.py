"""What calls are judged by: policies, standing grants, freezes, rollout."""

from typing import ClassVar

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel

from approvals.service.storage.tables.columns import (
    NUMBER,
    index_where,
    instant,
    long_text,
    one_of,
)


class PolicyVersion(SQLModel, table=True):
    """Every policy that was ever in force, by the hash of its text."""

    __tablename__: ClassVar[str] = "policy_version"
    hash: str = Field(primary_key=True)
    text: str = long_text()
    created_at: int = instant()


class PolicyLoad(SQLModel, table=True):
    """A policy came into force."""

    __tablename__: ClassVar[str] = "policy_load"
    __table_args__ = ({"sqlite_autoincrement": True},)
    id: int = Field(default=None, primary_key=True, sa_type=NUMBER)
    at: int = instant()
    hash: str = Field(foreign_key="policy_version.hash", index=True)
    by: str
    """Whose doing: an actor."""


class StandingGrant(SQLModel, table=True):
    """Lets an agent's further calls of one tool run without asking: so many, for so long, within constraints."""

    __tablename__: ClassVar[str] = "standing_grant"
    __table_args__ = (
        Index("grant_by_tool", "server", "tool", "agent_id", "expires_at"),
        Index("grant_by_end", "expires_at", "id"),
        CheckConstraint("used >= 0 AND used <= max_uses", name="counted"),
    )
    id: str = Field(primary_key=True)
    request_id: str = Field(foreign_key="request.id", unique=True)
    """The request from whose card it was made."""
    server: str
    tool: str
    tool_hash: str
    code_version: str = ""
    agent_id: str = Field(foreign_key="agent.id")
    installation_id: str = Field(foreign_key="installation.id")
    terms: str = long_text()
    """What was granted, as everybody who approved it saw it."""
    rule: str
    reviewers: str = long_text()
    """What the rule asked for: a call under another rule, or stricter, is none of this grant's."""
    quorum: int
    max_uses: int
    used: int = 0
    created_at: int = instant()
    expires_at: int = instant()
    granted_by: str
    """Display names."""
    revoked_at: int | None = instant(default=None)
    revoked_by: str | None = None


class Freeze(SQLModel, table=True):
    """Writes stopped: all, one server's or one agent's."""

    __tablename__: ClassVar[str] = "freeze"
    __table_args__ = (
        one_of("scope", "all", "server", "agent"),
        one_of("mode", "refuse", "hold"),
        index_where("freeze_in_force", ("scope", "of"), "lifted_at IS NULL", unique=True),
    )
    id: str = Field(primary_key=True)
    scope: str
    of: str = ""
    """The server's name or the agent's id."""
    mode: str
    reason: str = long_text(default="")
    made_at: int = instant()
    made_by: str
    lifted_at: int | None = instant(default=None)
    lifted_by: str | None = None


class FreezeTelling(SQLModel, table=True):
    """A freeze came, went, or was explained anew, and messages of waiting requests do not show it yet."""

    __tablename__: ClassVar[str] = "freeze_telling"
    freeze_id: str = Field(primary_key=True, foreign_key="freeze.id")
    after: str = ""
    """The last request that was seen to."""


class FreezeConfirmation(SQLModel, table=True):
    """A gate process has heard of a freeze."""

    __tablename__: ClassVar[str] = "freeze_confirmation"
    freeze_id: str = Field(primary_key=True, foreign_key="freeze.id")
    session_id: str = Field(primary_key=True, foreign_key="gate_session.id")
    confirmed_at: int = instant()
