"""All pages, in the order in which their routes are tried."""

from fastapi import FastAPI

from approvals_web.http import routers
from approvals_web.http.assets import static
from approvals_web.pages import (
    account,
    agents,
    audit,
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
    policy_draft,
    rollout,
    selection,
    server,
    servers,
    sign_in,
    slack,
    users,
)
from approvals_web.pages.card import edit, page
from approvals_web.pages.queue import page as queue

PARTS = (
    page,
    edit,
    grants,
    queue,
    history,
    live,
    server,
    servers,
    agents,
    audit,
    freeze,
    rollout,
    policy,
    policy_draft,
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
