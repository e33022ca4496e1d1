"""Standing grants: made from a card, in two steps; listed; revoked."""

import json
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from approvals.errors import Conflict, Invalid, Stale
from approvals.policy import grant_terms
from approvals.policy.eligibility import Act
from approvals.protocol.message_fields import Identifier
from approvals.protocol.previews import MAX_FACTS, encoded_facts, stored
from approvals.protocol.states import State
from approvals.service import grants
from approvals.service.authority import on_content
from approvals.service.identity import credentials
from approvals.service.identity.users import Person
from approvals.service.service import Service
from approvals.service.storage.database import Reader
from approvals_web import standing_grants
from approvals_web.http.deps import SignedIn, TheService
from approvals_web.http.rendering import page
from approvals_web.http.routers import PageRouter
from approvals_web.pages.card.view import seen_token, what
from approvals_web.pages.queue import grant_forms

PAGE = 50
MAX_FIELDS = 4 + 2 * (grant_terms.MAX_ARGUMENTS + MAX_FACTS)

router = PageRouter()


@router.get("/requests/{request_id}/grant")
def terms(request_id: Identifier, request: Request, person: SignedIn, service: TheService) -> Response:
    """The form for further calls to allow with an approval."""
    return page(request, "grant.html", service.read_now(lambda reader: _form(service, reader, request_id, person, {})))


@router.post("/requests/{request_id}/grant")
async def show(request_id: Identifier, request: Request, person: SignedIn, service: TheService) -> Response:
    """What the form says, as a sentence to approve. Nothing is decided here, and nothing kept."""
    given = await _fields(request)

    def ask(reader: Reader) -> dict[str, Any]:
        form = _form(service, reader, request_id, person, given)
        try:
            return form | _said(service, reader, form, person, given)
        except (Invalid, Conflict) as error:
            return form | {"notice": f"{error.detail} {error.hint}".strip(), "status_code": error.status}

    shown = await run_in_threadpool(service.read_now, ask)
    return page(request, "grant.html", shown, status=shown["status_code"])


@router.get("/grants")
def listing(
    request: Request,
    person: SignedIn,
    service: TheService,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """All of them, newest first."""
    rows = service.read_now(
        lambda reader: standing_grants.shown(reader, grants.page(reader, before=cursor, limit=PAGE))
    )
    older = rows[-1].id if len(rows) == PAGE else None
    return page(request, "grants.html", {"person": person, "grants": rows, "cursor": older, "one": False})


@router.get("/grants/{grant_id}")
def single(grant_id: Identifier, request: Request, person: SignedIn, service: TheService) -> Response:
    """One of them."""
    rows = service.read_now(lambda reader: standing_grants.shown(reader, [grants.find(reader, grant_id)]))
    return page(request, "grants.html", {"person": person, "grants": rows, "cursor": None, "one": True})


@router.post("/grants/{grant_id}/revocation")
async def revoke(grant_id: Identifier, person: SignedIn, service: TheService) -> Response:
    """Take a grant back, with the approvals by it that nobody has claimed."""
    await service.write(lambda tx: service.grant_revocations.revoke(tx, grant_id, person))
    return RedirectResponse("/grants", status_code=303)


async def _fields(request: Request) -> dict[str, str]:
    try:
        return dict(parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError as error:
        raise Invalid("This form cannot be read.", hint="Open the card again.") from error


def _form(
    service: Service, reader: Reader, request_id: str, person: Person, given: Mapping[str, str]
) -> dict[str, object]:
    """What the page needs. Raises NotFound, Forbidden for whoever could not approve, Conflict when there is nothing to
    allow from this card (any more)."""
    row = service.statuses.row(reader, request_id)
    service.authority.check_may_decide(reader, row, person, Act.APPROVE)
    status, limits = service.statuses.of(row, reader.now), grants.limits_of(row)
    why = "it is not waiting any more" if status.state != State.PENDING else grants.why_not(reader, row)
    if why or limits is None:
        raise Conflict(f"Further calls cannot be allowed from this card: {why}.", hint="Look at the card again.")
    counts = {
        "uses": given.get("uses", str(min(grant_forms.FEW["uses"], limits.max_uses))),
        "minutes": given.get("minutes", str(min(grant_forms.FEW["minutes"], limits.max_minutes))),
    }
    fields = grant_forms.fields(json.loads(row.arguments), given, encoded_facts(stored(row.preview)))
    agent = credentials.agent(reader, row.agent_id) if row.agent_id is not None else None
    shown = {"person": person, "status": status, "agent": agent, "limits": limits, "fields": fields}
    blank = {"said": "", "terms": "", "seen": "", "notice": "", "status_code": 200}
    return {"row": row, "what": what(service, reader, row)} | shown | counts | blank


def _said(
    service: Service, reader: Reader, form: Mapping[str, Any], person: Person, given: Mapping[str, str]
) -> dict[str, str]:
    """The sentence to approve, and the seal that says to whom it was shown. Raises Invalid, Conflict."""
    row = form["row"]
    if (given.get("content_version"), given.get("digest")) != (str(row.content_version), row.digest):
        raise Stale("What would run has changed since you opened it.", hint="Look again before you decide.")
    made = grant_forms.terms_of(json.loads(row.arguments), given, encoded_facts(stored(row.preview)))
    text = made.dump()
    grants.check(reader, row, person, "approve", text, on_content(reader, row))
    seen = seen_token(service, person, row.id, row.content_version, row.digest, form["what"].card_hash, text)
    return {"said": grant_terms.sentence(made, form["agent"].name, row.server, row.tool), "terms": text, "seen": seen}
