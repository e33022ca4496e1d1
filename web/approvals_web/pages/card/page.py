"""The card: what would run, by whom, why it is held; deciding and settling."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from approvals.errors import (
    ApprovalsError,
    Conflict,
    Invalid,
    Stale,
)
from approvals.protocol.message_fields import Identifier
from approvals.protocol.messages import Decision, RequestStatus
from approvals.service import gate_answers
from approvals.service.authority import on_content
from approvals.service.identity.users import Person
from approvals.service.requests.decisions import Seen
from approvals.service.requests.settlements import Truth
from approvals.service.service import Service
from approvals.service.storage.database import Reader, Transaction
from approvals_web.http.app_parts import slack_of, viewers_of
from approvals_web.http.deps import Admin, SignedIn, TheService
from approvals_web.http.rendering import is_part, page
from approvals_web.http.routers import PageRouter
from approvals_web.pages.card.view import Card, check_typed, context, seen_token
from approvals_web.pages.queue.filter import QueueFilter
from approvals_web.pages.queue.inbox import Inbox, inbox, next_of

router = PageRouter()


@dataclass(frozen=True)
class CardPage:
    """What `card.html` needs."""

    person: Person
    card: Card
    inbox: Inbox | None = None
    """The list beside it; None where only the card is asked for."""
    done: RequestStatus | None = None
    """The request that this person has just decided."""
    open_id: str = ""
    """The request that stands open beside the list."""


@router.get("/requests/{request_id}")
async def card(
    request_id: Identifier,
    request: Request,
    person: SignedIn,
    service: TheService,
    after: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """The card of one request, beside the list. `after` is the request that was decided just before."""
    done = await service.read(lambda reader: _done(service, reader, person, after)) if after else None
    shown = await context(service, request_id, person)
    headers = {"HX-Push-Url": f"/requests/{request_id}"} if after else {}
    return await _page(request, service, person, shown, done=done, headers=headers)


@router.get("/requests/{request_id}/arguments")
def arguments(request_id: Identifier, request: Request, person: SignedIn, service: TheService) -> Response:
    """All arguments, as they are kept."""
    row = service.read_now(lambda reader: service.statuses.row(reader, request_id))
    return page(request, "arguments.html", {"row": row, "person": person})


class DecisionForm(BaseModel):
    """What the card's own forms send. `seen` binds it to the person, the session and the content."""

    verdict: str
    content_version: int
    digest: str = Field(max_length=64)
    card_hash: str = Field("", max_length=64)
    seen: str = Field("", max_length=64)
    comment: str = Field("", max_length=4000)
    may_ask_again: str = Field("", max_length=3)
    looked_ms: str = Field("", pattern="^[0-9]{0,12}$")
    grant: str = Field("", max_length=16_384)
    """The terms of further calls to allow, as this person was shown them."""
    typed: str = Field("", max_length=500)
    """The name of the object, where the risk is critical."""
    stay: str = Field("", max_length=3)
    """Whether this person stays on the request after deciding."""


async def decision_form(request: Request) -> DecisionForm:
    """Read at once: FastAPI would look at each field of the form again, on the way of every decision."""
    try:
        fields = parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=20)
        return DecisionForm.model_validate(dict(fields))
    except ValueError as error:  # pydantic's are such
        raise Invalid("This form cannot be read.", hint="Open the card again.") from error


@router.post("/requests/{request_id}/decisions")
async def decide(
    request_id: Identifier,
    person: SignedIn,
    service: TheService,
    request: Request,
    form: Annotated[DecisionForm, Depends(decision_form)],
) -> Response:
    """Approve or deny what this person's own card showed."""
    expected = seen_token(service, person, request_id, form.content_version, form.digest, form.card_hash, form.grant)
    try:
        if not hmac.compare_digest(form.seen.encode(), expected.encode()):
            raise Stale("This form is not of the card you were shown.", hint="Look again before you decide.")
        looked = Seen(form.card_hash, int(form.looked_ms) if form.looked_ms else None)
        decision = _decision(form)

        def decided(tx: Transaction) -> None:
            if decision.verdict == "approve":
                check_typed(service, tx, request_id, form.typed)
            service.decisions.decide(tx, request_id, person, decision, looked, form.grant)

        await service.write(decided)
    except (Conflict, Invalid) as error:
        return await _again(request, service, request_id, person, error, form.comment)
    onward = None if form.stay else await service.read(lambda reader: _onward(service, reader, person, request_id))
    return RedirectResponse(f"/requests/{onward or request_id}?after={request_id}", status_code=303)


@router.post("/requests/{request_id}/preview")
async def look_again(request_id: Identifier, person: SignedIn, service: TheService, request: Request) -> Response:
    """Have the gate look up again what a pending request would do; the card as it is then."""
    try:
        await gate_answers.look_again(service, request_id, person)
    except Conflict as error:
        return await _again(request, service, request_id, person, error, "")
    return RedirectResponse(f"/requests/{request_id}", status_code=303)


@router.post("/requests/{request_id}/settlement")
async def settle(
    request_id: Identifier,
    person: SignedIn,
    service: TheService,
    request: Request,
    truth: Annotated[Truth, Form()],
    note: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Say what really happened to an execution whose outcome was lost."""
    try:
        await service.write(lambda tx: service.settlements.settle(tx, request_id, person, truth, note))
    except (Conflict, Invalid) as error:
        return await _again(request, service, request_id, person, error, note)
    return RedirectResponse(f"/requests/{request_id}", status_code=303)


@router.post("/requests/{request_id}/withdrawal")
async def withdraw(
    request_id: Identifier,
    admin: Admin,
    service: TheService,
    request: Request,
    comment: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Take a request back, as an admin."""
    try:
        await service.write(lambda tx: service.withdrawals.by_admin(tx, request_id, admin, comment))
    except (Conflict, Invalid) as error:
        return await _again(request, service, request_id, admin, error, comment)
    return RedirectResponse(f"/requests/{request_id}", status_code=303)


@router.post("/requests/{request_id}/revocation")
async def revoke(
    request_id: Identifier,
    person: SignedIn,
    service: TheService,
    request: Request,
    comment: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Take an approval back that nobody has claimed yet."""
    try:
        await service.write(lambda tx: service.withdrawals.revoke(tx, request_id, person, comment))
    except (Conflict, Invalid) as error:
        return await _again(request, service, request_id, person, error, comment)
    return RedirectResponse(f"/requests/{request_id}", status_code=303)


@router.post("/requests/{request_id}/acknowledgement")
async def acknowledge(request_id: Identifier, person: SignedIn, service: TheService) -> Response:
    """Take note that a late report contradicts what was settled."""
    await service.write(lambda tx: service.settlements.acknowledge(tx, request_id, person))
    return RedirectResponse(f"/requests/{request_id}", status_code=303)


def _decision(form: DecisionForm) -> Decision:
    try:
        return Decision.model_validate(
            form.model_dump(include={"verdict", "comment", "content_version", "digest"})
            | {"may_ask_again": form.may_ask_again == "yes"}
        )
    except ValueError as error:
        raise Invalid("This decision cannot be read; the reason has at most 2,000 characters.") from error


async def _again(
    request: Request, service: Service, request_id: str, person: Person, error: ApprovalsError, draft: str
) -> Response:
    """The fresh card, what went wrong, and what was typed."""
    notice = f"{error.detail} {error.hint}".strip()
    shown = replace(await context(service, request_id, person), notice=notice, draft=draft)
    return await _page(
        request,
        service,
        person,
        shown,
        status=error.status,
        headers={"HX-Push-Url": f"/requests/{request_id}"},
    )


async def _page(
    request: Request,
    service: Service,
    person: Person,
    shown: Card,
    *,
    done: RequestStatus | None = None,
    status: int = 200,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    """The card, with the list beside it unless htmx asks for the card alone."""
    viewers = viewers_of(request)
    now = service.database.clock.now()
    shown = replace(shown, looking=viewers.look(shown.row.id, person, now))
    beside = None
    if not is_part(request):
        slack = slack_of(request) is not None
        beside = await run_in_threadpool(
            service.read_now, lambda reader: inbox(service, reader, person, QueueFilter(), slack=slack)
        )
    given = CardPage(person, shown, beside, done, open_id=shown.row.id)
    return page(request, "card.html", given, block="card", status=status, headers=headers)


def _onward(service: Service, reader: Reader, person: Person, request_id: str) -> str | None:
    """The next request that waits for this person."""
    row = next_of(service, reader, person, service.statuses.row(reader, request_id))
    return None if row is None else row.id


def _done(service: Service, reader: Reader, person: Person, request_id: str) -> RequestStatus | None:
    """What was decided just before, if it is this person's doing."""
    row = service.statuses.find(reader, request_id)
    if row is None or all(vote.user_id != person.id for vote in on_content(reader, row)):
        return None
    return service.statuses.of(row, reader.now)
