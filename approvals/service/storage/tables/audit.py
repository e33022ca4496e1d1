"""The record."""

from typing import ClassVar

from sqlalchemy import BigInteger, LargeBinary
from sqlmodel import Field, SQLModel

from approvals.service.storage.tables.columns import NUMBER, instant, long_text


class AuditEvent(SQLModel, table=True):
    """One thing that happened. Never updated, never deleted (triggers); the payload can be erased, its hash stays."""

    __tablename__: ClassVar[str] = "audit_event"
    __table_args__ = ({"sqlite_autoincrement": True},)
    id: int = Field(default=None, primary_key=True, sa_type=NUMBER)
    at: int = instant()
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
    body: str = long_text()


class AuditLink(SQLModel, table=True):
    """The keyed chain over the events, in order: never updated, never deleted (triggers)."""

    __tablename__: ClassVar[str] = "audit_link"
    seq: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    event_id: int = Field(foreign_key="audit_event.id", unique=True, sa_type=BigInteger)
    mac: str
