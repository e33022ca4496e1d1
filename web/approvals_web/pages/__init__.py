"""HTML for people: the session cookie only, never a bearer key."""

from fastapi import Depends, FastAPI

from approvals_web.assets import static
from approvals_web.csrf import same_origin
from approvals_web.pages import accounts, cards, live, policy, queue, records, servers

MAX_FORM = 65_536
"""Bytes of a form, many times the longest reason. It is read before anybody is asked who they are."""


def mount(app: FastAPI) -> None:
    """Add the pages, and what they load."""
    for part in (cards, queue, live, servers, records, policy, accounts):
        app.include_router(
            part.router, dependencies=[Depends(same_origin)], include_in_schema=False, max_body_size=MAX_FORM
        )
    app.add_api_route("/static/{digest}/{name}", static, include_in_schema=False)
