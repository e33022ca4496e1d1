"""The keyed chain over the audit events, and its verification.

Each link's MAC covers its event, its place and the link before it. Whoever lacks the key cannot change, remove, insert
or reorder a linked record unseen; cutting off the end is seen against a head that was kept elsewhere.
"""

import hashlib
import hmac
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from sqlalchemy import bindparam, exists, func, select

from approvals.instant import SECOND
from approvals.protocol.canonical import canonical
from approvals.service.audit.log import event_mac, event_name, payload_hash
from approvals.service.audit.unreadable import UNREADABLE
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.statements import Row, Statement
from approvals.service.storage.tables import AuditEvent, AuditLink, AuditPayload, table_of

logger = logging.getLogger("approvals")

BATCH = 500
LATE = 20_000
NEAR = 500
"""Nearly every event that comes late is among so many; looking for the others costs 10 ms."""
OVERDUE = 60 * SECOND
"""An event so much older than a linked one is not merely on its way: no transaction lasts that long."""

_events = table_of(AuditEvent)
_links = table_of(AuditLink)
_payloads = table_of(AuditPayload)

_LAST_LINK = Statement(select(_links).order_by(_links.c.seq.desc()).limit(1), AuditLink)
_LINK_AT = Statement(select(_links).where(_links.c.seq == bindparam("seq")), AuditLink)
_LAST_EVENT = Statement(select(func.max(_links.c.event_id).label("id")))
_others = _events.alias()
_copied = exists(
    select(_others.c.id).where(_others.c.payload_hash == _events.c.payload_hash, _others.c.id != _events.c.id)
)
"""Each event has a hash of its own, because its payload is salted, and its MAC covers it: a second one is a copy."""
_UNLINKED_AFTER = Statement(
    select(_events, _copied.label("copied"), _payloads.c.salt, _payloads.c.body)
    .join_from(_events, _links, _links.c.event_id == _events.c.id, isouter=True)
    .join(_payloads, _payloads.c.payload_hash == _events.c.payload_hash, isouter=True)
    .where(_events.c.id > bindparam("after"), _links.c.event_id.is_(None))
    .order_by(_events.c.id)
    .limit(BATCH)
)
_LINKED_AFTER = Statement(
    select(
        _links.c.seq,
        _links.c.event_id,
        _links.c.mac.label("link_mac"),
        *(_events.c[name] for name in ("id", "at", "kind", "actor", "subject")),
        *(_events.c[name] for name in ("payload_hash", "key_id", "algorithm", "mac")),
        _payloads.c.salt,
        _payloads.c.body,
    )
    .join_from(_links, _events, _links.c.event_id == _events.c.id, isouter=True)
    .join(_payloads, _payloads.c.payload_hash == _events.c.payload_hash, isouter=True)
    .where(_links.c.seq > bindparam("after"))
    .order_by(_links.c.seq)
    .limit(BATCH)
)
_ERASED = Statement(select(_events.c.id).where(_events.c.kind == "audit.erased", _events.c.subject == bindparam("id")))


@dataclass(frozen=True)
class Head:
    """The chain's end: keep it outside the database."""

    seq: int
    mac: str

    @classmethod
    def parse(cls, text: str) -> "Head":
        """From `SEQ:MAC`. Raises ValueError when it is not one."""
        seq, _, mac = text.partition(":")
        if len(mac) != 64:
            raise ValueError(f"{text!r} is not a head; a head looks like 42:3f9a… (64 hex digits)")
        return cls(int(seq), mac)

    def __str__(self) -> str:
        return f"{self.seq}:{self.mac}"


@dataclass(frozen=True)
class Finding:
    """The first record that is not as it was written. `what`: changed, removed, inserted, reordered, cut off."""

    seq: int
    what: str
    detail: str

    def __str__(self) -> str:
        return f"record {self.seq} was {self.what}: {self.detail}"


@dataclass(frozen=True)
class Verified:
    head: Head | None
    unlinked: int
    """Events too new to be linked."""
    finding: Finding | None


@dataclass(frozen=True)
class Linked:
    """What one step of linking came to."""

    head: Head
    more: bool
    """Whether it had as many events as it takes, so that there may be others."""


def link(tx: Transaction, key: bytes, back: int = LATE, refused: set[int] | None = None) -> Linked | None:
    """Link up to BATCH new events, `back` numbers before the last linked one or later; None when there was nothing to
    link, or another process does it. What is none of this service's events, or a copy of one, stays
    unlinked, which `verify` reports; it is logged, and noted in `refused`, once."""
    if not tx.try_lock("audit sequencer"):
        return None
    last = tx.one(_LAST_LINK)
    first, mac = (last.seq, last.mac) if last else (0, "")
    seq, after, more = first, _linked_up_to(tx, back), False
    while seq == first and (events := _unlinked_after(tx, after)):
        for event in events:
            if (fault := _refusal(key, event)) is not None:
                _say(event, fault, refused if refused is not None else set())
                continue
            seq += 1
            mac = link_mac(key, seq, mac, event)
            tx.insert(AuditLink, seq=seq, event_id=event.id, mac=mac)
        after, more = events[-1].id, len(events) == BATCH
    return Linked(Head(seq, mac), more) if seq > first else None


def verify(
    reader: Reader, key: bytes, head: Head | None = None, heed: Callable[[Row], None] = lambda _: None
) -> Verified:
    """Walk the whole chain, and have each event heeded, with its payload's `body`; stops at the first finding. Linear
    in the number of records."""
    mac, seq, last_event, latest = "", 0, 0, 0
    finding: Finding | None = None
    for row in _linked(reader):
        finding = _readable(row.seq, partial(_examine, reader, key, row, seq, mac, last_event))
        if finding is not None:
            break
        seq, mac, last_event, latest = row.seq, row.link_mac, row.event_id, max(latest, row.at)
        heed(row)
    inserted, unlinked = _unlinked(reader, key, seq, latest, heed)
    finding = finding or inserted or (_against(reader, head, seq) if head else None)
    return Verified(Head(seq, mac) if seq else None, unlinked, finding)


def link_mac(key: bytes, seq: int, previous: str, event: Row) -> str:
    """HMAC-SHA256 over the link's place, the link before it and the event."""
    covered = {
        "seq": seq,
        "previous": previous,
        "event": event.id,
        "at": event.at,
        "kind": event.kind,
        "actor": event.actor,
        "subject": event.subject,
        "payload_hash": event.payload_hash,
        "key_id": event.key_id,
        "algorithm": event.algorithm,
    }
    return hmac.new(key, canonical(covered), hashlib.sha256).hexdigest()


def _linked_up_to(reader: Reader, back: int) -> int:
    """The event before which all are linked. Where several transactions write at once, a lower number may be committed
    after a higher one; LATE is far more than are ever under way together."""
    last = reader.one(_LAST_EVENT)
    return max(0, (last.id or 0) - back) if last else 0


def _unlinked_after(reader: Reader, after: int) -> list[Row]:
    """One row that somebody spoiled keeps no other one from its place."""
    with reader.as_stored():
        return reader.all(_UNLINKED_AFTER, after=after)


def _linked(reader: Reader) -> Iterator[Row]:
    after = 0
    while rows := reader.all(_LINKED_AFTER, after=after):
        yield from rows
        after = rows[-1].seq


def _readable(seq: int, examine: Callable[[], Finding | None]) -> Finding | None:
    try:
        return examine()
    except UNREADABLE:
        return Finding(seq, "changed", "it holds what cannot be read")


def _examine(reader: Reader, key: bytes, row: Row, seq: int, mac: str, last_event: int) -> Finding | None:
    if row.seq != seq + 1:
        return Finding(seq + 1, "removed", f"link {seq + 1} is missing")
    if row.id is None:
        return Finding(row.seq, "removed", f"event {row.event_id} is missing")
    if not hmac.compare_digest(row.link_mac, link_mac(key, row.seq, mac, row)):
        moved = row.event_id <= last_event  # events may be linked out of their numbers' order, but then the MAC holds
        return Finding(row.seq, "reordered" if moved else "changed", f"event {row.id} is not what was linked here")
    if not hmac.compare_digest(row.mac, event_mac(key, row)):
        return Finding(row.seq, "changed", f"event {row.id} has another seal")
    return _examine_payload(reader, row, row.seq)


def _examine_payload(reader: Reader, event: Row, seq: int) -> Finding | None:
    if event.body is None:
        if reader.one(_ERASED, id=event_name(event.id)) is None:
            return Finding(seq, "removed", f"the payload of event {event.id} is missing")
    elif payload_hash(event.salt, event.body.encode()) != event.payload_hash:
        return Finding(seq, "changed", f"the payload of event {event.id} was changed")
    return None


def _refusal(key: bytes, event: Row) -> str | None:
    """Why an event may not be linked."""
    try:
        genuine = hmac.compare_digest(event.mac, event_mac(key, event))
    except UNREADABLE:
        genuine = False
    if not genuine:
        return "was not written by this service"
    return "is a copy of another" if event.copied else None


def _say(event: Row, fault: str, said: set[int]) -> None:
    if event.id not in said:
        said.add(event.id)
        logger.error("audit event %s is not linked: it %s", event.id, fault)


def _unlinked(
    reader: Reader, key: bytes, seq: int, latest: int, heed: Callable[[Row], None]
) -> tuple[Finding | None, int]:
    """The first event outside the chain that should not be, and how many are merely too new."""
    after, number = -1, 0
    while events := reader.all(_UNLINKED_AFTER, after=after):
        for event in events:
            if (fault := _refusal(key, event)) is not None:
                return Finding(seq + 1, "inserted", f"event {event.id} {fault}"), number
            if event.at < latest - OVERDUE:
                return Finding(seq, "inserted", f"event {event.id} was never linked, though later ones were"), number
            examine = partial(_examine_payload, reader, event, seq + 1)
            if (finding := _readable(seq + 1, examine)) is not None:
                return finding, number
            heed(event)
        number += len(events)
        after = events[-1].id
    return None, number


def _against(reader: Reader, head: Head, last: int) -> Finding | None:
    row = reader.one(_LINK_AT, seq=head.seq)
    if row is None:
        return Finding(last + 1, "cut off", f"the chain ends at {last}, the head given is {head.seq}")
    if not hmac.compare_digest(row.mac, head.mac):
        return Finding(head.seq, "changed", f"link {head.seq} is not the head given")
    return None
