"""The queue."""

from functools import partial
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Query, Request, Response
from fastapi.responses import RedirectResponse

from approvals.protocol.states import OPEN
from approvals.service import grants
from approvals.service.audit import notices
from approvals.service.history import queries
from approvals.service.requests import rate_limits
from approvals_web.demo.test_requests import Rehearsals
from approvals_web.http.deps import Admin, SignedIn, TheService
from approvals_web.http.rendering import page
from approvals_web.http.routers import PageRouter
from approvals_web.pages.queue import checklist, grant_forms
from approvals_web.pages.queue.filter import QueueFilter, narrowed, runs
from approvals_web.pages.queue.listing import items

LATELY = 8
_RISKS = ("critical", "high", "medium", "low")

router = PageRouter()


@router.get("/")
def queue(request: Request, person: SignedIn, service: TheService, asked: Annotated[QueueFilter, Query()]) -> Response:
    """What waits, the highest risk and the earliest expiry first; then what ended lately."""

    def gather(reader: Any) -> dict[str, Any]:
        rows = queries.queue(reader)
        rows.sort(key=lambda row: (row.state != "pending", _RISKS.index(row.risk), row.expires_at))
        ended = [row for row in queries.page(reader, limit=LATELY * 3) if row.state not in OPEN][:LATELY]
        waiting = items(reader, service, rows)
        wanted = narrowed(service, reader, person, waiting, asked)
        granted = grant_forms.listed(reader, grants.live(reader))
        told = "admin" in person.roles
        return {
            "servers": sorted({item["row"].server for item in waiting}),
            "agents": sorted({item["agent"] for item in waiting}),
            "runs": runs(wanted),
            "shown": len(wanted),
            "pending": sum(1 for item in waiting if item["status"].state == "pending"),
            "ended": items(reader, service, ended),
            "incidents": queries.contradicted(reader),
            "flooding": rate_limits.flooding(reader, user_id=person.id, everybody=told),
            "granted": granted[: grants.BANNER],
            "more_granted": len(granted) > grants.BANNER,
            "unseen": notices.unseen(reader, person.id) if told else 0,
            "steps": checklist.steps(reader, slack=request.app.state.slack is not None) if told else [],
        }

    shown = service.read_now(partial(gather))
    said = {name: value for name, value in asked.model_dump().items() if value}
    pending = shown["pending"]
    more = {
        "person": person,
        "asked": asked,
        "filtered": bool(said),
        "address": f"/?{urlencode(said)}" if said else "/",
        "most": notices.PAGE,
        "title": f"({pending}) Queue · Approvals" if pending else "Queue · Approvals",
    }
    return page(request, "queue.html", shown | more)


@router.post("/test-requests")
async def rehearse(request: Request, admin: Admin) -> Response:
    """File a request that does nothing, to see what happens."""
    rehearsals: Rehearsals = request.app.state.rehearsals
    return RedirectResponse(f"/requests/{await rehearsals.begin(admin)}", status_code=303)
