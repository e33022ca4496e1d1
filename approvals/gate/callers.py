"""Who calls, as far as the transport tells: by an agent's key, by a token, by a session, or by nothing at all.

Identical calls of one caller are one call, so no two callers may ever look like one. Whatever a client could make up
(headers, its name for itself, a session id that no session answers to) tells nobody apart.
"""

import hashlib
import json
import uuid
from typing import Any
from weakref import WeakKeyDictionary

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken, principal_components
from mcp.server.connection import Connection
from mcp.server.mcpserver import Context

from approvals.gate import auth
from approvals.gate import context as mcp_context
from approvals.gate.call import Caller
from approvals.gate.input_rounds import Round
from approvals.protocol.messages import ClientInfo


class Callers:
    """The callers of one server process."""

    def __init__(self) -> None:
        self._channels: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        """Names for the standing connections of those that nothing else names."""

    def of(self, context: Context, agent_key: str | None) -> Caller:
        """`agent_key` is that of the client which started this process: nobody else's, so nobody's over HTTP."""
        client, token = mcp_context.client_info(context), get_access_token()
        key = key_of(context, agent_key)
        if key is not None:
            return Caller(key, client=client)
        if token is not None:
            return _bearer(token, client)
        connection = mcp_context.connection(context)
        over_http = mcp_context.is_over_http(context)
        if connection is not None and connection.has_standalone_channel:
            return Caller(None, self._channel(connection), client)
        if not over_http:
            return Caller(client=client)  # called within this process
        return Caller(None, Round.of(context.request_state).caller or uuid.uuid4().hex, client, nameless=True)

    def _channel(self, connection: Connection) -> str:
        return self._channels.setdefault(connection.outbound, uuid.uuid4().hex)


def key_of(context: Context, agent_key: str | None) -> str | None:
    """The agent's key by which a call comes, where it comes by one: `agent_key` as for `Callers.of`."""
    token = get_access_token()
    if token is not None:
        return token.token if token.token.startswith(auth.PREFIX) else None
    return None if mcp_context.is_over_http(context) else agent_key


def _bearer(token: AccessToken, client: ClientInfo) -> Caller:
    """The caller by the principal, if the verifier says who it is; else by the very token."""
    who = ["principal", *principal_components(token)] if token.subject else ["token", token.token]
    return Caller(None, hashlib.sha256(json.dumps(who).encode()).hexdigest()[:32], client)
