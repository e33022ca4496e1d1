"""Audit events: written in the transaction of what they tell of, and never changed."""

import hashlib
import hmac
import os
from collections.abc import Mapping
from enum import StrEnum

from sqlalchemy import bindparam, delete

from approvals.protocol.canonical import canonical
from approvals.service.audit import notices, seals
from approvals.service.audit.actor import Actor
from approvals.service.audit.kinds import Kind
from approvals.service.storage.database import Transaction
from approvals.service.storage.row_changes import Touched, Watch
from approvals.service.storage.statements import Row, Statement
from approvals.service.storage.tables import AuditEvent, AuditPayload, table_of

SYSTEM = "system"
"""The actor of what time or the service itself does."""
ROWS = "rows"
"""Of a payload: the rows that the event touched, each with the seals of what it found and what it left."""

WITHOUT_ROWS = (Kind.AUDIT_ERASED, Kind.CALLS_RECORDED)
"""Kinds of events that never tell of a row."""

_payloads = table_of(AuditPayload)
_ERASE = Statement(delete(_payloads).where(_payloads.c.payload_hash == bindparam("of")))


class AuditLog:
    """Appends events under the key that the chain uses."""

    def __init__(self, key: bytes, key_id: str) -> None:
        self._key = key
        self._key_id = key_id

    def append(
        self, tx: Transaction, kind: StrEnum, actor: str, subject: str, /, *touched: Touched | Watch, **payload: object
    ) -> None:
        """Record that `actor` did `kind` to `subject`, and the state in which that left what it `touched`. Payloads
        hold facts, never secrets."""
        if isinstance(actor, Actor) and actor.by_session:
            payload["by_session"] = actor.by_session
        rows = [row for one in touched for row in (one.touched() if isinstance(one, Watch) else (one,))]
        if rows:
            payload[ROWS] = dict(seals.told(row, self._key) for row in rows)
        body = canonical(payload)
        salt = os.urandom(16)
        name = payload_hash(salt, body)
        event = {
            "at": tx.now,
            "kind": str(kind),
            "actor": str(actor),
            "subject": subject,
            "payload_hash": name,
            "key_id": self._key_id,
            "algorithm": "hmac-sha256",
        }
        tx.insert(AuditEvent, **event, mac=event_mac(self._key, event))
        tx.insert(AuditPayload, payload_hash=name, salt=salt, body=body.decode())
        notices.notify(tx, kind, actor, subject, payload)


def erase_payload(tx: Transaction, event: Row, actor: str, kept: Mapping[str, object]) -> None:
    """Erase an event's payload. The event and its place in the chain stay; an event of its own says so, and keeps those
    facts of the payload that may stay."""
    if tx.update(_ERASE, of=event.payload_hash) == 1:
        tx.record(Kind.AUDIT_ERASED, actor, event_name(event.id), kind=event.kind, kept=kept)


def event_name(event_id: int) -> str:
    """What an event is called as the subject of another: never what a request could be called."""
    return f"event:{event_id}"


def event_mac(key: bytes, event: Mapping[str, object]) -> str:
    """HMAC-SHA256 over everything an event says."""
    names = ("at", "kind", "actor", "subject", "payload_hash", "key_id", "algorithm")
    return hmac.new(key, canonical({name: event[name] for name in names}), hashlib.sha256).hexdigest()


def payload_hash(salt: bytes, body: bytes) -> str:
    """What an event keeps of its payload when the payload is erased. The salt makes it unique."""
    return hashlib.sha256(salt + body).hexdigest()
