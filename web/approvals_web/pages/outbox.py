"""The outbox: what has not arrived, and why; the dead letters can be sent once more."""

from typing import Annotated

from fastapi import Path, Request, Response
from fastapi.responses import RedirectResponse

from approvals.service.notifications import outbox
from approvals_web.http.deps import Admin, Overseer, TheService
from approvals_web.http.rendering import page
from approvals_web.http.routers import PageRouter

router = PageRouter()

DeliveryId = Annotated[str, Path(pattern="^[0-9a-zA-Z_-]{1,40}$")]


@router.get("/outbox")
async def waiting(request: Request, person: Overseer, service: TheService) -> Response:
    """Pending, tried again, dead."""
    rows = await service.read(outbox.unsent)
    shown = {"person": person, "rows": rows, "notifiers": sorted(service.outbox.notifiers)}
    return page(request, "outbox.html", shown)


@router.post("/outbox/{delivery_id}/retry")
async def retry(delivery_id: DeliveryId, admin: Admin, service: TheService) -> Response:
    """Send a dead letter once more."""
    await service.write(lambda tx: service.sender.again(tx, admin, delivery_id))
    return RedirectResponse("/outbox", status_code=303)
