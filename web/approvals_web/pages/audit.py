"""The audit record."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

from fastapi import Form, Query, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy import bindparam, select

from approvals.errors import Invalid
from approvals.protocol.message_fields import Identifier
from approvals.service.audit import proof
from approvals.service.audit.chain import Head
from approvals.service.identity.users import Person
from approvals.service.service import Service
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import AuditEvent, table_of
from approvals.service.storage.tables.rows import RequestRow
from approvals.service.verification import verify as verification
from approvals_web.http.deps import Overseer, SignedIn, TheService
from approvals_web.http.rendering import page
from approvals_web.http.routers import PageRouter
from approvals_web.pages.names import named

PAGE = 100
LAST = 2**62

_events = table_of(AuditEvent)
_BEFORE = Statement(
    select(_events).where(_events.c.id < bindparam("before")).order_by(_events.c.id.desc()).limit(PAGE), AuditEvent
)

router = PageRouter()
_one_at_a_time = asyncio.Semaphore(1)
"""Verifying reads the whole record."""


@dataclass(frozen=True)
class AuditPage:
    """What `audit.html` needs."""

    person: Person
    events: list[AuditEvent]
    names: dict[str, str]
    """Of actors and subjects, as people know them."""
    requests: dict[str, RequestRow]
    """Those among the subjects, by id."""
    older: str
    verifiable: bool


@router.get("/audit")
def audit(
    request: Request, person: SignedIn, service: TheService, before: Annotated[int, Query(ge=1, le=LAST)] = LAST
) -> Response:
    """The record, newest first; `approvals audit verify` proves it."""
    return page(request, "audit.html", service.read_now(lambda reader: _page(reader, service, person, before)))


def _page(reader: Reader, service: Service, person: Person, before: int) -> AuditPage:
    events = reader.all(_BEFORE, before=before)
    texts = {text for row in events for text in (row.actor, row.subject)}
    return AuditPage(
        person,
        events,
        names={text: named(reader, text) for text in texts},
        requests={row.id: row for text in texts if (row := service.statuses.find(reader, text)) is not None},
        older=f"/audit?before={events[-1].id}" if len(events) == PAGE else "",
        verifiable=not person.roles.isdisjoint({"admin", "auditor"}),
    )


@router.post("/audit/verification")
async def verify(
    request: Request, person: Overseer, service: TheService, head: Annotated[str, Form(max_length=100)] = ""
) -> Response:
    """Hold the whole record, and the state that it tells of, against the chain now; and that against a head that was
    kept elsewhere, if given."""
    try:
        known = Head.parse(head.strip()) if head.strip() else None
    except ValueError as error:
        raise Invalid(f"{error}.", hint="Leave it empty to verify without a head.") from None
    async with _one_at_a_time:  # in a thread: it may take minutes
        found = await asyncio.to_thread(verification.verify, service.database, service.keyring.audit, known)
    return page(request, "verified.html", {"person": person, "found": found, "known": known})


@router.get("/requests/{request_id}/proof")
async def proof_of(request_id: Identifier, person: SignedIn, service: TheService) -> Response:
    """All that is on record about one request, with its places in the chain, as a file."""
    kept = await service.read(lambda reader: proof.of(reader, request_id))
    headers = {"Content-Disposition": f'attachment; filename="proof-{request_id}.json"', "Cache-Control": "no-store"}
    return JSONResponse(kept, headers=headers)
