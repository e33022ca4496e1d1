"""HTML for people: the session cookie only, never a bearer key."""

from fastapi import APIRouter, Depends, FastAPI

from approvals_web.assets import static
from approvals_web.csrf import same_origin
from approvals_web.pages import accounts, cards, live, queue, records, servers

router = APIRouter(dependencies=[Depends(same_origin)])
for part in (queue, cards, servers, records, accounts, live):
    router.include_router(part.router)


def mount_static(app: FastAPI) -> None:
    """Serve the script bundle, the style sheet and the icon."""
    app.add_api_route("/static/{digest}/{name}", static, include_in_schema=False)
