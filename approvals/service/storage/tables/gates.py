"""What runs behind gates: their processes, the tools that they serve, and which definitions stand."""

from typing import ClassVar

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel

from approvals.service.storage.tables.columns import instant, long_text, one_of


class GateSession(SQLModel, table=True):
    """One run of a gate process; its calls are numbered, so that a gap shows."""

    __tablename__: ClassVar[str] = "gate_session"
    id: str = Field(primary_key=True)
    installation_id: str = Field(foreign_key="installation.id", index=True)
    code_version: str = ""
    started_at: int = instant()
    last_seen_at: int = instant()
    recorded: int = 0
    """Calls recorded so far: all numbers up to this one."""
    high_water: int = 0
    closed_at: int | None = instant(default=None)
    lost_at: int | None = instant(default=None)
    stream_id: str = ""
    """Names its newest event stream, so that the end of an older one says nothing."""
    gone_at: int | None = instant(default=None)
    """When its newest stream ended: its callers no longer wait."""


class SessionTool(SQLModel, table=True):
    """Which definition a gate process serves under a tool's name."""

    __tablename__: ClassVar[str] = "session_tool"
    session_id: str = Field(primary_key=True, foreign_key="gate_session.id")
    name: str = Field(primary_key=True)
    tool_hash: str
    code_version: str = ""
    """The code that runs it there; empty where approvals are to outlive a change of it."""
    size: int = 0
    """Bytes of the definition."""
    part_of: str = ""
    """The registration that named it last."""


class ToolDefinitionRow(SQLModel, table=True):
    """A tool's definition, kept for ever: each distinct one once per server."""

    __tablename__: ClassVar[str] = "tool_definition"
    __table_args__ = (
        Index("tool_definition_by_registered_by_first_seen_at", "registered_by", "first_seen_at", "size"),
    )
    server: str = Field(primary_key=True, foreign_key="server.name")
    tool_hash: str = Field(primary_key=True)
    name: str
    body: str = long_text()
    first_seen_at: int = instant()
    registered_by: str | None = None
    """The installation that brought it."""
    size: int | None = Field(default=None, sa_type=BigInteger)
    """Bytes."""


class Tool(SQLModel, table=True):
    """The definition of a tool that stands, and one that waits for a person's acceptance because it loosens.

    One for all enforced installations of a server; each cooperative one has its own, which are nobody else's.
    """

    __tablename__: ClassVar[str] = "tool"
    server: str = Field(primary_key=True, foreign_key="server.name")
    installation_id: str = Field(primary_key=True, default="")
    """The cooperative installation that it stands at; empty for the enforced ones."""
    name: str = Field(primary_key=True)
    accepted_hash: str | None = None
    accepted_at: int | None = instant(default=None)
    accepted_by: str = ""
    offered_hash: str | None = None
    offered_at: int | None = instant(default=None)
    loosens: str = long_text(default="")
    """What the offered definition loosens, one line each."""


class ToolRejection(SQLModel, table=True):
    """A definition that a person said is not to stand at a place: it is not offered there again."""

    __tablename__: ClassVar[str] = "tool_rejection"
    server: str = Field(primary_key=True, foreign_key="server.name")
    installation_id: str = Field(primary_key=True, default="")
    name: str = Field(primary_key=True)
    tool_hash: str = Field(primary_key=True)
    rejected_at: int = instant()
    rejected_by: str


class Rollout(SQLModel, table=True):
    """How far a gate is rolled out: for a server (no tool) or one tool, for everybody or for named agents.

    The most specific row counts; without one, `enforce`.
    """

    __tablename__: ClassVar[str] = "rollout"
    __table_args__ = (one_of("mode", "off", "observe", "enforce"),)
    server: str = Field(primary_key=True, foreign_key="server.name")
    tool: str = Field(primary_key=True, default="")
    audience: str = Field(primary_key=True, default="")
    """`agent:NAME`, `group:NAME`, or empty for everybody."""
    mode: str
    set_at: int = instant()
    set_by: str
