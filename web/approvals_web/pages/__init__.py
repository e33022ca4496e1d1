"""HTML for people: the session cookie only, never a bearer key."""

from fastapi import Depends, FastAPI

from approvals_web.assets import static
from approvals_web.csrf import same_origin
from approvals_web.pages import accounts, cards, live, queue, records, servers


def mount(app: FastAPI) -> None:
    """Add the pages, and what they load."""
    for part in (cards, queue, live, servers, records, accounts):
        app.include_router(part.router, dependencies=[Depends(same_origin)], include_in_schema=False)
    app.add_api_route("/static/{digest}/{name}", static, include_in_schema=False)
