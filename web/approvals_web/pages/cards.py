"""The card: what would run, by whom, why it is held; deciding and settling."""

import hmac
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from approvals.decision import Seen
from approvals.errors import ApprovalsError, Conflict, Invalid, Stale
from approvals.people import Person
from approvals.service import Service
from approvals.settlement import Truth
from approvals.wire import Decision, Identifier
from approvals_web.card import context, seen_token
from approvals_web.deps import Admin, SignedIn, TheService
from approvals_web.rendering import page

router = APIRouter()


@router.get("/requests/{request_id}")
def card(request_id: Identifier, request: Request, person: SignedIn, service: TheService) -> Response:
    """The card of one request."""
    return page(request, "card.html", context(service, request_id, person))


@router.post("/requests/{request_id}/decisions")
async def decide(
    request_id: Identifier,
    person: SignedIn,
    service: TheService,
    request: Request,
    verdict: Annotated[str, Form()],
    content_version: Annotated[int, Form()],
    digest: Annotated[str, Form(max_length=64)],
    card_hash: Annotated[str, Form(max_length=64)] = "",
    seen: Annotated[str, Form(max_length=64)] = "",
    comment: Annotated[str, Form(max_length=4000)] = "",
    may_ask_again: Annotated[str, Form(max_length=3)] = "",
    looked_ms: Annotated[str, Form(max_length=12)] = "",
) -> Response:
    """Approve or deny what this person's own card showed."""
    try:
        if not hmac.compare_digest(seen, seen_token(service, person, request_id, content_version, digest, card_hash)):
            raise Stale("This form is not of the card you were shown.", hint="Look again before you decide.")
        decision = _decision(verdict, comment, content_version, digest, may_ask_again == "yes")
        looked = Seen(card_hash, int(looked_ms) if looked_ms.isdigit() else None)
        await service.write(lambda tx: service.decisions.decide(tx, request_id, person, decision, looked))
    except (Conflict, Invalid) as error:
        return _again(request, service, request_id, person, error, comment)
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
        return _again(request, service, request_id, person, error, note)
    return RedirectResponse(f"/requests/{request_id}", status_code=303)


@router.post("/requests/{request_id}/withdrawal")
async def withdraw(
    request_id: Identifier, admin: Admin, service: TheService, comment: Annotated[str, Form(max_length=2000)] = ""
) -> Response:
    """Take a request back, as an admin."""
    await service.write(lambda tx: service.withdrawals.by_admin(tx, request_id, admin, comment))
    return RedirectResponse(f"/requests/{request_id}", status_code=303)


def _decision(verdict: str, comment: str, content_version: int, digest: str, may_ask_again: bool) -> Decision:
    try:
        return Decision.model_validate(
            {
                "verdict": verdict,
                "comment": comment,
                "content_version": content_version,
                "digest": digest,
                "may_ask_again": may_ask_again,
            }
        )
    except ValueError as error:
        raise Invalid("This decision cannot be read; the reason has at most 2,000 characters.") from error


def _again(
    request: Request, service: Service, request_id: str, person: Person, error: ApprovalsError, draft: str
) -> Response:
    """The fresh card, what went wrong above it, and what was typed."""
    notice = f"{error.detail} {error.hint}".strip()
    shown = context(service, request_id, person) | {"notice": notice, "draft": draft}
    return page(request, "card.html", shown, status=error.status)
