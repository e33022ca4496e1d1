"""What the events tell, subject by subject: how each row was left, and what happened in a request's life."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from sqlalchemy import bindparam, select, tuple_

from approvals.service.audit.log import ROWS, WITHOUT_ROWS, event_name
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Row, Statement
from approvals.service.storage.tables import AuditEvent, AuditPayload, table_of

PAGE = 1000
"""Events read at once."""

_events = table_of(AuditEvent)
_payloads = table_of(AuditPayload)
_PAGE = Statement(
    select(*(_events.c[name] for name in ("id", "at", "kind", "actor", "subject")), _payloads.c.body)
    .join_from(_events, _payloads, _payloads.c.payload_hash == _events.c.payload_hash, isouter=True)
    .where(tuple_(_events.c.subject, _events.c.id) > tuple_(bindparam("subject"), bindparam("id")))
    .where(*(_events.c.kind != kind for kind in WITHOUT_ROWS))
    .order_by(_events.c.subject, _events.c.id)
    .limit(PAGE)
)
_KEPT = Statement(
    select(_payloads.c.body)
    .join_from(_events, _payloads, _payloads.c.payload_hash == _events.c.payload_hash)
    .where(_events.c.kind == "audit.erased", _events.c.subject == bindparam("of"))
)


@dataclass(frozen=True)
class Left:
    """How an event left a row: its seal, or None where there is none any more."""

    seal: str | None
    event: str


@dataclass(frozen=True)
class Act:
    """An event in a request's life."""

    id: int
    at: int
    kind: str
    actor: str
    version: int | None
    digest: str | None


@dataclass
class Told:
    """All that is on record about one subject."""

    subject: str
    rows: dict[str, Left] = field(default_factory=dict)
    acts: list[Act] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def hear(self, event: Row, facts: dict[str, Any]) -> None:
        """Take the next event. A row that it found otherwise than the one before left it is a fault."""
        name = f"event {event.id} ({event.kind})"
        for row, (found, left) in facts.get(ROWS, {}).items():
            before = self.rows.get(row)
            if found != (before.seal if before is not None else None):
                self.faults.append(f"{row} was changed {_since(before)}, before {name}")
            self.rows[row] = Left(left, name)
        if event.kind.startswith(("request.", "decision.")):
            told = facts.get("version"), facts.get("digest")
            self.acts.append(Act(event.id, event.at, event.kind, event.actor, *told))


def walk(reader: Reader) -> Iterator[Told]:
    """Every subject, in the database's order."""
    for subject, events in groupby(_events_by_subject(reader), key=lambda event: event.subject):
        told = Told(subject)
        for event in events:
            told.hear(event, _facts(reader, event))
        yield told


def _events_by_subject(reader: Reader) -> Iterator[Row]:
    subject, last = "", -1
    while rows := reader.all(_PAGE, subject=subject, id=last):
        yield from rows
        subject, last = rows[-1].subject, rows[-1].id


def _facts(reader: Reader, event: Row) -> dict[str, object]:
    """The payload of an event; of an erased one, what was kept."""
    if event.body is not None:
        return dict(json.loads(event.body))
    kept = reader.one(_KEPT, of=event_name(event.id))
    return {} if kept is None else dict(json.loads(kept.body).get("kept", {}))


def _since(before: Left | None) -> str:
    return f"after {before.event}" if before is not None else "without an event"
