"""HTML for people: the session cookie only, never a bearer key."""

from fastapi import Depends, FastAPI

from approvals_web.assets import static
from approvals_web.csrf import same_origin
from approvals_web.pages import (
    account,
    agents,
    cards,
    freeze,
    grants,
    live,
    notices,
    oidc,
    policy,
    queue,
    records,
    rollout,
    servers,
    sign_in,
    users,
)

MAX_FORM = 65_536
"""Bytes of a form, many times the longest reason. It is read before anybody is asked who they are."""

PARTS = (
    cards,
    grants,
    queue,
    live,
    servers,
    agents,
    records,
    freeze,
    rollout,
    policy,
    sign_in,
    oidc,
    account,
    users,
    notices,
)


def mount(app: FastAPI) -> None:
    """Add the pages, and what they load."""
    for part in PARTS:
        app.include_router(
            part.router, dependencies=[Depends(same_origin)], include_in_schema=False, max_body_size=MAX_FORM
        )
    app.add_api_route("/static/{digest}/{name}", static, include_in_schema=False)
