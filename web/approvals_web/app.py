"""The FastAPI application over a Service."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI

from approvals.service.service import Service
from approvals.service.slack.workspace import Workspace
from approvals.service.tasks import Tasks
from approvals_web import api, health
from approvals_web.api.documented import DocumentedApp
from approvals_web.auth.oidc import Provider
from approvals_web.auth.oidc_client import Client
from approvals_web.demo.test_requests import Rehearsals
from approvals_web.http import problems
from approvals_web.http.headers import Headers
from approvals_web.pages import routes
from approvals_web.pages.card.viewers import Viewers
from approvals_web.slack_socket import keep_listening

PACKAGE = Path(__file__).parent


def create_app(
    service: Service, oidc: Client | None = None, slack: Workspace | None = None, *, metrics_token: str = ""
) -> FastAPI:
    """The application. Its lifespan starts the service's database and timers, and stops them. With `oidc`, people may
    sign in through that identity provider, too; with `slack`, they may decide there."""
    app = DocumentedApp(
        title="mcp-approvals",
        version=version("mcp-approvals"),
        description="A human approval gate for AI agents.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.state.service = service
    app.state.viewers = Viewers()
    app.state.rehearsals = Rehearsals(service)
    app.state.provider = Provider(oidc, service.database.clock) if oidc else None
    app.state.slack = slack
    problems.install(app)
    api.mount(app)
    routes.mount(app)
    health.mount(app, service, metrics_token)
    app.add_middleware(Headers)
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    service.database.start()
    timers: list[asyncio.Task[None]] = []
    try:
        await service.write(service.check_key)
        await asyncio.to_thread(service.begin_policy)
        timers += await Tasks(service).start()
        slack: Workspace | None = app.state.slack
        if slack is not None and slack.installed.app_token:
            timers.append(asyncio.create_task(keep_listening(slack, service.stopping)))
        yield
    finally:
        service.stop()
        await asyncio.gather(*timers, return_exceptions=True)
        await service.sender.finish()
        await app.state.rehearsals.close()
        if app.state.slack is not None:
            await app.state.slack.close()
        await service.finish()
        service.database.stop()
