"""Agents' keys as MCP bearer tokens: the service says whose they are."""

from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.settings import AuthSettings
from pydantic import AnyHttpUrl

from approvals.errors import ApprovalsError
from approvals.gate.gate import Gate

PREFIX = "mcpa_"


class AgentKeys(TokenVerifier):
    """Lets nobody in whom the service does not know, nor anybody while it cannot be asked."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def verify_token(self, token: str) -> AccessToken | None:
        if not token.startswith(PREFIX) or not token.isascii():
            return None
        try:
            agent = await self._gate.agent_of(token)
        except ApprovalsError:
            return None
        return None if agent is None else AccessToken(token=token, client_id=agent, subject=agent, scopes=[])


def settings(service_url: str) -> AuthSettings:
    """For static keys: the issuer is the approval service, and there is no OAuth metadata to discover."""
    return AuthSettings(issuer_url=AnyHttpUrl(service_url), resource_server_url=None)
