"""What every admin is told."""

from typing import Annotated

from fastapi import Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from approvals.service.audit import notices
from approvals.service.identity import users
from approvals.service.storage.database import Reader
from approvals_web.http.deps import Admin, TheService
from approvals_web.http.rendering import page
from approvals_web.http.routers import PageRouter
from approvals_web.pages.names import named

LAST = 2**62

router = PageRouter()


@router.get("/notices")
def listed(
    request: Request, admin: Admin, service: TheService, before: Annotated[int, Query(ge=1, le=LAST)] = LAST
) -> Response:
    """Newest first; what this admin has not seen yet is marked."""
    shown = service.read_now(lambda reader: _shown(reader, admin.id, before))
    return page(request, "notices.html", {"person": admin, **shown})


@router.post("/notices/seen")
async def seen(admin: Admin, service: TheService, up_to: Annotated[int, Form(ge=0, le=LAST)]) -> Response:
    """Note that an admin has looked at everything up to this number."""
    await service.write(lambda tx: notices.seen(tx, admin.id, up_to))
    return RedirectResponse("/notices", status_code=303)


def _shown(reader: Reader, user_id: str, before: int) -> dict[str, object]:
    rows = notices.page(reader, before)
    user = users.find(reader, user_id)
    names = {text: named(reader, text) for row in rows for text in (row.actor, row.subject)}
    return {
        "rows": rows,
        "names": names,
        "last_notice_id": user.last_notice_id if user else 0,
        "unseen": notices.unseen(reader, user_id),
        "older": f"/notices?before={rows[-1].id}" if len(rows) == notices.PAGE else "",
    }
