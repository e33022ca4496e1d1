"""The audit record."""

from typing import Annotated

from fastapi import Query, Request, Response
from sqlalchemy import bindparam, select

from approvals.database import Statement
from approvals.instant import to_datetime
from approvals.models import AuditEvent
from approvals_web.deps import SignedIn, TheService
from approvals_web.rendering import page
from approvals_web.routers import PageRouter

PAGE = 100
LAST = 2**62

_events = AuditEvent.__table__  # type: ignore[attr-defined]
_BEFORE = Statement(select(_events).where(_events.c.id < bindparam("before")).order_by(_events.c.id.desc()).limit(PAGE))

router = PageRouter()


@router.get("/audit")
def audit(
    request: Request, person: SignedIn, service: TheService, before: Annotated[int, Query(ge=1, le=LAST)] = LAST
) -> Response:
    """The record, newest first; `approvals audit verify` proves it."""
    events = service.read_now(lambda reader: reader.all(_BEFORE, before=before))
    rows = [
        (row.id, to_datetime(row.at).isoformat(sep=" ", timespec="seconds"), row.kind, row.actor, row.subject)
        for row in events
    ]
    columns = ("Number", "At", "What", "By", "About")
    older = f"/audit?before={events[-1].id}" if len(events) == PAGE else ""
    shown = {"heading": "Audit", "columns": columns, "rows": rows, "hint": "", "older": older}
    return page(request, "table.html", shown | {"person": person})
