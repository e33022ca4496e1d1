"""The context of a tool that runs on a permission: nothing in it that nobody has approved steers what it does (P2)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.session import ServerSession
from mcp_types import RequestParamsMeta

from approvals.protocol.canonical import JsonObject

_RESERVED = "io.modelcontextprotocol/"
_KEPT = {"progress_token", "traceparent"}
"""Where the call's reports go, and which trace it is in: what a tool may need of its caller's `_meta`."""


class ApprovedSession(ServerSession):
    """A session that reports and logs to its client, and asks it nothing."""

    async def send_request(self, *args: object, **options: object) -> Any:  # as ServerSession's
        """Refuse: the reviewer has not seen what the client would answer."""
        raise ToolError(
            "This tool asked its client for more after its call was approved. Nobody has approved the answer, so it "
            "was not asked. Its author: make what it asks for an argument."
        )


def approved(context: ServerRequestContext, tool: str, values: JsonObject) -> ServerRequestContext:
    """The request as the tool may see it: the approved values, no `_meta` of the caller's own, no way back to ask."""
    meta = _kept(context.meta)
    asking = context.session
    session = ApprovedSession(asking._request_outbound, asking._connection, request_meta=meta)
    return replace(context, session=session, meta=meta, params={"name": tool, "arguments": values})


def _kept(meta: Mapping[str, object] | None) -> RequestParamsMeta | None:
    if meta is None:
        return None
    kept = {key: value for key, value in meta.items() if key in _KEPT or key.startswith(_RESERVED)}
    return cast(RequestParamsMeta, kept)
