"""How much is asked of people, and how they decide."""

from typing import Annotated

from fastapi import Query, Request, Response

from approvals.service.history import statistics
from approvals_web.http.deps import SignedIn, TheService
from approvals_web.http.rendering import page
from approvals_web.http.routers import PageRouter

LISTED = 100

router = PageRouter()


@router.get("/figures")
def shown(
    request: Request, person: SignedIn, service: TheService, days: Annotated[int, Query(ge=1, le=90)] = 7
) -> Response:
    """Of the last days."""
    found = service.read_now(lambda reader: statistics.of(reader, days))
    shown = {"found": found, "days": days, "listed": found.lines[:LISTED], "most": statistics.MOST}
    return page(request, "figures.html", shown | {"person": person})
