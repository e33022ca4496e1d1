"""Agents' keys as MCP bearer tokens: the service says whose they are.

While it cannot say, a 401 would be a lie that sends hosts looking for an OAuth server: the answer is a 503.
"""

from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.settings import AuthSettings
from pydantic import AnyHttpUrl
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from approvals.errors import Unavailable
from approvals.gate.answers import RETRY_SECONDS
from approvals.gate.gate import Gate

PREFIX = "mcpa_"


class Unverified(Unavailable):
    """Nobody can say now whose key came."""

    problem = Unavailable.problem


class AgentKeys(TokenVerifier):
    """Lets nobody in whom the service does not know. Raises Unverified."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def verify_token(self, token: str) -> AccessToken | None:
        if not token.startswith(PREFIX) or not token.isascii():
            return None
        try:
            agent = await self._gate.agent_of(token)
        except Unavailable as error:
            raise Unverified(error.detail, hint=error.hint) from error
        return None if agent is None else AccessToken(token=token, client_id=agent, subject=agent, scopes=[])


class ServiceAway:
    """ASGI middleware around what lets agents in: says that it cannot be done now, and why."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Unverified as error:  # raised before anything was sent
            headers = {"Retry-After": str(RETRY_SECONDS), "Content-Type": "application/problem+json"}
            await JSONResponse(error.document(), error.status, headers)(scope, receive, send)


def settings(service_url: str) -> AuthSettings:
    """MCP's settings for static keys: the issuer is the approval service, and there is no OAuth metadata to
    discover."""
    return AuthSettings(issuer_url=AnyHttpUrl(service_url), resource_server_url=None)
