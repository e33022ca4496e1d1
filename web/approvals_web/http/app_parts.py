"""The parts of the application that handlers need beside the service: what `create_app` put there, with its type."""

from typing import TYPE_CHECKING

from fastapi import Request

from approvals.service.service import Service

if TYPE_CHECKING:  # they stand on the routes' own modules
    from approvals.service.slack.workspace import Workspace
    from approvals_web.auth.oidc import Provider
    from approvals_web.demo.test_requests import Rehearsals
    from approvals_web.pages.card.viewers import Viewers


async def service_of(request: Request) -> Service:
    """The service, as a dependency."""
    return the_service(request)


def the_service(request: Request) -> Service:
    """The service, where a request is all there is."""
    service: Service = request.app.state.service
    return service


def provider_of(request: Request) -> "Provider | None":
    """The identity provider that people sign in through, if there is one."""
    provider: Provider | None = request.app.state.provider
    return provider


def slack_of(request: Request) -> "Workspace | None":
    """The Slack workspace, if there is one."""
    workspace: Workspace | None = request.app.state.slack
    return workspace


def viewers_of(request: Request) -> "Viewers":
    """Who looks at which card."""
    viewers: Viewers = request.app.state.viewers
    return viewers


def test_requests_of(request: Request) -> "Rehearsals":
    """What files test requests."""
    rehearsals: Rehearsals = request.app.state.rehearsals
    return rehearsals
