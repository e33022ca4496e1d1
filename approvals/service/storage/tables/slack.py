"""Slack: where messages about requests stand, and which Slack user is which person."""

from typing import ClassVar

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from approvals.service.storage.tables.columns import index_where, instant


class SlackMessage(SQLModel, table=True):
    """A request in a message that was posted; several requests share the message of a digest."""

    __tablename__: ClassVar[str] = "slack_message"
    __table_args__ = (Index("slack_message_by_place", "channel", "ts"),)
    request_id: str = Field(primary_key=True, foreign_key="request.id")
    channel: str = Field(primary_key=True)
    """Slack's id of the channel, or of the conversation with one person."""
    asked: str = ""
    """The channel or person as the rule or the settings called it: what was posted there is not posted again."""
    ts: str = Field(primary_key=True)
    """Slack's name of the message within its channel."""
    digest: bool = False
    """Whether it is one of many in a summary."""
    shown: str = ""
    """SHA-256 of what it shows; empty where that is not known."""
    gone: bool = False
    """Whether somebody deleted it: it comes back once."""
    told: str = ""
    """The state that the thread has been told of, for the end of a run."""
    posted_at: int = instant()


class SlackLink(SQLModel, table=True):
    """A Slack user who is a person here: by a code from the web app, or by e-mail where admins allow it."""

    __tablename__: ClassVar[str] = "slack_link"
    team_id: str = Field(primary_key=True)
    slack_user_id: str = Field(primary_key=True)
    user_id: str = Field(foreign_key="user_account.id", index=True)
    slack_name: str
    by: str
    """code or email."""
    linked_at: int = instant()


class SlackCode(SQLModel, table=True):
    """A code shown to a signed-in person, to be typed in Slack; who typed it is confirmed in the web app."""

    __tablename__: ClassVar[str] = "slack_code"
    __table_args__ = (index_where("slack_code_open", "user_id", "ended_at IS NULL"),)
    id: str = Field(primary_key=True)
    """SHA-256 of the code."""
    user_id: str = Field(foreign_key="user_account.id", index=True)
    session_id: str
    """The browser session that asked for it: the same one confirms."""
    created_at: int = instant()
    expires_at: int = instant()
    team_id: str | None = None
    slack_user_id: str | None = None
    slack_name: str | None = None
    typed_at: int | None = instant(default=None)
    ended_at: int | None = instant(default=None)
