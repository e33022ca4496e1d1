"""The queue."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query, Request, Response
from fastapi.responses import RedirectResponse

from approvals.service.identity.users import Person
from approvals_web.http.app_parts import slack_of, test_requests_of
from approvals_web.http.deps import Admin, SignedIn, TheService
from approvals_web.http.rendering import page
from approvals_web.http.routers import PageRouter
from approvals_web.pages.queue.filter import QueueFilter
from approvals_web.pages.queue.inbox import Inbox, inbox

router = PageRouter()


@dataclass(frozen=True)
class QueuePage:
    """What `queue.html` needs."""

    person: Person
    inbox: Inbox
    open_id: str = ""
    """The request that stands open beside the list."""


@router.get("/")
def queue(request: Request, person: SignedIn, service: TheService, asked: Annotated[QueueFilter, Query()]) -> Response:
    """What waits for this person, the highest risk and the earliest expiry first; then what ended lately."""
    slack = slack_of(request) is not None
    shown = service.read_now(lambda reader: inbox(service, reader, person, asked, slack=slack))
    return page(request, "queue.html", QueuePage(person, shown), block="list")


@router.post("/test-requests")
async def rehearse(request: Request, admin: Admin) -> Response:
    """File a request that does nothing, to see what happens."""
    rehearsals = test_requests_of(request)
    return RedirectResponse(f"/requests/{await rehearsals.begin(admin)}", status_code=303)
