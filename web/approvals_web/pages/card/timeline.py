"""What happened to a request so far, from the audit record."""

import json
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from approvals.instant import Instant
from approvals.service.identity import credentials, users
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Row, Statement
from approvals.service.storage.tables import AuditEvent, AuditLink, AuditPayload, table_of
from approvals_web.http.lexicon import KINDS, STATES

_events = table_of(AuditEvent)
_payloads = table_of(AuditPayload)
_links = table_of(AuditLink)
_TIMELINE = Statement(
    select(_events, _payloads.c.body, _links.c.seq)
    .join_from(_events, _payloads, _payloads.c.payload_hash == _events.c.payload_hash, isouter=True)
    .join(_links, _links.c.event_id == _events.c.id, isouter=True)
    .where(_events.c.subject == bindparam("subject"))
    .order_by(_events.c.id)
    .limit(100)
)


@dataclass(frozen=True)
class Event:
    """One thing that happened."""

    id: int
    at: Instant
    kind: str
    who: str
    said: str
    seq: int | None
    """The link of the chain that holds it; None while it is not linked."""

    @property
    def what(self) -> str:
        last = self.kind.partition(".")[2]
        return KINDS.get(self.kind) or STATES.get(last) or self.kind.replace(".", " ").replace("_", " ").capitalize()


def events(reader: Reader, request_id: str) -> list[Event]:
    """The first hundred, in order."""
    return [_event(reader, event) for event in reader.all(_TIMELINE, subject=request_id)]


def _event(reader: Reader, event: Row) -> Event:
    payload = json.loads(event.body or "{}")
    said = "(words erased)" if event.body is None else payload.get("comment") or payload.get("because") or ""
    return Event(event.id, event.at, event.kind, who(reader, event.actor), said, event.seq)


def who(reader: Reader, actor: str) -> str:
    """A name for an actor, where there is one."""
    kind, _, name = actor.partition(":")
    if kind == "user":
        user = users.find(reader, name)
        return actor if user is None else user.name
    if kind == "agent":
        agent = credentials.agent(reader, name)
        return actor if agent is None else f"agent {agent.name}"
    if kind == "installation":
        installation = credentials.installation(reader, name)
        return actor if installation is None else f"server {installation.server}"
    return {"system": "the service"}.get(actor, actor)
