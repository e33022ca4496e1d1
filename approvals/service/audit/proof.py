"""What is on record about one request, so that it can be held against the record later."""

import json

from sqlalchemy import bindparam, select

from approvals.errors import NotFound
from approvals.instant import to_datetime
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Row, Statement
from approvals.service.storage.tables import AuditEvent, AuditLink, AuditPayload, table_of

MOST = 1000
"""Events."""

_events = table_of(AuditEvent)
_payloads = table_of(AuditPayload)
_links = table_of(AuditLink)
_ABOUT = Statement(
    select(_events, _payloads.c.body, _links.c.seq, _links.c.mac.label("link"))
    .join_from(_events, _payloads, _payloads.c.payload_hash == _events.c.payload_hash, isouter=True)
    .join(_links, _links.c.event_id == _events.c.id, isouter=True)
    .where(_events.c.subject == bindparam("subject"))
    .order_by(_events.c.id)
    .limit(MOST)
)
_HEAD = Statement(select(_links.c.seq, _links.c.mac).order_by(_links.c.seq.desc()).limit(1))


def of(reader: Reader, request_id: str) -> dict[str, object]:
    """The events of a request as they were written, each with its link (`seq`, `link`), and the chain's head. The MACs
    are by a key that stays here: `approvals audit verify --head HEAD` proves that the chain up to this head is whole.
    Raises NotFound."""
    rows = reader.all(_ABOUT, subject=request_id)
    if not rows:
        raise NotFound("There is no such request.", hint="Check the id.")
    head = reader.one(_HEAD)
    return {
        "request": request_id,
        "taken_at": to_datetime(reader.now).isoformat(),
        "head": f"{head.seq}:{head.mac}" if head else None,
        "events": [_event(row) for row in rows],
    }


def _event(row: Row) -> dict[str, object]:
    kept = dict(row)
    payload = json.loads(kept.pop("body") or "null")
    return kept | {"at": to_datetime(row.at).isoformat(), "payload": payload}
