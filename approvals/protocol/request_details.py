"""A request as a person reads it before deciding, for their scripts and for receivers of webhooks."""

from typing import Any

from approvals.protocol.message_fields import Message, Seconds
from approvals.protocol.messages import RequestView
from approvals.protocol.previews import Preview


class Ballot(Message):
    """One person's verdict on the present content."""

    by: str
    verdict: str
    channel: str
    counts: bool
    """Whether it counts now: roles, groups and rules may have changed since."""
    ago: Seconds


class RequestDetails(RequestView):
    """All that the card says of a request. Texts of agents and tools are as they came, masked: they are data, never
    markup, and `*_unverified` is what nobody has checked."""

    arguments: dict[str, Any]
    """Encoded, as they are digested; a redacted leaf is an object with `$redacted`."""
    proposed: dict[str, Any] | None = None
    """What the agent asked, where a person has changed it."""
    hidden: int = 0
    """Characters that look like a credential, and are hidden beyond what the tool declares secret."""
    agent: str | None = None
    on_behalf_of_unverified: str = ""
    reason_unverified: str | None = None
    assurance: str = "enforced"
    risk: str = "medium"
    quorum: int = 1
    who_may_approve: str = ""
    votes: tuple[Ballot, ...] = ()
    warnings: tuple[str, ...] = ()
    preview: Preview | None = None
    """What it would do, in its server's word."""
    previewed_ago: Seconds | None = None
    no_preview: str = ""
    """Why there is none."""
