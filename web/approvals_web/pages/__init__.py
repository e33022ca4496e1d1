"""HTML for people: the session cookie only, never a bearer key."""

from fastapi import FastAPI

from approvals_web import routers
from approvals_web.assets import static
from approvals_web.pages import (
    account,
    agents,
    cards,
    figures,
    freeze,
    grants,
    history,
    icon,
    live,
    notices,
    oidc,
    outbox,
    policy,
    queue,
    records,
    rollout,
    selection,
    servers,
    sign_in,
    slack,
    users,
)

PARTS = (
    cards,
    grants,
    queue,
    history,
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
    outbox,
    slack,
    selection,
    icon,
    figures,
)


def mount(app: FastAPI) -> None:
    """Add the pages, and what they load."""
    routers.mount(app, *(part.router for part in PARTS))
    app.add_api_route("/static/{digest}/{name}", static, include_in_schema=False)
