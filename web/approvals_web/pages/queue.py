"""The queue, and the history."""

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response

from approvals import allowance, grants, notices, principals, search
from approvals.database import Reader, Row
from approvals.service import Service
from approvals.wire import OPEN
from approvals_web import granting
from approvals_web.deps import SignedIn, TheService
from approvals_web.rendering import page
from approvals_web.routers import PageRouter

LATELY = 8
PAGE = 50
_RISKS = ("critical", "high", "medium", "low")

router = PageRouter()


@router.get("/")
def queue(request: Request, person: SignedIn, service: TheService) -> Response:
    """What waits, the highest risk and the earliest expiry first; then what ended lately."""
    waiting, ended, incidents = service.read_now(
        lambda reader: (search.queue(reader), search.page(reader, limit=LATELY * 3), search.contradicted(reader))
    )
    waiting.sort(key=lambda row: (row.state != "pending", _RISKS.index(row.risk), row.expires_at))
    shown = {"open": waiting, "ended": [row for row in ended if row.state not in OPEN][:LATELY]}
    context: dict[str, Any] = {
        name: service.read_now(partial(items, service=service, rows=rows)) for name, rows in shown.items()
    }
    pending = sum(1 for item in context["open"] if item["status"].state == "pending")
    title = f"({pending}) Queue · Approvals" if pending else "Queue · Approvals"
    own = partial(allowance.flooding, user_id=person.id, everybody="admin" in person.roles)
    context["flooding"] = service.read_now(own)
    granted = service.read_now(lambda reader: granting.listed(reader, grants.live(reader)))
    told = "admin" in person.roles
    unseen = service.read_now(lambda reader: notices.unseen(reader, person.id)) if told else 0
    shown_too = {"granted": granted[: grants.BANNER], "more_granted": len(granted) > grants.BANNER} | {
        "unseen": unseen,
        "most": notices.PAGE,
        "person": person,
        "pending": pending,
        "title": title,
        "incidents": incidents,
    }
    return page(request, "queue.html", context | shown_too)


@router.get("/history")
def history(
    request: Request,
    person: SignedIn,
    service: TheService,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
    by: Literal["on_behalf_of", "agent_session", "trace_id"] = "agent_session",
    value: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Everything, or what came from one session, trace or person as agents say, newest first."""
    said = {by: value} if value else {}
    rows = service.read_now(lambda reader: search.page(reader, before=cursor, limit=PAGE, **said))
    listed = service.read_now(lambda reader: items(reader, service, rows))
    older = rows[-1].id if len(rows) == PAGE else None
    return page(request, "history.html", {"person": person, "items": listed, "cursor": older, "by": by, "value": value})


def items(reader: Reader, service: Service, rows: list[Row]) -> list[dict[str, Any]]:
    """Rows with what a list shows of them."""
    agents = {row.id: row.name for row in principals.agents(reader)}
    return [
        {"row": row, "status": service.statuses.of(row, reader.now), "agent": agents.get(row.agent_id, "unidentified")}
        for row in rows
    ]
